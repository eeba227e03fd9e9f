"""Taking back what has landed: when that is possible, and the task that does it.

Owns: the sentence that says why it is not possible, and how a revert's task and the one it takes back know of each other. Does
not own: the card (the board's), the commits (the developer's work).
Rule: pure. After a landing no task goes back: another one, a fix, takes back what it brought, through the same line. One per
task: a second wish finds the first one's card.
"""

from orch.core.effects import WakeRepo
from orch.core.messages import Answer, Verb
from orch.core.model import Task
from orch.core.render import render_fix, render_reverting
from orch.core.stages import Role, Stage
from orch.core.turn import Context, Decided, Turn


def revert_key(task: Task) -> str:
    """Return the key that makes the card of *task*'s revert one card."""
    return f"revert:{int(task.row)}"


def kept_from_reverting(task: Task) -> Answer | None:
    """Return why there is nothing to take back, or None."""
    if task.landed is not None:
        return None
    told = f"{task.work_item} is at {task.stage} and has not landed: there is nothing to take back"
    return Answer(verb=Verb.REFUSED, text=told, id=task.work_item)


def already_reverting(task: Task, newest: Task | None) -> Answer | None:
    """Return what became of the task that takes *task* back, where there is one that was not stopped; None: one may start."""
    if newest is None or (newest.stage is Stage.CANCELLED and newest.swept):
        return None
    if newest.stage is Stage.CANCELLED:
        told = f"{newest.work_item}, which was to take {task.work_item} back, is still being cleaned up after: try again soon"
        return Answer(verb=Verb.REFUSED, text=told, id=newest.work_item)
    state = "has taken" if newest.stage is Stage.DONE else f"is at {newest.stage} and takes"
    return Answer(verb=Verb.NOTHING, text=f"{newest.work_item} {state} {task.work_item} back", id=newest.work_item)


def revert_started(context: Context, fix: Task, task: Task, by: str) -> Decided:
    """*fix* was made to take *task* back: queue the analyst; who made it a fix is kept."""
    turn = Turn(context, fix)
    turn.record(None, Stage.ANALYSIS, "started", f"takes {task.work_item} back", by)
    turn.record(Stage.ANALYSIS, Stage.ANALYSIS, "fix", "exempt from freeze and serial gate", by)
    turn.comment(Role.STREAM, render_fix(fix.work_item, by, turn.language), "fix")
    turn.queue()
    turn.emit(WakeRepo())
    return turn.end(show=True)


def revert_noted(context: Context, task: Task, fix: Task, by: str) -> Decided:
    """The landed *task* says which one takes it back; it stays what it is."""
    turn = Turn(context, task)
    turn.record(task.stage, task.stage, "reverting", f"{fix.work_item} takes it back", by)
    turn.comment(Role.STREAM, render_reverting(fix.work_item, by, turn.language), f"reverting:{int(fix.row)}")
    return turn.end()
