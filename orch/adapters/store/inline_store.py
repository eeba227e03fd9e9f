"""The same store without threads: for actors' tests on a virtual clock and for simulation.

Owns: one synchronous connection. Rule: a transaction never waits for anything, so that no other task can run inside one; before
it there is one checkpoint, as there is in the durable store, so that interleavings and cancellations are the same.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio.lowlevel

from orch.adapters.store.schema import open_writer
from orch.adapters.store.transaction import Piece, make_tx, run_batch, run_read
from orch.core.errors import StoreError
from orch.ports import Clock, Tx

T = TypeVar("T")


class InlineStore:
    """The ``Store`` port in memory, or on a file that nothing else has open."""

    def __init__(self, *, clock: Clock, path: Path | None = None) -> None:
        self._connection: sqlite3.Connection | None = open_writer(path)
        self._tx = make_tx(self._connection, clock.now)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def transact(self, work: Callable[[Tx], T]) -> T:
        await anyio.lowlevel.checkpoint()
        piece = Piece(work)
        run_batch(self._open(), self._tx, [piece])
        return piece.outcome()

    async def read(self, work: Callable[[Tx], T]) -> T:
        await anyio.lowlevel.checkpoint()
        connection = self._open()
        changes = connection.total_changes
        made = run_read(connection, self._tx, work)
        if connection.total_changes != changes:  # ``query_only`` would let SQLite forget every prepared statement, each time
            raise StoreError("a read may not write; what it wrote is undone")
        return made

    async def aclose(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError("the store is closed")
        return self._connection
