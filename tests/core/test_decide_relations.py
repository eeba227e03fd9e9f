"""Cards that wait for each other on their board: the cycle that is there, and what it means for its members."""

from dataclasses import replace

import pytest

from orch.core.decide_relations import waits_for_itself
from orch.core.dependencies import cycle_of
from orch.core.effects import Alert, Comment
from orch.core.model import ParkReason
from orch.core.stages import Stage
from tests.builders import NOW, make_context, make_park, make_task, sha

CYCLE = ("DEMO-1", "DEMO-2", "DEMO-1")


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        ({}, None),
        ({"a": ["b"], "b": ["c"]}, None),
        ({"a": ["a"]}, ["a", "a"]),
        ({"a": ["b"], "b": ["a"]}, ["a", "b", "a"]),
        ({"a": ["b", "d"], "b": ["c"], "c": ["a"], "d": ["a"]}, ["a", "d", "a"]),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, None),
    ],
    ids=["nothing", "a chain", "itself", "two", "the shortest of two", "another's cycle"],
)
def test_the_cycle_through_a_card_is_found_among_the_edges_that_are_there(edges: dict[str, list[str]], found: list[str]) -> None:
    assert cycle_of(edges, "a") == found


def test_a_member_is_parked_with_the_cycle_named_and_asks_once() -> None:
    decided = waits_for_itself(make_context(), make_task(stage=Stage.ANALYSIS), CYCLE)
    assert decided.task.park is not None
    assert decided.task.park.reason is ParkReason.DEPENDENCY_CYCLE
    assert "DEMO-1 → DEMO-2 → DEMO-1" in decided.task.park.evidence
    assert [type(effect) for effect in decided.effects].count(Comment) == 1
    assert [type(effect) for effect in decided.effects].count(Alert) == 1


@pytest.mark.parametrize(
    "fields",
    [{"stage": Stage.DONE}, {"park": make_park()}, {"cancel_requested_at": NOW}, {"landed": sha("a")}],
    ids=["done", "parked", "stopped", "landed"],
)
def test_a_member_that_cannot_be_helped_by_it_is_left_alone(fields: dict[str, object]) -> None:
    task = replace(make_task(stage=Stage.ANALYSIS), **fields)  # type: ignore[arg-type]
    assert not waits_for_itself(make_context(), task, CYCLE).changed
