"""The durable store: one writer with group commit, and readers beside it.

Owns: the database's connections and the writer task. Does not own what a transaction means (``transaction``).

Desired properties: what ``transact`` has answered is on disk; work is committed whole or not at all, whoever is cancelled and
however; many callers share one fsync.
Design: callers append a piece and wait; the writer takes whatever has queued up (bounded) and runs it on the connection's own
thread in ONE hop. A caller's cancellation, native ones included, thus meets a plain wait and never a half-done transaction.
The writer is shielded and ends only by ``aclose``, which drains it.
Races we accept: a caller that was cancelled does not learn whether its piece was committed.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiosqlite
import anyio
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import TaskGroup

from orch.adapters.store.schema import back_up, open_reader, open_writer
from orch.adapters.store.transaction import Piece, SqlTx, make_tx, run_batch, run_read
from orch.core.errors import StoreError
from orch.ports import Clock, Tx

T = TypeVar("T")

BATCH_MAX = 256
READERS = 2
GATHER_TURNS = 16
"""How often the event loop may go round before the next batch of a busy store is written."""


class _Worker:
    """A connection on aiosqlite's thread, used one plain call at a time."""

    def __init__(self, connection: aiosqlite.Connection, clock: Clock) -> None:
        self._connection = connection
        # The raw connection: aiosqlite's public calls are one statement each, and a whole transaction must be one hop.
        self._raw = connection._conn
        self._tx = make_tx(self._raw, clock.now)

    @classmethod
    async def open(cls, connector: Callable[[], Any], clock: Clock) -> "_Worker":
        connection = aiosqlite.Connection(connector, iter_chunk_size=64)
        try:
            return cls(await connection, clock)
        except BaseException:
            # aiosqlite only tells its thread to stop; that one would still be answering when the event loop is gone.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(connection._thread.join)
            raise

    async def call(self, function: Callable[[Any, SqlTx], T]) -> T:
        result: T = await self._connection._execute(function, self._raw, self._tx)  # type: ignore[no-untyped-call]
        return result

    async def close(self) -> None:
        await self._connection.close()


class _Waiting(Piece[T]):
    """A piece with somebody waiting for it."""

    def __init__(self, work: Callable[[Tx], T]) -> None:
        super().__init__(work)
        self.settled = anyio.Event()


class SqliteStore:
    """The ``Store`` port on a SQLite file: open it, then ``async with store:``; leaving the block drains and closes it."""

    def __init__(self, writer: _Worker, readers: list[_Worker]) -> None:
        self._writer = writer
        self._readers = readers
        self._idle = list(readers)
        self._reading = anyio.Semaphore(len(readers))
        self._queue: deque[_Waiting[Any]] = deque()
        self._wake = anyio.Event()
        self._group: TaskGroup | None = None
        self._writing = False
        self._closing = False
        self._drained = anyio.Event()
        self._closed = anyio.Event()

    @classmethod
    async def open(cls, path: Path, *, clock: Clock) -> Self:
        """Open (or make), check and migrate the database; raises StoreError with what to do."""
        writer = await _Worker.open(partial(open_writer, path), clock)
        readers: list[_Worker] = []
        try:
            for _ in range(READERS):
                readers.append(await _Worker.open(partial(open_reader, path), clock))
        except BaseException:
            with anyio.CancelScope(shield=True):
                for worker in (*readers, writer):
                    await worker.close()
            raise
        return cls(writer, readers)

    async def __aenter__(self) -> Self:
        if self._writing or self._closing:
            raise StoreError("the store was started already")
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._writing = True
        self._group.start_soon(self._write, name="store writer")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()
        if self._group is not None:
            # Not told of the block's own error: the writer has ended in good order, and the error goes on unwrapped.
            await self._group.__aexit__(None, None, None)

    async def transact(self, work: Callable[[Tx], T]) -> T:
        if not self._writing:
            raise StoreError("the store is closed")
        piece = _Waiting(work)
        self._queue.append(piece)
        self._wake.set()
        await piece.settled.wait()
        return piece.outcome()

    async def read(self, work: Callable[[Tx], T]) -> T:
        async with self._reading:
            if self._closing:
                raise StoreError("the store is closed")
            reader = self._idle.pop()
            try:
                return await reader.call(partial(_read, work))
            finally:
                # After a cancellation the thread may still be at it; its calls queue up behind one another.
                self._idle.append(reader)

    async def backup(self, target: Path) -> None:
        """Write a consistent copy of the database to *target* while work goes on."""
        await self._readers[0].call(lambda raw, _: back_up(raw, target))

    async def aclose(self) -> None:
        """Finish everything that was handed in, then close. Safe to call twice; later work is refused."""
        with anyio.CancelScope(shield=True):
            if self._closing:
                await self._closed.wait()
                return
            self._closing = True
            self._wake.set()
            if self._writing:
                await self._drained.wait()
            for worker in (*self._readers, self._writer):
                await worker.close()
            self._closed.set()

    async def _write(self) -> None:
        """Commit whatever has queued up, batch after batch, until the store closes."""
        with anyio.CancelScope(shield=True):
            try:
                while not (self._closing and not self._queue):
                    if not self._queue:
                        await self._wake.wait()
                        self._wake = anyio.Event()
                        continue
                    await self._commit([self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))])
                    await self._gather()
            finally:
                self._writing = False
                self._settle(self._queue, StoreError("the store's writer has ended"))
                self._drained.set()

    async def _gather(self) -> None:
        """Let those who are on their way come along, where somebody came while the last batch was written.

        A commit costs far more than a piece. Nobody waits for a clock here: only the event loop's other work goes first.
        """
        for _ in range(GATHER_TURNS if self._queue else 0):
            await anyio.lowlevel.checkpoint()

    async def _commit(self, batch: list[_Waiting[Any]]) -> None:
        try:
            await self._writer.call(lambda raw, tx: run_batch(raw, tx, batch))
        except BaseException:
            self._settle(batch, StoreError("the store's writer has ended"))
            raise
        self._settle(batch, None)

    @staticmethod
    def _settle(pieces: "deque[_Waiting[Any]] | list[_Waiting[Any]]", error: StoreError | None) -> None:
        for piece in pieces:
            if error is not None:
                piece.fail(StoreError(str(error)))
            piece.settled.set()


def _read(work: Callable[[Tx], T], raw: Any, tx: SqlTx) -> T:
    return run_read(raw, tx, work)
