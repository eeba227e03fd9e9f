"""The background worker of the fake Plane: it writes the activity log and sends the hooks, after the answer and in its own time.

Owns: the log, the queue of entries to be written, the queue of hooks, their retries. Rule: an entry's ``created_at`` is when it
was written, not when the change was made; a hook carries the state of the moment at which it is sent, a new delivery id each
time, and is tried again only where nothing answered.
"""

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Any, Literal
from uuid import UUID

import anyio

from orch.rehearsal.outgoing import Outgoing
from orch.rehearsal.plane.state import Change, Item, Time

GATHER_S = 0.01
"""How long the first hook of a batch waits for others that may then overtake it."""
TIMEOUT_S = 30.0
RETRIES_MAX = 5
RETRY_SPREAD_S = 600.0
Order = Literal["sent", "reversed", "shuffled"]
Payload = Callable[["Hook"], dict[str, Any] | None]


@dataclass
class Entry:
    """One entry of an item's activity log; *due* is when the worker gets to it."""

    id: str
    issue: str
    actor: str
    verb: str
    field: str | None
    values: tuple[str | None, str | None]
    identifiers: tuple[str | None, str | None]
    epoch: float
    item: Item
    touch: bool
    due: datetime
    reads_left: int
    created_at: datetime | None = None


@dataclass(frozen=True)
class Webhook:
    id: str
    url: str
    secret: str


@dataclass
class Hook:
    """One hook on its way to *webhook*."""

    webhook: Webhook
    event: str
    action: str
    about: str
    actor: str
    change: Change | None
    due: datetime
    tries: int = 0


@dataclass(frozen=True)
class Delivery:
    """One attempt, and the answer's status; 0 where there was none."""

    event: str
    headers: dict[str, str]
    body: bytes
    status: int


@dataclass
class Worker:
    """*lag_s* and *lag_reads*: how late entries are written, by the clock and by how often the log is read first."""

    time: Time
    payload: Payload
    seed: int = 0
    order: Order = "shuffled"
    loss: float = 0.0
    doubling: float = 0.0
    lag_s: float = 0.0
    lag_reads: int = 0
    running: bool = True
    broker: bool = True
    """Without it nothing is queued: the change is made, and neither entry nor hook ever tells of it."""
    logging: bool = True
    """Off: entries are lost (a killed worker), hooks are not."""
    webhooks: list[Webhook] = field(default_factory=list)
    inactive: set[str] = field(default_factory=set)
    deliveries: list[Delivery] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = Random(self.seed + 1)
        self._waiting: list[Entry] = []
        self._hooks: list[Hook] = []
        self._busy = False
        self._woken = anyio.Event()
        self._changed = anyio.Event()

    # ------------------------------------------------------------------------------------------ the log

    def entry(
        self,
        item: Item,
        actor: str,
        verb: str,
        field_: str | None,
        *,
        values: tuple[str | None, str | None] = (None, None),
        identifiers: tuple[str | None, str | None] = (None, None),
        touch: bool = True,
    ) -> None:
        if not self.broker or not self.logging:
            return
        now = self.time.present
        made = Entry(
            id=self._new_id(),
            issue=item.id,
            actor=actor,
            verb=verb,
            field=field_,
            values=values,
            identifiers=identifiers,
            epoch=float(int(now.timestamp())),
            item=item,
            touch=touch,
            due=now + timedelta(seconds=self.lag_s),
            reads_left=self.lag_reads,
        )
        self._waiting.append(made)
        self.settle()

    def settle(self) -> None:
        """Write the entries whose time has come, in order."""
        if not self.running:
            return
        for entry in [each for each in self._waiting if each.due <= self.time.present and each.reads_left <= 0]:
            self._waiting.remove(entry)
            if entry.touch:
                entry.item.updated_at = self.time.stamp()
            entry.created_at = self.time.stamp()
            self.entries.append(entry)

    def read(self, issue: str) -> list[Entry]:
        """Return an item's entries as one read of the log finds them."""
        self.settle()
        found = [entry for entry in self.entries if entry.issue == issue]
        for entry in self._waiting:
            if entry.issue == issue and self.running:
                entry.reads_left -= 1
        return found

    # ------------------------------------------------------------------------------------------ hooks

    def hook(self, event: str, action: str, about: str, actor: str, change: Change | None = None) -> None:
        if not self.broker:
            return
        for webhook in self.webhooks:
            if webhook.id not in self.inactive:
                made = [Hook(webhook, event, action, about, actor, change, self.time.present) for _ in range(self._copies())]
                self._hooks += made
        self.wake()

    def _copies(self) -> int:
        if self._random.random() < self.loss:
            return 0
        return 2 if self._random.random() < self.doubling else 1

    def stop(self) -> None:
        self.running = False

    def start(self) -> None:
        """Go on: the log catches up in order, the hooks come in the reverse one."""
        self.running = True
        self._hooks.reverse()
        self.settle()
        self.wake()

    def wake(self) -> None:
        self._woken.set()

    def ticked(self) -> None:
        """The clock was set forward."""
        self.settle()
        self.wake()

    def _due(self) -> list[Hook]:
        return [hook for hook in self._hooks if hook.due <= self.time.present] if self.running else []

    async def run(self) -> None:
        async with Outgoing.open(timeout_s=TIMEOUT_S, follow_redirects=True) as client:
            while True:
                await self._woken.wait()
                self._woken = anyio.Event()
                await anyio.sleep(GATHER_S)
                self._busy = True
                batch = self._arranged(self._due())
                self._hooks = [hook for hook in self._hooks if hook not in batch]
                for hook in batch:
                    await self._send(client, hook)
                self._busy = False
                self._changed.set()
                self._changed = anyio.Event()

    def _arranged(self, batch: list[Hook]) -> list[Hook]:
        match self.order:
            case "shuffled":
                return self._random.sample(batch, len(batch))
            case "reversed":
                return batch[::-1]
            case _:
                return batch

    async def settled(self) -> None:
        """Wait until every hook that is due was tried."""
        while self._due() or self._busy or self._woken.is_set():
            await self._changed.wait()

    async def _send(self, client: Outgoing, hook: Hook) -> None:
        body = None if hook.webhook.id in self.inactive else self.payload(hook)
        if body is None:
            return  # switched off meanwhile, or what it tells of is gone: dropped without a word
        content = json.dumps(body).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Autopilot",
            "X-Plane-Delivery": self._new_id(),
            "X-Plane-Event": hook.event,
        }
        if hook.webhook.secret:
            headers["X-Plane-Signature"] = hmac.new(hook.webhook.secret.encode(), content, sha256).hexdigest()
        status = await client.post(hook.webhook.url, content, headers)
        self.deliveries.append(Delivery(hook.event, headers, content, status))
        if not status:
            self._retry(hook)

    def _retry(self, hook: Hook) -> None:
        if hook.tries >= RETRIES_MAX:
            self.inactive.add(hook.webhook.id)
            return
        hook.tries += 1
        hook.due = self.time.present + timedelta(seconds=self._random.uniform(0.0, RETRY_SPREAD_S))
        self._hooks.append(hook)

    def _new_id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))
