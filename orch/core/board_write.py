"""A card's column and its activity log: whether the log explains the column, and whether a status may be written over it.

Owns: when a column counts as explained, how often it is looked at before it counts as set by an unknown person, and what the
outbox does before and after it sets a column. Does not own: what a person's entry means (``decide_repo``).
Rule: pure. A board writes its log late and sometimes never, and no write of a column is conditional: so a person's entry that
nobody has handled goes first, a column that the log does not explain holds the write for a while, and our own entry, read
after the write, tells what the write replaced.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import final

from orch.core.ids import ActivityId, IssueId, ProjectName, TaskRow, UserId
from orch.core.model import Activity, BoardIssue, Task, Unexplained
from orch.core.stages import is_terminal

LOOKS = 3
"""How often an unexplained column is looked at before it counts as set by an unknown person."""
LOOK_S = 10.0
"""Seconds between two of these looks: a log under load is seconds late, one whose writer is down has no end."""
UNKNOWN = UserId("unknown")
"""Who set a column that no log explains."""


def is_move(entry: Activity) -> bool:
    """Say whether *entry* tells of a column that was left for another one; a creation and an automation name no old one."""
    return entry.source is not None and entry.target is not None


def is_explained(column: str, entries: Sequence[Activity], unhandled: Collection[ActivityId]) -> bool:
    """Say whether the log (oldest first) tells who put the card into *column*.

    The newest move did, or, while no person's move waits to be handled, our own newest one: of two writes at once the log may
    name the one that lost last. Without any move the card stands where it was made.
    """
    moves = [entry for entry in entries if is_move(entry)]
    if not moves or moves[-1].target == column:
        return True
    ours = next((entry for entry in reversed(moves) if entry.ours), None)
    waits = any(not entry.ours and entry.id in unhandled for entry in moves)
    return not waits and ours is not None and ours.target == column


# ------------------------------------------------------------------------------------------------ an unknown person


def look(seen: Unexplained | None, project: ProjectName, issue: IssueId, column: str, now: datetime) -> Unexplained:
    """Count one look at a column that the log does not explain; a look right after another one tells nothing new."""
    if seen is None or seen.column != column:
        return Unexplained(project=project, issue=issue, column=column, looks=1, at=now)
    if seen.looks >= LOOKS or seen.at <= now < seen.at + timedelta(seconds=LOOK_S):
        return seen
    return replace(seen, looks=seen.looks + 1, at=now)


def is_unknown_persons(seen: Unexplained | None, column: str | None) -> bool:
    """Say whether *column* was looked at often enough to count as set by an unknown person."""
    return seen is not None and seen.column == column and seen.looks >= LOOKS


def unknown_entry(seen: Unexplained) -> Activity:
    """Return an entry in place of the one that the log lacks; it is handled once, as every other."""
    return Activity(
        id=ActivityId(f"unexplained/{seen.issue}/{seen.column}/{seen.at.isoformat()}"),
        issue=seen.issue,
        actor=UNKNOWN,
        actor_name="",
        ours=False,
        source=None,
        target=seen.column,
        created_at=seen.at,
    )


# ------------------------------------------------------------------------------------------------ before a write


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What was read of a card before a write: *issue* None where it is gone, *entries* oldest first."""

    issue: BoardIssue | None
    entries: Sequence[Activity]
    unhandled: Collection[ActivityId]
    seen: Unexplained | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Set the column. *over* is the one that it replaces as far as we know."""

    over: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Not now; *why* is for people. *read* says that whoever decides about the issue has to look at it."""

    why: str
    read: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """Never: *why* is for people. *read* says that whoever decides about the issue has to look at it."""

    why: str
    read: bool = False


def decide_write(card: Card, target: str) -> Write | Hold | Void:
    """Say whether the column *target* may be set on *card* now."""
    if card.issue is None:
        return Void(why="the card is gone", read=True)
    if any(not entry.ours and is_move(entry) and entry.id in card.unhandled for entry in card.entries):
        return Hold(why="a person's change of the card comes first", read=True)
    column = card.issue.state_id
    if column == target:
        return Void(why="the card stands there already")
    if is_explained(column, card.entries, card.unhandled) or is_unknown_persons(card.seen, column):
        return Write(over=column)
    known = card.seen is not None and card.seen.column == column
    return Hold(why="nothing says yet who put the card where it stands", read=not known)


def is_obsolete(row: TaskRow | None, newest: Task | None) -> bool:
    """Say whether a status of the task *row* (None: of an issue that was not let in) is out of date.

    *newest* is the issue's newest task: what an earlier one, or a refusal before it, wanted to show is not shown over it.
    """
    if newest is None:
        return False
    return newest.row != row if row is not None else not is_terminal(newest.stage)


# ------------------------------------------------------------------------------------------------ after a write


def overwrote(wrote: Write, target: str, before: Sequence[Activity], after: Sequence[Activity]) -> bool:
    """Say whether our own new entry names another old column than the one we knew: somebody was faster, and is written over."""
    known = {entry.id for entry in before}
    mine = [entry for entry in after if entry.ours and entry.target == target and entry.id not in known]
    return bool(mine) and mine[-1].source != wrote.over
