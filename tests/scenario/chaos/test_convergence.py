"""Whatever becomes of the webhooks, the same story has the same end; only the time it takes differs."""

import os

import pytest

from tests.scenario.chaos.story import CALM, STORMS, TEN, THREE, Weather, differences, tell

SEEDS = int(os.environ.get("ORCH_CHAOS_SEEDS", "201"))
"""So many in all; ``make chaos SEEDS=n`` tells more."""
LONG = 30
"""One in so many is told with ten cards, the others with three."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("storm", STORMS, ids=["doubled and shuffled", "some lost, doubled and shuffled", "all lost"])
def test_G9_cards_come_to_the_same_end_whatever_becomes_of_the_webhooks(storm: Weather) -> None:
    calm = {cast: tell(0, CALM, cast) for cast in (THREE, TEN)}
    assert [len(end["merged"]) for end in calm.values()] == [2, 9]  # type: ignore[arg-type]
    for seed in range(SEEDS // len(STORMS)):
        cast = TEN if seed % LONG == 0 else THREE
        again = f"seed {seed}: python -m tests.scenario.chaos --first {seed} --seeds 1 --cards {cast.cards}"
        assert differences(calm[cast], tell(seed, storm, cast)) == [], again
