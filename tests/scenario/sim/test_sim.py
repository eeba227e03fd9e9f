"""Whatever fate brings, every guarantee holds at each step and in the end; and the oracle notices when one does not."""

import os
from collections import Counter

import pytest

from tests.scenario.sim.broken import WORLDS, Broken
from tests.scenario.sim.fate import make_plan
from tests.scenario.sim.play import tell
from tests.scenario.sim.shrink import Shrinker, story

SEEDS = int(os.environ.get("ORCH_SIM_SEEDS", "100"))
"""So many in all; ``make sim SEEDS=n`` tells more."""
PARTS = 20
EVENTFUL = range(4, 16)
"""Seeds in which everything occurs that can."""
WITHIN = 8
"""So many fates a broken world may take to be noticed."""

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_guarantee_holds_under_whatever_fate(part: int) -> None:
    for seed in range(part, SEEDS, PARTS):
        told = tell(make_plan(seed))
        assert not told.faults, story(told)


def test_the_same_fate_leaves_the_same_trace() -> None:
    first, other = tell(make_plan(3)), tell(make_plan(7))
    assert (tell(make_plan(3)).digest, tell(make_plan(7)).digest) == (first.digest, other.digest)
    assert first.digest != other.digest


def test_nothing_is_vacuous() -> None:
    counts = Counter[str]()
    for seed in EVENTFUL:
        counts += tell(make_plan(seed)).counts
    for kind in (
        "crash",
        "hook lost",
        "main moves",
        "agent starts",
        "deploy",
        "error",
        "bad agent",
        "task done",
        "task cancelled",
    ):
        assert counts[kind] > 0, f"nothing of the kind {kind!r} occurred"
    assert counts["lives"] > counts["crash"], "it was started again after each crash"


@pytest.mark.parametrize("broken", WORLDS, ids=lambda broken: broken.name)
def test_a_broken_world_is_noticed(broken: Broken) -> None:
    assert broken.seek(range(1, WITHIN + 1)) is not None, f"{broken.name}: no guarantee {broken.caught_by}… failed"


def test_a_failing_fate_is_shrunk_to_what_it_needs() -> None:
    broken = next(each for each in WORLDS if each.caught_by == "G7")
    told = broken.seek(range(1, WITHIN + 1))
    assert told is not None
    guarantee = told.faults[0].guarantee
    smaller = Shrinker(guarantee, broken.tell, tries=15).shrink(told.plan)
    again = broken.tell(smaller)
    assert again.faults[0].guarantee == guarantee
    assert len(smaller.events) < len(told.plan.events) or len(told.plan.events) == 1
    assert f"--seed {told.plan.seed}" in story(again)
    assert "BROKEN" in story(again)
