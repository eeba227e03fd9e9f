"""Ports of the edges: the clock, and how web and terminal reach the actors."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from orch.core.messages import Answer, PersonCommand


class Clock(Protocol):
    """Time, so that a test can be its master."""

    def now(self) -> datetime:
        """Return the present as an aware UTC datetime."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps."""

    async def sleep(self, seconds: float) -> None: ...


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
