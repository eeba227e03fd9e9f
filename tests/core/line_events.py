"""What the world can send a task, in any order: runs that end, evidence, landings; in time or late."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from orch.core import decide_evidence, decide_landing, decide_run, decide_task
from orch.core.decide_repo import membership_fault
from orch.core.effects import RequeueJob
from orch.core.gates import BranchFacts
from orch.core.ids import Attempt, RunId, Sha
from orch.core.messages import (
    CiReported,
    CommandFinished,
    CommandReport,
    CommandVerdict,
    LandingRefused,
    PullRequestOpened,
    Refusal,
    RefusalKind,
    RunEnded,
)
from orch.core.model import AgentResult, Awaiting, CiSource, CiState, JobState, Member, Outcome, Repo, RunKind
from orch.core.stages import Stage, is_terminal
from orch.core.turn import Decided
from tests.builders import DEMO, make_artefact, make_candidate, make_facts, make_job, make_run, sha
from tests.core.line_shell import LineShell

_OUTCOMES = st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.SUCCEEDED])
_LATE = st.sampled_from([-2, -1, 1, 2])


class LineEvents(LineShell):
    """The rules; each applies a decision, or sees that a stale message changes nothing."""

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
        decided = decide_run.run_ended(self.context, self.task, job, run, ended)
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
        self.ignored(decide_run.run_ended(self.context, self.task, job, make_run(self.task), ended))

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
