"""What the cancellation of a task means for one that waits for it.

Owns: released with a word, or parked. Does not own: who waits for whom (the store), whether a job may be claimed (the claim
rule). Rule: pure. Nothing is silent: a task that goes on without what it waited for says so on its card.
"""

from orch.core.model import ParkReason, Task
from orch.core.render import render_dependency_cancelled, render_dependency_released
from orch.core.stages import Role, is_terminal
from orch.core.turn import Context, Decided, Turn


def predecessor_cancelled(context: Context, task: Task, cancelled: Task) -> Decided:
    """*task* waits for the issue of *cancelled*, whose code is not in the default branch and will not come."""
    turn = Turn(context, task)
    over = is_terminal(task.stage) or task.cancel_requested_at is not None or task.landed is not None
    if over or cancelled.landed is not None or not context.limits.task_deps_enabled:
        return turn.ignore()
    if context.limits.deps_block_on_cancelled:
        turn.park(ParkReason.DEPENDENCY_CANCELLED, render_dependency_cancelled(cancelled.work_item, turn.language))
    else:
        text = render_dependency_released(cancelled.work_item, turn.language)
        turn.comment(Role.STREAM, text, f"released:{int(cancelled.row)}")
    return turn.end()
