"""A landing queue on a virtual clock: tasks, trees, checks, pushes, and an auditor who knows the truth.

Owns: what is so (which tree is red, which run flakes, when a run ends). Does not own: what is tested or landed (a ``Policy``).
Rule: one seed, one story; a policy sees verdicts only.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from orch.core.ids import CheckId, Sha, TaskRow
from orch.core.messages import CommandVerdict
from orch.core.model import Member
from orch.core.train import Check, Link
from orch.core.train_facts import DOUBT, REDS

PUSH = 0.002
"""How long a landing takes, in units of one check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """*p*: a task is red on its base; *flake*: a green tree's run is red; times are in units of one check."""

    tasks: int = 64
    slots: int = 4
    p: float = 0.05
    flake: float = 0.0
    clashing: float = 0.0
    """The share of tasks that clash with one other task: each is green, both together are red."""
    rate: float | None = None
    """Arrivals per check time (Poisson); None: all at once."""
    jitter: float = 0.0
    """A check takes between 1 - jitter and 1 + jitter."""
    pushes: float = 0.0
    """Pushes from outside per check time, each harmless."""
    breaks: float = 0.0
    """How likely a push from outside breaks main: then a fix enters the queue three check times after the freeze."""
    leaving: float = 0.0
    """The share of tasks that are stopped some time after they entered."""


@dataclass(eq=False, slots=True)
class Tree:
    """The tree of *parent* with *task* put onto it (negative: a push from outside)."""

    parent: "Tree | None"
    task: int
    content: frozenset[int]
    red: bool
    link: Link
    checks: "list[Run]" = field(default_factory=list)

    @property
    def green(self) -> bool:
        return any(run.verdict is CommandVerdict.GREEN for run in self.checks)

    @property
    def reds(self) -> int:
        return 0 if self.green else sum(run.verdict is CommandVerdict.RED for run in self.checks)

    @property
    def running(self) -> bool:
        return any(run.verdict is None for run in self.checks)


@dataclass(eq=False, slots=True)
class Run:
    """One check of *tree*; *members* are those it adds to the main it was begun on."""

    check: Check
    tree: Tree
    members: tuple[int, ...]
    begun: float

    @property
    def verdict(self) -> CommandVerdict | None:
        return self.check.verdict


@dataclass(slots=True)
class Ledger:
    """What came of it."""

    wall: float = 0.0
    runs: int = 0
    machine: float = 0.0
    landed: int = 0
    ejected: int = 0
    innocent: int = 0
    unsafe: int = 0
    unfinished: int = 0
    pushes: int = 0
    waits: list[float] = field(default_factory=list)


class Policy(Protocol):
    def step(self, world: "World") -> bool:
        """Act on what *world* shows; say whether to be asked again at once."""


class World:
    """Everything that is so at ``now``; a policy reads it and calls ``begin``, ``cancel``, ``land``, ``eject`` and ``freeze``."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.now = 0.0
        self.queue: list[int] = []
        self.running: list[Run] = []
        self.frozen = False
        self.landing = False
        self.doubt = 0
        self.fixes: set[int] = set()
        self.ledger = Ledger()
        self._dice = random.Random(f"{seed} world")
        self._flakes = random.Random(f"{seed} flakes")
        self._trees: dict[tuple[Sha, int], Tree] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._events = 0
        self._entered: dict[int, float] = {}
        self._gone: set[int] = set()
        self._mended: frozenset[int] = frozenset()
        self._broken, self._clashes = self._draw()
        self.main = self._root()
        self._values = [self.main]

    # ------------------------------------------------------------------------------------------ the truth

    def _draw(self) -> tuple[set[int], dict[int, int]]:
        scenario, dice = self.scenario, self._dice
        numbers = range(1, scenario.tasks + 1)
        broken = {number for number in numbers if dice.random() < scenario.p}
        clashes: dict[int, int] = {}
        good = [number for number in numbers if number not in broken]
        for number in good[1:]:
            if dice.random() < scenario.clashing / 2:
                clashes[number] = dice.choice(good[max(0, good.index(number) - 8) : good.index(number)])
        at = 0.0
        for number in numbers:
            if scenario.rate is not None:
                at += dice.expovariate(scenario.rate)
            self._later(at, partial(self._enter, number))
            if dice.random() < scenario.leaving:
                self._later(at + dice.uniform(0, 8), partial(self._leave, number))
        if scenario.pushes:
            self._later(dice.expovariate(scenario.pushes), self._outside)
        return broken, clashes

    @property
    def reds_wanted(self) -> int:
        """How many reds blame somebody: the rule of the train, for every policy that has none of its own."""
        return REDS + (1 if self.doubt else 0)

    def is_red(self, content: frozenset[int]) -> bool:
        """Say what a perfect test of that content says."""
        if any(number in self._broken for number in content if number not in self._mended):
            return True
        return any(first in content and second in content for first, second in self._clashes.items())

    def _root(self) -> Tree:
        member = Member(task=TaskRow(0), head=Sha("m0"))
        root = Tree(None, 0, frozenset(), False, Link(member=member, sha=Sha("c0"), tree=Sha("t0")))
        root.checks.append(Run(Check(id=CheckId(0), tree=Sha("t0"), verdict=CommandVerdict.GREEN), root, (), 0.0))
        return root

    def grow(self, tree: Tree, task: int) -> Tree:
        """Return the tree of *tree* with *task* on it."""
        key = (tree.link.tree, task)
        found = self._trees.get(key)
        if found is None:
            number = len(self._trees) + 1
            content = tree.content | {task}
            member = Member(task=TaskRow(task), head=Sha(f"m{task}"))
            link = Link(member=member, sha=Sha(f"c{number}"), tree=Sha(f"t{number}"))
            if task in self.fixes:
                content -= {number for number in content if number < 0 and number in self._broken}
            found = self._trees[key] = Tree(tree, task, content, self.is_red(content), link)
        return found

    # ------------------------------------------------------------------------------------------ what happens by itself

    def _later(self, at: float, event: Callable[[], None]) -> None:
        self._events += 1
        heapq.heappush(self._heap, (at, self._events, event))

    def _enter(self, number: int) -> None:
        self.queue.append(number)
        self._entered[number] = self.now

    def _leave(self, number: int) -> None:
        if number in self.queue and not self.landing:
            self._end(number)

    def _end(self, number: int) -> None:
        self.queue.remove(number)
        self._gone.add(number)
        self.ledger.wall = self.now
        self.ledger.waits.append(self.now - self._entered[number])

    def _outside(self) -> None:
        self.ledger.pushes += 1
        number = -self.ledger.pushes
        if self._dice.random() < self.scenario.breaks:
            self._broken.add(number)
        self.main = self.grow(self.main, number)
        self._values.append(self.main)
        if len(self._gone) < self.scenario.tasks:
            self._later(self.now + self._dice.expovariate(self.scenario.pushes), self._outside)

    # ------------------------------------------------------------------------------------------ what a policy does

    def begin(self, tree: Tree, members: tuple[int, ...]) -> None:
        assert len(self.running) < self.scenario.slots, "S11"
        scenario = self.scenario
        self.ledger.runs += 1
        run = Run(Check(id=CheckId(self.ledger.runs), tree=tree.link.tree), tree, members, self.now)
        tree.checks.append(run)
        self.running.append(run)
        takes = 1.0 if not scenario.jitter else self._flakes.uniform(1 - scenario.jitter, 1 + scenario.jitter)
        verdict = CommandVerdict.RED if tree.red or self._flakes.random() < scenario.flake else CommandVerdict.GREEN
        self._later(self.now + takes, partial(self._finish, run, verdict))

    def _finish(self, run: Run, verdict: CommandVerdict) -> None:
        if run not in self.running:
            return
        self.running.remove(run)
        self.ledger.machine += self.now - run.begun
        run.check = Check(id=run.check.id, tree=run.check.tree, verdict=verdict)
        if len({other.verdict for other in run.tree.checks} & {CommandVerdict.RED, CommandVerdict.GREEN}) == 2:
            self.doubt = DOUBT

    def cancel(self, run: Run) -> None:
        self._finish(run, CommandVerdict.INTERRUPTED)

    def land(self, tree: Tree, members: tuple[int, ...]) -> None:
        """Push *tree*, which is main plus *members*; it loses when main has moved by the time it gets there."""
        assert not self.landing
        self.landing = True
        self._later(self.now + PUSH, partial(self._pushed, self.main, tree, members))

    def _pushed(self, base: Tree, tree: Tree, members: tuple[int, ...]) -> None:
        self.landing = False
        if self.main is not base:
            return
        if not tree.green or tree.red or not set(members) <= set(self.queue):
            self.ledger.unsafe += 1
        self.main = tree
        self._values.append(tree)
        self.doubt = max(0, self.doubt - len(members))
        for member in members:
            self._end(member)
            self.ledger.landed += 1
        if self.frozen and self.fixes & set(members):
            self.frozen = False

    def eject(self, number: int) -> None:
        self.ledger.ejected += 1
        self.ledger.innocent += not self.grow(self.main, number).red
        self._end(number)

    def freeze(self) -> None:
        """Main is red: a fix comes some time later."""
        self.frozen = True
        number = self.scenario.tasks + 1 + len(self.fixes)
        self.fixes.add(number)
        self._later(self.now + 3, partial(self._enter, number))

    # ------------------------------------------------------------------------------------------ the story

    def play(self, policy: Policy, until: float = 5_000.0) -> Ledger:
        """Run the story to its end and let the auditor look at every value that main had."""
        while self._heap and self._heap[0][0] < until:
            at = self._heap[0][0]
            self.now = at
            while self._heap and self._heap[0][0] <= at:
                heapq.heappop(self._heap)[2]()
            for _ in range(1000):
                if not policy.step(self):
                    break
            else:
                raise AssertionError("a policy that is never content")
            if len(self._gone) >= self.scenario.tasks + len(self.fixes):
                break
        self.ledger.unfinished = self.scenario.tasks + len(self.fixes) - len(self._gone)
        ours = [value for value in self._values[1:] if value.task > 0]
        self.ledger.unsafe += sum(self.is_red(value.content) for value in ours)
        return self.ledger
