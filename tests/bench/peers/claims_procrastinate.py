"""A peer of the durable claim + complete: procrastinate on the PostgreSQL that answers on this machine's loopback.

Run by ``bench_peers`` with the peers' own Python: ``python claims_procrastinate.py FOLDER WORKERS JOBS SECONDS``; prints the jobs
a second as JSON, or why there are none. A claim is its ``fetch_job``, a completion its ``finish_job``, each a commit with the
server's fsync; each worker has a connection of its own, and the loop and the pauses of procrastinate's worker are left out.
Everything is in a database of this program's own, dropped at its end. libpq's variables say who logs in (PGUSER, PGPORT …).
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import anyio
import procrastinate  # type: ignore[import-not-found,unused-ignore]
import psycopg  # type: ignore[import-not-found,unused-ignore]
from procrastinate.jobs import Status  # type: ignore[import-not-found,unused-ignore]

HOST = "127.0.0.1"
DATABASE = "orch_bench_peers"
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


@contextmanager
def own_database() -> Iterator[None]:
    """Make the database anew and drop it; raises psycopg.Error where there is no server or no right to."""
    with psycopg.connect(host=HOST, dbname="postgres", connect_timeout=3, autocommit=True) as server:
        for setting in DURABLE:
            shown = server.execute(f"SHOW {setting}").fetchone()
            if shown is None or shown[0] != "on":
                raise psycopg.OperationalError(f"{setting} is not on, so that its commits are not durable")
        server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {DATABASE}")
        try:
            yield
        finally:
            server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


async def measure(workers: int, jobs: int, seconds: float) -> float:
    connector = procrastinate.PsycopgConnector(kwargs={"host": HOST, "dbname": DATABASE}, min_size=workers, max_size=workers)
    app = procrastinate.App(connector=connector)
    app.task(name="nothing")(int)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await app.configure_task("nothing").batch_defer_async(*({} for _ in range(jobs)))
        await connector.execute_query_async("ANALYZE procrastinate_jobs")
        return await rate(app.job_manager, workers, seconds)


async def rate(manager: Any, workers: int, seconds: float) -> float:
    done: list[float] = []
    worker = await manager.register_worker()
    began = perf_counter()

    async def work() -> None:
        while perf_counter() < began + seconds:
            job = await manager.fetch_job(None, worker)
            if job is None:
                return
            await manager.finish_job(job, Status.SUCCEEDED, False)
            done.append(perf_counter())

    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(work)
    return len(done) / (max(done) - began)


def main(workers: int, jobs: int, seconds: float) -> None:
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    try:
        with own_database():
            print(json.dumps({"rate": anyio.run(measure, workers, jobs, seconds)}))
    except psycopg.Error as error:
        print(json.dumps({"absent": f"no PostgreSQL to use on {HOST}: {str(error).strip().splitlines()[0]}"}))


if __name__ == "__main__":
    main(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
