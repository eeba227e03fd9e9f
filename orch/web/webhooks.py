"""The services' webhooks: an event is durable before it is answered, and nothing of it is decided here.

Owns: ``POST /webhook/<service>``. Does not own: what a signature or a body means (the service's ``HookDoor``), what follows from
an event (the intake). Rule: raw bytes are checked before anything is parsed; 2xx means the row is on disk; one that cannot be
stored is answered 503, and the reconciler's next poll finds what it told of.
A client that goes away while its event is stored changes nothing: the writer commits a piece of work whole, whoever still waits.
"""

from functools import partial
from typing import final

from quart import Response, jsonify, request

from orch.core.ids import InboxId
from orch.logs import redact_bytes
from orch.ports import HookDoor, Tx
from orch.web.deps import WebDeps
from orch.web.problems import problem
from orch.web.routes import Route

SERVICES = ("plane", "gitea")


@final
class WebhookViews:
    """Handlers of the webhooks' addresses."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        return [
            Route(
                method="POST",
                path=f"/webhook/{service}",
                handler=partial(self.receive, service),
                summary=f"An event from {service.title()}, signed with its webhook secret",
                hook=True,
            )
            for service in SERVICES
        ]

    async def receive(self, service: str) -> Response:
        door = self._deps.doors.get(service)
        if door is None:
            return problem(404, f"No project of this daemon lives on {service}: nothing takes its events.")
        body = await request.get_data(cache=False, as_text=False, parse_form_data=False)
        headers = dict(request.headers)
        if not door.admits(body, headers):
            return problem(401, "The signature is missing or is not made with the webhook secret that is configured here.")
        if not door.concerns(body, headers):
            return jsonify({"status": "ignored"})
        await self._store(door, body, door.source(headers))
        return jsonify({"status": "accepted"})

    async def _store(self, door: HookDoor, body: bytes, source: str) -> InboxId:
        """Return when the row is on disk; whoever handles it has then been told."""
        now, told = self._deps.clock.now(), redact_bytes(body)

        def work(tx: Tx) -> InboxId:
            return tx.add_inbox(source, told, now)

        row = await self._deps.store.transact(work)
        door.heard(now)
        self._deps.control.accepted()
        return row
