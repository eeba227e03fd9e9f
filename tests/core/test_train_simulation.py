"""Stories of the simulation with fixed seeds, under the real planner: what it lands is safe, whatever the figures are."""

import pytest

from tests.bench.train.figures import play
from tests.bench.train.policies import Lease
from tests.bench.train.product import Product
from tests.bench.train.world import Scenario

STORIES = {
    "a burst": Scenario(),
    "one slot": Scenario(slots=1, p=0.3, tasks=16),
    "pairs that clash": Scenario(clashing=0.3, slots=2, tasks=32),
    "flakes, and runs that take differently long": Scenario(flake=0.05, jitter=0.5),
    "arrivals, pushes from outside, STOPs": Scenario(rate=2.0, pushes=0.3, leaving=0.2, jitter=0.2),
    "a main that others break": Scenario(pushes=0.3, breaks=0.5, tasks=32, jitter=0.2),
}


@pytest.mark.parametrize("name", STORIES)
def test_S1_every_landing_is_truly_green_and_every_task_ends_in(name: str) -> None:
    totals = play(Product, STORIES[name], 4)
    assert totals.unsafe == 0
    assert totals.unfinished == 0
    assert sum(ledger.landed for ledger in totals.ledgers) > 0


def test_nobody_is_ejected_who_is_not_red_where_no_test_flakes() -> None:
    totals = play(Product, Scenario(p=0.2, clashing=0.2), 6)
    assert sum(ledger.ejected for ledger in totals.ledgers) > 0
    assert totals.innocent == 0


def test_the_train_takes_a_fraction_of_the_time_of_the_plain_lease() -> None:
    """Virtual time and fixed seeds: the same in every run, and far from the bound."""
    scenario = Scenario()
    ours, theirs = play(Product, scenario, 10), play(lambda _: Lease(), scenario, 10)
    assert ours.wall < theirs.wall / 4
    assert ours.runs < 0.8
