"""Durable claim + complete per second, against the same SQL with a commit per request; size figures of claim and start.

Run: ``python -m tests.bench.bench_store``. The baseline is what one would write first: one aiosqlite connection, a lock, and for
every request ``BEGIN IMMEDIATE``, the very same ``SqlTx`` calls, ``COMMIT``, each on the connection's thread.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import aiosqlite
import anyio

from orch.adapters.store import SqliteStore, recover
from orch.adapters.store.schema import open_writer
from orch.adapters.store.transaction import SqlTx
from orch.core.ids import IssueId
from orch.core.model import JobState, Limits, Outcome
from orch.ports import Claimed, Tx
from tests.bench.harness import Bench, Stopwatch, disk_dir
from tests.builders import DEMO, NOW, ManualClock, later, make_new_job, make_new_task

SECONDS = 0.8
JOBS = 4_000
MANY = 10_000
LIMITS = Limits(max_concurrency_per_repo=10_000)

Transact = Callable[[Callable[[Tx], object]], Awaitable[object]]


def fill(tx: Tx, count: int, *, blocked: bool = False) -> None:
    for number in range(1, count + 1):
        task = tx.insert_task(make_new_task(number))
        assert task is not None
        if blocked and number < count:
            tx.add_dependency(DEMO, task.issue, IssueId("DEMO-0"), NOW)
        tx.add_job(make_new_job(task))


def claim(tx: Tx) -> Claimed | None:
    found = tx.claim_job(NOW, LIMITS)
    return found if isinstance(found, Claimed) else None


def complete(held: Claimed, tx: Tx) -> None:
    assert tx.save_run(replace(held.run, outcome=Outcome.SUCCEEDED, ended_at=NOW))
    tx.end_job(held.job.id, JobState.DONE)


async def rate(transact: Transact, workers: int) -> float:
    """Return how many jobs a second *workers* claim and complete, each step durable before the next."""
    done = 0

    async def work(until: float) -> None:
        nonlocal done
        while anyio.current_time() < until:
            held = await transact(claim)
            if not isinstance(held, Claimed):
                return
            await transact(partial(complete, held))
            done += 1

    with Stopwatch() as watch:
        until = anyio.current_time() + SECONDS
        async with anyio.create_task_group() as group:
            for _ in range(workers):
                group.start_soon(work, until)
    return done / watch.seconds


async def per_request(path: Path, workers: int) -> float:
    """The baseline: a commit per request, one at a time."""
    lock = anyio.Lock()
    async with aiosqlite.Connection(lambda: open_writer(path), iter_chunk_size=64) as connection:
        raw: sqlite3.Connection = connection._conn
        tx = SqlTx(raw, ManualClock().now)
        run = connection._execute
        await run(raw.execute, "BEGIN IMMEDIATE")  # type: ignore[no-untyped-call]
        await run(fill, tx, JOBS)  # type: ignore[no-untyped-call]
        await run(raw.execute, "COMMIT")  # type: ignore[no-untyped-call]

        async def transact(work: Callable[[Tx], object]) -> object:
            async with lock:
                await run(raw.execute, "BEGIN IMMEDIATE")  # type: ignore[no-untyped-call]
                value: object = await run(work, tx)  # type: ignore[no-untyped-call]
                await run(raw.execute, "COMMIT")  # type: ignore[no-untyped-call]
                return value

        return await rate(transact, workers)


async def grouped(path: Path, workers: int) -> float:
    async with await SqliteStore.open(path, clock=ManualClock()) as store:
        await store.transact(lambda tx: fill(tx, JOBS))
        return await rate(store.transact, workers)


async def sizes(path: Path, bench: Bench) -> None:
    """What many live tasks cost: one claim among jobs that wait, and the start after an end with runs going on."""
    async with await SqliteStore.open(path, clock=ManualClock()) as store:
        await store.transact(lambda tx: fill(tx, MANY, blocked=True))
        with Stopwatch() as watch:
            held = await store.transact(claim)
        bench.add(f"claim beside {MANY} blocked jobs", watch.seconds * 1000, "ms")
        with Stopwatch() as watch:
            nothing = await store.transact(claim)
        assert held is not None
        assert nothing is None
        bench.add(f"claim that finds nothing among {MANY}", watch.seconds * 1000, "ms")
        gated = replace(LIMITS, serial_gate=frozenset({DEMO}), task_deps_enabled=False)
        assert await store.transact(partial(_claim_gated, gated)), "the first enters"
        with Stopwatch() as watch:
            assert not await store.transact(partial(_claim_gated, gated))
        bench.add(f"claim that finds nothing, {MANY} wait for their turn", watch.seconds * 1000, "ms")
    watch = Stopwatch()
    with watch:
        store = await SqliteStore.open(path, clock=ManualClock())
    async with store:
        with watch:
            recovered = await store.transact(lambda tx: recover(tx, later(1)))
            live = await store.read(lambda tx: tx.list_tasks(live=True, limit=MANY))
    assert (len(recovered.requeued), len(live)) == (2, MANY)
    bench.add(f"open, check, recover, load {MANY} live tasks", watch.seconds * 1000, "ms")


def _claim_gated(limits: Limits, tx: Tx) -> bool:
    return isinstance(tx.claim_job(NOW, limits), Claimed)


async def main() -> None:
    bench = Bench("store")
    with disk_dir() as folder:
        for workers in (1, 4, 32):
            baseline = await per_request(folder / f"base-{workers}.db", workers)
            value = await grouped(folder / f"group-{workers}.db", workers)
            bench.add(f"claim + complete, {workers} workers", value, "jobs/s", baseline=baseline)
        await sizes(folder / "many.db", bench)
    bench.finish()


if __name__ == "__main__":
    anyio.run(main)
