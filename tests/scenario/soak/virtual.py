"""Thousands of tasks through the real actors on virtual time, a day passing after each batch.

Owns: ``soak``: batches of tasks with different fates, and a sample after each. Rule: what is counted is the product's (its
actors, its messages in flight, its rows), not what the fakes remember to be asked about.
"""

import asyncio  # noqa: TID251 - counts the tasks of the loop that the story runs on
import gc
from collections import Counter
from collections.abc import Callable
from functools import partial

import anyio

from orch import logs
from orch.core.messages import Decision
from orch.core.model import RowState
from orch.ports import Tx
from tests.builders import make_limits
from tests.fakes.line import Line, line, tx_task
from tests.fakes.virtual_time import VirtualLoop
from tests.scenario.soak.samples import Bound, Sample

BATCH = 10
DAY_S = 86_400.0
KEPT_DAYS = 3
WITHIN_S = 6 * 3600.0
LIMITS = make_limits(max_concurrency=4, max_concurrency_per_repo=4, archive_days=KEPT_DAYS)
BOUNDS = (
    Bound(figure="actors", per_task=0.0, floor=3),
    Bound(figure="messages", per_task=0.0, floor=10),
    Bound(figure="coroutines", per_task=0.0, floor=5),
    Bound(figure="mailboxes", per_task=0.0, floor=5),
    Bound(figure="pending", per_task=0.0, floor=3),
    Bound(figure="checks", per_task=0.0, floor=2 * BATCH),
    Bound(figure="outbox", per_task=0.0, floor=10 * BATCH),
    Bound(figure="unretired", per_task=0.0, floor=BATCH),
)
Progress = Callable[[int, Sample], None]


async def _one(it: Line, number: int) -> None:
    """One task: most are approved, some rejected first, some stopped at once or in mid-line."""
    name = await it.start(f"Task number {number}")
    fate = number % 10
    await it.until(lambda tx: bool(tx_task(tx, name)), within_s=WITHIN_S)
    if fate == 3:
        await it.decide(name, Decision.STOP)
        return
    await it.until(lambda tx: tx_task(tx, name).awaiting == "approval", within_s=WITHIN_S)
    if fate == 5:
        await it.decide(name, Decision.REJECT, reason="Say more about why.")
        await it.until(lambda tx: tx_task(tx, name).awaiting == "approval", within_s=WITHIN_S)
    await it.decide(name, Decision.APPROVE)
    if fate == 7:
        await it.settle(2)
        await it.decide(name, Decision.STOP)


async def _sample(it: Line, tasks: int) -> Sample:
    gc.collect()
    kinds: Counter[str] = Counter()
    for each in gc.get_objects():
        module, name = str(type(each).__module__), type(each).__name__
        if module == "actors.mailbox":
            kinds["mailboxes"] += 1
        elif module.startswith("orch.core.messages"):
            kinds["messages"] += 1
        elif module.startswith("actors.") and name.endswith("Actor"):
            kinds["actors"] += 1
    kinds["coroutines"] = len(asyncio.all_tasks())

    def count(tx: Tx) -> dict[str, int]:
        return {
            "pending": len(tx.list_outbox(state=RowState.PENDING, limit=10_000)) + len(tx.pending_inbox(10_000)),
            "checks": len(tx.list_checks(it.g.projects[0].name, limit=100_000)),
            "outbox": len(tx.list_outbox(state=RowState.DONE, limit=1_000_000)),
            "unretired": len(tx.retirable(it.g.clock.now(), 1_000_000)),
        }

    names = ("mailboxes", "messages", "actors", "coroutines")
    return Sample(tasks=tasks, figures={name: kinds[name] for name in names} | await it.read(count))


async def _soak(tasks: int, progress: Progress) -> list[Sample]:
    samples = []
    async with line(limits=LIMITS) as it:
        for first in range(0, tasks, BATCH):
            for number in range(first, first + BATCH):
                await _one(it, number)
            await it.until(lambda tx: not tx.list_tasks(live=True), within_s=WITHIN_S)
            it.g.clock.jump(DAY_S)
            await it.settle(3700)
            samples.append(await _sample(it, first + BATCH))
            progress(tasks, samples[-1])
    return samples


def soak(tasks: int, progress: Progress = lambda *_: None) -> list[Sample]:
    """Take *tasks* tasks to their end, *BATCH* a day; return a sample a day."""
    logs.configure(level="critical")
    return anyio.run(partial(_soak, tasks, progress), backend_options={"loop_factory": VirtualLoop})
