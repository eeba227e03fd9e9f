"""The listening socket, and serving an app on it until shutdown.

Owns: ``bind_socket``, ``Listener`` (its connections and their cap) and ``serve``.

Desired properties: a port that is taken is said at once; a shutdown takes the grace at most, whatever a client does;
a stalled client is cut; connections are capped. Design: the server runs in a shielded scope that gets its deadline
only at stop (cancelled without one it crashes on 3.11); a cancellation from outside counts as a stop. At stop the
listener closes first, then viewers are sent away, requests in flight get a moment, then the listener shuts every
connection that is left, which also ends the wait for them that has no bound on 3.12 and later. A crowd that connects at once
is let in a few at a time, between which whoever is in already is answered; the others wait in the kernel.
Race we accept: a connection above the cap is closed without an answer.
"""

import asyncio  # noqa: TID251 - the HTTP server runs on its loop, and tells it what a client broke
import json
import logging
import os
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import anyio
import hypercorn.asyncio
from hypercorn.config import Config, Sockets
from quart import Quart

from orch.core.errors import ConfigError
from orch.logs import get_logger

DAEMON_FILE = "daemon.json"
USER_TIMEOUT_MS = 8_000
KEEP_ALIVE_S = 15
ACCEPTS = 8
"""How many connections are taken in one turn of the event loop: each costs a good half of a millisecond of it."""
QUEUE = 1024
"""How many connections the kernel keeps waiting; one that finds no room tries again a second later."""
DRAIN_S = 3.0
"""How long requests in flight may take at shutdown before their connections are shut."""
MESSAGE_MAX = 64 * 1024
_log = get_logger("web.server")


@final
class Connection(socket.socket):
    """An accepted connection that tells its listener when it is closed."""

    listener: "Listener | None" = None

    def close(self) -> None:
        if self.listener is not None:
            self.listener.live.discard(self)
            self.listener = None
        super().close()


@final
class Listener(socket.socket):
    """A listening socket that knows its connections and accepts no more than *limit* of them."""

    def __init__(self, family: int, kind: int, proto: int, limit: int) -> None:
        super().__init__(family, kind, proto)
        self.limit = limit
        self.live: set[Connection] = set()

    def listen(self, backlog: int = QUEUE) -> None:
        """Listen; the event loop, which calls this again, takes the queue to be as short as its turns."""
        super().listen(max(backlog, QUEUE))

    def accept(self) -> tuple[socket.socket, Any]:
        for _ in range(ACCEPTS):
            fd, address = self._accept()  # type: ignore[attr-defined]
            connection = Connection(self.family, self.type, self.proto, fileno=fd)
            if len(self.live) < self.limit:
                connection.listener = self
                self.live.add(connection)
                return connection, address
            connection.close()
        raise BlockingIOError  # more of them may wait, for the next turn

    def shut_connections(self) -> int:
        """Shut whatever is still connected, so that its owner sees the end; return how many there were."""
        left = list(self.live)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # gone already
        return len(left)


def bind_socket(host: str, port: int, *, limit: int | None = None) -> Listener:
    """Bind and listen; *port* 0 takes a free one. Raises ConfigError that says what to do."""
    if not 0 <= port <= 65535:
        raise ConfigError(f"port {port} does not exist: choose one from 1 to 65535 with --port or ORCH_PORT")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
        listener = Listener(family, kind, proto, limit if limit is not None else connection_limit())
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"host {host!r} is no address: choose another with --host or ORCH_HOST ({error})") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        listener.bind(address)
        listener.listen()
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ConfigError(_bind_fault(error, host, port)) from error
    return listener


def _bind_fault(error: OSError, host: str, port: int) -> str:
    match error:
        case PermissionError():
            return f"port {port} may not be used by this user: choose one above 1023 with --port or ORCH_PORT"
        case OSError(errno=98 | 48):
            return f"port {port} is taken by another program: choose another with --port or ORCH_PORT (or stop the other one)"
        case OSError(errno=99 | 49):
            return f"host {host!r} is no address of this machine: choose another with --host or ORCH_HOST"
        case _:
            return f"cannot listen on {host} port {port}: {error.strerror}"


def connection_limit() -> int:
    """Return how many connections leave half of the allowed descriptors for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2000 if soft == resource.RLIM_INFINITY else max(32, min(2000, soft // 2))


def url_of(listener: socket.socket) -> str:
    """Return where a client on this machine finds *listener*."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def write_daemon_file(data_dir: Path, url: str) -> None:
    """Leave in the data directory where the daemon is, for the command line; replaced whole, mode 0600."""
    draft = data_dir / f".{DAEMON_FILE}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
        json.dump({"url": url, "pid": os.getpid()}, file)
    draft.replace(data_dir / DAEMON_FILE)


class _OwnSocket(Config):
    """Hypercorn's configuration with the listener made elsewhere in the place of a bind address."""

    listener: Listener

    def create_sockets(self) -> Sockets:
        return Sockets([], [self.listener], [])


def _configure(listener: Listener, grace_s: float) -> Config:
    config = _OwnSocket()
    config.listener = listener
    config.backlog = ACCEPTS
    config.accesslog = None
    config.errorlog = logging.getLogger("orch.web.server")
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.graceful_timeout = grace_s
    config.shutdown_timeout = grace_s
    config.include_server_header = False
    config.websocket_ping_interval = None
    config.websocket_max_message_size = MESSAGE_MAX
    return config


async def serve(
    app: Quart, sock: Listener, *, shutdown: anyio.Event, hub_close: Callable[[], Awaitable[None]], grace_s: float
) -> None:
    """Serve *app* on *sock* until *shutdown* is set or the caller is cancelled, then end within *grace_s*.

    *hub_close* sends the WebSocket viewers away. The socket is closed when this returns.
    """
    async with anyio.create_task_group() as group:
        stop = _Stop(app, sock, hub_close, grace_s)
        group.start_soon(stop.run)
        try:
            await shutdown.wait()
        finally:
            stop.wanted.set()


@contextmanager
def _faults_of_clients() -> Iterator[None]:
    """While the block runs, a client whose bytes no protocol allows costs its own connection and one line, no traceback.

    What the app raises never gets here: it is answered with a problem.
    """
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "client_connected_cb" in str(context.get("message", "")):
            _log.warning("dropped a client that keeps no protocol", error=_name(context.get("exception")))
        elif before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


def _name(error: BaseException | None) -> str:
    """Return what kind of error it is, the first one of a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__


@final
class _Stop:
    """One serving of one app, and its way to the end."""

    def __init__(self, app: Quart, sock: Listener, hub_close: Callable[[], Awaitable[None]], grace_s: float) -> None:
        self.wanted = anyio.Event()
        self._app, self._sock, self._hub_close, self._grace_s = app, sock, hub_close, grace_s
        self._scope = anyio.CancelScope(shield=True)

    async def run(self) -> None:
        with self._sock, self._scope, _faults_of_clients():
            async with anyio.create_task_group() as group:
                group.start_soon(self._wind_down)
                try:
                    await hypercorn.asyncio.serve(
                        self._app, _configure(self._sock, self._grace_s), shutdown_trigger=self._triggered
                    )
                finally:
                    group.cancel_scope.cancel()

    async def _triggered(self) -> None:
        await self.wanted.wait()
        self._scope.deadline = anyio.current_time() + self._grace_s

    async def _wind_down(self) -> None:
        await self.wanted.wait()
        await self._hub_close()
        await anyio.sleep(min(DRAIN_S, self._grace_s / 2))
        self._sock.shut_connections()
