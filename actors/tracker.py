"""The tracker: one message per task in the chat, edited in place whenever what it shows changes.

Owns: which tasks wait for a turn, one write at a time, the messages' persisted ids, a new message for one that is gone. Does
not own: what a message says (``orch.core.tracker``), the pace (``orch.core.pacing``), sounding messages (the outbox).

Desired properties: nothing of the line ever waits for the chat; after any restart each task has the one message that it had;
what is shown in the end is the newest state; an idle daemon writes nothing.
Design: hints put a task in line, once, however many come; what it is shown is read from the store when its turn comes. A row
stands before the first message is sent, and its id is written before anything else. While something runs for a task its
figures are brought up to date every ``REFRESH_S``.
Races we accept: a daemon killed between a message and its id, or a reply that was lost, leaves a message that nobody edits
any more.
"""

from dataclasses import replace
from typing import assert_never, final

import anyio

from actors.actor import Actor, store_wait_s
from actors.mailbox import Mailbox
from actors.world import World
from orch.core.chat_text import ChatText
from orch.core.errors import StoreError
from orch.core.ids import ProjectName, TaskRow
from orch.core.messages import ChatReopened, RepoTouched, RunTouched, TaskTouched, TrackerMessage, TrackersDue, TrackerWritten
from orch.core.model import Task, Tracker, WatchSign
from orch.core.pacing import next_turn
from orch.core.presses import Keyboard, buttons_for
from orch.core.stages import is_terminal
from orch.core.task_facts import TaskFacts
from orch.core.tracker import is_moving, tracker_text
from orch.logs import get_logger
from orch.ports import Tx
from orch.ports.chat import Barred, Chat, Declined, Delivery, Edited, Gone, Revision, Sent, Throttled, Unanswered
from orch.snapshots import Present, Reader

IDLE_S = 300.0
REFRESH_S = 120.0
SOON_S = 0.05
REPO_MAX = 100
NO_MESSAGE = 0
"""The message of a tracker that is to be sent."""
_log = get_logger("tracker")


class TrackerActor(Actor[TrackerMessage]):
    """See the module's docstring."""

    idle_s = IDLE_S

    def __init__(self, mailbox: Mailbox[TrackerMessage], world: World, chat: Chat) -> None:
        super().__init__(mailbox)
        self._world = world
        self._chat = chat
        self._waiting: dict[TaskRow, None] = {}
        self._refresh: dict[TaskRow, float] = {}
        self._going: TaskRow | None = None
        self._not_before = 0.0
        self._barred = False
        self._missed = 0
        self._timer: anyio.CancelScope | None = None

    async def started(self) -> None:
        self._missed = self.mailbox.dropped
        await self._look_at_all()
        self._go_on()

    async def idle(self) -> None:
        if self.mailbox.dropped != self._missed:
            await self.started()

    async def handle(self, message: TrackerMessage) -> None:
        match message:
            case TaskTouched() | RunTouched():
                self._waiting.setdefault(message.task)
            case RepoTouched():
                await self._look_at_repo(message.project)
            case TrackersDue():
                pass
            case TrackerWritten():
                self._written(message)
            case ChatReopened():
                self._chat.reopen()
                self._barred = False
            case _:
                assert_never(message)
        self._go_on()

    async def _look_at_all(self) -> None:
        """Whatever happened while nobody looked: every live task, and every message that does not show its task's end."""

        def work(tx: Tx) -> list[TaskRow]:
            return [*(task.row for task in tx.list_tasks(live=True)), *tx.open_trackers()]

        self._waiting |= dict.fromkeys(await self._world.store.read(work))

    async def _look_at_repo(self, project: ProjectName) -> None:
        """A freeze, a pause or a turn changes what the project's tasks wait for."""
        tasks = await self._world.store.read(lambda tx: tx.list_tasks(project=project, live=True, limit=REPO_MAX))
        self._waiting |= dict.fromkeys(task.row for task in tasks)

    def _written(self, written: TrackerWritten) -> None:
        self._going = None
        self._barred = self._barred or written.barred
        self._refresh.pop(written.task, None)
        now = self._world.clock.monotonic()
        if written.retry_s is not None:
            self._waiting.setdefault(written.task)
            self._not_before = max(self._not_before, now + written.retry_s)
        elif written.moving:
            self._refresh[written.task] = now + REFRESH_S

    def _go_on(self) -> None:
        """Give the next task its turn, or set the timer for when there is one."""
        if self._going is not None or self._barred:
            return
        now = self._world.clock.monotonic()
        for row in [row for row, at in self._refresh.items() if at <= now]:
            del self._refresh[row]
            self._waiting.setdefault(row)
        waits = [at - now for at in self._refresh.values()]
        if self._waiting and self._not_before > now:
            waits.append(self._not_before - now)
        elif (turn := next_turn(self._chat.pace, self._waiting, now)) is not None:
            if turn.wait_s <= 0:
                del self._waiting[turn.task]
                self._going = turn.task
                self.children.start_soon(self._take_turn, turn.task)
                return
            waits.append(turn.wait_s)
        if waits:
            self._wake_at(min(waits))

    def _wake_at(self, seconds: float) -> None:
        """Look again then; one timer, the newest wins."""
        if self._timer is not None:
            self._timer.cancel()
        scope = self._timer = anyio.CancelScope()

        async def wait() -> None:
            with scope:
                await self._world.clock.sleep(max(seconds, SOON_S))
                self.mailbox.tell(TrackersDue())

        self.children.start_soon(wait)

    # -------------------------------------------------------------------------------------------- one turn

    async def _take_turn(self, row: TaskRow) -> None:
        """Show the task as it is now, in a child task: the chat may take its time."""
        failures = 0
        while True:
            try:
                written = await self._show(row)
                break
            except StoreError as error:
                failures += 1
                _log.warning("waiting for the store", error=str(error))
                await self._world.clock.sleep(store_wait_s(failures))
        self.mailbox.tell(written)

    async def _show(self, row: TaskRow) -> TrackerWritten:
        facts, tracker = await self._load(row)
        if facts is None:
            return TrackerWritten(task=row)
        view = View.of(facts, self._world)
        moving, address = is_moving(facts), await self._chat.address()
        there = tracker is not None and tracker.message != NO_MESSAGE and tracker.chat == address
        if there and tracker is not None and tracker.digest == view.digest:
            return TrackerWritten(task=row, moving=moving)
        base = tracker if tracker is not None and there else await self._reserve(facts.task, address)
        outcome = await self._write(base, view)
        match outcome:
            case Sent():
                await self._save(replace(base, chat=outcome.chat, message=outcome.message), view)
            case Edited() | Declined():
                await self._save(base, view)
            case Gone():
                _log.info("the message is gone", task=facts.task.work_item)
                await self._save(replace(base, message=NO_MESSAGE), None)
                return TrackerWritten(task=row, retry_s=0.0)
            case Throttled() | Unanswered():
                return TrackerWritten(task=row, retry_s=outcome.retry_s)
            case Barred():
                return TrackerWritten(task=row, retry_s=0.0, barred=True)
            case _:
                assert_never(outcome)
        return TrackerWritten(task=row, moving=moving)

    async def _write(self, base: Tracker, view: "View") -> Delivery | Revision:
        if base.message == NO_MESSAGE:
            return await self._chat.send(view.text, buttons=view.buttons, silent=True, task=base.task, language=view.language)
        return await self._chat.edit(base.message, view.text, buttons=view.buttons, task=base.task, language=view.language)

    async def _load(self, row: TaskRow) -> tuple[TaskFacts | None, Tracker | None]:
        world = self._world
        present = Present(projects=world.registry().projects, shortages=world.health.shortages)

        def work(tx: Tx) -> tuple[TaskFacts | None, Tracker | None]:
            task = tx.load_task(row)
            if task is None or task.project not in world.services:
                return None, None
            return Reader(tx, world.limits, present).facts(task, history=True), tx.load_tracker(row)

        return await world.store.read(work)

    async def _reserve(self, task: Task, address: str) -> Tracker:
        """Note that the task has a message to come, so that a restart sends it even if the task has ended by then."""
        made = Tracker(task=task.row, chat=address, message=NO_MESSAGE, digest="", at=self._world.clock.now())
        await self._world.store.transact(lambda tx: tx.save_tracker(made))
        return made

    async def _save(self, tracker: Tracker, view: "View | None") -> None:
        """Keep the message's id, however long the store takes: only here it is known."""
        now, digest = self._world.clock.now(), view.digest if view is not None else ""
        made = replace(tracker, digest=digest, closed=view is not None and view.last, at=now)
        failures = 0
        while True:
            try:
                return await self._world.store.transact(lambda tx: tx.save_tracker(made))
            except StoreError as error:
                failures += 1
                _log.warning("a message's id waits for the store", error=str(error))
                await self._world.clock.sleep(store_wait_s(failures))


@final
class View:
    """What a task's message shows now; *last*: nothing of it will change any more."""

    def __init__(self, text: ChatText, buttons: Keyboard, language: str, *, last: bool) -> None:
        self.text = text
        self.buttons = buttons
        self.language = language
        self.last = last
        self.digest = text.digest(*(press.data() for row in buttons for press in row))

    @classmethod
    def of(cls, facts: TaskFacts, world: World) -> "View":
        task = facts.task
        language = world.services[task.project].project.language
        last = is_terminal(task.stage) and task.watch not in (WatchSign.WATCHING, WatchSign.DEGRADED)
        return cls(tracker_text(facts, world.clock.now(), language), buttons_for(task), language, last=last)
