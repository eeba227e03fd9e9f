"""A decision about a live task that, through the relations of its board, waits for itself.

Owns: what such a cycle means for each of its members. Does not own: the search (``dependencies``), the reading of relations.
Rule: pure. Only a person can say which of the relations is wrong: each member asks, once, and a resume that changed nothing on
the board is answered alike at the next reading.
"""

from collections.abc import Sequence

from orch.core.model import ParkReason, Task
from orch.core.render import render_dependency_cycle
from orch.core.stages import is_terminal
from orch.core.turn import Context, Decided, Turn


def waits_for_itself(context: Context, task: Task, cycle: Sequence[str]) -> Decided:
    """Park a member of *cycle*: names for people, the first of them again at the end."""
    turn = Turn(context, task)
    if is_terminal(task.stage) or task.park is not None or task.cancel_requested_at is not None or task.landed is not None:
        return turn.ignore()
    turn.park(ParkReason.DEPENDENCY_CYCLE, render_dependency_cycle(cycle, turn.language))
    return turn.end()
