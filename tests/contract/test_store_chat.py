"""What the store keeps of the chat: trackers, asked reasons, the updates' offset, where a chat went."""

from dataclasses import replace

from orch.core.ids import TaskRow
from orch.core.model import ReasonAsked, Target, Tracker
from orch.ports import Store
from tests.builders import NOW, add_task, later, make_new_outbox

CHAT = "-1001"


def tracker(task: TaskRow, **fields: object) -> Tracker:
    return replace(Tracker(task=task, chat=CHAT, message=5, digest="d1", at=NOW), **fields)  # type: ignore[arg-type]


async def test_a_task_has_one_tracker_and_the_newest_counts(store: Store) -> None:
    task = await add_task(store, 1)
    assert await store.read(lambda tx: tx.load_tracker(task.row)) is None
    for each in (tracker(task.row), tracker(task.row, message=9, digest="d2", chat="-1002", closed=True, at=later(60))):
        await store.transact(lambda tx, each=each: tx.save_tracker(each))  # type: ignore[misc]
        assert await store.read(lambda tx: tx.load_tracker(task.row)) == each


async def test_the_trackers_that_do_not_show_their_tasks_end_are_open(store: Store) -> None:
    one, two = await add_task(store, 1), await add_task(store, 2)
    await store.transact(lambda tx: tx.save_tracker(tracker(one.row)))
    await store.transact(lambda tx: tx.save_tracker(tracker(two.row, closed=True)))
    assert await store.read(lambda tx: tx.open_trackers()) == [one.row]
    await store.transact(lambda tx: tx.save_tracker(tracker(one.row, closed=True)))
    assert await store.read(lambda tx: tx.open_trackers()) == []


async def test_a_question_is_found_by_its_message_until_it_is_answered_or_old(store: Store) -> None:
    first = ReasonAsked(chat=CHAT, message=7, press="rA1.a", user="42", at=NOW)
    others = [replace(first, chat="-1002"), replace(first, message=8, at=later(9))]
    for each in (first, *others):
        await store.transact(lambda tx, each=each: tx.save_reason_asked(each))  # type: ignore[misc]
    assert await store.read(lambda tx: tx.load_reason_asked(CHAT, 7)) == first
    await store.transact(lambda tx: tx.drop_reason_asked(CHAT, 7, NOW))
    assert await store.read(lambda tx: tx.load_reason_asked(CHAT, 7)) is None
    assert [await store.read(lambda tx, it=it: tx.load_reason_asked(it.chat, it.message)) for it in others] == others  # type: ignore[misc]
    await store.transact(lambda tx: tx.drop_reason_asked(CHAT, 99, later(5)))
    found = [await store.read(lambda tx, it=it: tx.load_reason_asked(it.chat, it.message)) for it in others]  # type: ignore[misc]
    assert found == [None, others[1]]


async def test_each_bot_has_its_offset(store: Store) -> None:
    assert await store.read(lambda tx: tx.load_chat_offset("1")) == 0
    for bot, offset in (("1", 10), ("2", 3), ("1", 11)):
        await store.transact(lambda tx, bot=bot, offset=offset: tx.save_chat_offset(bot, offset))  # type: ignore[misc]
    assert await store.read(lambda tx: (tx.load_chat_offset("1"), tx.load_chat_offset("2"))) == (11, 3)


async def test_a_chat_is_followed_wherever_it_went(store: Store) -> None:
    assert await store.read(lambda tx: tx.chat_address(CHAT)) == CHAT
    for source, target in ((CHAT, "-2"), ("-2", "-3"), ("-3", "-3")):
        await store.transact(lambda tx, source=source, target=target: tx.save_chat_move(source, target))  # type: ignore[misc]
    assert await store.read(lambda tx: tx.chat_address(CHAT)) == "-3"
    await store.transact(lambda tx: tx.save_chat_move("-3", CHAT))  # back again: followed for a while, never for ever
    assert await store.read(lambda tx: tx.chat_address(CHAT)) in (CHAT, "-2", "-3")


async def test_due_rows_can_be_asked_for_without_those_of_one_target(store: Store) -> None:
    task = await add_task(store, 1)
    for target in Target:
        row = make_new_outbox(task, target=target, key=f"k-{target}")
        await store.transact(lambda tx, row=row: tx.add_outbox(row))  # type: ignore[misc]
    due = await store.read(lambda tx: tx.due_outbox(later(1)))
    without = await store.read(lambda tx: tx.due_outbox(later(1), but=Target.CHAT))
    assert {row.target for row in due} == set(Target)
    assert {row.target for row in without} == set(Target) - {Target.CHAT}
