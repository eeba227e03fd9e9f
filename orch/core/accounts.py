"""Accounts: when all runs of one are paused, which run is let through as a try, and when the pause ends.

Owns: the rule of the account-wide pause. Does not own: a task's own retries (``retry``), the claim itself (the store).
Rule: pure. What holds an account is charged to no task. A reset time comes out of an agent's output, so it is bounded: hostile
output cannot put everything off for years. Each pause ends by a try: one run is let through when the time is over, and if
it ends otherwise than by the same cause the pause is lifted for all, else it is renewed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import final

from orch.core.ids import ProjectName, RunId
from orch.core.model import Account, AccountPause, Counters, Outcome, Project
from orch.core.model.project import RoleSettings
from orch.core.stages import Role

PAUSE = timedelta(minutes=15)
PAUSE_SHORTEST = timedelta(seconds=10)
PAUSE_LONGEST = timedelta(days=8)
"""The longest reset time that an agent may name; the longest limits in use are weekly ones."""
RENEWED_LONGEST = timedelta(hours=4)
WINDOW = timedelta(hours=1)
TURN_OF_OTHERS = timedelta(minutes=1)
"""How much longer than the account's pause a job waits whose run failed in it."""
TASKS_FAILING = 5

_CLASS: Mapping[Outcome, str] = {
    Outcome.FAILED: "failed",
    Outcome.CRASHED: "failed",
    Outcome.STALLED: "stalled",
    Outcome.TIMED_OUT: "timed_out",
}


def account_of(project: Project, role: Role) -> str:
    """Return the account that *role* runs under."""
    return project.roles.get(role, RoleSettings()).agent


def failure_class(outcome: Outcome) -> str:
    """Return the class that *outcome* is counted in (its counter's name), empty for one that says nothing about an account."""
    return _CLASS.get(outcome, "")


def uncharged(counters: Counters, outcome: Outcome) -> Counters:
    """Return the counters of a task whose failures of that class turned out to be the account's."""
    name = failure_class(outcome)
    return replace(counters, **{name: 0}) if name else counters


# ------------------------------------------------------------------------------------------------ a run has ended


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run of an account ended. *until* is when its limit ends, as its output named it."""

    run: RunId
    outcome: Outcome
    at: datetime
    until: datetime | None = None
    detail: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDecision:
    """The account as it shall be. *at_fault*: the run is not charged to its task; *began* and *lifted*: of the pause."""

    account: Account
    at_fault: bool = False
    began: bool = False
    lifted: bool = False


def run_ended(account: Account, ended: Ended, failing_tasks: int) -> AccountDecision:
    """Decide what a run's end means for its account.

    *failing_tasks* is over how many different tasks runs of the account ended in this class within WINDOW, this one included.
    """
    pause = account.pause
    same = pause is not None and _same_cause(pause.cause, ended.outcome)
    if pause is not None and pause.trial == ended.run:
        if same:
            renewed = replace(
                pause, until=_until(ended, pause.renewals + 1), renewals=pause.renewals + 1, trial=None, detail=ended.detail
            )
            return AccountDecision(account=replace(account, pause=renewed), at_fault=True)
        if ended.outcome is not Outcome.CANCELLED:  # a try that was cut off says nothing: the next run is one
            lifted = replace(account, pause=None)
            if ended.outcome is not Outcome.RATE_LIMITED:
                return AccountDecision(account=lifted, lifted=True)
            return replace(_begin(lifted, ended), began=True, lifted=True)
        return AccountDecision(account=replace(account, pause=replace(pause, trial=None)))
    if pause is not None and (same or ended.outcome is Outcome.RATE_LIMITED):
        later = replace(pause, until=max(pause.until, _until(ended, 0))) if ended.outcome is Outcome.RATE_LIMITED else pause
        return AccountDecision(account=replace(account, pause=later), at_fault=True)
    if pause is None and (
        ended.outcome is Outcome.RATE_LIMITED or (failure_class(ended.outcome) and failing_tasks >= TASKS_FAILING)
    ):
        return _begin(account, ended)
    return AccountDecision(account=account)


def _begin(account: Account, ended: Ended) -> AccountDecision:
    pause = AccountPause(cause=ended.outcome, since=ended.at, until=_until(ended, 0), detail=ended.detail)
    return AccountDecision(account=replace(account, pause=pause), at_fault=True, began=True)


def _same_cause(cause: Outcome, outcome: Outcome) -> bool:
    return cause is outcome or failure_class(cause) == failure_class(outcome) != ""


def _until(ended: Ended, renewals: int) -> datetime:
    """Return when the next try may begin: the reset time that was named, within bounds, else PAUSE, longer at each renewal."""
    if ended.outcome is Outcome.RATE_LIMITED and ended.until is not None:
        return ended.at + min(max(ended.until - ended.at, PAUSE_SHORTEST * 2.0 ** min(renewals, 6)), PAUSE_LONGEST)
    return ended.at + min(PAUSE * 2.0 ** min(renewals, 6), RENEWED_LONGEST)


# ------------------------------------------------------------------------------------------------ before a claim


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What the claim heeds: jobs of *closed* roles wait; the next run of an account in *trying* is its try.

    *due_at* is when the next account's pause is over.
    """

    closed: frozenset[tuple[ProjectName, Role]] = frozenset()
    trying: frozenset[str] = frozenset()
    due_at: datetime | None = None


def gate(accounts: Sequence[Account], projects: Collection[Project], open_trials: Collection[RunId], now: datetime) -> Gate:
    """Return what the claim heeds now. *open_trials* are those tries that are still going: one that a crash cut off is none."""
    closed, trying, due = set(), set(), []
    for account in accounts:
        pause = account.pause
        if pause is None:
            continue
        if pause.until > now:
            closed.add(account.name)
            due.append(pause.until)
        elif pause.trial in open_trials:
            closed.add(account.name)
        else:
            trying.add(account.name)
    roles = frozenset(
        (project.name, role) for project in projects if closed for role in Role if account_of(project, role) in closed
    )
    return Gate(closed=roles, trying=frozenset(trying), due_at=min(due, default=None))
