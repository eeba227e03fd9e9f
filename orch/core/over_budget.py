"""Running out of money: a run that a budget ended, a task whose budget is spent, a resume that would change nothing.

Owns: what follows for a task. Does not own: the limits and whether they are reached (``budget``), the sums (the store), what a
person makes of the limit (``decide_budget``).
Rule: pure. A task at its limit is parked and asks once; the day's budget parks nothing: its runs go back to the queue and go on
by themselves when the day is over or somebody raises it.
"""

from orch.core.budget import BudgetScope, Overrun, Purse, next_day, overrun
from orch.core.effects import RequeueJob, WakeSlots
from orch.core.messages import Answer, RunEnded, Verb
from orch.core.model import ParkReason, RunMode, Task
from orch.core.render.budget import lift_command, raise_command, render_over_budget, render_run_postponed
from orch.core.render.figures import render_cost
from orch.core.stages import Role
from orch.core.turn import Context, Decided, Turn


def run_stopped(turn: Turn, ended: RunEnded) -> None:
    """A run was ended for money; its work is archived. Where somebody raised the budget meanwhile it goes on at once."""
    over, opens = ended.over, next_day(turn.context.now)
    if over is None and ended.stopped_by is None:
        turn.park(ParkReason.BUDGET, f"{ended.result.outcome}: {ended.result.detail}")
        return
    if over is not None and over.scope is not BudgetScope.DAY:
        park(turn, over)
        return
    turn.emit(RequeueJob(mode=RunMode.CONTINUATION, not_before=None), WakeSlots())
    if over is not None:
        turn.comment(Role.STREAM, render_run_postponed(over, opens, turn.language), f"budget-day:{opens.date().isoformat()}")


def park(turn: Turn, over: Overrun) -> None:
    """Park the task and ask: raise, go on without a limit, or stop."""
    turn.park(ParkReason.BUDGET, render_over_budget(turn.task.work_item, over, turn.language))


def spent_out(context: Context, task: Task, purse: Purse) -> Decided:
    """The task's job waits to be claimed, and its budget is spent."""
    turn = Turn(context, task)
    over = overrun(BudgetScope.TASK, purse)
    if over is None or task.cancel_requested_at is not None:
        return turn.ignore()
    park(turn, over)
    return turn.end()


def kept_by_budget(task: Task, purse: Purse | None) -> Answer | None:
    """Return what to answer to a resume of a task that is parked for money and has nothing left to spend, or None."""
    asked = task.park is not None and task.park.reason is ParkReason.BUDGET
    if not asked or purse is None or purse.limit_usd is None or not purse.is_spent:
        return None
    spent, limit = render_cost(purse.spent_usd), render_cost(purse.limit_usd)
    higher, lift = raise_command(task.work_item), lift_command(task.work_item)
    text = f"{task.work_item} has spent {spent} of {limit}: raise its budget ({higher}) or lift it ({lift})"
    return Answer(verb=Verb.REFUSED, text=text, id=task.work_item)
