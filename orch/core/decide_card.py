"""Decisions about a live task whose card was read: it is gone, closed, edited, or stands where nobody is known to have put it.

Owns: what such a card means for its task. Does not own: triggers (``decide_repo``, ``decide_person``), the look at the board.
Rule: pure. A card that a person took away asks for a person; its text as it is now reaches the next agent; the shown status stays
derived from the task.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from orch.core.decide_repo import Chosen
from orch.core.decide_task import edit_pull_request
from orch.core.model import BoardIssue, ParkReason, Task, Transition
from orch.core.render import render_card_closed, render_card_gone, render_unexplained
from orch.core.stages import ORDER, Role, Stage, is_terminal
from orch.core.statuses import StatusMap
from orch.core.stopping import is_deploying
from orch.core.task_facts import status_of
from orch.core.turn import Context, Decided, Turn

CLOSED = ("completed", "cancelled")
"""The groups of columns in which a board keeps what nobody works on any more."""
GONE, BACK = "card-gone", "card-back"
"""The history's lines for a card that is not there any more, and for one that is again."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CardNews:
    """What was read: *issue* None where the card is gone, *chosen* among its entries; *history* is the task's."""

    issue: BoardIssue | None
    chosen: Chosen
    states: StatusMap
    history: Sequence[Transition] = ()


def card_read(context: Context, task: Task, news: CardNews) -> Decided:
    """The card of a live task was read; what a trigger means is decided elsewhere."""
    turn = Turn(context, task)
    if is_terminal(task.stage) or task.cancel_requested_at is not None:
        return turn.ignore()
    if news.issue is None:
        _gone(turn, news.history)
        return turn.end()
    back = _is_known_gone(news.history)
    if back:
        turn.record(task.stage, task.stage, BACK)
    _note_text(turn, news.issue)
    entry = news.chosen.entry
    if news.chosen.trigger is not None or entry is None or entry.target is None:
        return turn.end(show=back)  # what was to be shown meanwhile met no card
    if news.chosen.unknown:
        return _unexplained(turn, news.states, entry.target, str(entry.id))
    if news.states.groups.get(entry.target) in CLOSED and news.states.trigger_of(entry.target) is None:
        _closed(turn, entry.actor_name or entry.actor)
    return turn.end()


def _is_known_gone(history: Sequence[Transition]) -> bool:
    told = [line.cause for line in history if line.cause in (GONE, BACK)]
    return bool(told) and told[-1] == GONE


def _gone(turn: Turn, history: Sequence[Transition]) -> None:
    """The card was deleted or archived. It is asked about once: a resume takes the task on without it."""
    task = turn.task
    if task.park is None and not is_deploying(task) and not _is_known_gone(history):
        turn.record(task.stage, task.stage, GONE)
        turn.park(ParkReason.ISSUE_GONE, render_card_gone(turn.language))


def _closed(turn: Turn, by: str) -> None:
    if not is_deploying(turn.task):
        turn.park(ParkReason.ISSUE_GONE, render_card_closed(by, turn.language))


def _unexplained(turn: Turn, states: StatusMap, column: str, key: str) -> Decided:
    """One comment and the derived status; nothing to say where the card shows just that."""
    status = status_of(turn.task)
    if states.state_for(status) == column:
        return turn.end()
    turn.comment(Role.STREAM, render_unexplained(turn.task, turn.language), key)
    return turn.end(show=True)


def _note_text(turn: Turn, issue: BoardIssue) -> None:
    """Keep what the card says now beside what the task was started with."""
    task = turn.task
    if (issue.title, issue.text) == (task.title_now, task.description_now):
        return
    title = issue.title if issue.title != task.title else None
    text = issue.text if issue.text != task.description else None
    turn.set(newest_title=title, newest_description=text)
    changed = [name for name, old, new in _parts(task, issue) if old != new]
    turn.record(task.stage, task.stage, "card-edited", ", ".join(changed))
    if task.pr_number is not None and task.landed is None:
        edit_pull_request(turn, wip=ORDER.index(task.stage) < ORDER.index(Stage.TESTING))


def _parts(task: Task, issue: BoardIssue) -> tuple[tuple[str, str, str], ...]:
    return (("title", task.title_now, issue.title), ("description", task.description_now, issue.text))
