"""The live view: ``WS /ws/queue``, what every viewer's socket has in common, and closing all of them at shutdown.

Owns: ``Hub``, ``Line``. Desired properties: a slow or stalled viewer holds nobody (its feed keeps only the latest, a send that
takes too long ends it); what a viewer sends is read and dropped, so it cannot fill memory; at shutdown every viewer
gets close code 1001. Design: one task group per viewer whose scope ends it; the protocol carries a heartbeat, because
pings of the server's own would keep closed sockets. Race we accept: a viewer cut in the middle of a send gets no
close frame; it reconnects and is given a snapshot.
"""

import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
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
KEPT = 8
"""So many of the feed's messages are kept as text: viewers are at most a few apart, and whoever is further behind pays for it."""


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
        self._texts = Texts()
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
        return await self.serve(self._forward)

    async def serve(self, work: Callable[["Line"], Awaitable[int]]) -> Response:
        """Serve one viewer until *work*, the viewer or the daemon ends; *work* returns the close code."""
        if self._open >= self._deps.viewers_max or self._closing.is_set():
            raise ProblemError(503, "There are too many viewers now; try again.")
        socket: Websocket = websocket._get_current_object()  # type: ignore[attr-defined]
        self._count(+1)
        try:
            await socket.accept()
            code = await self._serve(Line(socket, self._deps), work)
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

    async def _serve(self, line: "Line", work: Callable[["Line"], Awaitable[int]]) -> int:
        code = GOING_AWAY
        async with anyio.create_task_group() as group:
            group.start_soon(line.drop_input)
            group.start_soon(line.beat)
            group.start_soon(line.watch, group.cancel_scope)
            group.start_soon(self._leave_on_close, group.cancel_scope)
            try:
                code = await work(line)
            except (OrchError, TimeoutError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.BrokenResourceError):
                code = TRY_AGAIN_LATER
            group.cancel_scope.cancel()
        return TRY_AGAIN_LATER if line.stalled else code

    async def _forward(self, line: "Line") -> int:
        """Forward the feed for as long as it goes."""
        async with self._deps.feed.subscribe() as subscription:
            while True:
                message = await subscription.receive()
                await line.send(message, self._texts.of(message))

    async def _leave_on_close(self, scope: anyio.CancelScope) -> None:
        await self._closing.wait()
        scope.cancel()


@final
class Texts:
    """What the feed said last, as text: one change goes to every viewer, and is written out once."""

    def __init__(self) -> None:
        self._kept: deque[tuple[Mapping[str, object], str]] = deque(maxlen=KEPT)

    def of(self, message: Mapping[str, object]) -> str:
        """Return *message* as JSON; the same object (not an equal one) gives the same text, so nobody may change it."""
        for known, text in self._kept:
            if known is message:
                return text
        text = json.dumps(message, allow_nan=False)
        self._kept.append((message, text))
        return text


@final
class Line:
    """The wire to one viewer. Receiving from the feed is never cut short: what was being made would be lost."""

    def __init__(self, socket: Websocket, deps: WebDeps) -> None:
        self._socket = socket
        self._deps = deps
        self._lock = anyio.Lock(fast_acquire=True)
        self._seq: object = 0
        self._sent = 0
        self._since: float | None = None
        """Since when something is being sent."""
        self.stalled = False

    async def send(self, message: Mapping[str, object], text: str = "") -> None:
        """Send *message* (*text*, where it was written out already). It takes as long as the viewer does: see ``watch``."""
        self._seq = message.get("seq", self._seq)
        async with self._lock:
            self._since = anyio.current_time()
            await self._socket.send(text or json.dumps(message, allow_nan=False))
            self._since = None
        self._sent += 1

    async def watch(self, scope: anyio.CancelScope) -> None:
        """End *scope* when the viewer takes nothing for ``viewer_send_s``, or half as long again."""
        while not self.stalled:
            await anyio.sleep(self._deps.viewer_send_s / 2)
            self.stalled = self._since is not None and anyio.current_time() - self._since >= self._deps.viewer_send_s
        scope.cancel()

    async def beat(self) -> None:
        """Say that nothing happened whenever nothing was sent for a while."""
        while True:
            before = self._sent
            await anyio.sleep(self._deps.heartbeat_s)
            if self._sent == before:
                await self.send({"type": "heartbeat", "seq": self._seq, "at": self._deps.clock.now().isoformat()})

    async def drop_input(self) -> None:
        while True:
            await self._socket.receive()
