"""The live view over a real WebSocket: snapshot, numbered changes, heartbeat; who may look; what a viewer cannot do."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection, Request, TextMessage

from tests.integration.web_world import BEARER, World, running


class Viewer:
    """A WebSocket client that shows what really comes over the wire."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.protocol = WSConnection(ConnectionType.CLIENT)
        self._events: list[Any] = []
        self._text = ""

    async def next(self) -> Any:
        """Return the next event: a message's JSON, or a protocol event."""
        while not self._events:
            with anyio.fail_after(10):
                try:
                    data: bytes | None = await self.stream.receive()
                except anyio.EndOfStream:
                    data = None
            self.protocol.receive_data(data)
            self._events += list(self.protocol.events())
        event = self._events.pop(0)
        if not isinstance(event, TextMessage):
            return event
        self._text += event.data
        if not event.message_finished:
            return await self.next()
        text, self._text = self._text, ""
        return json.loads(text)

    async def say(self, text: str) -> None:
        await self.stream.send(self.protocol.send(TextMessage(data=text)))


@asynccontextmanager
async def viewing(world: World, target: str = "/ws/queue", **headers: str) -> AsyncIterator[Viewer]:
    """Connect to the live view (or to *target*); the first event says whether it was let in."""
    host, port = world.sock.getsockname()[:2]
    async with await anyio.connect_tcp(host, port) as stream:
        viewer = Viewer(stream)
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        await stream.send(viewer.protocol.send(Request(host=f"{host}:{port}", target=target, extra_headers=extra)))
        yield viewer


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path, heartbeat_s=0.05) as made:
        yield made


async def next_not_heartbeat(viewer: Viewer) -> Any:
    while True:
        message = await viewer.next()
        if not (isinstance(message, dict) and message["type"] == "heartbeat"):
            return message


async def test_a_viewer_gets_a_snapshot_then_changes_in_order(world: World) -> None:
    async with viewing(world) as viewer:
        assert isinstance(await viewer.next(), AcceptConnection)
        assert await viewer.next() == world.feed.snapshot
        for seq in (2, 3):
            world.feed.say({"type": "change", "seq": seq})
        assert [(await next_not_heartbeat(viewer))["seq"] for _ in range(2)] == [2, 3]


async def test_a_quiet_feed_has_a_heartbeat_that_repeats_the_number(world: World) -> None:
    async with viewing(world) as viewer:
        await viewer.next()
        await viewer.next()
        assert await viewer.next() == {"type": "heartbeat", "seq": 1, "at": "2026-05-04T12:00:00+00:00"}


async def test_what_a_viewer_says_is_dropped(world: World) -> None:
    async with viewing(world) as viewer:
        await viewer.next()
        await viewer.next()
        for _ in range(500):
            await viewer.say("x" * 100)
        world.feed.say({"type": "change", "seq": 2})
        assert (await next_not_heartbeat(viewer))["seq"] == 2


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "file://", "http://127.0.0.1:1"])
async def test_another_sites_page_is_refused(world: World, origin: str) -> None:
    async with viewing(world, Origin=origin) as viewer:
        answer = await viewer.next()
    assert isinstance(answer, RejectConnection)
    assert answer.status_code == 403
    assert world.feed.viewers == []


async def test_our_own_page_is_let_in(world: World) -> None:
    async with viewing(world, Origin=world.url) as viewer:
        assert isinstance(await viewer.next(), AcceptConnection)


async def test_a_viewer_needs_the_token_where_readers_do(tmp_path: Path) -> None:
    async with running(tmp_path, require_token_for_reading=True) as world:
        async with viewing(world) as viewer:
            answer = await viewer.next()
            assert isinstance(answer, RejectConnection)
            assert answer.status_code == 401
        async with viewing(world, **BEARER) as viewer:
            assert isinstance(await viewer.next(), AcceptConnection)


async def test_viewers_are_capped(tmp_path: Path) -> None:
    async with running(tmp_path, viewers_max=1) as world, viewing(world) as first:
        assert isinstance(await first.next(), AcceptConnection)
        async with viewing(world) as second:
            answer = await second.next()
    assert isinstance(answer, RejectConnection)
    assert answer.status_code == 503


async def test_a_viewer_that_leaves_is_forgotten(world: World) -> None:
    async with viewing(world) as viewer:
        await viewer.next()
        await viewer.next()
        assert len(world.feed.viewers) == 1
    with anyio.fail_after(5):
        while world.feed.viewers:
            await anyio.lowlevel.checkpoint()


async def test_a_feed_that_ends_sends_the_viewer_to_connect_again(world: World) -> None:
    async with viewing(world) as viewer:
        await viewer.next()
        await viewer.next()
        world.feed.viewers[0].close()
        closed = await next_not_heartbeat(viewer)
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1013


async def test_a_viewer_that_reads_nothing_is_dropped_and_holds_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, viewer_send_s=0.1) as world, viewing(world) as stalled, viewing(world) as other:
        for viewer in (stalled, other):
            await viewer.next()
            await viewer.next()
        big = {"type": "change", "text": "x" * 1_000_000}
        for seq in range(2, 30):
            world.feed.say({**big, "seq": seq})
            assert (await other.next())["seq"] == seq
        with anyio.fail_after(10):
            while len(world.feed.viewers) > 1:
                await anyio.lowlevel.checkpoint()


async def test_one_change_is_written_out_once_for_all_viewers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []
    dumps = json.dumps

    def counted(message: Any, **options: Any) -> str:
        if message.get("type") == "change":
            written.append(message["seq"])
        return dumps(message, **options)

    monkeypatch.setattr("orch.web.live.json.dumps", counted)
    async with viewing(world) as first, viewing(world) as second:
        for viewer in (first, second):
            await viewer.next()
            await viewer.next()
        for seq in (2, 3):
            world.feed.say({"type": "change", "seq": seq})
            assert [(await next_not_heartbeat(viewer))["seq"] for viewer in (first, second)] == [seq, seq]
    assert written == [2, 3]
