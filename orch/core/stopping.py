"""STOP: ending a task at once, or as soon as what must not be cut in half has its result.

Owns: what STOP does to a task, inside and outside a critical window, and how a deferred one is completed.
Does not own: who may ask for it (``decide_person``), the end of processes and branches (the shell).
Rule: pure. Inside a window STOP is recorded and deferred; the window ends with its real result, and the answer says so.
"""

from dataclasses import replace

from orch.core.effects import CancelJobs, CancelRun, EditPullRequest, KeepDeploy, WakeRepo
from orch.core.ids import Attempt
from orch.core.model import Awaiting, Deploy, DeployState, Task
from orch.core.render import render_cancelled, render_moment, render_pr_body, render_pr_title, render_stop_deferred
from orch.core.stages import Move, Role, Stage, is_terminal
from orch.core.turn import Turn


def is_deploying(task: Task) -> bool:
    """Say whether the task's deploy is between its recorded intent and its result."""
    return task.stage is Stage.DEPLOY and task.awaiting is Awaiting.DEPLOYING and task.park is None


def may_withdraw(deploy: Deploy, *, queued: bool = False) -> bool:
    """Say whether nothing of a running deploy is under way: it is between two tries, or its agent is still *queued*."""
    return deploy.state is DeployState.RUNNING and (deploy.due_at is not None or queued)


def defer_stop(turn: Turn, by: str, deploy: Deploy | None = None) -> str:
    """Record a STOP inside a critical window and return what to answer; the deploy's deadline bounds the wait."""
    turn.set(cancel_requested_at=turn.context.now)
    turn.record(turn.task.stage, turn.task.stage, "stop-requested", by=by)
    deadline = "" if deploy is None else render_moment(deploy.deadline_at)
    told = render_stop_deferred(turn.task.work_item, deadline, turn.language)
    turn.comment(Role.STREAM, told, f"stop-requested:{turn.context.now.isoformat()}")
    return told


def withdraw_deploy(turn: Turn, deploy: Deploy) -> None:
    """Give the slot of a deploy back of which nothing is under way."""
    withdrawn = replace(deploy, state=DeployState.WITHDRAWN, ended_at=turn.context.now, due_at=None, detail="stopped")
    turn.emit(KeepDeploy(deploy=withdrawn), WakeRepo())


def stop_now(turn: Turn, by: str = "", text: str = "") -> str:
    """End the task: fence what runs, cancel what is queued, leave the landing queue, close the pull request.

    *text* says what became of it, where that is not simply cancelled.
    """
    task = turn.task
    turn.emit(CancelJobs(), CancelRun())
    asked = task.cancel_requested_at or turn.context.now
    turn.set(cancel_requested_at=asked, attempt=Attempt(task.attempt + 1), train_seq=None)
    turn.move(Move.STOPPED, cause="stopped", by=by)
    if task.pr_number is not None and task.landed is None:
        close_pull_request(turn, task.pr_number)
    text = text or render_cancelled(task.work_item, task.landed, turn.language)
    turn.comment(Role.STREAM, text, "cancelled")
    return text


def close_pull_request(turn: Turn, number: int) -> None:
    """Close the pull request of a task that never landed."""
    title, body = render_pr_title(turn.task, True), render_pr_body(turn.task, turn.language)
    turn.emit(EditPullRequest(number=number, title=title, body=body, close=True))


def complete_stop(turn: Turn, text: str = "") -> None:
    """A window has closed: carry out the STOP that came meanwhile, unless the task is done (then that is the truth)."""
    if turn.task.cancel_requested_at is not None and not is_terminal(turn.task.stage):
        stop_now(turn, text=text)
