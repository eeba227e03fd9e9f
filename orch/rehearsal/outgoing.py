"""How the rehearsal's services send their hooks.

Owns: ``Outgoing``. Rule: the only module beside ``orch.adapters.http`` that imports httpx, whose types do not leave it; what did
not answer has the status 0.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

import httpx  # noqa: TID251 - this is the other side of the wire


class Outgoing:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def open(cls, *, timeout_s: float, follow_redirects: bool) -> AsyncIterator[Self]:
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # hooks stay on this machine; to read the authorities takes 50 ms
        async with httpx.AsyncClient(
            timeout=timeout_s, trust_env=False, verify=nobody, follow_redirects=follow_redirects
        ) as client:
            yield cls(client)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post once and return the answer's status, 0 where there was none."""
        try:
            return (await self._client.post(url, content=body, headers=dict(headers))).status_code
        except httpx.HTTPError:
            return 0
