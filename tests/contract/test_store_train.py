"""The contract of the merge train's tables: a check takes one verdict, and what the planner remembers is kept whole."""

from dataclasses import replace
from typing import Any

import pytest

from orch.core.ids import CheckId, ProjectName, TaskRow
from orch.core.model import CheckRow, Member, TrainRow
from orch.ports import Store
from tests.builders import DEMO, NOW, later, make_new_task, sha

OTHER = ProjectName("other")
RUNNING = CheckRow(
    id=CheckId(0),
    project=DEMO,
    base=sha("b"),
    sha=sha("c"),
    tree=sha("d"),
    members=(Member(task=TaskRow(1), head=sha("e")), Member(task=TaskRow(2), head=sha("f"))),
    environment="here",
    started_at=NOW,
)


async def add(store: Store, **fields: Any) -> CheckRow:
    return await store.transact(lambda tx: tx.add_check(replace(RUNNING, **fields)))


async def test_a_check_is_kept_as_it_was_begun(store: Store) -> None:
    first, second = await add(store), await add(store, members=())
    assert first == replace(RUNNING, id=first.id)
    assert second.id > first.id
    assert await store.read(lambda tx: tx.list_checks(DEMO)) == [first, second]


async def test_S10_a_check_takes_one_verdict(store: Store) -> None:
    begun = await add(store)
    ended = replace(begun, verdict="green", tail="ok", log_path="/log", seconds=2.5, ended_at=later(3))
    late = replace(begun, verdict="red", ended_at=later(4))
    assert await store.transact(lambda tx: tx.end_check(ended))
    assert not await store.transact(lambda tx: tx.end_check(late))
    assert await store.read(lambda tx: tx.list_checks(DEMO)) == [ended]


async def test_checks_are_found_by_their_tree_and_while_they_run(store: Store) -> None:
    known = await add(store, tree=sha("1"))
    await store.transact(lambda tx: tx.end_check(replace(known, verdict="red", ended_at=later(1))))
    running, other = await add(store, tree=sha("2")), await add(store, tree=sha("3"))
    await store.transact(lambda tx: tx.end_check(replace(other, verdict="green", ended_at=later(1))))
    await add(store, project=OTHER, tree=sha("1"))

    async def found(**how: Any) -> list[int]:
        return [int(row.id) for row in await store.read(lambda tx: tx.list_checks(DEMO, **how))]

    assert await found(running=True) == [running.id]
    assert await found(trees={sha("1")}) == [known.id]
    assert await found(trees={sha("1"), sha("9")}, running=True) == [known.id, running.id]
    assert await found(trees=()) == []
    assert await found(limit=2) == [running.id, other.id]


async def test_a_train_that_was_never_saved_has_seen_nothing(store: Store) -> None:
    assert await store.read(lambda tx: tx.load_train(DEMO)) == TrainRow(project=DEMO)


async def test_everything_that_a_train_remembers_is_kept_and_overwritten_whole(store: Store) -> None:
    full = TrainRow(
        project=DEMO,
        width=9,
        suspect=TaskRow(3),
        spent=CheckId(7),
        doubt=5,
        red_main=sha("a"),
        held=((TaskRow(1), "it conflicts, дважды"), (TaskRow(2), "")),
        landings=1,
        landed=2,
        ejected=3,
        checks=4,
        wasted=5,
        lost_swaps=6,
        waits=(1.5, 2.25),
        frozen_s=12.5,
        frozen_since=later(9),
    )
    for row in (full, TrainRow(project=DEMO, width=1), replace(full, project=OTHER)):
        await store.transact(lambda tx, row=row: tx.save_train(row))  # type: ignore[misc]
        assert await store.read(lambda tx, row=row: tx.load_train(row.project)) == row  # type: ignore[misc]


@pytest.mark.parametrize("count", [0, 3])
async def test_landings_are_numbered_per_project_in_their_order(store: Store, count: int) -> None:
    def land(tx: Any, number: int) -> int:
        task = tx.insert_task(make_new_task(number))
        seq: int = tx.next_landed_seq(DEMO)
        tx.save_task(replace(task, landed=sha(number), landed_seq=seq))
        return seq

    places = [await store.transact(lambda tx, n=number: land(tx, n)) for number in range(1, count + 1)]  # type: ignore[misc]
    assert places == list(range(1, count + 1))
    assert await store.read(lambda tx: tx.next_landed_seq(DEMO)) == count + 1
    assert await store.read(lambda tx: tx.next_landed_seq(OTHER)) == 1
