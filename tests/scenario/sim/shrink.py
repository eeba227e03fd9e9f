"""A failing fate made small: fewer events, then simpler ones, and the story that is left, told so that a person can read it.

Owns: delta debugging over plans, and the story's text. Rule: a smaller plan counts only while the same guarantee does not hold.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import final

from tests.scenario.sim.fate import Event, Plan
from tests.scenario.sim.play import Told, tell

TRIES = 200
"""So many tellings a search may take."""
LINES = 60
OUTSIDE = ("ci", "hook accepted", "hook refused", "hook doubled", "comment", "state", "tested", "prepared", "archive")
"""What a story is told without: it is in the trace."""


@final
class Shrinker:
    """Looks for a smaller plan under which *guarantee* fails as well. *tell_it* tells a plan (in a broken world, for mutants)."""

    def __init__(self, guarantee: str, tell_it: Callable[[Plan], Told] = tell, *, tries: int = TRIES) -> None:
        self._guarantee, self._tell, self._left = guarantee, tell_it, tries

    def shrink(self, plan: Plan) -> Plan:
        """Return the smallest plan that was found."""
        plan = self._fewer_events(plan)
        for simpler in _simpler(plan):
            if self._fails(simpler(plan)):
                plan = simpler(plan)
        return self._shorter(plan)

    def _fails(self, plan: Plan) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        return any(fault.guarantee == self._guarantee for fault in self._tell(plan).faults)

    def _fewer_events(self, plan: Plan) -> Plan:
        """Drop halves, then quarters, and so on, as long as it still fails."""
        events, parts = plan.events, 2
        while events and parts <= 2 * len(events):
            size = max(1, len(events) // parts)
            for start in range(0, len(events), size):
                fewer = events[:start] + events[start + size :]
                if self._fails(replace(plan, events=fewer)):
                    events, parts = fewer, max(2, parts - 1)
                    break
            else:
                if size == 1:
                    break
                parts *= 2
        return replace(plan, events=events)

    def _shorter(self, plan: Plan) -> Plan:
        """Give each event a rounder moment and the plainest detail under which it still fails."""
        for place, event in enumerate(plan.events):
            for plainer in _plainer(event):
                tried = replace(plan, events=_with(plan.events, place, plainer))
                if self._fails(tried):
                    plan = tried
                    break
        return plan


def _simpler(plan: Plan) -> Iterator[Callable[[Plan], Plan]]:
    yield lambda plan: replace(plan, trouble=0.0)
    yield lambda plan: replace(plan, loss=0.0, doubling=0.0, late_s=0.0)
    yield lambda plan: replace(plan, doubling=0.0, late_s=0.0)
    yield lambda plan: replace(plan, serial=False)
    yield lambda plan: replace(plan, confirm=False)
    yield lambda plan: replace(plan, style="rebase", test_slots=1)


def _plainer(event: Event) -> Iterator[Event]:
    if event.kind == "card":
        yield replace(event, at=0.0, amount=-1.0, detail="")
        yield replace(event, at=0.0)
    yield replace(event, at=float(round(event.at, -1)))


def _with(events: Sequence[Event], place: int, event: Event) -> tuple[Event, ...]:
    return (*events[:place], event, *events[place + 1 :])


def story(told: Told, *, lines: int = LINES) -> str:
    """Tell what happened up to the first fault, in at most so many lines, with the seed and how to tell it again."""
    plan, first = told.plan, told.faults[0] if told.faults else None
    until = first.at if first is not None else told.seconds
    notes = [str(note) for note in told.notes if note.at <= until and note.kind not in OUTSIDE][-lines:]
    head = (
        f"seed {plan.seed}: {len(plan.events)} events, hooks lost {plan.loss:g}, trouble {plan.trouble:g}, "
        f"{plan.test_slots} test slots, {plan.style}{', serial' if plan.serial else ''}{'' if plan.confirm else ', no confirm'}"
    )
    faults = [f"  BROKEN {fault}" for fault in told.faults]
    again = f"again: python -m tests.scenario.sim --seed {plan.seed}"
    return "\n".join([head, *(f"  {event}" for event in plan.events), "what was seen:", *notes, *faults, again])
