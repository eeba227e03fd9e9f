"""Broken worlds: the daemon without one of its safeguards, each of which the oracle must notice within a few fates.

Owns: what is switched off, and the fates that give it a chance. Rule: a check that cannot fail proves nothing: whoever adds a
guarantee adds the world in which it does not hold.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast, final
from unittest import mock

from actors import decisions
from actors.component import Room
from orch.adapters.store import recover
from orch.core.ids import RunId, Sha
from orch.core.messages import CommandReport, CommandVerdict, RunEnded
from orch.core.model import Candidate, Limits, Run, Task
from orch.core.turn import Context, Decided
from orch.ports import Pushed, PushResult, Tx
from tests.fakes.git import FakeMirror, tree_of
from tests.scenario.sim.agents import SimCommands, is_sound
from tests.scenario.sim.fate import Event, Plan, make_plan
from tests.scenario.sim.play import Told, tell

Change = tuple[str, Any]
PATIENCE_S = 600.0
"""A broken world is not waited for as long as a good one."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A safeguard that is off. *changes* are names with what stands there instead, *fate* what gives it a chance."""

    name: str
    changes: tuple[Change, ...]
    caught_by: str
    """The beginning of the name of a guarantee that must notice."""
    fate: Callable[[Plan], Plan] = lambda plan: plan

    @contextmanager
    def world(self) -> Iterator[None]:
        """Switch the safeguard off for a while."""
        changes = (*self.changes, ("tests.scenario.sim.play.PATIENCE_S", PATIENCE_S))
        patches = [mock.patch(name, instead) for name, instead in changes]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in reversed(patches):
                patch.stop()

    def tell(self, plan: Plan) -> Told:
        with self.world():
            return tell(plan)

    def seek(self, seeds: Sequence[int]) -> Told | None:
        """Return the first telling in which it is noticed, None where it never is."""
        for seed in seeds:
            told = self.tell(self.fate(make_plan(seed)))
            if any(fault.guarantee.startswith(self.caught_by) for fault in told.faults):
                return told
        return None


def _with(*events: Event, **fields: Any) -> Callable[[Plan], Plan]:
    """Return a fate's maker: a quiet one with one plain card and *events*."""
    card = Event(at=0.0, kind="card", who=0, amount=-1.0)

    def make(plan: Plan) -> Plan:
        at = [replace(event, at=event.at + plan.seed * 3.0) for event in events]
        quiet = replace(plan, loss=0.0, doubling=0.0, late_s=0.0, trouble=0.0, serial=False, confirm=False)
        return replace(quiet, events=(card, *at), **fields)

    return make


def _stops(*moments: float) -> tuple[Event, ...]:
    return tuple(Event(at=at, kind="stop-button", who=0) for at in moments)


async def _force_main(mirror: FakeMirror, candidate: Candidate) -> Pushed:
    """Push without a look at where main stands."""
    async with mirror._faults.at("mirror.push_candidate"):
        mirror.repository.set_main(candidate.sha)
        return Pushed(result=PushResult.PUSHED)


async def _nothing_archived(workspace: Any, spec: Any) -> Sha | None:
    workspace._open.pop(spec.task, None)
    return None


def _always_green(commands: SimCommands, sha: str) -> CommandReport:
    """Say green, and remember as passed only what is."""
    tree = tree_of(commands._holder(sha), Sha(sha))
    if is_sound(commands._holder(sha).commits[Sha(sha)].files):
        commands.green.add(tree)
    return CommandReport(verdict=CommandVerdict.GREEN, tail="", seconds=1.0, exit_code=0)


class _NeverEnded:
    """A transaction that knows of no run that it is over already."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    def __getattr__(self, name: str) -> object:
        return getattr(self._tx, name)

    def load_run(self, run: RunId) -> Run | None:
        found = self._tx.load_run(run)
        return None if found is None else replace(found, outcome=None)


def _any_attempt(tx: Tx, context: Context, task: Task, ended: RunEnded) -> Decided:
    """Take a run's result for one of the current attempt, whichever it was. The store still refuses the run's own row."""
    return _end_run(cast(Tx, _NeverEnded(tx)), context, task, replace(ended, attempt=task.attempt))


def _forgetful(tx: Tx, now: datetime) -> None:
    """Start as always, and know of no card's entry that it was handled."""
    recover(tx, now)
    cast(Any, tx)._run("DELETE FROM handled")


async def _unresolved(room: Room) -> None:
    """Ask nobody what became of a landing that was cut off."""
    await room.world.clock.sleep(5.0)


_end_run = decisions.end_run
_AT_LANDING = tuple(Event(at=at, kind="slow", amount=60.0, detail="mirror.push_candidate") for at in (1.0,))
_PUSHES = tuple(Event(at=at, kind="push-main", who=0) for at in range(100, 700, 25))
_HURRIED = tuple(
    Event(at=at, kind=kind, who=0, amount=amount, cue=cue)
    for at in range(20, 600, 40)
    for kind, amount, cue in (("stall", 20.0, "asks"), ("send-back", 0.5, "agent starts"))
)
"""A person sends back while an agent is at work, and the disk stands still for so long that the agent is done by then."""
_SLOW_BUILDS = tuple(Event(at=at, kind="slow", amount=10.0, detail="mirror.build_candidate") for at in range(60, 900, 12))
_FREEZES = tuple(
    event
    for at in range(60, 900, 40)
    for event in (Event(at=at, kind="freeze", who=0, cue="slow"), Event(at=at + 35.0, kind="thaw", who=0))
)
_CRASHES = tuple(Event(at=at, kind="crash", amount=1.0) for at in range(60, 700, 45))

WORLDS: tuple[Broken, ...] = (
    Broken(
        name="a killed tree takes its time to die",
        changes=(("tests.fakes.agents.KILL_S", 9.0),),
        caught_by="G5",
        fate=_with(*_stops(0.5)),
    ),
    Broken(
        name="main is pushed wherever it stands",
        changes=(("tests.fakes.git.FakeMirror.push_candidate", _force_main),),
        caught_by="G3",
        fate=_with(*_AT_LANDING, *_PUSHES),
    ),
    Broken(
        name="whatever the test command says is taken for green",
        changes=(("tests.scenario.sim.agents.SimCommands._judge", _always_green),),
        caught_by="G3",
        fate=_with(*(Event(at=0.0, kind="card", who=who, amount=-1.0, detail="pair") for who in (3, 4))),
    ),
    Broken(
        name="hooks are lost and nothing is polled",
        changes=(("tests.scenario.sim.world.make_limits", lambda **fields: Limits(**fields, reconcile_enabled=False)),),
        caught_by="G8_no_trigger",
        fate=lambda plan: replace(plan, loss=1.0),
    ),
    Broken(
        name="a start requeues nothing",
        changes=(("tests.scenario.sim.world.recover", lambda *_: None),),
        caught_by="G10",
        fate=_with(*_CRASHES),
    ),
    Broken(
        name="nothing is archived",
        changes=(("tests.fakes.git.FakeWorkspace.archive", _nothing_archived),),
        caught_by="G7",
    ),
    Broken(
        name="the result of an older attempt counts",
        changes=(("actors.decisions.end_run", _any_attempt),),
        caught_by="G5_late",
        fate=_with(*_HURRIED),
    ),
    Broken(
        name="what was handled is forgotten at a restart",
        changes=(("tests.scenario.sim.world.recover", _forgetful),),
        caught_by="G1_a_task",
        fate=_with(*_stops(10.0), Event(at=300.0, kind="crash", amount=1.0)),
    ),
    Broken(
        name="whoever left the queue lands all the same",
        changes=(("actors.landing.membership_fault", lambda *_: None),),
        caught_by="S4",
        fate=_with(*_SLOW_BUILDS, *_FREEZES),
    ),
    Broken(
        name="nobody asks what became of a landing that was cut off",
        changes=(("actors.train.resolve_intents", _unresolved),),
        caught_by="G10",
        fate=_with(Event(at=0.0, kind="crash", amount=1.0, cue="main moves")),
    ),
    Broken(
        name="dependencies are not awaited",
        changes=(("tests.scenario.sim.world.make_limits", lambda **fields: Limits(**fields, task_deps_enabled=False)),),
        caught_by="S7",
        fate=lambda plan: replace(plan, events=(*plan.events, *_two_cards())),
    ),
)


def _two_cards() -> tuple[Event, ...]:
    first = Event(at=0.0, kind="card", who=6, amount=-1.0)
    return first, Event(at=30.0, kind="card", who=7, amount=6.0)
