"""Dependencies between issues: what a board says of them, would one more edge close a cycle, and which.

Owns: what was read of a card's relations, and the one cycle search, over plain mappings. It does not read the store: whoever
declares an edge loads the project's edges in the transaction that will write the new one.
Rule: an edge ``a -> b`` reads "a waits for b"; the answer is the shortest cycle, so that a person sees the whole of it.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

from orch.core.ids import IssueId


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """What the board says that *issue* waits for: each card, and whether it stands where nobody works on it any more.

    *unknown* are cards that the project does not have: whether they are done cannot be told, so that they are not awaited.
    *unreadable* says why the board told nothing at all: what was read before stays.
    """

    issue: IssueId
    on: Mapping[IssueId, bool] = field(default_factory=dict)
    unknown: tuple[IssueId, ...] = ()
    unreadable: str = ""


def cycle_of(edges: Mapping[str, Iterable[str]], start: str) -> list[str] | None:
    """Return the shortest cycle through *start* that *edges* hold, or None."""
    found = [cycle for on in edges.get(start, ()) if (cycle := find_cycle(edges, start, on)) is not None]
    return min(found, key=len, default=None)


def find_cycle(edges: Mapping[str, Iterable[str]], start: str, on: str) -> list[str] | None:
    """Return the cycle that adding *start* -> *on* would close, or None.

    The cycle is closed: its first and last member are *start*, each member waits for the next one. Among several the
    shortest is returned, the first found in the order of *edges* among equals. Cycles that are already there and do not
    run through the new edge do not count.
    """
    if start == on:
        return [start, start]
    came_from: dict[str, str] = {on: start}
    ahead = deque([on])
    while ahead:
        node = ahead.popleft()
        for following in edges.get(node, ()):
            if following == start:
                return _path_back(came_from, start, node)
            if following not in came_from:
                came_from[following] = node
                ahead.append(following)
    return None


def _path_back(came_from: Mapping[str, str], start: str, last: str) -> list[str]:
    """Walk from *last* back to *start* and return the cycle in the order in which its members wait."""
    backwards = [start, last]
    while backwards[-1] != start:
        backwards.append(came_from[backwards[-1]])
    return backwards[::-1]
