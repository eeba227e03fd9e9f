"""Snapshots of money: ``/spend``, the block ``budget`` of ``/queue``, the sums behind the metrics.

Rule: bounded: days are, and projects, stages and models are few; rows are summed up in the store.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from orch.core.accounting import SpendRow, merge_rows
from orch.core.budget import Purse, day_purse, utc_day
from orch.core.model import Limits
from orch.core.spend_views import day_view, is_asked, spend_view
from orch.core.task_facts import TaskFacts
from orch.ports import Tx
from orch.snapshots.reader import Block, Reader

DAYS_MAX = 366


def load_spend(tx: Tx, now: datetime, limits: Limits, *, days: int = 30) -> Block:
    """Return what was spent in the last *days* UTC days, newest first, and how the present day's budget stands."""
    today = utc_day(now)
    day = day_view(day_purse(tx.load_day_budget(today), limits, tx.spent_on(today)), now)
    return {
        "days": [spend_view(row) for row in load_rows(tx, now, days)],
        "today": {"day": today.isoformat(), "day_usd": day["limit_usd"], "spent_usd": day["spent_usd"], "open": day["open"]},
    }


def load_sums(tx: Tx, now: datetime, limits: Limits) -> tuple[Sequence[SpendRow], Purse]:
    """Return all that was ever spent, and the present day's budget."""
    today = utc_day(now)
    return tx.list_spending(date(1970, 1, 1), now), day_purse(tx.load_day_budget(today), limits, tx.spent_on(today))


def load_rows(tx: Tx, now: datetime, days: int) -> Sequence[SpendRow]:
    """Return the rows of the last *days* UTC days, by the models' short names."""
    since = utc_day(now) - timedelta(days=min(max(days, 1), DAYS_MAX) - 1)
    return merge_rows(tx.list_spending(since, now))


def budget_block(reader: Reader, facts: Sequence[TaskFacts], limits: Limits, now: datetime) -> Block:
    """Return how the budgets stand, and whose tasks have a limit or ask for money."""
    day = reader.day()
    return {
        "enabled": limits.budget_task_usd is not None or limits.budget_day_usd is not None,
        "day": day_view(day, now) if day is not None else None,
        "tasks": [
            {
                "id": each.task.work_item,
                "limit_usd": each.purse.limit_usd,
                "spent_usd": round(each.purse.spent_usd, 6),
                "asked": is_asked(each.task),
            }
            for each in facts
            if each.purse is not None and (each.purse.limit_usd is not None or is_asked(each.task))
        ],
    }
