"""What people read about money: the question when a budget is spent, and what a person made of it.

Owns: these sentences' values. Rule: pure; every question names what raises it, what lifts it and what stops.
"""

from datetime import datetime

from orch.core.budget import BudgetScope, Overrun
from orch.core.ids import WorkItemId
from orch.core.render.catalogue import say
from orch.core.render.figures import render_cost, render_moment
from orch.core.render.quote import inline

RAISE_DAY, LIFT_DAY = "orch budget --raise USD", "orch budget --lift"


def raise_command(work_item: WorkItemId) -> str:
    return f"orch budget {work_item} --raise USD"


def lift_command(work_item: WorkItemId) -> str:
    return f"orch budget {work_item} --lift"


def render_over_budget(work_item: WorkItemId, over: Overrun, language: str) -> str:
    """A task is parked for money: what was spent of what, and the three answers. Plain text."""
    key = "budget.role" if over.scope is BudgetScope.ROLE else "budget.task"
    return say(
        language,
        key,
        spent=render_cost(over.spent_usd),
        limit=render_cost(over.limit_usd),
        higher=raise_command(work_item),
        lift=lift_command(work_item),
        resume=f"orch resume {work_item}",
        stop=f"orch stop {work_item}",
    )


def render_day_spent(over: Overrun, opens: datetime, language: str) -> str:
    """The day's budget is spent: what that holds up, until when, and what opens it earlier. Plain text."""
    return say(
        language,
        "budget.day",
        spent=render_cost(over.spent_usd),
        limit=render_cost(over.limit_usd),
        moment=render_moment(opens),
        higher=RAISE_DAY,
        lift=LIFT_DAY,
    )


def render_run_postponed(over: Overrun, opens: datetime, language: str) -> str:
    """A run was ended for the day's budget: its work is kept, and it goes on."""
    return f"{say(language, 'budget.run_postponed')} {render_day_spent(over, opens, language)}"


def render_budget_onward(work_item: WorkItemId, language: str) -> str:
    """What takes a task on that is parked for its budget."""
    return say(language, "why.parked_budget", higher=raise_command(work_item), lift=lift_command(work_item))


def render_budget_set(by: str, limit_usd: float | None, language: str) -> str:
    """A person raised or lifted a task's budget."""
    if limit_usd is None:
        return say(language, "budget.lifted", by=inline(by, 80))
    return say(language, "budget.raised", by=inline(by, 80), limit=render_cost(limit_usd))
