"""The connection to the fake Bot API without a socket, for virtual time: what ``ServiceClient`` makes of each answer.

Owns: ``DirectClient``. Rule: a server that is down, hangs, answers with garbage or loses its reply is to the caller what it is
over a socket: the same errors after the same times.
"""

import json
from collections.abc import Container

import anyio

from orch.adapters.http import READ_S, ServiceReply
from orch.core.errors import CredentialRefused, TransientError
from tests.fakes.telegram.state import BotApi, Broken, Lost

LATENCY_S = 0.05


class DirectClient:
    def __init__(self, api: BotApi) -> None:
        self._api = api

    async def aclose(self) -> None:
        pass

    async def post(self, path: str, body: object = None, *, expect: Container[int] = ()) -> ServiceReply:
        await anyio.sleep(LATENCY_S)
        operation = f"POST {path}"
        if self._api.down:
            raise TransientError("telegram", operation, "no answer from the Bot API (ConnectError)")
        fields = json.loads(json.dumps(body or {}))
        try:
            with anyio.fail_after(READ_S):
                status, answer, headers = await self._api.call(path.removeprefix("/"), fields)
        except (Lost, TimeoutError) as error:
            raise TransientError("telegram", operation, "no answer from the Bot API (ReadTimeout)") from error
        except Broken as error:
            raise TransientError("telegram", operation, f"HTTP {error.status} bad gateway") from error
        if status == 401:
            raise CredentialRefused("telegram", operation, f"HTTP 401 {answer['description']}", retry_after=30.0)
        assert 200 <= status < 300 or status in expect, (status, answer)
        return ServiceReply(status=status, body=answer, said=str(answer)[:200], headers=headers)
