"""One task driven by anything the world can send, in any order, again and again: what holds whatever happens.

The machine applies decisions as the shell does (one active job, an attempt that grows with every claim, runs that end with a
cancel), keeps the books that the store would keep, and checks the line's laws after every single decision.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orch.core import decide_control, decide_deploy, decide_evidence, decide_landing, decide_person, decide_task
from orch.core.decide_deploy import FAILURES
from orch.core.decide_repo import membership_fault
from orch.core.deploy_plan import DeployFacts, Postpone, Start, Void, plan_deploy, to_be_asked
from orch.core.effects import (
    CancelJobs,
    CancelRun,
    Comment,
    EditPullRequest,
    EnterTrain,
    KeepDeploy,
    MarkMerged,
    OpenPullRequest,
    OutboxEffect,
    QueueJob,
    RecordTransition,
    RequeueJob,
    SetStatus,
)
from orch.core.gates import BranchFacts
from orch.core.ids import ActivityId, Attempt, JobId, RunId, Sha
from orch.core.messages import (
    CiReported,
    CommandFinished,
    CommandReport,
    CommandVerdict,
    Decide,
    Decision,
    DeployEnded,
    DeployEnding,
    LandingRefused,
    PullRequestOpened,
    Refusal,
    RefusalKind,
    RunEnded,
    SendBack,
    TriggerSet,
    Verb,
)
from orch.core.model import (
    AgentResult,
    Awaiting,
    CiSource,
    CiState,
    Counters,
    Deploy,
    DeployQuestion,
    DeploySettings,
    DeployState,
    Freeze,
    FreezeCause,
    Job,
    JobState,
    Member,
    Outcome,
    Project,
    Repo,
    RunKind,
    Task,
)
from orch.core.outbox import write_row
from orch.core.retry import FAILED_MAX, GATE_RED_MAX, STALLED_MAX, TIMED_OUT_MAX, TURN_LIMIT_MAX
from orch.core.stages import ORDER, TABLE, Stage, is_terminal, may_send_back
from orch.core.statuses import TRIGGERS, Status
from orch.core.stopping import is_deploying
from orch.core.turn import Context, Decided
from orch.core.views import status_of
from tests.builders import (
    DEMO,
    NOW,
    make_artefact,
    make_candidate,
    make_context,
    make_deploy,
    make_facts,
    make_job,
    make_project,
    make_run,
    make_task,
    sha,
)

FULL = DeploySettings(staging_command=("stage",), command=("deploy",))
PROJECTS: list[Project] = [
    make_project(),
    make_project(ci=CiSource.FORGE, deploy=FULL),
    make_project(ci=CiSource.LOCAL, deploy=FULL),
    make_project(ci=CiSource.OFF, deploy=replace(FULL, confirm=False)),
    make_project(ci=CiSource.FORGE, merge_gate=False),
    make_project(ci=CiSource.LOCAL, deploy=DeploySettings(command=("deploy",), confirm=False)),
]

WAITS: dict[Stage, set[Awaiting]] = {
    Stage.ANALYSIS: {Awaiting.AGENT, Awaiting.APPROVAL, Awaiting.INPUT},
    Stage.ARCHITECTURE: {Awaiting.AGENT},
    Stage.DEVELOPMENT: {Awaiting.AGENT, Awaiting.GATE},
    Stage.REVIEW: {Awaiting.AGENT},
    Stage.TESTING: {Awaiting.AGENT},
    Stage.DEPLOY_STAGING: {Awaiting.GATE, Awaiting.LANDING, Awaiting.MERGE},
    Stage.DEPLOY: {Awaiting.GATE, Awaiting.CONFIRM, Awaiting.DEPLOY_TURN, Awaiting.DEPLOYING},
    Stage.DONE: {Awaiting.NOTHING},
    Stage.CANCELLED: {Awaiting.NOTHING},
}
"""What a task that is not parked can wait for in each stage."""

AFTER_THE_END = (Comment, SetStatus, RecordTransition, MarkMerged, EditPullRequest)

_OUTCOMES = st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.SUCCEEDED])
_LATE = st.sampled_from([-2, -1, 1, 2])


class Line(RuleBasedStateMachine):
    """See the module's docstring."""

    project: Project
    task: Task
    job: Job | None
    number: int = 0
    landing: bool = False
    """An intent to land the task is open: the critical window."""
    freeze: Freeze | None = None
    deploy: Deploy | None = None
    """Its running deploy: the other critical window."""
    failed: Deploy | None = None
    """The deploy before, where that did not succeed."""
    by_hand: bool = False
    """A person merged it: that asks no gate of ours."""

    # -------------------------------------------------------------------------------------------- the shell

    @initialize(
        project=st.sampled_from(PROJECTS),
        limit=st.integers(0, 3),
        exempt=st.booleans(),
        stage=st.sampled_from(ORDER[:-2]),
        further=st.integers(0, 3),
    )
    def enter(self, project: Project, limit: int, exempt: bool, stage: Stage, further: int) -> None:
        """Begin in *stage*, some good steps into it, so that stories are told from every place of the line."""
        self.project, self.limit = project, limit
        self.task, self.job = make_task(exempt=exempt), None
        self.shown: Status | None = None
        self.keys: set[str] = set()
        self.heads = [sha("a")]
        self.green, self.reviewed, self.tested = set[Sha | None](), set[Sha | None](), set[Sha | None]()
        self.pull_request_asked = False
        self.confirmed_at: datetime | None = None
        self.apply(decide_task.started(self.context, self.task, "anna"), by_person=True)
        for _ in range(40):
            if self.task.stage is stage or is_terminal(self.task.stage) or self.task.park:
                break
            self.all_goes_well()
        for _ in range(further):
            self.all_goes_well()
        event(f"from {self.task.stage}")

    @property
    def context(self) -> Context:
        """Every decision has a moment of its own."""
        self.number += 1
        return make_context(self.project, now=NOW + timedelta(seconds=self.number), max_developer_retries=self.limit)

    def apply(self, decided: Decided, *, by_person: bool = False) -> None:
        """Write a decision as the shell does, checking it on the way."""
        before, task = self.task, decided.task
        self.check_decision(before, decided, by_person=by_person)
        for effect in decided.effects:
            match effect:
                case QueueJob():
                    assert self.job is None, "a second job beside an active one would be lost"
                    assert effect.stage is task.stage
                    self.job = make_job(
                        task,
                        id=JobId(self.number),
                        role=effect.role,
                        mode=effect.mode,
                        state=JobState.QUEUED,
                        feedback=effect.feedback,
                    )
                case RequeueJob():
                    assert self.job is not None
                    assert self.job.state is JobState.RUNNING
                    self.job = replace(self.job, state=JobState.QUEUED, mode=effect.mode)
                case CancelJobs():
                    self.job = None
                case EnterTrain():
                    task = replace(task, train_seq=self.number)
                case SetStatus():
                    self.shown = effect.status
                case OpenPullRequest():
                    self.pull_request_asked = True
                case KeepDeploy():
                    kept = effect.deploy
                    self.deploy = kept if kept.state is DeployState.RUNNING else None
                    if kept.state in FAILURES:
                        self.failed = kept
                case _:
                    pass
        self.task = task
        if task != before:
            event(f"in {task.stage}{' parked' if task.park else ''}")

    def check_decision(self, before: Task, decided: Decided, *, by_person: bool) -> None:
        after = decided.task
        stage = before.stage
        for effect in decided.effects:
            if isinstance(effect, RecordTransition) and effect.transition.source is not None:
                line = effect.transition
                assert line.source is stage, "the history has no gap"
                back = line.cause == "sent-back" and may_send_back(line.source, line.target)
                assert back or line.target is line.source or line.target in TABLE[line.source].moves.values(), f"{line}"
                stage = line.target
        assert after.stage is stage, "a stage changes with a line of history only"
        if is_terminal(before.stage):
            assert after.stage is before.stage, "what is over stays over"
            assert all(isinstance(effect, AFTER_THE_END) for effect in decided.effects)
            assert all(effect.close for effect in decided.effects if isinstance(effect, EditPullRequest))
        queued = [effect for effect in decided.effects if isinstance(effect, QueueJob)]
        assert len(queued) <= 1
        if before.park is not None and not by_person:
            assert not queued, "only a person takes a parked task on"
            assert after.park == before.park or is_terminal(after.stage), "a park is sticky"
        if after.park is not None or is_terminal(after.stage):
            assert not queued
            assert not any(isinstance(effect, RequeueJob | EnterTrain) for effect in decided.effects)
        assert after.attempt >= before.attempt
        if self.freeze is not None and not after.exempt and self.project.deploy.confirm:
            assert not is_deploying(after) or is_deploying(before), "no deploy is confirmed under a freeze"
        if after.stage is Stage.CANCELLED and before.stage is not Stage.CANCELLED:
            assert after.attempt > before.attempt, "a STOP fences what runs"
            assert any(isinstance(effect, CancelRun) for effect in decided.effects)
        rows = [
            write_row(effect, project=DEMO, task=after.row, issue=after.issue, at=after.updated_at).key
            for effect in decided.effects
            if isinstance(effect, OutboxEffect)
        ]
        assert len(rows) == len(set(rows)), "two writes of one decision would become one"
        comments = {effect.key for effect in decided.effects if isinstance(effect, Comment)}
        assert not comments & self.keys, f"people would never read {comments & self.keys}"
        self.keys |= comments

    def ignored(self, decided: Decided) -> None:
        assert decided == Decided(task=self.task), "a stale message changes nothing"

    def new_sha(self) -> Sha:
        self.number += 1
        self.heads.append(Sha(f"{self.number:040x}"))
        return self.heads[-1]

    # -------------------------------------------------------------------------------------------- agents

    def claimable(self) -> bool:
        job, task = self.job, self.task
        queued = job is not None and job.state is JobState.QUEUED
        return queued and task.park is None and task.cancel_requested_at is None and not is_terminal(task.stage)

    def running(self) -> bool:
        return self.job is not None and self.job.state is JobState.RUNNING

    @precondition(claimable)
    @rule()
    def a_slot_claims_the_job(self) -> None:
        assert self.job is not None
        self.job = replace(self.job, state=JobState.RUNNING)
        self.task = replace(self.task, attempt=Attempt(self.task.attempt + 1))
        run = make_run(self.task, id=RunId(self.number), role=self.job.role)
        self.apply(decide_task.launched(self.context, self.task, self.job, run))

    def end_run(self, ended: RunEnded) -> None:
        """As the shell does: a running job ends unless the decision puts it back."""
        job = self.job
        assert job is not None
        run = make_run(self.task, id=ended.run, role=job.role)
        decided = decide_task.run_ended(self.context, self.task, job, run, ended)
        if not any(isinstance(effect, RequeueJob) for effect in decided.effects):
            self.job = None
        self.apply(decided)

    def ending(self, *, outcome: Outcome = Outcome.SUCCEEDED, facts: BranchFacts | None = None) -> RunEnded:
        self.number += 1
        return RunEnded(
            run=RunId(self.number),
            attempt=self.task.attempt,
            result=AgentResult(outcome=outcome, detail="what it said"),
            branch=facts,
        )

    def facts(self, *, good: bool, new_code: bool, asks: bool = False) -> BranchFacts:
        """What a run of the task's role leaves on the branch: what its gate demands, or its opposite, or nothing of use."""
        task, head = self.task, self.new_sha()
        code = head if new_code and task.stage is Stage.DEVELOPMENT else task.code_head
        match task.stage:
            case Stage.ANALYSIS:
                names = ["01-brd.md", "02-acceptance.md"] if good else ["01-brd.md"]
                artefacts = [make_artefact(name) for name in [*names, *(["questions.md"] if asks else [])]]
            case Stage.ARCHITECTURE:
                artefacts = [make_artefact("06-adr/ADR-001-x.md")] if good else []
            case Stage.REVIEW | Stage.TESTING:
                name = "07-review.md" if task.stage is Stage.REVIEW else "08-test-report.md"
                word = {Stage.REVIEW: ("approved", "changes_requested"), Stage.TESTING: ("pass", "fail")}[task.stage][not good]
                if good and not asks:
                    (self.reviewed if task.stage is Stage.REVIEW else self.tested).add(code)
                artefacts = [make_artefact(name, front={"verdict": "?" if asks else word, "findings": [{"title": "t"}]})]
            case _:
                artefacts = []
        return make_facts(*artefacts, head=head, code_head=code)

    @precondition(running)
    @rule(good=st.booleans(), new_code=st.booleans(), asks=st.booleans())
    def the_run_succeeds(self, good: bool, new_code: bool, asks: bool) -> None:
        self.end_run(self.ending(facts=self.facts(good=good, new_code=new_code, asks=asks)))

    @precondition(running)
    @rule(outcome=_OUTCOMES, lost=st.booleans())
    def the_run_fails(self, outcome: Outcome, lost: bool) -> None:
        ended = self.ending(outcome=outcome)
        self.end_run(replace(ended, result=replace(ended.result, session_lost=lost)))

    @precondition(running)
    @rule(kind=st.sampled_from(RefusalKind))
    def the_branch_is_refused(self, kind: RefusalKind) -> None:
        self.end_run(replace(self.ending(), refusal=Refusal(kind=kind, reason="it changed what it may not")))

    @precondition(running)
    @rule()
    def the_infrastructure_fails(self) -> None:
        counters = self.task.counters
        self.end_run(replace(self.ending(outcome=Outcome.FAILED), infrastructure="no mirror"))
        assert replace(self.task.counters, infrastructure=counters.infrastructure) == counters
        assert self.job is not None

    @rule(late=_LATE, outcome=st.sampled_from(Outcome))
    def a_late_run_ends(self, late: int, outcome: Outcome) -> None:
        if self.task.park is not None or is_terminal(self.task.stage):
            late = 0  # not even the newest attempt's: it was cancelled
        facts = make_facts(make_artefact("01-brd.md"), make_artefact("02-acceptance.md"), head=sha("e"), code_head=sha("e"))
        ended = replace(self.ending(outcome=outcome, facts=facts), attempt=Attempt(self.task.attempt + late))
        job = self.job or make_job(self.task)
        self.ignored(decide_task.run_ended(self.context, self.task, job, make_run(self.task), ended))

    # -------------------------------------------------------------------------------------------- evidence

    def asked(self) -> bool:
        return self.pull_request_asked

    @precondition(asked)
    @rule()
    def the_pull_request_is_open(self) -> None:
        message = PullRequestOpened(number=4, url="http://forge/4")
        self.apply(decide_evidence.pull_request_opened(self.context, self.task, message))
        self.ignored(decide_evidence.pull_request_opened(self.context, self.task, message))

    @rule(state=st.sampled_from(CiState), current=st.booleans(), which=st.integers(0, 50))
    def the_forge_reports_a_CI(self, state: CiState, current: bool, which: int) -> None:
        known = self.heads[which % len(self.heads)]
        reported = self.task.code_head if current and self.task.code_head else known
        stale = reported != self.task.code_head or self.project.ci is not CiSource.FORGE
        decided = decide_evidence.ci_reported(self.context, self.task, CiReported(sha=reported, state=state.value, tail="log"))
        if stale:
            self.ignored(decided)
        elif state is CiState.SUCCESS:
            self.green.add(reported)
        self.apply(decided)

    def finish(self, kind: RunKind, attempt: int, ran_on: Sha, verdict: CommandVerdict) -> Decided:
        self.number += 1
        report = CommandReport(verdict=verdict, tail="the end of the output", exit_code=1)
        message = CommandFinished(run=RunId(self.number), attempt=Attempt(attempt), sha=ran_on, report=report)
        run = make_run(self.task, id=message.run, kind=kind, role=None)
        return decide_evidence.command_finished(self.context, self.task, run, message)

    def wanted(self) -> bool:
        return decide_evidence.wants(self.task, self.context) is not None

    @precondition(wanted)
    @rule(verdict=st.sampled_from(CommandVerdict))
    def the_command_ends(self, verdict: CommandVerdict) -> None:
        wanted = decide_evidence.wants(self.task, self.context)
        assert wanted is not None
        if wanted[0] is RunKind.CI and verdict is CommandVerdict.GREEN:
            self.green.add(wanted[1])
        self.apply(self.finish(wanted[0], self.task.attempt, wanted[1], verdict))

    @rule(
        kind=st.sampled_from([RunKind.CI, RunKind.STAGING]),
        late=st.sampled_from([-1, 0, 1]),
        ran_on=st.sampled_from(["head", "code_head", "landed", "base"]),
        verdict=st.sampled_from(CommandVerdict),
    )
    def a_late_command_ends(self, kind: RunKind, late: int, ran_on: str, verdict: CommandVerdict) -> None:
        """What fits in all but one of attempt, SHA and kind is as stale as what fits in none."""
        wanted = decide_evidence.wants(self.task, self.context)
        sha_: Sha = getattr(self.task, ran_on) or sha("f")
        if late and wanted is not None:
            kind, sha_ = wanted
        if late == 0 and wanted == (kind, sha_):
            return
        self.ignored(self.finish(kind, self.task.attempt + late, sha_, verdict))

    # -------------------------------------------------------------------------------------------- landing

    def lands(self) -> bool:
        return not self.landing and self.task.train_seq is not None and self.task.park is None

    @precondition(lands)
    @rule()
    def the_train_writes_its_intent(self) -> None:
        repo, head = Repo(project=DEMO), self.task.head
        assert head is not None
        candidate = make_candidate(Member(task=self.task.row, head=head))
        assert membership_fault(candidate, [self.task], repo) is None
        self.landing = True

    def in_window(self) -> bool:
        return self.landing

    @precondition(in_window)
    @rule()
    def the_landing_is_recorded(self) -> None:
        self.landing = False
        sha_ = self.new_sha()
        decided = decide_evidence.landed(self.context, self.task, sha_)
        self.apply(decided)
        assert self.task.landed == sha_
        self.ignored(decide_evidence.landed(self.context, self.task, sha_))

    @precondition(in_window)
    @rule()
    def the_push_is_refused(self) -> None:
        self.landing = False
        self.apply(decide_landing.push_failed(self.context, self.task))

    def waits_for_landing(self) -> bool:
        return self.task.awaiting is Awaiting.LANDING and not self.landing

    @precondition(waits_for_landing)
    @rule(kind=st.sampled_from(["conflict", "land_red"]))
    def the_landing_is_refused(self, kind: str) -> None:
        assert self.task.head is not None
        self.apply(decide_evidence.landing_refused(self.context, self.task, self.refused(kind, self.task.head)))

    def refused(self, kind: str, head: Sha) -> LandingRefused:
        return LandingRefused(kind=kind, head=head, base=sha("b"), evidence="both changed a.py")

    @rule(kind=st.sampled_from(["conflict", "land_red"]), which=st.integers(0, 50))
    def a_refusal_comes_late(self, kind: str, which: int) -> None:
        head = self.heads[which % len(self.heads)]
        if self.waits_for_landing() and head == self.task.head:
            return
        if not self.landing:
            self.ignored(decide_evidence.landing_refused(self.context, self.task, self.refused(kind, head)))

    @precondition(waits_for_landing)
    @rule()
    def the_landing_has_no_verdict(self) -> None:
        returns = self.task.counters.returns()
        self.apply(decide_landing.disturbed(self.context, self.task, "the test run timed out"))
        assert self.task.counters.returns() == returns

    @rule()
    def the_actor_crashes_for_good(self) -> None:
        if self.number % 4 == 0:
            self.apply(decide_evidence.actor_failed(self.context, self.task, "KeyError: 'x'"))

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

    # -------------------------------------------------------------------------------------------- the happy path

    @rule()
    def all_goes_well(self) -> None:
        """Whatever the task waits for comes, and is good."""
        task, step = self.task, self.next_good_step()
        if step is not None:
            step()
            assert self.task != task or self.landing or self.deploy is not None, "a good step leads somewhere"

    def next_good_step(self) -> Callable[[], None] | None:
        task = self.task
        if is_terminal(task.stage) or task.park is not None:
            return None
        if self.landing:
            return self.the_landing_is_recorded
        if self.claimable():
            return self.a_slot_claims_the_job
        if self.running():
            return lambda: self.end_run(self.ending(facts=self.facts(good=True, new_code=True)))
        if self.wanted():
            return lambda: self.the_command_ends(CommandVerdict.GREEN)
        match task.awaiting:
            case Awaiting.APPROVAL:
                return lambda: self.a_person_decides(Decision.APPROVE, "shown")
            case Awaiting.CONFIRM:
                return self.thawed_and_confirmed
            case Awaiting.INPUT:
                return lambda: self.a_person_sets_a_trigger(Status.TO_ANALYSE, again=False)
            case Awaiting.LANDING:
                return self.the_train_writes_its_intent
            case Awaiting.MERGE:
                return self.merged_by_hand
            case Awaiting.GATE if task.stage is Stage.DEPLOY:
                return self.a_person_is_asked_to_confirm
            case Awaiting.DEPLOY_TURN:
                return self.thawed_and_planned
            case Awaiting.DEPLOYING if self.is_between_tries():
                return self.thawed_and_due
            case Awaiting.DEPLOYING:
                return lambda: self.a_try_of_its_deploy_ends(0)
            case Awaiting.GATE if task.pr_number is None:
                return self.the_pull_request_is_open
            case Awaiting.GATE if self.project.ci is CiSource.FORGE:
                return lambda: self.the_forge_reports_a_CI(CiState.SUCCESS, current=True, which=0)
            case _:
                raise AssertionError(f"nothing can move a task in {task.stage} that waits for {task.awaiting}")

    def thawed_and_confirmed(self) -> None:
        self.freeze = None
        self.a_person_decides(Decision.CONFIRM_DEPLOY, "shown")

    def thawed_and_planned(self) -> None:
        self.freeze = None
        self.its_repo_plans_its_deploy()

    def thawed_and_due(self) -> None:
        self.freeze = None
        before = self.deploy
        self.the_next_try_is_due()
        assert self.deploy != before

    def merged_by_hand(self) -> None:
        self.apply(decide_evidence.landed(self.context, self.task, self.new_sha(), "merged by a person"))

    def has_code(self) -> bool:
        return (
            self.task.stage in (Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING, Stage.DEPLOY_STAGING) and self.task.pr_number == 4
        )

    @precondition(has_code)
    @rule()
    def a_person_merges_the_pull_request(self) -> None:
        if self.number % 5 == 0 and not self.landing and self.task.code_head is not None:
            self.by_hand = True
            self.merged_by_hand()

    # -------------------------------------------------------------------------------------------- laws

    @invariant()
    def the_board_shows_what_is(self) -> None:
        assert self.shown is status_of(self.task)

    @invariant()
    def a_wait_fits_its_stage(self) -> None:
        task = self.task
        if task.park is None:
            assert task.awaiting in WAITS[task.stage], f"{task.stage} waits for {task.awaiting}"
            assert (task.awaiting is Awaiting.AGENT) is (self.job is not None), "who waits for an agent has a job"
        else:
            assert not is_terminal(task.stage)
            assert task.awaiting is Awaiting.NOTHING or task.stage is Stage.DEPLOY
        assert (task.train_seq is not None) is (task.awaiting is Awaiting.LANDING)
        assert (task.finished_at is not None) is is_terminal(task.stage)

    @invariant()
    def nothing_runs_for_what_is_parked_or_over(self) -> None:
        if self.task.park is not None or is_terminal(self.task.stage):
            assert self.job is None
            assert decide_evidence.wants(self.task, self.context) is None
        if self.job is not None:
            assert self.job.stage is self.task.stage
            assert decide_evidence.wants(self.task, self.context) is None

    @invariant()
    def people_are_shown_what_they_decide_about(self) -> None:
        task = self.task
        if task.park is None and task.awaiting is Awaiting.APPROVAL:
            assert task.shown == task.head is not None
        if task.park is None and task.awaiting is Awaiting.CONFIRM:
            assert task.shown == task.landed is not None

    @invariant()
    def every_loop_is_bounded(self) -> None:
        task, used = self.task, self.task.counters
        if task.park is not None or is_terminal(task.stage):
            return
        assert used.failed <= FAILED_MAX
        assert used.turn_limit <= TURN_LIMIT_MAX
        assert used.stalled <= STALLED_MAX
        assert used.timed_out <= TIMED_OUT_MAX
        assert used.gate_red <= GATE_RED_MAX
        assert max(used.ci_red, used.review, used.testing, used.conflict, used.land_red, used.staging) <= self.limit
        assert used.returns() <= 2 * self.limit

    @invariant()
    def no_stage_is_reached_without_its_evidence(self) -> None:
        """On this very code: CI before the review, the review before the test, the test before the landing."""
        stage, code = self.task.stage, self.task.code_head
        if self.by_hand or stage is Stage.CANCELLED:
            return
        if ORDER.index(stage) >= ORDER.index(Stage.REVIEW) and self.project.ci is not CiSource.OFF:
            assert code in self.green
        if ORDER.index(stage) >= ORDER.index(Stage.TESTING):
            assert code in self.reviewed
        if ORDER.index(stage) >= ORDER.index(Stage.DEPLOY_STAGING):
            assert code in self.tested

    @invariant()
    def done_means_done(self) -> None:
        task, deploy = self.task, self.project.deploy
        if task.stage in (Stage.DEPLOY, Stage.DONE):
            assert task.landed is not None
        if task.stage is Stage.DONE:
            assert task.deployed or not (deploy.command or deploy.agent)
            assert task.code_head is not None

    @invariant()
    def a_STOP_is_pending_only_inside_a_window(self) -> None:
        if self.task.cancel_requested_at is not None and not is_terminal(self.task.stage):
            assert self.landing or (is_deploying(self.task) and self.is_going())

    @invariant()
    def something_can_always_move_the_task(self) -> None:
        """A live task has a next good step; a parked one is a person's."""
        assert self.next_good_step() is not None or self.task.park is not None or is_terminal(self.task.stage)


TestLine = Line.TestCase
TestLine.settings = settings(stateful_step_count=40)
