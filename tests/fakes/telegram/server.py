"""The fake Bot API on a real socket.

Owns: ``FakeTelegram``: the app, its socket, its outages. Rule: the token stands in the address, as it does in reality.
"""

import json
import time
from types import TracebackType
from typing import Self

from quart import Quart, Response, request

from orch.rehearsal.listening import Listening
from tests.fakes.telegram.state import BotApi, Broken, Lost

GRACE_S = 0.2


class FakeTelegram:
    """``async with FakeTelegram() as telegram``: ``telegram.api`` is the state, ``telegram.url`` the address without a token."""

    def __init__(self, *, chat: int = -1001, limits: bool = True) -> None:
        self.api = BotApi(time.monotonic, chat=chat, limits=limits)
        self.paths: list[str] = []
        self.url = ""
        self._listening: Listening

    async def __aenter__(self) -> Self:
        self._listening = await Listening(grace_s=GRACE_S).__aenter__()
        self.url = self._listening.url
        self._listening.serve(self._make_app())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        await self._listening.__aexit__(kind, value, trace)

    async def go_down(self) -> None:
        """Stop listening: connections are refused until ``come_back``."""
        await self._listening.go_down()

    async def come_back(self) -> None:
        await self._listening.come_back()

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
