"""Processes that could not be ended: what they mean for a task that goes on, and for one that has ended.

Owns: the park for a survivor, and the truth about a STOP that left one. Does not own: who kills, whether one lives (the shell).
Rule: pure. While a survivor lives it may write into the working copy, so nobody else is given that, and it is not removed.
"""

from collections.abc import Sequence

from orch.core.effects import KeepSurvivors
from orch.core.model import ParkReason, Survivor, Task, Transition
from orch.core.render import render_left_behind, render_survived
from orch.core.stages import Role, Stage
from orch.core.turn import Context, Decided, Turn

CAUSE = "left-behind"
"""The history's line for processes that outlived their task."""


def park_for_survivors(turn: Turn, survivors: Sequence[Survivor]) -> None:
    """Keep them in mind, and park the task with their ids and start times."""
    turn.emit(KeepSurvivors(survivors=tuple(survivors)))
    turn.park(ParkReason.SURVIVOR, render_survived(survivors, turn.language))


def left_behind(
    context: Context, task: Task, survivors: Sequence[Survivor], *, known: bool, history: Sequence[Transition] = ()
) -> Decided:
    """The clean-up after an ended task found *survivors*, or none any more; *known*: some are kept in mind.

    People are told once of the same ones, after the end: what a park said before it was no word on how the STOP went.
    """
    turn = Turn(context, task)
    told = ", ".join(str(each.pid) for each in survivors)
    if not survivors:
        if known:
            turn.emit(KeepSurvivors(survivors=()))
        return turn.end()
    if any(line.cause == CAUSE and line.detail == told for line in history):
        return turn.ignore()
    text = render_left_behind(task.work_item, survivors, turn.language, stopped=task.stage is Stage.CANCELLED)
    turn.emit(KeepSurvivors(survivors=tuple(survivors)))
    turn.record(task.stage, task.stage, CAUSE, told)
    turn.comment(Role.STREAM, text, f"{CAUSE}:{told}")
    turn.alert("survivor", text)
    return turn.end()
