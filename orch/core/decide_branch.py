"""Decisions on what people do to a task's branch and pull request behind the line's back.

Owns: a push to the branch, a forced one, a pull request that is closed, one that is merged by somebody else. Does not own: who
detects it (the repo's actor), the landing itself (``decide_evidence.landed``), where such a task is resumed (``resuming``).
Rule: pure. A person's push is kept and judged like any other code, uncounted; what rewrites or removes work asks a person; a
merge is a fact. What names an older head than the task's changes nothing.
"""

from orch.core.decide_evidence import landed
from orch.core.decide_task import advance
from orch.core.effects import CancelJobs
from orch.core.gates import Evidence
from orch.core.messages import BranchMoved, MergedOutside, PullRequestClosed
from orch.core.model import ParkReason, Task
from orch.core.render import render_branch_forced, render_branch_moved, render_merged_outside, render_pull_closed
from orch.core.stages import TABLE, Move, Role, Stage, is_terminal
from orch.core.turn import Context, Decided, Turn


def _is_over(task: Task) -> bool:
    return is_terminal(task.stage) or task.landed is not None or task.cancel_requested_at is not None


# ------------------------------------------------------------------------------------------------ the branch


def branch_moved(context: Context, task: Task, moved: BranchMoved, *, running: bool) -> Decided:
    """Somebody moved the task's branch on the forge. *running*: an agent of it is at work, whose own push will meet the other.

    A fast-forward goes to development's gate: CI, then review. A forced one parks; the head follows the branch, so that putting
    it right and a resume both go on from what stands there.
    """
    turn = Turn(context, task)
    if _is_over(task) or moved.old != task.head or moved.new == task.head:
        return turn.ignore()
    if moved.forced or moved.new is None:
        _follow(turn, moved)
        turn.park(ParkReason.BRANCH_FORCED, render_branch_forced(task.branch, moved.old, moved.new, turn.language))
        return turn.end()
    if running:
        return turn.ignore()
    _follow(turn, moved)
    turn.comment(Role.STREAM, render_branch_moved(task.branch, moved.old, moved.new, turn.language), f"moved:{moved.new}")
    if task.park is None and Move.BRANCH_MOVED in TABLE[task.stage].moves:
        turn.emit(CancelJobs())
        turn.move(Move.BRANCH_MOVED, cause="branch-moved", detail=moved.new[:12])
        advance(turn, Evidence())
    else:
        turn.record(task.stage, task.stage, "branch-moved", moved.new[:12])
    return turn.end()


def _follow(turn: Turn, moved: BranchMoved) -> None:
    """Take the branch's new head over; what the CI said was about other code."""
    if moved.new is not None:
        turn.set(head=moved.new, code_head=moved.code_head or moved.new, ci=None)


# ------------------------------------------------------------------------------------------------ the pull request


def pull_request_closed(context: Context, task: Task, closed: PullRequestClosed) -> Decided:
    """Somebody closed the task's pull request without merging it."""
    turn = Turn(context, task)
    if _is_over(task) or closed.number != task.pr_number:
        return turn.ignore()
    turn.park(ParkReason.PR_CLOSED, render_pull_closed(closed.number, closed.by, turn.language))
    return turn.end()


def merged_outside(context: Context, task: Task, merged: MergedOutside) -> Decided:
    """Somebody merged the task's pull request: the default branch holds its content as *sha*, which the caller has verified."""
    turn = Turn(context, task)
    if task.landed is not None or task.stage is Stage.DONE:
        return turn.ignore()
    return landed(context, task, merged.sha, render_merged_outside(merged.sha, merged.by, turn.language), outside=True)
