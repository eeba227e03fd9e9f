"""What a person makes of a task's budget: raised, or lifted.

Owns: when that is possible, and that a task which is parked for money goes on. Does not own: the park itself (``over_budget``),
the day's budget, which is nobody's task (a row that the shell writes).
Rule: pure. A limit that leaves nothing to spend is refused, so that no task is resumed only to be parked again.
"""

from orch.core.budget import Purse, check_raise, raised
from orch.core.messages import Answer, ChangeBudget, Verb
from orch.core.model import Job, ParkReason, Task, Verdict
from orch.core.render.budget import render_budget_set
from orch.core.render.figures import render_cost
from orch.core.resuming import resume
from orch.core.stages import Role, is_terminal
from orch.core.turn import Context, Decided, Turn

RAISED, LIFTED = "budget-raised", "budget-lifted"
"""The history's lines for what a person made of the limit."""


def changed(
    context: Context,
    task: Task,
    command: ChangeBudget,
    purse: Purse,
    *,
    active: bool,
    last: Verdict | None = None,
    job: Job | None = None,
    begun: bool = True,
) -> Decided:
    """A person raises or lifts the task's budget; where it is parked for that, it goes on. *begun*: an agent began its *job*."""
    turn = Turn(context, task)
    answer = _change(turn, command, purse)
    if answer.verb is not Verb.DONE:
        return turn.ignore(answer)
    if task.park is not None and task.park.reason is ParkReason.BUDGET:
        resume(turn, command.by, active=active, last=last, job=job, begun=begun)
    return turn.end(answer)


def _change(turn: Turn, command: ChangeBudget, purse: Purse) -> Answer:
    """Set the new limit and say so, or return why not."""
    task = turn.task
    if fault := check_raise(command.raise_usd, lift=command.lift):
        return Answer(verb=Verb.INVALID, text=fault, id=task.work_item)
    if is_terminal(task.stage) or task.cancel_requested_at is not None:
        return _refused(f"{task.work_item} is {task.stage if is_terminal(task.stage) else 'being stopped'}", task)
    if command.shown_usd is not None and command.shown_usd != purse.limit_usd:
        now = "none" if purse.limit_usd is None else render_cost(purse.limit_usd)
        return _refused(f"{task.work_item}: its limit has changed meanwhile, and is {now} now", task)
    limit: float | None = None
    if purse.limit_usd is None:
        if task.park is None or task.park.reason is not ParkReason.BUDGET:
            return Answer(verb=Verb.NOTHING, text=f"{task.work_item} has no limit", id=task.work_item)
    elif command.raise_usd is None:
        turn.set(budget_lifted=True)
        turn.record(task.stage, task.stage, LIFTED, f"it was {render_cost(purse.limit_usd)}", command.by)
    else:
        new = raised(purse, command.raise_usd)
        if new.is_spent:
            return _refused(f"{task.work_item} has spent {render_cost(purse.spent_usd)} already: raise it by more", task)
        limit = new.limit_usd
        turn.set(budget_usd=limit)
        told = f"from {render_cost(purse.limit_usd)} to {render_cost(limit or 0.0)}"
        turn.record(task.stage, task.stage, RAISED, told, command.by)
    text = render_budget_set(command.by, limit, turn.language)
    turn.comment(Role.STREAM, text, f"budget:{turn.context.now.isoformat()}")
    done = "goes on without a limit" if limit is None else f"may cost {render_cost(limit)}"
    return Answer(verb=Verb.DONE, text=f"{task.work_item} {done}", id=task.work_item)


def _refused(text: str, task: Task) -> Answer:
    return Answer(verb=Verb.REFUSED, text=text, id=task.work_item)
