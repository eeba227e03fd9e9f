"""Board statuses: logical keys, default names, aliases, triggers, and the status that a task shows.

Owns: the mapping between columns of a board and logical keys. Rule: status is a sign that is derived from
the task, never read back as its state; the only inward way is a trigger (``TRIGGERS``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import final


class Status(StrEnum):
    """Logical keys of board columns."""

    BACKLOG = "backlog"
    TO_ANALYSE = "to_analyse"
    ANALYSIS = "analysis"
    NEEDS_INPUT = "needs_input"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REJECTED = "rejected"
    IN_PROGRESS = "in_progress"
    CODE_REVIEW = "code_review"
    TESTING = "testing"
    AWAITING_DEPLOY = "awaiting_deploy"
    CONFIRM_DEPLOY = "confirm_deploy"
    DEPLOYING = "deploying"
    MONITORING = "monitoring"
    DONE = "done"
    BLOCKED = "blocked"
    STOP = "stop"
    CANCELLED = "cancelled"


DEFAULT_NAMES: Mapping[Status, str] = {
    Status.BACKLOG: "Backlog",
    Status.TO_ANALYSE: "To Analyse",
    Status.ANALYSIS: "Analysis",
    Status.NEEDS_INPUT: "Needs Input",
    Status.IN_REVIEW: "In Review",
    Status.APPROVED: "Approved",
    Status.REJECTED: "Rejected",
    Status.IN_PROGRESS: "In Progress",
    Status.CODE_REVIEW: "Code Review",
    Status.TESTING: "Testing",
    Status.AWAITING_DEPLOY: "Awaiting Deploy",
    Status.CONFIRM_DEPLOY: "Confirm Deploy",
    Status.DEPLOYING: "Deploying",
    Status.MONITORING: "Monitoring after Deploy",
    Status.DONE: "Done",
    Status.BLOCKED: "Blocked",
    Status.STOP: "STOP",
    Status.CANCELLED: "Cancelled",
}

ALIASES: Mapping[Status, Status] = {
    Status.TO_ANALYSE: Status.IN_PROGRESS,
    Status.ANALYSIS: Status.IN_PROGRESS,
    Status.CODE_REVIEW: Status.IN_PROGRESS,
    Status.TESTING: Status.IN_PROGRESS,
    Status.DEPLOYING: Status.IN_PROGRESS,
    Status.AWAITING_DEPLOY: Status.IN_REVIEW,
    Status.MONITORING: Status.DONE,
    Status.CANCELLED: Status.BLOCKED,
}
"""Used inside the same project when its board lacks a status. ``confirm_deploy`` and ``stop`` have none: fail closed."""

REQUIRED: frozenset[Status] = frozenset(
    {
        Status.IN_PROGRESS,
        Status.NEEDS_INPUT,
        Status.IN_REVIEW,
        Status.APPROVED,
        Status.REJECTED,
        Status.BLOCKED,
        Status.DONE,
    }
)

TRIGGERS: frozenset[Status] = frozenset({Status.TO_ANALYSE, Status.APPROVED, Status.REJECTED, Status.CONFIRM_DEPLOY, Status.STOP})
"""The only statuses that mean something when a person sets them."""


def fold(name: str) -> str:
    """Return a column's name as it is compared: trimmed and casefolded."""
    return name.strip().casefold()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BoardState:
    """One column of one board project; *group* is the board's own coarse class (``completed``, ``cancelled`` …)."""

    id: str
    name: str
    group: str = "unstarted"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StatusMap:
    """The columns of one project by logical key. Made by ``map_states``."""

    ids: Mapping[Status, str]
    groups: Mapping[str, str]

    def state_for(self, status: Status) -> str | None:
        """Return the state id to set for *status*, through its alias where the board lacks it, or None for none at all."""
        found = self.ids.get(status)
        if found is None and (alias := ALIASES.get(status)) is not None:
            found = self.ids.get(alias)
        return found

    def status_of(self, state_id: str) -> Status | None:
        """Return the logical key of a column, or None for a column without one."""
        return next((status for status, known in self.ids.items() if known == state_id), None)

    def trigger_of(self, state_id: str) -> Status | None:
        """Return the trigger that setting this column means, or None.

        Where the board has no ``to_analyse`` its alias (``in_progress``) stands for it.
        """
        status = self.status_of(state_id)
        if status in TRIGGERS:
            return status
        if status is ALIASES[Status.TO_ANALYSE] and Status.TO_ANALYSE not in self.ids:
            return Status.TO_ANALYSE
        return None

    def missing(self) -> frozenset[Status]:
        """Return the required statuses that the board lacks."""
        return REQUIRED - self.ids.keys()


def map_states(states: Iterable[BoardState], renames: Mapping[Status, str] | None = None) -> StatusMap:
    """Map a project's columns to logical keys. A rename is a column's name or its id; the first of two equal names wins."""
    known = list(states)
    by_id = {state.id: state for state in known}
    by_name: dict[str, BoardState] = {}
    for state in known:
        by_name.setdefault(fold(state.name), state)
    ids: dict[Status, str] = {}
    for status in Status:
        wanted = (renames or {}).get(status, DEFAULT_NAMES[status])
        found = by_id.get(wanted) or by_name.get(fold(wanted))
        if found is not None and found.id not in ids.values():
            ids[status] = found.id
    return StatusMap(ids=ids, groups={state.id: state.group for state in known})


def equal_names(states: Iterable[BoardState]) -> list[tuple[BoardState, BoardState]]:
    """Return the pairs of columns that cannot be told apart after trim and casefold (a fault that doctor names)."""
    seen: dict[str, BoardState] = {}
    pairs = []
    for state in states:
        other = seen.setdefault(fold(state.name), state)
        if other is not state:
            pairs.append((other, state))
    return pairs
