"""The same work done by what one would take instead: acks by FastAPI + uvicorn, durable claims by procrastinate and by huey.

Run: ``python -m tests.bench.bench_peers``. Orch and the peer are measured in turn, in short rounds, so that whatever else the
machine does meets both; each ratio is that of the rounds' medians. The peers are no dependencies of the project: they are
installed into ``.bench/peers`` at the first run, and a row says so where one could not be.

- Acks: Orch's server with its store against one without any; both check the signature and read the body.
- Claims: both durable at each commit, Orch's SQLite with FULL, huey's the same, PostgreSQL with its fsync. Orch's claim checks
  gates, dependencies and limits besides.
"""

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import median

import anyio
import anyio.to_thread
from anyio.streams.text import TextReceiveStream

from orch.adapters.store import SqliteStore
from orch.main import keep_what_is_loaded
from tests.bench import bench_store
from tests.bench.bench_webhooks import load, served
from tests.bench.harness import Bench, disk_dir
from tests.bench.peers.choices import QUEUES, WEB, Choice
from tests.bench.peers.installing import python_with
from tests.bench.webhook_load import SECRET
from tests.builders import ManualClock

SCRIPTS = Path(__file__).parent / "peers"
ROUNDS, ROUND_S, WARM_S = 5, 1.0, 0.5
CLAIM_ROUNDS = 3
WORKERS = (4, 32)
STOP_S = 10.0
LIMIT_S = 120.0


class Absent(Exception):
    """There is no such peer here; its text says why."""


def told(bench: Bench, what: str, peer: Choice, pairs: list[tuple[float, float]], unit: str) -> None:
    ours, theirs = (median(each) for each in zip(*pairs, strict=True))
    bench.add(f"{what}, against {peer.title}", ours, unit, baseline=theirs)


def not_told(bench: Bench, what: str, peer: Choice, why: str, unit: str) -> None:
    print(f"peers: {what}, {peer.title}: not measured: {why}", flush=True)
    bench.add(f"{what}, against {peer.title}: not measured, {why}", None, unit)


async def python_of(peer: Choice) -> Path:
    """Return the Python to run a peer with; raises Absent."""
    python = await anyio.to_thread.run_sync(python_with, peer.script, peer.requirements)
    if python is None:
        raise Absent("could not be installed")
    return python


# ------------------------------------------------------------------------------------------------ acks


@asynccontextmanager
async def fastapi(python: Path) -> AsyncIterator[int]:
    """Run the peer's server and give its port."""
    command = [str(python), str(SCRIPTS / f"{WEB.script}.py"), SECRET.decode()]
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout is not None
        try:
            try:
                port = int(await TextReceiveStream(process.stdout).receive())
            except anyio.EndOfStream as error:
                raise Absent("it does not start") from error
            yield port
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
                with anyio.move_on_after(STOP_S, shield=True):
                    await process.wait()
                process.kill()


async def acks(folder: Path, bench: Bench) -> None:
    what = "acks"
    try:
        python = await python_of(WEB)
        async with (
            fastapi(python) as theirs,
            await SqliteStore.open(folder / "orch.db", clock=ManualClock()) as store,
            served(folder, store) as ours,
        ):
            for port in (ours, theirs):
                await load(port, "rate", WARM_S)
            pairs = [(await load(ours, "rate", ROUND_S), await load(theirs, "rate", ROUND_S)) for _ in range(ROUNDS)]
    except Absent as error:
        not_told(bench, what, WEB, str(error), "1/s")
    else:
        told(bench, what, WEB, pairs, "1/s")


# ------------------------------------------------------------------------------------------------ claims


async def claimed(python: Path, queue: Choice, folder: Path, workers: int) -> float:
    """Return the jobs a second of a peer; raises Absent where it has nothing to run on."""
    await anyio.Path(folder).mkdir()
    words = (str(folder), str(workers), str(bench_store.JOBS), str(bench_store.SECONDS))
    try:
        with anyio.fail_after(LIMIT_S):
            done = await anyio.run_process([str(python), str(SCRIPTS / f"{queue.script}.py"), *words], stderr=None)
    except (subprocess.CalledProcessError, TimeoutError) as error:
        raise Absent("its program failed" if isinstance(error, subprocess.CalledProcessError) else "it does not end") from error
    said = json.loads(done.stdout)
    if "rate" not in said:
        raise Absent(said["absent"])
    return float(said["rate"])


async def claims(folder: Path, bench: Bench, queue: Choice) -> None:
    await anyio.Path(folder).mkdir()
    absent = ""
    for workers in WORKERS:
        what = f"claim + complete, {workers} workers"
        try:
            if absent:
                raise Absent(absent)
            python = await python_of(queue)
            pairs = []
            for turn in range(CLAIM_ROUNDS):
                theirs = await claimed(python, queue, folder / f"theirs-{workers}-{turn}", workers)
                pairs.append((await bench_store.grouped(folder / f"ours-{workers}-{turn}.db", workers), theirs))
        except Absent as error:
            absent = str(error)
            not_told(bench, what, queue, absent, "jobs/s")
        else:
            told(bench, what, queue, pairs, "jobs/s")


async def main() -> None:
    bench = Bench("peers")
    with disk_dir() as folder:
        await acks(folder, bench)
        for queue in QUEUES:
            await claims(folder / queue.script, bench, queue)
    bench.finish()


if __name__ == "__main__":
    keep_what_is_loaded()  # as the daemon does
    anyio.run(main)
