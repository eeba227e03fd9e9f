"""A card that was read, inside the transaction that decides about it: which entry counts, what the card itself means.

Owns: the store's part of both: how often an unexplained column was looked at, and the persisting of what follows for a live task.
Does not own: the reading of boards, triggers (the repo's and the task's actors). Rule: called inside ``store.transact``.
"""

from actors.persist import Hints, apply, tell_world
from orch.core.board_write import LOOK_S, LOOKS, look
from orch.core.decide_card import CardNews, card_read
from orch.core.decide_repo import Chosen, choose_trigger
from orch.core.effects import Comment, SetStatus
from orch.core.ids import IssueId, ProjectName
from orch.core.messages import IssueRead
from orch.core.model import RowState, Task
from orch.core.render import render_unexplained
from orch.core.stages import Role
from orch.core.statuses import StatusMap
from orch.core.task_facts import status_of
from orch.core.turn import Context
from orch.ports import Tx

AGAIN_S = LOOK_S + 0.5
"""When a card whose column nothing explains is read again."""


def choose(tx: Tx, context: Context, read: IssueRead, states: StatusMap, *, live: bool) -> Chosen:
    """Choose what counts of a card's log, and count the look where the log does not explain the column (yet).

    An unknown person's column is told of once: from then on nothing is chosen.
    """
    project, now = context.project.name, context.now
    entries, column = list(read.activities), read.issue.state_id if read.issue is not None else None
    unhandled, baseline = tx.unhandled(project, [entry.id for entry in entries]), tx.load_repo(project).baseline_at
    seen = tx.load_unexplained(project, read.id)
    chosen = choose_trigger(entries, unhandled, states, column, live=live, baseline=baseline, seen=seen)
    if chosen.wait and column is not None:
        seen = look(seen, project, read.id, column, now)
        tx.save_unexplained(seen)
        chosen = choose_trigger(entries, unhandled, states, column, live=live, baseline=baseline, seen=seen)
    elif seen is not None and not chosen.unknown:
        tx.drop_unexplained(project, read.id)
    if chosen.unknown and chosen.entry is not None and not tx.unhandled(project, [chosen.entry.id]):
        return Chosen(trigger=None, entry=None, handled=chosen.handled)
    return chosen


def follow(tx: Tx, context: Context, live: Task, read: IssueRead, chosen: Chosen, states: StatusMap) -> Hints | None:
    """Carry out what the card itself means for its live task: gone, closed, edited, put somewhere by nobody known."""
    news = CardNews(issue=read.issue, chosen=chosen, states=states, history=tx.list_transitions(live.row))
    decided = card_read(context, live, news)
    return apply(tx, decided, at=context.now)[1] if decided.changed else None


def put_right(tx: Tx, context: Context, ended: Task, read: IssueRead, states: StatusMap) -> Hints | None:
    """Show how a task ended on a card that was away when that was to be written: we moved it last, to an earlier column."""
    issue, status = read.issue, status_of(ended)
    if issue is None or not read.activities or states.state_for(status) in (None, issue.state_id):
        return None
    last = read.activities[-1]
    due = any(row.kind == SetStatus.__name__ for row in tx.list_outbox(state=RowState.PENDING, task=ended.row))
    if due or not last.ours or last.target != issue.state_id:
        return None
    tell_world(tx, SetStatus(status=status), project=ended.project, task=ended.row, issue=issue.id, at=context.now)
    return Hints(project=ended.project, outbox=True)


def tell_unexplained(tx: Tx, context: Context, read: IssueRead, chosen: Chosen) -> Hints:
    """One comment on a card without a task that stands in a trigger column where nobody is known to have put it."""
    project, now = context.project, context.now
    text = render_unexplained(None, project.language)
    key = str(chosen.entry.id if chosen.entry else now.isoformat())
    tell_world(tx, Comment(role=Role.STREAM, text=text, key=key), project=project.name, task=None, issue=read.id, at=now)
    return Hints(project=project.name, outbox=True)


def unsettled(tx: Tx, project: ProjectName) -> list[IssueId]:
    """Return the issues whose column is still being looked at."""
    return [seen.issue for seen in tx.list_unexplained(project) if seen.looks < LOOKS]
