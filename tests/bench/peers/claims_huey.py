"""A peer of the durable claim + complete: huey on SQLite, its file synchronised at every commit (WAL, FULL) as the product's is.

Run by ``bench_peers`` with the peers' own Python: ``python claims_huey.py FOLDER WORKERS JOBS SECONDS``; prints the jobs a second
as JSON. A claim is ``dequeue``, a commit; a completion is ``execute`` of a task that does nothing, which commits its result. Each
worker is a thread with a connection of its own, as in huey's consumer, whose loop and pauses are left out.
"""

import json
import sys
from pathlib import Path
from threading import Thread
from time import perf_counter

from huey import SqliteHuey  # type: ignore[import-not-found,import-untyped,unused-ignore]

PATIENCE_S = 60.0


def queue(folder: Path, *, fsync: bool) -> SqliteHuey:
    return SqliteHuey(filename=str(folder / "huey.db"), fsync=fsync, timeout=PATIENCE_S)


def nothing() -> bool:
    return True


def fill(huey: SqliteHuey, jobs: int) -> None:
    task = huey.task(name="nothing")(nothing)
    for _ in range(jobs):
        task()


def rate(huey: SqliteHuey, workers: int, seconds: float) -> float:
    huey.task(name="nothing")(nothing)
    done: list[float] = []
    began = perf_counter()

    def work() -> None:
        while perf_counter() < began + seconds and (held := huey.dequeue()) is not None:
            huey.execute(held)
            done.append(perf_counter())

    threads = [Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(done) / (max(done) - began)


def main(folder: Path, workers: int, jobs: int, seconds: float) -> None:
    fill(queue(folder, fsync=False), jobs)
    print(json.dumps({"rate": rate(queue(folder, fsync=True), workers, seconds)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
