"""The hooks of the fake Gitea: signed, sent once, in an order that nobody may rely on.

Owns: targets, the queue and the deliveries. Rule: a payload is made when the thing happens and sent later; one attempt, whatever
the answer; loss and doubling come from a seed.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from random import Random
from typing import Any, Literal
from uuid import UUID

import anyio

from orch.rehearsal.outgoing import Outgoing

KNOWN = {"push", "create", "delete", "pull_request", "issue_comment", "status"}
GATHER_S = 0.02
"""How long the first hook of a batch waits for others that may then overtake it."""
TIMEOUT_S = 5.0
_WORST = {"pull_request": 0, "issue_comment": 1, "status": 1, "create": 2, "push": 3, "delete": 4}
"""The order that surprises: what a push led to comes before the push itself."""
Order = Literal["sent", "worst", "shuffled"]


@dataclass
class Target:
    """One registered hook."""

    id: int
    repo: str
    url: str
    secret: str
    events: tuple[str, ...]
    active: bool = True


@dataclass(frozen=True)
class Hook:
    """One hook on its way."""

    target: Target
    event: str
    fine: str
    body: bytes


@dataclass
class Delivery:
    """A hook that was sent, and the answer; 0 where there was none."""

    event: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    status: int = 0


@dataclass
class Webhooks:
    """Targets, and what is and was on its way to them."""

    order: Order = "worst"
    seed: int = 0
    loss: float = 0.0
    doubling: float = 0.0
    targets: list[Target] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._queue: list[Hook] = []
        self._busy = 0
        self._woken = anyio.Event()
        self._idle = anyio.Event()

    def tell(self, repo: str, event: str, fine: str, payload: Mapping[str, Any]) -> None:
        """Queue a hook for every target that asked for it."""
        body = json.dumps(payload, indent=2).encode()
        for target in self.targets:
            if target.active and target.repo == repo and event in target.events:
                self._queue += [Hook(target, event, fine, body)] * self._copies()
        self._woken.set()

    def _copies(self) -> int:
        if self._random.random() < self.loss:
            return 0
        return 2 if self._random.random() < self.doubling else 1

    async def run(self) -> None:
        async with Outgoing.open(timeout_s=TIMEOUT_S, follow_redirects=False) as client:
            while True:
                await self._woken.wait()
                self._woken = anyio.Event()
                await anyio.sleep(GATHER_S)
                batch, self._queue = self._arranged(self._queue), []
                self._busy = len(batch)
                for hook in batch:
                    self.deliveries.append(await self._deliver(client, hook))
                    self._busy -= 1
                if not self._queue:
                    self._idle.set()
                    self._idle = anyio.Event()

    def _arranged(self, batch: list[Hook]) -> list[Hook]:
        if self.order == "worst":
            return sorted(batch, key=lambda hook: _WORST[hook.event])
        if self.order == "shuffled":
            return self._random.sample(batch, len(batch))
        return batch

    async def settle(self) -> None:
        """Wait until every queued hook was sent."""
        while self._queue or self._busy:
            await self._idle.wait()

    async def _deliver(self, client: Outgoing, hook: Hook) -> Delivery:
        headers = self.headers(hook)
        told = Delivery(event=hook.event, body=json.loads(hook.body), headers=headers)
        told.status = await client.post(hook.target.url, hook.body, headers)
        return told

    def headers(self, hook: Hook) -> dict[str, str]:
        delivery = str(UUID(int=self._random.getrandbits(128), version=4))
        secret = hook.target.secret.encode()
        signed = hmac.new(secret, hook.body, sha256).hexdigest() if secret else ""
        old = hmac.new(secret, hook.body, sha1).hexdigest() if secret else ""
        headers = {"Content-Type": "application/json", "User-Agent": "Go-http-client/1.1"}
        for forge in ("GitHub", "Gitea", "Gogs"):
            headers |= {f"X-{forge}-Delivery": delivery, f"X-{forge}-Event": hook.event, f"X-{forge}-Event-Type": hook.fine}
        headers |= {"X-Gitea-Signature": signed, "X-Gogs-Signature": signed}
        return headers | {"X-Hub-Signature": f"sha1={old}", "X-Hub-Signature-256": f"sha256={signed}"}
