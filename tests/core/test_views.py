"""What people are shown of a task: the status, the why, the views. Everything is derived from the task and its facts."""

import json
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.budget import Purse
from orch.core.ids import ProjectName, TaskRow
from orch.core.model import (
    Account,
    AccountPause,
    Awaiting,
    Freeze,
    FreezeCause,
    JobState,
    Outcome,
    Park,
    ParkReason,
    Repo,
    RunKind,
    Task,
    Transition,
)
from orch.core.room import Resource, Shortage
from orch.core.stages import TERMINAL, Role, Stage
from orch.core.statuses import TRIGGERS, Status
from orch.core.task_facts import TaskFacts, status_of
from orch.core.views import stage_seconds, task_detail, task_view
from orch.core.why import why
from tests.builders import make_deploy
from tests.core.samples import NOW, SHA_A, SHA_B, ago, make_job, make_run, make_task

SPENT = Purse(limit_usd=5.0, spent_usd=5.5)
PARK = Park(reason=ParkReason.NO_CI, since=ago(hours=1), evidence="no status for it in 600 s")
SHOP = ProjectName("shop")


def frozen(cause: FreezeCause = FreezeCause.RED_MAIN, *, by: str = "orch", detail: str = "") -> Repo:
    return Repo(project=SHOP, freeze=Freeze(project=SHOP, cause=cause, since=ago(minutes=30), by=by, detail=detail))


# ------------------------------------------------------------------------------------------------ status

SPECIAL = {
    (Stage.ANALYSIS, Awaiting.APPROVAL): Status.IN_REVIEW,
    (Stage.ANALYSIS, Awaiting.INPUT): Status.NEEDS_INPUT,
    (Stage.DEPLOY, Awaiting.DEPLOYING): Status.DEPLOYING,
    (Stage.DEPLOY, Awaiting.CONFIRM): Status.AWAITING_DEPLOY,
    (Stage.DEPLOY, Awaiting.DEPLOY_TURN): Status.AWAITING_DEPLOY,
}
USUAL = {
    Stage.ANALYSIS: Status.ANALYSIS,
    Stage.ARCHITECTURE: Status.IN_PROGRESS,
    Stage.DEVELOPMENT: Status.IN_PROGRESS,
    Stage.REVIEW: Status.CODE_REVIEW,
    Stage.TESTING: Status.TESTING,
    Stage.DEPLOY_STAGING: Status.IN_PROGRESS,
    Stage.DEPLOY: Status.IN_PROGRESS,
    Stage.DONE: Status.DONE,
    Stage.CANCELLED: Status.CANCELLED,
}


@pytest.mark.parametrize(("stage", "awaiting"), list(product(Stage, Awaiting)))
def test_the_status_of_every_state(stage: Stage, awaiting: Awaiting) -> None:
    expected = SPECIAL.get((stage, awaiting), USUAL[stage])
    assert status_of(make_task(stage=stage, awaiting=awaiting)) is expected


@pytest.mark.parametrize(("stage", "awaiting", "reason"), list(product(Stage, Awaiting, ParkReason)))
def test_a_parked_task_is_blocked_unless_it_is_at_its_end(stage: Stage, awaiting: Awaiting, reason: ParkReason) -> None:
    park = Park(reason=reason, since=NOW, evidence="")
    expected = USUAL[stage] if stage in TERMINAL else Status.BLOCKED
    assert status_of(make_task(stage=stage, awaiting=awaiting, park=park)) is expected


@pytest.mark.parametrize(("stage", "awaiting", "park"), list(product(Stage, Awaiting, [None, PARK])))
def test_G8_the_shown_status_is_never_a_trigger(stage: Stage, awaiting: Awaiting, park: Park | None) -> None:
    assert status_of(make_task(stage=stage, awaiting=awaiting, park=park)) not in TRIGGERS


# ------------------------------------------------------------------------------------------------ why

SHORT = (
    Shortage(resource=Resource.DISK, free_mb=10, floor_mb=200),
    Shortage(resource=Resource.MEMORY, free_mb=20, floor_mb=512),
)


def paused_account(**ended: int) -> Account:
    """Return an account that is paused since an hour; its pause is over since *ended*."""
    return Account(name="claude", pause=AccountPause(cause=Outcome.RATE_LIMITED, since=ago(hours=1), until=ago(**ended)))


WAITS: list[tuple[str, TaskFacts, tuple[str, ...]]] = [
    (
        "a free slot",
        TaskFacts(task=make_task(), job=make_job(), slots_busy=2, slots=2),
        ("free slot", "since 2026-05-04 11:56 UTC (4 m)", "2 of 2 busy"),
    ),
    ("a slot of unknown number", TaskFacts(task=make_task(), job=make_job(), slots_busy=1), ("(1 busy)",)),
    (
        "its own run",
        TaskFacts(task=make_task(), job=make_job(state=JobState.RUNNING), runs=[make_run(outcome=None, ended_at=None)]),
        ("The Analyst works on it", "(10 m)", "when that run ends"),
    ),
    (
        "a claimed job",
        TaskFacts(task=make_task(), job=make_job(state=JobState.RUNNING)),
        ("The Analyst works on it",),
    ),
    (
        "the day's budget is spent",
        TaskFacts(task=make_task(), job=make_job(), day=SPENT),
        ("$5.50 is spent of the $5.00", "orch budget --raise USD", "00:00 UTC"),
    ),
    (
        "an agent that reports no cost under a budget",
        TaskFacts(
            task=make_task(),
            job=make_job(state=JobState.RUNNING),
            runs=[make_run(outcome=None, ended_at=None, agent="command", cost_usd=0.0)],
            purse=Purse(limit_usd=5.0, spent_usd=0.0),
        ),
        ("no budget can end it",),
    ),
    (
        "parked for its budget",
        TaskFacts(
            task=make_task(park=Park(reason=ParkReason.BUDGET, since=ago(hours=1), evidence="$5.50 of $5.00")), purse=SPENT
        ),
        ("orch budget SHOP-12 --raise USD", "orch budget SHOP-12 --lift"),
    ),
    (
        "parked at its role's cap",
        TaskFacts(
            task=make_task(park=Park(reason=ParkReason.BUDGET, since=ago(hours=1), evidence="")),
            purse=Purse(limit_usd=None, spent_usd=1.0),
        ),
        ("orch resume SHOP-12",),
    ),
    ("a job to be queued", TaskFacts(task=make_task()), ("no job of it is queued yet",)),
    (
        "dependencies",
        TaskFacts(task=make_task(), job=make_job(), open_dependencies=["SHOP-3", "SHOP-4"]),
        ("It waits for SHOP-3, SHOP-4.", "done or cancelled"),
    ),
    (
        "a delayed retry",
        TaskFacts(task=make_task(), job=make_job(not_before=NOW + timedelta(seconds=40))),
        ("tried again at 2026-05-04 12:00:40 UTC",),
    ),
    (
        "an unpause",
        TaskFacts(task=make_task(), job=make_job(), repo=Repo(project=SHOP, paused=True)),
        ("paused", "orch unpause shop"),
    ),
    (
        "a thaw",
        TaskFacts(task=make_task(), job=make_job(), repo=frozen()),
        ("frozen by a red default branch", "(30 m)", "orch unfreeze shop"),
    ),
    (
        "a person's thaw",
        TaskFacts(task=make_task(), job=make_job(), repo=frozen(FreezeCause.PERSON, by="api:anna", detail="release day")),
        ("frozen by api:anna (release day)", "(30 m)", "orch unfreeze shop"),
    ),
    (
        "its turn",
        TaskFacts(task=make_task(), job=make_job(), held_by="SHOP-3"),
        ("SHOP-3 comes before it", "done or cancelled", "orch fix SHOP-12"),
    ),
    (
        "a thaw, before its deploy",
        TaskFacts(task=make_task(stage=Stage.DEPLOY, awaiting=Awaiting.DEPLOY_TURN), repo=frozen()),
        ("frozen by a red default branch", "orch unfreeze shop"),
    ),
    (
        "approval",
        TaskFacts(task=make_task(awaiting=Awaiting.APPROVAL)),
        ("a person's decision", "(5 m)", "Approved", "orch approve SHOP-12", "Rejected"),
    ),
    ("answers", TaskFacts(task=make_task(awaiting=Awaiting.INPUT)), ("questions", "To Analyse")),
    (
        "a pull request",
        TaskFacts(task=make_task(stage=Stage.DEVELOPMENT, awaiting=Awaiting.GATE)),
        ("pull request to be opened",),
    ),
    (
        "CI",
        TaskFacts(task=make_task(stage=Stage.DEVELOPMENT, awaiting=Awaiting.GATE, pr_number=4, code_head=SHA_A)),
        ("test result of aaaaaaaaaaaa", "(5 m)"),
    ),
    (
        "CI that runs here",
        TaskFacts(
            task=make_task(stage=Stage.DEVELOPMENT, awaiting=Awaiting.GATE, pr_number=4),
            runs=[make_run(kind=RunKind.CI, role=None, outcome=None, ended_at=None)],
        ),
        ("Under way since", "tests"),
    ),
    (
        "staging",
        TaskFacts(task=make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.GATE)),
        ("staging command",),
    ),
    ("other evidence", TaskFacts(task=make_task(stage=Stage.REVIEW, awaiting=Awaiting.GATE)), ("stage review",)),
    (
        "its place in the landing queue",
        TaskFacts(task=make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING), landing_position=3),
        ("number 3 in the queue",),
    ),
    (
        "landing, while its place is not known",
        TaskFacts(task=make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING)),
        ("waits to be landed",),
    ),
    (
        "landing under a freeze",
        TaskFacts(task=make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING), landing_position=1, repo=frozen()),
        ("frozen by a red default branch", "number 1"),
    ),
    (
        "a merge by others",
        TaskFacts(task=make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.MERGE, pr_number=9)),
        ("pull request #9", "a person or the forge"),
    ),
    (
        "confirmation",
        TaskFacts(task=make_task(stage=Stage.DEPLOY, awaiting=Awaiting.CONFIRM)),
        ("Confirm Deploy", "orch confirm-deploy SHOP-12"),
    ),
    ("its deploy", TaskFacts(task=make_task(stage=Stage.DEPLOY, awaiting=Awaiting.DEPLOYING)), ("deploy has been going",)),
    (
        "the end of its deploy, by its deadline",
        TaskFacts(
            task=make_task(stage=Stage.DEPLOY, awaiting=Awaiting.DEPLOYING),
            deploying=make_deploy(make_task(), tries=2, deadline_at=NOW + timedelta(minutes=20)),
        ),
        ("try 2", "by 2026-05-04 12:20 UTC at the latest"),
    ),
    (
        "the next try of its deploy",
        TaskFacts(
            task=make_task(stage=Stage.DEPLOY, awaiting=Awaiting.DEPLOYING),
            deploying=make_deploy(make_task(), due_at=NOW + timedelta(seconds=8)),
        ),
        ("try 2 begins at 2026-05-04 12:00:08 UTC", "STOP acts at once"),
    ),
    (
        "another task's deploy",
        TaskFacts(
            task=make_task(stage=Stage.DEPLOY, awaiting=Awaiting.DEPLOY_TURN),
            deploying=make_deploy(make_task(row=TaskRow(77))),
            deploying_name="SHOP-77",
        ),
        ("SHOP-77 is being deployed",),
    ),
    ("the deploy slot", TaskFacts(task=make_task(stage=Stage.DEPLOY, awaiting=Awaiting.DEPLOY_TURN)), ("one deploy slot",)),
    ("the question", TaskFacts(task=make_task(stage=Stage.DEPLOY, awaiting=Awaiting.GATE)), ("then a person is asked",)),
    ("nothing", TaskFacts(task=make_task(awaiting=Awaiting.NOTHING)), ("waits for nothing",)),
    (
        "resume",
        TaskFacts(task=make_task(park=PARK), repo=frozen(), job=make_job()),
        ("Parked since 2026-05-04 11:00 UTC (1 h)", "no CI result", "no status for it in 600 s", "orch resume SHOP-12"),
    ),
    (
        "its account's pause",
        TaskFacts(task=make_task(), job=make_job(), account=paused_account(hours=-2)),
        ("Runs of account claude are paused since 2026-05-04 11:00 UTC (1 h)", "a rate limit", "until 2026-05-04 14:00 UTC"),
    ),
    (
        "the one run that is tried",
        TaskFacts(task=make_task(), job=make_job(), account=paused_account(minutes=1)),
        ("One run of account claude is tried after its pause", "a rate limit"),
    ),
    (
        "room",
        TaskFacts(task=make_task(), job=make_job(), shortages=SHORT),
        ("Only 10 MB of disk are free (the floor is 200 MB)", "Only 20 MB of memory are free (the floor is 512 MB)"),
    ),
    (
        "the end of an outage",
        TaskFacts(task=make_task(park=Park(reason=ParkReason.INFRASTRUCTURE, since=NOW, evidence="disk full"))),
        ("disk full", "by itself when the cause is gone"),
    ),
    ("STOP", TaskFacts(task=make_task(cancel_requested_at=ago(seconds=3), park=PARK)), ("STOP was asked for", "(3 s)")),
    ("nothing more when done", TaskFacts(task=make_task(stage=Stage.DONE, finished_at=ago(days=1))), ("done", "(1 d)")),
    ("nothing more when cancelled", TaskFacts(task=make_task(stage=Stage.CANCELLED)), ("cancelled", "To Analyse")),
    (
        "what a note says",
        TaskFacts(task=make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING, note="main's working tree is dirty")),
        ("waits to be landed", "main's working tree is dirty"),
    ),
]


@pytest.mark.parametrize(("facts", "words"), [(facts, words) for _, facts, words in WAITS], ids=[name for name, _, _ in WAITS])
def test_the_why_says_what_it_waits_for_since_when_and_what_moves_it_on(facts: TaskFacts, words: tuple[str, ...]) -> None:
    told = why(facts, NOW)
    assert all(word in told for word in words), told
    russian = why(facts, NOW, "ru")
    assert russian != told
    assert any("а" <= letter <= "я" for letter in russian)


def test_the_two_most_lasting_obstacles_are_named() -> None:
    facts = TaskFacts(
        task=make_task(),
        job=make_job(not_before=NOW + timedelta(seconds=40)),
        repo=frozen(),
        open_dependencies=["SHOP-3"],
    )
    told = why(facts, NOW)
    assert "frozen" in told
    assert "SHOP-3" in told
    assert "tried again" not in told


def test_a_delay_that_is_over_is_no_reason() -> None:
    assert "free slot" in why(TaskFacts(task=make_task(), job=make_job(not_before=ago(seconds=1))), NOW)


def test_a_freeze_holds_analysis_only_and_never_a_fix() -> None:
    later = make_task(stage=Stage.DEVELOPMENT)
    assert "frozen" not in why(TaskFacts(task=later, job=make_job(), repo=frozen()), NOW)
    fix = make_task(exempt=True)
    assert "frozen" not in why(TaskFacts(task=fix, job=make_job(), repo=frozen()), NOW)
    landing = make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING, exempt=True)
    assert "frozen" not in why(TaskFacts(task=landing, repo=frozen()), NOW)


@pytest.mark.parametrize("cause", list(FreezeCause))
@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_cause_of_a_freeze_has_words(cause: FreezeCause, language: str) -> None:
    assert "orch unfreeze shop" in why(TaskFacts(task=make_task(), job=make_job(), repo=frozen(cause)), NOW, language)


@given(
    st.sampled_from(Stage),
    st.sampled_from(Awaiting),
    st.sampled_from([None, *ParkReason]),
    st.text(max_size=40),
    st.sampled_from(["en", "ru", "xx"]),
)
def test_every_state_has_a_bounded_one_line_why(
    stage: Stage, awaiting: Awaiting, reason: ParkReason | None, words: str, language: str
) -> None:
    park = Park(reason=reason, since=NOW, evidence=words * 100) if reason else None
    task = make_task(stage=stage, awaiting=awaiting, park=park, note=words * 100)
    facts = TaskFacts(task=task, job=make_job(), open_dependencies=[words] * 50)
    told = why(facts, NOW, language)
    assert told.strip()
    assert "\n" not in told
    assert len(told) < 2_500


# ------------------------------------------------------------------------------------------------ views

VIEW_KEYS = {
    *("id", "title", "project", "issue", "stage", "status", "parked", "waiting", "awaiting", "runs", "cost_usd"),
    *("tokens_in", "tokens_cached", "tokens_out", "branch", "sha", "landed", "shown", "pr", "attempt", "role"),
    *("created_at", "updated_at", "finished_at"),
}


def test_a_view_is_json_with_every_promised_key() -> None:
    view = task_view(TaskFacts(task=make_task(), runs=[make_run(), make_run(outcome=Outcome.FAILED)]), NOW)
    assert view.keys() >= VIEW_KEYS
    assert json.loads(json.dumps(view)) == view
    assert view["runs"] == 2
    assert view["cost_usd"] == 0.5
    assert (view["tokens_in"], view["tokens_cached"], view["tokens_out"]) == (22_600, 20_000, 1_000)
    assert view["role"] is None
    assert view["parked"] is None
    assert view["created_at"] == "2026-05-04T10:00:00+00:00"


def test_a_view_shows_who_works_now() -> None:
    runs = [make_run(), make_run(role=Role.DEVELOPER, outcome=None, ended_at=None)]
    assert task_view(TaskFacts(task=make_task(), runs=runs), NOW)["role"] == "developer"


@pytest.mark.parametrize(
    ("task", "sha"),
    [(make_task(), None), (make_task(head=SHA_A), SHA_A), (make_task(head=SHA_A, landed=SHA_B), SHA_B)],
)
def test_a_view_shows_the_landed_commit_before_the_head(task: Task, sha: str | None) -> None:
    assert task_view(TaskFacts(task=task), NOW)["sha"] == sha


def test_a_view_of_a_parked_task_shows_reason_since_and_evidence() -> None:
    view = task_view(TaskFacts(task=make_task(park=PARK)), NOW)
    assert view["parked"] == {
        "reason": "no-ci-reported",
        "since": "2026-05-04T11:00:00+00:00",
        "evidence": "no status for it in 600 s",
    }
    assert view["status"] == "blocked"
    assert task_view(TaskFacts(task=make_task(stage=Stage.CANCELLED, park=PARK)), NOW)["parked"] is None


def test_the_detail_adds_history_runs_job_dependencies_and_stage_times() -> None:
    history = [
        Transition(
            task=make_task().row, at=ago(hours=1), source=Stage.ANALYSIS, target=Stage.ARCHITECTURE, cause="passed", by="Ann"
        ),
        Transition(task=make_task().row, at=ago(minutes=30), source=Stage.ARCHITECTURE, target=Stage.DEVELOPMENT, cause="passed"),
    ]
    facts = TaskFacts(
        task=make_task(stage=Stage.DEVELOPMENT),
        runs=[make_run(), make_run(outcome=None, ended_at=None, started_at=ago(seconds=90))],
        job=make_job(),
        dependencies=["SHOP-3", "SHOP-4"],
        open_dependencies=["SHOP-4"],
        history=history,
    )
    detail = task_detail(facts, NOW)
    assert json.loads(json.dumps(detail)) == detail
    assert detail["run_count"] == 2
    runs = detail["runs"]
    assert isinstance(runs, list)
    assert [(run["n"], run["number"], run["outcome"], run["seconds"]) for run in runs] == [
        (7, 1, "succeeded", 120.0),
        (7, 2, None, 90.0),
    ]
    assert detail["dependencies"] == [{"name": "SHOP-3", "open": False}, {"name": "SHOP-4", "open": True}]
    assert detail["stage_seconds"] == {"analysis": 3600.0, "architecture": 1800.0, "development": 1800.0}
    assert isinstance(detail["history"], list)
    assert detail["history"][0]["by"] == "Ann"
    assert isinstance(detail["job"], dict)
    assert detail["job"]["state"] == "queued"


def test_stage_times_add_repeats_up_and_end_with_the_task() -> None:
    row = make_task().row
    history = [
        Transition(task=row, at=ago(minutes=90), source=Stage.ANALYSIS, target=Stage.ANALYSIS, cause="rejected"),
        Transition(task=row, at=ago(minutes=60), source=Stage.ANALYSIS, target=Stage.CANCELLED, cause="stopped"),
    ]
    task = make_task(stage=Stage.CANCELLED, finished_at=ago(minutes=60))
    assert stage_seconds(task, history, NOW) == {"analysis": 3600.0}


@given(st.text(max_size=60))
def test_any_words_make_a_view_that_can_be_sent(words: str) -> None:
    park = Park(reason=ParkReason.BUDGET, since=NOW, evidence=words)
    facts = TaskFacts(task=make_task(title=words, description=words, note=words, park=park), runs=[make_run(detail=words)])
    json.dumps(task_detail(facts, NOW), ensure_ascii=False).encode("utf-8")
