"""The repo actor: one repo's entry, its landing queue, its lease, and the git traffic of its mirror's default branch.

Owns: reading a changed issue and what its activity means, making tasks, the one landing under way.
Does not own: a live task's decisions (its own actor makes them).

Desired properties: racing hints make one task; a lost hint only delays; the default branch has one writer.
Design: an issue is read by a child task, at most one per issue at a time; what it means is decided in one transaction that
also marks the activity entries and inbox rows. Landing is planned anew from the store at every hint and every ``IDLE_S``;
nothing is landed while an intent of an earlier landing is open: git is asked first what became of it.
Races we accept: an issue changes while it is read: the hint that says so reads it again.
"""

from dataclasses import dataclass, field, replace
from typing import assert_never, final

import anyio

from actors.actor import Actor, Failure
from actors.landing import Landing, resolve_intent
from actors.mailbox import Mailbox
from actors.persist import Hints, apply, bury, send_hints, tell_world
from actors.world import Router, World
from orch.core.decide_repo import (
    Chosen,
    Enter,
    Forward,
    Land,
    Later,
    Nothing,
    Refuse,
    Useless,
    choose_trigger,
    decide_adoption,
    decide_trigger,
    first_contact,
    not_adopted,
    plan_landing,
    rejection_reason,
)
from orch.core.decide_task import started
from orch.core.effects import Comment, SetStatus
from orch.core.errors import ExternalError, LeaseLost, StoreError
from orch.core.ids import Epoch, InboxId, IssueId, ProjectName, TaskRow
from orch.core.messages import (
    Adopt,
    AdoptionRead,
    Answer,
    IssueChanged,
    IssueRead,
    IssueUnread,
    LandingEnded,
    LandingHint,
    RepoMessage,
    TaskHint,
    TriggerSet,
    Verb,
)
from orch.core.model import (
    Activity,
    BoardIssue,
    Candidate,
    IntentKind,
    MergeLease,
    NewTask,
    Outcome,
    Project,
    RowState,
    RunKind,
    Target,
    Task,
)
from orch.core.render import render_qg0_failed, render_qg0_problem, render_trigger_useless
from orch.core.retry import backoff
from orch.core.stages import Role
from orch.core.statuses import BoardState, Status, map_states
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import Tx

IDLE_S = 30.0
READS_MAX = 3
_log = get_logger("repo")


@final
@dataclass(slots=True, kw_only=True)
class Reading:
    """One issue being read; *again* says that it changed meanwhile."""

    inbox: list[InboxId] = field(default_factory=list)
    again: bool = False
    failures: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """The landing that is going on."""

    task: TaskRow
    epoch: Epoch
    scope: anyio.CancelScope


class RepoActor(Actor[RepoMessage]):
    """See the module's docstring. *failure* says how an earlier life of this actor crashed."""

    idle_s = IDLE_S

    def __init__(
        self, mailbox: Mailbox[RepoMessage], world: World, router: Router, project: ProjectName, *, failure: Failure | None = None
    ) -> None:
        super().__init__(mailbox)
        self._failure = failure
        self._world = world
        self._router = router
        self._services = world.services[project]
        self._reading: dict[IssueId, Reading] = {}
        self._landing: UnderWay | None = None
        self._green: Candidate | None = None
        """The last candidate that passed its test; while it is still what would be built, it is not tested again."""
        self._resolving = False

    @property
    def _project(self) -> Project:
        """The project as configuration has it now."""
        return self._services.project

    async def started(self) -> None:
        """Bury what crashed an earlier life, end the test run of its landing, take the baseline, and plan from the store."""
        failure, now = self._failure, self._world.clock.now()

        def work(tx: Tx) -> None:
            if failure is not None:
                bury(tx, failure.letter, self._project.name, failure.error, now)
            repo = tx.load_repo(self._project.name)
            if repo.baseline_at is None:
                tx.save_repo(replace(repo, baseline_at=first_contact(self._project, now)))
            for run in tx.list_runs(running=True):
                if run.kind is RunKind.LAND and run.project == self._project.name:
                    tx.save_run(replace(run, outcome=Outcome.CANCELLED, detail="its landing was begun again", ended_at=now))

        await self._world.store.transact(work)
        await self._plan()

    async def idle(self) -> None:
        await self._plan()

    async def handle(self, message: RepoMessage) -> None:
        match message:
            case IssueChanged():
                self._read_soon(message)
            case IssueRead():
                await self._issue_read(message)
            case IssueUnread():
                self.children.start_soon(self._read_later, message)
            case Adopt():
                self.children.start_soon(self._read_for_adoption, message)
            case AdoptionRead():
                await self._adopt(message)
            case LandingHint():
                await self._plan()
            case LandingEnded():
                await self._landing_ended(message)
            case _:
                assert_never(message)

    # -------------------------------------------------------------------------------------------- issues

    def _read_soon(self, changed: IssueChanged) -> None:
        reading = self._reading.get(changed.issue)
        if reading is None:
            reading = self._reading[changed.issue] = Reading()
            self.children.start_soon(self._read, changed.issue)
        else:
            reading.again = True
        if changed.inbox is not None and changed.inbox not in reading.inbox:
            reading.inbox.append(changed.inbox)

    async def _read(self, issue: IssueId) -> None:
        """Read the issue from its board, outside the actor's own loop."""
        reading = self._reading[issue]
        reading.again = False
        inbox = tuple(reading.inbox)
        board = self._services.board
        try:
            states = await self._states()
            found, activities = await self._card(issue)
            comments = await board.fetch_comments(issue)
        except (ExternalError, StoreError) as error:
            reading.failures += 1
            retry_s = (error.retry_after if isinstance(error, ExternalError) else None) or backoff(reading.failures)
            self.mailbox.tell(IssueUnread(id=issue, inbox=inbox, error=str(error), retry_s=retry_s))
            return
        hit("issue.read")
        self.mailbox.tell(IssueRead(id=issue, issue=found, states=states, activities=activities, comments=comments, inbox=inbox))

    async def _card(self, issue: IssueId) -> tuple[BoardIssue | None, list[Activity]]:
        """Read column and activities until the newest entry explains the column: the card may be moved between the two reads."""
        board = self._services.board
        for _ in range(READS_MAX):
            activities = await board.fetch_activities(issue)
            found = await board.fetch_issue(issue)
            if found is None or not activities or activities[-1].target == found.state_id:
                break
        return found, activities

    async def _states(self) -> list[BoardState]:
        states = await self._services.board.fetch_states()
        await self._world.store.transact(lambda tx: tx.save_states(self._project.name, states))
        return states

    async def _read_later(self, unread: IssueUnread) -> None:
        _log.warning("board unread", repo=self._project.name, issue=unread.id, error=unread.error)
        await self._world.clock.sleep(unread.retry_s)
        await self._read(unread.id)

    async def _issue_read(self, read: IssueRead) -> None:
        """Decide what the issue's activity means, once."""
        reading = self._reading.pop(read.id, None)
        if reading is not None and (reading.again or len(reading.inbox) > len(read.inbox)):
            self._read_soon(IssueChanged(issue=read.id))
            self._reading[read.id].inbox = [row for row in reading.inbox if row not in read.inbox]
        trigger, hints = await self._world.store.transact(lambda tx: self._enter(tx, read))
        hit("issue.handled")
        if trigger is not None:
            self._router.task(trigger[0]).tell(trigger[1])
        if hints is not None:
            send_hints(self._router, hints)

    def _enter(self, tx: Tx, read: IssueRead) -> tuple[tuple[TaskRow, TriggerSet] | None, Hints | None]:
        """Inside the transaction: choose the trigger that counts and carry it out, or hand it to the live task."""
        project, now = self._project.name, self._world.clock.now()
        states = map_states(read.states, {Status(k): v for k, v in self._project.statuses.items()})
        entries = list(read.activities)
        unhandled = tx.unhandled(project, [entry.id for entry in entries])
        column = read.issue.state_id if read.issue is not None else None
        live = tx.live_task(project, read.id)
        stop_door = self._world.limits.stop_status_enabled
        baseline = tx.load_repo(project).baseline_at
        chosen = choose_trigger(entries, unhandled, states, column, live=live is not None and stop_door, baseline=baseline)
        newest = live or tx.newest_task(project, read.id)
        if read.issue is None:
            tx.mark_handled(project, chosen.handled, now)
            self._mark(tx, read)
            return None, None
        entry = decide_trigger(chosen.trigger, read.issue, live, newest, self._world.limits)
        if isinstance(entry, Forward):
            return (entry.task, self._trigger(chosen, read, live)), None
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
                language = self._project.language
                told = [render_qg0_problem(p.field, p.value, p.low, p.high, language) for p in entry.problems]
                return None, self._tell(tx, read.id, Status.BLOCKED, render_qg0_failed(told, language), chosen)
            case Useless():
                assert chosen.trigger is not None
                text = render_trigger_useless(chosen.trigger, newest, self._project.language)
                return None, self._tell(tx, read.id, None, text, chosen)
            case Nothing():
                return None, None
            case _:
                assert_never(entry)

    def _mark(self, tx: Tx, read: IssueRead) -> None:
        for row in read.inbox:
            tx.mark_inbox(row, RowState.DONE)

    def _trigger(self, chosen: Chosen, read: IssueRead, live: Task | None) -> TriggerSet:
        assert chosen.trigger is not None
        assert chosen.entry is not None
        return TriggerSet(
            trigger=chosen.trigger,
            entries=chosen.handled,
            at=chosen.entry.created_at,
            by=chosen.entry.actor,
            by_name=chosen.entry.actor_name,
            reason=rejection_reason(read.comments, live),
            inbox=read.inbox,
        )

    def _make_task(self, tx: Tx, issue: BoardIssue, by: str) -> tuple[Task, Hints] | None:
        context = self._world.context(self._project.name)
        earlier = tx.newest_task(self._project.name, issue.id)
        task = tx.insert_task(
            NewTask(
                project=self._project.name,
                issue=issue.id,
                prefix=self._project.prefix,
                sequence=issue.sequence,
                title=issue.title,
                description=issue.text,
                slug=issue.slug,
                url=issue.url,
                at=context.now,
            )
        )
        if task is None:
            return None
        hit("task.created")
        if earlier is not None:
            self._drop_signs(tx, earlier)
        return apply(tx, started(context, task, by), at=context.now)

    def _drop_signs(self, tx: Tx, earlier: Task) -> None:
        """What an ended task still wanted to show on the board would now be shown over its successor."""
        for row in tx.list_outbox(state=RowState.PENDING, task=earlier.row):
            if row.target is Target.BOARD:
                tx.end_outbox(row.id, RowState.VOID)

    def _tell(self, tx: Tx, issue: IssueId, status: Status | None, text: str, chosen: Chosen) -> Hints:
        """Comment on an issue that has no live task, and set its status where one is named."""
        project, now = self._project.name, self._world.clock.now()
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
            await self._states()
            read = replace(read, issue=await self._services.board.fetch_issue(adopt.issue))
        except (ExternalError, StoreError) as error:
            read = replace(read, error=str(error))
        self.mailbox.tell(read)

    async def _adopt(self, read: AdoptionRead) -> None:
        """Start the line for an issue because a person says so."""

        def work(tx: Tx) -> tuple[Answer, Hints | None]:
            project, issue = self._project.name, read.issue
            if issue is None:
                return not_adopted(read.id, read.error), None
            live, newest = tx.live_task(project, issue.id), tx.newest_task(project, issue.id)
            answer = decide_adoption(issue, live, newest, self._world.limits)
            made = None if isinstance(answer, Answer) else self._make_task(tx, issue, read.by)
            if isinstance(answer, Answer) or made is None:
                return answer if isinstance(answer, Answer) else not_adopted(read.id, "a task was started meanwhile"), None
            task, hints = made
            return Answer(verb=Verb.DONE, text=f"{task.work_item} was started for {issue.id}", id=task.work_item), hints

        answer, hints = await self._world.store.transact(work)
        read.reply.answer(answer)
        if hints is not None:
            send_hints(self._router, hints)

    # -------------------------------------------------------------------------------------------- landing

    async def _resolve_intents(self) -> None:
        """What became of the landings that were cut off, by a crash, a deadline or a forge that did not answer?"""
        failures = 0
        while True:
            try:
                intents = await self._world.store.read(lambda tx: tx.open_intents(self._project.name))
                for intent in [i for i in intents if i.kind is IntentKind.LAND]:
                    lease = await self._world.store.transact(lambda tx: tx.take_lease(self._project.name, "resolve"))
                    await resolve_intent(self._world, self._router, self._services, lease, intent)
                break
            except (ExternalError, StoreError, LeaseLost) as error:
                failures += 1
                _log.warning("intents unresolved", repo=self._project.name, error=str(error))
                await self._world.clock.sleep(backoff(failures))
        self._resolving = False
        self.mailbox.tell(LandingHint())

    async def _plan(self) -> None:
        """Start the next landing, or cancel the one whose task has left the queue; first of all resolve open intents."""
        if self._resolving:
            return
        project, busy = self._project.name, self._landing is not None

        def look(tx: Tx) -> tuple[set[TaskRow], bool]:
            """Nearly every hint finds nothing to start: that costs a read."""
            queue = tx.landing_queue(project)
            unresolved = any(intent.kind is IntentKind.LAND for intent in tx.open_intents(project))
            return {task.row for task in queue}, unresolved

        def work(tx: Tx) -> tuple[MergeLease, Task] | None:
            queue = tx.landing_queue(project)
            plan = plan_landing(queue, tx.load_repo(project), busy=False)
            if not isinstance(plan, Land):
                return None
            return tx.take_lease(project, f"task-{int(plan.task)}"), next(task for task in queue if task.row == plan.task)

        queued, unresolved = await self._world.store.read(look)
        if self._landing is not None and self._landing.task not in queued:
            self._landing.scope.cancel()
        if busy:
            return
        if unresolved:
            self._resolving = True
            self.children.start_soon(self._resolve_intents)
        elif queued and (start := await self._world.store.transact(work)) is not None:
            lease, task = start
            hit("landing.planned")
            self._landing = UnderWay(task=task.row, epoch=lease.epoch, scope=anyio.CancelScope())
            landing = Landing(self._world, self._router, self._services, lease, task, green=self._green)
            self.children.start_soon(self._land, landing, self._landing)

    async def _land(self, landing: Landing, under_way: UnderWay) -> None:
        ended = LandingEnded(epoch=under_way.epoch, note="cancelled")
        with under_way.scope:
            ended = await landing.run()
        self._green = landing.green
        self.mailbox.tell(ended)

    async def _landing_ended(self, ended: LandingEnded) -> None:
        if self._landing is None or self._landing.epoch != ended.epoch:
            return
        hit("landing.ended")
        task, self._landing = self._landing.task, None
        if ended.note:
            _log.info("pass ended", repo=self._project.name, task=int(task), detail=ended.note)
        self._router.task(task).tell(TaskHint())
        if ended.retry_s:
            self.children.start_soon(self._plan_later, ended.retry_s)
        else:
            self.mailbox.tell(LandingHint())

    async def _plan_later(self, seconds: float) -> None:
        await self._world.clock.sleep(seconds)
        self.mailbox.tell(LandingHint())
