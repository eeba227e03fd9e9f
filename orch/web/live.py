"""The live view: ``WS /ws/queue``, and closing every viewer at shutdown.

Owns: ``Hub``. Desired properties: a slow or stalled viewer holds nobody (its feed keeps only the latest, a send that
takes too long ends it); what a viewer sends is read and dropped, so it cannot fill memory; at shutdown every viewer
gets close code 1001. Design: one task group per viewer whose scope ends it; the protocol carries a heartbeat, because
pings of the server's own would keep closed sockets. Race we accept: a viewer cut in the middle of a send gets no
close frame; it reconnects and is given a snapshot.
"""

import json
from collections.abc import Mapping
from typing import Protocol, final

import anyio
from quart import Response, Websocket, websocket

from orch.core.errors import OrchError
from orch.web.deps import WebDeps
from orch.web.problems import ProblemError
from orch.web.routes import Route

GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013
CLOSE_S = 1.0


class Gauge(Protocol):
    """What is told how many viewers there are."""

    def set(self, value: float) -> None: ...


@final
class Hub:
    """The viewers that are connected now."""

    def __init__(self, deps: WebDeps, viewers: Gauge) -> None:
        self._deps = deps
        self._gauge = viewers
        self._open = 0
        self._closing = anyio.Event()
        self._left = anyio.Event()

    def routes(self) -> list[Route]:
        summary = "Live view: a snapshot, then numbered changes, and heartbeats"
        return [Route(method="GET", path="/ws/queue", handler=self.queue, summary=summary, socket=True)]

    async def close(self) -> None:
        """Send every viewer away (1001) and wait for them, at most two seconds."""
        self._closing.set()
        with anyio.move_on_after(2 * CLOSE_S):
            while self._open:
                await self._left.wait()

    async def queue(self) -> Response:
        """Serve one viewer until it or the daemon goes."""
        if self._open >= self._deps.viewers_max or self._closing.is_set():
            raise ProblemError(503, "There are too many viewers now; try again.")
        socket: Websocket = websocket._get_current_object()  # type: ignore[attr-defined]
        self._count(+1)
        try:
            await socket.accept()
            code = await self._serve(socket)
            with anyio.move_on_after(CLOSE_S):
                await socket.close(code)
        finally:
            self._count(-1)
            self._left.set()
            self._left = anyio.Event()
        return Response(b"")

    def _count(self, change: int) -> None:
        self._open += change
        self._gauge.set(self._open)

    async def _serve(self, socket: Websocket) -> int:
        """Forward the feed to *socket*; return the close code."""
        code = GOING_AWAY
        line = _Line(socket, self._deps)
        async with anyio.create_task_group() as group:
            group.start_soon(line.drop_input)
            group.start_soon(line.beat, group.cancel_scope)
            group.start_soon(self._leave_on_close, group.cancel_scope)
            try:
                async with self._deps.feed.subscribe() as subscription:
                    while True:
                        await line.send(await subscription.receive())
            except (OrchError, TimeoutError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.BrokenResourceError):
                code = TRY_AGAIN_LATER
            group.cancel_scope.cancel()
        return code

    async def _leave_on_close(self, scope: anyio.CancelScope) -> None:
        await self._closing.wait()
        scope.cancel()


@final
class _Line:
    """The wire to one viewer. Receiving from the feed is never cut short: what was being made would be lost."""

    def __init__(self, socket: Websocket, deps: WebDeps) -> None:
        self._socket = socket
        self._deps = deps
        self._lock = anyio.Lock()
        self._seq: object = 0
        self._sent = 0

    async def send(self, message: Mapping[str, object]) -> None:
        """Send *message*; raises TimeoutError when the viewer takes nothing."""
        self._seq = message.get("seq", self._seq)
        text = json.dumps(message, allow_nan=False)
        with anyio.fail_after(self._deps.viewer_send_s):
            async with self._lock:
                await self._socket.send(text)
        self._sent += 1

    async def beat(self, scope: anyio.CancelScope) -> None:
        """Say that nothing happened whenever nothing was sent for a while; end *scope* when the viewer takes nothing."""
        while True:
            before = self._sent
            await anyio.sleep(self._deps.heartbeat_s)
            if self._sent != before:
                continue
            try:
                await self.send({"type": "heartbeat", "seq": self._seq, "at": self._deps.clock.now().isoformat()})
            except TimeoutError:
                scope.cancel()

    async def drop_input(self) -> None:
        while True:
            await self._socket.receive()
