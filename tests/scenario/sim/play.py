"""One telling of a plan: the world, the daemon's lives, the people, the storm and the calm after it.

Owns: the order of a story, and its result as a value. Rule: the same plan leaves the same trace: the scheduler draws its
luck from the seed, time is virtual, and nothing depends on an object's address.
"""

import gc
import importlib
import traceback
from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import Any, final

import anyio
from trio.testing import MockClock

from orch import logs
from tests.scenario.sim.deeds import Deeds, calm_down
from tests.scenario.sim.fate import HORIZON_S, Plan, draw
from tests.scenario.sim.hooks import Hooks, ci
from tests.scenario.sim.mortal import EndlessError
from tests.scenario.sim.oracle import Fault, Oracle
from tests.scenario.sim.people import People
from tests.scenario.sim.trace import Note
from tests.scenario.sim.world import SimGround

LOOK_S = 60.0
QUIET_LOOKS = 4
"""So often in a row nothing may move before the story is over: a poll of the board lies between."""
PATIENCE_S = 2.5 * 3600.0
"""How long after the storm everything must have come to rest."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a telling went. *seconds* are virtual."""

    plan: Plan
    digest: str
    faults: tuple[Fault, ...]
    counts: Counter[str]
    seconds: float
    notes: tuple[Note, ...] = ()

    def without_notes(self) -> "Told":
        return replace(self, notes=())


def tell(plan: Plan) -> Told:
    """Tell a plan once."""
    logs.configure("critical")
    _seed_scheduler(plan.seed)
    gc.disable()
    try:
        return anyio.run(_tell, plan, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})
    finally:
        gc.enable()


def _seed_scheduler(seed: int) -> None:
    """Let trio draw the order in which tasks run from the seed; its own tests' plugin does the same."""
    run: Any = importlib.import_module("trio._core._run")
    run._ALLOW_DETERMINISTIC_SCHEDULING = True
    run._r = draw(seed, "scheduler") if seed >= 0 else Random(0)


async def _tell(plan: Plan) -> Told:
    async with SimGround(plan) as ground:
        oracle = Oracle(ground)
        try:
            await _story(ground, oracle)
        except* EndlessError as error:
            oracle.found("G12_every_loop_has_a_bound", f"the ports are called for ever, last {_first(error)}")
        counts = ground.trace.counts + Counter({"lives": ground.trace.counts["start"]}) + oracle.judged
        stages = Counter(f"task {task.stage}" for task in oracle.now.tasks.values())
        parks = Counter(f"parked: {task.park}" for task in oracle.now.tasks.values() if task.park and not task.over)
        return Told(
            plan=plan,
            digest=ground.trace.digest(),
            faults=tuple(oracle.faults),
            counts=counts + stages + parks,
            seconds=anyio.current_time(),
            notes=tuple(ground.trace.notes),
        )


async def _story(ground: SimGround, oracle: Oracle) -> None:
    async with anyio.create_task_group() as group:
        hooks = Hooks(ground, group)
        people = People(ground, hooks)
        deeds = Deeds(ground, people)
        group.start_soon(ground.live, lambda error: oracle.found("an actor crashed", _last(error)))
        group.start_soon(ci, ground, hooks)
        group.start_soon(people.strays)
        for event in ground.plan.events:
            group.start_soon(people.card if event.kind == "card" else deeds.at_its_time, event)
        await anyio.sleep(HORIZON_S)
        calm_down(ground)
        hooks.storm, people.calm = False, True
        ground.trace.note("calm", by="fate")
        group.start_soon(people.tidy)
        calm_at = ground.steady.now()
        await _wait_for_rest(ground, oracle)
        oracle.end(calm_at)
        group.cancel_scope.cancel()


async def _wait_for_rest(ground: SimGround, oracle: Oracle) -> None:
    quiet, deadline = 0, anyio.current_time() + PATIENCE_S
    while quiet < QUIET_LOOKS and anyio.current_time() < deadline:
        await anyio.sleep(LOOK_S)
        quiet = quiet + 1 if ground.daemon is not None and oracle.rests() else 0


def _last(error: BaseException) -> str:
    """Return the innermost error of a group with the place where it was raised."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    places = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{place.filename.rpartition('/')[2]}:{place.lineno}" for place in reversed(places[-4:]))
    return f"{type(error).__name__}: {str(error)[:300]} ({where})"


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
