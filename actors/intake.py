"""The intake: accepted events leave the inbox here and become hints to the repos they are about.

Owns: the reading of raw bodies, in one bounded step each; what cannot be read is quarantined with its error.
Rule: a row is marked by the transaction that handles it, never here; until then it is sent again every ``AGAIN_S``, and at once
where whoever was told of it has crashed. A repetition of an event asks for nothing: the row that told of it first stands for it,
handled or not, whatever becomes of the daemon.
"""

import json
from collections import OrderedDict
from datetime import datetime
from typing import Any, assert_never

from actors.actor import Actor
from actors.mailbox import Mailbox
from actors.world import Router, World
from orch.core.ids import InboxId, IssueId, ProjectName
from orch.core.messages import ForgeChanged, IntakeMessage, IssueChanged
from orch.core.model import InboxRow, RowState
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import BranchEvent, CardEvent, Tx

LOCAL_BOARD, OURSELVES = "local-board", "orch"
"""Whose events name a project and an issue: the local board's, and those that the daemon leaves to itself."""
Event = CardEvent | BranchEvent | str | None
POLL_S = 10.0
AGAIN_S = 60.0
REMEMBERED = 2000
"""How many events are known again when they are repeated; one that is not costs a look at its card."""
_log = get_logger("intake")


class IntakeActor(Actor[IntakeMessage]):
    """See the module's docstring."""

    idle_s = POLL_S

    def __init__(self, mailbox: Mailbox[IntakeMessage], world: World, router: Router) -> None:
        super().__init__(mailbox)
        self._world = world
        self._router = router
        self._sent: dict[InboxId, float] = {}
        self._first: OrderedDict[str, InboxId] = OrderedDict()
        """By the key of an event, the row that told of it first."""

    async def idle(self) -> None:
        await self._replay()

    async def started(self) -> None:
        await self._replay()

    async def handle(self, message: IntakeMessage) -> None:
        if message.again:
            self._sent.clear()
        await self._replay()

    async def _replay(self) -> None:
        rows = await self._world.store.read(lambda tx: tx.pending_inbox())
        now = self._world.clock.monotonic()
        pending = {InboxId(row.id) for row in rows}
        self._sent = {row: at for row, at in self._sent.items() if row in pending}
        for row in rows:
            sent_at = self._sent.get(InboxId(row.id))
            if sent_at is not None and now - sent_at < AGAIN_S:
                continue
            self._sent[InboxId(row.id)] = now
            await self._send(row)

    async def _send(self, row: InboxRow) -> None:
        hit("inbox.read")
        inbox, event = InboxId(row.id), self._read(row)
        match event:
            case str():
                _log.warning("quarantined", row=row.id, source=row.source, error=event)
                await self._mark(inbox, RowState.PARKED, event)
            case None:
                await self._mark(inbox, RowState.VOID, "it asks for nothing")
            case _ if event.project not in self._world.services:
                await self._mark(inbox, RowState.VOID, f"no project {event.project}")
            case CardEvent() if self._repeats(event.key, inbox):
                await self._mark(inbox, RowState.VOID, "it was told before")
            case CardEvent():
                self._router.repo(event.project).tell(IssueChanged(issue=event.issue, inbox=inbox))
            case BranchEvent():
                changed = ForgeChanged(project=event.project, inbox=inbox, branch=event.branch, sha=event.sha)
                self._router.reconciler.tell(changed)
            case _:
                assert_never(event)

    def _repeats(self, key: str, inbox: InboxId) -> bool:
        """Say whether another row has told the same; services send a hook again whose answer was lost."""
        first = self._first.setdefault(key, inbox) if key else inbox
        while len(self._first) > REMEMBERED:
            self._first.popitem(last=False)
        return first != inbox

    def _read(self, row: InboxRow) -> Event:
        door = self._world.doors.get(row.source.partition(":")[0])
        return parse_event(row.source, row.body) if door is None else door.read(row.source, row.body)

    async def _mark(self, row: InboxId, state: RowState, why: str) -> None:
        await self._world.store.transact(lambda tx: tx.mark_inbox(row, state, why))


def look_again(tx: Tx, project: ProjectName, issue: IssueId, at: datetime) -> None:
    """Leave a durable wish to read an issue, in the transaction that makes it worth reading: a hint would die with the daemon."""
    tx.add_inbox(OURSELVES, json.dumps({"project": project, "issue": issue}).encode(), at)


def parse_event(source: str, body: bytes) -> CardEvent | str:
    """Return which issue of which project an event of our own is about, or the sentence that says why it cannot be read."""
    if source not in (LOCAL_BOARD, OURSELVES):
        return f"no reader for events from {source!r}"
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"[:300]
    if not isinstance(data, dict) or not isinstance(data.get("project"), str) or not isinstance(data.get("issue"), str):
        return "an event needs the texts 'project' and 'issue'"
    return CardEvent(project=ProjectName(data["project"]), issue=IssueId(data["issue"]))
