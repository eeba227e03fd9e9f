"""What is kept for a while only: which ended tasks still have any, and the folders that go with them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, final

from orch.core.ids import Branch, DeployId, ProjectName, RunId, TaskRow


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Retirable:
    """An ended task whose archive and logs may go. *branch* is the name that it had, *deploys* are those that have ended."""

    task: TaskRow
    project: ProjectName
    branch: Branch
    runs: tuple[RunId, ...] = ()
    deploys: tuple[DeployId, ...] = ()


class RetentionTables(Protocol):
    """Rows that are old. Plain calls inside one transaction."""

    def retirable(self, before: datetime, limit: int) -> list[Retirable]:
        """Return ended and swept tasks that finished before that moment and still have what goes, the oldest first."""

    def retire(self, row: TaskRow) -> None:
        """Mark the task's archive and logs as gone."""

    def forget_old_rows(self, before: datetime) -> int:
        """Remove handled events, verdicts of checks, and delivered writes of retired tasks that are older; return how many."""


class Shelves(Protocol):
    """The folders of runs and deploys."""

    async def remove(self, runs: Collection[RunId], deploys: Collection[DeployId]) -> None:
        """Remove their logs and whatever else lies there; what is gone already is no fault. Raises OSError."""
