"""Tasks in the store: their names, their one-per-issue rule, their fence, their order."""

from dataclasses import replace
from typing import Any

import pytest

from orch.core.errors import LeaseLost
from orch.core.ids import Attempt, Branch, IssueId, ProjectName, TaskRow, WorkItemId
from orch.core.model import Awaiting, CiState, Counters, Finding, NewTask, Outcome, ParkReason, RunKind, Task, Transition
from orch.core.stages import Stage
from orch.ports import Store
from tests.builders import (
    DEMO,
    NOW,
    add_job,
    add_task,
    later,
    make_issue,
    make_limits,
    make_new_task,
    make_park,
    make_transition,
    make_verdict,
    sha,
)

OTHER = ProjectName("other")


async def insert(store: Store, new: NewTask) -> Task | None:
    return await store.transact(lambda tx: tx.insert_task(new))


async def record(store: Store, line: Transition) -> None:
    await store.transact(lambda tx: tx.add_transition(line))


async def finish(store: Store, task: Task, stage: Stage) -> Task:
    ended = replace(task, stage=stage, finished_at=NOW)
    await store.transact(lambda tx: tx.save_task(ended))
    return ended


async def test_a_new_task_stands_in_analysis_with_names_of_its_own(store: Store) -> None:
    task = await insert(store, make_new_task(12, slug="say-hello"))
    assert task is not None
    assert (task.work_item, task.branch, task.branch_take) == ("DEMO-12", "feature/DEMO-12-say-hello", 1)
    assert (task.stage, task.awaiting, task.attempt) == (Stage.ANALYSIS, Awaiting.AGENT, 0)
    assert await store.read(lambda tx: tx.load_task(task.row)) == task


async def test_every_field_of_a_task_is_kept(store: Store) -> None:
    task = await add_task(store, 1, exempt=True, url="https://board.example/1")
    full = replace(
        task,
        issue=IssueId("uuid-1"),
        stage=Stage.DEPLOY_STAGING,
        awaiting=Awaiting.LANDING,
        park=make_park(ParkReason.BUDGET, evidence="spent 5 of 5 US$"),
        attempt=Attempt(7),
        base=sha("a"),
        head=sha("b"),
        code_head=sha("c"),
        shown=sha("d"),
        ci=CiState.SUCCESS,
        pr_number=4,
        train_seq=9,
        landed=sha("e"),
        deployed=True,
        counters=Counters(review=2, land_red=1),
        note="main's working tree is dirty",
        cancel_requested_at=later(1.000001),
        updated_at=later(2),
        finished_at=later(3),
    )
    await store.transact(lambda tx: tx.save_task(full))
    assert await store.read(lambda tx: tx.load_task(task.row)) == full


async def test_G2_an_issue_has_one_live_task_and_another_when_that_is_over(store: Store) -> None:
    first = await add_task(store, 1)
    assert await insert(store, make_new_task(1)) is None
    assert await store.read(lambda tx: tx.live_task(DEMO, first.issue)) == first
    done = await finish(store, first, Stage.DONE)
    assert await store.read(lambda tx: tx.live_task(DEMO, first.issue)) is None
    second = await add_task(store, 1)
    assert second.row > first.row
    assert await store.read(lambda tx: tx.newest_task(DEMO, first.issue)) == second
    assert await store.read(lambda tx: tx.load_task(first.row)) == done


@pytest.mark.parametrize(
    ("ended_as", "work_item", "branch"),
    [
        (Stage.DONE, "DEMO-3", "feature/DEMO-3-add-a-greeting"),
        (Stage.CANCELLED, "DEMO-1", "feature/DEMO-1-add-a-greeting-2"),
    ],
)
async def test_a_cancelled_task_gives_its_id_back_but_never_its_branch(
    store: Store, ended_as: Stage, work_item: str, branch: str
) -> None:
    first = await add_task(store, 1)
    await add_task(store, 2)
    await finish(store, first, ended_as)
    again = await add_task(store, 1)
    assert (again.work_item, again.branch) == (work_item, branch)


async def test_a_cancelled_task_may_carry_suffixed_names_and_is_still_found(store: Store) -> None:
    first = await add_task(store, 1)
    suffixed = replace(
        first,
        stage=Stage.CANCELLED,
        issue=IssueId("DEMO-1#cancelled-1"),
        work_item=WorkItemId("DEMO-1#cancelled-1"),
        branch=Branch(f"{first.branch}#cancelled-1"),
    )
    await store.transact(lambda tx: tx.save_task(suffixed))
    assert await store.read(lambda tx: tx.newest_task(DEMO, first.issue)) == suffixed
    assert await store.read(lambda tx: tx.find_task("demo-1#cancelled-1")) == suffixed
    again = await add_task(store, 1)
    assert (again.work_item, again.branch) == ("DEMO-1", "feature/DEMO-1-add-a-greeting-2")
    assert await store.read(lambda tx: tx.find_task("DEMO-1")) == again


async def test_the_next_free_number_is_not_one_that_another_local_issue_was_promised(store: Store) -> None:
    await store.transact(lambda tx: tx.insert_issue(make_issue(1)))
    await store.transact(lambda tx: tx.insert_issue(make_issue(2)))
    await finish(store, await add_task(store, 1), Stage.DONE)
    adopted = await add_task(store, 1)
    assert adopted.work_item == "DEMO-3"
    assert await store.read(lambda tx: tx.next_issue_sequence(DEMO)) == 4
    assert (await add_task(store, 2)).work_item == "DEMO-2"


async def test_two_projects_do_not_share_numbers(store: Store) -> None:
    await add_task(store, 1)
    other = await add_task(store, 1, project=OTHER, prefix="OTH")
    assert (other.work_item, other.project) == ("OTH-1", OTHER)


@pytest.mark.parametrize(("name", "row"), [("DEMO-1", 1), ("demo-1 ", 1), ("UUID-2", 2), ("demo-2", 2), ("DEMO-9", None)])
async def test_a_task_is_found_by_either_name_in_any_case(store: Store, name: str, row: int | None) -> None:
    await add_task(store, 1)
    await add_task(store, 2, issue=IssueId("uuid-2"))
    found = await store.read(lambda tx: tx.find_task(name))
    assert (found and found.row) == row


async def test_a_task_that_was_read_before_a_later_attempt_is_not_saved(store: Store) -> None:
    task = await add_task(store)
    await store.transact(lambda tx: tx.save_task(replace(task, attempt=Attempt(2))))
    with pytest.raises(LeaseLost, match="attempt 2"):
        await store.transact(lambda tx: tx.save_task(replace(task, attempt=Attempt(1), note="late")))
    with pytest.raises(LeaseLost):
        await store.transact(lambda tx: tx.save_verdict(make_verdict(task, attempt=Attempt(1))))
    kept = await store.read(lambda tx: tx.load_task(task.row))
    assert kept is not None
    assert kept.note == ""


async def test_G5_a_stop_ends_the_runs_that_its_fence_overtakes(store: Store) -> None:
    task = await add_task(store)
    await add_job(store, task)
    claimed = await store.transact(lambda tx: tx.claim_job(NOW, make_limits()))
    assert not hasattr(claimed, "due_at")
    stopped = replace(claimed.task, attempt=Attempt(claimed.task.attempt + 1), updated_at=later(9))
    await store.transact(lambda tx: tx.save_task(stopped))
    assert await store.read(lambda tx: tx.list_runs(running=True)) == []
    run = await store.read(lambda tx: tx.load_run(claimed.run.id))
    assert run is not None
    assert (run.outcome, run.ended_at) == (Outcome.CANCELLED, later(9))


@pytest.mark.parametrize(
    ("live", "newest_first", "limit", "rows"),
    [
        (None, False, 9, [1, 2, 3]),
        (True, False, 9, [1, 3]),
        (False, False, 9, [2]),
        (None, True, 2, [3, 2]),
        (True, True, 1, [3]),
    ],
)
async def test_lists_of_tasks(store: Store, live: bool | None, newest_first: bool, limit: int, rows: list[int]) -> None:
    for number in (1, 2, 3):
        task = await add_task(store, number)
        if number == 2:
            await finish(store, task, Stage.DONE)
    await add_task(store, 1, project=OTHER, prefix="OTH")
    found = await store.read(lambda tx: tx.list_tasks(project=DEMO, live=live, newest_first=newest_first, limit=limit))
    assert [task.row for task in found] == rows


async def test_the_landing_queue_has_fixes_first_then_its_order(store: Store) -> None:
    queue: tuple[dict[str, Any], ...] = (
        {"train_seq": 3},
        {"train_seq": 1},
        {"train_seq": 4, "exempt": True},
        {"train_seq": 2, "park": make_park()},
        {},
        {"train_seq": 5, "stage": Stage.CANCELLED},
    )
    for number, fields in enumerate(queue, start=1):
        await add_task(store, number, **fields)
    assert [task.row for task in await store.read(lambda tx: tx.landing_queue(DEMO))] == [3, 2, 1]
    assert await store.read(lambda tx: tx.next_train_seq(DEMO)) == 6
    assert await store.read(lambda tx: tx.next_train_seq(OTHER)) == 1


async def test_history_and_verdicts_are_kept_in_order(store: Store) -> None:
    task = await add_task(store)
    lines = [
        make_transition(task),
        make_transition(task, source=Stage.ANALYSIS, target=Stage.ARCHITECTURE, cause="approved", detail="plan", by="anna"),
    ]
    for line in lines:
        await record(store, line)
    assert await store.read(lambda tx: tx.list_transitions(task.row)) == lines
    run = await store.transact(lambda tx: tx.start_run(task, kind=RunKind.CI, job=None, role=None, at=NOW))
    first = make_verdict(task, findings=(Finding(title="naming", path="a.py"),), run=run.id, blob=sha("f"))
    second = make_verdict(task, at=later(1), code_head=None)
    await store.transact(lambda tx: tx.save_verdict(first))
    assert await store.read(lambda tx: tx.latest_verdict(task.row, Stage.REVIEW)) == first
    await store.transact(lambda tx: tx.save_verdict(second))
    assert await store.read(lambda tx: tx.latest_verdict(task.row, Stage.REVIEW)) == second
    assert await store.read(lambda tx: tx.latest_verdict(TaskRow(task.row), Stage.TESTING)) is None
