"""The serial gate: who holds whom, row by row, and over every small graph: nobody overtakes, nobody waits for ever."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, combinations, product
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.ids import TaskRow
from orch.core.serial_gate import Standing, admitted, holders

T = TypeVar("T")


def task(row: int, *on: int, entered: bool = False, exempt: bool = False, waits: bool | None = None) -> Standing:
    """A live task that waits for the tasks *on*; *waits* True alone: for an issue that has no task yet."""
    waits_on = frozenset(TaskRow(other) for other in on)
    return Standing(
        row=TaskRow(row), entered=entered, exempt=exempt, waits=bool(on) if waits is None else waits, waits_on=waits_on
    )


TABLE: dict[str, tuple[list[Standing], dict[int, tuple[int, ...]]]] = {
    "alone": ([task(1)], {1: ()}),
    "a batch goes one after the other": ([task(1), task(2), task(3)], {1: (), 2: (1,), 3: (1, 2)}),
    "one inside holds those behind it": ([task(1, entered=True), task(2)], {1: (), 2: (1,)}),
    "one inside does not hold those before it": ([task(1), task(2, entered=True)], {1: (), 2: ()}),
    "one that is terminal is not there, and holds nobody": ([task(2), task(3)], {2: (), 3: (2,)}),
    "a fix passes": ([task(1, entered=True), task(2, exempt=True)], {2: ()}),
    "a fix holds those behind it": ([task(1, exempt=True), task(2)], {1: (), 2: (1,)}),
    "outside and waiting for a later one: it holds nobody": ([task(1, 2), task(2)], {1: (), 2: ()}),
    "outside and waiting for an issue without a task": ([task(1, waits=True), task(2), task(3)], {2: (), 3: (2,)}),
    "a fix that waits for a dependency holds nobody": ([task(1, 2, exempt=True), task(2)], {2: ()}),
    "inside and waiting: it does not hold what it waits for": ([task(1, 2, entered=True), task(2), task(3)], {2: (), 3: (1, 2)}),
    "nor what it waits for through others": ([task(1, 2, entered=True), task(2, 3), task(3)], {2: (), 3: ()}),
    "inside and waiting for an issue without a task: it holds": ([task(1, entered=True, waits=True), task(2)], {2: (1,)}),
    "what one inside waits for goes before those it holds": ([task(1, 3, entered=True), task(2), task(3)], {2: (1,), 3: ()}),
    "what goes on holds also what an older one inside waits for": (
        [task(1, 3, entered=True), task(2, entered=True), task(3)],
        {3: (2,)},
    ),
    "two inside wait for each other's turn": (
        [task(1, 4, entered=True), task(2, 3, entered=True), task(3), task(4)],
        {3: (1,), 4: ()},
    ),
}


@pytest.mark.parametrize(("standings", "expected"), TABLE.values(), ids=TABLE.keys())
def test_who_holds_whom(standings: list[Standing], expected: dict[int, tuple[int, ...]]) -> None:
    assert {row: holders(TaskRow(row), standings) for row in expected} == expected
    let_in = {int(standing.row) for standing in standings if not standing.entered and not holders(standing.row, standings)}
    assert admitted(standings) == let_in


def test_it_opens_for_a_task_that_it_knows_nothing_of() -> None:
    assert holders(TaskRow(9), [task(1), task(2)]) == ()


STANDINGS = st.lists(
    st.builds(
        Standing,
        row=st.integers(1, 6).map(TaskRow),
        entered=st.booleans(),
        exempt=st.booleans(),
        waits=st.booleans(),
        waits_on=st.frozensets(st.integers(0, 8).map(TaskRow), max_size=4),
    ),
    max_size=8,
)


@given(STANDINGS, st.integers(0, 9).map(TaskRow))
def test_it_has_an_answer_whatever_it_is_told(standings: list[Standing], row: TaskRow) -> None:
    """Cycles, doubles, waits for tasks that are not there, waits that name nobody: never an error, and only earlier ones hold."""
    held = holders(row, standings)
    assert all(holder < row for holder in held)
    assert admitted(reversed(standings)) <= {standing.row for standing in standings}


# ------------------------------------------------------------------------------------------------ every small graph

SIZES = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class Line:
    """A repo's tasks: the first *made* of *count* are there; which have entered, which are terminal. Rows count from 1."""

    count: int
    made: int
    edges: frozenset[tuple[int, int]]
    fixes: frozenset[int] = frozenset()
    entered: frozenset[int] = frozenset()
    ended: frozenset[int] = frozenset()

    def standings(self) -> list[Standing]:
        live = set(range(1, self.made + 1)) - self.ended
        waits = {row: {on for waiting, on in self.edges if waiting == row} - self.ended for row in live}
        return [
            task(
                row,
                *(waits[row] & live),
                entered=row in self.entered,
                exempt=row in self.fixes,
                waits=bool(waits[row]),
            )
            for row in sorted(live)
        ]

    def moves(self) -> Iterator["Line"]:
        """Yield each thing that can happen by itself: a task is let in, one inside ends."""
        standings = self.standings()
        let_in = admitted(standings)
        for standing in standings:
            row = int(standing.row)
            if standing.entered and not standing.waits:
                yield replace(self, ended=self.ended | {row})
            elif not standing.waits and standing.row in let_in:
                yield replace(self, entered=self.entered | {row})

    def overtaken(self, row: int) -> list[int]:
        """Return the earlier live tasks that *row* overtakes by entering now, those that let it pass left out."""
        if row in self.fixes:
            return []
        by_row = {int(standing.row): standing for standing in self.standings()}
        wanted = {inside: self._closure(inside) for inside in self.entered - self.ended}
        return [
            earlier
            for earlier, standing in by_row.items()
            if earlier < row
            and (
                standing.goes_on
                or not (
                    (standing.waits and not standing.entered)
                    or any(row in closure and inside <= earlier for inside, closure in wanted.items())
                )
            )
        ]

    def _closure(self, row: int) -> set[int]:
        """Return whatever *row* waits for, directly or through others."""
        found: set[int] = set()
        ahead = [row]
        while ahead:
            here = ahead.pop()
            for waiting, on in self.edges:
                if waiting == here and on not in self.ended and on not in found:
                    found.add(on)
                    ahead.append(on)
        return found


def subsets(of: Iterable[T]) -> Iterator[frozenset[T]]:
    items = list(of)
    return map(frozenset, chain.from_iterable(combinations(items, size) for size in range(len(items) + 1)))


def graphs(count: int) -> Iterator[frozenset[tuple[int, int]]]:
    """Yield every acyclic set of dependencies among *count* tasks, whatever their order of creation."""
    rows = range(1, count + 1)
    for edges in subsets((a, b) for a, b in product(rows, rows) if a != b):
        left = set(rows)
        while free := {row for row in left if not any(waiting == row and on in left for waiting, on in edges)}:
            left -= free
        if not left:
            yield edges


def walk(start: Line) -> None:
    """Go every way that the line can go from *start*: nobody overtakes, and it never stands still while somebody waits."""
    seen, ahead = {start}, [start]
    while ahead:
        here = ahead.pop()
        moves = list(here.moves())
        to_be_made = [] if here.made == here.count else [replace(here, made=here.made + 1)]
        assert moves or to_be_made or len(here.ended) == here.count, f"nobody goes on: {here}"
        for move in moves:
            for row in move.entered - here.entered:
                assert not here.overtaken(row), f"{row} overtakes in {here}"
        for following in (*moves, *to_be_made):
            if following not in seen:
                seen.add(following)
                ahead.append(following)


@pytest.mark.parametrize("count", SIZES)
def test_every_batch_goes_through_in_order_under_any_graph_and_set_of_fixes(count: int) -> None:
    """Made at once, in every order that the dependencies can have to it."""
    for edges, fixes in product(graphs(count), subsets(range(1, count + 1))):
        walk(Line(count=count, made=count, edges=edges, fixes=fixes))


@pytest.mark.parametrize("count", SIZES[:-1])
def test_tasks_that_come_one_by_one_go_through_in_order(count: int) -> None:
    for edges, fixes in product(graphs(count), subsets(range(1, count + 1))):
        walk(Line(count=count, made=0, edges=edges, fixes=fixes))


@pytest.mark.parametrize("count", SIZES)
def test_it_never_stands_still_whoever_was_inside_when_dependencies_were_declared(count: int) -> None:
    """Any of them inside already: a gate that was switched on later, a fix, a dependency that was declared too late."""
    for edges, entered in product(graphs(count), subsets(range(1, count + 1))):
        walk(Line(count=count, made=count, edges=edges, entered=entered))
