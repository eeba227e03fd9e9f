"""Webhooks acknowledged per second, each on disk before its answer, against the same server without a store; then under siege.

Run: ``python -m tests.bench.bench_webhooks``. The client writes plain HTTP over kept connections in the same process, so that its
own cost is in every figure, under siege that of the besiegers too. Goals: the ratio of acks at least 0.9, and at 100 a second p99
at most 50 ms.
"""

import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar, cast

import anyio
from anyio.abc import SocketStream

from orch.adapters.plane import PlaneDoor
from orch.adapters.store import SqliteStore
from orch.core.ids import InboxId, ProjectName
from orch.ports import Store, Tx
from tests.bench.harness import Bench, disk_dir
from tests.builders import ManualClock
from tests.integration.web_world import running

SECONDS = 4.0
WORKERS = 16
RATE = 100.0
CONNECTIONS, SLOW = 1_000, 50
SECRET = b"the hook's own secret"
PROJECT, SHOP = "5151c2dc-01ed-4492-9741-0500b597661d", ProjectName("shop")
DATA = {"id": PROJECT, "project": PROJECT, "description_html": "x" * 2_000}
BODY = json.dumps({"event": "issue", "action": "updated", "data": DATA}).encode()
HOSTILE = (b"[" * 100_000, b'{"a": NaN, "b": "\\ud800"}', b"{" + b",".join(b'"k%d":1' % n for n in range(60_000)) + b"}")
T = TypeVar("T")


def door() -> PlaneDoor:
    """The real one: every body is checked and read before it is stored."""
    return PlaneDoor(SECRET.decode(), lambda: {PROJECT: SHOP}, frozenset, lambda _service, _at: None)


class NoStore:
    """Says that everything is on disk and writes nothing."""

    async def transact(self, work: Callable[[Tx], T]) -> T:
        del work
        return cast(T, InboxId(1))

    async def read(self, work: Callable[[Tx], T]) -> T:
        raise NotImplementedError

    async def aclose(self) -> None:
        """There is nothing to close."""


def request(body: bytes = BODY) -> bytes:
    signed = hmac.new(SECRET, body, sha256).hexdigest()
    head = (
        f"POST /webhook/plane HTTP/1.1\r\nHost: localhost\r\nX-Plane-Signature: {signed}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def ack(stream: SocketStream, sent: bytes) -> int:
    """Send one webhook and return the status of its answer; raises when the connection ends."""
    await stream.send(sent)
    got = b""
    while b"\r\n\r\n" not in got:
        got += await stream.receive()
    head, _, rest = got.partition(b"\r\n\r\n")
    length = next(int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(rest) < length:
        rest += await stream.receive()
    return int(head[9:12])


@asynccontextmanager
async def served(folder: Path, store: Store) -> AsyncIterator[int]:
    async with running(folder, doors={"plane": door()}, store=store) as world:
        yield int(world.url.rpartition(":")[2])


async def rate(port: int) -> float:
    """Return how many webhooks a second are acknowledged to clients that each send the next at once."""
    done = 0
    until = perf_counter() + SECONDS

    async def client() -> None:
        nonlocal done
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            while perf_counter() < until:
                assert await ack(stream, request()) == 200
                done += 1

    async with anyio.create_task_group() as group:
        for _ in range(WORKERS):
            group.start_soon(client)
    return done / SECONDS


async def open_loop(port: int) -> list[float]:
    """Send RATE a second whatever the answers do; return the waits in milliseconds from when each was due, in order of length."""
    waits: list[float] = []
    free: list[SocketStream] = []
    sent = request()

    async def one(due: float) -> None:
        stream = free.pop() if free else await anyio.connect_tcp("127.0.0.1", port)
        assert await ack(stream, sent) == 200
        waits.append(1_000 * (perf_counter() - due))
        free.append(stream)

    began = perf_counter()
    async with anyio.create_task_group() as group:
        for number in range(int(SECONDS * RATE)):
            due = began + number / RATE
            await anyio.sleep(max(0.0, due - perf_counter()))
            group.start_soon(one, due)
    for stream in free:
        await stream.aclose()
    return sorted(waits)


@asynccontextmanager
async def siege(port: int) -> AsyncIterator[None]:
    """Connections that say nothing, bodies that never end, and bodies made to hurt, all at once."""

    async def slow() -> None:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(request().partition(b"\r\n\r\n")[0] + b"\r\n\r\n{")
            await anyio.sleep_forever()

    async def idle() -> None:
        async with await anyio.connect_tcp("127.0.0.1", port):
            await anyio.sleep_forever()

    async def hostile() -> None:
        while True:
            for body in HOSTILE:
                async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                    await ack(stream, request(body))
                await anyio.sleep(0.2)

    async with anyio.create_task_group() as group:
        for task, count in ((idle, CONNECTIONS), (slow, SLOW), (hostile, 2)):
            for _ in range(count):
                group.start_soon(task)
        await anyio.sleep(1.0)
        yield
        group.cancel_scope.cancel()


def told(bench: Bench, name: str, waits: list[float], baseline: list[float]) -> None:
    for label, at in (("p50", 0.5), ("p99", 0.99)):
        value, base = (each[min(len(each) - 1, int(len(each) * at))] for each in (waits, baseline))
        bench.add(f"{name}, {label}", value, "ms", baseline=base, lower_is_better=True)


async def measure(folder: Path) -> None:
    bench = Bench("webhooks")
    figures: dict[str, tuple[float, list[float], list[float]]] = {}
    async with await SqliteStore.open(folder / "orch.db", clock=ManualClock()) as store:
        for name in ("without a store", "on disk"):
            (folder / name).mkdir()
        stores: dict[str, Any] = {"without a store": NoStore(), "on disk": store}
        for name, each in stores.items():
            async with served(folder / name, each) as port:
                calm = await rate(port), await open_loop(port)
                async with siege(port):
                    figures[name] = (*calm, await open_loop(port))
    ours, theirs = figures["on disk"], figures["without a store"]
    bench.add("acks", ours[0], "1/s", baseline=theirs[0])
    told(bench, f"wait at {RATE:.0f}/s", ours[1], theirs[1])
    told(bench, f"the same under siege ({CONNECTIONS} idle, {SLOW} slow, hostile bodies)", ours[2], theirs[2])
    bench.finish()


def main() -> None:
    with disk_dir() as folder:
        anyio.run(measure, folder)


if __name__ == "__main__":
    main()
