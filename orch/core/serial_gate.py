"""The serial gate: which task of a repo may enter analysis, and which earlier ones hold the others.

Owns: who holds whom, as a pure function of who has entered, who is a fix, and who waits for whom. Does not own: which repos
have the gate (``Limits.serial_gate``), the freeze, which is asked first, and what an open dependency is (the store).
Rule: total. Only live tasks stand at the gate; one that is not named counts as terminal, and holds and is held by nobody.

Desired properties: a task never enters while an earlier one of its repo is live; and nobody waits for ever: whoever holds
somebody either can go on, or waits only for tasks that go before those that it holds.
Design: *earlier* is the smaller row, and a row is a task's place, with two exceptions. A task that has not entered and waits
for a dependency holds nobody: a batch that was created together in the wrong order starts with the task that the others wait
for. And a task that one inside the line came to wait for (a dependency declared late) takes that one's place, through others
too: else the one inside would hold a third, and the third would hold the very task that the first waits for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

from orch.core.ids import TaskRow


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One live task as the gate sees it.

    *entered*: its first analyst was claimed, or it is past analysis. *waits*: a dependency of it is open; *waits_on* names the
    live tasks among those (an issue that has no task yet can hold up its dependents, but stands at no gate).
    """

    row: TaskRow
    entered: bool
    exempt: bool = False
    waits: bool = False
    waits_on: frozenset[TaskRow] = frozenset()

    @property
    def goes_on(self) -> bool:
        """Whether neither the gate nor a dependency keeps it: its turn ends without anybody else's help."""
        return (self.entered or self.exempt) and not self.waits


def holders(task: TaskRow, standings: Iterable[Standing]) -> tuple[TaskRow, ...]:
    """Return the earlier tasks that keep *task* from entering, the first one first; none where it may enter."""
    known = {standing.row: standing for standing in standings}
    return _holders(task, known, _places(known))


def admitted(standings: Iterable[Standing]) -> frozenset[TaskRow]:
    """Return the tasks that have not entered and that nobody holds at the gate."""
    known = {standing.row: standing for standing in standings}
    places = _places(known)
    return frozenset(row for row, standing in known.items() if not standing.entered and not _holders(row, known, places))


def _holders(task: TaskRow, known: Mapping[TaskRow, Standing], places: Mapping[TaskRow, TaskRow]) -> tuple[TaskRow, ...]:
    later = known.get(task)
    if later is None or later.entered or later.exempt:
        return ()
    return tuple(row for row, earlier in sorted(known.items()) if _holds(earlier, later, places))


def _holds(earlier: Standing, later: Standing, places: Mapping[TaskRow, TaskRow]) -> bool:
    if earlier.row >= later.row:
        return False
    if earlier.goes_on:
        return True
    if earlier.waits and not earlier.entered:
        return False
    return places[earlier.row] < places[later.row]


def _places(known: Mapping[TaskRow, Standing]) -> dict[TaskRow, TaskRow]:
    """Give each task its place: its own row, or that of the first task inside the line that waits for it, if that is smaller."""
    places = {row: row for row in known}
    for inside in sorted(row for row, standing in known.items() if standing.entered):
        ahead = list(known[inside].waits_on)
        seen = {inside}
        while ahead:
            row = ahead.pop()
            if row in seen or row not in known:
                continue
            seen.add(row)
            places[row] = min(places[row], inside)
            ahead.extend(known[row].waits_on)
    return places
