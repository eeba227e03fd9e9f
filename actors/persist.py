"""From a decision to rows: one transaction writes the task, its jobs, its history and its outbox.

Owns: the meaning of every store and outbox effect inside a transaction, and the hints that follow the commit.
Rule: called inside ``store.transact``; ``send_hints`` afterwards, when the rows are on disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never, final

from actors.world import Router
from orch.core.decide_dependents import predecessor_cancelled
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
    TellDependents,
    WakeRepo,
    WakeSlots,
)
from orch.core.ids import IssueId, ProjectName, TaskRow
from orch.core.messages import IssueRead, JobsWaiting, LandingHint, OutboxHint, RepoTouched, TaskHint, TaskTouched, TriggerSet
from orch.core.model import JobState, NewJob, Outcome, Park, RowState, RunKind, RunMode, Task, Transition
from orch.core.outbox import write_row
from orch.core.stages import Stage, is_terminal
from orch.core.turn import Decided
from orch.logs import get_logger
from orch.ports import Tx

_log = get_logger("line")
LOST = "interrupted: its actor was restarted"
LOST_MAX = 3


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """Who is to look at the store after the commit. *cancel*: the task's own actor has something to end; *ended*: the
    task did, and its actor cleans up after it."""

    project: ProjectName
    task: TaskRow | None = None
    slots: bool = False
    repo: bool = False
    outbox: bool = False
    cancel: bool = False
    ended: bool = False
    lines: tuple[Mapping[str, object], ...] = field(default=(), compare=False)
    """What the log says of it, now that it is on disk."""
    others: tuple["Hints", ...] = ()
    """Of other tasks that were decided about with it."""


def apply(tx: Tx, decided: Decided, *, at: datetime) -> tuple[Task, Hints]:
    """Write *decided* and return the task as it now is in the store."""
    task = decided.task
    slots = repo = outbox = cancel = ended = False
    others: tuple[Hints, ...] = ()
    lines: list[Mapping[str, object]] = []
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
                lines.append(_line(task, effect.transition))
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
            case TellDependents():
                others = _tell_dependents(tx, decided, at)
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
    if task.park is not None and task.park.since == at:
        lines.append(_parked(task, task.park))
    hints = Hints(project=task.project, task=task.row, slots=slots, repo=repo, outbox=outbox, cancel=cancel, ended=ended)
    return task, replace(hints, lines=tuple(lines), others=others)


def _tell_dependents(tx: Tx, decided: Decided, at: datetime) -> tuple[Hints, ...]:
    """Decide, in the same transaction, about each live task that waits for the one that is cancelled."""
    cancelled, context, hints = decided.task, decided.context, list[Hints]()
    assert context is not None, "who cancels a task says with what it decided"
    for issue in tx.dependents(cancelled.project, cancelled.issue):
        waiting = tx.live_task(cancelled.project, issue)
        if waiting is not None:
            told = predecessor_cancelled(context, waiting, cancelled)
            if told.changed:
                hints.append(apply(tx, told, at=at)[1])
    return tuple(hints)


def _line(task: Task, moved: Transition) -> Mapping[str, object]:
    """Return what the log says of a gate that was passed, a decision, a landing, a stop."""
    told = {"repo": task.project, "task": task.work_item, "attempt": int(task.attempt), "action": moved.cause}
    source = None if moved.source is None else moved.source.value
    return {**told, "outcome": moved.target.value, "source": source, "by": moved.by}


def _parked(task: Task, park: Park) -> Mapping[str, object]:
    told = {"repo": task.project, "task": task.work_item, "attempt": int(task.attempt), "action": "park"}
    return {**told, "outcome": park.reason.value, "stage": task.stage.value}


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
    """Wake whoever the commit concerns, and say in the log what it was."""
    for line in hints.lines:
        _log.info("moved", **line)
    for other in hints.others:
        send_hints(router, other)
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
        if hints.cancel or hints.ended:
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
