"""What the train is compared with, each under the same rule of blame: red twice alone on a main that is known to be green.

Owns: the plain lease, bisection of batches, the speculative train, rebuilding at every enqueue, an oracle that knows the truth.
"""

from tests.bench.train.world import Tree, World


def stack(world: World, tasks: list[int]) -> list[Tree]:
    trees, tree = [], world.main
    for task in tasks:
        tree = world.grow(tree, task)
        trees.append(tree)
    return trees


def try_alone(world: World, task: int, reds: int | None = None) -> bool:
    """Take one step with *task* alone on main: test, test again, land or eject it; say whether anything is left to do now."""
    wanted = reds or world.reds_wanted
    tree = world.grow(world.main, task)
    if tree.running or world.landing:
        return False
    if tree.green:
        world.land(tree, (task,))
    elif tree.reds < wanted:
        world.begin(tree, (task,))
    elif world.main.green:
        world.eject(task)
        return True
    elif not world.main.running:
        world.begin(world.main, ())
    return False


class Lease:
    """One at a time: the plain lease. *reds*: how many reds eject, where that is not the common rule."""

    def __init__(self, reds: int | None = None) -> None:
        self._reds = reds

    def step(self, world: World) -> bool:
        if world.running or world.landing or not world.queue:
            return False
        return try_alone(world, world.queue[0], self._reds)


class Bisection:
    """All that wait are one batch; a red batch is halved until the culprit stands alone. One slot. *rebuild*: at every enqueue
    the batch is made anew, whatever runs."""

    def __init__(self, *, rebuild: bool = False) -> None:
        self._rebuild = rebuild
        self._batches: list[list[int]] = []
        self._seen: set[int] = set()

    def step(self, world: World) -> bool:
        if self._rebuild and not set(world.queue) <= self._seen:
            for run in list(world.running):
                world.cancel(run)
            self._batches = []
        self._seen |= set(world.queue)
        if world.running or world.landing or not world.queue:
            return False
        self._batches = [kept for batch in self._batches if (kept := [task for task in batch if task in world.queue])]
        if not self._batches:
            self._batches = [list(world.queue)]
        batch = self._batches[0]
        if len(batch) == 1:
            return try_alone(world, batch[0])
        tree = stack(world, batch)[-1]
        if tree.green:
            world.land(tree, tuple(batch))
        elif tree.reds:
            half = len(batch) // 2
            self._batches[:1] = [batch[:half], batch[half:]]
            return True
        else:
            world.begin(tree, tuple(batch))
        return False


class Speculation:
    """K prefixes of one more member each; a red one is tried again alone, and those behind it are tested without it at once."""

    def step(self, world: World) -> bool:
        slots = world.scenario.slots
        wanted: list[tuple[Tree, tuple[int, ...]]] = []
        members: tuple[int, ...] = ()
        tree, trial = world.main, False
        green: tuple[Tree, tuple[int, ...]] | None = None
        for task in world.queue:
            if len(wanted) >= slots:
                break
            longer = world.grow(tree, task)
            if longer.reds:
                if tree is world.main and not trial:
                    trial = True
                    if longer.reds >= world.reds_wanted and world.main.green and not world.landing:
                        world.eject(task)
                        return True
                    wanted.append((longer, (task,)) if longer.reds < world.reds_wanted else (world.main, ()))
                continue
            tree, members = longer, (*members, task)
            if tree.green and not trial:
                green = (tree, members)
            elif not tree.green:
                wanted.append((tree, members))
        if green is not None and not world.landing:
            world.land(*green)
        trees = [tree for tree, _ in wanted]
        for run in list(world.running):
            if run.tree not in trees:
                world.cancel(run)
        for tree, members in wanted:
            if not tree.running and len(world.running) < slots:
                world.begin(tree, members)
        return False


class Oracle:
    """It knows the truth and needs the verdicts for the record only: one run for all that are green, two for each that is not."""

    def step(self, world: World) -> bool:
        if world.landing or not world.queue:
            return False
        good: list[int] = []
        tree = world.main
        for task in world.queue:
            longer = world.grow(tree, task)
            if not longer.red:
                tree, good = longer, [*good, task]
        if good:
            if tree.green:
                world.land(tree, tuple(good))
            elif not tree.running:
                for run in list(world.running):
                    world.cancel(run)
                world.begin(tree, tuple(good))
            return False
        for task in world.queue:
            alone = world.grow(world.main, task)
            going = sum(run.tree is alone for run in world.running)
            if alone.reds >= world.reds_wanted:
                world.eject(task)
                return True
            for _ in range(world.reds_wanted - alone.reds - going):
                if len(world.running) < world.scenario.slots:
                    world.begin(alone, (task,))
        return False
