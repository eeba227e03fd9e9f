"""Lives of the daemon: each call to a port and each commit is a place at which one may end, and what a dead one does is refused.

Owns: the current life, its fuse, the services' troubles, and the store as a daemon sees it. Rule: a dead daemon changes nothing:
whatever of it still unwinds meets an error at the next port, as its process would have met nothing at all.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar, final

import anyio
import anyio.lowlevel

from orch.core.errors import StoreError, TransientError
from orch.ports import Store, Tx
from orch.rehearsal.faults import Faults
from tests.scenario.sim.trace import Trace

T = TypeVar("T")
BEATS_MAX = 120_000
"""More port calls than any story needs: a loop that never ends."""


class EndlessError(BaseException):
    """The daemon calls its ports for ever."""


@final
@dataclass(slots=True)
class Life:
    """One life of the daemon. *fuse* counts its beats down to its death, None while nothing is going to kill it."""

    number: int
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    fuse: int | None = None
    dead: bool = False

    def kill(self) -> None:
        self.dead = True
        self.scope.cancel()


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)
"""Whose doing it is: a life of the daemon's, or (None) the world's."""


def is_ours() -> bool:
    return LIFE.get() is not None


@final
@dataclass(slots=True)
class Trouble:
    """What is wrong with the services now. *out* are whole services, the others are by call."""

    out: set[str] = field(default_factory=set)
    errors: Counter[str] = field(default_factory=Counter)
    lost_answers: Counter[str] = field(default_factory=Counter)
    slow: dict[str, float] = field(default_factory=dict)
    """By call: how long the next one will take."""
    hung_until: dict[str, float] = field(default_factory=dict)
    """By call: until when (the scheduler's time) every one hangs, since one has been slow."""
    full: bool = False
    stalled_until: float = 0.0
    """Until then (the scheduler's time) no write of the daemon's reaches the disk."""

    def clear(self) -> None:
        self.out.clear()
        self.errors.clear()
        self.lost_answers.clear()
        self.slow.clear()
        self.hung_until.clear()
        self.full = False
        self.stalled_until = 0.0


class SimFaults(Faults):
    """Faults by fate instead of by order; every call of a port passes here."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace
        self.trouble = Trouble()
        self.life = Life(number=0)
        self.fuse: int | None = None
        """A crash that waits for the next beat of whoever lives then."""
        self.beats = 0

    async def beat(self, name: str) -> None:
        """One place at which the daemon may die; raises what a dead daemon meets."""
        life = LIFE.get()
        assert life is not None, f"{name} was called by nobody"
        self.beats += 1
        if self.beats > BEATS_MAX:
            raise EndlessError(name)
        if not life.dead and self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.fuse = None
                self.trace.note("crash", name, life.number, by="fate")
                life.kill()
        if life.dead:
            await anyio.lowlevel.checkpoint()
            raise StoreError("this daemon is dead") if name.startswith("store") else TransientError("sim", name, "dead")

    def wrote(self, name: str, what: str) -> None:
        """Note what one of the fakes has written; branches are watched where they are."""
        super().wrote(name, what)
        if name not in ("main", "branch", "delete branch"):
            self.trace.note(name, what.partition("\n")[0][:120])

    @asynccontextmanager
    async def at(self, name: str) -> AsyncIterator[None]:
        self.calls[name] += 1
        await anyio.lowlevel.checkpoint()
        await self.beat(name)
        trouble, service = self.trouble, name.partition(".")[0]
        if (slow := trouble.slow.pop(name, 0.0)) > 0:
            trouble.hung_until[name] = anyio.current_time() + slow
            self.trace.note("slow", name, by="fate")
        if (waits_s := trouble.hung_until.get(name, 0.0) - anyio.current_time()) > 0:
            await anyio.sleep(waits_s)
            await self.beat(name)
        if service in trouble.out:
            await anyio.sleep(0.2)
            self.trace.counts["refused by an outage"] += 1
            raise TransientError(service, name, "away")
        if trouble.errors[name] > 0:
            trouble.errors[name] -= 1
            self.trace.note("error", name, by="fate")
            raise TransientError(service, name, "failed before it did anything")
        yield
        await self.beat(f"{name}, done")
        if trouble.lost_answers[name] > 0:
            trouble.lost_answers[name] -= 1
            self.trace.note("lost answer", name, by="fate")
            raise TransientError(service, name, "done, but the answer was lost")


@final
class MortalStore:
    """The store as one life of the daemon has it; *committed* is called after each commit of its."""

    def __init__(self, inner: Store, faults: SimFaults, committed: Callable[[], None]) -> None:
        self._inner = inner
        self._faults = faults
        self._committed = committed

    async def transact(self, work: Callable[[Tx], T]) -> T:
        await self._faults.beat("store")
        await self._stall()
        self._check_room()
        try:
            made = await self._inner.transact(work)
        finally:
            self._committed()
        await self._faults.beat("store, committed")
        return made

    async def read(self, work: Callable[[Tx], T]) -> T:
        await self._faults.beat("store.read")
        return await self._inner.read(work)

    async def aclose(self) -> None:
        """The world's store outlives a daemon."""

    async def _stall(self) -> None:
        """Wait for a disk that stands still; a caller that is cancelled meanwhile leaves its piece in the queue."""
        waits_s = self._faults.trouble.stalled_until - anyio.current_time()
        if waits_s > 0:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(waits_s)
            await self._faults.beat("store")

    def _check_room(self) -> None:
        if self._faults.trouble.full:
            self._faults.trace.counts["refused by a full disk"] += 1
            raise StoreError("the store's disk is full; free some space")
