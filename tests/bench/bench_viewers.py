"""How long after its commit a change is on every viewer's wire: 100 viewers, 20 changes a second, on the real web server.

The server is a process of its own with store, publisher, app and socket as the daemon has them; the viewers are here, and offer
compression as browsers do. Both read one clock. Baseline: one viewer, in the same run. Goal: p99 at most 100 ms.
Run: ``python -m tests.bench.bench_viewers [VIEWERS]``.
"""

import base64
import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import anyio
from anyio.abc import SocketStream

from actors.mailbox import Mailbox
from actors.publisher import Publisher
from orch.adapters.clock import SystemClock
from orch.adapters.store import InlineStore, SqliteStore
from orch.core.ids import TaskRow
from orch.core.messages import PublisherMessage, TaskTouched
from orch.core.model import Limits, Registry
from orch.ports import Store, Tx
from orch.web.app import create_app
from orch.web.deps import WebDeps
from orch.web.server import bind_socket, serve, url_of
from tests.bench.bench_start import fill
from tests.bench.harness import Bench, disk_dir
from tests.integration.web_world import FakeControl

VIEWERS, RATE, SECONDS, TASKS = 100, 20.0, 10.0, 50
MARK = re.compile(rb"update (\d+)!")
JOIN_S = 60.0


# ------------------------------------------------------------------------------------------------ the server's process


async def server(folder: Path) -> None:
    """Serve; at a line on standard input make the changes, and print when each was committed."""
    clock, mailbox = SystemClock(), Mailbox[PublisherMessage]("publisher")
    registry = Registry(limits=Limits(), projects={})
    async with await SqliteStore.open(folder / "orch.db", clock=clock) as store:
        await store.transact(lambda tx: fill(tx, TASKS))
        health = SimpleNamespace(shortages=())
        world = SimpleNamespace(
            store=store, clock=clock, limits=registry.limits, services={}, registry=lambda: registry, health=health
        )
        publisher = Publisher(mailbox, cast(Any, world))
        sock, stop = bind_socket("127.0.0.1", 0), anyio.Event()
        deps = WebDeps(
            store=store,
            control=FakeControl(cast(InlineStore, store)),
            feed=publisher,
            clock=clock,
            token="t" * 32,
            registry=lambda: registry,
            public_url=url_of(sock),
            version="0",
        )
        app = create_app(deps)

        async def publish() -> None:
            while True:
                await publisher.handle(await mailbox.receive())

        async with anyio.create_task_group() as group:
            group.start_soon(publish)
            group.start_soon(lambda: serve(app, sock, shutdown=stop, hub_close=app.hub_close, grace_s=3))
            print(url_of(sock), flush=True)
            async for _ in _lines():
                print(json.dumps(await change(store, mailbox)), flush=True)
            stop.set()
            await anyio.sleep(0.1)
            group.cancel_scope.cancel()


async def _lines() -> AsyncIterator[str]:
    while line := await anyio.to_thread.run_sync(sys.stdin.readline):
        yield line


async def change(store: Store, mailbox: Mailbox[PublisherMessage]) -> dict[str, float]:
    """Commit RATE changes a second whatever the viewers do; return when each was on disk."""
    committed: dict[str, float] = {}
    begun = monotonic()
    for number in range(int(RATE * SECONDS)):
        await anyio.sleep(max(0.0, begun + number / RATE - monotonic()))
        row = TaskRow(number % TASKS + 1)

        def work(tx: Tx, row: TaskRow = row, number: int = number) -> None:
            task = tx.load_task(row)
            assert task is not None
            tx.save_task(replace(task, note=f"update {number}!"))

        await store.transact(work)
        committed[str(number)] = monotonic()
        mailbox.tell(TaskTouched(task=row))
    return committed


# ------------------------------------------------------------------------------------------------ the viewers


class Viewer:
    """A WebSocket client that knows just enough: frames from the server, and when each was whole."""

    def __init__(self, stream: SocketStream, *, deflated: bool) -> None:
        self._stream = stream
        self._inflate = zlib.decompressobj(-15) if deflated else None
        self._data = b""

    async def frame(self) -> bytes:
        """Return the next frame's text."""
        head = await self._take(2)
        size = head[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(await self._take(2 if size == 126 else 8), "big")
        body = await self._take(size)
        if self._inflate is None or not head[0] & 0x40:
            return body
        return self._inflate.decompress(body + b"\x00\x00\xff\xff")

    async def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            self._data += await self._stream.receive(262_144)
        taken, self._data = self._data[:size], self._data[size:]
        return taken


async def view(url: str, seen: list[tuple[int, float]], ready: anyio.Semaphore, last: int, *, deflate: bool) -> None:
    """Note when each change came, until the last one did."""
    host, port = url.removeprefix("http://").split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        key = base64.b64encode(os.urandom(16)).decode()
        extra = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" if deflate else ""
        await stream.send(
            f"GET /ws/queue HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n".encode()
        )
        viewer = Viewer(stream, deflated=deflate)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await viewer._take(1)
        assert head.startswith(b"HTTP/1.1 101"), head
        await viewer.frame()  # the snapshot
        ready.release()
        while True:
            text = await viewer.frame()
            now = monotonic()
            for mark in MARK.findall(text):
                seen.append((int(mark), now))
                if int(mark) == last:
                    return


async def run(folder: Path, viewers: int, *, deflate: bool = True) -> tuple[list[float], float, int]:
    """Return the waits in milliseconds, the server's processor time by second of the run, and how many were missed."""
    await anyio.Path(folder).mkdir()
    argv = [sys.executable, "-m", "tests.bench.bench_viewers", "--serve", str(folder)]
    async with await anyio.open_process(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        lines = _received(process.stdout)
        url = (await anext(lines)).strip()
        seen: list[tuple[int, float]] = []
        ready, last = anyio.Semaphore(0), int(RATE * SECONDS) - 1
        with anyio.fail_after(JOIN_S + SECONDS):
            async with anyio.create_task_group() as group:
                for _ in range(viewers):
                    group.start_soon(lambda: view(url, seen, ready, last, deflate=deflate))
                for _ in range(viewers):
                    await ready.acquire()
                before = _processor_s(process.pid)
                await process.stdin.send(b"go\n")
                committed = json.loads(await anext(lines))
                used = _processor_s(process.pid) - before
        await process.stdin.aclose()
        await process.wait()
    waits = sorted(1000 * (at - committed[str(number)]) for number, at in seen)
    return waits, used / SECONDS, viewers * len(committed) - len(seen)


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _received(stream: Any) -> AsyncIterator[str]:
    rest = b""
    async for data in stream:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode()


async def measure(folder: Path, viewers: int) -> None:
    bench = Bench("viewers")
    alone, alone_cpu, _ = await run(folder / "alone", 1)
    many, cpu, missed = await run(folder / "many", viewers)
    for name, at in (("p50", 0.5), ("p99", 0.99), ("worst", 1.0)):
        value, base = (waits[min(len(waits) - 1, int(len(waits) * at))] for waits in (many, alone))
        told = f"commit to frame, {viewers} viewers, {RATE:.0f} changes/s, {name}"
        bench.add(told, value, "ms", baseline=base, lower_is_better=True)
    bench.add("the server's share of one core", 100 * cpu, "%", baseline=100 * alone_cpu, lower_is_better=True)
    bench.add("changes that no frame told of", missed, "")
    bench.finish()


def main() -> None:
    if "--serve" in sys.argv:
        anyio.run(server, Path(sys.argv[-1]))
        return
    with disk_dir() as folder:
        anyio.run(measure, folder, int(sys.argv[1]) if len(sys.argv) > 1 else VIEWERS)


if __name__ == "__main__":
    main()
