"""What people can do to a task, in any order, and how it is deployed: decisions, triggers, freezes, confirms, tries."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from orch.core import decide_control, decide_deploy, decide_person
from orch.core.deploy_plan import DeployFacts, Postpone, Start, Void, plan_deploy, to_be_asked
from orch.core.effects import SetStatus
from orch.core.ids import ActivityId
from orch.core.messages import Decide, Decision, DeployEnded, DeployEnding, SendBack, TriggerSet, Verb
from orch.core.model import Awaiting, Counters, DeployQuestion, Freeze, FreezeCause
from orch.core.stages import ORDER, Stage
from orch.core.statuses import TRIGGERS, Status
from tests.builders import DEMO, NOW, make_deploy, sha
from tests.core.line_shell import LineShell


class LinePeople(LineShell):
    """The rules of people and of deploys."""

    # -------------------------------------------------------------------------------------------- people

    @rule(decision=st.sampled_from(Decision), shown=st.sampled_from(["shown", "other", "none"]))
    def a_person_decides(self, decision: Decision, shown: str) -> None:
        if decision is Decision.STOP and self.number % 3:
            return  # most stories are to go on
        sha_ = {"shown": self.task.shown, "other": sha("f"), "none": None}[shown]
        message = Decide(decision=decision, by="anna", shown=sha_, reason="because")
        active = self.job is not None
        context = self.context
        decided = decide_person.decided(
            context, self.task, message, active=active, landing=self.landing, freeze=self.freeze, deploy=self.deploy
        )
        if decided.task.awaiting is Awaiting.DEPLOY_TURN and self.task.awaiting is Awaiting.CONFIRM:
            self.confirmed_at = context.now
        assert decided.answer is not None
        assert decided.answer.text
        bound = decision not in (Decision.STOP, Decision.RESUME, Decision.FIX)
        if bound and (sha_ is None or sha_ != self.task.shown):
            assert (decided.task, decided.effects) == (self.task, ())
        self.apply(decided, by_person=True)

    @rule(trigger=st.sampled_from(sorted(TRIGGERS)), again=st.booleans())
    def a_person_sets_a_trigger(self, trigger: Status, again: bool) -> None:
        if trigger is Status.STOP and self.number % 3:
            return
        for _ in range(2 if again else 1):
            self.number += 1
            message = TriggerSet(trigger=trigger, entries=(ActivityId(f"e{self.number}"),), at=NOW, by="anna", reason="because")
            active = self.job is not None
            context = self.context
            decided = decide_person.triggered(
                context, self.task, message, active=active, landing=self.landing, freeze=self.freeze, deploy=self.deploy
            )
            if decided.task.awaiting is Awaiting.DEPLOY_TURN and self.task.awaiting is Awaiting.CONFIRM:
                self.confirmed_at = context.now
            assert any(isinstance(effect, SetStatus) for effect in decided.effects), "a trigger never stays on the board"
            self.apply(decided, by_person=True)

    @rule(stage=st.sampled_from(ORDER))
    def a_person_sends_it_back(self, stage: Stage) -> None:
        if self.number % 2:
            return
        message = SendBack(stage=stage, by="anna", reason="Look again.")
        decided = decide_control.sent_back(self.context, self.task, message, landing=self.landing)
        assert decided.answer is not None
        if decided.answer.verb is Verb.DONE:
            assert (decided.task.stage, decided.task.attempt, decided.task.park) == (stage, self.task.attempt + 1, None)
            assert decided.task.counters == Counters()
        else:
            assert (decided.task, decided.effects) == (self.task, ())
        self.apply(decided, by_person=True)

    @rule(frozen=st.booleans())
    def the_repo_is_frozen_or_not(self, frozen: bool) -> None:
        self.freeze = Freeze(project=DEMO, cause=FreezeCause.PERSON, since=NOW, by="anna") if frozen else None

    # -------------------------------------------------------------------------------------------- deploy

    def is_to_be_asked(self) -> bool:
        return bool(to_be_asked([self.task]))

    @precondition(is_to_be_asked)
    @rule()
    def a_person_is_asked_to_confirm(self) -> None:
        assert self.task.landed is not None
        question = DeployQuestion(work_item=self.task.work_item, sha=self.task.landed, after=self.failed)
        self.apply(decide_deploy.asked(self.context, self.task, question))

    def facts_of_deploys(self) -> DeployFacts:
        confirmed = {self.task.row: self.confirmed_at} if self.confirmed_at is not None else {}
        return DeployFacts(
            waiting=[self.task],
            running=self.deploy,
            failed=self.failed,
            freeze=self.freeze,
            confirmed=confirmed,
            confirm=self.project.deploy.confirm,
        )

    def has_its_turn(self) -> bool:
        return self.task.awaiting is Awaiting.DEPLOY_TURN and self.task.park is None

    @precondition(has_its_turn)
    @rule()
    def its_repo_plans_its_deploy(self) -> None:
        plan, context = plan_deploy(self.facts_of_deploys()), self.context
        match plan:
            case Start():
                assert self.freeze is None or self.task.exempt
                self.deploy = make_deploy(self.task, started_at=context.now, deadline_at=context.now + timedelta(hours=1))
                self.apply(decide_deploy.started(context, self.task, self.deploy))
            case Void():
                self.apply(decide_deploy.voided(context, self.task, plan))
            case _:
                assert self.freeze is not None

    def is_going(self) -> bool:
        return self.deploy is not None and self.deploy.due_at is None

    @precondition(is_going)
    @rule(code=st.sampled_from([0, 1, 3, 75, None]))
    def a_try_of_its_deploy_ends(self, code: int | None) -> None:
        assert self.deploy is not None
        ending = DeployEnding.LOST if code is None else DeployEnding.EXITED
        ended = DeployEnded(deploy=self.deploy.id, number=self.deploy.tries, ending=ending, exit_code=code, tail="the end")
        self.apply(decide_deploy.ended(self.context, self.task, self.deploy, ended))

    def is_between_tries(self) -> bool:
        return self.deploy is not None and self.deploy.due_at is not None

    @precondition(is_between_tries)
    @rule()
    def the_next_try_is_due(self) -> None:
        assert self.deploy is not None
        plan = plan_deploy(self.facts_of_deploys())
        if isinstance(plan, Postpone):
            self.apply(decide_deploy.postponed(self.context, self.task, plan))
        else:
            self.deploy = replace(self.deploy, tries=self.deploy.tries + 1, due_at=None)
