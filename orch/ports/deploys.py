"""The port of deploys: one try of a deploy as a process that is nobody's child, and the folder in which it leaves its result.

Rule: a try is executed at most once, whoever starts it how often; what has begun goes on without the daemon; a result is only
what the try itself has left.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, final

from orch.core.ids import DeployId, Sha, WorkItemId
from orch.core.model import Launcher, Survivor


class DeployPhase(StrEnum):
    """What the folder of a try tells."""

    UNCLAIMED = "unclaimed"
    """Nothing of it has begun."""
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    """It had begun; its process is gone and has left no result."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployLook:
    """*timed_out*: it was ended because its time was over. *survivors* are those of it that could not be ended and live yet."""

    phase: DeployPhase
    exit_code: int | None = None
    timed_out: bool = False
    seconds: float = 0.0
    survivors: tuple[Survivor, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployOrder:
    """Try *number* of a deploy: *argv* is run in the folder ``tree`` of the try, for at most *time_s*."""

    deploy: DeployId
    number: int
    argv: tuple[str, ...]
    time_s: float
    sha: Sha
    work_item: WorkItemId
    launcher: Launcher = Launcher.PLAIN


class Deploys(Protocol):
    """Starts deploys, and reads what became of them. Raises OSError where the folder cannot be used."""

    def tree(self, deploy: DeployId, number: int) -> Path:
        """Return where the try's checkout belongs; its folder is made if need be."""

    def log_path(self, deploy: DeployId, number: int) -> Path: ...

    async def launch(self, order: DeployOrder) -> None:
        """Start the process that claims the try and executes it. A second one finds the claim and does nothing."""

    async def look(self, deploy: DeployId, number: int) -> DeployLook: ...

    async def abandon(self, deploy: DeployId, number: int) -> bool:
        """Claim the try for nobody, so that it never begins; False where it has begun."""

    async def end(self, deploy: DeployId, number: int) -> tuple[Survivor, ...]:
        """End whatever lives of a try whose own process does not do it; return those that would not go."""

    async def tail(self, deploy: DeployId, number: int) -> str:
        """Return the end of its output, at most 20,000 characters."""

    async def clear(self, deploys: Collection[DeployId]) -> None:
        """Remove the checkouts of *deploys*, which are over; logs and results stay."""
