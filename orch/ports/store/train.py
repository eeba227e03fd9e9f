"""The store's tables of the merge train."""

from collections.abc import Collection
from typing import Protocol

from orch.core.ids import ProjectName, Sha
from orch.core.model import CheckRow, TrainRow


class TrainTables(Protocol):
    """The merge train's checks, and what its planner remembers."""

    def add_check(self, check: CheckRow) -> CheckRow:
        """Insert a check that begins (its *id* is ignored) and return it with its id."""

    def end_check(self, check: CheckRow) -> bool:
        """Write verdict, tail, log, seconds and end; False, and nothing written, when it has one already."""

    def list_checks(
        self, project: ProjectName, *, trees: Collection[Sha] | None = None, running: bool = False, limit: int = 1000
    ) -> list[CheckRow]:
        """Return checks, oldest first: those on *trees*, those still running, or (neither given) the newest *limit*."""

    def load_train(self, project: ProjectName) -> TrainRow:
        """Return what the project's planner remembers, a fresh row when it was never saved."""

    def save_train(self, train: TrainRow) -> None: ...

    def next_landed_seq(self, project: ProjectName) -> int: ...
