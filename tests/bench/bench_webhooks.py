"""Webhooks acknowledged per second, each on disk before its answer, against the same server without a store; then under siege.

Run: ``python -m tests.bench.bench_webhooks``. Both servers live in this process and are measured in turn, in short rounds, so
that whatever else the machine does meets both; the clients, and under siege the besiegers, are processes of their own. The ratio
of acks is the median of the rounds' ratios. Goals: that ratio at least 0.9; at 100 a second p99 at most 50 ms, under siege too.
"""

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, TypeVar, cast

import anyio
from anyio.streams.text import TextReceiveStream

from orch.adapters.plane import PlaneDoor
from orch.adapters.store import SqliteStore
from orch.core.ids import InboxId, ProjectName
from orch.main import keep_what_is_loaded
from orch.ports import Store, Tx
from tests.bench.harness import Bench, disk_dir
from tests.bench.webhook_load import CONNECTIONS, PROJECT, RATE, SECRET, SLOW
from tests.builders import ManualClock
from tests.integration.web_world import running

ROUNDS, ROUND_S, WARM_S = 8, 1.0, 0.5
PACED_S = 4.0
NAMES = ("on disk", "without a store")
SHOP = ProjectName("shop")
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


@asynccontextmanager
async def served(folder: Path, store: Store) -> AsyncIterator[int]:
    async with running(folder, doors={"plane": door()}, store=store) as world:
        yield int(world.url.rpartition(":")[2])


def _command(port: int, what: str, seconds: float) -> list[str]:
    return [sys.executable, "-m", "tests.bench.webhook_load", str(port), what, str(seconds)]


async def load(port: int, what: str, seconds: float) -> Any:
    """Let a process of its own be the clients, and return its figures."""
    done = await anyio.run_process(_command(port, what, seconds), stderr=None)
    return json.loads(done.stdout)


@asynccontextmanager
async def besieged(port: int) -> AsyncIterator[None]:
    """Give the time in which the besiegers are there."""
    async with await anyio.open_process(_command(port, "siege", 600.0), stderr=None) as process:
        assert process.stdout is not None
        assert (await TextReceiveStream(process.stdout).receive()).startswith("ready")
        yield
        process.kill()


def told(bench: Bench, name: str, waits: list[float], baseline: list[float]) -> None:
    for label, at in (("p50", 0.5), ("p99", 0.99)):
        value, base = (sorted(each)[min(len(each) - 1, int(len(each) * at))] for each in (waits, baseline))
        bench.add(f"{name}, {label}", value, "ms", baseline=base, lower_is_better=True)


async def measure(folder: Path) -> None:
    bench = Bench("webhooks")
    for name in NAMES:
        (folder / name).mkdir()
    async with (
        await SqliteStore.open(folder / "orch.db", clock=ManualClock()) as store,
        served(folder / NAMES[0], store) as ours,
        served(folder / NAMES[1], NoStore()) as theirs,
    ):
        for port in (ours, theirs):
            await load(port, "rate", WARM_S)
        pairs = [(await load(ours, "rate", ROUND_S), await load(theirs, "rate", ROUND_S)) for _ in range(ROUNDS)]
        bench.add("acks", median(one for one, _ in pairs), "1/s", baseline=median(other for _, other in pairs))
        bench.add("acks, median of the rounds' ratios", median(one / other for one, other in pairs), "")
        told(bench, f"wait at {RATE:.0f}/s", await load(ours, "paced", PACED_S), await load(theirs, "paced", PACED_S))
        waits = []
        for port in (ours, theirs):
            async with besieged(port):
                waits.append(await load(port, "paced", PACED_S))
        told(bench, f"the same under siege ({CONNECTIONS} idle, {SLOW} slow, hostile bodies)", waits[0], waits[1])
    bench.finish()


def main() -> None:
    keep_what_is_loaded()  # as the daemon does
    with disk_dir() as folder:
        anyio.run(measure, folder)


if __name__ == "__main__":
    main()
