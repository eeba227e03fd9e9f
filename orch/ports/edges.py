"""Ports of the edges: the clock, how web and terminal reach the actors, and backups."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

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


class BackupDesk(Protocol):
    """Takes backups, one at a time, in the background: whoever asked may go away."""

    async def begin(self, target: Path) -> None:
        """Begin a backup to the folder *target*; raises DomainError where it cannot take one, or one is under way."""

    async def wait(self, seconds: float) -> None:
        """Wait until none is under way, at most so long."""

    def state(self) -> Mapping[str, object]:
        """Return the newest backup: ``state`` (none, running, done, failed), ``dir``, ``detail``, ``manifest``."""
