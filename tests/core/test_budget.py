"""Budgets: when a limit is reached, what is left of it, what a person makes of it, and what follows for a task."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.budget import (
    Budgets,
    BudgetScope,
    Overrun,
    Purse,
    check_raise,
    day_purse,
    judge,
    next_day,
    own_cost,
    raised,
    task_limit,
    task_purse,
    utc_day,
)
from orch.core.decide_budget import changed
from orch.core.effects import Alert, CancelJobs, Comment, QueueJob, RecordTransition, RequeueJob
from orch.core.messages import ChangeBudget, RunEnded, Verb
from orch.core.model import AgentResult, Awaiting, DayBudget, Limits, Outcome, ParkReason, RunMode, Task, Usage
from orch.core.over_budget import kept_by_budget, run_stopped, spent_out
from orch.core.stages import Stage
from orch.core.turn import Decided, Turn
from tests.builders import NOW, effects_of, make_context, make_job, make_limits, make_park, make_run, make_task

LIMITED = make_limits(budget_task_usd=5.0, budget_day_usd=20.0)
MONEY = st.integers(0, 10**9).map(lambda micros: micros / 1_000_000)
TODAY = utc_day(NOW)


def day(**fields: Any) -> DayBudget:
    return replace(DayBudget(day=TODAY, by="anna", at=NOW), **fields)


# ------------------------------------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    ("limits", "task", "limit"),
    [
        (make_limits(), {}, None),
        (LIMITED, {}, 5.0),
        (LIMITED, {"budget_usd": 8.0}, 8.0),
        (LIMITED, {"budget_usd": 8.0, "budget_lifted": True}, None),
        (make_limits(), {"budget_usd": 8.0}, None),
    ],
)
def test_a_tasks_limit_is_its_own_before_that_of_the_settings_and_none_where_it_is_off(
    limits: Limits, task: dict[str, Any], limit: float | None
) -> None:
    assert task_limit(make_task(**task), limits) == limit


@pytest.mark.parametrize(
    ("limits", "changed_to", "limit"),
    [
        (make_limits(), None, None),
        (LIMITED, None, 20.0),
        (LIMITED, day(limit_usd=30.0), 30.0),
        (LIMITED, day(lifted=True), None),
        (make_limits(), day(limit_usd=30.0), None),
    ],
)
def test_a_days_limit_is_what_a_person_made_of_it(limits: Limits, changed_to: DayBudget | None, limit: float | None) -> None:
    assert day_purse(changed_to, limits, 1.0) == Purse(limit_usd=limit, spent_usd=1.0)


@pytest.mark.parametrize(
    ("limit", "spent", "over", "left"),
    [
        (None, 1e9, False, None),
        (5.0, 4.999999, False, 0.000001),
        (5.0, 5.0, True, 0.0),
        (5.0, 5.4, True, 0.0),
        (0.3, 0.1 + 0.2, True, 0.0),
    ],
)
def test_a_limit_is_reached_at_a_hundred_per_cent(limit: float | None, spent: float, over: bool, left: float | None) -> None:
    purse = Purse(limit_usd=limit, spent_usd=spent)
    assert (purse.is_spent, purse.left_usd) == (over, left)


@given(st.none() | MONEY, MONEY)
def test_what_is_left_is_never_negative_and_nothing_is_left_exactly_when_it_is_spent(limit: float | None, spent: float) -> None:
    purse = Purse(limit_usd=limit, spent_usd=spent)
    assert purse.left_usd is None or purse.left_usd >= 0
    assert purse.is_spent is (purse.left_usd == 0)


OFF = Purse(limit_usd=None, spent_usd=0)


def budgets(task: Purse = OFF, day: Purse = OFF) -> Budgets:
    return Budgets(task=task, day=day, on=TODAY)


def test_one_run_may_cost_the_least_of_its_roles_cap_and_of_what_is_left() -> None:
    both = budgets(Purse(limit_usd=5, spent_usd=2), Purse(limit_usd=20, spent_usd=19.5))
    assert (budgets().cap(), budgets().cap(2.0), both.cap(), both.cap(0.25)) == (None, 2.0, 0.5, 0.25)


def test_the_tasks_own_budget_is_named_before_the_days() -> None:
    spent = Purse(limit_usd=5, spent_usd=6)
    found = [each.overrun() for each in (budgets(spent, spent), budgets(day=spent), budgets())]
    assert [over.scope if over else None for over in found] == [BudgetScope.TASK, BudgetScope.DAY, None]


TOKENS = st.integers(0, 10**12)


@given(st.builds(Usage, input=TOKENS, output=TOKENS, cache_read=TOKENS, cache_creation=TOKENS), st.booleans())
def test_tokens_alone_trip_nothing(usage: Usage, resumed: bool) -> None:
    result = AgentResult(outcome=Outcome.SUCCEEDED, usage=usage, session="s", session_cost_usd=3.0 if resumed else 0.0)
    cost = own_cost(result, 3.0 if resumed else 0.0)
    assert cost == 0
    assert not task_purse(make_task(), make_limits(budget_task_usd=0.000001), cost).is_spent


def test_a_day_is_a_utc_day() -> None:
    late = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
    east = late.astimezone(timezone(timedelta(hours=3)))
    assert utc_day(east) == late.date()
    assert next_day(east) == datetime(2026, 11, 25, tzinfo=UTC)


# ------------------------------------------------------------------------------------------------ a run's own cost


@pytest.mark.parametrize(
    ("fields", "before", "live", "cost"),
    [
        pytest.param({"cost_usd": 0.4}, 0.0, 0.0, 0.4, id="an agent without sessions"),
        pytest.param({"session": "s", "session_cost_usd": 1.4}, 1.0, 0.0, 0.4, id="a resumed session grew"),
        pytest.param({"session": "s", "session_cost_usd": 0.4}, 1.0, 0.0, 0.4, id="a session that began anew"),
        pytest.param(
            {"session": "s", "session_cost_usd": 1.4, "cost_usd": 0.3, "measured": True}, 1.0, 0.0, 0.3, id="it measured"
        ),
        pytest.param({"session": "s"}, 1.0, 0.7, 0.7, id="killed: what it had told counts"),
        pytest.param({"cost_usd": 0.4}, 0.0, 0.3, 0.4, id="the report has the last word"),
        pytest.param({"cost_usd": -3.0}, 0.0, 0.0, 0.0, id="never negative"),
    ],
)
def test_a_runs_cost_is_its_own(fields: dict[str, Any], before: float, live: float, cost: float) -> None:
    assert own_cost(AgentResult(outcome=Outcome.SUCCEEDED, **fields), before, live) == pytest.approx(cost)


@given(st.lists(MONEY, max_size=20))
def test_the_runs_of_a_resumed_session_cost_what_the_session_cost(costs: list[float]) -> None:
    total, charged = 0.0, 0.0
    for cost in costs:
        before, total = total, total + cost
        charged += own_cost(AgentResult(outcome=Outcome.SUCCEEDED, session="s", session_cost_usd=total), before)
    assert charged == pytest.approx(sum(costs))


# ------------------------------------------------------------------------------------------------ a run that was ended

SPENT = Purse(limit_usd=5.0, spent_usd=5.5)
OPEN = Purse(limit_usd=5.0, spent_usd=1.0)


@pytest.mark.parametrize(
    ("both", "stopped_by", "scope"),
    [
        (budgets(SPENT, SPENT), None, BudgetScope.TASK),
        (budgets(OPEN, SPENT), None, BudgetScope.DAY),
        (budgets(OPEN, OPEN), None, BudgetScope.ROLE),
        (budgets(OPEN, OPEN), BudgetScope.TASK, None),
        (budgets(SPENT, OPEN), BudgetScope.DAY, BudgetScope.TASK),
    ],
)
def test_what_a_run_was_ended_for_is_judged_by_what_is_on_record_now(
    both: Budgets, stopped_by: BudgetScope | None, scope: BudgetScope | None
) -> None:
    over = judge(both, stopped_by, 2.0, 2.1)
    assert (over.scope if over is not None else None) is scope


def stopped(over: Overrun | None, stopped_by: BudgetScope | None = None) -> Decided:
    task = make_task(stage=Stage.DEVELOPMENT)
    turn = Turn(make_context(now=NOW), task)
    result = AgentResult(outcome=Outcome.BUDGET_EXHAUSTED, detail="it said so")
    run_stopped(turn, RunEnded(run=make_run(task).id, attempt=task.attempt, result=result, over=over, stopped_by=stopped_by))
    return turn.end()


def over(scope: BudgetScope) -> Overrun:
    return Overrun(scope=scope, limit_usd=5.0, spent_usd=5.5)


@pytest.mark.parametrize("scope", [BudgetScope.TASK, BudgetScope.ROLE])
def test_a_task_whose_budget_is_spent_is_parked_and_asks_with_every_answer_named(scope: BudgetScope) -> None:
    decided = stopped(over(scope))
    assert decided.task.park is not None
    assert decided.task.park.reason is ParkReason.BUDGET
    (alert,) = effects_of(decided, Alert)
    (comment,) = effects_of(decided, Comment)
    answers = ("orch budget DEMO-1 --raise", "orch budget DEMO-1 --lift", "orch stop DEMO-1")
    wanted = answers if scope is BudgetScope.TASK else ("orch resume DEMO-1", "orch stop DEMO-1")
    assert alert.kind == "budget"
    assert all(answer in comment.text and answer in alert.text for answer in wanted)
    assert "$5.50" in comment.text


def test_the_days_budget_parks_nothing_and_the_run_goes_on_from_its_work() -> None:
    decided = stopped(over(BudgetScope.DAY), BudgetScope.DAY)
    assert decided.task.park is None
    assert effects_of(decided, RequeueJob) == [RequeueJob(mode=RunMode.CONTINUATION, not_before=None)]
    (comment,) = effects_of(decided, Comment)
    assert "2026-01-06 00:00 UTC" in comment.text
    assert not effects_of(decided, Alert)


def test_a_budget_that_was_raised_meanwhile_lets_the_run_go_on_without_a_word() -> None:
    decided = stopped(None, BudgetScope.TASK)
    assert decided.task.park is None
    assert effects_of(decided, RequeueJob)
    assert not effects_of(decided, Comment)


def test_G12_an_agent_that_says_so_without_a_reason_is_not_asked_again() -> None:
    decided = stopped(None)
    assert decided.task.park is not None
    assert decided.task.park.reason is ParkReason.BUDGET


# ------------------------------------------------------------------------------------------------ before a claim


def test_a_task_that_waits_with_nothing_left_is_parked_once() -> None:
    task = make_task(stage=Stage.REVIEW)
    decided = spent_out(make_context(), task, SPENT)
    assert decided.task.park is not None
    assert effects_of(decided, CancelJobs)
    assert not spent_out(make_context(), decided.task, SPENT).changed


@pytest.mark.parametrize("purse", [OPEN, Purse(limit_usd=None, spent_usd=99)])
def test_a_task_with_something_left_is_let_alone(purse: Purse) -> None:
    assert not spent_out(make_context(), make_task(), purse).changed


def test_a_task_that_is_being_stopped_is_not_asked_about() -> None:
    assert not spent_out(make_context(), make_task(cancel_requested_at=NOW), SPENT).changed


# ------------------------------------------------------------------------------------------------ a person

PARKED = make_park(ParkReason.BUDGET)


def change(task: Task, purse: Purse = SPENT, **fields: Any) -> Decided:
    command = ChangeBudget(by="api:Anna", **fields)
    job = make_job(task, mode=RunMode.NEW_ATTEMPT)
    return changed(make_context(budget_task_usd=5.0), task, command, purse, active=False, job=job)


def line(decided: Decided, cause: str) -> RecordTransition:
    (found,) = [each for each in effects_of(decided, RecordTransition) if each.transition.cause == cause]
    return found


def test_raising_sets_the_limit_says_who_did_it_and_takes_the_task_on_where_it_was() -> None:
    decided = change(make_task(stage=Stage.REVIEW, park=PARKED), raise_usd=5.0)
    assert decided.answer is not None
    assert decided.answer.verb is Verb.DONE
    assert (decided.task.budget_usd, decided.task.budget_lifted, decided.task.park) == (10.0, False, None)
    told = line(decided, "budget-raised").transition
    assert (told.by, told.detail) == ("api:Anna", "from $5.00 to $10.00")
    (job,) = effects_of(decided, QueueJob)
    assert (job.stage, job.mode) == (Stage.REVIEW, RunMode.CONTINUATION)


def test_lifting_lets_it_go_on_without_a_limit() -> None:
    decided = change(make_task(stage=Stage.REVIEW, park=PARKED), lift=True)
    assert (decided.task.budget_lifted, decided.task.park, decided.task.awaiting) == (True, None, Awaiting.AGENT)
    assert line(decided, "budget-lifted").transition.by == "api:Anna"


def test_raising_a_task_that_works_changes_nothing_but_the_limit() -> None:
    decided = change(make_task(stage=Stage.REVIEW), OPEN, raise_usd=1.0)
    assert decided.task.budget_usd == 6.0
    assert not effects_of(decided, QueueJob)


def test_a_job_that_no_agent_began_begins_as_it_would_have() -> None:
    task = make_task(stage=Stage.REVIEW, park=PARKED)
    job = make_job(task, mode=RunMode.NEW_ATTEMPT)
    command = ChangeBudget(by="anna", lift=True)
    decided = changed(make_context(), task, command, SPENT, active=False, job=job, begun=False)
    assert [each.mode for each in effects_of(decided, QueueJob)] == [RunMode.NEW_ATTEMPT]


@pytest.mark.parametrize(
    ("task", "purse", "fields", "verb"),
    [
        pytest.param(make_task(park=PARKED), SPENT, {"raise_usd": 0.5}, Verb.REFUSED, id="not enough"),
        pytest.param(make_task(park=PARKED), SPENT, {"raise_usd": 5.0, "shown_usd": 4.0}, Verb.REFUSED, id="another was shown"),
        pytest.param(make_task(stage=Stage.DONE), OPEN, {"raise_usd": 5.0}, Verb.REFUSED, id="it has ended"),
        pytest.param(make_task(cancel_requested_at=NOW), OPEN, {"lift": True}, Verb.REFUSED, id="it is being stopped"),
        pytest.param(make_task(), Purse(limit_usd=None, spent_usd=1), {"lift": True}, Verb.NOTHING, id="lifted twice"),
        pytest.param(make_task(), OPEN, {}, Verb.INVALID, id="neither"),
        pytest.param(make_task(), OPEN, {"raise_usd": 1.0, "lift": True}, Verb.INVALID, id="both"),
        pytest.param(make_task(), OPEN, {"raise_usd": float("nan")}, Verb.INVALID, id="no number"),
        pytest.param(make_task(), OPEN, {"raise_usd": -1.0}, Verb.INVALID, id="lowering"),
    ],
)
def test_a_change_that_means_nothing_changes_nothing(task: Task, purse: Purse, fields: dict[str, Any], verb: Verb) -> None:
    decided = change(task, purse, **fields)
    assert decided.answer is not None
    assert decided.answer.verb is verb
    assert not decided.changed


def test_a_cap_of_its_role_is_gone_on_from_where_the_task_has_no_limit() -> None:
    task = make_task(stage=Stage.REVIEW, park=PARKED)
    decided = changed(
        make_context(),
        task,
        ChangeBudget(by="anna", lift=True),
        Purse(limit_usd=None, spent_usd=2.0),
        active=False,
        job=make_job(task),
    )
    assert decided.task.park is None


def test_a_resume_is_refused_while_nothing_is_left_and_says_what_to_do() -> None:
    parked = make_task(park=PARKED)
    answer = kept_by_budget(parked, SPENT)
    assert answer is not None
    assert answer.verb is Verb.REFUSED
    assert "orch budget DEMO-1 --raise" in answer.text
    assert kept_by_budget(parked, OPEN) is None
    assert kept_by_budget(make_task(park=make_park()), SPENT) is None


@given(MONEY, st.floats(allow_nan=True, allow_infinity=True))
def test_a_raise_that_is_taken_leaves_a_higher_limit(limit: float, usd: float) -> None:
    if not check_raise(usd, lift=False):
        new = raised(Purse(limit_usd=limit, spent_usd=0), usd)
        assert new.limit_usd is not None
        assert new.limit_usd >= limit
