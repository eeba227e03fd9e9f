"""Virtual time for both backends: nothing waits for real, and a test that can never go on fails at once.

Owns: an asyncio loop whose clock jumps to the next timer whenever nothing else can run (as trio's ``MockClock`` does with
``autojump_threshold=0``), and the ``Clock`` port on whichever backend's time. Rule: no threads, no sockets, no processes here.
"""

import asyncio  # noqa: TID251 - the loop itself is asyncio's
import selectors
from datetime import datetime, timedelta
from typing import Any

import anyio
from trio.testing import MockClock

from tests.builders import NOW

BACKENDS = ("asyncio", "trio")


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting it lets the loop's clock jump; waiting with no timer at all would be for ever."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise RuntimeError("deadlock: every task waits and no timer is set")
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def backend_options(name: str) -> tuple[str, dict[str, Any]]:
    """Return anyio's name and options of a backend on virtual time; to be made anew for every test."""
    if name == "trio":
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"loop_factory": VirtualLoop}


class VirtualClock:
    """The ``Clock`` port: wall time follows the backend's virtual time, and can be set wrong by ``jump``."""

    def __init__(self, base: datetime = NOW) -> None:
        self._base = base
        self._origin: float | None = None

    def monotonic(self) -> float:
        if self._origin is None:
            self._origin = anyio.current_time()
        return anyio.current_time() - self._origin

    def now(self) -> datetime:
        return self._base + timedelta(seconds=self.monotonic())

    def jump(self, seconds: float) -> None:
        """Let the wall clock jump, as a correction of the host's does."""
        self._base += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))
