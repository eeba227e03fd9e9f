"""The publisher: what changed is told to every viewer, numbered; a viewer that is too slow gets a snapshot again.

Owns: the sequence number and the subscribers' queues. Rule: nobody waits for a viewer. Touches are coalesced: while one
batch is loaded the next one gathers.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import assert_never

import anyio

from actors.actor import Actor
from actors.mailbox import Mailbox
from actors.world import World
from orch.core.ids import TaskRow
from orch.core.messages import BoardTouched, PublisherMessage, RunTouched, TaskTouched
from orch.ports import Subscription
from orch.snapshots import load_snapshot, load_task_view

BEHIND_MAX = 64


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

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Subscription]:
        viewer = Viewer(self)
        self._viewers.add(viewer)
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)

    async def snapshot(self) -> Mapping[str, object]:
        seq, now = self._seq, self._world.clock.now()
        state = await self._world.store.read(lambda tx: load_snapshot(tx, now))
        return {"type": "snapshot", "seq": seq, **state}

    async def handle(self, message: PublisherMessage) -> None:
        match message:
            case TaskTouched() | RunTouched():
                self._dirty.add(message.task)
            case BoardTouched():
                pass
            case _:
                assert_never(message)
        if self.mailbox.pending() == 0 and self._dirty:
            await self._publish()

    async def _publish(self) -> None:
        rows, now = frozenset(self._dirty), self._world.clock.now()
        views: list[Mapping[str, object] | None] = []
        if self._viewers:
            views = await self._world.store.read(lambda tx: [load_task_view(tx, row, now) for row in sorted(rows)])
        self._dirty -= rows
        self._seq += 1
        change = {"type": "change", "seq": self._seq, "tasks": [view for view in views if view is not None]}
        for viewer in self._viewers:
            viewer.push(change)
