"""Would one more dependency close a cycle, and which."""

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.dependencies import find_cycle

Edges = dict[str, list[str]]


@pytest.mark.parametrize(
    ("edges", "start", "on", "cycle"),
    [
        ({}, "A", "B", None),
        ({}, "A", "A", ["A", "A"]),
        ({"B": ["A"]}, "A", "B", ["A", "B", "A"]),
        ({"B": ["C"], "C": ["A"]}, "A", "B", ["A", "B", "C", "A"]),
        ({"A": ["C"], "B": ["C"]}, "A", "B", None),
        ({"B": ["C", "D"], "C": ["X"], "X": ["A"], "D": ["A"]}, "A", "B", ["A", "B", "D", "A"]),
        ({"A": ["B"]}, "A", "B", None),
        ({"X": ["Y"], "Y": ["X"], "B": ["X"]}, "A", "B", None),
    ],
)
def test_the_cycle_that_an_edge_would_close(edges: Edges, start: str, on: str, cycle: list[str] | None) -> None:
    assert find_cycle(edges, start, on) == cycle


def test_a_long_chain_is_no_matter_of_recursion() -> None:
    edges = {str(n): [str(n + 1)] for n in range(20_000)}
    found = find_cycle(edges, "20000", "0")
    assert found is not None
    assert len(found) == 20_002
    assert find_cycle(edges, "x", "0") is None


NODES = st.sampled_from("ABCDEF")


@given(st.lists(st.tuples(NODES, NODES), max_size=14), NODES, NODES)
def test_it_agrees_with_the_standard_librarys_sorter(pairs: list[tuple[str, str]], start: str, on: str) -> None:
    """Built edge by edge, refusing what closes a cycle, the graph stays sortable; and what is refused could not be sorted."""
    edges: Edges = {}
    for one, other in pairs:
        if find_cycle(edges, one, other) is None:
            edges.setdefault(one, []).append(other)
    TopologicalSorter(edges).prepare()
    cycle = find_cycle(edges, start, on)
    after = {**edges, start: [*edges.get(start, []), on]}
    if cycle is None:
        TopologicalSorter(after).prepare()
        return
    with pytest.raises(CycleError):
        TopologicalSorter(after).prepare()
    assert cycle[0] == cycle[-1] == start
    assert cycle[1] == on
    assert all(following in after[node] for node, following in pairwise(cycle))
    assert len(set(cycle)) == len(cycle) - 1
