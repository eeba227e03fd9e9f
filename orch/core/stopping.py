"""STOP: ending a task at once, or as soon as what must not be cut in half has its result.

Owns: what STOP does to a task, inside and outside a critical window, and how a deferred one is completed.
Does not own: who may ask for it (``decide_person``), the end of processes and branches (the shell).
Rule: pure. Inside a window STOP is recorded and deferred; the window ends with its real result, and the answer says so.
"""

from orch.core.effects import CancelJobs, CancelRun, EditPullRequest
from orch.core.ids import Attempt
from orch.core.model import Awaiting, Task
from orch.core.render import render_action, render_cancelled, render_pr_body, render_pr_title
from orch.core.stages import Move, Role, Stage, is_terminal
from orch.core.turn import Context, Decided, Turn


def is_deploying(task: Task) -> bool:
    """Say whether the task's deploy is between its recorded intent and its result."""
    return task.stage is Stage.DEPLOY and task.awaiting is Awaiting.DEPLOYING and task.park is None


def defer_stop(turn: Turn, by: str) -> str:
    """Record a STOP inside a critical window and return what to answer."""
    turn.set(cancel_requested_at=turn.context.now)
    turn.record(turn.task.stage, turn.task.stage, "stop-requested", by=by)
    turn.comment(Role.STREAM, render_action(turn.task, turn.language), f"stop-requested:{turn.context.now.isoformat()}")
    what = "deploy" if turn.task.stage is Stage.DEPLOY else "landing"
    return f"{turn.task.work_item}: STOP is recorded; the {what} under way ends first, and its result is told"


def stop_now(turn: Turn, by: str = "") -> str:
    """End the task: fence what runs, cancel what is queued, leave the landing queue, close the pull request."""
    task = turn.task
    turn.emit(CancelJobs(), CancelRun())
    asked = task.cancel_requested_at or turn.context.now
    turn.set(cancel_requested_at=asked, attempt=Attempt(task.attempt + 1), train_seq=None)
    turn.move(Move.STOPPED, cause="stopped", by=by)
    if task.pr_number is not None and task.landed is None:
        close_pull_request(turn, task.pr_number)
    text = render_cancelled(task.work_item, task.landed, turn.language)
    turn.comment(Role.STREAM, text, "cancelled")
    return text


def close_pull_request(turn: Turn, number: int) -> None:
    """Close the pull request of a task that never landed."""
    title, body = render_pr_title(turn.task, True), render_pr_body(turn.task, turn.language)
    turn.emit(EditPullRequest(number=number, title=title, body=body, close=True))


def complete_stop(turn: Turn) -> None:
    """A window has closed: carry out the STOP that came meanwhile, unless the task is done (then that is the truth)."""
    if turn.task.cancel_requested_at is not None and not is_terminal(turn.task.stage):
        stop_now(turn)


def window_closed(context: Context, task: Task) -> Decided:
    """A landing came to nothing (its push was refused, its intent cleared): a STOP that waited for it is carried out."""
    turn = Turn(context, task)
    complete_stop(turn)
    return turn.end()
