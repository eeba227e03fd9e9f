"""Snapshots out of a real store (SQLite in memory): what people see is what is there, bounded, under either name."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from orch.adapters.store.schema import open_writer
from orch.adapters.store.transaction import make_tx
from orch.core.budget import next_day
from orch.core.ids import CheckId, IssueId, JobId, ProjectName, Sha, TaskRow
from orch.core.model import (
    Awaiting,
    BoardIssue,
    Candidate,
    CheckRow,
    Freeze,
    FreezeCause,
    IntentKind,
    JobState,
    Limits,
    Member,
    NewJob,
    NewOutbox,
    NewTask,
    Outcome,
    Park,
    ParkReason,
    Repo,
    RowState,
    Target,
    Task,
    TrainRow,
    Usage,
)
from orch.core.stages import Role, Stage
from orch.core.statuses import DEFAULT_NAMES, BoardState, Status
from orch.ports import Claimed, Tx
from orch.snapshots import Present, load_queue, load_snapshot, load_task, load_task_view, load_why
from tests.core.samples import NOW, SHA_A, SHA_B, ago

SHOP = ProjectName("shop")
LIMITS = Limits()
GATED = Limits(serial_gate=frozenset({SHOP}))
BLOCKS = {"jobs", "tasks", "serial_gate", "task_deps", "merge", "deploy", "stop", "reconcile", "agents", "budget", "outbox"}
T = TypeVar("T")


@pytest.fixture
def tx() -> Iterator[Tx]:
    connection = open_writer(None)
    try:
        yield make_tx(connection, lambda: NOW)
    finally:
        connection.close()


def enter(tx: Tx, number: int, **changes: Any) -> Task:
    """Put issue SHOP-*number* into the line and change its task's fields."""
    issue = IssueId(f"SHOP-{number}")
    new = NewTask(
        project=SHOP,
        issue=issue,
        prefix="SHOP",
        sequence=number,
        title=f"Title {number}",
        description="",
        slug="title",
        url="",
        at=ago(hours=1),
    )
    task = tx.insert_task(new)
    assert task is not None
    if changes:
        task = replace(task, **changes)
        tx.save_task(task)
    return task


def add_issue(tx: Tx, number: int, state: str = "id-backlog", title: str = "A card") -> None:
    tx.insert_issue(
        BoardIssue(
            id=IssueId(f"SHOP-{number}"),
            project=SHOP,
            sequence=number,
            title=title,
            text="",
            slug="a-card",
            state_id=state,
            updated_at=NOW,
            created_at=NOW,
        )
    )


def queue(tx: Tx, task: Task, **changes: Any) -> JobId:
    new = NewJob(task=task.row, project=SHOP, stage=task.stage, role=Role.ANALYST, at=ago(minutes=4))
    job = tx.add_job(replace(new, **changes))
    assert job is not None
    return job.id


def claim(tx: Tx) -> Claimed:
    claimed = tx.claim_job(ago(minutes=3), LIMITS)
    assert isinstance(claimed, Claimed)
    return claimed


def finish(tx: Tx, **changes: Any) -> None:
    """Claim the next job and end its run well."""
    run = claim(tx).run
    ended = replace(run, outcome=Outcome.SUCCEEDED, ended_at=ago(minutes=1), **changes)
    assert tx.save_run(ended)
    assert run.job is not None
    tx.end_job(run.job, JobState.DONE)


def sent(snapshot: dict[str, object] | None) -> Any:
    """Return the snapshot as a client gets it: through JSON, unchanged."""
    assert snapshot is not None
    received = json.loads(json.dumps(snapshot))
    assert received == snapshot
    return received


# ------------------------------------------------------------------------------------------------ the list


def test_an_empty_store_gives_an_empty_snapshot(tx: Tx) -> None:
    shown = sent(load_snapshot(tx, NOW))
    assert shown["tasks"] == shown["issues"] == shown["projects"] == []
    assert shown["totals"]["tasks"] == 0


def test_a_registered_project_is_shown_before_anything_of_it_exists(tx: Tx) -> None:
    shown = sent(load_snapshot(tx, NOW, projects=[SHOP]))
    assert shown["projects"] == [
        {"name": "shop", "board": None, "paused": False, "freeze": None, "serial_gate": False, "main": None}
    ]
    gated = sent(load_snapshot(tx, NOW, projects=[SHOP], limits=GATED))
    assert gated["projects"][0]["serial_gate"] is True


def test_live_tasks_come_first_then_the_newest_finished_ones(tx: Tx) -> None:
    for number in range(1, 7):
        stage = Stage.DONE if number in {1, 2, 5} else Stage.REVIEW
        enter(tx, number, stage=stage)
    ids = [task["id"] for task in sent(load_snapshot(tx, NOW, limit=5))["tasks"]]
    assert ids == ["SHOP-3", "SHOP-4", "SHOP-6", "SHOP-5", "SHOP-2"]


def test_the_list_says_when_there_may_be_more(tx: Tx) -> None:
    for number in range(1, 4):
        enter(tx, number)
    assert sent(load_snapshot(tx, NOW, limit=3))["totals"]["more"] is True
    shown = sent(load_snapshot(tx, NOW, limit=4))
    assert shown["totals"]["more"] is False
    assert shown["totals"]["by_status"] == {"analysis": 3}


def test_a_task_shows_its_runs_added_up_and_so_do_the_totals(tx: Tx) -> None:
    for number in (1, 2):
        queue(tx, enter(tx, number))
        finish(tx, cost_usd=0.5, usage=Usage(input=10, output=5, cache_read=100, cache_creation=1))
    shown = sent(load_snapshot(tx, NOW))
    first = shown["tasks"][0]
    assert (first["runs"], first["cost_usd"], first["tokens_in"], first["tokens_cached"], first["tokens_out"]) == (
        1,
        0.5,
        111,
        100,
        5,
    )
    totals = shown["totals"]
    assert (totals["runs"], totals["cost_usd"], totals["tokens_in"]) == (2, 1.0, 222)


def test_the_boards_issues_are_shown_by_logical_key_with_their_task(tx: Tx) -> None:
    states = [BoardState(id=f"id-{status}", name=DEFAULT_NAMES[status]) for status in Status]
    tx.save_states(SHOP, [*states, BoardState(id="own", name="Someone's own")])
    add_issue(tx, 1, title="Free")
    add_issue(tx, 2, state="id-in_review")
    add_issue(tx, 3, state="own")
    enter(tx, 2, awaiting=Awaiting.APPROVAL)
    enter(tx, 3, stage=Stage.DONE)
    rows = sent(load_snapshot(tx, NOW, limit=2))["issues"]
    assert [(row["id"], row["status"], row["task"]) for row in rows] == [
        ("SHOP-2", "in_review", "SHOP-2"),
        ("SHOP-3", "Someone's own", "SHOP-3"),
    ]
    rows = sent(load_snapshot(tx, NOW))["issues"]
    assert (rows[0]["title"], rows[0]["status"], rows[0]["task"]) == ("Free", "backlog", None)


def test_a_projects_pause_and_freeze_are_shown(tx: Tx) -> None:
    enter(tx, 1)
    tx.save_repo(Repo(project=SHOP, paused=True, main=SHA_A))
    tx.set_freeze(Freeze(project=SHOP, cause=FreezeCause.PERSON, since=ago(hours=1), by="ann", detail="release day"))
    (project,) = sent(load_snapshot(tx, NOW))["projects"]
    assert project["paused"] is True
    assert project["main"] == SHA_A
    assert (project["freeze"]["cause"], project["freeze"]["by"], project["freeze"]["detail"]) == ("person", "ann", "release day")


def test_the_work_of_a_snapshot_follows_its_limit_and_not_the_store(tmp_path: Path) -> None:
    def statements(finished: int) -> int:
        connection = open_writer(tmp_path / f"{finished}.db")
        try:
            tx = make_tx(connection, lambda: NOW)
            for number in range(1, finished + 1):
                enter(tx, number, stage=Stage.DONE)
            queue(tx, enter(tx, finished + 1))
            seen: list[str] = []
            connection.set_trace_callback(seen.append)
            load_snapshot(tx, NOW, limit=20)
            connection.set_trace_callback(None)
            return len(seen)
        finally:
            connection.close()

    few, many = statements(30), statements(300)
    assert few == many
    assert few < 20 * 8


# ------------------------------------------------------------------------------------------------ one task


@pytest.mark.parametrize("name", ["SHOP-12", "shop-12", " Shop-12 "])
def test_a_name_is_a_work_item_or_an_issue_key_in_any_case(tx: Tx, name: str) -> None:
    enter(tx, 12)
    assert sent(load_task(tx, name, NOW))["id"] == "SHOP-12"
    assert load_why(tx, name, NOW) is not None


def test_a_boards_own_id_names_the_task_too(tx: Tx) -> None:
    uuid = IssueId("0b0e6c3a-5a5e-4b4c-9f8e-000000000001")
    new = NewTask(
        project=SHOP, issue=uuid, prefix="SHOP", sequence=3, title="Title", description="", slug="title", url="", at=NOW
    )
    assert tx.insert_task(new) is not None
    assert sent(load_task(tx, uuid.upper(), NOW))["id"] == "SHOP-3"


@pytest.mark.parametrize("name", ["SHOP-99", "", "  ", "'; DROP TABLE task; --", "%", "x" * 5_000, "\x00"])
def test_an_unknown_name_is_none(tx: Tx, name: str) -> None:
    enter(tx, 12)
    assert load_task(tx, name, NOW) is None
    assert load_why(tx, name, NOW) is None


def test_the_why_of_a_card_that_never_entered_the_line_says_how_to_start(tx: Tx) -> None:
    add_issue(tx, 4)
    told = load_why(tx, "shop-4", NOW)
    assert told is not None
    assert "To Analyse" in told
    assert load_why(tx, "shop-4", NOW, "ru") != told
    assert load_task(tx, "shop-4", NOW) is None


def test_dependencies_are_named_as_people_name_them_and_hold_until_they_end(tx: Tx) -> None:
    first, second = enter(tx, 1), enter(tx, 2)
    queue(tx, second)
    assert tx.add_dependency(SHOP, second.issue, first.issue, NOW) is None
    assert "waits for SHOP-1" in str(load_why(tx, "SHOP-2", NOW))
    assert sent(load_task(tx, "SHOP-2", NOW))["dependencies"] == [{"name": "SHOP-1", "open": True}]
    tx.save_task(replace(first, stage=Stage.DONE))
    assert "free slot" in str(load_why(tx, "SHOP-2", NOW))
    assert sent(load_task(tx, "SHOP-2", NOW))["dependencies"] == [{"name": "SHOP-1", "open": False}]


def test_G14_dependencies_that_are_switched_off_are_shown_but_not_waited_for(tx: Tx) -> None:
    first, second = enter(tx, 1), enter(tx, 2)
    queue(tx, second)
    tx.add_dependency(SHOP, second.issue, first.issue, NOW)
    off = replace(LIMITS, task_deps_enabled=False)
    assert "free slot" in str(load_why(tx, "SHOP-2", NOW, limits=off))
    block = sent(load_queue(tx, NOW, off))["task_deps"]
    waits = {"id": "SHOP-2", "on": ["SHOP-1"], "open": [], "board": []}
    assert block == {"enabled": False, "source": "db", "tasks": [waits]}


def test_the_queue_says_which_dependencies_are_the_boards(tx: Tx) -> None:
    first, second, third = enter(tx, 1), enter(tx, 2), enter(tx, 3)
    tx.add_dependency(SHOP, third.issue, first.issue, NOW)
    tx.set_relations(SHOP, third.issue, {second.issue: False}, NOW)
    block = sent(load_queue(tx, NOW, replace(LIMITS, task_deps_from_board=True)))["task_deps"]
    [waits] = block["tasks"]
    assert (block["source"], waits["board"]) == ("plane", ["SHOP-2"])
    assert sorted(waits["on"]) == sorted(waits["open"]) == ["SHOP-1", "SHOP-2"]


def test_the_detail_has_runs_history_and_the_running_role(tx: Tx) -> None:
    queue(tx, enter(tx, 1))
    run = claim(tx).run
    detail = sent(load_task(tx, "SHOP-1", NOW, limits=LIMITS))
    assert detail["role"] == "analyst"
    assert [(row["n"], row["outcome"]) for row in detail["runs"]] == [(int(run.id), None)]
    assert detail["job"]["state"] == "running"
    assert "The Analyst works on it" in detail["waiting"]


def test_one_task_for_the_live_feed_is_the_same_as_in_the_list(tx: Tx) -> None:
    task = enter(tx, 1)
    assert load_task_view(tx, task.row, NOW) == load_snapshot(tx, NOW)["tasks"][0]  # type: ignore[index]
    assert load_task_view(tx, TaskRow(99), NOW) is None


# ------------------------------------------------------------------------------------------------ the queue


def test_the_queue_has_every_block_even_when_nothing_is_there(tx: Tx) -> None:
    shown = sent(load_queue(tx, NOW, LIMITS))
    assert shown.keys() >= BLOCKS
    assert shown["agents"]["slots"] == 2
    assert shown["jobs"] == {"queued": [], "running": [], "more": False}


def test_jobs_are_listed_in_the_order_in_which_they_are_claimed_with_their_why(tx: Tx) -> None:
    queue(tx, enter(tx, 1))
    queue(tx, enter(tx, 2), not_before=NOW + timedelta(minutes=1))
    queue(tx, enter(tx, 3), priority=5)
    jobs = sent(load_queue(tx, NOW, LIMITS))["jobs"]["queued"]
    assert [job["task"] for job in jobs] == ["SHOP-3", "SHOP-1", "SHOP-2"]
    assert "0 of 2 busy" in jobs[0]["waiting"]
    assert "tried again" in jobs[2]["waiting"]


def test_running_agents_fill_their_block(tx: Tx) -> None:
    queue(tx, enter(tx, 1))
    claim(tx)
    agents = sent(load_queue(tx, NOW, LIMITS))["agents"]
    assert (agents["busy"], agents["running"][0]["task"], agents["running"][0]["role"]) == (1, "SHOP-1", "analyst")


def test_the_landing_queue_is_shown_in_its_order_and_each_task_knows_its_place(tx: Tx) -> None:
    landing = {"stage": Stage.DEPLOY_STAGING, "awaiting": Awaiting.LANDING}
    enter(tx, 1, train_seq=1, **landing)
    enter(tx, 2, train_seq=2, exempt=True, **landing)
    parked = Park(reason=ParkReason.NO_CI, since=NOW, evidence="")
    enter(tx, 3, train_seq=3, park=parked, **landing)
    (train,) = sent(load_queue(tx, NOW, LIMITS))["merge"]["queues"]
    assert [(member["id"], member["position"]) for member in train["members"]] == [("SHOP-2", 1), ("SHOP-1", 2)]
    assert "number 2 in the queue" in str(load_why(tx, "SHOP-1", NOW))


def test_a_landing_in_its_critical_window_is_shown(tx: Tx) -> None:
    task = enter(tx, 1, stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING, train_seq=1, head=SHA_A)
    member = Member(task=task.row, head=SHA_A)
    tree = Sha("c" * 40)
    candidate = Candidate(project=SHOP, base=SHA_A, sha=SHA_B, tree=tree, members=(member,), landed={task.row: SHA_B})
    tx.add_intent(IntentKind.LAND, tx.take_lease(SHOP, "repo"), candidate=candidate, task=None, at=ago(seconds=5))
    (landing,) = sent(load_queue(tx, NOW, LIMITS))["merge"]["landing"]
    assert (landing["project"], landing["sha"], landing["base"], landing["members"]) == ("shop", SHA_B, SHA_A, ["SHOP-1"])


def test_the_train_shows_what_is_tested_who_is_held_and_how_it_does(tx: Tx) -> None:
    landing = {"stage": Stage.DEPLOY_STAGING, "awaiting": Awaiting.LANDING, "head": SHA_A}
    first, second, third = (enter(tx, n, train_seq=n, **landing) for n in (1, 2, 3))
    members = tuple(Member(task=task.row, head=SHA_A) for task in (first, second))
    check = CheckRow(
        id=CheckId(0),
        project=SHOP,
        base=SHA_A,
        sha=SHA_B,
        tree=SHA_B,
        members=members,
        environment="e",
        started_at=ago(seconds=7),
    )
    tx.add_check(check)
    ended = tx.add_check(replace(check, members=()))
    tx.end_check(replace(ended, verdict="green", seconds=3.0, ended_at=NOW))
    held = ((third.row, "It conflicts with SHOP-1."),)
    row = TrainRow(project=SHOP, width=9, held=held, landings=2, landed=6, ejected=2, checks=9, wasted=1, waits=(1.0, 2.0, 3.0))
    tx.save_train(replace(row, frozen_s=10.0, frozen_since=ago(seconds=5)))
    (train,) = sent(load_queue(tx, NOW, LIMITS))["merge"]["queues"]
    assert (train["width"], train["slots"], train["merge_gate"]) == (9, LIMITS.test_slots, True)
    assert [(run["members"], run["verdict"], run["seconds"]) for run in train["checks"]] == [(["SHOP-1", "SHOP-2"], None, 7.0)]
    assert [(run["members"], run["verdict"], run["seconds"]) for run in train["ended"]] == [([], "green", 3.0)]
    assert [member["held"] for member in train["members"]] == ["", "", "It conflicts with SHOP-1."]
    assert (train["runs_per_landed"], train["red_share"], train["wait_s"], train["frozen_s"]) == (
        1.5,
        0.25,
        {"p50": 2.0, "p95": 2.9},
        15.0,
    )
    assert "Being tested now: SHOP-1, SHOP-2" in str(load_why(tx, "SHOP-2", NOW))
    assert "It conflicts with SHOP-1." in str(load_why(tx, "SHOP-3", NOW))


def test_stops_deploys_freezes_and_pauses_have_their_blocks(tx: Tx) -> None:
    enter(tx, 1, cancel_requested_at=ago(seconds=2))
    enter(tx, 2, stage=Stage.DEPLOY, awaiting=Awaiting.CONFIRM, landed=SHA_A)
    enter(tx, 3, stage=Stage.DEPLOY, awaiting=Awaiting.DEPLOYING, landed=SHA_B)
    tx.save_repo(Repo(project=SHOP, paused=True))
    tx.set_freeze(Freeze(project=SHOP, cause=FreezeCause.RED_MAIN, since=NOW, by="orch"))
    shown = sent(load_queue(tx, NOW, LIMITS))
    assert [row["id"] for row in shown["stop"]["pending"]] == ["SHOP-1"]
    assert [row["sha"] for row in shown["deploy"]["awaiting"]] == [SHA_A]
    assert [row["id"] for row in shown["deploy"]["running"]] == ["SHOP-3"]
    assert shown["serial_gate"]["paused"] == ["shop"]
    assert shown["serial_gate"]["freezes"][0]["cause"] == "red-main"


def test_the_serial_gate_shows_whom_it_holds_and_each_task_says_who_comes_before_it(tx: Tx) -> None:
    for number in range(1, 6):
        queue(tx, enter(tx, number, exempt=number == 4))
    tx.add_dependency(SHOP, IssueId("SHOP-1"), IssueId("SHOP-5"), NOW)
    block = sent(load_queue(tx, NOW, GATED))["serial_gate"]
    assert (block["enabled"], block["projects"], block["fixes"]) == (True, ["shop"], ["SHOP-4"])
    assert block["held"] == [{"id": "SHOP-3", "by": "SHOP-2"}, {"id": "SHOP-5", "by": "SHOP-2"}]
    told = load_why(tx, "SHOP-3", NOW, limits=GATED)
    assert told is not None
    assert "SHOP-2" in told
    assert "orch fix SHOP-3" in told
    assert "slot" in (load_why(tx, "SHOP-2", NOW, limits=GATED) or "")
    assert "SHOP-5" in (load_why(tx, "SHOP-1", NOW, limits=GATED) or "")


def test_G14_where_the_gate_is_off_nobody_is_said_to_be_held(tx: Tx) -> None:
    for number in (1, 2):
        queue(tx, enter(tx, number))
    block = sent(load_queue(tx, NOW, LIMITS))["serial_gate"]
    assert (block["enabled"], block["projects"], block["held"]) == (False, [], [])
    assert "slot" in (load_why(tx, "SHOP-2", NOW, limits=LIMITS) or "")


def test_a_frozen_project_is_in_the_queue_without_any_task(tx: Tx) -> None:
    tx.set_freeze(Freeze(project=SHOP, cause=FreezeCause.PERSON, since=NOW, by="anna"))
    block = sent(load_queue(tx, NOW, LIMITS, projects=[SHOP]))["serial_gate"]
    assert [freeze["project"] for freeze in block["freezes"]] == ["shop"]


def test_the_outbox_shows_what_waits_and_what_was_given_up_without_the_texts(tx: Tx) -> None:
    task = enter(tx, 1)
    rows = []
    for key in ("one", "two"):
        new = NewOutbox(
            project=SHOP, task=task.row, target=Target.BOARD, kind="Comment", payload={"text": "private"}, key=key, at=NOW
        )
        rows.append(tx.add_outbox(new))
    assert rows[1] is not None
    tx.end_outbox(rows[1], RowState.PARKED, "403\nforbidden")
    block = sent(load_queue(tx, NOW, LIMITS))["outbox"]
    assert [(row["task"], row["kind"]) for row in block["pending"]] == [("SHOP-1", "Comment")]
    assert [row["error"] for row in block["parked"]] == ["403 forbidden"]
    assert "private" not in json.dumps(block)


def test_without_budgets_the_block_says_so_and_tells_what_the_day_cost(tx: Tx) -> None:
    budget = sent(load_queue(tx, NOW, LIMITS))["budget"]
    day = {"limit_usd": None, "spent_usd": 0.0, "resets_at": next_day(NOW).isoformat(), "open": True}
    assert budget == {"enabled": False, "day": day, "tasks": []}


def test_the_queue_shows_how_the_last_poll_of_each_project_went(tx: Tx) -> None:
    polls = {"shop": {"error": "it is down", "polls": 3}}
    shown = sent(load_queue(tx, NOW, LIMITS, present=Present(polls=polls)))["reconcile"]
    assert (shown["enabled"], shown["interval_s"], shown["projects"], shown["inbox"]) == (True, 60.0, polls, 0)


Load = Callable[[Tx, datetime], object]


@pytest.mark.parametrize("load", [load_snapshot, lambda tx, now: load_queue(tx, now, LIMITS)])
def test_hostile_titles_survive_the_way_out(tx: Tx, load: Load) -> None:
    add_issue(tx, 1, title="\x1b[31m</script>\u202e")
    enter(tx, 1, title="\x1b[31m</script>\u202e", note="\x1b]0;x\x07" * 100)
    text = json.dumps(load(tx, NOW), ensure_ascii=False)
    assert "\x1b" not in text
    assert "\\u001b" not in text
    assert "\u202e" not in text
