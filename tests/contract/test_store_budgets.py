"""Money in the store: live figures that only grow, sums of tasks and days, days' limits, and the claim that stops at them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orch.core.accounting import merge_rows, spend_rows
from orch.core.budget import next_day, utc_day
from orch.core.ids import ProjectName, RunId
from orch.core.model import DayBudget, Figures, JobState, Outcome, Run, RunKind, Task, Usage
from orch.core.stages import Role, Stage
from orch.ports import Claimed, NothingToClaim, Store
from tests.builders import NOW, add_job, add_task, later, make_limits, make_park

SHOP = ProjectName("shop")
TODAY = utc_day(NOW)
USAGE = Usage(input=10, output=5, cache_read=100, cache_creation=3)
FREE = make_limits(max_concurrency_per_repo=99)


async def begin(store: Store, task: Task, at: float = 0.0) -> Run:
    """Queue and claim a job of *task*."""
    await add_job(store, task)
    found = await store.transact(lambda tx: tx.claim_job(later(at), FREE))
    assert isinstance(found, Claimed), found
    return found.run


async def end(store: Store, run: Run, outcome: Outcome = Outcome.SUCCEEDED, **fields: Any) -> None:
    def work(tx: Any) -> bool:
        stored = tx.load_run(run.id)
        tx.end_job(stored.job, JobState.DONE)
        return bool(tx.save_run(replace(stored, outcome=outcome, ended_at=stored.started_at + timedelta(seconds=60), **fields)))

    assert await store.transact(work)


async def spend(store: Store, task: Task, usd: float, at: float = 0.0, **fields: Any) -> None:
    await end(store, await begin(store, task, at), cost_usd=usd, **fields)


# ------------------------------------------------------------------------------------------------ live figures


async def test_figures_of_a_run_are_kept_while_it_goes_on_and_only_grow(store: Store) -> None:
    run = await begin(store, await add_task(store))
    first = Figures(session="s", model="opus", usage=USAGE, cost_usd=1.5, turns=2)
    assert await store.transact(lambda tx: tx.keep_figures(run.id, first))
    assert await store.transact(lambda tx: tx.keep_figures(run.id, Figures(session="t", usage=Usage(output=9), cost_usd=1.0)))
    kept = await store.read(lambda tx: tx.load_run(run.id))
    assert kept is not None
    assert (kept.session, kept.model, kept.cost_usd, kept.turns, kept.outcome) == ("s", "opus", 1.5, 2, None)
    assert kept.usage == replace(USAGE, output=9)
    assert kept.session_cost_usd is None, "a session's total is what the agent reports at its end"
    assert await store.read(lambda tx: tx.session_total(run.task, "s")) == 0.0


@pytest.mark.parametrize(("outcome", "kept"), [(Outcome.CANCELLED, 2.0), (Outcome.CRASHED, 2.0), (Outcome.SUCCEEDED, 0.5)])
async def test_what_a_run_that_was_cut_off_told_last_is_kept_and_a_report_stands(
    store: Store, outcome: Outcome, kept: float
) -> None:
    run = await begin(store, await add_task(store))
    await end(store, run, outcome, cost_usd=0.5)
    assert await store.transact(lambda tx: tx.keep_figures(run.id, Figures(cost_usd=2.0))) is (kept == 2.0)
    found = await store.read(lambda tx: tx.load_run(run.id))
    assert found is not None
    assert (found.cost_usd, found.outcome) == (kept, outcome)


async def test_figures_are_kept_although_a_later_attempt_has_begun(store: Store) -> None:
    task = await add_task(store)
    run = await begin(store, task)
    await store.transact(lambda tx: tx.cancel_jobs(task.row, NOW))
    later_run = await begin(store, task)
    await store.transact(lambda tx: tx.keep_figures(run.id, Figures(cost_usd=0.75)))
    assert later_run.attempt > run.attempt
    assert await store.read(lambda tx: tx.spent_by(task.row)) == 0.75


async def test_figures_of_no_run_change_nothing(store: Store) -> None:
    assert not await store.transact(lambda tx: tx.keep_figures(RunId(99), Figures(cost_usd=1.0)))


async def test_money_that_is_no_number_costs_nothing(store: Store) -> None:
    run = await begin(store, await add_task(store))
    await store.transact(lambda tx: tx.keep_figures(run.id, Figures(cost_usd=float("inf"))))
    assert await store.read(lambda tx: tx.spent_on(TODAY)) == 0.0


# ------------------------------------------------------------------------------------------------ sums


async def test_a_task_and_a_day_are_summed_up_to_the_millionth(store: Store) -> None:
    one, other = await add_task(store, 1), await add_task(store, 2)
    for task in (one, one, one, other):
        await spend(store, task, 0.1)
    await spend(store, other, 7.0, at=86_400)
    assert await store.read(lambda tx: (tx.spent_by(one.row), tx.spent_by(other.row))) == (0.3, 7.1)
    assert await store.read(lambda tx: tx.spent_on(TODAY)) == 0.4
    assert await store.read(lambda tx: tx.spent_on(TODAY + timedelta(days=1))) == 7.0
    assert await store.read(lambda tx: tx.spent_on(TODAY - timedelta(days=1))) == 0.0


async def test_the_rows_of_days_are_what_the_runs_add_up_to(store: Store) -> None:
    one, other = await add_task(store, 1), await add_task(store, 2, project=SHOP)
    models = ("claude-opus-4-1-20250805", "claude-opus-4-1", "")
    for number, task in enumerate((one, other, one, one, other)):
        await spend(store, task, 0.1 * number, at=40_000.0 * number, usage=USAGE, model=models[number % 3])
    await begin(store, one, at=200_000)
    now = later(200_100)
    rows = merge_rows(await store.read(lambda tx: tx.list_spending(TODAY, now)))
    assert rows == spend_rows(await store.read(lambda tx: tx.list_runs()), now)
    assert sum(row.runs for row in rows) == 6
    assert merge_rows(await store.read(lambda tx: tx.list_spending(utc_day(now), now))) == tuple(
        row for row in rows if row.day == utc_day(now)
    )


async def test_a_projects_own_commands_cost_nothing(store: Store) -> None:
    task = await add_task(store)
    await store.transact(lambda tx: tx.start_run(task, kind=RunKind.CI, job=None, role=None, at=NOW))
    assert await store.read(lambda tx: tx.list_spending(TODAY, NOW)) == []


# ------------------------------------------------------------------------------------------------ limits


async def test_a_days_limit_is_kept_and_the_last_word_counts(store: Store) -> None:
    assert await store.read(lambda tx: tx.load_day_budget(TODAY)) is None
    first = DayBudget(day=TODAY, limit_usd=12.5, by="anna", at=NOW)
    lifted = DayBudget(day=TODAY, lifted=True, by="boris", at=later(5))
    for budget in (first, lifted):
        await store.transact(lambda tx, it=budget: tx.save_day_budget(it))  # type: ignore[misc]
        assert await store.read(lambda tx: tx.load_day_budget(TODAY)) == budget
    assert await store.read(lambda tx: tx.load_day_budget(TODAY + timedelta(days=1))) is None


async def test_a_tasks_own_limit_is_kept(store: Store) -> None:
    task = await add_task(store, budget_usd=7.5, budget_lifted=True)
    assert await store.read(lambda tx: tx.load_task(task.row)) == task


async def claim(store: Store, at: float = 0.0, **limits: Any) -> Claimed | NothingToClaim:
    bounds = make_limits(max_concurrency_per_repo=99, **limits)
    return await store.transact(lambda tx: tx.claim_job(later(at), bounds))


@pytest.mark.parametrize(
    ("fields", "claimed"),
    [
        ({}, False),
        ({"budget_usd": 5.5}, True),
        ({"budget_usd": 5.0}, False),
        ({"budget_lifted": True}, True),
    ],
)
async def test_G16_a_claim_stops_at_the_tasks_limit(store: Store, fields: dict[str, Any], claimed: bool) -> None:
    task = await add_task(store, **fields)
    await spend(store, task, 5.0)
    await add_job(store, task)
    assert isinstance(await claim(store, budget_task_usd=5.0), Claimed) is claimed


async def test_a_task_at_its_limit_lets_the_others_pass(store: Store) -> None:
    dear, cheap = await add_task(store, 1), await add_task(store, 2)
    await spend(store, dear, 5.0)
    await spend(store, cheap, 4.999999)
    for task in (dear, cheap):
        await add_job(store, task)
    found = await claim(store, budget_task_usd=5.0)
    assert isinstance(found, Claimed)
    assert found.task.row == cheap.row
    assert isinstance(await claim(store, budget_task_usd=5.0), NothingToClaim)
    assert isinstance(await claim(store), Claimed), "off: no limit"


async def test_G16_a_claim_stops_at_the_days_limit_until_the_next_day_or_a_raise(store: Store) -> None:
    task = await add_task(store)
    await spend(store, task, 10.0)
    await add_job(store, task)
    assert await claim(store, 60, budget_day_usd=10.0) == NothingToClaim(due_at=next_day(NOW))
    raised = DayBudget(day=TODAY, limit_usd=10.5, by="anna", at=NOW)
    await store.transact(lambda tx: tx.save_day_budget(raised))
    assert isinstance(await claim(store, 60, budget_day_usd=10.0), Claimed)


async def test_the_next_day_opens_by_itself(store: Store) -> None:
    task = await add_task(store)
    await spend(store, task, 10.0)
    await add_job(store, task)
    seconds = (next_day(NOW) - NOW).total_seconds()
    assert isinstance(await claim(store, seconds - 1, budget_day_usd=10.0), NothingToClaim)
    assert isinstance(await claim(store, seconds, budget_day_usd=10.0), Claimed)


async def test_a_deploy_under_way_is_not_cut_in_half_for_money(store: Store) -> None:
    task = await add_task(store, stage=Stage.DEPLOY)
    await spend(store, task, 30.0)
    await add_job(store, task, role=Role.DEPLOYER)
    assert await store.read(lambda tx: tx.spent_out(make_limits(budget_task_usd=5.0))) == []
    assert isinstance(await claim(store, 60, budget_task_usd=5.0, budget_day_usd=10.0), Claimed)


async def test_a_report_that_was_told_before_it_could_be_recorded_is_its_sessions(store: Store) -> None:
    task = await add_task(store)
    run = await begin(store, task)
    await store.transact(lambda tx: tx.keep_figures(run.id, Figures(session="s", cost_usd=1.5, session_cost_usd=2.5)))
    assert await store.read(lambda tx: tx.session_total(task.row, "s")) == 2.5
    assert await store.read(lambda tx: tx.session_total(task.row, "s", before=run.id)) == 0.0, "its own is not before it"


async def test_those_whose_budget_is_spent_are_named_while_a_job_of_theirs_waits(store: Store) -> None:
    limits = make_limits(budget_task_usd=5.0)
    given: list[tuple[float, dict[str, Any]]] = [
        (5.0, {}),
        (4.9, {}),
        (9.0, {"budget_lifted": True}),
        (9.0, {"budget_usd": 10.0}),
        (9.0, {"budget_usd": 8.0}),
    ]
    tasks = [await add_task(store, number, **fields) for number, (_, fields) in enumerate(given, start=1)]
    for task, (usd, _) in zip(tasks, given, strict=True):
        await spend(store, task, usd)
    idle = await add_task(store, 6)
    await spend(store, idle, 9.0)
    parked = await add_task(store, 7)
    await spend(store, parked, 9.0)
    for task in (*tasks, parked):
        await add_job(store, task)
    await store.transact(lambda tx: tx.save_task(replace(tx.load_task(parked.row) or parked, park=make_park())))
    found = await store.read(lambda tx: tx.spent_out(limits))
    assert [task.row for task in found] == [tasks[0].row, tasks[4].row]
    assert await store.read(lambda tx: tx.spent_out(make_limits())) == []
