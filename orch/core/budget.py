"""Budgets: how much one task and one UTC day may cost, and whether that is spent.

Owns: which limit is in force, when it is reached, what is left of it, and what raising and lifting it makes of it.
Does not own: the sums (``accounting`` and the store), what follows for a task (``over_budget``, ``decide_budget``).
Rule: pure. A limit trips on cost alone: tokens, read from a cache or not, are never asked. A run counts on the UTC day on which
it began, also beyond midnight. A limit that is off cannot be reached.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from math import isfinite
from typing import final

from orch.core.model import AgentResult, DayBudget, Limits, Task

RAISE_MAX_USD = 1_000_000.0
UNMETERED = frozenset({"command"})
"""Agents of whose kind one may report no cost at all: such a run can be bounded by time alone."""


class BudgetScope(StrEnum):
    """Whose limit it is. A role's own cap bounds one run and no more."""

    TASK = "task"
    DAY = "day"
    ROLE = "role"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Overrun:
    """A limit that was reached, and what was spent under it."""

    scope: BudgetScope
    limit_usd: float
    spent_usd: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """A limit, None for none, and what was spent under it, runs that go on included."""

    limit_usd: float | None
    spent_usd: float

    @property
    def is_spent(self) -> bool:
        return self.limit_usd is not None and round(self.spent_usd, 6) >= round(self.limit_usd, 6)

    @property
    def left_usd(self) -> float | None:
        """What may still be spent, None where there is no limit; never negative."""
        return None if self.limit_usd is None else max(round(self.limit_usd - self.spent_usd, 6), 0.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Both purses that a run is paid from: its task's, and that of the UTC *day* on which it begins."""

    task: Purse
    day: Purse
    on: date

    def overrun(self) -> Overrun | None:
        """Return what is spent; the task's own goes first, for raising the day's would not help it."""
        return overrun(BudgetScope.TASK, self.task) or overrun(BudgetScope.DAY, self.day)

    def cap(self, role_usd: float | None = None) -> float | None:
        """Return what one run may cost: the least of its role's cap and of what is left of both."""
        return min((each for each in (role_usd, self.task.left_usd, self.day.left_usd) if each is not None), default=None)


def overrun(scope: BudgetScope, purse: Purse) -> Overrun | None:
    """Return what *purse* is overrun by, None while something is left."""
    if purse.limit_usd is None or not purse.is_spent:
        return None
    return Overrun(scope=scope, limit_usd=purse.limit_usd, spent_usd=purse.spent_usd)


def utc_day(at: datetime) -> date:
    return at.astimezone(UTC).date()


def day_begins(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def next_day(at: datetime) -> datetime:
    """Return when the next UTC day begins: then the day's budget is open again."""
    return day_begins(utc_day(at) + timedelta(days=1))


def task_purse(task: Task, limits: Limits, spent_usd: float) -> Purse:
    return Purse(limit_usd=task_limit(task, limits), spent_usd=spent_usd)


def task_limit(task: Task, limits: Limits) -> float | None:
    """Return the task's limit in force: its own where a person raised it; none where it was lifted or the setting is off."""
    if limits.budget_task_usd is None or task.budget_lifted:
        return None
    return limits.budget_task_usd if task.budget_usd is None else task.budget_usd


def day_purse(changed: DayBudget | None, limits: Limits, spent_usd: float) -> Purse:
    """Return the day's purse; *changed* is what a person made of that day's limit."""
    limit = limits.budget_day_usd
    if changed is not None and limit is not None:
        limit = None if changed.lifted else changed.limit_usd if changed.limit_usd is not None else limit
    return Purse(limit_usd=limit, spent_usd=spent_usd)


def raised(purse: Purse, by_usd: float) -> Purse:
    """Return *purse* with its limit raised; one without a limit stays so."""
    return purse if purse.limit_usd is None else replace(purse, limit_usd=round(purse.limit_usd + by_usd, 6))


def judge(budgets: Budgets, stopped_by: BudgetScope | None, role_usd: float | None, cost_usd: float) -> Overrun | None:
    """Return which budget a run was ended for; None where the daemon ended it and the budget was raised meanwhile.

    An agent that ended by itself without either being spent was at the cap of its role (or says so without one).
    """
    over = budgets.overrun()
    if over is not None or stopped_by is not None:
        return over
    return Overrun(scope=BudgetScope.ROLE, limit_usd=role_usd or 0.0, spent_usd=cost_usd)


def check_raise(usd: float | None, *, lift: bool) -> str:
    """Return what is wrong with a wish to raise by *usd* or to lift; empty where it can be carried out."""
    if lift == (usd is not None):
        return "say either by how many USD to raise the budget, or to lift it"
    if usd is not None and not (isfinite(usd) and 0 < usd <= RAISE_MAX_USD):
        return f"a budget is raised by more than 0 and at most {RAISE_MAX_USD:,.0f} USD"
    return ""


def own_cost(result: AgentResult, before_usd: float, live_usd: float = 0.0) -> float:
    """Return what a run cost. *before_usd* is its session's total before it, *live_usd* what the run told while it went on.

    A total below the earlier one belongs to a session that began anew: then all of it is this run's. A run that was killed
    reports nothing at its end; what it told before that was spent all the same.
    """
    cost = result.cost_usd
    if not result.measured and result.session is not None and result.session_cost_usd is not None:
        cost = session_cost(result.session_cost_usd, before_usd)
    return max(cost, live_usd, 0.0)


def session_cost(total_usd: float, before_usd: float) -> float:
    """Return the part of a session's *total_usd* that came after *before_usd*; the whole where the session began anew."""
    return total_usd if total_usd < before_usd else total_usd - before_usd
