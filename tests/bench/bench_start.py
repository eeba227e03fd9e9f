"""How long a restart takes with many tasks, and what an idle task costs in memory.

The restart is a real daemon process: from its start to the first 200 of /readyz. Baseline: the same with an empty store.
The idle task's cost is what a running set of actors holds more for 10,000 sleeping tasks; baseline: one waiting anyio
task with a memory stream for each, measured in the same process.
Run: ``python -m tests.bench.bench_start [TASKS …]``.
"""

import gc
import os
import sqlite3
import subprocess
import sys
import time
import tracemalloc
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread

from orch import logs
from orch.adapters.clock import SystemClock
from orch.adapters.store import SqliteStore
from orch.core.model import Awaiting, RunMode
from orch.core.stages import Role, Stage
from orch.ports import Tx
from tests.bench import harness
from tests.bench.bench_line import Agent, line
from tests.builders import make_new_job, make_new_task

STAGES = (Stage.ANALYSIS, Stage.ARCHITECTURE, Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING)
COUNTS = (10_000, 100_000)
ROUNDS = 3
WRITTEN = IDLE = 10_000
NUMBERED = "replace({0}, '-' || row, '-' || (row + :shift))"
MOVED = {
    "task": {"row": "row + :shift"} | {name: NUMBERED.format(name) for name in ("issue", "work_item", "branch")},
    "job": {"task": "task + :shift"},
}


def fill(tx: Tx, count: int) -> None:
    """Make *count* live tasks: some wait for a person, most for a slot."""
    for number in range(1, count + 1):
        task = tx.insert_task(make_new_task(number))
        assert task is not None
        stage = STAGES[number % len(STAGES)]
        waits = Awaiting.APPROVAL if stage is Stage.ANALYSIS else Awaiting.AGENT
        tx.save_task(replace(task, stage=stage, awaiting=waits))
        if waits is Awaiting.AGENT:
            tx.add_job(make_new_job(task, stage=stage, role=Role.DEVELOPER, mode=RunMode.NEW_ATTEMPT))


async def prepare(folder: Path, count: int) -> None:
    """Make a store of *count* tasks: the first through the store's own code, the rest as copies of them."""
    await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
    first = min(count, WRITTEN)
    async with await SqliteStore.open(folder / "orch.db", clock=SystemClock()) as store:
        await store.transact(lambda tx: fill(tx, first))
    if count > first:
        await anyio.to_thread.run_sync(copy, folder / "orch.db", first, count)


def copy(path: Path, first: int, count: int) -> None:
    """Copy the rows of the *first* tasks and of their jobs, each with a number of its own, until there are *count*."""
    with closing(sqlite3.connect(path)) as raw, raw:
        for table, moved in MOVED.items():
            columns = [name for _, name, *_, hidden in raw.execute(f"PRAGMA table_xinfo({table})") if not hidden and name != "id"]
            values = ", ".join(moved.get(name, name) for name in columns)
            sql = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE {next(iter(moved))} <= :rest"
            for shift in range(first, count, first):
                raw.execute(sql, {"shift": shift, "rest": min(first, count - shift)})


def start_seconds(folder: Path, repo: Path) -> float:
    """Start a daemon on *folder* and return the seconds to its first ready answer."""
    argv = [
        sys.executable,
        "-m",
        "orch",
        "serve",
        "--repo",
        str(repo),
        "--test",
        "true",
        "--agent",
        "command",
        "--agent-command",
        "/bin/false",
        "--name",
        "demo",
        "--prefix",
        "DEMO",
        "--port",
        "0",
        "--data-dir",
        str(folder),
    ]
    environ = {**os.environ, "ORCH_LOG_LEVEL": "error"}
    begun = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environ) as daemon:
        assert daemon.stdout is not None
        url = daemon.stdout.readline().rsplit(" ", 1)[-1].split("/login")[0]
        try:
            while not _ready(url):
                time.sleep(0.005)
            return time.perf_counter() - begun
        finally:
            daemon.terminate()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def make_repo(path: Path) -> None:
    path.mkdir()
    for words in (["init", "-q", "-b", "main"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", "-c", "user.name=b", "-c", "user.email=b@localhost", *words], cwd=path, check=True)


async def idle_bytes(folder: Path, count: int) -> tuple[float, float]:
    """Return the bytes an idle task costs in the actors, and what a waiting task with a stream costs."""
    await prepare(folder, 0)
    tracemalloc.start()
    async with line(folder, Agent()) as (world, _):
        await anyio.sleep(0.2)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        await world.store.transact(lambda tx: [tx.insert_task(make_new_task(n)) for n in range(1, count + 1)] and None)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        ours = max(after - before, 1) / count
        async with anyio.create_task_group() as group:
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            streams = [anyio.create_memory_object_stream[object](256) for _ in range(count)]
            for _, receive in streams:
                group.start_soon(receive.receive)
            await anyio.sleep(0.2)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
            group.cancel_scope.cancel()
        for send, receive in streams:
            send.close()
            receive.close()
    tracemalloc.stop()
    return ours, (after - before) / count


def main(counts: Sequence[int]) -> None:
    logs.configure("error")
    bench = harness.Bench("start")
    with harness.disk_dir() as folder:
        make_repo(folder / "repo")
        for count in (0, *counts):
            print(f"start: making a store of {count} tasks", flush=True)
            anyio.run(prepare, folder / str(count), count)
        seconds: dict[int, list[float]] = {count: [] for count in (0, *counts)}
        for _ in range(ROUNDS):
            for count, found in seconds.items():
                found.append(start_seconds(folder / str(count), folder / "repo"))
        empty = min(seconds.pop(0))
        for count, found in seconds.items():
            name = f"restart to ready, {count} tasks"
            bench.add(name, min(found) * 1000, "ms", baseline=empty * 1000, lower_is_better=True)
        ours, eager = anyio.run(idle_bytes, folder / "idle", IDLE)
        bench.add(f"idle task, {IDLE} of them", ours, "bytes", baseline=eager, lower_is_better=True)
    bench.finish()


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or COUNTS)
