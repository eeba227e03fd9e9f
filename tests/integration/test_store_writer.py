"""The one writer: group commit, its failures, and every way in which a caller can leave."""

import asyncio  # noqa: TID251 - what is tried here is a native cancellation, as a web server does it
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from orch.adapters.store import SqliteStore
from orch.core.errors import ConfigError, DomainError, StoreError
from orch.core.ids import InboxId
from orch.ports import Tx
from tests.builders import NOW, ManualClock


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with await SqliteStore.open(tmp_path / "orch.db", clock=ManualClock()) as opened:
        yield opened


class Gate:
    """Holds the writer's thread inside a transaction until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def work(self, tx: Tx) -> InboxId:
        row = tx.add_inbox("gate", b"gate", NOW)
        self.reached.set()
        assert self.opened.wait(10)
        return row


def note(body: bytes) -> Callable[[Tx], InboxId]:
    return lambda tx: tx.add_inbox("plane", body, NOW)


async def bodies(store: SqliteStore) -> list[bytes]:
    return [row.body for row in await store.read(lambda tx: tx.pending_inbox(10_000))]


async def test_what_queues_up_behind_a_commit_is_committed_together(store: SqliteStore) -> None:
    commits: list[str] = []
    await store._writer.call(lambda raw, _: raw.set_trace_callback(commits.append))
    gate = Gate()
    async with anyio.create_task_group() as group:
        group.start_soon(store.transact, gate.work)
        await anyio.to_thread.run_sync(gate.reached.wait)
        for number in range(50):
            group.start_soon(store.transact, note(b"%d" % number))
        await anyio.wait_all_tasks_blocked()
        gate.opened.set()
    await store._writer.call(lambda raw, _: raw.set_trace_callback(None))
    assert commits.count("COMMIT") == 2
    assert len(await bodies(store)) == 51


async def test_an_answer_comes_after_the_commit(store: SqliteStore, tmp_path: Path) -> None:
    """Whoever has an answer finds the row through a connection of his own."""
    for number in range(5):
        await store.transact(note(b"x"))
        other = sqlite3.connect(tmp_path / "orch.db")
        assert other.execute("SELECT count(*) FROM inbox").fetchone()[0] == number + 1
        other.close()


async def test_R7_a_full_disk_fails_the_batch_and_the_next_write_works_again(store: SqliteStore) -> None:
    await store.transact(note(b"before"))

    def limit(raw: sqlite3.Connection, _: object) -> int:
        pages = int(raw.execute("PRAGMA page_count").fetchone()[0])
        raw.execute(f"PRAGMA max_page_count = {pages + 4}")
        return pages

    pages = await store._writer.call(limit)
    with pytest.raises(StoreError, match="disk is full"):
        await store.transact(note(b"x" * 100_000))
    await store._writer.call(lambda raw, _: raw.execute(f"PRAGMA max_page_count = {pages * 1000}"))
    await store.transact(note(b"after"))
    assert await bodies(store) == [b"before", b"after"]


async def test_a_commit_that_fails_fails_every_member(store: SqliteStore) -> None:
    """Also a piece that was refused for what a neighbour had written: that never happened."""
    gate = Gate()

    def break_the_commit(tx: Tx) -> None:
        tx.add_inbox("plane", b"breaks", NOW)
        raw: sqlite3.Connection = store._writer._raw
        raw.execute("PRAGMA defer_foreign_keys = ON")
        raw.execute("INSERT INTO transition (task, at, target, cause, by, detail) VALUES (99, 0, 'done', '', '', '')")

    def refuse(tx: Tx) -> None:
        raise IllegalStory("refused by itself")

    class IllegalStory(DomainError):
        pass

    errors: list[BaseException] = []

    async def call(work: Callable[[Tx], object]) -> None:
        with pytest.raises((StoreError, DomainError)) as caught:
            await store.transact(work)
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        group.start_soon(store.transact, gate.work)
        await anyio.to_thread.run_sync(gate.reached.wait)
        for work in (note(b"neighbour"), refuse, break_the_commit):
            group.start_soon(call, work)
        await anyio.wait_all_tasks_blocked()
        gate.opened.set()
    assert len(errors) == 3
    assert all("FOREIGN KEY" in str(error) and not isinstance(error, IllegalStory) for error in errors)
    assert len({id(error) for error in errors}) == 3, "each caller has an exception of its own"
    assert await bodies(store) == [b"gate"]
    await store.transact(note(b"after"))


@pytest.mark.parametrize("native", [False, True], ids=["scope", "native"])
async def test_G10_a_caller_cancelled_inside_its_transaction_does_not_tear_it(store: SqliteStore, native: bool) -> None:
    gate = Gate()

    def pair(tx: Tx) -> None:
        gate.work(tx)
        tx.add_inbox("plane", b"second half", NOW)

    scope = anyio.CancelScope()

    async def call() -> None:
        with scope:
            await store.transact(pair)

    caller = asyncio.ensure_future(call())
    await anyio.to_thread.run_sync(gate.reached.wait)
    if native:
        caller.cancel()
    else:
        scope.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled() is native
    gate.opened.set()
    await store.transact(note(b"next"))
    assert await bodies(store) == [b"gate", b"second half", b"next"]


async def test_closing_commits_what_was_handed_in_and_refuses_what_comes_later(tmp_path: Path) -> None:
    path, gate = tmp_path / "orch.db", Gate()
    async with await SqliteStore.open(path, clock=ManualClock()) as store, anyio.create_task_group() as group:
        group.start_soon(store.transact, gate.work)
        await anyio.to_thread.run_sync(gate.reached.wait)
        for number in range(5):
            group.start_soon(store.transact, note(b"%d" % number))
        await anyio.wait_all_tasks_blocked()
        group.start_soon(store.aclose)
        await anyio.wait_all_tasks_blocked()
        gate.opened.set()
    with pytest.raises(StoreError, match="closed"):
        await store.transact(note(b"late"))
    async with await SqliteStore.open(path, clock=ManualClock()) as again:
        assert await bodies(again) == [b"gate", b"0", b"1", b"2", b"3", b"4"]


async def test_G10_a_stop_of_the_whole_program_still_commits_what_was_handed_in(tmp_path: Path) -> None:
    """The scope around everything is cancelled: callers go at once, the writer finishes."""
    path, gate = tmp_path / "orch.db", Gate()
    with anyio.CancelScope() as program:
        async with await SqliteStore.open(path, clock=ManualClock()) as store, anyio.create_task_group() as group:
            group.start_soon(store.transact, gate.work)
            await anyio.to_thread.run_sync(gate.reached.wait)
            group.start_soon(store.transact, note(b"queued"))
            await anyio.wait_all_tasks_blocked()
            program.cancel()
            gate.opened.set()
            await anyio.sleep_forever()
    assert program.cancelled_caught
    async with await SqliteStore.open(path, clock=ManualClock()) as again:
        assert await bodies(again) == [b"gate", b"queued"]


async def test_the_blocks_own_error_comes_out_unwrapped(tmp_path: Path) -> None:
    async def program() -> None:
        async with await SqliteStore.open(tmp_path / "orch.db", clock=ManualClock()) as store:
            await store.transact(note(b"x"))
            raise ConfigError("as it was")

    with pytest.raises(ConfigError, match="as it was"):
        await program()


async def test_a_store_that_was_never_started_closes_and_refuses(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "orch.db", clock=ManualClock())
    with pytest.raises(StoreError, match="closed"):
        await store.transact(note(b"x"))
    await store.aclose()


async def test_readers_see_one_state_while_the_writer_goes_on(store: SqliteStore) -> None:
    """A read in the middle of which something is committed keeps the state that it began with."""
    begun, go_on = threading.Event(), threading.Event()
    counts: list[int] = []

    def read(tx: Tx) -> None:
        counts.append(len(tx.pending_inbox()))
        begun.set()
        assert go_on.wait(10)
        counts.append(len(tx.pending_inbox()))

    async with anyio.create_task_group() as group:
        group.start_soon(store.read, read)
        await anyio.to_thread.run_sync(begun.wait)
        await store.transact(note(b"x"))
        assert len(await bodies(store)) == 1, "another reader is not held up"
        go_on.set()
    assert counts == [0, 0]
