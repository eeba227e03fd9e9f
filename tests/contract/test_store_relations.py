"""A board's relations in the store: beside what was declared here, never over it."""

import pytest

from orch.core.ids import IssueId
from orch.ports import Store
from tests.builders import DEMO, NOW, add_job, add_task
from tests.contract.test_store_jobs import claimed_rows

A, B, C = (IssueId(name) for name in "abc")


async def relate(store: Store, issue: IssueId, **on: bool) -> bool:
    said = {IssueId(name): closed for name, closed in on.items()}
    return await store.transact(lambda tx: tx.set_relations(DEMO, issue, said, NOW))


async def waits(store: Store, issue: IssueId) -> tuple[list[IssueId], list[IssueId], list[IssueId]]:
    """All dependencies, those of the board alone, and those that are open."""
    return await store.read(
        lambda tx: (tx.dependencies(DEMO, issue), tx.relations(DEMO, issue), tx.open_dependencies(DEMO, issue))
    )


async def test_what_the_board_says_replaces_what_it_said_and_leaves_alone_what_was_declared(store: Store) -> None:
    await store.transact(lambda tx: tx.add_dependency(DEMO, C, A, NOW))
    assert await relate(store, C, b=False)
    assert await waits(store, C) == ([A, B], [B], [A, B])
    assert not await relate(store, C, b=False)
    assert await relate(store, C)
    assert await waits(store, C) == ([A], [], [A])


async def test_a_relation_that_is_declared_too_stays_when_the_board_takes_it_back(store: Store) -> None:
    await relate(store, C, a=False)
    assert not await store.transact(lambda tx: tx.remove_dependency(DEMO, C, A))
    await store.transact(lambda tx: tx.add_dependency(DEMO, C, A, NOW))
    assert not await relate(store, C)
    assert await waits(store, C) == ([A], [], [A])
    assert await store.transact(lambda tx: tx.remove_dependency(DEMO, C, A))


async def test_a_closed_card_without_a_task_is_not_waited_for_until_it_is_opened_again(store: Store) -> None:
    await relate(store, C, a=True, b=False)
    assert (await waits(store, C))[2] == [B]
    assert await store.transact(lambda tx: tx.note_closed(DEMO, B, closed=True))
    assert not await store.transact(lambda tx: tx.note_closed(DEMO, B, closed=True))
    assert (await waits(store, C))[2] == []
    assert await store.transact(lambda tx: tx.note_closed(DEMO, A, closed=False))
    assert (await waits(store, C))[2] == [A]


async def test_a_task_counts_more_than_its_cards_column(store: Store) -> None:
    await add_task(store, issue=A)
    await relate(store, C, a=True)
    assert (await waits(store, C))[2] == [A]


async def test_a_cycle_is_kept_as_the_board_has_it_and_shows_in_the_open_edges(store: Store) -> None:
    await relate(store, A, b=False)
    await relate(store, B, a=False)
    assert await store.read(lambda tx: tx.open_edges(DEMO)) == {A: [B], B: [A]}


@pytest.mark.parametrize("takes_back", ["one", "all"])
async def test_a_relation_holds_a_job_until_it_is_taken_back(store: Store, takes_back: str) -> None:
    first, second = await add_task(store, 1, issue=A), await add_task(store, 2, issue=B)
    for task in (first, second):
        await add_job(store, task)
    await relate(store, A, b=False)
    assert await store.read(lambda tx: tx.awaiting_entry(DEMO)) == [A, B]
    assert await claimed_rows(store) == [second.row]
    assert await store.read(lambda tx: tx.awaiting_entry(DEMO)) == [A]
    if takes_back == "one":
        await relate(store, A)
    else:
        assert await store.transact(lambda tx: tx.drop_relations(DEMO))
        assert not await store.transact(lambda tx: tx.drop_relations(DEMO))
    assert await claimed_rows(store) == [first.row]
    assert await store.read(lambda tx: tx.awaiting_entry(DEMO)) == []
