"""``orch watch``: the live view in a terminal, in a process of its own on the trio backend.

Owns: the connection to ``WS /ws/queue``, the state that it builds up, and drawing it.

Desired properties: it comes back by itself when the daemon restarts, also on another port; a dead connection is noticed
within seconds although nothing changes; what the daemon sends cannot steer the terminal. Design: one nursery per
connection, in which a ping of its own runs beside the reader (in the reader it would deadlock); a lost message shows as
a gap in the numbers and means connecting again, which begins with a snapshot. Race we accept: a frame may be one
change behind.
"""

import json
import math
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, final
from urllib.parse import urlsplit

import anyio
import trio
import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from orch.cli.api import Api, DataDir, Url
from orch.cli.tables import console, plain, status_view
from orch.cli.tasks import deps_of
from orch.core.errors import DomainError, ExternalError, TransientError

PING_S = 10.0
CONNECT_S = 10.0
RETRY_S = (0.2, 0.5, 1.0, 2.0)
QUEUE_SIZE = 64
MESSAGE_MAX = 16 * 1024 * 1024


def register_watch(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("watch")(watch)


def watch(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and exit.")] = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Follow all tasks live; ends with Ctrl-C."""
    connect = deps_of(ctx).connect

    async def run() -> None:
        if once:
            await show_once(connect(data_dir, url))
        else:
            await follow(lambda: connect(data_dir, url))

    try:
        anyio.run(run, backend="trio")
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@final
class LiveState:
    """What the daemon said so far."""

    def __init__(self) -> None:
        self.snapshot: dict[str, Any] = {}
        self.seq = 0
        self.connected = False
        self.note = "connecting …"

    def apply(self, message: Mapping[str, Any]) -> bool:
        """Take *message* in; False when one before it is missing."""
        seq = message.get("seq")
        if message.get("type") == "snapshot":
            self.snapshot = {key: value for key, value in message.items() if key not in ("type", "seq")}
        elif message.get("type") == "heartbeat":
            return seq == self.seq
        elif isinstance(seq, int) and seq != self.seq + 1:
            return False
        else:
            self._merge(message)
        if isinstance(seq, int):
            self.seq = seq
        return True

    def _merge(self, message: Mapping[str, Any]) -> None:
        """Put a change's rows in the place of those with the same id; everything else of it replaces what was there."""
        for key, value in message.items():
            many = f"{key}s"
            if key in ("tasks", "issues") and isinstance(value, list):
                for row in value:
                    self._put(key, row)
            elif many in ("tasks", "issues") and isinstance(value, Mapping):
                self._put(many, value)
            elif key not in ("type", "seq"):
                self.snapshot[key] = value

    def _put(self, key: str, row: Mapping[str, Any]) -> None:
        rows = self.snapshot.setdefault(key, [])
        for index, known in enumerate(rows):
            if known.get("id") == row.get("id"):
                rows[index] = row
                return
        rows.append(row)

    def frame(self) -> RenderableType:
        """Return what is drawn."""
        style, word = ("green", "live") if self.connected else ("yellow", self.note)
        head = Text.assemble(("orch", "bold"), "  ", (plain(word), style), f"  {datetime.now(UTC):%H:%M:%S} UTC")
        return Group(head, Text(""), status_view(self.snapshot)) if self.snapshot else Group(head)


async def show_once(api: Api) -> None:
    """Print one frame; raises TransientError when no daemon answers, DomainError when it refuses."""
    state = LiveState()
    try:
        with _ungrouped(), trio.fail_after(CONNECT_S):
            async with _connected(api) as socket:
                while not state.snapshot:
                    state.apply(_parse(await socket.get_message()))
    except _LOST as error:
        raise _no_daemon(api, error) from error
    state.connected = True
    console().print(state.frame())


async def follow(connect: Callable[[], Api]) -> None:
    """Draw until cancelled, connecting again whenever the connection is lost."""
    state = LiveState()
    failures = 0
    with Live(state.frame(), console=console(), auto_refresh=False, screen=False, vertical_overflow="crop") as live:
        while True:
            try:
                with _ungrouped():
                    await _follow_one(connect(), state, live)
                failures, state.note = 0, "connecting again …"
            except _LOST as error:
                failures = 0 if state.connected else failures + 1
                state.note = _lost_note(error)
            except ExternalError as error:
                failures += 1
                state.note = error.detail
            state.connected = False
            live.update(state.frame(), refresh=True)
            await trio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])


_LOST = (OSError, HandshakeError, ConnectionClosed, trio.TooSlowError, trio.BrokenResourceError, ValueError)


@contextmanager
def _ungrouped() -> Iterator[None]:
    """Raise what the nurseries inside gathered as one plain error, where that is a lost connection or Ctrl-C."""
    try:
        yield
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is not None:
            raise KeyboardInterrupt from None
        lost, other = group.split(_LOST)
        if lost is None or other is not None:
            raise
        raise _leaf(lost) from group


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _leaf(first) if isinstance(first, BaseExceptionGroup) else first


async def _follow_one(api: Api, state: LiveState, live: Live) -> None:
    """Follow one connection to its end; returns when a change was missed or a ping was not answered."""
    async with _connected(api) as socket, trio.open_nursery() as nursery:
        nursery.start_soon(_ping, socket, nursery.cancel_scope)
        while state.apply(_parse(await socket.get_message())):
            state.connected = True
            live.update(state.frame(), refresh=True)
        nursery.cancel_scope.cancel()


async def _ping(socket: WebSocketConnection, scope: trio.CancelScope) -> None:
    """End *scope* when the daemon does not answer; raising here could meet the reader's own error in a group of two."""
    try:
        while True:
            await trio.sleep(PING_S)
            with trio.fail_after(PING_S):
                await socket.ping()
    except (trio.TooSlowError, ConnectionClosed):
        scope.cancel()


@asynccontextmanager
async def _connected(api: Api) -> AsyncIterator[WebSocketConnection]:
    """Connect to the daemon's live view.

    The stream is opened and closed here: the convenience opener leaks it when the server closes first.
    """
    parts = urlsplit(api.url)
    host, port = parts.hostname or "127.0.0.1", parts.port or (443 if parts.scheme == "https" else 80)
    headers = [(b"authorization", f"Bearer {api.token}".encode())] if api.token else []
    with trio.fail_after(CONNECT_S) as opening:
        stream: Any = await trio.open_tcp_stream(host, port)
        if parts.scheme == "https":
            stream = trio.SSLStream(stream, ssl.create_default_context(), server_hostname=host, https_compatible=True)
        try:
            async with trio.open_nursery() as nursery:
                socket = await wrap_client_stream(
                    nursery,
                    stream,
                    parts.netloc.rpartition("@")[2],
                    f"{parts.path.rstrip('/')}/ws/queue",
                    extra_headers=headers,
                    message_queue_size=QUEUE_SIZE,
                    max_message_size=MESSAGE_MAX,
                )
                opening.deadline = math.inf
                yield socket
                nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(stream)


def _parse(message: str | bytes) -> Mapping[str, Any]:
    parsed = json.loads(message)
    if not isinstance(parsed, dict):
        raise ValueError("the daemon sent something that is no message")
    return parsed


def _lost_note(error: BaseException) -> str:
    return "the daemon refused the connection" if isinstance(error, HandshakeError) else "connection lost, trying again …"


def _no_daemon(api: Api, error: BaseException) -> TransientError | DomainError:
    status = getattr(error, "status_code", None)
    if status is not None:
        return DomainError(f"the daemon at {api.url} refused the live view ({status})")
    advice = "start one with 'orch serve --repo PATH --test CMD'"
    return TransientError("orch", "watch", f"no daemon answers at {api.url}: {advice}")
