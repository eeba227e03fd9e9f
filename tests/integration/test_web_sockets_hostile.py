"""R8: what a hostile viewer sends over a WebSocket is dropped or ends its own connection, and holds nobody else."""

import logging
import os
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream
from wsproto.events import CloseConnection

from tests.integration.test_web_live import next_not_heartbeat, viewing
from tests.integration.web_world import World, running

ADDRESSES = ("/ws/queue", "/ws/runs/1")
MASK = b"\x01\x02\x03\x04"
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def frame(opcode: int, payload: bytes, *, final: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """Return one frame as it goes over the wire."""
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    mark = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        head += bytes([mark | size])
    elif size < 65_536:
        head += bytes([mark | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mark | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))


FRAMES = {
    "noise": os.urandom(4096),
    "zeros": bytes(4096),
    "HTTP in the middle": b"GET /queue HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20,
    "an opcode that there is not": frame(0x5, b"x"),
    "reserved bits": frame(TEXT, b"x", reserved=7),
    "no mask": frame(TEXT, b"x", masked=False),
    "no text": frame(TEXT, b"\xff\xfe\xed\xa0\x80"),
    "half a text": frame(TEXT, b"\xf0\x9f", final=False) + frame(0x0, b"\xff"),
    "a continuation of nothing": frame(0x0, b"x"),
    "a ping in pieces": frame(PING, b"x", final=False),
    "a ping that is too long": frame(PING, b"x" * 200),
    "a length of 2^63": bytes([0x81, 0xFF]) + b"\xff" * 8 + MASK,
    "a length of 2^62 and nothing after it": bytes([0x82, 0xFF]) + b"\x3f" + b"\xff" * 7 + MASK,
    "a message that is too large": frame(TEXT, b"x" * 200_000),
    "a message that is too large, in pieces": frame(TEXT, b"x" * 60_000, final=False)
    + frame(0x0, b"x" * 60_000, final=False) * 8,
    "a close with one byte": frame(CLOSE, b"\x03"),
    "a close with a made-up code": frame(CLOSE, struct.pack("!H", 65_535) + b"\xff"),
    "two closes": frame(CLOSE, struct.pack("!H", 1000)) * 2,
    "JSON that is no command": frame(TEXT, b'{"type": "approve", "task": "SHOP-1"}'),
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path, heartbeat_s=0.05, log_look_s=0.01) as made:
        yield made


@asynccontextmanager
async def raw(world: World, address: str) -> AsyncIterator[SocketStream]:
    """Give the stream of a viewer that was let in."""
    async with viewing(world, address) as viewer:
        await viewer.next()
        yield viewer.stream


async def send_what_is_taken(stream: SocketStream, data: bytes) -> None:
    try:
        with anyio.move_on_after(5):
            await stream.send(data)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass  # it was cut in the middle: that is the point


async def until_cut(stream: SocketStream) -> None:
    """Read whatever comes until the other side ends the connection."""
    try:
        while True:
            await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        pass


async def all_is_well(world: World) -> None:
    """Others are served: a request is answered, and a viewer who comes now is told everything."""
    async with world.client(token=False) as client:
        assert (await client.get("/healthz")).status_code == 200
    async with viewing(world) as other:
        await other.next()
        assert (await next_not_heartbeat(other))["type"] == "snapshot"
    assert world.control.asked == [], "nothing that a viewer says is a command"


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("name", FRAMES)
async def test_R8_no_frame_breaks_a_socket(world: World, caplog: pytest.LogCaptureFixture, address: str, name: str) -> None:
    with caplog.at_level(logging.WARNING):
        async with raw(world, address) as stream:
            await send_what_is_taken(stream, FRAMES[name])
            await all_is_well(world)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("name", ["no mask", "an opcode that there is not", "no text"])
async def test_R8_what_is_no_protocol_ends_its_own_connection(world: World, address: str, name: str) -> None:
    async with raw(world, address) as stream:
        await send_what_is_taken(stream, FRAMES[name])
        with anyio.fail_after(10):
            await until_cut(stream)
    await all_is_well(world)


async def test_R8_a_message_that_is_too_large_is_said_to_be_so_and_nothing_is_sent_any_more(world: World) -> None:
    async with viewing(world) as viewer:
        await viewer.next()
        await next_not_heartbeat(viewer)
        await viewer.stream.send(FRAMES["a message that is too large"])
        closed = await next_not_heartbeat(viewer)
        assert isinstance(closed, CloseConnection)
        assert closed.code == 1009
        await all_is_well(world)


@pytest.mark.parametrize("kind", [TEXT, BINARY, PING, PONG], ids=["text", "binary", "ping", "pong"])
async def test_R8_a_flood_is_dropped_and_holds_nobody(world: World, kind: int) -> None:
    """One that floods without reading its answers is not waited for either."""
    flood = frame(kind, b"x" * 100) * 5_000
    async with viewing(world) as healthy:
        await healthy.next()
        await next_not_heartbeat(healthy)
        async with raw(world, "/ws/queue") as stream, anyio.create_task_group() as group:
            group.start_soon(send_what_is_taken, stream, flood)
            for seq in range(2, 12):
                world.feed.say({"type": "change", "seq": seq})
                assert (await next_not_heartbeat(healthy))["seq"] == seq
        await all_is_well(world)


async def test_R8_a_hundred_handshakes_that_go_no_further_keep_nobody_out(world: World) -> None:
    host, port = world.sock.getsockname()[:2]
    begun = b"GET /ws/queue HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
    streams = [await anyio.connect_tcp(host, port) for _ in range(100)]
    try:
        for stream in streams:
            await stream.send(begun)
        await all_is_well(world)
    finally:
        for stream in streams:
            await stream.aclose()


GOOD = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        "Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: not a key\r\n",
        GOOD + "Sec-WebSocket-Extensions: permessage-deflate; x=\xff\r\n",
        GOOD + "Origin: http://[::1\r\n",
        GOOD + "Host: evil.example\r\n",
    ],
    ids=["version", "no key", "a wrong key", "extension", "origin that is none", "two hosts"],
)
async def test_R8_no_handshake_breaks_the_server(world: World, caplog: pytest.LogCaptureFixture, lines: str) -> None:
    host, port = world.sock.getsockname()[:2]
    head = f"GET /ws/queue HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{lines}\r\n"
    with caplog.at_level(logging.WARNING):
        async with await anyio.connect_tcp(host, port) as stream:
            await stream.send(head.encode("latin-1"))
            with anyio.move_on_after(5):
                try:
                    answer = await stream.receive()
                except anyio.EndOfStream:
                    answer = b""
                assert not answer.startswith(b"HTTP/1.1 5")
        await all_is_well(world)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
