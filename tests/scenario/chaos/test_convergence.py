"""Whatever becomes of the webhooks, the same story has the same end; only the time it takes differs."""

import os

import pytest

from tests.scenario.chaos.story import CALM, STORMS, Weather, differences, tell

SEEDS = int(os.environ.get("ORCH_CHAOS_SEEDS", "60"))
"""So many in all; ``make chaos SEEDS=n`` tells more."""


@pytest.mark.parametrize("storm", STORMS, ids=["doubled and shuffled", "some lost, doubled and shuffled", "all lost"])
def test_G9_ten_cards_come_to_the_same_end_whatever_becomes_of_the_webhooks(storm: Weather) -> None:
    calm = tell(0, CALM)
    assert sorted(calm["merged"])[0] == "feature/DEMO-1-add-a-greeting"  # type: ignore[call-overload]
    for seed in range(SEEDS // len(STORMS)):
        assert differences(calm, tell(seed, storm)) == [], f"seed {seed}: python -m tests.scenario.chaos --first {seed} --seeds 1"
