"""The real planner, played as the shell plays it."""

from orch.core.ids import Sha, TaskRow
from orch.core.train import (
    Action,
    Begin,
    Cancel,
    Chain,
    Disturbed,
    Eject,
    Facts,
    LandPrefix,
    MainRed,
    Waiting,
    arrange,
    initial,
    landed,
    plan,
    reach,
)
from tests.bench.train.world import Tree, World


class Product:
    """``orch.core.train`` between the store and the world. *aside*: it is given the second chain."""

    def __init__(self, slots: int, *, aside: bool = True) -> None:
        self.train = initial(slots)
        self._slots = slots
        self._aside = aside

    def step(self, world: World) -> bool:
        running = [TaskRow(member) for run in world.running for member in run.members]
        queue = [Waiting(task=TaskRow(n), head=Sha(f"m{n}"), exempt=n in world.fixes) for n in world.queue]
        order = arrange(queue, running, frozen=world.frozen, suspect=self.train.suspect)
        tasks = [int(waiting.task) for waiting in order[: reach(self.train, running, self._slots)]]
        chain = self._build(world, tasks)
        doubted = self._aside and bool(tasks) and self.train.suspect == tasks[0]
        aside = self._build(world, tasks[1:]) if doubted else []
        known = {run.check.id: run.check for tree in (world.main, *chain, *aside) for run in tree.checks}
        known |= {run.check.id: run.check for run in world.running}
        facts = Facts(
            chain=self._chain(world, chain),
            aside=self._chain(world, aside) if doubted else None,
            checks=[known[number] for number in sorted(known)],
            slots=self._slots,
            frozen=world.frozen,
            exempt=frozenset(TaskRow(fix) for fix in world.fixes),
            landing=world.landing,
        )
        decided = plan(self.train, facts)
        again = decided.train.suspect is not None and decided.train.suspect != self.train.suspect
        self.train = decided.train
        for action in decided.actions:
            again |= self._carry_out(world, action, chain, aside)
        return again

    def _chain(self, world: World, trees: list[Tree]) -> Chain:
        return Chain(base=world.main.link.sha, base_tree=world.main.link.tree, links=tuple(tree.link for tree in trees))

    def _build(self, world: World, tasks: list[int]) -> list[Tree]:
        chain, tree = [], world.main
        for task in tasks:
            tree = world.grow(tree, task)
            chain.append(tree)
        return chain

    def _carry_out(self, world: World, action: Action, chain: list[Tree], aside: list[Tree]) -> bool:
        match action:
            case Cancel(check=number):
                world.cancel(next(run for run in world.running if run.check.id == number))
            case Begin(position=0):
                world.begin(world.main, ())
            case Begin(position=position, aside=beside):
                line = (aside if beside else chain)[:position]
                world.begin(line[-1], tuple(tree.task for tree in line))
            case LandPrefix(position=position):
                members = tuple(tree.task for tree in chain[:position])
                world.land(chain[position - 1], members)
                self.train = landed(self.train, len(members), self._slots)
            case Eject(task=task) | Disturbed(task=task):
                world.eject(int(task))
                return True
            case MainRed():
                world.freeze()
                return True
        return False
