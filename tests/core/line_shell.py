"""The shell around one task's decisions, as the machine of the line plays it, and the books that the store would keep.

One active job, an attempt that grows with every claim, runs that end with a cancel; every decision is checked as it is applied.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import event
from hypothesis.stateful import RuleBasedStateMachine

from orch.core import decide_task
from orch.core.decide_deploy import FAILURES
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
from orch.core.ids import JobId, Sha
from orch.core.model import Deploy, DeployState, Freeze, Job, JobState, Project, Task
from orch.core.outbox import write_row
from orch.core.stages import TABLE, Stage, is_terminal, may_send_back
from orch.core.statuses import Status
from orch.core.stopping import is_deploying
from orch.core.turn import Context, Decided
from tests.builders import DEMO, NOW, make_context, make_job, make_task, sha

AFTER_THE_END = (Comment, SetStatus, RecordTransition, MarkMerged, EditPullRequest)


class LineShell(RuleBasedStateMachine):
    """A task, its job, and what the world knows of both."""

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

    def begin(self, project: Project, limit: int, *, exempt: bool) -> None:
        """A task is made in *project*; *limit* bounds its returns to development."""
        self.project, self.limit = project, limit
        self.task, self.job = make_task(exempt=exempt), None
        self.shown: Status | None = None
        self.keys: set[str] = set()
        self.heads = [sha("a")]
        self.green, self.reviewed, self.tested = set[Sha | None](), set[Sha | None](), set[Sha | None]()
        self.pull_request_asked = False
        self.confirmed_at: datetime | None = None
        self.apply(decide_task.started(self.context, self.task, "anna"), by_person=True)

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
