"""What a task cost: its stages and totals, a day's rows, and the part of the time that was a person's."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.accounting import LineState, StageLine, short_model, spend_rows, stage_lines, totals
from orch.core.human_time import human_seconds
from orch.core.ids import ProjectName, RunId
from orch.core.model import Awaiting, Outcome, ParkReason, Run, RunKind, Task, Transition, Usage
from orch.core.stages import ORDER, Role, Stage, is_terminal
from tests.builders import NOW, later, make_park, make_run, make_task, make_transition

ANALYSIS, ARCHITECTURE, DEVELOPMENT = Stage.ANALYSIS, Stage.ARCHITECTURE, Stage.DEVELOPMENT
STAGING, DEPLOY, DONE = Stage.DEPLOY_STAGING, Stage.DEPLOY, Stage.DONE


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("claude-sonnet-4-5-20250929", "sonnet-4.5"),
        ("claude-opus-4-1-20250805", "opus-4.1"),
        ("claude-opus-4-1[1m]", "opus-4.1"),
        ("claude-sonnet-4-20250514", "sonnet-4"),
        ("claude-3-5-sonnet-20241022", "sonnet-3.5"),
        ("claude-3-opus-20240229", "opus-3"),
        ("claude-3-5-haiku-latest", "haiku-3.5"),
        ("claude-haiku-4-5", "haiku-4.5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "sonnet-4.5"),
        ("claude-sonnet-4-5@20250929", "sonnet-4.5"),
        ("anthropic/claude-opus-4-1", "opus-4.1"),
        ("opus", "opus"),
        ("gpt-5-codex", "gpt-5-codex"),
        ("", ""),
        ("x" * 300, "x" * 40),
    ],
)
def test_a_models_name_is_short(name: str, short: str) -> None:
    assert short_model(name) == short


def line(seconds: float, cause: str, *, at: Stage = ANALYSIS, to: Stage | None = None, detail: str = "") -> Transition:
    return make_transition(make_task(), at=later(seconds), source=at, target=to or at, cause=cause, detail=detail)


def agent(number: int, began: float, ended: float | None, stage: Stage = ANALYSIS, **fields: Any) -> Run:
    outcome = fields.pop("outcome", Outcome.SUCCEEDED if ended is not None else None)
    at = None if ended is None else later(ended)
    return make_run(id=RunId(number), started_at=later(began), ended_at=at, stage=stage, outcome=outcome, **fields)


def by_stage(lines: Sequence[StageLine]) -> dict[Stage, StageLine]:
    return {each.stage: each for each in lines}


# ------------------------------------------------------------------------------------------------ stages


def test_a_stage_line_adds_up_its_runs_and_names_their_models_once() -> None:
    usage = Usage(input=10, output=5, cache_read=100, cache_creation=3)
    runs = [
        agent(1, 0, 60, usage=usage, cost_usd=0.1, model="claude-opus-4-1-20250805"),
        agent(2, 90, 120, usage=usage, cost_usd=0.2, model="claude-opus-4-1"),
        agent(3, 200, None, ARCHITECTURE, usage=usage, cost_usd=0.4, model="claude-haiku-4-5"),
    ]
    history = [make_transition(make_task()), line(180, "passed", to=ARCHITECTURE)]
    task = make_task(stage=ARCHITECTURE)
    lines = stage_lines(task, runs, history, later(300))
    assert [each.stage for each in lines] == [stage for stage in ORDER if not is_terminal(stage)]
    analysis, architecture = lines[0], lines[1]
    assert (analysis.state, analysis.runs, analysis.duration_s) == (LineState.DONE, 2, 180)
    assert (analysis.usage, analysis.cost_usd, analysis.models) == (usage + usage, 0.3, ("opus-4.1",))
    assert (architecture.state, architecture.runs, architecture.duration_s) == (LineState.RUNNING, 1, 120)
    assert architecture.models == ("haiku-4.5",)
    assert {each.state for each in lines[2:]} == {LineState.PENDING}


def test_the_present_stage_waits_runs_or_is_parked() -> None:
    task = make_task(awaiting=Awaiting.APPROVAL)
    assert stage_lines(task, [agent(1, 0, 9)], [], NOW)[0].state is LineState.WAITING
    assert stage_lines(task, [agent(1, 0, None)], [], NOW)[0].state is LineState.RUNNING
    assert stage_lines(replace(task, park=make_park()), [], [], NOW)[0].state is LineState.PARKED
    deploying = make_task(stage=DEPLOY, awaiting=Awaiting.DEPLOYING)
    assert by_stage(stage_lines(deploying, [], [], NOW))[DEPLOY].state is LineState.RUNNING


def test_a_stage_with_nothing_to_do_or_never_entered_was_skipped() -> None:
    merged = [line(10, "landed", to=DEPLOY), line(10, "passed", at=DEPLOY, to=DONE)]
    task = make_task(stage=DONE, finished_at=later(10))
    found = by_stage(stage_lines(task, [agent(1, 0, 9)], merged, later(99)))
    assert found[ANALYSIS].state is LineState.DONE
    assert {found[stage].state for stage in (DEVELOPMENT, STAGING, DEPLOY)} == {LineState.SKIPPED}


def test_a_task_that_was_sent_back_has_its_later_stages_before_it_again_and_their_cost_kept() -> None:
    task = make_task(stage=DEVELOPMENT)
    runs = [agent(1, 0, 9, Stage.REVIEW, role=Role.REVIEWER, cost_usd=1.5)]
    found = by_stage(stage_lines(task, runs, [], NOW))
    assert (found[Stage.REVIEW].state, found[Stage.REVIEW].cost_usd) == (LineState.PENDING, 1.5)


# ------------------------------------------------------------------------------------------------ a person's time

APPROVED = [line(100, "approved"), line(100, "passed", to=ARCHITECTURE)]
LANDED = line(500, "landed", at=STAGING, to=DEPLOY, detail="abcdefabcdef")
PARKED = line(300, "parked", at=DEVELOPMENT, detail="retries-exhausted")


@pytest.mark.parametrize(
    ("runs", "history", "task", "seconds"),
    [
        pytest.param([], [], {}, 0, id="nothing has happened"),
        pytest.param([agent(1, 0, 40)], APPROVED, {"stage": ARCHITECTURE}, 60, id="from the plan to its approval"),
        pytest.param([agent(1, 0, 40)], [], {"awaiting": Awaiting.APPROVAL}, 960, id="the plan still waits"),
        pytest.param([agent(1, 0, 40)], [], {"awaiting": Awaiting.INPUT}, 960, id="questions still wait"),
        pytest.param([agent(1, 0, 40)], [], {}, 0, id="another run is queued: nobody is asked"),
        pytest.param([agent(1, 0, 40), agent(2, 90, 95)], APPROVED, {"stage": ARCHITECTURE}, 5, id="a red gate asks nobody"),
        pytest.param(
            [agent(1, 0, 40), agent(2, 90, 95)],
            [line(80, "rejected"), *APPROVED],
            {"stage": ARCHITECTURE},
            45,
            id="rejected, then approved",
        ),
        pytest.param(
            [agent(1, 0, 40, outcome=Outcome.FAILED)], APPROVED, {"stage": ARCHITECTURE}, 0, id="a failed run asks nobody"
        ),
        pytest.param([], [PARKED], {"stage": DEVELOPMENT, "park": make_park()}, 700, id="parked"),
        pytest.param([], [PARKED, line(450, "resumed", at=DEVELOPMENT)], {"stage": DEVELOPMENT}, 150, id="parked, resumed"),
        pytest.param(
            [],
            [PARKED, line(450, "sent-back", at=DEVELOPMENT, to=ANALYSIS)],
            {},
            150,
            id="parked, sent back",
        ),
        pytest.param(
            [],
            [replace(PARKED, detail="infrastructure")],
            {"stage": DEVELOPMENT, "park": make_park(ParkReason.INFRASTRUCTURE)},
            0,
            id="parked for what clears by itself",
        ),
        pytest.param(
            [],
            [LANDED, line(700, "deploy-confirmed", at=DEPLOY), line(710, "deploy-started", at=DEPLOY)],
            {"stage": DEPLOY, "awaiting": Awaiting.DEPLOYING},
            200,
            id="from the landing to the confirm",
        ),
        pytest.param([], [LANDED], {"stage": DEPLOY, "awaiting": Awaiting.CONFIRM}, 500, id="the confirm is awaited"),
        pytest.param(
            [],
            [LANDED, line(700, "deploy-started", at=DEPLOY)],
            {"stage": DEPLOY, "awaiting": Awaiting.DEPLOYING},
            0,
            id="a deploy that needs no confirm asks nobody",
        ),
        pytest.param(
            [],
            [LANDED, line(700, "parked", at=DEPLOY, detail="deploy-declined")],
            {"stage": DEPLOY, "park": make_park(ParkReason.DEPLOY_DECLINED)},
            500,
            id="declined: the answer, then the park",
        ),
        pytest.param([], [line(200, "passed", at=Stage.TESTING, to=STAGING), LANDED], {"stage": DEPLOY}, 0, id="the train"),
        pytest.param(
            [],
            [line(200, "passed", at=Stage.TESTING, to=STAGING), replace(LANDED, detail="merged by anna as abcdefabcdef")],
            {"stage": DEPLOY},
            300,
            id="merged by hand",
        ),
        pytest.param(
            [],
            [line(200, "passed", at=Stage.TESTING, to=STAGING)],
            {"stage": STAGING, "awaiting": Awaiting.MERGE},
            800,
            id="the merge by hand is awaited",
        ),
    ],
)
def test_a_persons_time_lasts_from_the_question_to_the_answer(
    runs: list[Run], history: list[Transition], task: dict[str, Any], seconds: float
) -> None:
    assert human_seconds(make_task(**task), runs, history, later(1000)) == seconds


def test_totals_of_a_finished_task_stand_still() -> None:
    task = make_task(stage=DONE, finished_at=later(500))
    runs = [agent(1, 0, 40, cost_usd=0.5), agent(2, 150, 160, DEVELOPMENT, kind=RunKind.CI, role=None)]
    first, again = (totals(task, runs, APPROVED, later(at)) for at in (600, 9000))
    assert first == again
    assert (first.wall_s, first.agents_s, first.human_s, first.cost_usd) == (500, 40, 60, 0.5)


# ------------------------------------------------------------------------------------------------ sums

MONEY = st.integers(0, 10_000_000).map(lambda micros: micros / 1_000_000)
TOKENS = st.integers(0, 10**9)
USAGES = st.builds(Usage, input=TOKENS, output=TOKENS, cache_read=TOKENS, cache_creation=TOKENS)
MOMENTS = st.floats(-3 * 86_400, 3 * 86_400).map(lambda s: NOW + timedelta(seconds=round(s)))


@st.composite
def runs_of_agents(draw: st.DrawFn) -> Run:
    began = draw(MOMENTS)
    ended = draw(st.none() | st.floats(-100, 9_000).map(lambda s: began + timedelta(seconds=s)))
    return make_run(
        stage=draw(st.sampled_from([stage for stage in ORDER if not is_terminal(stage)])),
        project=draw(st.sampled_from([ProjectName("demo"), ProjectName("shop")])),
        model=draw(st.sampled_from(["", "claude-opus-4-1-20250805", "claude-opus-4-1", "sonnet"])),
        usage=draw(USAGES),
        cost_usd=draw(MONEY),
        started_at=began,
        ended_at=ended,
        outcome=None if ended is None else Outcome.SUCCEEDED,
    )


@given(st.lists(runs_of_agents(), max_size=30))
def test_runs_stages_tasks_and_days_have_one_sum(runs: list[Run]) -> None:
    task = make_task(stage=DEVELOPMENT)
    lines, total, rows = stage_lines(task, runs, [], NOW), totals(task, runs, [], NOW), spend_rows(runs, NOW)
    usage = sum((run.usage for run in runs), Usage())
    micros = sum(round(run.cost_usd * 1_000_000) for run in runs)
    for parts in (lines, [total], rows):
        assert sum((each.usage for each in parts), Usage()) == usage
        assert sum(round(each.cost_usd * 1_000_000) for each in parts) == micros
    assert sum(each.runs for each in lines) == sum(row.runs for row in rows) == len(runs)
    assert total.agents_s >= 0
    assert all(row.seconds >= 0 for row in rows)


CAUSES = (
    *("approved", "rejected", "parked", "resumed", "landed", "passed"),
    *("deploy-confirmed", "deploy-started", "stopped", "confirm-voided", "x"),
)


@st.composite
def courses(draw: st.DrawFn) -> tuple[Task, list[Transition]]:
    moments = sorted(draw(st.lists(st.floats(0, 9_000), max_size=12)))
    stages = st.sampled_from(list(ORDER))
    history, stage = [], ANALYSIS
    for at in moments:
        target = draw(stages)
        history.append(line(at, draw(st.sampled_from(CAUSES)), at=stage, to=target))
        stage = target
    park = draw(st.none() | st.just(make_park()))
    finished = later(9_000) if is_terminal(stage) else None
    return make_task(stage=stage, park=park, awaiting=draw(st.sampled_from(Awaiting)), finished_at=finished), history


@given(courses(), st.lists(runs_of_agents(), max_size=5))
def test_a_persons_time_is_never_more_than_the_tasks_own(course: tuple[Task, list[Transition]], runs: list[Run]) -> None:
    task, history = course
    own = [run for run in runs if run.started_at >= NOW and (run.ended_at or NOW) <= later(10_000)]
    found = totals(task, own, history, later(10_000))
    assert 0 <= found.human_s <= found.wall_s


def test_a_run_counts_on_the_utc_day_on_which_it_began() -> None:
    midnight = datetime(2026, 1, 6, tzinfo=UTC)
    runs = [
        make_run(started_at=midnight - timedelta(seconds=1), ended_at=midnight + timedelta(hours=2), cost_usd=1.0),
        make_run(started_at=midnight, ended_at=midnight + timedelta(hours=1), cost_usd=2.0),
        make_run(kind=RunKind.CI, role=None, started_at=midnight),
    ]
    rows = spend_rows(runs, midnight + timedelta(hours=3))
    assert [(row.day.isoformat(), row.runs, row.cost_usd, row.seconds) for row in rows] == [
        ("2026-01-06", 1, 2.0, 3600),
        ("2026-01-05", 1, 1.0, 7201),
    ]
