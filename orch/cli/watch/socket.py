"""A WebSocket of the daemon, on trio.

Owns: connecting, the ping, and what counts as a lost connection. Does not own: what the messages mean.

Design: the stream is opened and closed here, because the convenience opener leaks it when the server closes first. The ping runs
in a task of its own beside the reader (in the reader it would deadlock) and ends the scope it is given; raising there could meet
the reader's own error in a group of two.
"""

import json
import math
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from orch.cli.api import Api
from orch.core.errors import DomainError, TransientError

PING_S = 10.0
CONNECT_S = 10.0
QUEUE_SIZE = 64
MESSAGE_MAX = 16 * 1024 * 1024

LOST = (OSError, HandshakeError, ConnectionClosed, trio.TooSlowError, trio.BrokenResourceError, ValueError)


@asynccontextmanager
async def connected(api: Api, path: str = "/ws/queue") -> AsyncIterator[WebSocketConnection]:
    """Connect to *path* of the daemon; raises one of ``LOST``."""
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
                    f"{parts.path.rstrip('/')}{path}",
                    extra_headers=headers,
                    message_queue_size=QUEUE_SIZE,
                    max_message_size=MESSAGE_MAX,
                )
                opening.deadline = math.inf
                yield socket
                nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(stream)


async def keep_alive(socket: WebSocketConnection, scope: trio.CancelScope) -> None:
    """End *scope* when the daemon does not answer a ping."""
    try:
        while True:
            await trio.sleep(PING_S)
            with trio.fail_after(PING_S):
                await socket.ping()
    except (trio.TooSlowError, ConnectionClosed):
        scope.cancel()


@contextmanager
def ungrouped() -> Iterator[None]:
    """Raise what the nurseries inside gathered as one plain error, where that is a lost connection or Ctrl-C."""
    try:
        yield
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt) is not None:
            raise KeyboardInterrupt from None
        lost, other = group.split(LOST)
        if lost is None or other is not None:
            raise
        raise _leaf(lost) from group


def _leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _leaf(first) if isinstance(first, BaseExceptionGroup) else first


def parse(message: str | bytes) -> Mapping[str, Any]:
    """Return a message's JSON object; raises ValueError."""
    parsed = json.loads(message)
    if not isinstance(parsed, dict):
        raise ValueError("the daemon sent something that is no message")
    return parsed


def lost_note(error: BaseException) -> str:
    return "the daemon refused the connection" if isinstance(error, HandshakeError) else "connection lost, trying again …"


def no_daemon(api: Api, error: BaseException) -> TransientError | DomainError:
    """Return what is said where there is no second try."""
    status = getattr(error, "status_code", None)
    if status is not None:
        return DomainError(f"the daemon at {api.url} refused the live view ({status})")
    advice = "start one with 'orch serve --repo PATH --test CMD'"
    return TransientError("orch", "watch", f"no daemon answers at {api.url}: {advice}")
