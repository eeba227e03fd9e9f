"""Spending as JSON: a task's stages and totals, a row of ``/spend``, budgets.

Owns: the names of these fields. Does not own: the sums (``accounting``), the limits (``budget``).
"""

from collections.abc import Sequence
from datetime import datetime

from orch.core.accounting import SpendRow, StageLine, Totals
from orch.core.budget import Purse, next_day
from orch.core.model import ParkReason, Task, Usage
from orch.core.render.figures import tokens_cached, tokens_in


def figures_view(usage: Usage, cost_usd: float) -> dict[str, object]:
    """Return tokens and money as every view names them."""
    return {
        "tokens_in": tokens_in(usage),
        "tokens_cached": tokens_cached(usage),
        "tokens_out": usage.output,
        "cost_usd": round(cost_usd, 6),
    }


def stages_view(lines: Sequence[StageLine]) -> list[dict[str, object]]:
    return [
        {
            "stage": str(line.stage),
            "state": str(line.state),
            "runs": line.runs,
            "duration_s": line.duration_s,
            **figures_view(line.usage, line.cost_usd),
            "models": list(line.models),
        }
        for line in lines
    ]


def totals_view(of: Totals) -> dict[str, object]:
    return {
        "wall_s": of.wall_s,
        "agents_s": of.agents_s,
        "human_s": of.human_s,
        **figures_view(of.usage, of.cost_usd),
    }


def spend_view(row: SpendRow) -> dict[str, object]:
    return {
        "day": row.day.isoformat(),
        "project": row.project,
        "stage": str(row.stage),
        "model": row.model,
        "runs": row.runs,
        "seconds": row.seconds,
        **figures_view(row.usage, row.cost_usd),
    }


def is_asked(task: Task) -> bool:
    """Say whether the task is parked for money and waits for what a person makes of that."""
    return task.park is not None and task.park.reason is ParkReason.BUDGET


def budget_view(task: Task, purse: Purse | None) -> dict[str, object]:
    """Return a task's own budget; *asked* says that it waits for a person."""
    return {
        "task_usd": purse.limit_usd if purse is not None else None,
        "spent_usd": round(purse.spent_usd, 6) if purse is not None else 0.0,
        "asked": is_asked(task),
    }


def day_view(day: Purse, now: datetime) -> dict[str, object]:
    """Return the present UTC day's budget; *open* says that runs may begin."""
    return {
        "limit_usd": day.limit_usd,
        "spent_usd": round(day.spent_usd, 6),
        "resets_at": next_day(now).isoformat(),
        "open": not day.is_spent,
    }
