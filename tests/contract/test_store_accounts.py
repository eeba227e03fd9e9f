"""Accounts in the store: a pause survives, holds what it is to hold in the claim, and failures are counted by task."""

from dataclasses import replace
from typing import Any

import pytest

from orch.core.errors import DomainError
from orch.core.ids import ProjectName, RunId, TaskRow
from orch.core.model import Account, AccountPause, JobState, Outcome
from orch.core.stages import Role
from orch.ports import Claimed, NothingToClaim, Store
from tests.builders import DEMO, NOW, add_job, add_task, later, make_limits

SHOP = ProjectName("shop")
PAUSE = AccountPause(cause=Outcome.RATE_LIMITED, since=NOW, until=later(900), renewals=2, detail="limit reached")


async def test_an_account_that_was_never_saved_is_not_paused(store: Store) -> None:
    assert await store.read(lambda tx: tx.load_account("claude")) == Account(name="claude")
    assert await store.read(lambda tx: tx.paused_accounts()) == []


async def test_a_pause_is_kept_whole_and_gone_when_it_is_lifted(store: Store) -> None:
    task = await add_task(store)
    await add_job(store, task)
    found = await store.transact(lambda tx: tx.claim_job(NOW, make_limits()))
    assert isinstance(found, Claimed)
    paused = Account(name="claude", pause=replace(PAUSE, trial=found.run.id))
    await store.transact(lambda tx: tx.save_account(paused))
    assert await store.read(lambda tx: tx.load_account("claude")) == paused
    assert await store.read(lambda tx: tx.paused_accounts()) == [paused]
    await store.transact(lambda tx: tx.save_account(Account(name="claude")))
    assert await store.read(lambda tx: tx.load_account("claude")) == Account(name="claude")
    assert await store.read(lambda tx: tx.paused_accounts()) == []


async def test_failures_are_counted_once_for_each_task_by_class_and_by_age(store: Store) -> None:
    rows = [(await add_task(store, number)).row for number in (1, 2, 3)]
    for account, kind, row, at in (
        ("claude", "failed", rows[0], 0),
        ("claude", "failed", rows[0], 50),
        ("claude", "failed", rows[1], 10),
        ("claude", "stalled", rows[2], 10),
        ("command", "failed", rows[2], 10),
    ):
        await store.transact(lambda tx, a=account, k=kind, r=row, s=at: tx.note_failure(a, k, r, later(s)))  # type: ignore[misc]

    async def failing(kind: str, since: float) -> list[TaskRow]:
        return await store.read(lambda tx: tx.failing_tasks("claude", kind, later(since)))

    assert await failing("failed", 0) == [rows[1], rows[0]]
    assert await failing("failed", 11) == [rows[0]]
    assert await failing("stalled", 0) == [rows[2]]
    await store.transact(lambda tx: tx.forget_failures("claude", before=later(50)))
    assert (await failing("failed", 0), await failing("stalled", 0)) == ([rows[0]], [])
    await store.transact(lambda tx: tx.forget_failures("claude"))
    assert await failing("failed", 0) == []
    assert await store.read(lambda tx: tx.failing_tasks("command", "failed", NOW)) == [rows[2]]


# ------------------------------------------------------------------------------------------------ the claim

CLOSED = {
    "nothing": ((), [1, 2, 3, 4]),
    "one role of one project": (((DEMO, Role.ANALYST),), [2, 3, 4]),
    "one role of both": (((DEMO, Role.ANALYST), (SHOP, Role.ANALYST)), [2, 4]),
    "all": (tuple((name, role) for name in (DEMO, SHOP) for role in Role), []),
    "a project that is not there": (((ProjectName("x"), Role.ANALYST),), [1, 2, 3, 4]),
}


@pytest.mark.parametrize("deps", [True, False])
@pytest.mark.parametrize(("closed", "rows"), CLOSED.values(), ids=CLOSED.keys())
async def test_jobs_of_closed_roles_wait_and_the_others_are_claimed_in_order(
    store: Store, closed: tuple[tuple[ProjectName, Role], ...], rows: list[int], deps: bool
) -> None:
    for number, (project, role) in enumerate(
        [(DEMO, Role.ANALYST), (DEMO, Role.DEVELOPER), (SHOP, Role.ANALYST), (SHOP, Role.TESTER)], start=1
    ):
        task = await add_task(store, number, project=project, issue=f"X-{number}")
        await add_job(store, task, role=role)
    limits: Any = make_limits(max_concurrency_per_repo=99, task_deps_enabled=deps)
    claimed = []
    while isinstance(found := await store.transact(lambda tx: tx.claim_job(NOW, limits, closed)), Claimed):
        claimed.append(int(found.task.row))
    assert found == NothingToClaim(due_at=None)
    assert claimed == rows
    waiting = await store.read(lambda tx: tx.list_jobs(state=JobState.QUEUED))
    assert sorted(int(job.task) for job in waiting) == [row for row in (1, 2, 3, 4) if row not in rows], "nothing is lost"


async def test_the_probe_writes(store: Store) -> None:
    await store.transact(lambda tx: tx.probe(NOW))
    await store.transact(lambda tx: tx.probe(later(1)))


async def test_a_try_names_a_run_that_there_is(store: Store) -> None:
    with pytest.raises(DomainError):
        await store.transact(lambda tx: tx.save_account(Account(name="claude", pause=replace(PAUSE, trial=RunId(99)))))
