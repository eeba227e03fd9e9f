"""The listening socket and the end of serving: early and clear errors, a quick stop whatever clients do."""

import json
import select
import socket
import time
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx  # noqa: TID251
import pytest
from wsproto.events import AcceptConnection, CloseConnection

from orch.core.errors import ConfigError
from orch.web.server import ACCEPTS, bind_socket, connection_limit, url_of, write_daemon_file
from tests.integration.test_web_live import viewing
from tests.integration.web_world import TOKEN, World, running


def test_a_port_that_is_taken_is_said_at_once() -> None:
    with bind_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(
            ConfigError, match=f"port {port} is taken by another program: choose another with --port or ORCH_PORT"
        ):
            bind_socket("127.0.0.1", port)


BAD = [
    ("127.0.0.1", 70_000, "port 70000 does not exist"),
    ("127.0.0.1", -1, "port -1 does not exist"),
    ("203.0.113.7", 0, "no address of this machine"),
    ("not a host", 0, "is no address: choose another with --host"),
    ("a" * 300, 0, "is no address: choose another with --host"),
]


@pytest.mark.parametrize(("host", "port", "text"), BAD)
def test_a_bad_address_is_said_at_once(host: str, port: int, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        bind_socket(host, port)


def test_a_stalled_peer_is_cut_by_the_kernel() -> None:
    with bind_socket("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        connection, _ = listener.accept()
        with connection:
            assert 3_000 <= connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 10_000


def test_connections_above_the_cap_are_closed_and_counted_out() -> None:
    with bind_socket("127.0.0.1", 0, limit=1) as listener:
        address = listener.getsockname()
        listener.setblocking(True)
        with socket.create_connection(address), socket.create_connection(address) as second:
            first, _ = listener.accept()
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
            second.settimeout(5)
            assert second.recv(1) == b""
            first.close()
            assert listener.live == set()
    assert 32 <= connection_limit() <= 2000


def test_a_crowd_finds_room_in_the_queue_whatever_the_event_loop_asks_for() -> None:
    with bind_socket("127.0.0.1", 0) as listener, ExitStack() as stack:
        listener.listen(ACCEPTS)
        for _ in range(50 * ACCEPTS):
            stack.enter_context(socket.create_connection(listener.getsockname(), timeout=5))


def test_a_crowd_above_the_cap_is_turned_away_a_few_at_a_time() -> None:
    with bind_socket("127.0.0.1", 0, limit=0) as listener, ExitStack() as stack:
        for _ in range(ACCEPTS + 1):
            stack.enter_context(socket.create_connection(listener.getsockname(), timeout=5))
        for others_wait in (True, False):
            with pytest.raises(BlockingIOError):
                listener.accept()
            assert bool(select.select([listener], [], [], 0)[0]) is others_wait


async def test_a_crowd_keeps_the_event_loop_no_longer_than_a_few_of_it_take(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        with ExitStack() as stack:
            for _ in range(20 * ACCEPTS):  # they connect while the server has no turn
                stack.enter_context(socket.create_connection(world.sock.getsockname(), timeout=5))
            known, most = 0, 0
            with anyio.fail_after(20):
                while known < 20 * ACCEPTS:
                    await anyio.lowlevel.checkpoint()
                    most, known = max(most, len(world.sock.live) - known), len(world.sock.live)
            assert 0 < most <= ACCEPTS


def test_the_daemon_file_says_where_the_daemon_is(tmp_path: Path) -> None:
    write_daemon_file(tmp_path, "http://127.0.0.1:1")
    write_daemon_file(tmp_path, "http://127.0.0.1:2")
    path = tmp_path / "daemon.json"
    assert json.loads(path.read_text())["url"] == "http://127.0.0.1:2"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["daemon.json"]


def test_urls_name_what_a_client_here_can_reach() -> None:
    for host, shown in [("127.0.0.1", "http://127.0.0.1:"), ("0.0.0.0", "http://127.0.0.1:"), ("::1", "http://[::1]:")]:
        with bind_socket(host, 0) as listener:
            assert url_of(listener).startswith(shown)


async def stop(world: World) -> float:
    """Stop the server, wait until every socket is closed, and return how long that took."""
    began = time.monotonic()
    world.shutdown.set()
    with anyio.fail_after(20):
        await world.served.wait()
    assert world.sock.fileno() == -1
    assert world.sock.live == set()
    return time.monotonic() - began


async def test_stop_is_at_once_when_nothing_is_open(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.client() as client:
        assert (await client.get("/healthz")).status_code == 200
        assert await stop(world) < 1.5


async def test_stop_sends_viewers_away_and_does_not_wait_for_their_answer(tmp_path: Path) -> None:
    async with running(tmp_path, grace_s=8) as world, viewing(world) as viewer:
        assert isinstance(await viewer.next(), AcceptConnection)
        await viewer.next()
        took = await stop(world)
        closed = await viewer.next()
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1001
    assert took < 2


async def test_stop_cuts_a_client_that_stalls_in_its_body(tmp_path: Path) -> None:
    async with running(tmp_path, grace_s=2) as world, await anyio.connect_tcp(*world.sock.getsockname()) as stream:
        head = f"POST /deps HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n"
        await stream.send(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
        await stream.send(b"{")
        assert await stop(world) < 2


async def test_stop_cuts_a_viewer_that_reads_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, grace_s=4) as world, viewing(world) as viewer:
        await viewer.next()
        await viewer.next()
        for seq in range(2, 30):
            world.feed.say({"type": "change", "seq": seq, "text": "x" * 1_000_000})
        assert await stop(world) < 4


async def test_a_caller_that_is_cancelled_is_a_stop_too(tmp_path: Path) -> None:
    began = time.monotonic()
    with anyio.CancelScope() as scope:
        async with running(tmp_path, grace_s=5) as world, viewing(world) as viewer:
            assert isinstance(await viewer.next(), AcceptConnection)
            scope.cancel()
    assert world.sock.fileno() == -1
    assert time.monotonic() - began < 3


async def test_a_listener_refuses_new_connections_as_soon_as_it_stops(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        address = world.sock.getsockname()
        await stop(world)
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(address, timeout=2)


async def test_R8_a_crowd_of_silent_connections_keeps_nobody_out(tmp_path: Path) -> None:
    async with running(tmp_path) as world, AsyncExitStack() as crowd:
        for _ in range(200):
            await crowd.enter_async_context(await anyio.connect_tcp(*world.sock.getsockname()))
        async with world.client() as client:
            assert (await client.get("/tasks")).status_code == 200
        assert len(world.sock.live) >= 200


async def test_R8_a_full_house_refuses_newcomers_and_serves_those_inside(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.client() as inside:
        assert (await inside.get("/healthz")).status_code == 200
        world.sock.limit = 1
        async with world.client() as newcomer:
            with pytest.raises(httpx.TransportError):
                await newcomer.get("/healthz")
        assert (await inside.get("/healthz")).status_code == 200
