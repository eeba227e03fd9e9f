"""The landing protocol, looked at exhaustively: no order of events breaks an invariant, and each safeguard is needed for that.

Within its bounds (three tasks, two slots, each disturbance as often as its story says) every state is visited. The planner, the
order of the chain and the membership check are the product's own; store, git and daemon are ``train_model``.
"""

import pytest

from tests.core.train_explorer import explore, without
from tests.core.train_world import Story

HALVES = ((1, 2),)
OUTSIDER = ((0, 1),)
STORIES = {
    "two halves that break main together, a push from outside, a crash, a STOP": Story(
        clashing=HALVES, width=2, budget={"push": 1, "crash": 1, "stop": 1}
    ),
    "a freeze, a fix, a STOP and a crash": Story(
        clashing=HALVES, width=2, fixes=frozenset({3}), budget={"crash": 1, "freeze": 1, "unfreeze": 1, "stop": 1}
    ),
    "a newer head in mid-run, and a task that needs another": Story(
        needs={3: 1}, width=2, budget={"crash": 1, "repush": 1, "push": 1}
    ),
    "a broken task among flakes": Story(broken=frozenset({(2, 0)}), width=2, budget={"flake": 2}),
    "time-outs": Story(tasks=2, broken=frozenset({(2, 0)}), width=2, budget={"timeout": 4, "resume": 1}),
    "a push from outside that breaks main, and a fix": Story(
        broken=frozenset({(0, 1)}), fixes=frozenset({3}), width=2, budget={"push": 1, "unfreeze": 1}
    ),
    "a red main, a fix and a flake": Story(
        tasks=2, broken=frozenset({(0, 1)}), fixes=frozenset({2}), width=2, budget={"push": 1, "flake": 1, "unfreeze": 1}
    ),
    "two that conflict, the first of them broken": Story(
        conflicting=HALVES, broken=frozenset({(1, 0)}), width=2, budget={"push": 1, "stop": 1}
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_S1_to_S11_hold_in_every_state_of(name: str) -> None:
    explored = explore(STORIES[name])
    print(f"{name}: {explored}")
    assert not explored.broken, str(explored)
    assert explored.states > 1_000


def test_without_the_base_check_main_breaks() -> None:
    explored = explore(Story(clashing=OUTSIDER, width=2, budget={"push": 1}), without("base_check"))
    print(explored)
    assert explored.broken.startswith("S1: main is red")
    assert explored.trace == (
        "1 is queued",
        "the check of 1 ends green",
        "someone pushes to main",
        "intend to land 1",
        "push 1",
    )


def test_without_the_membership_check_a_stopped_task_lands() -> None:
    explored = explore(Story(width=2, budget={"stop": 1}), without("membership"))
    print(explored)
    assert explored.broken == "S4: 1 has left the queue"
    assert explored.trace == ("1 is queued", "the check of 1 ends green", "STOP 1", "intend to land 1")


def test_without_asking_git_after_a_crash_a_task_lands_twice() -> None:
    explored = explore(Story(width=2, budget={"crash": 1}), without("reconcile"))
    print(explored)
    assert explored.broken == "S5: [1] landed twice"
    assert explored.trace[2:6] == ("intend to land 1", "push 1", "crash", "restart")
