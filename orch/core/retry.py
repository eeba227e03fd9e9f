"""Retry classes: what a run that did not succeed costs, and what is tried next.

Owns: the bound of every loop that repeats a run. Rule: each class has its own counter; past its bound the task is
parked with the evidence; what is not the task's fault costs it nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never, final

from orch.core.accounts import PAUSE_LONGEST
from orch.core.model import AgentResult, Counters, Outcome, Park, ParkReason, RunMode

FAILED_MAX = 3
TURN_LIMIT_MAX = 10
STALLED_MAX = 2
TIMED_OUT_MAX = 2
GATE_RED_MAX = 3
BACKOFF_FIRST_S = 10.0
BACKOFF_CAP_S = 300.0
RATE_LIMIT_UNKNOWN_S = 900.0
INFRASTRUCTURE_MAX = 3
"""How often in a row something outside the task may fail it before it is parked for that."""
CLEARING_FIRST_S = 60.0
CLEARING_CAP_S = 3600.0
CLEARING_MAX = 28
"""How often a park for infrastructure is tried to be cleared: about a day, then it waits for a person."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """Run again after *delay_s*, with the counters as they are now."""

    counters: Counters
    delay_s: float
    mode: RunMode


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Postpone:
    """Put the same job back, uncharged, not before *until*."""

    until: datetime
    counters: Counters


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """Park the task."""

    reason: ParkReason
    counters: Counters


Next = TryAgain | Postpone | GiveUp


def backoff(failures: int) -> float:
    """Return how long to wait after the n-th failure in a row, in seconds: ``min(10 * 2**(n-1), 300)``."""
    return min(BACKOFF_FIRST_S * 2.0 ** min(max(failures - 1, 0), 10), BACKOFF_CAP_S)


def after_infrastructure(counters: Counters, now: datetime) -> Postpone:
    """Return what follows a failure that is not the task's: the same job, later, uncharged."""
    counted = replace(counters, infrastructure=counters.infrastructure + 1)
    return Postpone(until=now + timedelta(seconds=backoff(counted.infrastructure)), counters=counted)


def clears_at(park: Park, counters: Counters) -> datetime | None:
    """Return when the cause of a park for infrastructure is looked at again; None when that has been done often enough."""
    tries = max(counters.infrastructure - INFRASTRUCTURE_MAX - 1, 0)
    if park.reason is not ParkReason.INFRASTRUCTURE or tries >= CLEARING_MAX:
        return None
    return park.since + timedelta(seconds=min(CLEARING_FIRST_S * 2.0**tries, CLEARING_CAP_S))


def _bounded(counters: Counters, used: int, bound: int, delay_s: float) -> TryAgain | GiveUp:
    if used > bound:
        return GiveUp(reason=ParkReason.RETRIES_EXHAUSTED, counters=counters)
    return TryAgain(counters=counters, delay_s=delay_s, mode=RunMode.CONTINUATION)


def after_run(result: AgentResult, counters: Counters, now: datetime) -> Next:
    """Return what follows a run whose outcome is not ``succeeded``."""
    outcome = result.outcome
    match outcome:
        case Outcome.FAILED | Outcome.CRASHED:
            # A lost session goes on at once in a new conversation, yet counts: who always loses it must not go on for ever.
            counters = replace(counters, failed=counters.failed + 1)
            delay_s = 0.0 if result.session_lost else backoff(counters.failed)
            return _bounded(counters, counters.failed, FAILED_MAX, delay_s)
        case Outcome.TURN_LIMIT:
            counters = replace(counters, turn_limit=counters.turn_limit + 1)
            return _bounded(counters, counters.turn_limit, TURN_LIMIT_MAX, 0.0)
        case Outcome.STALLED:
            counters = replace(counters, stalled=counters.stalled + 1)
            return _bounded(counters, counters.stalled, STALLED_MAX, 0.0)
        case Outcome.TIMED_OUT:
            counters = replace(counters, timed_out=counters.timed_out + 1)
            return _bounded(counters, counters.timed_out, TIMED_OUT_MAX, 0.0)
        case Outcome.RATE_LIMITED:
            until = result.until or now + timedelta(seconds=RATE_LIMIT_UNKNOWN_S)
            return Postpone(until=now + min(max(until - now, timedelta()), PAUSE_LONGEST), counters=counters)
        case Outcome.CANCELLED:
            return Postpone(until=now, counters=counters)
        case Outcome.PERMISSION_DENIED:
            return GiveUp(reason=ParkReason.PERMISSION_DENIED, counters=counters)
        case Outcome.BUDGET_EXHAUSTED:
            return GiveUp(reason=ParkReason.BUDGET, counters=counters)
        case Outcome.SUCCEEDED:
            raise ValueError("a run that succeeded is not retried")
        case _:
            assert_never(outcome)


def after_red_gate(counters: Counters) -> TryAgain | GiveUp:
    """Return what follows a run that succeeded but left its gate red: the role tries again with the reason."""
    counted = replace(counters, gate_red=counters.gate_red + 1)
    if counted.gate_red > GATE_RED_MAX:
        return GiveUp(reason=ParkReason.RETRIES_EXHAUSTED, counters=counted)
    return TryAgain(counters=counted, delay_s=0.0, mode=RunMode.NEW_ATTEMPT)


def new_visit(counters: Counters) -> Counters:
    """Return the counters of a task that enters a stage: what its last role's runs came to is not charged to the next one's."""
    return replace(counters, gate_red=0, failed=0, stalled=0, timed_out=0, turn_limit=0)


CAUSES: tuple[str, ...] = ("ci_red", "review", "testing", "conflict", "land_red", "staging")
"""Why a task comes back to development; each is a counter of its own."""


def after_return(counters: Counters, cause: str, limit: int) -> TryAgain | GiveUp:
    """Return what follows a return to development for *cause*: bounded per cause, and twice that in all."""
    counted = replace(counters, **{cause: getattr(counters, cause) + 1})
    if getattr(counted, cause) > limit or counted.returns() > 2 * limit:
        return GiveUp(reason=ParkReason.RETRIES_EXHAUSTED, counters=counted)
    return TryAgain(counters=counted, delay_s=0.0, mode=RunMode.NEW_ATTEMPT)
