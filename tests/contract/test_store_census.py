"""The census: what is live, queued, open and pending, counted; what has ended is not."""

from dataclasses import replace

from orch.core.model import Census, Outcome, Park, ParkReason, RunKind, RunMode
from orch.core.stages import Role, Stage
from orch.ports import Store
from tests.builders import DEMO, NOW, add_task, later, make_new_job


async def test_an_empty_store_counts_nothing(store: Store) -> None:
    assert await store.read(lambda tx: tx.census()) == Census()


async def test_live_tasks_jobs_runs_and_events_are_counted_and_ended_ones_are_not(store: Store) -> None:
    one, two, three = [await add_task(store, number) for number in (1, 2, 3)]
    park = Park(reason=next(iter(ParkReason)), since=NOW, evidence="")
    await store.transact(lambda tx: tx.save_task(replace(two, park=park)))
    await store.transact(lambda tx: tx.save_task(replace(three, stage=Stage.DONE)))
    await store.transact(lambda tx: tx.add_job(make_new_job(one, stage=one.stage, role=Role.ANALYST, mode=RunMode.NEW_ATTEMPT)))
    run = await store.transact(lambda tx: tx.start_run(one, kind=RunKind.CI, job=None, role=None, at=NOW))
    await store.transact(lambda tx: tx.add_inbox("plane:issue", b"{}", NOW))
    census = await store.read(lambda tx: tx.census())
    assert census.tasks == {(DEMO, "analysis", False): 1, (DEMO, "analysis", True): 1}
    assert (census.jobs, census.runs, census.inbox) == ({"queued": 1}, {(DEMO, "ci"): 1}, 1)
    await store.transact(lambda tx: tx.save_run(replace(run, outcome=Outcome.SUCCEEDED, ended_at=later(1))))
    assert (await store.read(lambda tx: tx.census())).runs == {}
