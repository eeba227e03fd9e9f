"""What a run that did not succeed costs and what is tried next: every outcome, its counter and its bound."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from orch.core.model import AgentResult, Counters, Outcome, ParkReason, RunMode
from orch.core.retry import (
    CAUSES,
    GiveUp,
    Postpone,
    TryAgain,
    after_infrastructure,
    after_red_gate,
    after_return,
    after_run,
    backoff,
    new_visit,
)

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def ended(outcome: Outcome, counters: Counters) -> TryAgain | Postpone | GiveUp:
    return after_run(AgentResult(outcome=outcome), counters, NOW)


BOUNDED = [
    (Outcome.FAILED, "failed", [10.0, 20.0, 40.0]),
    (Outcome.CRASHED, "failed", [10.0, 20.0, 40.0]),
    (Outcome.TURN_LIMIT, "turn_limit", [0.0] * 10),
    (Outcome.STALLED, "stalled", [0.0] * 2),
    (Outcome.TIMED_OUT, "timed_out", [0.0] * 2),
]


@pytest.mark.parametrize(("outcome", "counter", "delays"), BOUNDED)
def test_G12_each_class_of_failure_has_its_own_bound(outcome: Outcome, counter: str, delays: list[float]) -> None:
    counters = Counters()
    for count, delay_s in enumerate(delays, start=1):
        following = ended(outcome, counters)
        assert following == TryAgain(
            counters=replace(counters, **{counter: count}), delay_s=delay_s, mode=RunMode.CONTINUATION
        ), f"after {outcome} number {count}"
        counters = following.counters
    last = ended(outcome, counters)
    assert last == GiveUp(reason=ParkReason.RETRIES_EXHAUSTED, counters=replace(counters, **{counter: len(delays) + 1}))


@pytest.mark.parametrize(("outcome", "counter", "delays"), BOUNDED)
def test_a_class_is_not_charged_for_another(outcome: Outcome, counter: str, delays: list[float]) -> None:
    others = Counters(**{field.name: 99 for field in fields(Counters) if field.name != counter})
    following = ended(outcome, others)
    assert isinstance(following, TryAgain)
    assert following.counters == replace(others, **{counter: 1})


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(Outcome.PERMISSION_DENIED, ParkReason.PERMISSION_DENIED), (Outcome.BUDGET_EXHAUSTED, ParkReason.BUDGET)],
)
def test_what_only_a_person_can_change_parks_at_once(outcome: Outcome, reason: ParkReason) -> None:
    assert ended(outcome, Counters()) == GiveUp(reason=reason, counters=Counters())


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (None, NOW + timedelta(minutes=15)),
        (NOW + timedelta(hours=3), NOW + timedelta(hours=3)),
        (NOW - timedelta(hours=3), NOW),
    ],
)
def test_G11_a_rate_limit_charges_no_task(until: datetime | None, expected: datetime) -> None:
    result = AgentResult(outcome=Outcome.RATE_LIMITED, until=until)
    assert after_run(result, Counters(failed=3), NOW) == Postpone(until=expected, counters=Counters(failed=3))


def test_a_cancelled_run_goes_back_uncharged() -> None:
    assert ended(Outcome.CANCELLED, Counters(failed=3)) == Postpone(until=NOW, counters=Counters(failed=3))


def test_G12_a_lost_session_goes_on_at_once_yet_not_for_ever() -> None:
    lost = AgentResult(outcome=Outcome.FAILED, session_lost=True)
    counters = Counters()
    for _ in range(3):
        following = after_run(lost, counters, NOW)
        assert isinstance(following, TryAgain)
        assert following.delay_s == 0.0
        counters = following.counters
    assert isinstance(after_run(lost, counters, NOW), GiveUp)


def test_a_run_that_succeeded_is_no_matter_for_retries() -> None:
    with pytest.raises(ValueError, match="succeeded"):
        ended(Outcome.SUCCEEDED, Counters())


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.SUCCEEDED])
def test_every_other_outcome_has_an_answer(outcome: Outcome) -> None:
    assert isinstance(ended(outcome, Counters()), TryAgain | Postpone | GiveUp)


@pytest.mark.parametrize(
    ("failures", "delay_s"), [(0, 10), (1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300), (10_000_000, 300)]
)
def test_the_backoff_doubles_up_to_its_cap(failures: int, delay_s: float) -> None:
    assert backoff(failures) == delay_s


def test_G11_infrastructure_is_waited_for_and_charged_to_nobody() -> None:
    counters, waits = Counters(failed=3), []
    for _ in range(7):
        later = after_infrastructure(counters, NOW)
        waits.append((later.until - NOW).total_seconds())
        counters = later.counters
    assert waits == [10, 20, 40, 80, 160, 300, 300]
    assert counters == Counters(failed=3, infrastructure=7)


def test_a_red_gate_asks_the_role_three_times_from_the_pinned_head() -> None:
    counters = Counters()
    for count in (1, 2, 3):
        following = after_red_gate(counters)
        assert following == TryAgain(counters=Counters(gate_red=count), delay_s=0.0, mode=RunMode.NEW_ATTEMPT)
        counters = following.counters
    assert after_red_gate(counters) == GiveUp(reason=ParkReason.RETRIES_EXHAUSTED, counters=Counters(gate_red=4))


# ------------------------------------------------------------------------------------------------ returns to development


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("limit", [0, 1, 3])
def test_G12_returns_are_bounded_per_cause(cause: str, limit: int) -> None:
    counters = Counters()
    for count in range(1, limit + 1):
        following = after_return(counters, cause, limit)
        assert isinstance(following, TryAgain)
        assert getattr(following.counters, cause) == count
        counters = following.counters
    assert isinstance(after_return(counters, cause, limit), GiveUp)


def test_G12_returns_are_bounded_to_twice_that_in_all() -> None:
    counters = Counters()
    for cause in ("ci_red", "review", "testing", "conflict", "land_red", "staging"):
        following = after_return(counters, cause, 3)
        assert isinstance(following, TryAgain)
        counters = following.counters
    assert counters.returns() == 6
    last = after_return(counters, "review", 3)
    assert last == GiveUp(reason=ParkReason.RETRIES_EXHAUSTED, counters=replace(counters, review=2))


def test_every_cause_is_counted_in_the_total() -> None:
    assert Counters(**dict.fromkeys(CAUSES, 1)).returns() == len(CAUSES)


def test_a_new_visit_forgets_runs_and_keeps_what_bounds_the_line() -> None:
    used = Counters(**{field.name: 2 for field in fields(Counters)})
    kept = {"infrastructure", *CAUSES}
    assert new_visit(used) == Counters(**dict.fromkeys(kept, 2))
