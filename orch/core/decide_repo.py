"""Decisions about one repo: which trigger an issue's activity stands for, whether it may enter the line, whether it may land.

Owns: the reading of activity entries, QG-0's consequence, and the membership check of a landing. Does not own: what lands next
(``train``). Rule: pure.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import final

from orch.core.board_write import is_explained, is_unknown_persons, unknown_entry
from orch.core.gates import Qg0Problem, qg0
from orch.core.ids import ActivityId, IssueId, TaskRow
from orch.core.messages import Answer, Verb
from orch.core.model import Activity, BoardComment, BoardIssue, Candidate, Limits, Project, Repo, Task, Unexplained
from orch.core.render import render_qg0_problem
from orch.core.stages import Stage, is_terminal
from orch.core.statuses import Status, StatusMap

# ------------------------------------------------------------------------------------------------ triggers


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The one trigger that counts among an issue's unhandled entries, and every entry that is handled with it.

    *trigger* is None when the entries mean nothing: they are marked handled all the same. *wait* says that the log does not
    explain the column yet: nothing is handled, and it is read again. *unknown* says that it never did: the column counts as set
    by an unknown person, *entry* stands for that, and STOP alone is obeyed.
    """

    trigger: Status | None
    entry: Activity | None
    handled: tuple[ActivityId, ...]
    wait: bool = False
    unknown: bool = False


def choose_trigger(
    entries: Sequence[Activity],
    unhandled: Collection[ActivityId],
    states: StatusMap,
    column: str | None,
    *,
    live: bool = True,
    baseline: datetime | None = None,
    seen: Unexplained | None = None,
) -> Chosen:
    """Choose among *entries* (oldest first) of one issue whose current column is *column*; *live*: it has a task to stop.

    Entries of our own users are echoes. An entry counts only with an old state and a new state of this project. STOP
    always counts; otherwise only the newest human entry does, and only if the column ever showed it: it still does, or a
    write of our own names it as what it overwrote. A ``to_analyse`` set after the STOP is kept, unhandled, for a next look.
    A column that the log does not explain is waited for until *seen* says that it was looked at often enough.
    What is older than *baseline* was there before we were: it counts as handled, but for a STOP that stands on a live task.
    """
    fresh = [entry for entry in entries if entry.id in unhandled]
    human = [
        entry
        for entry in fresh
        if not entry.ours
        and entry.source is not None
        and entry.target is not None
        and entry.target in states.groups
        and (baseline is None or entry.created_at >= baseline or (live and _is_standing_stop(entry, states, column)))
    ]
    handled = tuple(entry.id for entry in fresh)
    newest = human[-1] if human else None
    meant = states.trigger_of(newest.target) if newest is not None and newest.target is not None else None
    shown = newest is not None and _was_shown(newest, entries, column)
    for stop in reversed(human):
        if live and stop.target is not None and states.trigger_of(stop.target) is Status.STOP:
            if meant is Status.TO_ANALYSE and shown:
                handled = handled[: fresh.index(stop) + 1]
            return Chosen(trigger=Status.STOP, entry=stop, handled=handled)
    if newest is not None and shown:
        return Chosen(trigger=meant, entry=newest, handled=handled)
    if column is None or is_explained(column, entries, {entry.id for entry in human}):
        return Chosen(trigger=None, entry=None, handled=handled)
    if not is_unknown_persons(seen, column):
        return Chosen(trigger=None, entry=None, handled=(), wait=True)
    assert seen is not None
    entry = unknown_entry(seen)
    stops = live and states.trigger_of(column) is Status.STOP
    return Chosen(trigger=Status.STOP if stops else None, entry=entry, handled=(*handled, entry.id), unknown=True)


def _is_standing_stop(entry: Activity, states: StatusMap, column: str | None) -> bool:
    return entry.target is not None and entry.target == column and states.trigger_of(entry.target) is Status.STOP


def _was_shown(entry: Activity, entries: Sequence[Activity], column: str | None) -> bool:
    """Say whether the column shows what *entry* set, or showed it until a write of our own replaced it."""
    after = entries[entries.index(entry) + 1 :]
    return entry.target == column or any(later.ours and later.source == entry.target for later in after)


def rejection_reason(comments: Sequence[BoardComment], task: Task | None, shown_at: datetime | None = None) -> str:
    """Return the newest human comment that is newer than the artefacts it speaks about, or an empty string.

    *shown_at* is when the board itself says that they were shown: its clock dates the comments, and ours may be another.
    """
    if task is None:
        return ""
    since = shown_at or task.updated_at
    human = [comment for comment in comments if not comment.ours and comment.created_at >= since]
    return human[-1].text if human else ""


def shown_at(entries: Sequence[Activity], states: StatusMap) -> datetime | None:
    """Return when the board dates our newest entry, where that shows artefacts for a decision."""
    ours = [entry for entry in entries if entry.ours]
    return ours[-1].created_at if ours and ours[-1].target == states.state_for(Status.IN_REVIEW) else None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Enter:
    """Make a task."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """QG-0 failed: ``blocked`` and one comment that lists each problem."""

    problems: tuple[Qg0Problem, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """The live task's own actor decides."""

    task: TaskRow


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Useless:
    """Nothing to do but one comment."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """Nothing to do."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """The issue's last task was stopped and is still being cleaned up after: kept unhandled, looked at again after that."""


Entry = Enter | Refuse | Forward | Useless | Later | Nothing


def decide_trigger(trigger: Status | None, issue: BoardIssue, live: Task | None, newest: Task | None, limits: Limits) -> Entry:
    """Say what a trigger on *issue* means for the repo."""
    if trigger is None:
        return Nothing()
    if live is not None:
        return Forward(task=live.row)
    if trigger is not Status.TO_ANALYSE:
        return Nothing() if trigger is Status.STOP and newest is None else Useless()  # there was never anything to stop
    if newest is not None and newest.stage is Stage.DONE:
        return Useless()
    if newest is not None and not newest.swept:
        return Later()
    problems = qg0(issue.title, issue.text, limits)
    return Refuse(problems=problems) if problems else Enter()


# ------------------------------------------------------------------------------------------------ first contact, adoption

STORE_BEGAN = datetime(1970, 1, 1, tzinfo=UTC)
"""The baseline of a board that lives in the store itself: nothing on it is older than we are, whatever the clock did."""


def first_contact(project: Project, now: datetime) -> datetime:
    """Return the baseline of a board that is met for the first time: what was done on it before counts as handled."""
    return STORE_BEGAN if project.board == "local" else now


def decide_adoption(issue: BoardIssue, live: Task | None, newest: Task | None, limits: Limits) -> Enter | Answer:
    """Say whether a person's wish starts the line for *issue*, whatever its column and its activity say; or why it does not."""
    if live is not None:
        told = f"{issue.id} is in the line already, as {live.work_item} at {live.stage}"
        return Answer(verb=Verb.REFUSED, text=told, id=live.work_item)
    if newest is not None and newest.stage is Stage.CANCELLED and not newest.swept:
        return Answer(verb=Verb.REFUSED, text=f"the last task of {issue.id} is still being cleaned up after: try again soon")
    problems = qg0(issue.title, issue.text, limits)
    if not problems:
        return Enter()
    told = "; ".join(render_qg0_problem(p.field, p.value, p.low, p.high, "en") for p in problems)
    return Answer(verb=Verb.REFUSED, text=f"{issue.id} cannot enter the line: {told}")


def not_adopted(issue: IssueId, error: str) -> Answer:
    """Return the answer where there is no issue to start: the board has none, or (*error*) could not be read."""
    if error:
        return Answer(verb=Verb.UNAVAILABLE, text=f"{issue[:80]} was not adopted, try again later: {error}")
    return Answer(verb=Verb.UNKNOWN, text=f"the board has no issue {issue[:80]!r}")


# ------------------------------------------------------------------------------------------------ landing


def membership_fault(candidate: Candidate, members: Sequence[Task | None], repo: Repo) -> str | None:
    """Return why *candidate* may not land any more, or None. *members* are its tasks as the store has them now."""
    for member, task in zip(candidate.members, members, strict=True):
        if task is None or is_terminal(task.stage) or task.cancel_requested_at is not None:
            return f"task {int(member.task)} left the line"
        if task.stage is not Stage.DEPLOY_STAGING or task.train_seq is None or task.park is not None:
            return f"{task.work_item} left the landing queue"
        if task.head != member.head:
            return f"{task.work_item} has a newer head"
        if repo.freeze is not None and not task.exempt:
            return "the repo is frozen"
    return None
