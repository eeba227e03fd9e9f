"""The queue: the claim rule row by row, and the fence that every run carries."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orch.core.errors import DomainError, LeaseLost
from orch.core.ids import Attempt, IssueId, ProjectName
from orch.core.model import (
    Feedback,
    Finding,
    Freeze,
    FreezeCause,
    JobState,
    Outcome,
    Repo,
    RunKind,
    RunMode,
    Task,
    Usage,
)
from orch.core.stages import Role, Stage
from orch.ports import Claimed, NothingToClaim, Store, Tx
from tests.builders import (
    DEMO,
    NOW,
    ManualClock,
    add_job,
    add_task,
    later,
    make_activity,
    make_issue,
    make_limits,
    make_new_job,
    make_new_task,
    make_park,
    sha,
)

OTHER = ProjectName("other")
Arrange = Callable[[Tx, Task], None]


async def claim(store: Store, at: float = 0, **limits: Any) -> Claimed | NothingToClaim:
    limits.setdefault("max_concurrency_per_repo", 99)
    return await store.transact(lambda tx: tx.claim_job(later(at), make_limits(**limits)))


async def claimed_rows(store: Store, **limits: Any) -> list[int]:
    """Claim until nothing is left and return the tasks in order."""
    rows = []
    while isinstance(found := await claim(store, **limits), Claimed):
        rows.append(int(found.task.row))
    return rows


# ------------------------------------------------------------------------------------------------ jobs


async def test_G2_a_task_has_one_active_job(store: Store) -> None:
    task = await add_task(store)
    feedback = Feedback(kind="review", text="see below", findings=(Finding(title="naming", path="a.py", detail="x"),))
    job = await add_job(store, task, feedback=feedback, priority=3, not_before=later(5))
    assert (job.state, job.feedback, job.priority, job.not_before) == (JobState.QUEUED, feedback, 3, later(5))
    assert await store.transact(lambda tx: tx.add_job(make_new_job(task))) is None
    assert await store.read(lambda tx: tx.active_job(task.row)) == job
    await store.transact(lambda tx: tx.end_job(job.id, JobState.DONE))
    assert await store.read(lambda tx: tx.active_job(task.row)) is None
    assert await store.transact(lambda tx: tx.add_job(make_new_job(task))) is not None


async def test_G5_a_cancelled_job_is_never_queued_again_by_anyone(store: Store) -> None:
    task = await add_task(store)
    await add_job(store, task)
    found = await claim(store)
    assert isinstance(found, Claimed)
    assert await store.transact(lambda tx: tx.cancel_jobs(task.row, later(1))) == 1
    for late in (
        lambda tx: tx.requeue_job(found.job.id, mode=RunMode.CONTINUATION, not_before=None, at=later(2)),
        lambda tx: tx.end_job(found.job.id, JobState.FAILED),
    ):
        await store.transact(late)
    job = await store.read(lambda tx: tx.load_job(found.job.id))
    assert job is not None
    assert job.state is JobState.CANCELLED
    assert isinstance(await claim(store, 9), NothingToClaim)
    with pytest.raises(DomainError):
        await store.transact(lambda tx: tx.end_job(found.job.id, JobState.QUEUED))


async def test_a_requeued_job_keeps_its_place(store: Store) -> None:
    for number in (1, 2, 3):
        await add_job(store, await add_task(store, number))
    first = await claim(store)
    assert isinstance(first, Claimed)
    await store.transact(lambda tx: tx.requeue_job(first.job.id, mode=RunMode.CONTINUATION, not_before=None, at=later(1)))
    assert await claimed_rows(store) == [1, 2, 3]
    job = await store.read(lambda tx: tx.load_job(first.job.id))
    assert job is not None
    assert job.mode is RunMode.CONTINUATION


async def test_lists_of_jobs(store: Store) -> None:
    tasks = [await add_task(store, number) for number in (1, 2)]
    jobs = [await add_job(store, task) for task in tasks]
    await claim(store)
    assert [job.id for job in await store.read(lambda tx: tx.list_jobs())] == [job.id for job in jobs]
    assert [job.id for job in await store.read(lambda tx: tx.list_jobs(state=JobState.QUEUED))] == [jobs[1].id]
    assert [job.id for job in await store.read(lambda tx: tx.list_jobs(task=tasks[0].row))] == [jobs[0].id]


# ------------------------------------------------------------------------------------------------ the claim rule


def depends(*, on: str, arrange: Arrange | None = None) -> Arrange:
    def work(tx: Tx, task: Task) -> None:
        if arrange is not None:
            arrange(tx, task)
        assert tx.add_dependency(task.project, task.issue, IssueId(on), NOW) is None

    return work


def predecessor(stage: Stage) -> Arrange:
    """Make a task of issue DEMO-2 in *stage*."""

    def work(tx: Tx, task: Task) -> None:
        other = tx.insert_task(make_new_task(2))
        assert other is not None
        tx.save_task(replace(other, stage=stage))

    return work


def card(state: str) -> Arrange:
    """Show issue DEMO-2 on the local board in *state*."""
    return lambda tx, task: tx.insert_issue(make_issue(2, state_id=state))


def saved(**fields: Any) -> Arrange:
    return lambda tx, task: tx.save_task(replace(task, **fields))


def frozen(**fields: Any) -> Arrange:
    def work(tx: Tx, task: Task) -> None:
        tx.set_freeze(Freeze(project=DEMO, cause=FreezeCause.PERSON, since=NOW, by="anna"))
        tx.save_task(replace(task, **fields))

    return work


RULE: list[tuple[str, bool, Arrange]] = [
    ("nothing in the way", True, lambda tx, task: None),
    ("parked", False, saved(park=make_park())),
    ("done", False, saved(stage=Stage.DONE)),
    ("cancelled", False, saved(stage=Stage.CANCELLED)),
    ("stop requested", False, saved(cancel_requested_at=NOW)),
    ("project paused", False, lambda tx, task: tx.save_repo(Repo(project=DEMO, paused=True))),
    ("another project paused", True, lambda tx, task: tx.save_repo(Repo(project=OTHER, paused=True))),
    ("frozen in analysis", False, frozen()),
    ("frozen past analysis", True, frozen(stage=Stage.TESTING)),
    ("frozen but a fix", True, frozen(exempt=True)),
    ("waits for an issue in the line", False, depends(on="DEMO-2", arrange=predecessor(Stage.DEPLOY))),
    ("waits for an issue that is done", True, depends(on="DEMO-2", arrange=predecessor(Stage.DONE))),
    ("waits for an issue that is cancelled", True, depends(on="DEMO-2", arrange=predecessor(Stage.CANCELLED))),
    ("waits for an issue never seen", False, depends(on="DEMO-2")),
    ("waits for a card in the backlog", False, depends(on="DEMO-2", arrange=card("backlog"))),
    ("waits for a completed card", True, depends(on="DEMO-2", arrange=card("done"))),
    ("waits for a cancelled card", True, depends(on="DEMO-2", arrange=card("cancelled"))),
]


@pytest.mark.parametrize(("admitted", "arrange"), [row[1:] for row in RULE], ids=[row[0] for row in RULE])
@pytest.mark.parametrize("queued", ["before", "after"])
async def test_the_claim_rule(store: Store, admitted: bool, arrange: Arrange, queued: str) -> None:
    """The same answer whether the job was queued before the obstacle arose or after it."""
    task = await add_task(store)
    if queued == "before":
        await add_job(store, task)
    await store.transact(lambda tx: arrange(tx, task))
    if queued == "after":
        await add_job(store, task)
    assert isinstance(await claim(store), Claimed) is admitted


RELEASES: list[tuple[str, Arrange]] = [
    ("it is removed", lambda tx, task: _undeclare(tx, task)),
    ("its task is done", lambda tx, task: _finish_second(tx, Stage.DONE)),
    ("its task is cancelled", lambda tx, task: _finish_second(tx, Stage.CANCELLED)),
    ("its card is closed", lambda tx, task: tx.insert_issue(make_issue(2, state_id="done"))),
    ("its card is moved", lambda tx, task: _move_second(tx)),
]


def _undeclare(tx: Tx, task: Task) -> None:
    assert tx.remove_dependency(DEMO, task.issue, IssueId("DEMO-2"))


def _finish_second(tx: Tx, stage: Stage) -> None:
    predecessor(Stage.REVIEW)(tx, tx.list_tasks()[0])
    second = tx.live_task(DEMO, IssueId("DEMO-2"))
    assert second is not None
    tx.save_task(replace(second, stage=stage))


def _move_second(tx: Tx) -> None:
    tx.insert_issue(make_issue(2))
    tx.move_issue(IssueId("DEMO-2"), "cancelled", make_activity("DEMO-2"))


@pytest.mark.parametrize("release", [row[1] for row in RELEASES], ids=[row[0] for row in RELEASES])
async def test_a_dependency_is_released_when(store: Store, release: Arrange) -> None:
    task = await add_task(store)
    await add_job(store, task)
    await store.transact(lambda tx: depends(on="DEMO-2")(tx, task))
    assert isinstance(await claim(store), NothingToClaim)
    assert await store.read(lambda tx: tx.open_dependencies(DEMO, task.issue)) == ["DEMO-2"]
    await store.transact(lambda tx: release(tx, task))
    assert await store.read(lambda tx: tx.open_dependencies(DEMO, task.issue)) == []
    assert isinstance(await claim(store), Claimed)


async def test_a_dependency_that_begins_again_holds_again(store: Store) -> None:
    """The newest task of the issue counts: a second task of a finished predecessor is waited for."""
    task = await add_task(store)
    await add_job(store, task)
    await store.transact(lambda tx: depends(on="DEMO-2", arrange=predecessor(Stage.DONE))(tx, task))
    await add_task(store, 2)
    assert isinstance(await claim(store), NothingToClaim)


async def test_G14_dependencies_are_not_awaited_while_the_switch_is_off(store: Store) -> None:
    task = await add_task(store)
    await add_job(store, task)
    await store.transact(lambda tx: depends(on="DEMO-2")(tx, task))
    assert isinstance(await claim(store), NothingToClaim)
    assert isinstance(await claim(store, task_deps_enabled=False), Claimed)


async def test_higher_priority_first_then_the_order_of_queueing(store: Store) -> None:
    for number, priority in enumerate((0, 5, 0, 9, 5), start=1):
        await add_job(store, await add_task(store, number), priority=priority)
    assert await claimed_rows(store) == [4, 2, 5, 1, 3]


async def test_the_limit_per_repo_counts_running_agents_of_that_repo_only(store: Store) -> None:
    for number in (1, 2, 3):
        await add_job(store, await add_task(store, number))
    other = await add_task(store, 1, project=OTHER, prefix="OTH")
    await add_job(store, other)
    claims = [found for _ in range(4) if isinstance(found := await claim(store, max_concurrency_per_repo=2), Claimed)]
    assert [found.task.row for found in claims] == [1, 2, other.row]
    ended = replace(claims[0].run, outcome=Outcome.SUCCEEDED, ended_at=later(1))
    assert await store.transact(lambda tx: tx.save_run(ended))
    assert await claimed_rows(store, max_concurrency_per_repo=2) == [3]


async def test_runs_of_other_kinds_take_no_agents_place(store: Store) -> None:
    task = await add_task(store)
    await store.transact(lambda tx: tx.start_run(task, kind=RunKind.CI, job=None, role=None, at=NOW))
    await add_job(store, await add_task(store, 2))
    assert isinstance(await claim(store, max_concurrency_per_repo=1), Claimed)


async def test_a_delayed_job_is_named_when_nothing_else_is_claimable(store: Store) -> None:
    assert await claim(store) == NothingToClaim(due_at=None)
    await add_job(store, await add_task(store, 1), not_before=later(60))
    await add_job(store, await add_task(store, 2), not_before=later(30))
    assert await claim(store) == NothingToClaim(due_at=later(30))
    found = await claim(store, 30)
    assert isinstance(found, Claimed)
    assert found.task.row == 2
    assert await claim(store, 30) == NothingToClaim(due_at=later(60))


# ------------------------------------------------------------------------------------------------ runs and their fence


async def test_a_claim_makes_a_run_with_the_next_attempt(store: Store) -> None:
    task = await add_task(store, stage=Stage.REVIEW)
    job = await add_job(store, task, role=Role.REVIEWER)
    found = await claim(store, 4)
    assert isinstance(found, Claimed)
    assert (found.job.id, found.job.state) == (job.id, JobState.RUNNING)
    assert (found.task.attempt, found.run.attempt) == (1, 1)
    assert (found.run.job, found.run.kind, found.run.role) == (job.id, RunKind.AGENT, Role.REVIEWER)
    assert (found.run.stage, found.run.started_at, found.run.outcome) == (Stage.REVIEW, later(4), None)
    assert await store.read(lambda tx: tx.load_task(task.row)) == found.task
    assert await store.read(lambda tx: tx.list_runs(task=task.row, running=True)) == [found.run]


async def test_everything_that_a_run_reports_is_kept(store: Store) -> None:
    await add_job(store, await add_task(store))
    found = await claim(store)
    assert isinstance(found, Claimed)
    full = replace(
        found.run,
        agent="claude",
        model="m-1",
        session="s-1",
        session_cost_usd=1.25,
        start_head=sha("a"),
        end_head=sha("b"),
        archive=sha("c"),
        outcome=Outcome.TURN_LIMIT,
        detail="30 turns",
        usage=Usage(input=1, output=2, cache_read=3, cache_creation=4),
        cost_usd=0.5,
        turns=30,
        exit_code=-9,
        log_path="runs/1.log",
        ended_at=later(8.5),
    )
    assert await store.transact(lambda tx: tx.save_run(full))
    assert await store.read(lambda tx: tx.load_run(full.id)) == full
    assert await store.read(lambda tx: tx.session_total(full.task, "s-1")) == 1.25
    assert await store.read(lambda tx: tx.session_total(full.task, "s-2")) == 0.0


async def test_G5_a_run_writes_once_and_never_after_its_end(store: Store) -> None:
    await add_job(store, await add_task(store))
    found = await claim(store)
    assert isinstance(found, Claimed)
    run = found.run
    assert await store.transact(lambda tx: tx.save_run(replace(run, session="s-1")))
    ended = replace(run, outcome=Outcome.FAILED, ended_at=later(1))
    assert await store.transact(lambda tx: tx.save_run(ended))
    assert not await store.transact(lambda tx: tx.save_run(replace(run, outcome=Outcome.SUCCEEDED, ended_at=later(2))))
    assert await store.read(lambda tx: tx.load_run(run.id)) == ended


async def test_G5_a_run_of_an_older_attempt_writes_nothing(store: Store) -> None:
    task = await add_task(store)
    await add_job(store, task)
    found = await claim(store)
    assert isinstance(found, Claimed)
    await store.transact(lambda tx: tx.save_task(replace(found.task, attempt=Attempt(2))))
    assert not await store.transact(lambda tx: tx.save_run(replace(found.run, outcome=Outcome.SUCCEEDED)))
    forged = replace(found.run, attempt=Attempt(2), outcome=Outcome.SUCCEEDED)
    assert not await store.transact(lambda tx: tx.save_run(forged))
    with pytest.raises(LeaseLost):
        await store.transact(lambda tx: tx.start_run(found.task, kind=RunKind.CI, job=None, role=None, at=NOW))


@pytest.mark.parametrize("cost", [float("nan"), float("inf")])
async def test_a_cost_that_is_no_number_does_not_stop_a_run_from_ending(store: Store, cost: float) -> None:
    await add_job(store, await add_task(store))
    found = await claim(store)
    assert isinstance(found, Claimed)
    ended = replace(found.run, outcome=Outcome.SUCCEEDED, cost_usd=cost, usage=Usage(input=2**70), ended_at=later(1))
    assert await store.transact(lambda tx: tx.save_run(ended))
    run = await store.read(lambda tx: tx.load_run(found.run.id))
    assert run is not None
    assert (run.cost_usd, run.usage.input) == (0.0, 2**63 - 1)


async def test_a_job_ends_at_the_clocks_time(store: Store, clock: ManualClock) -> None:
    job = await add_job(store, await add_task(store))
    clock.tick(7)
    await store.transact(lambda tx: tx.end_job(job.id, JobState.FAILED))
    ended = await store.read(lambda tx: tx.load_job(job.id))
    assert ended is not None
    assert (ended.state, ended.updated_at) == (JobState.FAILED, later(7))
