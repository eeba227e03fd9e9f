"""Where a rehearsal's service listens: one address of the loopback, which it leaves and comes back to.

Owns: the socket, the server's task, an outage. Rule: while it is down connections are refused, as a server's that has ended.
"""

from types import TracebackType
from typing import Self, final

import anyio
from quart import Quart

from orch.web.server import Listener, bind_socket, serve, url_of

HOST = "127.0.0.1"


@final
class Listening:
    """``async with Listening(grace_s=…) as listening``, then ``serve``; the address is known from the start."""

    def __init__(self, *, grace_s: float) -> None:
        self._grace_s = grace_s
        self._listener = bind_socket(HOST, 0)
        self.url = url_of(self._listener)
        self.group = anyio.create_task_group()
        self._app: Quart | None = None
        self._shutdown = anyio.Event()
        self._stopped = anyio.Event()

    async def __aenter__(self) -> Self:
        await self.group.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._app is not None:
            await self.go_down()
        self.group.cancel_scope.cancel()
        await self.group.__aexit__(kind, value, trace)

    def serve(self, app: Quart) -> None:
        self._app = app
        self._begin(self._listener)

    def _begin(self, listener: Listener) -> None:
        self._shutdown, self._stopped = anyio.Event(), anyio.Event()
        self.group.start_soon(self._run, listener, self._shutdown, self._stopped)

    async def _run(self, listener: Listener, shutdown: anyio.Event, stopped: anyio.Event) -> None:
        assert self._app is not None
        try:
            await serve(self._app, listener, shutdown=shutdown, hub_close=_nothing, grace_s=self._grace_s)
        finally:
            stopped.set()

    async def go_down(self) -> None:
        """Stop listening: connections are refused until ``come_back``."""
        self._shutdown.set()
        await self._stopped.wait()

    async def come_back(self) -> None:
        """Listen again at the same address."""
        self._begin(bind_socket(HOST, int(self.url.rpartition(":")[2])))


async def _nothing() -> None:
    """No viewer is to be sent away."""
