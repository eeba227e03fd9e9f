"""Many seeds of one scenario under one policy, added up."""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from tests.bench.train.world import Ledger, Policy, Scenario, World


@dataclass(slots=True)
class Totals:
    """What *stories* ledgers come to. Rates are per task that entered."""

    tasks: int
    ledgers: list[Ledger] = field(default_factory=list)

    @property
    def wall(self) -> float:
        """The mean time until the last task ended, in units of one check."""
        return sum(ledger.wall for ledger in self.ledgers) / len(self.ledgers)

    @property
    def runs(self) -> float:
        return sum(ledger.runs for ledger in self.ledgers) / (self.tasks * len(self.ledgers))

    @property
    def wait(self) -> float:
        """The median time from a task's entry to its end."""
        return median(wait for ledger in self.ledgers for wait in ledger.waits)

    @property
    def innocent(self) -> float:
        """Ejections of tasks that are truly green on the main of that moment, in per cent of all tasks."""
        return 100 * sum(ledger.innocent for ledger in self.ledgers) / (self.tasks * len(self.ledgers))

    @property
    def unsafe(self) -> int:
        return sum(ledger.unsafe for ledger in self.ledgers)

    @property
    def unfinished(self) -> int:
        return sum(ledger.unfinished for ledger in self.ledgers)


def play(policy: Callable[[int], Policy], scenario: Scenario, seeds: int) -> Totals:
    """Play *scenario* with *seeds* different seeds, each under a new policy, which is made for that many slots."""
    return Totals(scenario.tasks, [World(scenario, seed).play(policy(scenario.slots)) for seed in range(seeds)])
