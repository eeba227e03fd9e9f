"""Inbox, handled activity and outbox: once, in order, and never lost."""

import pytest

from orch.core.ids import ActivityId, OutboxId, ProjectName
from orch.core.model import NewOutbox, OutboxRow, RowState, Target
from orch.ports import Store
from tests.builders import DEMO, NOW, add_task, later, make_new_outbox


async def test_the_inbox_is_handled_in_order_and_poison_leaves_it(store: Store) -> None:
    rows = await store.transact(lambda tx: [tx.add_inbox("plane", b"%d" % n, NOW) for n in range(3)])
    await store.transact(lambda tx: tx.mark_inbox(rows[0], RowState.DONE))
    await store.transact(lambda tx: tx.mark_inbox(rows[2], RowState.PARKED, "not JSON"))
    assert [row.body for row in await store.read(lambda tx: tx.pending_inbox())] == [b"1"]
    await store.transact(lambda tx: tx.add_inbox("gitea", b"3", NOW))
    assert [row.body for row in await store.read(lambda tx: tx.pending_inbox(limit=1))] == [b"1"]


async def test_G1_an_activity_entry_is_handled_once_per_project(store: Store) -> None:
    one, two, three = map(ActivityId, ("a-1", "a-2", "a-'3\""))
    await store.transact(lambda tx: tx.mark_handled(DEMO, [one, two], NOW))
    await store.transact(lambda tx: tx.mark_handled(DEMO, [two], later(1)))
    assert await store.read(lambda tx: tx.unhandled(DEMO, [one, two, three])) == {three}
    assert await store.read(lambda tx: tx.unhandled(ProjectName("other"), [one])) == {one}
    assert await store.read(lambda tx: tx.unhandled(DEMO, [])) == set()


async def add(store: Store, new: NewOutbox) -> OutboxId | None:
    return await store.transact(lambda tx: tx.add_outbox(new))


async def end(store: Store, row: OutboxRow, state: RowState) -> None:
    await store.transact(lambda tx: tx.end_outbox(row.id, state))


async def due(store: Store, at: float = 0, limit: int = 50) -> list[OutboxRow]:
    return await store.read(lambda tx: tx.due_outbox(later(at), limit))


async def test_an_outbox_row_is_kept_whole_and_its_key_makes_it_one(store: Store) -> None:
    task = await add_task(store)
    new = make_new_outbox(task, payload={"text": "héllo", "nested": {"n": [1, None]}})
    row = await store.transact(lambda tx: tx.add_outbox(new))
    assert await store.transact(lambda tx: tx.add_outbox(new)) is None
    [kept] = await due(store)
    assert kept == OutboxRow(
        id=row or OutboxId(0),
        project=DEMO,
        task=task.row,
        target=Target.BOARD,
        kind="Comment",
        payload=new.payload,
        key=new.key,
        state=RowState.PENDING,
        tries=0,
        due_at=NOW,
        error="",
        created_at=NOW,
    )


async def test_rows_of_one_task_and_target_leave_in_order(store: Store) -> None:
    """A failing head holds the rows behind it, and nobody else's."""
    first, second = await add_task(store, 1), await add_task(store, 2)
    for key, task, target in (
        ("a1", first, Target.BOARD),
        ("a2", first, Target.BOARD),
        ("b1", first, Target.FORGE),
        ("c1", second, Target.BOARD),
        ("d1", None, Target.CHAT),
    ):
        await add(store, make_new_outbox(task, key=key, target=target))
    heads = await due(store)
    assert [row.key for row in heads] == ["a1", "b1", "c1", "d1"]
    assert [row.key for row in await due(store, limit=2)] == ["a1", "b1"]
    await store.transact(lambda tx: tx.retry_outbox(heads[0].id, later(20), "503"))
    assert [row.key for row in await due(store, 10)] == ["b1", "c1", "d1"]
    for row in heads[1:]:
        await end(store, row, RowState.DONE)
    assert await due(store, 10) == []
    assert await store.read(lambda tx: tx.next_outbox_due()) == later(20)
    [again] = await due(store, 20)
    assert (again.key, again.tries, again.error) == ("a1", 1, "503")
    await store.transact(lambda tx: tx.end_outbox(again.id, RowState.PARKED, "gave up"))
    assert [row.key for row in await due(store, 20)] == ["a2"]
    [parked] = await store.read(lambda tx: tx.list_outbox(state=RowState.PARKED))
    assert (parked.key, parked.error) == ("a1", "gave up")


async def test_nothing_is_due_in_an_empty_outbox(store: Store) -> None:
    assert await store.read(lambda tx: tx.next_outbox_due()) is None


async def test_only_the_newest_status_of_a_task_is_ever_written(store: Store) -> None:
    first, second = await add_task(store, 1), await add_task(store, 2)
    for key, task, kind in (
        ("s1", first, "SetStatus"),
        ("c1", first, "Comment"),
        ("t1", second, "SetStatus"),
        ("s2", first, "SetStatus"),
    ):
        await add(store, make_new_outbox(task, key=key, kind=kind))
    rows = await store.read(lambda tx: tx.list_outbox(task=first.row))
    assert [(row.key, row.state) for row in rows] == [
        ("s1", RowState.VOID),
        ("c1", RowState.PENDING),
        ("s2", RowState.PENDING),
    ]
    assert [row.key for row in await due(store)] == ["c1", "t1"]


async def test_a_status_that_is_set_anew_within_one_tick_of_the_clock_is_the_newest_all_the_same(store: Store) -> None:
    task = await add_task(store)
    for key in ("done", "monitoring", "done", "done"):
        await store.transact(lambda tx, key=key: tx.add_outbox(make_new_outbox(task, key=key, kind="SetStatus")))  # type: ignore[misc]
    rows = await store.read(lambda tx: tx.list_outbox())
    assert [row.key for row in rows if row.state is RowState.PENDING] == ["done+"], "once, and not twice"


@pytest.mark.parametrize(("answer", "state"), [(RowState.DONE, RowState.DONE), (RowState.PARKED, RowState.VOID)])
async def test_a_row_that_became_void_while_it_was_delivered_is_not_brought_back(
    store: Store, answer: RowState, state: RowState
) -> None:
    task = await add_task(store)
    old = await store.transact(lambda tx: tx.add_outbox(make_new_outbox(task, key="s1", kind="SetStatus")))
    assert old is not None
    await store.transact(lambda tx: tx.add_outbox(make_new_outbox(task, key="s2", kind="SetStatus")))
    await store.transact(lambda tx: tx.retry_outbox(old, later(5), "late"))
    await store.transact(lambda tx: tx.end_outbox(old, answer))
    row = (await store.read(lambda tx: tx.list_outbox(task=task.row)))[0]
    assert (row.state, row.tries) == (state, 0)
