"""The store's tables of what runs cost, and the limits of days."""

from datetime import date, datetime
from typing import Protocol

from orch.core.accounting import SpendRow
from orch.core.ids import RunId, TaskRow
from orch.core.model import DayBudget, Figures, Limits, Task


class BudgetTables(Protocol):
    """What runs cost, summed up, and the limits of days. Sums count agents' runs, each on the UTC day on which it began."""

    def keep_figures(self, run: RunId, figures: Figures) -> bool:
        """Keep what a run has reported so far; figures only grow. False where the run has made its own report.

        It takes no fence: what was spent is a fact, whatever became of the run meanwhile.
        """

    def spent_by(self, row: TaskRow) -> float:
        """Return what the task has cost, runs that go on included."""

    def spent_on(self, day: date) -> float: ...

    def load_day_budget(self, day: date) -> DayBudget | None:
        """Return what a person made of that day's limit, None for nothing."""

    def save_day_budget(self, budget: DayBudget) -> None: ...

    def spent_out(self, limits: Limits) -> list[Task]:
        """Return the un-parked tasks with a queued job whose own budget is spent; a deploy under way is not cut in half."""

    def list_spending(self, since: date, now: datetime) -> list[SpendRow]:
        """Return what was spent since that day, by day, project, stage and model (as the agents named it)."""
