"""What a transaction of the store promises: whole or not at all, alone in its failure, invisible before it is done."""

from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest

from orch.core.errors import DomainError, StoreError
from orch.core.ids import InboxId, TaskRow
from orch.ports import Store, Tx
from tests.builders import DEMO, NOW, add_task, make_new_outbox, make_new_task, make_task


async def inbox_bodies(store: Store) -> list[bytes]:
    return [row.body for row in await store.read(lambda tx: tx.pending_inbox())]


async def test_G1_what_was_answered_can_be_read(store: Store) -> None:
    body = b'{"broken": \xff\x00'
    row = await store.transact(lambda tx: tx.add_inbox("plane", body, NOW))
    [kept] = await store.read(lambda tx: tx.pending_inbox())
    assert (kept.id, kept.source, kept.body, kept.created_at) == (row, "plane", body, NOW)


async def test_work_that_raises_leaves_nothing_and_its_error_is_its_callers(store: Store) -> None:
    class Refused(Exception):
        pass

    def work(tx: Tx) -> None:
        tx.add_inbox("plane", b"half", NOW)
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        await store.transact(work)
    assert await inbox_bodies(store) == []


async def test_one_failing_piece_of_many_is_undone_alone(store: Store) -> None:
    refused: list[int] = []

    async def write(number: int) -> None:
        def work(tx: Tx) -> InboxId:
            row = tx.add_inbox("plane", str(number).encode(), NOW)
            if number % 3 == 0:
                raise DomainError(f"piece {number}")
            return row

        if number % 3:
            await store.transact(work)
            return
        with pytest.raises(DomainError, match=f"^piece {number}$"):
            await store.transact(work)
        refused.append(number)

    async with anyio.create_task_group() as group:
        for number in range(12):
            group.start_soon(write, number)
    assert sorted(refused) == [0, 3, 6, 9]
    assert sorted(map(int, await inbox_bodies(store))) == [1, 2, 4, 5, 7, 8, 10, 11]


async def test_a_write_inside_a_read_fails(store: Store) -> None:
    with pytest.raises(StoreError):
        await store.read(lambda tx: tx.add_inbox("plane", b"x", NOW))
    await store.transact(lambda tx: tx.add_inbox("plane", b"y", NOW))
    assert await inbox_bodies(store) == [b"y"]


async def test_a_broken_uniqueness_is_a_domain_error_not_a_library_type(store: Store) -> None:
    await add_task(store, 1)
    second = await add_task(store, 2)
    clashing = make_task(row=second.row, issue="DEMO-1", work_item="DEMO-2", branch="feature/DEMO-2-x")
    with pytest.raises(DomainError, match="UNIQUE"):
        await store.transact(lambda tx: tx.save_task(clashing))
    kept = await store.read(lambda tx: tx.load_task(second.row))
    assert kept == second


async def test_a_row_that_names_a_missing_task_is_refused(store: Store) -> None:
    with pytest.raises(DomainError):
        await store.transact(lambda tx: tx.add_outbox(make_new_outbox(make_task(99))))


async def test_G2_racing_sources_make_one_task(store: Store) -> None:
    made: list[TaskRow] = []

    async def source() -> None:
        task = await store.transact(lambda tx: tx.insert_task(make_new_task(7)))
        if task is not None:
            made.append(task.row)

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(source)
    assert len(made) == 1
    assert [task.row for task in await store.read(lambda tx: tx.list_tasks(project=DEMO))] == made


async def test_G10_a_cancelled_caller_leaves_a_whole_transaction_or_none(store: Store) -> None:
    """Whoever is cancelled while waiting, both rows are there or neither, and the next transaction is not drawn in."""

    def pair(number: int) -> Callable[[Tx], None]:
        def work(tx: Tx) -> None:
            tx.add_inbox("left", str(number).encode(), NOW)
            tx.add_inbox("right", str(number).encode(), NOW)

        return work

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(store.transact, pair(number))
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    await store.transact(lambda tx: tx.add_inbox("after", b"after", NOW))
    rows = await store.read(lambda tx: tx.pending_inbox())
    left = [row.body for row in rows if row.source == "left"]
    assert left == [row.body for row in rows if row.source == "right"]
    assert [row.body for row in rows if row.source == "after"] == [b"after"]


async def test_hostile_text_and_numbers_do_not_stop_a_write(store: Store) -> None:
    lone = "broken \ud800 text\x00 with NUL"
    task = await add_task(store, 1, title=lone)
    assert task.title == "broken ? text\x00 with NUL"
    key = await store.transact(lambda tx: tx.add_outbox(make_new_outbox(task, payload={"text": lone, "n": 2**70})))
    [row] = await store.read(lambda tx: tx.list_outbox(task=task.row))
    assert (row.id, row.payload) == (key, {"text": lone, "n": 2**70})


async def test_work_after_the_close_is_refused(store: Store) -> None:
    await store.aclose()
    await store.aclose()
    with pytest.raises(StoreError, match="closed"):
        await store.transact(lambda tx: None)
    with pytest.raises(StoreError, match="closed"):
        await store.read(lambda tx: None)
