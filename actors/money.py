"""Money inside transactions: which budgets a run is paid from, who is asked when one is spent, and what a person changed.

Owns: what is loaded and saved around ``orch.core.budget``. Rule: called inside ``store.transact`` or ``store.read``; every
question is a row whose key names what it is about, so that it is asked once, however often it is looked for.
"""

from dataclasses import replace
from datetime import datetime

from actors.persist import Hints, apply
from actors.world import World
from orch.core.budget import (
    Budgets,
    BudgetScope,
    Purse,
    check_raise,
    day_begins,
    day_purse,
    judge,
    next_day,
    overrun,
    raised,
    task_purse,
    utc_day,
)
from orch.core.commands import SetBudget
from orch.core.effects import Alert
from orch.core.ids import IssueId
from orch.core.messages import Answer, RunEnded, Verb
from orch.core.model import DayBudget, JobState, Limits, Outcome, RoleSettings, Run, Task
from orch.core.outbox import write_row
from orch.core.over_budget import spent_out
from orch.core.presses import name_day
from orch.core.render.budget import render_day_spent
from orch.core.render.figures import render_cost
from orch.core.stages import Role
from orch.core.turn import Context
from orch.logs import get_logger
from orch.ports import Tx

_log = get_logger("budget")


def load_purse(tx: Tx, limits: Limits, task: Task) -> Purse:
    return task_purse(task, limits, tx.spent_by(task.row))


def load_day(tx: Tx, limits: Limits, at: datetime) -> Purse:
    day = utc_day(at)
    return day_purse(tx.load_day_budget(day), limits, tx.spent_on(day))


def load_budgets(tx: Tx, limits: Limits, task: Task, began: datetime) -> Budgets:
    """Return both purses of a run of *task* that began at *began*."""
    return Budgets(task=load_purse(tx, limits, task), day=load_day(tx, limits, began), on=utc_day(began))


def after_run(tx: Tx, context: Context, task: Task, run: Run, ended: RunEnded) -> RunEnded:
    """Fill in which budget a run was ended for, by what is on record now, its own cost included."""
    if ended.result.outcome is not Outcome.BUDGET_EXHAUSTED:
        return ended
    role = context.project.roles.get(run.role or Role.STREAM, RoleSettings())
    budgets = load_budgets(tx, context.limits, task, run.started_at)
    return replace(ended, over=judge(budgets, ended.stopped_by, role.max_budget_usd, run.cost_usd))


# ------------------------------------------------------------------------------------------------ asking


def ask(tx: Tx, world: World, now: datetime) -> list[Hints]:
    """Before a claim: park whose budget is spent, and ask about the day's where that holds anybody up."""
    limits, hints = world.registry().limits, list[Hints]()
    for task in tx.spent_out(limits):
        if task.project in world.services:
            decided = spent_out(world.context(task.project), task, load_purse(tx, limits, task))
            if decided.changed:
                hints.append(apply(tx, decided, at=now)[1])
                _log.warning("spent", task=task.work_item)
    day = load_day(tx, limits, now) if limits.budget_day_usd is not None else None
    if day is not None and day.is_spent and tx.list_jobs(state=JobState.QUEUED, limit=1) and _ask_day(tx, world, day, now):
        hints.append(Hints(project=next(iter(world.services)), outbox=True))
    return hints


def _ask_day(tx: Tx, world: World, day: Purse, now: datetime) -> bool:
    """Ask once about one limit of one day; say whether that is new."""
    first = next(iter(world.services.values())).project
    over = overrun(BudgetScope.DAY, day)
    assert over is not None
    text = render_day_spent(over, next_day(now), first.language)
    alert = Alert(kind="budget-day", text=text, shown=name_day(utc_day(now), over.limit_usd))
    about = IssueId(f"day:{over.limit_usd}")
    row = write_row(alert, project=first.name, task=None, issue=about, at=day_begins(utc_day(now)))
    return tx.add_outbox(row) is not None


# ------------------------------------------------------------------------------------------------ the day's limit


def set_day(tx: Tx, limits: Limits, command: SetBudget, now: datetime) -> Answer:
    """Raise or lift the budget of the present UTC day."""
    if fault := check_raise(command.raise_usd, lift=command.lift):
        return Answer(verb=Verb.INVALID, text=fault)
    purse, day = load_day(tx, limits, now), utc_day(now)
    if purse.limit_usd is None:
        return Answer(verb=Verb.NOTHING, text=f"{day} has no limit")
    if command.shown_usd is not None and command.shown_usd != purse.limit_usd:
        told = f"the limit of {day} has changed meanwhile, and is {render_cost(purse.limit_usd)} now"
        return Answer(verb=Verb.REFUSED, text=told)
    budget = DayBudget(day=day, lifted=True, by=command.by, at=now)
    told = f"{day} has no limit any more"
    if command.raise_usd is not None:
        new = raised(purse, command.raise_usd)
        if new.is_spent:
            return Answer(verb=Verb.REFUSED, text=f"{render_cost(purse.spent_usd)} is spent already: raise it by more")
        budget = replace(budget, lifted=False, limit_usd=new.limit_usd)
        told = f"the runs of {day} may cost {render_cost(new.limit_usd or 0.0)}"
    tx.save_day_budget(budget)
    _log.warning("the day's budget is changed", day=day.isoformat(), by=command.by, limit_usd=budget.limit_usd)
    return Answer(verb=Verb.DONE, text=told)
