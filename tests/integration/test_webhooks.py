"""The webhooks' addresses over a real socket: signed or refused, on disk before the answer, no decision made."""

import hmac
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import pytest

from orch.core.errors import StoreError
from orch.core.model import InboxRow
from tests.integration.web_world import World, running

SECRET = "the hook's own secret"
EVENT = b'{"event": "issue", "project": "shop"}'


@dataclass
class Door:
    """A service whose signature is a plain HMAC; an event that says ``elsewhere`` is not about us."""

    times: list[datetime] = field(default_factory=list)

    def admits(self, body: bytes, headers: Mapping[str, str]) -> bool:
        given = {name.lower(): value for name, value in headers.items()}.get("x-signature", "")
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), signed(body).encode())

    def concerns(self, body: bytes, headers: Mapping[str, str]) -> bool:
        return b"elsewhere" not in body

    def source(self, headers: Mapping[str, str]) -> str:
        return "gitea:push"

    def heard(self, at: datetime) -> None:
        self.times.append(at)


def signed(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, sha256).hexdigest()


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
async def world(tmp_path: Path, door: Door) -> AsyncIterator[World]:
    async with running(tmp_path, doors={"gitea": door}) as made:
        yield made


async def send(world: World, body: bytes, *, path: str = "/webhook/gitea", signature: str | None = None) -> tuple[int, Any]:
    given = (signed(body) if signature is None else signature).encode()
    headers = {b"X-Signature": given, b"Content-Type": b"application/json"}
    async with world.client(token=False) as client:
        reply = await client.post(path, content=body, headers=headers)
    return reply.status_code, reply.json()


async def inbox(world: World) -> list[InboxRow]:
    return await world.store.read(lambda tx: tx.pending_inbox())


async def test_G1_a_signed_event_is_on_disk_before_its_answer_and_the_intake_is_told(world: World, door: Door) -> None:
    assert await send(world, EVENT) == (200, {"status": "accepted"})
    rows = await inbox(world)
    assert [(row.source, row.body) for row in rows] == [("gitea:push", EVENT)]
    assert (world.control.hints, len(door.times)) == (1, 1)


@pytest.mark.parametrize("signature", ["", "0" * 64, signed(EVENT + b" "), "é"])
async def test_an_event_that_is_not_signed_with_our_secret_is_refused_and_not_kept(world: World, signature: str) -> None:
    status, body = await send(world, EVENT, signature=signature)
    assert (status, await inbox(world), world.control.hints) == (401, [], 0)
    assert "webhook secret" in body["detail"]


async def test_an_event_about_a_project_that_is_not_ours_is_ignored(world: World) -> None:
    assert await send(world, b'{"project": "elsewhere"}') == (200, {"status": "ignored"})
    assert await inbox(world) == []


async def test_the_raw_bytes_are_kept_even_where_they_are_no_text(world: World) -> None:
    body = b'\xff\x00{"a": NaN, "b": "\\ud800"'
    assert await send(world, body) == (200, {"status": "accepted"})
    assert [row.body for row in await inbox(world)] == [body]


async def test_a_service_that_no_project_uses_has_no_door(world: World) -> None:
    status, body = await send(world, EVENT, path="/webhook/plane")
    assert (status, await inbox(world)) == (404, [])
    assert "plane" in body["detail"]


async def test_an_event_that_is_too_large_is_refused_before_its_signature_is_looked_at(world: World) -> None:
    status, _ = await send(world, b"x" * (1024 * 1024 + 1))
    assert (status, await inbox(world)) == (413, [])


async def test_G1_an_event_that_cannot_be_stored_is_answered_503_and_may_come_again(tmp_path: Path, door: Door) -> None:
    class Sick:
        async def transact(self, work: Any) -> Any:
            raise StoreError("disk full")

        async def read(self, work: Any) -> Any:
            raise StoreError("disk full")

        async def aclose(self) -> None: ...

    async with running(tmp_path, doors={"gitea": door}, store=Sick()) as world:
        status, body = await send(world, EVENT)
    assert (status, door.times) == (503, [])
    assert "store" in body["detail"]


async def test_G1_a_client_that_leaves_while_its_event_is_stored_does_not_cut_it_in_half(tmp_path: Path, door: Door) -> None:
    """What the writer has begun it finishes, whether or not anybody waits for the answer."""
    async with running(tmp_path, doors={"gitea": door}) as plain:
        began, go_on = anyio.Event(), anyio.Event()

        class Slow:
            async def transact(self, work: Any) -> Any:
                began.set()
                with anyio.CancelScope(shield=True):
                    await go_on.wait()
                return await plain.store.transact(work)

        app_deps = replace(plain.deps, store=Slow())  # type: ignore[arg-type]
        async with running(tmp_path, doors={"gitea": door}, store=app_deps.store) as world:
            host, _, port = world.url.removeprefix("http://").partition(":")
            with socket.create_connection((host, int(port))) as client:
                head = f"POST /webhook/gitea HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(EVENT)}\r\n"
                client.sendall(f"{head}X-Signature: {signed(EVENT)}\r\n\r\n".encode() + EVENT)
                with anyio.fail_after(5):
                    await began.wait()
            go_on.set()
            with anyio.fail_after(5):
                while not await inbox(plain):
                    await anyio.wait_all_tasks_blocked()
    assert len(door.times) <= 1
