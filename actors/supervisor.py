"""The supervisor: starts every actor, keeps it alive, and is how the others and the edges reach it.

Owns: the registry of actors and mailboxes, restarts (3 within 60 s), and what follows when that was not enough.

Desired properties: a failing actor stops no other; an idle task costs a row; nothing is lost that was committed.
Design: a mailbox outlives its actor, so a restart loses only the message that crashed it (it is dead-lettered: logged, and its
events are quarantined by the actor's next life). A task or repo actor is started by the first message to it. A task's actor
that keeps crashing parks its task; any other is tried again after a pause, and ``ready()`` names it meanwhile.
Races we accept: a message told to an actor in the moment of its retirement starts it anew.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskGroup, TaskStatus

from actors.actor import Actor, Failure, guard, store_wait_s
from actors.caretaker import Caretaker
from actors.desk import DeskActor
from actors.intake import IntakeActor
from actors.mailbox import Mailbox, OneReply
from actors.outbox import OutboxActor
from actors.persist import Hints, apply, bury, send_hints
from actors.publisher import Publisher
from actors.reconciler import Reconciler
from actors.repo import RepoActor
from actors.slots import AgentSlots, CommandSlots
from actors.task import TaskActor
from actors.tracker import TrackerActor
from actors.world import World
from orch.core.decide_evidence import actor_failed
from orch.core.errors import DomainError, StoreError
from orch.core.ids import ProjectName, TaskRow
from orch.core.messages import (
    Answer,
    Asked,
    BoardTouched,
    CaretakerMessage,
    ChatReopened,
    CommandSlotMessage,
    DeskMessage,
    ForgeChanged,
    Handle,
    InboxHint,
    IntakeMessage,
    IssueChanged,
    JobsWaiting,
    LandingHint,
    LimitsChanged,
    LookAround,
    OutboxHint,
    OutboxMessage,
    PersonCommand,
    PollEnded,
    PollNow,
    Probed,
    PublisherMessage,
    ReconcilerMessage,
    RepoMessage,
    RepoReached,
    RepoTouched,
    RunTouched,
    SlotMessage,
    TaskHint,
    TaskLanded,
    TaskMessage,
    TaskTouched,
    TrackerMessage,
    TrackersDue,
)
from orch.core.model import Awaiting
from orch.core.vitals import Vitals
from orch.logs import get_logger
from orch.ports import Feed, Tx

M = TypeVar("M")
RESTARTS = 3
WITHIN_S = 60.0
PAUSE_S = 30.0
ASK_S = 10.0
UNDER_WAY = (Awaiting.GATE,)
_log = get_logger("supervisor")


class Touches:
    """What viewers and the chat both look at: told to the publisher, and where there is a chat to the tracker."""

    def __init__(self, publisher: Handle[PublisherMessage], tracker: Handle[TrackerMessage] | None) -> None:
        self._publisher = publisher
        self._tracker = tracker

    def tell(self, message: PublisherMessage) -> None:
        self._publisher.tell(message)
        if self._tracker is not None and isinstance(message, TaskTouched | RunTouched | RepoTouched):
            self._tracker.tell(message)


class Supervisor:
    """See the module's docstring. It is the ``Router`` of the actors and the ``Control`` of the edges."""

    def __init__(self, world: World, *, strict: bool = False) -> None:
        self._world = world
        self._strict = strict
        self._group: TaskGroup
        self._tasks: dict[TaskRow, Mailbox[TaskMessage]] = {}
        self._repos: dict[ProjectName, Mailbox[RepoMessage]] = {}
        self._health = world.health
        self._health.trouble("actors", "starting")
        self._desk: Mailbox[DeskMessage] = Mailbox("desk", size=256)
        self.slots: Mailbox[SlotMessage] = Mailbox("slots", size=16, hints=(JobsWaiting,))
        self.commands: Mailbox[CommandSlotMessage] = Mailbox("commands", hints=(LimitsChanged,))
        self._caretaker: Mailbox[CaretakerMessage] = Mailbox("caretaker", size=256, hints=(LookAround, RepoReached))
        self.outbox: Mailbox[OutboxMessage] = Mailbox("outbox", hints=(OutboxHint,))
        self.intake: Mailbox[IntakeMessage] = Mailbox("intake", size=16, hints=(InboxHint,))
        self.reconciler: Mailbox[ReconcilerMessage] = Mailbox("reconciler", hints=(PollNow, ForgeChanged, PollEnded))
        self._published: Mailbox[PublisherMessage] = Mailbox(
            "publisher", size=4096, hints=(TaskTouched, RepoTouched, BoardTouched)
        )
        self._publisher = Publisher(self._published, world)
        self._tracked: Mailbox[TrackerMessage] = Mailbox(
            "tracker", size=4096, hints=(TaskTouched, RunTouched, RepoTouched, TrackersDue, ChatReopened)
        )
        self.publisher = Touches(self._published, None if world.chat is None else self._tracked)

    # -------------------------------------------------------------------------------------------- life

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Start everything and work until cancelled."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                await self._start()
                task_status.started()
        finally:
            fixed: tuple[Mailbox[Any], ...] = (
                self._desk,
                self.slots,
                self.commands,
                self.outbox,
                self.intake,
                self.reconciler,
                self._published,
                self._tracked,
                self._caretaker,
            )
            for mailbox in (*fixed, *self._tasks.values(), *self._repos.values()):
                mailbox.close()

    async def _start(self) -> None:
        world = self._world
        self._keep(self._published, lambda _: self._publisher)
        if (chat := world.chat) is not None:
            self._keep(self._tracked, lambda _: TrackerActor(self._tracked, world, chat))
        self._keep(self.commands, lambda _: CommandSlots(self.commands, world))
        self._keep(self.outbox, lambda _: OutboxActor(self.outbox, world, self))
        self._keep(self._desk, lambda _: DeskActor(self._desk, world, self))
        for project in world.services:
            self.repo(project)
        await self._wake_tasks()
        self._keep(self.slots, lambda _: AgentSlots(self.slots, world, self))
        self._keep(self.intake, lambda _: IntakeActor(self.intake, world, self))
        self._keep(self.reconciler, lambda _: Reconciler(self.reconciler, world, self))
        self._keep(self._caretaker, lambda _: Caretaker(self._caretaker, world, self))
        self._health.cleared("actors")

    async def _wake_tasks(self) -> None:
        """Start the actors of the tasks that have something of the daemon's own to go on with; the rest sleep."""
        busy, ended = await self._world.store.read(
            lambda tx: (tx.list_tasks(live=True, awaiting=UNDER_WAY, limit=1_000_000), tx.unswept())
        )
        for task in (*busy, *ended):
            if task.park is None and task.project in self._world.services:
                self.task(task.row).tell(TaskHint())

    def _keep(
        self,
        mailbox: Mailbox[M],
        make: Callable[[Failure | None], Actor[M]],
        *,
        on_retire: Callable[[], None] = lambda: None,
        give_up: Callable[[Failure], Awaitable[None]] | None = None,
    ) -> None:
        self._group.start_soon(self._keep_alive, mailbox, make, on_retire, give_up)

    async def _keep_alive(
        self,
        mailbox: Mailbox[Any],
        make: Callable[[Failure | None], Actor[Any]],
        on_retire: Callable[[], None],
        give_up: Callable[[Failure], Awaitable[None]] | None,
    ) -> None:
        """Run one actor; restart it from the store when it crashes, at most RESTARTS times within WITHIN_S.

        Each life is told how the one before it ended, so that what crashed it can be buried.
        """
        crashes: deque[float] = deque(maxlen=RESTARTS)
        last: Failure | None = None
        while True:
            failure = await guard(partial(make, last), mailbox.name, on_retire, strict=self._strict)
            if failure is None:
                return
            last = failure
            self._health.crashed(mailbox.name.partition("-")[0])
            now = self._world.clock.monotonic()
            often = len(crashes) == RESTARTS and now - crashes[0] <= WITHIN_S
            crashes.append(now)
            _log.error("restarting", actor=mailbox.name, error=failure.error, message=failure.message, often=often)
            if not often:
                continue
            crashes.clear()
            if give_up is not None:
                await give_up(failure)
                return
            self._health.trouble(mailbox.name, failure.error)
            await self._world.clock.sleep(PAUSE_S)
            self._health.cleared(mailbox.name)

    # -------------------------------------------------------------------------------------------- Router

    def task(self, row: TaskRow) -> Handle[TaskMessage]:
        """Return the task's mailbox, with its actor started."""
        mailbox = self._tasks.get(row)
        if mailbox is None:
            mailbox = self._tasks[row] = Mailbox(f"task-{int(row)}", size=256, hints=(TaskHint, TaskLanded))
            self._keep(
                mailbox,
                lambda failure: TaskActor(mailbox, self._world, self, row, failure=failure),
                on_retire=lambda: self._tasks.pop(row).close(),
                give_up=lambda failure: self._park_task(row, failure),
            )
        return mailbox

    async def _park_task(self, row: TaskRow, failure: Failure) -> None:
        """The task's actor crashed too often: what crashed it last is buried, and the task waits for a person."""
        self._tasks.pop(row).close()

        def work(tx: Tx) -> Hints | None:
            task = tx.load_task(row)
            if task is None or task.project not in self._world.services:
                return None
            context = self._world.context(task.project)
            bury(tx, failure.letter, task.project, failure.error, context.now)
            told = f"{failure.error} while handling {failure.message}" if failure.message else failure.error
            decided = actor_failed(context, task, told)
            return apply(tx, decided, at=context.now)[1] if decided.changed else None

        failures = 0
        while True:
            try:
                hints = await self._world.store.transact(work)
                break
            except StoreError as error:
                failures += 1
                _log.error("task not parked yet", row=int(row), error=str(error))
                await self._world.clock.sleep(store_wait_s(failures))
            except DomainError as error:  # refused for good: said, and the next message to the task tries again
                _log.error("task not parked", row=int(row), error=str(error))
                return
        if hints is not None:
            send_hints(self, replace(hints, cancel=False))

    def repo(self, project: ProjectName) -> Handle[RepoMessage]:
        """Return the repo's mailbox, with its actor started."""
        mailbox = self._repos.get(project)
        if mailbox is None:
            mailbox = self._repos[project] = Mailbox(f"repo-{project}", hints=(LandingHint, IssueChanged, Probed))
            self._keep(mailbox, lambda failure: RepoActor(mailbox, self._world, self, project, failure=failure))
        return mailbox

    # -------------------------------------------------------------------------------------------- Control

    async def ask(self, command: PersonCommand) -> Answer:
        """Hand a person's command to the desk and wait for its answer."""
        reply: OneReply[Answer] = OneReply()
        self._desk.tell(Asked(command=command, reply=reply))
        return await reply.wait(ASK_S, type(command).__name__)

    def ready(self) -> Mapping[str, str]:
        return self._health.vitals().not_ready

    def vitals(self) -> Vitals:
        return self._health.vitals()

    def accepted(self) -> None:
        self.intake.tell(InboxHint())

    def configured(self) -> None:
        """A reload has replaced the registry: whoever waits looks again."""
        self.slots.tell(JobsWaiting())
        self.commands.tell(LimitsChanged())
        self._caretaker.tell(LookAround())
        self._tracked.tell(ChatReopened())
        for repo in self._repos.values():
            repo.tell(LandingHint())
        for task in self._tasks.values():
            task.tell(TaskHint())

    @property
    def feed(self) -> Feed:
        return self._publisher
