"""The fake Bot API on a real socket.

Owns: ``FakeTelegram``: the app, its socket, its outages. Rule: the token stands in the address, as it does in reality.
"""

import json
import time
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup
from quart import Quart, Response, request

from orch.web.server import bind_socket, serve, url_of
from tests.fakes.telegram.state import BotApi, Broken, Lost

GRACE_S = 0.2


class FakeTelegram:
    """``async with FakeTelegram() as telegram``: ``telegram.api`` is the state, ``telegram.url`` the address without a token."""

    def __init__(self, *, chat: int = -1001, limits: bool = True) -> None:
        self.api = BotApi(time.monotonic, chat=chat, limits=limits)
        self.paths: list[str] = []
        self.url = ""
        self._group: TaskGroup
        self._shutdown = anyio.Event()
        self._stopped = anyio.Event()

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._app = self._make_app()
        self._serve(0)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        await self.go_down()
        self._group.cancel_scope.cancel()
        await self._group.__aexit__(kind, value, trace)

    def _serve(self, port: int) -> None:
        listener = bind_socket("127.0.0.1", port)
        self.url = url_of(listener)
        self._shutdown, self._stopped = anyio.Event(), anyio.Event()

        async def run(shutdown: anyio.Event, stopped: anyio.Event) -> None:
            try:
                await serve(self._app, listener, shutdown=shutdown, hub_close=_nothing, grace_s=GRACE_S)
            finally:
                stopped.set()

        self._group.start_soon(run, self._shutdown, self._stopped)

    async def go_down(self) -> None:
        """Stop listening: connections are refused until ``come_back``."""
        self._shutdown.set()
        await self._stopped.wait()

    async def come_back(self) -> None:
        self._serve(int(self.url.rpartition(":")[2]))

    def _make_app(self) -> Quart:
        app = Quart("fake-telegram")
        app.config["RESPONSE_TIMEOUT"] = None

        @app.post("/bot<token>/<method>")
        async def call(token: str, method: str) -> Response:
            self.paths.append(request.path)
            if token != self.api.token:
                return _json(401, {"ok": False, "error_code": 401, "description": "Unauthorized"}, {})
            try:
                status, body, headers = await self.api.call(method, await request.get_json(force=True))
            except (Lost, Broken) as error:
                return Response("<html>bad gateway</html>", getattr(error, "status", 502))
            return _json(status, body, headers)

        return app


def _json(status: int, body: object, headers: dict[str, str]) -> Response:
    return Response(json.dumps(body), status, {"Content-Type": "application/json", **headers})


async def _nothing() -> None:
    """No viewer is to be sent away."""
