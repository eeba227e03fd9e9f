"""A repo's entry: reading a changed issue, what its activity means, making tasks, adoption.

Owns: which issues are being read, and when one is read again. Does not own: a live task's decisions (its own actor makes them),
the card's own news (``cards``).

Desired properties: racing hints make one task; a lost hint only delays.
Design: an issue is read by a child task, at most one per issue at a time; what it means is decided in one transaction that
also marks the activity entries and inbox rows.
Races we accept: an issue changes while it is read: the hint that says so reads it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never, final

from actors import cards
from actors.columns import Columns
from actors.component import Room
from actors.persist import Hints, apply, send_hints, tell_world
from actors.relations import RelationsDesk, keep_relations, read_relations, reads_relations
from orch.core.decide_repo import (
    Chosen,
    Enter,
    Forward,
    Later,
    Nothing,
    Refuse,
    Useless,
    decide_adoption,
    decide_trigger,
    not_adopted,
    rejection_reason,
    shown_at,
)
from orch.core.decide_task import started
from orch.core.dependencies import Relations
from orch.core.effects import Comment, SetStatus
from orch.core.errors import ExternalError, StoreError
from orch.core.ids import InboxId, IssueId, TaskRow
from orch.core.messages import Adopt, AdoptionRead, Answer, IssueChanged, IssueRead, IssueUnread, TriggerSet, Verb
from orch.core.model import Activity, BoardIssue, NewTask, Project, RowState, Target, Task
from orch.core.render import render_qg0_failed, render_qg0_problem, render_trigger_useless
from orch.core.retry import backoff
from orch.core.stages import Role
from orch.core.statuses import BoardState, Status
from orch.core.task_facts import status_of
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import Tx

READS_MAX = 3
EntryMessage = IssueChanged | IssueRead | IssueUnread | Adopt | AdoptionRead
_log = get_logger("repo")


@final
@dataclass(slots=True, kw_only=True)
class Reading:
    """One issue being read; *again* says that it changed meanwhile."""

    inbox: list[InboxId] = field(default_factory=list)
    again: bool = False
    failures: int = 0


@final
class Entry:
    """The component of a repo's actor through which issues come in."""

    def __init__(self, room: Room, relations: RelationsDesk) -> None:
        self._room = room
        self._relations = relations
        self._columns = Columns(room.world, room.services)
        self._reading: dict[IssueId, Reading] = {}
        self._looking: set[IssueId] = set()
        """The issues that are read again in a while, because nothing explains their column."""

    async def started(self) -> None:
        for issue in await self._room.world.store.read(lambda tx: cards.unsettled(tx, self._room.name)):
            self._look_again(issue)

    async def plan(self) -> None:
        """Nothing waits here: what is unread has its rows in the inbox."""

    async def handle(self, message: EntryMessage) -> None:
        match message:
            case IssueChanged():
                self._read_soon(message)
            case IssueRead():
                await self._issue_read(message)
            case IssueUnread():
                self._room.spawn(self._read_later, message)
            case Adopt():
                self._room.spawn(self._read_for_adoption, message)
            case AdoptionRead():
                await self._adopt(message)
            case _:
                assert_never(message)

    # -------------------------------------------------------------------------------------------- issues

    def _read_soon(self, changed: IssueChanged) -> None:
        reading = self._reading.get(changed.issue)
        if reading is None:
            reading = self._reading[changed.issue] = Reading()
            self._room.spawn(self._read, changed.issue)
        else:
            reading.again = True
        if changed.inbox is not None and changed.inbox not in reading.inbox:
            reading.inbox.append(changed.inbox)

    async def _read(self, issue: IssueId) -> None:
        """Read the issue from its board, outside the actor's own loop."""
        reading = self._reading[issue]
        reading.again = False
        inbox = tuple(reading.inbox)
        board = self._room.services.board
        try:
            found, activities = await self._card(issue)
            states = await self._columns.read(_seen(found, activities))
            comments = await board.fetch_comments(issue)
            relations = await self._read_relations(issue, found, states)
        except (ExternalError, StoreError) as error:
            reading.failures += 1
            retry_s = (error.retry_after if isinstance(error, ExternalError) else None) or backoff(reading.failures)
            self._room.mailbox.tell(IssueUnread(id=issue, inbox=inbox, error=str(error), retry_s=retry_s))
            return
        hit("issue.read")
        self._room.mailbox.tell(
            IssueRead(
                id=issue,
                issue=found,
                states=states,
                activities=activities,
                comments=comments,
                inbox=inbox,
                relations=relations,
            )
        )

    async def _read_relations(self, issue: IssueId, found: BoardIssue | None, states: list[BoardState]) -> Relations | None:
        """Ask for what a card waits for whose task has not begun, or is about to be made."""
        if found is None or not reads_relations(self._room):
            return None
        name = self._room.name
        live, held = await self._room.world.store.read(lambda tx: (tx.live_task(name, issue), tx.open_dependencies(name, issue)))
        starts = self._columns.map(states).trigger_of(found.state_id) is Status.TO_ANALYSE if live is None else False
        if starts or held or (live is not None and not live.attempt):
            return await read_relations(self._room.services, self._room.world.store, issue)
        return None

    async def _card(self, issue: IssueId) -> tuple[BoardIssue | None, list[Activity]]:
        """Read column and activities until the newest entry explains the column: the card may be moved between the two reads."""
        board = self._room.services.board
        for _ in range(READS_MAX):
            activities = await board.fetch_activities(issue)
            found = await board.fetch_issue(issue)
            if found is None or not activities or activities[-1].target == found.state_id:
                break
        return found, activities

    def _look_again(self, issue: IssueId, seconds: float = cards.AGAIN_S) -> None:
        """Read the issue again in a while: its log does not explain its column yet."""
        if issue not in self._looking:
            self._looking.add(issue)
            self._room.spawn(self._read_again, issue, seconds)

    async def _read_again(self, issue: IssueId, seconds: float) -> None:
        await self._room.world.clock.sleep(seconds)
        self._looking.discard(issue)
        self._room.mailbox.tell(IssueChanged(issue=issue))

    async def _read_later(self, unread: IssueUnread) -> None:
        _log.warning("board unread", repo=self._room.name, issue=unread.id, error=unread.error)
        await self._room.world.clock.sleep(unread.retry_s)
        await self._read(unread.id)

    async def _issue_read(self, read: IssueRead) -> None:
        """Decide what the issue's activity means, once."""
        reading = self._reading.pop(read.id, None)
        if reading is not None and (reading.again or len(reading.inbox) > len(read.inbox)):
            self._read_soon(IssueChanged(issue=read.id))
            self._reading[read.id].inbox = [row for row in reading.inbox if row not in read.inbox]
        trigger, hints, waits = await self._room.world.store.transact(lambda tx: (*self._enter(tx, read), self._keep(tx, read)))
        hit("issue.handled")
        if await self._room.world.store.read(lambda tx: read.id in cards.unsettled(tx, self._room.name)):
            self._look_again(read.id)
        if trigger is not None:
            self._room.router.task(trigger[0]).tell(trigger[1])
        for each in (*waits, *([hints] if hints is not None else [])):
            send_hints(self._room.router, each)
        if read.relations is not None:
            await self._relations.tell(read.relations)

    def _keep(self, tx: Tx, read: IssueRead | AdoptionRead) -> list[Hints]:
        """Keep what the board says of relations, in the transaction that makes the task: no job of it is claimed before."""
        live = tx.live_task(self._room.name, read.id)
        if read.relations is None or live is None:
            return []
        return keep_relations(tx, self._room.world.context(self._room.name), read.relations)

    def _enter(self, tx: Tx, read: IssueRead) -> tuple[tuple[TaskRow, TriggerSet] | None, Hints | None]:
        """Inside the transaction: choose the trigger that counts and carry it out, or hand it to the live task."""
        project, now = self._room.name, self._room.world.clock.now()
        states = self._columns.map(read.states)
        live, context = tx.live_task(project, read.id), self._room.world.context(project)
        stop_door = self._room.world.limits.stop_status_enabled
        chosen = cards.choose(tx, context, read, states, live=live is not None and stop_door)
        newest = live or tx.newest_task(project, read.id)
        told = None if live is None else cards.follow(tx, context, live, read, chosen, states)
        if read.issue is None or (chosen.unknown and chosen.trigger is None):
            tx.mark_handled(project, chosen.handled, now)
            self._mark(tx, read)
            idle = live is None and chosen.entry is not None and states.trigger_of(str(chosen.entry.target)) is not None
            return None, cards.tell_unexplained(tx, context, read, chosen) if idle else told
        entry = decide_trigger(chosen.trigger, read.issue, live, newest, self._room.world.limits)
        if isinstance(entry, Forward):
            return (entry.task, self._trigger(chosen, read, live, shown_at(read.activities, states))), told
        if isinstance(entry, Later):
            self._mark(tx, read)
            return None, None
        tx.mark_handled(project, chosen.handled, now)
        self._mark(tx, read)
        match entry:
            case Enter():
                assert chosen.entry is not None
                made = self._make_task(tx, read.issue, chosen.entry.actor)
                return None, None if made is None else made[1]
            case Refuse():
                language = self._room.project.language
                problems = [render_qg0_problem(p.field, p.value, p.low, p.high, language) for p in entry.problems]
                return None, self._tell(tx, read.id, Status.BLOCKED, render_qg0_failed(problems, language), chosen)
            case Useless():
                assert chosen.trigger is not None
                text = render_trigger_useless(chosen.trigger, newest, self._room.project.language)
                shown = None if newest is None else status_of(newest)  # so that the same trigger can be set anew
                return None, self._tell(tx, read.id, shown, text, chosen)
            case Nothing():
                if live is None and newest is not None:
                    told = cards.put_right(tx, context, newest, read, states)
                return None, told
            case _:
                assert_never(entry)

    def _mark(self, tx: Tx, read: IssueRead) -> None:
        for row in read.inbox:
            tx.mark_inbox(row, RowState.DONE)

    def _trigger(self, chosen: Chosen, read: IssueRead, live: Task | None, shown: datetime | None) -> TriggerSet:
        assert chosen.trigger is not None
        assert chosen.entry is not None
        return TriggerSet(
            trigger=chosen.trigger,
            entries=chosen.handled,
            at=chosen.entry.created_at,
            by=chosen.entry.actor,
            by_name=chosen.entry.actor_name,
            reason=rejection_reason(read.comments, live, shown),
            inbox=read.inbox,
        )

    def _make_task(self, tx: Tx, issue: BoardIssue, by: str) -> tuple[Task, Hints] | None:
        context = self._room.world.context(self._room.name)
        earlier = tx.newest_task(self._room.name, issue.id)
        task = tx.insert_task(task_from(issue, self._room.project, context.now))
        if task is None:
            return None
        hit("task.created")
        if earlier is not None:
            drop_signs(tx, earlier)
        return apply(tx, started(context, task, by), at=context.now)

    def _tell(self, tx: Tx, issue: IssueId, status: Status | None, text: str, chosen: Chosen) -> Hints:
        """Comment on an issue that has no live task, and set its status where one is named."""
        project, now = self._room.name, self._room.world.clock.now()
        key = str(chosen.entry.id if chosen.entry else now.isoformat())
        tell_world(tx, Comment(role=Role.STREAM, text=text, key=key), project=project, task=None, issue=issue, at=now)
        if status is not None:
            tell_world(tx, SetStatus(status=status), project=project, task=None, issue=issue, at=now)
        return Hints(project=project, outbox=True)

    # -------------------------------------------------------------------------------------------- adoption

    async def _read_for_adoption(self, adopt: Adopt) -> None:
        """Read the issue, outside the actor's own loop; who asked is answered whatever comes of it."""
        read = AdoptionRead(id=adopt.issue, issue=None, by=adopt.by, reply=adopt.reply)
        try:
            await self._columns.read()
            issue = await self._room.services.board.fetch_issue(adopt.issue)
            asks = issue is not None and reads_relations(self._room)
            relations = await read_relations(self._room.services, self._room.world.store, adopt.issue) if asks else None
            read = replace(read, issue=issue, relations=relations)
        except (ExternalError, StoreError) as error:
            read = replace(read, error=str(error))
        self._room.mailbox.tell(read)

    async def _adopt(self, read: AdoptionRead) -> None:
        """Start the line for an issue because a person says so."""

        def work(tx: Tx) -> tuple[Answer, Hints | None]:
            project, issue = self._room.name, read.issue
            if issue is None:
                return not_adopted(read.id, read.error), None
            live, newest = tx.live_task(project, issue.id), tx.newest_task(project, issue.id)
            answer = decide_adoption(issue, live, newest, self._room.world.limits)
            made = None if isinstance(answer, Answer) else self._make_task(tx, issue, read.by)
            if isinstance(answer, Answer) or made is None:
                return answer if isinstance(answer, Answer) else not_adopted(read.id, "a task was started meanwhile"), None
            task, hints = made
            self._keep(tx, read)
            return Answer(verb=Verb.DONE, text=f"{task.work_item} was started for {issue.id}", id=task.work_item), hints

        answer, hints = await self._room.world.store.transact(work)
        read.reply.answer(answer)
        if hints is not None:
            send_hints(self._room.router, hints)


def _seen(issue: BoardIssue | None, activities: Sequence[Activity]) -> set[str]:
    """Return the columns that a card stands in or was moved into, as far as the newest of its log says."""
    moved = {entry.target for entry in activities[-1:] if entry.target is not None}
    return moved | ({issue.state_id} if issue is not None and issue.state_id else set())


def task_from(issue: BoardIssue, project: Project, at: datetime, *, exempt: bool = False) -> NewTask:
    """Return the task that is to be made of a card."""
    return NewTask(
        project=project.name,
        issue=issue.id,
        prefix=project.prefix,
        sequence=issue.sequence,
        title=issue.title,
        description=issue.text,
        slug=issue.slug,
        url=issue.url,
        at=at,
        exempt=exempt,
    )


def drop_signs(tx: Tx, earlier: Task) -> None:
    """What an ended task still wanted to show on the board would now be shown over its successor."""
    for row in tx.list_outbox(state=RowState.PENDING, task=earlier.row):
        if row.target is Target.BOARD:
            tx.end_outbox(row.id, RowState.VOID)
