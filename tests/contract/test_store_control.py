"""What the control keeps in the store: unexplained columns, processes that could not be ended, a card's newest text."""

from dataclasses import replace

from orch.core.ids import IssueId, ProjectName
from orch.core.model import Survivor, Unexplained
from orch.ports import Store
from tests.builders import DEMO, NOW, add_task, later

SEEN = Unexplained(project=DEMO, issue=IssueId("DEMO-1"), column="stop", looks=1, at=NOW)


async def test_an_unexplained_column_is_kept_one_per_issue_until_it_is_dropped(store: Store) -> None:
    assert await store.read(lambda tx: tx.load_unexplained(DEMO, SEEN.issue)) is None
    await store.transact(lambda tx: tx.save_unexplained(SEEN))
    newer = replace(SEEN, column="approved", looks=3, at=later(20))
    other = replace(SEEN, project=ProjectName("other"))
    for each in (newer, other):
        await store.transact(lambda tx, each=each: tx.save_unexplained(each))  # type: ignore[misc]
    assert await store.read(lambda tx: tx.load_unexplained(DEMO, SEEN.issue)) == newer
    assert await store.read(lambda tx: tx.list_unexplained(DEMO)) == [newer]
    await store.transact(lambda tx: tx.drop_unexplained(DEMO, SEEN.issue))
    assert await store.read(lambda tx: tx.list_unexplained(DEMO)) == []
    assert await store.read(lambda tx: tx.list_unexplained(other.project)) == [other]


async def test_survivors_are_kept_by_task_and_saying_who_is_left_replaces_who_was(store: Store) -> None:
    one, two = await add_task(store, 1), await add_task(store, 2)
    left = [Survivor(pid=7, started=1, name="sleep"), Survivor(pid=7, started=2), Survivor(pid=9, started=1)]
    await store.transact(lambda tx: tx.save_survivors(one.row, [*left, left[0]]))
    await store.transact(lambda tx: tx.save_survivors(two.row, left[:1]))
    assert await store.read(lambda tx: tx.list_survivors()) == {one.row: left, two.row: left[:1]}
    await store.transact(lambda tx: tx.save_survivors(one.row, left[2:]))
    assert await store.read(lambda tx: tx.list_survivors(one.row)) == {one.row: left[2:]}
    await store.transact(lambda tx: tx.save_survivors(one.row, []))
    assert await store.read(lambda tx: tx.list_survivors(one.row)) == {}


async def test_what_a_card_says_now_and_the_merge_to_begin_with_are_kept_with_the_task(store: Store) -> None:
    task = await add_task(store, 1)
    assert (task.merge_main, task.newest_title, task.newest_description) == (False, None, None)
    changed = replace(task, merge_main=True, newest_title="", newest_description="Greet in Latin.\n")
    await store.transact(lambda tx: tx.save_task(changed))
    assert await store.read(lambda tx: tx.load_task(task.row)) == changed
