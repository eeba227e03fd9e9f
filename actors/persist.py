"""From a decision to rows: one transaction writes the task, its jobs, its history and its outbox.

Owns: the meaning of every store and outbox effect inside a transaction, and the hints that follow the commit.
Rule: called inside ``store.transact``; ``send_hints`` afterwards, when the rows are on disk.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never, final

from actors.world import Router
from orch.core.effects import (
    Alert,
    CancelJobs,
    CancelRun,
    Comment,
    EditPullRequest,
    EnterTrain,
    ExpediteJob,
    KeepDeploy,
    KeepPrComment,
    KeepSurvivors,
    MarkMerged,
    OpenPullRequest,
    OutboxEffect,
    PostCommitStatus,
    PushBranch,
    QueueJob,
    RecordTransition,
    RecordVerdict,
    ReopenPullRequest,
    RequeueJob,
    SetStatus,
    WakeRepo,
    WakeSlots,
)
from orch.core.ids import IssueId, ProjectName, TaskRow
from orch.core.messages import IssueRead, JobsWaiting, LandingHint, OutboxHint, RepoTouched, TaskHint, TaskTouched, TriggerSet
from orch.core.model import JobState, NewJob, Outcome, RowState, RunKind, RunMode, Task
from orch.core.outbox import write_row
from orch.core.stages import Stage, is_terminal
from orch.core.turn import Decided
from orch.ports import Tx

LOST = "interrupted: its actor was restarted"
LOST_MAX = 3


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Who is to look at the store after the commit. *cancel*: the task's own actor has something to end; *ended*: it did."""

    project: ProjectName
    task: TaskRow | None = None
    slots: bool = False
    repo: bool = False
    outbox: bool = False
    cancel: bool = False
    ended: bool = False


def apply(tx: Tx, decided: Decided, *, at: datetime) -> tuple[Task, Hints]:
    """Write *decided* and return the task as it now is in the store."""
    task = decided.task
    slots = repo = outbox = cancel = ended = False
    for effect in decided.effects:
        match effect:
            case QueueJob():
                tx.add_job(_new_job(task, effect, at))
            case RequeueJob():
                if (job := tx.active_job(task.row)) is not None:
                    tx.requeue_job(job.id, mode=effect.mode, not_before=effect.not_before, at=at)
            case CancelJobs():
                tx.cancel_jobs(task.row, at)
            case ExpediteJob():
                tx.expedite_job(task.row, effect.priority)
            case EnterTrain():
                task = replace(task, train_seq=tx.next_train_seq(task.project))
            case RecordTransition():
                ended |= is_terminal(effect.transition.target) and effect.transition.source is not effect.transition.target
                tx.add_transition(effect.transition)
            case RecordVerdict():
                tx.save_verdict(effect.verdict)
            case KeepSurvivors():
                tx.save_survivors(task.row, effect.survivors)
            case KeepDeploy():
                tx.save_deploy(effect.deploy)
            case WakeSlots():
                slots = True
            case WakeRepo():
                repo = True
            case CancelRun():
                cancel = True
                end_runs(tx, task.row, at)
            case (
                SetStatus()
                | Comment()
                | OpenPullRequest()
                | EditPullRequest()
                | ReopenPullRequest()
                | PushBranch()
                | KeepPrComment()
                | PostCommitStatus()
                | MarkMerged()
                | Alert()
            ):
                outbox = True
                tell_world(tx, effect, project=task.project, task=task.row, issue=task.issue, at=at)
            case _:
                assert_never(effect)
    tx.save_task(task)
    return task, Hints(project=task.project, task=task.row, slots=slots, repo=repo, outbox=outbox, cancel=cancel, ended=ended)


def _new_job(task: Task, effect: QueueJob, at: datetime) -> NewJob:
    return NewJob(
        task=task.row,
        project=task.project,
        stage=effect.stage,
        role=effect.role,
        mode=effect.mode,
        priority=effect.priority,
        not_before=effect.not_before,
        feedback=effect.feedback,
        at=at,
    )


def tell_world(tx: Tx, effect: OutboxEffect, *, project: ProjectName, task: TaskRow | None, issue: IssueId, at: datetime) -> None:
    """Add the outbox row of one effect."""
    tx.add_outbox(write_row(effect, project=project, task=task, issue=issue, at=at))


def end_runs(tx: Tx, row: TaskRow, at: datetime) -> None:
    """End what the task has running; called while its attempt is still the one they carry."""
    for run in tx.list_runs(task=row, running=True):
        tx.save_run(replace(run, outcome=Outcome.CANCELLED, ended_at=at))


def end_job(tx: Tx, row: TaskRow, *, good: bool) -> None:
    """End the task's running job, unless a decision puts it back (call before ``apply``)."""
    job = tx.active_job(row)
    if job is not None and job.state is JobState.RUNNING:
        tx.end_job(job.id, JobState.DONE if good else JobState.FAILED)


def send_hints(router: Router, hints: Hints) -> None:
    """Wake whoever the commit concerns."""
    if hints.slots:
        router.slots.tell(JobsWaiting())
    if hints.repo:
        router.repo(hints.project).tell(LandingHint())
    if hints.outbox:
        router.outbox.tell(OutboxHint())
    if hints.task is not None:
        router.publisher.tell(TaskTouched(task=hints.task))
        if hints.ended:
            router.publisher.tell(RepoTouched(project=hints.project, turns=True))
        if hints.cancel:
            router.task(hints.task).tell(TaskHint())


def requeue_lost_agents(tx: Tx, row: TaskRow, at: datetime) -> bool:
    """End the agents' runs of an actor that crashed; their job goes back as a continuation, keeping its place.

    False, and nothing goes back, when that has happened to the same job LOST_MAX times: each of them is paid for.
    """
    for run in tx.list_runs(task=row, running=True):
        if run.kind is not RunKind.AGENT or run.job is None:
            continue
        lost = sum(other.job == run.job and other.detail == LOST for other in tx.list_runs(task=row))
        tx.save_run(replace(run, outcome=Outcome.CRASHED, detail=LOST, ended_at=at))
        if lost >= LOST_MAX:
            return False
        if run.stage is Stage.DEPLOY and run.start_head is not None:  # nothing is deployed twice
            tx.end_job(run.job, JobState.FAILED)
            continue
        job = tx.load_job(run.job)
        mode = job.mode if job is not None and run.start_head is None else RunMode.CONTINUATION
        tx.requeue_job(run.job, mode=mode, not_before=None, at=at)
    return True


def bury(tx: Tx, letter: object, project: ProjectName, error: str, at: datetime) -> None:
    """Keep a message that crashed its actor from being sent again: its events are quarantined, its entries count as handled."""
    match letter:
        case TriggerSet():
            rows, entries = letter.inbox, letter.entries
        case IssueRead():
            rows, entries = letter.inbox, tuple(entry.id for entry in letter.activities)
        case _:
            return
    for row in rows:
        tx.mark_inbox(row, RowState.PARKED, error)
    tx.mark_handled(project, entries, at)
