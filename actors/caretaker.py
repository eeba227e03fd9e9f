"""The caretaker: looks after what the daemon itself waits for, and tells everybody when it is there again.

Owns: the regular look at the room, the probe of a store that failed, the alert for a trouble (once), reminders of questions that
wait, when what is old goes (``retention``), and the question whether what tasks are parked for outside themselves works again.
Does not own: what a shortage holds up (slots), what follows for a task (``orch.core.resuming``), which reminder is due
(``orch.core.reminders``).

Desired properties: whatever the daemon waits for, it goes on by itself when that comes; nobody is told twice; an outage costs one
small question at a time.
Design: it looks every ``idle_s``, and at once when health changes. A repo is asked by a child task, at most one per repo.
Races we accept: what was there a moment ago may be gone when a task goes on; it is then parked again, and looked at later.
"""

from datetime import datetime
from functools import partial

import anyio

from actors.actor import Actor
from actors.health import STORE, train_component
from actors.mailbox import Mailbox
from actors.persist import tell_world
from actors.retention import tidy
from actors.world import Router, World
from orch.core.effects import Alert
from orch.core.errors import ExternalError, StoreError
from orch.core.ids import IssueId, ProjectName, TaskRow
from orch.core.messages import CaretakerMessage, CauseCleared, InboxHint, JobsWaiting, LookAround, OutboxHint, RepoReached
from orch.core.model import ParkReason, Task
from orch.core.reminders import QUESTIONS, Reminder, due_reminder
from orch.core.retry import clears_at
from orch.logs import get_logger
from orch.ports import Tx

LOOK_S = 15.0
AGAIN_S = 3600.0
"""A trouble that came back within this time is not told of again."""
TIDY_S = 3600.0
ASK_S = 60.0
"""How long a repo may take to answer, and how long one that did not is left alone."""
_log = get_logger("caretaker")


class Caretaker(Actor[CaretakerMessage]):
    """See the module's docstring."""

    idle_s = LOOK_S
    patient = False
    """A store that fails is what it looks after."""

    def __init__(self, mailbox: Mailbox[CaretakerMessage], world: World, router: Router) -> None:
        super().__init__(mailbox)
        self._world = world
        self._router = router
        self._told: dict[str, float] = {}
        self._asking: set[ProjectName] = set()
        self._ask_again: dict[ProjectName, float] = {}
        """When a repo that could not be reached is asked again at the earliest, on the monotonic clock."""
        self._tidied: float | None = None
        self._reminded: set[tuple[TaskRow, datetime]] = set()
        """What was written in this life: it need not be looked up again."""

    async def started(self) -> None:
        self.children.start_soon(self._heed_changes)
        await self._look()

    async def idle(self) -> None:
        await self._look()

    async def handle(self, message: CaretakerMessage) -> None:
        match message:
            case LookAround():
                await self._look()
            case RepoReached():
                await self._reached(message)

    async def _heed_changes(self) -> None:
        while True:
            await self._world.health.changed.wait()
            self.mailbox.tell(LookAround())

    async def _look(self) -> None:
        short = bool(self._world.health.shortages)
        still = await self._world.measure_room()
        if short and not still:
            self._router.slots.tell(JobsWaiting())
        if self._world.health.troubled(STORE):
            await self._probe()
        self._tell_of_troubles()
        if not still and not self._world.health.troubled(STORE):
            await self._ask_repos()
        if not self._world.health.troubled(STORE):
            await self._remind()
            self._tidy_up()

    async def _probe(self) -> None:
        """Write something small: a read, or a transaction that wrote nothing, would say nothing about the disk."""
        now = self._world.clock.now()
        try:
            await self._world.store.transact(lambda tx: tx.probe(now))
        except StoreError as error:
            _log.warning("the store still fails", error=str(error))
            return
        self._world.health.cleared(STORE)
        _log.info("the store writes again")
        self._router.slots.tell(JobsWaiting())
        self._router.intake.tell(InboxHint())
        self._router.outbox.tell(OutboxHint())

    def _tidy_up(self) -> None:
        now = self._world.clock.monotonic()
        if self._tidied is None or now - self._tidied >= TIDY_S:
            self._tidied = now
            self.children.start_soon(self._tidy)

    async def _tidy(self) -> None:
        """Let go what is kept for a while only, until nothing more is old enough."""
        try:
            while await tidy(self._world):
                pass
        except StoreError as error:
            _log.warning("not tidied", error=str(error))

    # -------------------------------------------------------------------------------------------- alerts

    def _tell_of_troubles(self) -> None:
        now, troubles = self._world.clock.monotonic(), self._world.health.vitals().not_ready
        self._told = {name: at for name, at in self._told.items() if name in troubles or now - at < AGAIN_S}
        for name, text in troubles.items():
            if name not in self._told and name != "actors":
                self.children.start_soon(self._tell, Alert(kind=f"trouble-{name}", text=f"{name}: {text}"[:2000]))
            self._told[name] = now

    async def _tell(self, alert: Alert) -> None:
        """Through the outbox, which tries until it is heard; where that cannot be written, at once and once."""
        _log.error("trouble", kind=alert.kind, detail=alert.text)
        project = next(iter(self._world.services))
        now = self._world.clock.now()
        try:
            await self._world.store.transact(
                lambda tx: tell_world(tx, alert, project=project, task=None, issue=IssueId(""), at=now)
            )
            self._router.outbox.tell(OutboxHint())
            return
        except StoreError:
            pass
        try:
            with anyio.fail_after(ASK_S):
                await self._world.notifier.alert(project, alert)
        except (ExternalError, OSError, TimeoutError) as error:
            _log.error("nobody could be told", kind=alert.kind, error=str(error))

    # -------------------------------------------------------------------------------------------- reminders

    async def _remind(self) -> None:
        """Remind of questions that wait for a person; the moment of a reminder names its row, so that it is sent once."""
        now, limits = self._world.clock.now(), self._world.limits
        try:
            asked = await self._world.store.read(lambda tx: tx.list_tasks(live=True, awaiting=QUESTIONS))
            due = [(task, reminder) for task in asked if (reminder := self._due_reminder(task, now, limits.remind_h)) is not None]
            if due:
                await self._world.store.transact(lambda tx: self._write_reminders(tx, due))
        except StoreError:
            return
        rows = {task.row for task in asked}
        self._reminded = {key for key in self._reminded if key[0] in rows} | {(task.row, each.at) for task, each in due}
        if due:
            self._router.outbox.tell(OutboxHint())

    def _due_reminder(self, task: Task, now: datetime, remind_h: float) -> Reminder | None:
        if task.project not in self._world.services:
            return None
        reminder = due_reminder(task, now, remind_h, self._world.services[task.project].project.language)
        return None if reminder is None or (task.row, reminder.at) in self._reminded else reminder

    @staticmethod
    def _write_reminders(tx: Tx, due: list[tuple[Task, Reminder]]) -> None:
        for task, reminder in due:
            tell_world(tx, reminder.alert, project=task.project, task=task.row, issue=task.issue, at=reminder.at)

    # -------------------------------------------------------------------------------------------- parks for infrastructure

    async def _due(self) -> list[Task]:
        """Return the tasks whose park for infrastructure may have lost its cause; none while the store cannot be read."""
        now = self._world.clock.now()
        try:
            parked = await self._world.store.read(lambda tx: tx.list_tasks(live=True, parked=ParkReason.INFRASTRUCTURE))
        except StoreError:
            return []
        due = [(task, clears_at(task.park, task.counters)) for task in parked if task.park is not None]
        return [task for task, at in due if at is not None and at <= now and task.project in self._world.services]

    async def _ask_repos(self) -> None:
        now = self._world.clock.monotonic()
        for project in {task.project for task in await self._due()} - self._asking:
            if self._world.health.noticed(train_component(project)) or now < self._ask_again.get(project, now):
                continue  # its train meets the same trouble and tries by itself: a service that is away is hardly asked
            self._asking.add(project)
            self.children.start_soon(partial(self._ask, project))

    async def _ask(self, project: ProjectName) -> None:
        """Ask the repo something that needs its remote and its disk."""
        error = f"no answer within {ASK_S:g} s"
        try:
            with anyio.move_on_after(ASK_S):
                await self._world.services[project].mirror.fetch()
                error = ""
        except (ExternalError, StoreError, OSError) as failure:
            error = str(failure)
        self._asking.discard(project)
        self.mailbox.tell(RepoReached(project=project, error=error))

    async def _reached(self, reached: RepoReached) -> None:
        if reached.error:
            _log.warning("still not working", repo=reached.project, error=reached.error)
            self._ask_again[reached.project] = self._world.clock.monotonic() + ASK_S
            return
        for task in await self._due():
            if task.project == reached.project:
                self._router.task(task.row).tell(CauseCleared())
