"""One transaction's view of all tables, and how work is run in one.

Owns: ``SqlTx`` (the port's ``Tx`` over a plain ``sqlite3.Connection``) and the two ways in which work runs: a batch of pieces
that are committed together, and a read. Does not own connections, threads or waiting.

Desired properties: a batch is one ``BEGIN IMMEDIATE … COMMIT`` with a savepoint round each piece, so that a piece that fails is
undone alone; no piece has an answer before the commit is on disk; a failed commit fails every piece, also one that had failed
by itself, because what it saw of its neighbours never happened. All of it is one plain call that no cancellation can cut in half.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from orch.adapters.store.accounts import AccountRows
from orch.adapters.store.census import CensusRows
from orch.adapters.store.chat import ChatRows
from orch.adapters.store.control import ControlRows
from orch.adapters.store.deploys import DeployRows
from orch.adapters.store.jobs import JobRows
from orch.adapters.store.local import LocalRows
from orch.adapters.store.queues import QueueRows
from orch.adapters.store.repos import RepoRows
from orch.adapters.store.retention import RetentionRows
from orch.adapters.store.train import TrainRows
from orch.core.errors import DomainError, StoreError
from orch.failpoints import hit
from orch.ports import Tx

T = TypeVar("T")


class SqlTx(
    JobRows, QueueRows, RepoRows, TrainRows, DeployRows, LocalRows, AccountRows, ControlRows, ChatRows, RetentionRows, CensusRows
):
    """The port's ``Tx``. It lives as long as its connection and is handed to one piece of work after another."""


class Piece(Generic[T]):
    """A piece of work and what became of it."""

    def __init__(self, work: Callable[[Tx], T]) -> None:
        self._work = work
        self._value: T | None = None
        self._error: BaseException | None = None

    def run(self, tx: Tx) -> None:
        self._value = self._work(tx)

    def fail(self, error: BaseException) -> None:
        self._error = error

    def outcome(self) -> T:
        """Return what the work returned or raise what became of it."""
        if self._error is not None:
            raise self._error
        return cast(T, self._value)


class _Savepoint:
    """Round one piece: keep its writes, or undo them alone and give it its own error."""

    def __init__(self, connection: sqlite3.Connection, piece: Piece[Any]) -> None:
        self._connection = connection
        self._piece = piece

    def __enter__(self) -> None:
        self._connection.execute("SAVEPOINT piece")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        if not self._connection.in_transaction:
            # A full disk, for one, makes SQLite end the whole transaction: the neighbours are lost too.
            raise sqlite3.OperationalError(f"the transaction was given up: {error}")
        if error is not None:
            self._connection.execute("ROLLBACK TO piece")
            self._piece.fail(translate(error))
        self._connection.execute("RELEASE piece")
        return error is not None


def run_batch(connection: sqlite3.Connection, tx: SqlTx, pieces: Sequence[Piece[Any]]) -> None:
    """Run *pieces* in order as one transaction and give each its outcome. Raises nothing."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        hit("store.begun")
        for piece in pieces:
            with _Savepoint(connection, piece):
                piece.run(tx)
        hit("store.worked")
        connection.execute("COMMIT")
        hit("store.committed")
    except sqlite3.Error as error:
        _roll_back(connection)
        for piece in pieces:
            piece.fail(translate(error))


def run_read(connection: sqlite3.Connection, tx: SqlTx, work: Callable[[Tx], T]) -> T:
    """Run *work* on one consistent snapshot; the connection is ``query_only``, so its writes fail."""
    try:
        connection.execute("BEGIN")
        return work(tx)
    except sqlite3.Error as error:
        raise translate(error) from error
    finally:
        _roll_back(connection)


def translate(error: BaseException) -> BaseException:
    """Return *error* as the store's callers know it: SQLite's types stay inside."""
    match error:
        case sqlite3.IntegrityError():
            return DomainError(f"the store refused the write: {error}")
        case sqlite3.Error() if "FULL" in _code(error):
            return StoreError(f"the store's disk is full; free some space: {error}")
        case sqlite3.Error():
            return StoreError(f"the store failed: {error}")
        case _:
            return error


def _code(error: sqlite3.Error) -> str:
    return str(getattr(error, "sqlite_errorname", ""))


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def make_tx(connection: sqlite3.Connection, now: Callable[[], datetime]) -> SqlTx:
    """Return the connection's view of the tables; the assignment is what checks it against the port."""
    tx = SqlTx(connection, now)
    _: Tx = tx
    return tx
