"""How often one chat is written to, as a value and a plan.

Owns: the pace of a chat: at most one message a second, in a group at most 20 a minute of which 15 are trackers' (an edit
counts as a message), at most one write of a tracker in three seconds, and silence of the whole chat after it asked for that.
Does not own: what is written, or the clock: moments are seconds of a monotonic clock, given as parameters.
Rule: pure. Who waits for a turn waits as a name and not as a text: what is written is made when the turn comes, so the newest
wins.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import final

from orch.core.ids import TaskRow

BETWEEN_S = 1.0
TRACKER_S = 3.0
WINDOW_S = 60.0
GROUP_MAX = 20
GROUP_TRACKERS_MAX = 15
JITTER = 0.1
"""A silence that was asked for is kept for up to this part longer, and at least ``JITTER_MIN_S``."""
JITTER_MIN_S = 0.5
GRAIN_S = 0.001
"""A wait shorter than this is none: sums of seconds are not exact, and nobody sleeps for so little."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What one chat was written in the last minute. *group*: it has the limits of a group."""

    group: bool = False
    writes: tuple[float, ...] = ()
    tracked: tuple[float, ...] = ()
    by_task: Mapping[TaskRow, float] = field(default_factory=dict)
    silent_until: float = float("-inf")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Whose tracker is written next, and in how many seconds (0: now)."""

    task: TaskRow
    wait_s: float


def wait_s(pace: Pace, now: float, task: TaskRow | None = None) -> float:
    """Return in how many seconds the chat may be written to: by the tracker of *task*, or (None) with a message of its own."""
    at = max(pace.silent_until, pace.writes[-1] + BETWEEN_S if pace.writes else now)
    if task is not None and task in pace.by_task:
        at = max(at, pace.by_task[task] + TRACKER_S)
    if pace.group:
        at = max(at, _free_at(pace.writes, GROUP_MAX))
        if task is not None:
            at = max(at, _free_at(pace.tracked, GROUP_TRACKERS_MAX))
    left = at - now
    return left if left > GRAIN_S else 0.0


def _free_at(moments: tuple[float, ...], most: int) -> float:
    return moments[-most] + WINDOW_S if len(moments) >= most else float("-inf")


def next_turn(pace: Pace, waiting: Iterable[TaskRow], now: float) -> Turn | None:
    """Return the first of *waiting* that may be written now, else who may be soonest; None where nobody waits."""
    soonest: Turn | None = None
    for task in waiting:
        turn = Turn(task=task, wait_s=wait_s(pace, now, task))
        if turn.wait_s <= 0:
            return turn
        if soonest is None or turn.wait_s < soonest.wait_s:
            soonest = turn
    return soonest


def wrote(pace: Pace, now: float, task: TaskRow | None = None) -> Pace:
    """Count one write that is about to be made."""
    since = now - WINDOW_S
    by_task = {row: at for row, at in pace.by_task.items() if at > now - TRACKER_S}
    tracked = tuple(at for at in pace.tracked if at > since)
    if task is not None:
        by_task[task] = now
        tracked = (*tracked, now)
    return replace(pace, writes=(*(at for at in pace.writes if at > since), now), tracked=tracked, by_task=by_task)


def silenced(pace: Pace, now: float, seconds: float, chance: float) -> Pace:
    """The chat asked for *seconds* of silence; *chance* (0 to 1) spreads the return."""
    until = now + max(seconds, 0.0) + max(seconds * JITTER, JITTER_MIN_S) * chance
    return replace(pace, silent_until=max(pace.silent_until, until))
