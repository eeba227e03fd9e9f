"""Any story of several tasks that are to be deployed, told at random: what holds whatever happens."""

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orch.core import decide_deploy, decide_person
from orch.core.decide_deploy import TRIES_MAX
from orch.core.deploy_plan import Deliver, DeployFacts, Hold, Postpone, Start, Void, plan_deploy, to_be_asked
from orch.core.effects import KeepDeploy
from orch.core.ids import DeployId, Sha, TaskRow, WorkItemId
from orch.core.messages import Decide, Decision, DeployEnded, DeployEnding, Verb
from orch.core.model import Awaiting, Deploy, DeployQuestion, DeploySettings, DeployState, Freeze, Task
from orch.core.stages import Stage, is_terminal
from orch.core.stopping import is_deploying, may_withdraw
from orch.core.turn import Context, Decided
from tests.builders import effects_of, later, make_context, make_deploy, make_project
from tests.core.deploy_samples import FREEZE, LEFT, STOP, at


class Deploys(RuleBasedStateMachine):
    """Several tasks of one project in any order of landings, confirms, ends, stops and freezes."""

    @initialize(confirm=st.booleans())
    def begin(self, confirm: bool) -> None:
        self.project = make_project(deploy=DeploySettings(command=("deploy",), confirm=confirm))
        self.moment = 0
        self.tasks: dict[TaskRow, Task] = {}
        self.confirmed: dict[TaskRow, Any] = {}
        self.deploys: list[Deploy] = []
        self.freeze: Freeze | None = None
        self.order: list[int] = []
        """Places in the landing order, as they were deployed."""

    @property
    def context(self) -> Context:
        self.moment += 1
        return make_context(self.project, now=later(self.moment))

    def running(self) -> Deploy | None:
        return next((deploy for deploy in self.deploys if deploy.state is DeployState.RUNNING), None)

    def place(self, sha_: Sha) -> int:
        return next(int(row) for row, task in self.tasks.items() if task.landed == sha_)

    def write(self, decided: Decided) -> None:
        before = self.tasks[decided.task.row]
        assert not is_terminal(before.stage) or decided.task.stage is before.stage, "what is over stays over"
        self.tasks[decided.task.row] = decided.task
        for effect in effects_of(decided, KeepDeploy):
            self.deploys = [effect.deploy if each.id == effect.deploy.id else each for each in self.deploys]

    def facts(self) -> DeployFacts:
        good = [deploy for deploy in self.deploys if deploy.state is DeployState.SUCCEEDED]
        over = [d for d in self.deploys if d.state not in (DeployState.RUNNING, DeployState.WITHDRAWN)]
        last = good[-1] if good else None
        waiting = [t for t in self.tasks.values() if not t.deployed and t.stage in (Stage.DEPLOY, Stage.CANCELLED)]
        held = {t.landed: int(t.row) <= self.place(last.sha) for t in waiting if t.landed is not None} if last else {}
        failed = over[-1] if over and over[-1].state is not DeployState.SUCCEEDED else None
        return DeployFacts(
            waiting=waiting,
            running=self.running(),
            last=last,
            failed=failed,
            freeze=self.freeze,
            held=held,
            confirmed=self.confirmed,
            confirm=self.project.deploy.confirm,
        )

    @rule(exempt=st.booleans())
    def one_lands(self, exempt: bool) -> None:
        if len(self.tasks) < 6:
            number = len(self.tasks) + 1
            awaiting = Awaiting.GATE if self.project.deploy.confirm else Awaiting.DEPLOY_TURN
            self.tasks[TaskRow(number)] = at(number, awaiting, exempt=exempt and number % 2 == 0, shown=None)

    @rule()
    def what_is_due_is_done(self) -> None:
        for _ in range(100):
            facts, context = self.facts(), self.context
            plan = plan_deploy(facts)
            match plan:
                case Start():
                    self.begins(plan, facts, context)
                case Deliver():
                    assert self.place(plan.by.sha) >= int(plan.task), "only what production holds is delivered"
                    self.write(decide_deploy.delivered(context, self.tasks[plan.task], plan.by, WorkItemId("DEMO-9")))
                case Void():
                    self.write(decide_deploy.voided(context, self.tasks[plan.task], plan))
                case Postpone():
                    self.write(decide_deploy.postponed(context, self.tasks[plan.deploy.task], plan))
                case Hold():
                    break
        else:
            raise AssertionError(f"it never comes to rest: {plan}")
        for task in to_be_asked(list(self.tasks.values())):
            assert task.landed is not None
            question = DeployQuestion(work_item=task.work_item, sha=task.landed, after=self.facts().failed)
            self.write(decide_deploy.asked(self.context, task, question))

    def begins(self, plan: Start, facts: DeployFacts, context: Context) -> None:
        task = self.tasks[plan.task]
        assert self.running() is None, "one at a time"
        assert self.freeze is None or task.exempt, "not while it is frozen"
        assert not self.order or int(plan.task) > max(self.order), "never backwards"
        if facts.failed is not None:
            assert facts.failed.ended_at is not None
            assert self.confirmed[plan.task] >= facts.failed.ended_at, "after a failure a person has confirmed"
        if self.project.deploy.confirm:
            assert plan.task in self.confirmed
        turns = [t for t in self.tasks.values() if t.awaiting is Awaiting.DEPLOY_TURN and t.park is None]
        ready = [t for t in turns if self.freeze is None or t.exempt]
        assert int(plan.task) == min(int(t.row) for t in ready), "in landing order among those decided"
        deploy = make_deploy(
            task, id=DeployId(len(self.deploys) + 1), started_at=context.now, deadline_at=later(self.moment + 5000)
        )
        self.deploys.append(deploy)
        self.write(decide_deploy.started(context, task, deploy))

    @rule(which=st.integers(0, 5), decision=st.sampled_from([Decision.CONFIRM_DEPLOY, Decision.REJECT, Decision.RESUME]))
    def a_person_decides(self, which: int, decision: Decision) -> None:
        task = self.tasks.get(TaskRow(which + 1))
        if task is not None:
            command = Decide(decision=decision, by="anna", shown=task.shown)
            context = self.context
            decided = decide_person.decided(context, task, command, active=False, freeze=self.freeze)
            if decided.answer is not None and decided.answer.verb is Verb.DONE and decision is Decision.CONFIRM_DEPLOY:
                assert task.shown == task.landed, "a decision is about what was shown"
                self.confirmed[task.row] = context.now
            self.write(decided)

    @rule(which=st.integers(0, 5))
    def a_person_stops_one(self, which: int) -> None:
        task, running = self.tasks.get(TaskRow(which + 1)), self.running()
        if task is None or self.moment % 3:
            return
        mine = running if running is not None and running.task == task.row else None
        decided = decide_person.decided(self.context, task, STOP, active=False, deploy=mine)
        assert decided.answer is not None
        if mine is not None and not may_withdraw(mine) and task.park is None and not is_terminal(task.stage):
            assert decided.task.stage is Stage.DEPLOY, "a deploy under way has its real result"
        self.write(decided)

    @rule(frozen=st.booleans())
    def it_is_frozen_or_not(self, frozen: bool) -> None:
        self.freeze = FREEZE if frozen else None

    def under_way(self) -> bool:
        running = self.running()
        return running is not None and running.due_at is None

    @precondition(under_way)
    @rule(code=st.sampled_from([0, 0, 0, 1, 3, 75, None]), left=st.booleans())
    def a_try_ends(self, code: int | None, left: bool) -> None:
        deploy = self.running()
        assert deploy is not None
        task = self.tasks[deploy.task]
        survivors = LEFT if code is None and left else ()
        ending = DeployEnding.EXITED if code is not None else DeployEnding.TIMED_OUT
        ended = DeployEnded(deploy=deploy.id, number=deploy.tries, ending=ending, exit_code=code, survivors=survivors)
        stop = task.cancel_requested_at is not None
        self.write(decide_deploy.ended(self.context, task, deploy, ended))
        after = self.tasks[deploy.task]
        if code == 0:
            self.order.append(int(deploy.task))
            assert after.deployed
            assert after.stage is (task.stage if is_terminal(task.stage) else Stage.DONE)
        else:
            assert not after.deployed
            assert not stop or is_terminal(after.stage)
        assert (self.running() is None) is not (
            bool(survivors) or (code == 75 and not stop and after.awaiting is Awaiting.DEPLOYING)
        )

    def is_between(self) -> bool:
        running = self.running()
        return running is not None and running.due_at is not None

    @precondition(is_between)
    @rule()
    def the_next_try_begins(self) -> None:
        running = self.running()
        assert running is not None
        if self.freeze is None:
            begun = replace(running, tries=running.tries + 1, due_at=None)
            self.deploys = [begun if each.id == running.id else each for each in self.deploys]

    # -------------------------------------------------------------------------------------------- laws

    @invariant()
    def one_deploy_at_a_time(self) -> None:
        assert sum(deploy.state is DeployState.RUNNING for deploy in self.deploys) <= 1
        going = [task for task in self.tasks.values() if is_deploying(task)]
        assert len(going) <= 1
        running = self.running()
        assert not going or (running is not None and running.task == going[0].row)

    @invariant()
    def production_never_goes_backwards(self) -> None:
        assert self.order == sorted(set(self.order))

    @invariant()
    def done_means_in_production(self) -> None:
        newest = max(self.order, default=0)
        for task in self.tasks.values():
            assert (task.stage is Stage.DONE) <= (int(task.row) <= newest)
            assert not task.deployed or int(task.row) <= newest

    @invariant()
    def the_tries_are_bounded(self) -> None:
        assert all(deploy.tries <= TRIES_MAX for deploy in self.deploys)


TestDeploys = Deploys.TestCase
TestDeploys.settings = settings(stateful_step_count=40)
