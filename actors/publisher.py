"""The publisher: what changed is told to every viewer, numbered; a viewer that is too slow gets a snapshot again.

Owns: the sequence number and the subscribers' queues. Rule: nobody waits for a viewer. Touches are coalesced: while one
batch is loaded the next one gathers. Viewers that want a snapshot of the same state are given the same one, loaded once.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import assert_never

import anyio

from actors.actor import Actor
from actors.mailbox import Mailbox
from actors.world import World
from orch.core.ids import ProjectName, TaskRow
from orch.core.messages import BoardTouched, PublisherMessage, RepoTouched, RunTouched, TaskTouched
from orch.core.model import Awaiting
from orch.ports import Subscription
from orch.snapshots import Present, load_snapshot, load_task_view

BEHIND_MAX = 64
IN_LINE_MAX = 100
SNAPSHOT_S = 1.0
"""So long a snapshot may be given to others while nothing changes: durations in it grow old."""


class Viewer:
    """One subscriber's queue; latest wins."""

    def __init__(self, publisher: "Publisher") -> None:
        self._publisher = publisher
        self._queue: deque[Mapping[str, object]] = deque()
        self._event = anyio.Event()
        self._snapshot_due = True

    def push(self, change: Mapping[str, object]) -> None:
        if len(self._queue) >= BEHIND_MAX:
            self._queue.clear()
            self._snapshot_due = True
        elif not self._snapshot_due:
            self._queue.append(change)
        self._event.set()

    def begin_again(self) -> None:
        """Send the snapshot next: something changed that no task's view shows."""
        self._snapshot_due = True
        self._event.set()

    async def receive(self) -> Mapping[str, object]:
        """Return a snapshot first and whenever this viewer fell behind, else the next change."""
        while True:
            if self._snapshot_due:
                self._snapshot_due = False  # what changes while it is read comes after it
                self._queue.clear()
                try:
                    return await self._publisher.snapshot()
                except BaseException:
                    self._snapshot_due = True
                    raise
            if self._queue:
                return self._queue.popleft()
            self._event = anyio.Event()
            await self._event.wait()


class Publisher(Actor[PublisherMessage]):
    """See the module's docstring. Also the ``Feed`` of the edges."""

    def __init__(self, mailbox: Mailbox[PublisherMessage], world: World) -> None:
        super().__init__(mailbox)
        self._world = world
        self._seq = 0
        self._viewers: set[Viewer] = set()
        self._dirty: set[TaskRow] = set()
        self._version = 0
        """Grows with whatever makes a snapshot untrue."""
        self._kept: tuple[int, float, Mapping[str, object]] | None = None
        self._loading = anyio.Lock()

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Subscription]:
        viewer = Viewer(self)
        self._viewers.add(viewer)
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)

    async def snapshot(self) -> Mapping[str, object]:
        """Return the state of everything; whoever is given it changes nothing in it."""
        async with self._loading:
            at = self._world.clock.monotonic()
            if self._kept is not None and self._kept[0] == self._version and at - self._kept[1] < SNAPSHOT_S:
                return self._kept[2]
            version = self._version  # what changes while it is read comes after it
            loaded = await self._load_snapshot()
            self._kept = (version, at, loaded)
            return loaded

    async def _load_snapshot(self) -> Mapping[str, object]:
        seq, now, limits, projects = self._seq, self._world.clock.now(), self._world.limits, tuple(self._world.services)
        present = self._present()
        state = await self._world.store.read(lambda tx: load_snapshot(tx, now, projects=projects, limits=limits, present=present))
        return {"type": "snapshot", "seq": seq, **state}

    def _present(self) -> Present:
        return Present(projects=self._world.registry().projects, shortages=self._world.health.shortages)

    async def handle(self, message: PublisherMessage) -> None:
        match message:
            case TaskTouched() | RunTouched():
                self._dirty.add(message.task)
            case RepoTouched(turns=True):
                waiting = await self._in_line(message.project)
                self._dirty |= waiting
            case RepoTouched() | BoardTouched():
                self._version += 1
                for viewer in self._viewers:
                    viewer.begin_again()
            case _:
                assert_never(message)
        if self.mailbox.pending() == 0 and self._dirty:
            await self._publish()

    async def _in_line(self, project: ProjectName) -> set[TaskRow]:
        """Return the first tasks that wait for an agent, where anybody looks."""
        if not self._viewers:
            return set()
        waiting = await self._world.store.read(
            lambda tx: tx.list_tasks(project=project, live=True, awaiting=(Awaiting.AGENT,), limit=IN_LINE_MAX)
        )
        return {task.row for task in waiting}

    async def _publish(self) -> None:
        rows, now, limits = frozenset(self._dirty), self._world.clock.now(), self._world.limits
        views: list[Mapping[str, object] | None] = []
        if self._viewers:
            present = self._present()
            views = await self._world.store.read(
                lambda tx: [load_task_view(tx, row, now, limits=limits, present=present) for row in sorted(rows)]
            )
        self._dirty -= rows
        self._seq += 1
        self._version += 1
        change = {"type": "change", "seq": self._seq, "tasks": [view for view in views if view is not None]}
        for viewer in self._viewers:
            viewer.push(change)
