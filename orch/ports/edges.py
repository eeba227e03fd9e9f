"""Ports of the edges: the clock, how web and terminal reach the actors, and backups."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, final

from orch.core.ids import Branch, IssueId, ProjectName, Sha
from orch.core.messages import Answer, PersonCommand
from orch.core.room import Free
from orch.core.vitals import Vitals


class Clock(Protocol):
    """Time, so that a test can be its master."""

    def now(self) -> datetime:
        """Return the present as an aware UTC datetime."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps."""

    async def sleep(self, seconds: float) -> None: ...


class Room(Protocol):
    """How much is free where the daemon works."""

    async def measure(self) -> Free: ...


class Subscription(Protocol):
    """One viewer's feed. Latest wins: a viewer that is too slow loses changes and gets a snapshot again."""

    async def receive(self) -> Mapping[str, object]:
        """Return the next JSON-ready message: first ``{"type": "snapshot", "seq": n, …}``, then numbered changes."""


class Feed(Protocol):
    def subscribe(self) -> AbstractAsyncContextManager[Subscription]: ...


class Control(Protocol):
    """How the edges reach the actors."""

    async def ask(self, command: PersonCommand) -> Answer:
        """Hand a person's command in and await its answer, at most ten seconds (TransientError after that)."""

    def ready(self) -> Mapping[str, str]:
        """Return what is not ready, by component; empty when everything is."""

    def vitals(self) -> Vitals:
        """Return what the daemon itself is like now."""

    def accepted(self) -> None:
        """Hint: an event was stored in the inbox."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CardEvent:
    """An event about a card: it is to be read. *key* is the same for every repetition of it, empty where that cannot be told."""

    project: ProjectName
    issue: IssueId
    key: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BranchEvent:
    """An event about a branch, a pull request or a commit's status: the forge is to be looked at. Either may be missing."""

    project: ProjectName
    branch: Branch | None = None
    sha: Sha | None = None


class HookDoor(Protocol):
    """One service's webhooks. Pure but for *heard*: it reads nothing but what it is given."""

    def admits(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Say, in constant time, whether the raw body was signed with the configured secret."""

    def concerns(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Say whether the event is about a project of ours. One that cannot be read is: it is kept and quarantined."""

    def source(self, headers: Mapping[str, str]) -> str:
        """Return what the event is filed under in the inbox (``gitea:push``)."""

    def read(self, source: str, body: bytes) -> CardEvent | BranchEvent | str | None:
        """Return what a stored event is about; None where it needs nothing, a sentence where it cannot be read. Never raises."""

    def heard(self, at: datetime) -> None:
        """Note that a genuine event came: silence while polls see changes means that the hook is off."""


class BackupDesk(Protocol):
    """Takes backups, one at a time, in the background: whoever asked may go away."""

    async def begin(self, target: Path) -> None:
        """Begin a backup to the folder *target*; raises DomainError where it cannot take one, or one is under way."""

    async def wait(self, seconds: float) -> None:
        """Wait until none is under way, at most so long."""

    def state(self) -> Mapping[str, object]:
        """Return the newest backup: ``state`` (none, running, done, failed), ``dir``, ``detail``, ``manifest``."""
