"""How long a task waited for a person: from each question until its answer.

Owns: reading that from runs and history. Rule: pure and total; the waits do not overlap, so their sum is never more than the
task's own time. The history holds the answers: a question began where the run before it ended, where its stage was entered or
where the task was parked, and whether it was one is known from what ended it.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import final

from orch.core.model import Awaiting, Outcome, ParkReason, Run, RunKind, Task, Transition
from orch.core.stages import Stage

ENDED, TOLD, BEGAN = range(3)
"""The order of what happened at one moment."""

_UNPARKED = ("resumed", "relaunched", "tried-again")
_DECIDED = ("approved", "rejected", "relaunched", "sent-back", "stopped", "stop-requested", "parked")
_CONFIRMED = ("deploy-confirmed", "stopped", "stop-requested")
_CONFIRM_AGAIN = ("confirm-voided", "resumed")
_BY_HAND = re.compile(r".*\s[0-9a-f]{12}")
"""What the history says of a landing that somebody else made: a sentence that ends with the commit."""
_ASKS: dict[Stage, tuple[Awaiting, ...]] = {
    Stage.ANALYSIS: (Awaiting.APPROVAL, Awaiting.INPUT),
    Stage.DEPLOY_STAGING: (Awaiting.MERGE,),
    Stage.DEPLOY: (Awaiting.CONFIRM,),
}
"""What an un-parked task asks a person for, by stage."""


def human_seconds(task: Task, runs: Sequence[Run], history: Sequence[Transition], end: datetime) -> float:
    """Return the seconds in which only a person could move the task on; an open question counts until *end*."""
    waits = _Waits()
    for at, order, event in _events(runs, history):
        if isinstance(event, Transition):
            waits.line(event)
        elif order == ENDED:
            waits.run_ended(event, at)
        else:
            waits.run_began(event)
    if waits.parked is not None and task.park is not None:
        waits.close_park(end)
    if waits.asked is not None and task.park is None and task.awaiting in _ASKS.get(task.stage, ()):
        waits.close_question(end)
    return waits.seconds


def _events(runs: Sequence[Run], history: Sequence[Transition]) -> Iterator[tuple[datetime, int, Run | Transition]]:
    """Return ends of runs, lines of the history and beginnings of runs in the order in which they happened."""
    events: list[tuple[datetime, int, Run | Transition]] = [(line.at, TOLD, line) for line in history]
    events += [(run.ended_at, ENDED, run) for run in runs if run.ended_at is not None]
    events += [(run.started_at, BEGAN, run) for run in runs]
    return iter(sorted(events, key=lambda event: event[:2]))


@final
class _Waits:
    """The waits for a person, as the events tell of them one by one: *parked* and *asked* say since when."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.parked: datetime | None = None
        self.asked: datetime | None = None

    def close_park(self, at: datetime) -> None:
        if self.parked is not None:
            self.seconds += max((at - self.parked).total_seconds(), 0.0)
        self.parked = None

    def close_question(self, at: datetime) -> None:
        if self.asked is not None:
            self.seconds += max((at - self.asked).total_seconds(), 0.0)
        self.asked = None

    def run_began(self, run: Run) -> None:
        """Nobody is asked while something works at the same stage."""
        if run.stage in _ASKS:
            self.asked = None

    def run_ended(self, run: Run, at: datetime) -> None:
        plan = run.stage is Stage.ANALYSIS and run.kind is RunKind.AGENT
        asks = plan or run.kind is RunKind.STAGING
        if asks and run.outcome is Outcome.SUCCEEDED and self.parked is None:
            self.asked = at

    def line(self, line: Transition) -> None:
        left = line.source is not line.target
        if left or line.cause in _UNPARKED:
            self.close_park(line.at)
        if left or line.cause in (*_DECIDED, *_CONFIRMED, "deploy-started"):
            if _is_answer(line):
                self.close_question(line.at)
            self.asked = None
        if line.cause == "parked":
            self.parked = line.at if line.detail != ParkReason.INFRASTRUCTURE else None
        elif _may_ask(line):
            self.asked = line.at


def _is_answer(line: Transition) -> bool:
    """Say whether *line* is a person's answer to what its stage may ask; else nobody had been asked."""
    match line.source or line.target:
        case Stage.ANALYSIS:
            return line.cause in _DECIDED
        case Stage.DEPLOY_STAGING:
            return line.cause == "landed" and _BY_HAND.fullmatch(line.detail) is not None
        case Stage.DEPLOY:
            return line.cause in _CONFIRMED or line.detail == ParkReason.DEPLOY_DECLINED
        case _:
            return False


def _may_ask(line: Transition) -> bool:
    if line.target not in (Stage.DEPLOY_STAGING, Stage.DEPLOY):
        return False
    return line.source is not line.target or line.cause in _CONFIRM_AGAIN or (line.cause, line.detail) == ("merge-gate", "off")
