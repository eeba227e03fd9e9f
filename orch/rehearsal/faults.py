"""Faults per call: what the next call of a port does instead of, before or after its work, and the log of all writes.

Owns: ``Faults``, which every fake of one world shares. Rule: a call is named ``port.operation``; a fault that was never met
fails the test at its end (``assert_used``).
"""

from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import final

import anyio
import anyio.lowlevel


@final
@dataclass(slots=True)
class Gate:
    """A place where a call stands until it is let through."""

    reached: anyio.Event = field(default_factory=anyio.Event)
    opened: anyio.Event = field(default_factory=anyio.Event)

    def open(self) -> None:
        self.opened.set()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    before: BaseException | None = None
    after: BaseException | None = None
    gate: Gate | None = None


class Faults:
    """Faults by call name, first in, first out, and every write in its order."""

    def __init__(self) -> None:
        self._faults: dict[str, deque[_Fault]] = defaultdict(deque)
        self._always: dict[str, Exception] = {}
        self.writes: list[tuple[str, str]] = []
        self.calls: dict[str, int] = defaultdict(int)

    def fail_next(self, name: str, error: Exception, *, times: int = 1) -> None:
        """The next *times* calls of *name* raise, and do nothing."""
        self._faults[name].extend(_Fault(before=error) for _ in range(times))

    def fail_after(self, name: str, error: Exception) -> None:
        """The next call of *name* does its work and then raises: the answer was lost."""
        self._faults[name].append(_Fault(after=error))

    def fail_always(self, name: str, error: Exception) -> None:
        self._always[name] = error

    def heal(self, name: str) -> None:
        del self._always[name]

    def hold_next(self, name: str) -> Gate:
        """The next call of *name* waits at the returned gate before it does its work."""
        gate = Gate()
        self._faults[name].append(_Fault(gate=gate))
        return gate

    @asynccontextmanager
    async def at(self, name: str) -> AsyncIterator[None]:
        """Round the work of one call."""
        self.calls[name] += 1
        await anyio.lowlevel.checkpoint()
        fault = self._faults[name].popleft() if self._faults[name] else _Fault(before=self._always.get(name))
        if fault.before is not None:
            raise fault.before
        if fault.gate is not None:
            fault.gate.reached.set()
            await fault.gate.opened.wait()
        yield
        if fault.after is not None:
            raise fault.after

    def wrote(self, name: str, what: str) -> None:
        self.writes.append((name, what))

    def written(self, name: str) -> list[str]:
        """Return what was written under *name*, in order."""
        return [what for written, what in self.writes if written == name]

    def assert_used(self) -> None:
        left = {name: len(queue) for name, queue in self._faults.items() if queue}
        assert not left, f"faults that were never met: {left}"
