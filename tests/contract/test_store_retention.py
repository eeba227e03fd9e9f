"""What is old enough to go, as both stores see it: an ended task's archive once, handled events, and nothing of a live task."""

from dataclasses import replace
from datetime import datetime, timedelta

from orch.core.ids import TaskRow
from orch.core.model import NewOutbox, RowState, RunKind, Target, Task
from orch.core.stages import Stage
from orch.ports import Store, Tx
from tests.builders import DEMO, NOW, add_task, later

MONTH = timedelta(days=30)


async def ended(store: Store, number: int, at: datetime, stage: Stage = Stage.DONE) -> Task:
    task = await add_task(store, number)

    def work(tx: Tx) -> None:
        tx.start_run(task, kind=RunKind.CI, job=None, role=None, at=NOW)
        tx.save_task(replace(task, stage=stage, finished_at=at))
        tx.end_sweep(task.row)

    await store.transact(work)
    return task


async def old(store: Store, before: datetime) -> list[TaskRow]:
    return [each.task for each in await store.read(lambda tx: tx.retirable(before, 10))]


async def test_an_ended_task_is_retirable_once_and_only_when_it_is_old(store: Store) -> None:
    first, second = await ended(store, 1, NOW), await ended(store, 2, later(10), Stage.CANCELLED)
    live = await add_task(store, 3)
    assert await old(store, NOW) == []
    assert await old(store, later(5)) == [first.row]
    found = await store.read(lambda tx: tx.retirable(later(20), 10))
    assert [each.task for each in found] == [first.row, second.row]
    assert [(len(each.runs), each.branch, each.project) for each in found] == [(1, first.branch, DEMO), (1, second.branch, DEMO)]
    await store.transact(lambda tx: tx.retire(first.row))
    await store.transact(lambda tx: tx.retire(live.row))
    assert await old(store, later(20)) == [second.row]


async def test_one_that_is_not_swept_yet_keeps_everything(store: Store) -> None:
    task = await add_task(store, 1)
    await store.transact(lambda tx: tx.save_task(replace(task, stage=Stage.DONE, finished_at=NOW)))
    assert await old(store, later(1)) == []


async def test_handled_events_go_and_waiting_ones_stay(store: Store) -> None:
    def work(tx: Tx) -> None:
        done, waiting = tx.add_inbox("plane", b"1", NOW), tx.add_inbox("plane", b"2", NOW)
        tx.mark_inbox(done, RowState.DONE)
        tx.mark_inbox(tx.add_inbox("plane", b"3", later(60)), RowState.DONE)
        assert waiting

    await store.transact(work)
    assert await store.transact(lambda tx: tx.forget_old_rows(later(30))) == 1
    assert await store.transact(lambda tx: tx.forget_old_rows(later(30))) == 0
    assert [row.body for row in await store.read(lambda tx: tx.pending_inbox())] == [b"2"]


async def test_a_delivered_write_is_known_as_long_as_its_task_could_ask_for_it_again(store: Store) -> None:
    task = await ended(store, 1, NOW)

    def write(tx: Tx) -> bool:
        new = NewOutbox(project=DEMO, task=task.row, target=Target.BOARD, kind="Comment", payload={}, key="one", at=NOW)
        row = tx.add_outbox(new)
        if row is not None:
            tx.end_outbox(row, RowState.DONE)
        return row is not None

    assert await store.transact(write)
    await store.transact(lambda tx: tx.forget_old_rows(NOW + MONTH))
    assert not await store.transact(write)
    await store.transact(lambda tx: tx.retire(task.row))
    assert await store.transact(lambda tx: tx.forget_old_rows(NOW + MONTH)) == 1
