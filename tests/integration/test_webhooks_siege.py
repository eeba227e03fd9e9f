"""R8 at the webhooks' door: hostile bodies with a right signature, endless bodies and silent connections harm nobody else."""

import hmac
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import anyio
import pytest
from anyio.abc import TaskStatus

from orch.adapters.gitea.door import GiteaDoor
from orch.adapters.plane import PlaneDoor
from orch.core.ids import ProjectName
from tests.integration.web_world import World, running

SECRET, SHOP = "the hook's own secret", ProjectName("shop")
UUID = "5151c2dc-01ed-4492-9741-0500b597661d"
SILENT, SLOW = 200, 20
HOSTILE = {
    "nested too deeply": b"[" * 100_000,
    "an object nested too deeply": b'{"data":' * 50_000,
    "no number": b'{"event": "issue", "data": {"project": NaN}}',
    "a large number": b'{"event": "issue", "data": {"id": 9223372036854775808}}',
    "a number of many digits": b'{"event": ' + b"9" * 5_000 + b"}",
    "a lone surrogate": b'{"event": "issue", "data": {"project": "\\ud800"}, "repository": {"full_name": "\\ud800"}}',
    "a NUL": b'{"event": "issue", "data": {"project": "a\\u0000b"}, "ref": "refs/heads/\\u0000"}',
    "many keys": json.dumps({f"k{number}": number for number in range(60_000)}).encode(),
    "no text at all": b"\xff\xfe\x00",
    "a list": b"[]",
    "nothing": b"null",
    "wrong kinds": b'{"event": [], "data": 7, "repository": [], "ref": {}, "pull_request": "x", "activity": 1}',
}


def doors() -> dict[str, object]:
    plane = PlaneDoor(SECRET, lambda: {UUID: SHOP}, frozenset, lambda _service, _at: None)
    return {"plane": plane, "gitea": GiteaDoor(SECRET, lambda: {"team/shop": SHOP}, lambda _service, _at: None)}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path, doors=doors()) as made:
        yield made


async def send(world: World, service: str, body: bytes, event: str) -> int:
    signature = hmac.new(SECRET.encode(), body, sha256).hexdigest()
    headers = {"X-Plane-Signature": signature, "X-Plane-Event": event, "X-Gitea-Signature": signature, "X-Gitea-Event": event}
    async with world.client(token=False) as client:
        return (await client.post(f"/webhook/{service}", content=body, headers=headers)).status_code


@pytest.mark.parametrize(("service", "events"), [("plane", ("issue",)), ("gitea", ("push", "pull_request", "status"))])
async def test_R8_a_hostile_body_with_a_right_signature_is_answered_and_read_without_an_error(
    world: World, service: str, events: tuple[str, ...]
) -> None:
    for said, body in HOSTILE.items():
        for event in events:
            assert await send(world, service, body, event) == 200, (said, event)
    door = world.deps.doors[service]
    for row in await world.store.read(lambda tx: tx.pending_inbox(1000)):
        read = door.read(row.source, row.body)
        assert read is None or isinstance(read, str), (row.source, row.body[:100])


async def test_R8_silent_connections_and_endless_bodies_keep_no_healthy_client_waiting(world: World) -> None:
    port = int(world.url.rpartition(":")[2])
    head = b"POST /webhook/plane HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
    body = json.dumps({"event": "issue", "action": "updated", "data": {"id": UUID, "project": UUID}}).encode()

    async def hold(first: bytes, *, task_status: TaskStatus[None]) -> None:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            if first:
                await stream.send(first)
            task_status.started()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        for first, count in ((b"", SILENT), (head, SLOW)):
            for _ in range(count):
                await group.start(hold, first)
        with anyio.fail_after(20):
            assert [await send(world, "plane", body, "issue") for _ in range(20)] == [200] * 20
        group.cancel_scope.cancel()
    assert len(await world.store.read(lambda tx: tx.pending_inbox(1000))) == 20
