"""Broken worlds: the daemon without one of its safeguards, each of which the oracle must notice within a few fates.

Owns: what is switched off, and the fates that give it a chance. Rule: a check that cannot fail proves nothing: whoever adds a
guarantee adds the world in which it does not hold.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, final
from unittest import mock

from orch.core.ids import Sha
from orch.core.messages import CommandReport, CommandVerdict
from orch.core.model import Candidate, Limits
from orch.ports import Pushed, PushResult
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


_AT_LANDING = tuple(Event(at=at, kind="slow", amount=60.0, detail="mirror.push_candidate") for at in (1.0,))
_PUSHES = tuple(Event(at=at, kind="push-main", who=0) for at in range(100, 700, 25))
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
        name="dependencies are not awaited",
        changes=(("tests.scenario.sim.world.make_limits", lambda **fields: Limits(**fields, task_deps_enabled=False)),),
        caught_by="S7",
        fate=lambda plan: replace(plan, events=(*plan.events, *_two_cards())),
    ),
)


def _two_cards() -> tuple[Event, ...]:
    first = Event(at=0.0, kind="card", who=6, amount=-1.0)
    return first, Event(at=30.0, kind="card", who=7, amount=6.0)
