"""The account-wide pause as a table: what begins it, what renews it, what lifts it, and what it holds."""

from dataclasses import replace
from datetime import timedelta

import pytest

from orch.core.accounts import (
    PAUSE,
    PAUSE_LONGEST,
    PAUSE_SHORTEST,
    RENEWED_LONGEST,
    TASKS_FAILING,
    AccountDecision,
    Ended,
    Gate,
    account_of,
    failure_class,
    gate,
    run_ended,
    uncharged,
)
from orch.core.ids import RunId
from orch.core.model import Account, AccountPause, Counters, Outcome, RoleSettings
from orch.core.stages import Role
from tests.builders import NOW, later, make_project

CLAUDE = Account(name="claude")
TRY = RunId(7)
HOUR = timedelta(hours=1)
CLASSES = {
    Outcome.FAILED: "failed",
    Outcome.CRASHED: "failed",
    Outcome.STALLED: "stalled",
    Outcome.TIMED_OUT: "timed_out",
}


def paused(cause: Outcome = Outcome.RATE_LIMITED, **fields: object) -> Account:
    pause = AccountPause(cause=cause, since=NOW, until=later(900))
    return replace(CLAUDE, pause=replace(pause, **fields))  # type: ignore[arg-type]


def end(
    account: Account, outcome: Outcome, *, run: int = 1, at: float = 0, failing: int = 1, **fields: object
) -> AccountDecision:
    what = Ended(run=RunId(run), outcome=outcome, at=later(at), **fields)  # type: ignore[arg-type]
    return run_ended(account, what, failing)


# ------------------------------------------------------------------------------------------------ how it begins


def test_a_rate_limit_pauses_the_account_at_once_and_charges_nobody() -> None:
    decision = end(CLAUDE, Outcome.RATE_LIMITED, until=NOW + 3 * HOUR, detail="usage limit reached")
    assert decision.began
    assert decision.at_fault
    assert decision.account.pause == AccountPause(
        cause=Outcome.RATE_LIMITED, since=NOW, until=NOW + 3 * HOUR, detail="usage limit reached"
    )


@pytest.mark.parametrize(
    ("named", "until"),
    [
        (None, NOW + PAUSE),
        (NOW + timedelta(days=7), NOW + timedelta(days=7)),
        (NOW + timedelta(days=365 * 80), NOW + PAUSE_LONGEST),
        (NOW - timedelta(days=1), NOW + PAUSE_SHORTEST),
        (NOW, NOW + PAUSE_SHORTEST),
    ],
    ids=["none is named", "a weekly limit", "a hostile one", "one that is over", "this moment"],
)
def test_the_reset_time_that_an_output_names_is_bounded_on_both_sides(named: object, until: object) -> None:
    pause = end(CLAUDE, Outcome.RATE_LIMITED, until=named).account.pause
    assert pause is not None
    assert pause.until == until


@pytest.mark.parametrize("outcome", CLASSES)
@pytest.mark.parametrize("tasks", [1, TASKS_FAILING - 1, TASKS_FAILING, TASKS_FAILING + 3])
def test_failures_of_one_class_over_five_different_tasks_pause_it(outcome: Outcome, tasks: int) -> None:
    decision = end(CLAUDE, outcome, failing=tasks)
    assert decision.began is decision.at_fault is (tasks >= TASKS_FAILING)
    assert (decision.account.pause is not None) is decision.began
    if decision.account.pause is not None:
        assert decision.account.pause.until == NOW + PAUSE


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome not in (*CLASSES, Outcome.RATE_LIMITED)])
def test_no_other_outcome_is_ever_the_accounts(outcome: Outcome) -> None:
    assert end(CLAUDE, outcome, failing=99) == AccountDecision(account=CLAUDE)
    assert failure_class(outcome) == ""


def test_every_class_has_the_name_of_its_counter() -> None:
    assert {outcome: failure_class(outcome) for outcome in CLASSES} == CLASSES
    used = Counters(failed=2, stalled=2, timed_out=2, gate_red=2)
    assert uncharged(used, Outcome.CRASHED) == replace(used, failed=0)
    assert uncharged(used, Outcome.STALLED) == replace(used, stalled=0)
    assert uncharged(used, Outcome.RATE_LIMITED) == used


# ------------------------------------------------------------------------------------------------ while it stands


def test_runs_that_were_going_on_meet_the_same_limit_and_begin_no_second_pause() -> None:
    decision = end(paused(), Outcome.RATE_LIMITED, run=2, at=60, until=NOW + 3 * HOUR)
    assert (decision.began, decision.at_fault) == (False, True)
    assert decision.account == paused(until=NOW + 3 * HOUR)
    assert end(paused(until=NOW + 5 * HOUR), Outcome.RATE_LIMITED, until=NOW + HOUR).account == paused(until=NOW + 5 * HOUR)


@pytest.mark.parametrize(("outcome", "at_fault"), [(Outcome.CRASHED, True), (Outcome.FAILED, True), (Outcome.STALLED, False)])
def test_in_a_pause_for_failures_only_the_same_class_is_the_accounts(outcome: Outcome, at_fault: bool) -> None:
    decision = end(paused(Outcome.FAILED), outcome, run=2, failing=2)
    assert decision == AccountDecision(account=paused(Outcome.FAILED), at_fault=at_fault)


def test_a_run_that_was_going_on_and_succeeds_does_not_lift_the_pause() -> None:
    assert end(paused(trial=TRY), Outcome.SUCCEEDED, run=2) == AccountDecision(account=paused(trial=TRY))


# ------------------------------------------------------------------------------------------------ how it ends


@pytest.mark.parametrize("outcome", [o for o in Outcome if o not in (Outcome.RATE_LIMITED, Outcome.CANCELLED)])
def test_a_try_that_ends_otherwise_lifts_the_pause_for_all(outcome: Outcome) -> None:
    decision = end(paused(trial=TRY), outcome, run=TRY)
    assert decision == AccountDecision(account=CLAUDE, lifted=True)


def test_a_try_that_was_cut_off_says_nothing_and_the_next_run_is_one() -> None:
    assert end(paused(trial=TRY), Outcome.CANCELLED, run=TRY) == AccountDecision(account=paused())


def test_a_try_that_ends_by_the_same_cause_renews_the_pause_longer_each_time_and_bounded() -> None:
    account, waits = paused(Outcome.FAILED, trial=TRY), []
    for _ in range(6):
        decision = end(account, Outcome.CRASHED, run=TRY, failing=1)
        assert (decision.began, decision.lifted, decision.at_fault) == (False, False, True)
        pause = decision.account.pause
        assert pause is not None
        assert pause.trial is None
        waits.append(pause.until - NOW)
        account = replace(decision.account, pause=replace(pause, trial=TRY))
    assert waits == [PAUSE * 2, PAUSE * 4, PAUSE * 8, RENEWED_LONGEST, RENEWED_LONGEST, RENEWED_LONGEST]


def test_a_try_that_meets_a_limit_in_a_pause_for_failures_begins_the_limits_own_pause() -> None:
    decision = end(paused(Outcome.STALLED, trial=TRY), Outcome.RATE_LIMITED, run=TRY, until=NOW + HOUR)
    assert (decision.began, decision.lifted) == (True, True)
    assert decision.account.pause == AccountPause(cause=Outcome.RATE_LIMITED, since=NOW, until=NOW + HOUR)


def test_a_limit_that_claims_to_be_over_each_time_is_still_tried_less_and_less_often() -> None:
    pause = end(paused(trial=TRY, renewals=5), Outcome.RATE_LIMITED, run=TRY, until=NOW).account.pause
    assert pause is not None
    assert pause.until == NOW + PAUSE_SHORTEST * 64


# ------------------------------------------------------------------------------------------------ what it holds

MIXED = make_project(roles={**dict.fromkeys(Role, RoleSettings(agent="claude")), Role.TESTER: RoleSettings(agent="command")})
PLAIN = make_project(name="shop", prefix="SHOP", roles={})


def test_a_pause_holds_the_roles_of_its_account_in_every_project_and_no_others() -> None:
    held = gate([paused()], [MIXED, PLAIN], [], NOW)
    assert {role for project, role in held.closed if project == MIXED.name} == set(Role) - {Role.TESTER}
    assert not [project for project, _ in held.closed if project == PLAIN.name], "its roles run under the default agent"
    assert (held.trying, held.due_at) == (frozenset(), later(900))
    assert account_of(PLAIN, Role.ANALYST) == RoleSettings().agent


def test_when_the_time_is_over_one_run_is_the_try_and_while_it_goes_on_the_others_wait() -> None:
    over = later(901)
    free = gate([paused()], [MIXED], [], over)
    assert free == Gate(trying=frozenset({"claude"}))
    trying = gate([paused(trial=TRY)], [MIXED], [TRY], over)
    assert (MIXED.name, Role.ANALYST) in trying.closed
    assert not trying.trying


def test_G10_a_try_that_a_crash_cut_off_does_not_close_the_account_for_ever() -> None:
    assert gate([paused(trial=TRY)], [MIXED], [], later(901)).trying == {"claude"}


def test_nothing_is_held_while_nothing_is_paused() -> None:
    assert gate([CLAUDE], [MIXED], [], NOW) == Gate()
