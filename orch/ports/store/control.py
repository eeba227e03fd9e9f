"""The store's tables of what a person has to look into."""

from collections.abc import Iterable
from typing import Protocol

from orch.core.ids import IssueId, ProjectName, TaskRow
from orch.core.model import Survivor, Unexplained


class ControlTables(Protocol):
    """Columns that no log explains, and processes that could not be ended."""

    def load_unexplained(self, project: ProjectName, issue: IssueId) -> Unexplained | None: ...

    def list_unexplained(self, project: ProjectName) -> list[Unexplained]: ...

    def save_unexplained(self, seen: Unexplained) -> None: ...

    def drop_unexplained(self, project: ProjectName, issue: IssueId) -> None: ...

    def save_survivors(self, row: TaskRow, survivors: Iterable[Survivor]) -> None:
        """Keep exactly these as the task's processes that could not be ended."""

    def list_survivors(self, row: TaskRow | None = None) -> dict[TaskRow, list[Survivor]]:
        """Return by task the processes that could not be ended, of one task or of all."""
