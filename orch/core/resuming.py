"""Taking a parked task on: by a person, or by the daemon where what was not working may work again.

Owns: where a parked task goes on. Does not own: who may resume (``decide_person``), when the daemon looks (``retry.clears_at``).
Rule: pure. A person's resume resets the counters; the daemon's does not, so that it stays bounded. Nothing judges an
unchanged head again: a task that its verdict sent back too often goes on at development, with that verdict's findings.
"""

from dataclasses import replace

from orch.core.decide_task import advance, send_to_development
from orch.core.effects import PushBranch, ReopenPullRequest
from orch.core.gates import Evidence
from orch.core.model import (
    Awaiting,
    CiSource,
    CiState,
    Counters,
    Feedback,
    Job,
    ParkReason,
    Project,
    RunMode,
    Task,
    Verdict,
    VerdictValue,
)
from orch.core.render import render_resumed
from orch.core.retry import INFRASTRUCTURE_MAX, clears_at
from orch.core.stages import TABLE, Move, Role, Stage
from orch.core.turn import Context, Decided, Turn

_AROUND_IT = (ParkReason.SURVIVOR, ParkReason.ISSUE_GONE, ParkReason.PR_CLOSED, ParkReason.BRANCH_FORCED)
"""Parks for what happened around a task while its work was in order: its agent goes on as it was told."""
_UNJUDGED = (ParkReason.INFRASTRUCTURE, ParkReason.NO_CI, ParkReason.ACTOR_FAILED, *_AROUND_IT)
_SENT_BACK = {Stage.REVIEW: ("review", VerdictValue.CHANGES_REQUESTED), Stage.TESTING: ("testing", VerdictValue.FAIL)}


def resume(turn: Turn, by: str, *, active: bool, last: Verdict | None = None, job: Job | None = None, begun: bool = True) -> None:
    """A person takes a parked task on, with its counters reset.

    *last* is the newest verdict of its stage, *job* its newest one, *begun* says whether an agent began that.
    """
    task = turn.task
    assert task.park is not None, "only a parked task is resumed"
    reason, evidence = task.park.reason, task.park.evidence
    at_ci, cause = _waits_for_ci(turn.project, task), _judged(task, last)
    turn.set(park=None, counters=Counters(), note="")
    turn.record(task.stage, task.stage, "resumed", by=by)
    target = Stage.DEVELOPMENT if cause or _is_other_code(task) else task.stage
    turn.comment(Role.STREAM, render_resumed(by, target, turn.language), f"resumed:{turn.context.now.isoformat()}")
    _put_back(turn, reason)
    if cause and last is not None:
        why = f"the {task.stage} verdict stands: its code has not changed since"
        send_to_development(turn, cause, why, Feedback(kind=cause, text=evidence, findings=last.findings))
    elif _is_other_code(task):
        if task.stage is not Stage.DEVELOPMENT:
            turn.move(Move.BRANCH_MOVED, cause="branch-moved", detail=str(task.head)[:12])
        advance(turn, Evidence())
    else:
        goes_on = reason in (*_AROUND_IT, ParkReason.BUDGET) and job is not None and job.stage is task.stage
        mode = RunMode.CONTINUATION if goes_on else RunMode.NEW_ATTEMPT
        if goes_on and job is not None and not begun:
            mode = job.mode
        feedback = job.feedback if goes_on and job is not None else Feedback(kind="resumed", text=evidence)
        _go_on(turn, at_ci=at_ci, active=active, mode=mode, feedback=feedback)


def _put_back(turn: Turn, reason: ParkReason) -> None:
    """What a person took away from the forge and wants again."""
    task = turn.task
    if reason is ParkReason.PR_CLOSED and task.pr_number is not None:
        turn.emit(ReopenPullRequest(number=task.pr_number))
    if reason is ParkReason.BRANCH_FORCED and task.head is not None:
        turn.emit(PushBranch(branch=task.branch, sha=task.head))


def _is_other_code(task: Task) -> bool:
    """Say whether the task was parked because its branch was forced onto code that nobody has judged."""
    forced = task.park is not None and task.park.reason is ParkReason.BRANCH_FORCED
    return forced and task.ci is None and task.code_head is not None and Move.BRANCH_MOVED in TABLE[task.stage].moves


def cause_cleared(context: Context, task: Task, *, active: bool, job: Job | None) -> Decided:
    """What a task was parked for outside itself may work again: it goes on where it stood, its counters as they are.

    *job* is its newest one: its agent, where one was at work, goes on as it was told then.
    """
    turn = Turn(context, task)
    due = None if task.park is None else clears_at(task.park, task.counters)
    if due is None or context.now < due or task.stage is Stage.DEPLOY:  # a deploy is never started by itself
        return turn.ignore()
    at_ci = _waits_for_ci(turn.project, task)
    turn.set(park=None, note="")
    turn.record(task.stage, task.stage, "tried-again", "what it was parked for may work again")
    mode = RunMode.CONTINUATION if job is not None and job.stage is task.stage else RunMode.NEW_ATTEMPT
    _go_on(turn, at_ci=at_ci, active=active, mode=mode, feedback=job.feedback if job is not None else Feedback())
    return turn.end()


def park_for_infrastructure(turn: Turn, told: str) -> None:
    """Park for what is not the task's; said once, however often the daemon then tries in vain."""
    count = max(turn.task.counters.infrastructure, INFRASTRUCTURE_MAX + 1)
    turn.set(counters=replace(turn.task.counters, infrastructure=count))
    turn.park(ParkReason.INFRASTRUCTURE, told, quiet=count > INFRASTRUCTURE_MAX + 1)


def _go_on(turn: Turn, *, at_ci: bool, active: bool, mode: RunMode, feedback: Feedback) -> None:
    if turn.task.stage in (Stage.DEPLOY_STAGING, Stage.DEPLOY) or at_ci:
        advance(turn, Evidence())
    elif active:
        turn.set(awaiting=Awaiting.AGENT)
    else:
        turn.queue(mode=mode, feedback=feedback)


def _waits_for_ci(project: Project, task: Task) -> bool:
    """Say whether it was the CI that a task parked in development lacked: its developer would have nothing to do."""
    if task.stage is not Stage.DEVELOPMENT or task.park is None or task.park.reason not in _UNJUDGED:
        return False
    return task.code_head is not None and project.ci is not CiSource.OFF and task.ci in (None, CiState.PENDING)


def _judged(task: Task, last: Verdict | None) -> str:
    """Return why the task was sent back where that verdict still stands on its head; empty where its role may judge anew."""
    cause, value = _SENT_BACK.get(task.stage, ("", None))
    if last is None or task.park is None or task.park.reason is not ParkReason.RETRIES_EXHAUSTED:
        return ""
    return cause if last.value is value and last.code_head == task.code_head else ""
