"""The merge train's real planner on a virtual clock, against the plain lease and others.

Run: ``python -m tests.bench.bench_train`` (half a minute), or with ``--full`` for the whole table (half an hour).
Times are in units of one run of the test command. The ratio is the speed-up over the plain lease, which takes one task after the
other under the same rule of blame: red twice on a main that is known to be green, three times once a tree was seen both red and
green. Each figure is the mean over its seeds.
Unsafe landings are counted by an auditor that recomputes the truth of every value main ever had. Innocent ejections are those of
tasks that are truly green on the main of that moment, in per cent of all tasks; each seed begins with a train that has seen no
flake yet, which is the worst case.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from itertools import product

from tests.bench.harness import Bench
from tests.bench.train.figures import Totals, play
from tests.bench.train.policies import Bisection, Lease, Oracle, Speculation
from tests.bench.train.product import Product
from tests.bench.train.world import Policy, Scenario

Make = Callable[[int], Policy]
OTHERS: dict[str, Make] = {
    "bisection": lambda _: Bisection(),
    "speculative train": lambda _: Speculation(),
    "rebuild on enqueue": lambda _: Bisection(rebuild=True),
    "oracle": lambda _: Oracle(),
}


GOALS = {(64, 1, 0.05), (64, 4, 0.05), (8, 1, 0.3), (16, 1, 0.3)}


def lease(_: int) -> Policy:
    return Lease()


def short(number: float) -> str:
    """Return .05 for 0.05."""
    return f"{number:g}".removeprefix("0") or "0"


class Table:
    """Rows of figures, and what must be nought in all of them."""

    def __init__(self) -> None:
        self.bench = Bench("train")
        self._leases: dict[tuple[Scenario, int], Totals] = {}
        self.unsafe = self.unfinished = self.stories = 0

    def lease(self, scenario: Scenario, seeds: int) -> Totals:
        key = (replace(scenario, slots=1), seeds)
        if key not in self._leases:
            self._leases[key] = play(lease, key[0], seeds)
        return self._leases[key]

    def play(self, scenario: Scenario, seeds: int) -> Totals:
        totals = play(Product, scenario, seeds)
        self.unsafe += totals.unsafe
        self.unfinished += totals.unfinished
        self.stories += seeds
        return totals

    def cell(self, scenario: Scenario, seeds: int, what: str = "") -> None:
        """The time to the end of a burst, and the runs per task."""
        name = f"K={scenario.slots} p={short(scenario.p)} N={scenario.tasks}{what}"
        base, ours = self.lease(scenario, seeds), self.play(scenario, seeds)
        self.bench.add(name, ours.wall, "checks", baseline=base.wall, lower_is_better=True)
        self.bench.add(f"{name} runs per task", ours.runs, "runs", baseline=base.runs, lower_is_better=True)

    def rival(self, name: str, make: Make, scenario: Scenario, seeds: int) -> None:
        base, theirs = self.lease(scenario, seeds), play(make, scenario, seeds)
        told = f"K={scenario.slots} p={short(scenario.p)} N={scenario.tasks} {name}"
        self.bench.add(told, theirs.wall, "checks", baseline=base.wall, lower_is_better=True)
        self.bench.add(f"{told} runs per task", theirs.runs, "runs", baseline=base.runs, lower_is_better=True)

    def arrivals(self, scenario: Scenario, seeds: int) -> None:
        """Tasks that come one by one: how long one waits until it has landed or was ejected."""
        name = f"K={scenario.slots} p={short(scenario.p)} N={scenario.tasks}, {scenario.rate:g} arrivals a check, median wait"
        base, ours = self.lease(scenario, seeds), self.play(scenario, seeds)
        self.bench.add(name, ours.wait, "checks", baseline=base.wait, lower_is_better=True)
        for other in ("speculative train", "rebuild on enqueue"):
            theirs = play(OTHERS[other], scenario, seeds)
            self.bench.add(f"{name}, {other}", theirs.wait, "checks", baseline=base.wait, lower_is_better=True)

    def innocents(self, scenario: Scenario, seeds: int) -> None:
        name = f"K={scenario.slots} p={short(scenario.p)} N={scenario.tasks} f={short(scenario.flake)}"
        base, ours = self.lease(scenario, seeds), self.play(scenario, seeds)
        self.bench.add(name, ours.wall, "checks", baseline=base.wall, lower_is_better=True)
        self.bench.add(f"{name} innocent ejections", ours.innocent, "%", baseline=base.innocent, lower_is_better=True)

    def finish(self) -> None:
        self.bench.add(f"unsafe landings in {self.stories} stories", self.unsafe, "")
        self.bench.add(f"tasks that never ended in {self.stories} stories", self.unfinished, "")
        self.bench.finish()


def disturbed(table: Table, seeds: int, slots: tuple[int, ...]) -> None:
    """What else happens: runs that take differently long, pushes from outside, STOPs, pairs that clash, a red main."""
    for count in slots:
        usual = Scenario(slots=count)
        table.cell(replace(usual, jitter=0.2), seeds, ", a check takes .8 to 1.2")
        table.cell(replace(usual, pushes=0.1), seeds, ", someone pushes to main every 10 checks")
        table.cell(replace(usual, leaving=0.1), seeds, ", 1 in 10 is stopped")
        table.cell(replace(usual, clashing=0.1), seeds, ", 1 in 10 clashes with another")
        broken = table.play(replace(usual, pushes=0.1, breaks=0.2), seeds)
        name = f"K={count} p=.05 N=64, 1 in 5 pushes from outside breaks main, a fix follows"
        table.bench.add(f"{name}: ejected innocents", broken.innocent, "%")


def goals(table: Table, seeds: int) -> None:
    """The rows that the goals name, with seeds enough that they are steady to about one per cent."""
    for slots in (1, 4):
        table.cell(Scenario(slots=slots), seeds)
    strict = play(lambda _: Lease(reds=1), Scenario(slots=1), seeds)
    for slots in (1, 4):
        name = f"K={slots} p=.05 N=64, the lease ejecting at the first red"
        table.bench.add(name, table.play(Scenario(slots=slots), seeds).wall, "checks", baseline=strict.wall, lower_is_better=True)
    for slots in (1, 2, 4, 8):
        table.cell(Scenario(slots=slots, p=0.3), seeds // 3)
    for tasks in (8, 16):
        table.cell(Scenario(tasks=tasks, slots=1, p=0.3), seeds)


def fast(table: Table) -> None:
    goals(table, 240)
    for slots, p in product((1, 4, 8), (0, 0.02, 0.1, 0.2)):
        table.cell(Scenario(slots=slots, p=p), 30)
    for name, make in OTHERS.items():
        table.rival(name, make, Scenario(), 60)
    table.arrivals(Scenario(rate=0.7), 40)
    table.arrivals(Scenario(rate=3.0), 40)
    disturbed(table, 40, (4,))
    for slots in (1, 4):
        table.innocents(Scenario(slots=slots, flake=0.05), 150)


def full(table: Table) -> None:
    goals(table, 1_000)
    for tasks, slots, p in product((8, 16, 64, 256), (1, 2, 4, 8), (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3)):
        if (tasks, p) != (64, 0.3) and (tasks, slots, p) not in GOALS:
            table.cell(Scenario(tasks=tasks, slots=slots, p=p), 12_800 // tasks)
    for (name, make), slots, p in product(OTHERS.items(), (1, 4, 8), (0.01, 0.05, 0.1, 0.3)):
        table.rival(name, make, Scenario(slots=slots, p=p), 100)
    for slots, rate in product((1, 4, 8), (0.3, 0.7, 1.5, 3.0)):
        table.arrivals(Scenario(slots=slots, rate=rate), 100)
    disturbed(table, 200, (1, 2, 4, 8))
    for flake, slots, p in product((0.02, 0.05), (1, 4, 8), (0, 0.05, 0.3)):
        table.innocents(Scenario(slots=slots, p=p, flake=flake), 500)
    table.innocents(Scenario(tasks=256, flake=0.05), 100)


def main() -> None:
    parser = argparse.ArgumentParser(description="the merge train on a virtual clock")
    parser.add_argument("--full", action="store_true", help="the whole table: every N, K, p, arrivals, flakes")
    table = Table()
    (full if parser.parse_args().full else fast)(table)
    table.finish()


if __name__ == "__main__":
    main()
