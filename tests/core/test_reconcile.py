"""The reconciler's judgement: what is stale, what statuses mean together, whose a status is, when a hook is dead."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.effects import EnterTrain, QueueJob
from orch.core.ids import Attempt
from orch.core.messages import EvidenceRead
from orch.core.model import Awaiting, CiSource, CiState, CommitStatus, ParkReason, Task, VerdictValue
from orch.core.reconcile import (
    HookSigns,
    after_hook,
    after_poll,
    ci_absent,
    combined_status,
    describe_statuses,
    is_stale,
    match_status,
    polled_until,
    reconciled,
    stored_evidence,
)
from orch.core.stages import TERMINAL, Stage
from orch.core.turn import Context
from tests.builders import NOW, later, make_limits, make_park, make_project, make_task, make_verdict, sha

GRACE = {stage: 300.0 for stage in Stage if stage not in TERMINAL}
OLD = later(301)


def context(at: float = 301, **project: Any) -> Context:
    return Context(now=later(at), project=make_project(**project), limits=make_limits(grace_s=GRACE))


def developing(**fields: Any) -> Task:
    given = {"stage": Stage.DEVELOPMENT, "awaiting": Awaiting.GATE, "head": sha("a"), "code_head": sha("a"), "base": sha("0")}
    return make_task(**{**given, **fields})


# ------------------------------------------------------------------------------------------------ staleness


@pytest.mark.parametrize(
    ("task", "active", "stale"),
    [
        (developing(), False, True),
        (developing(), True, False),
        (developing(park=make_park()), False, False),
        (developing(cancel_requested_at=NOW), False, False),
        (make_task(stage=Stage.ANALYSIS, awaiting=Awaiting.AGENT), False, False),
        (make_task(stage=Stage.REVIEW, awaiting=Awaiting.AGENT), False, True),
        (make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING, train_seq=1), False, False),
        (make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING), False, True),
        (make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.MERGE), False, False),
        (make_task(stage=Stage.DEPLOY, awaiting=Awaiting.CONFIRM), False, False),
        (make_task(stage=Stage.DONE, awaiting=Awaiting.NOTHING), False, False),
        (make_task(stage=Stage.CANCELLED, awaiting=Awaiting.NOTHING), False, False),
    ],
)
def test_waiting_is_not_staleness_and_analysis_is_left_to_people(task: Task, active: bool, stale: bool) -> None:
    assert is_stale(task, OLD, GRACE, active=active) is stale


def test_a_task_is_left_alone_for_its_stage_s_grace() -> None:
    assert not is_stale(developing(), later(299), GRACE, active=False)
    assert is_stale(developing(), later(300), GRACE, active=False)


# ------------------------------------------------------------------------------------------------ repairs


def read_of(task: Task) -> EvidenceRead:
    return EvidenceRead(stage=task.stage, head=task.head)


def test_G9_a_green_gate_that_nobody_told_of_takes_the_task_on_through_the_one_engine() -> None:
    task = developing(pr_number=7, ci=CiState.SUCCESS)
    decided = reconciled(context(ci=CiSource.FORGE), task, read_of(task), stored_evidence(task, None), active=False)
    assert decided.task.stage is Stage.REVIEW
    assert any(isinstance(effect, QueueJob) for effect in decided.effects)


@pytest.mark.parametrize("ci", [None, CiState.PENDING, CiState.FAILURE])
def test_red_and_pending_change_nothing(ci: CiState | None) -> None:
    task = developing(pr_number=7, ci=ci)
    decided = reconciled(context(ci=CiSource.FORGE), task, read_of(task), stored_evidence(task, None), active=False)
    assert (decided.task, decided.effects) == (task, ())


def test_evidence_about_an_older_head_changes_nothing() -> None:
    task = developing(pr_number=7, ci=CiState.SUCCESS)
    read = EvidenceRead(stage=task.stage, head=sha("b"))
    assert not reconciled(context(ci=CiSource.FORGE), task, read, stored_evidence(task, None), active=False).changed


def test_a_task_without_its_place_in_the_landing_queue_gets_one_again() -> None:
    task = make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING, head=sha("a"), code_head=sha("a"))
    decided = reconciled(context(), task, read_of(task), stored_evidence(task, None), active=False)
    assert any(isinstance(effect, EnterTrain) for effect in decided.effects)


def test_a_verdict_counts_only_from_this_attempt_and_on_this_head() -> None:
    task = make_task(stage=Stage.REVIEW, attempt=Attempt(3), head=sha("a"), code_head=sha("a"))
    good = {"stage": Stage.REVIEW, "attempt": Attempt(3), "code_head": sha("a"), "value": VerdictValue.APPROVED}
    assert stored_evidence(task, make_verdict(task, **good)).report is not None
    assert stored_evidence(task, make_verdict(task, **{**good, "attempt": Attempt(2)})).report is None
    assert stored_evidence(task, make_verdict(task, **{**good, "code_head": sha("b")})).report is None
    assert stored_evidence(task, make_verdict(task, **{**good, "value": VerdictValue.CHANGES_REQUESTED})).report is None


# ------------------------------------------------------------------------------------------------ statuses


def status(context: str, state: CiState, **fields: str) -> CommitStatus:
    return CommitStatus(sha=sha("a"), context=context, state=state, **fields)


@pytest.mark.parametrize(
    ("states", "contexts", "combined"),
    [
        ({}, (), None),
        ({}, ("build",), None),
        ({"build": CiState.SUCCESS}, (), CiState.SUCCESS),
        ({"build": CiState.SUCCESS, "lint": CiState.PENDING}, (), CiState.PENDING),
        ({"build": CiState.ERROR, "lint": CiState.PENDING}, (), CiState.FAILURE),
        ({"build": CiState.SUCCESS, "lint": CiState.FAILURE}, ("build",), CiState.SUCCESS),
        ({"build": CiState.SUCCESS}, ("build", "lint"), CiState.PENDING),
        ({"other": CiState.SUCCESS}, ("build",), None),
    ],
)
def test_statuses_together(states: dict[str, CiState], contexts: tuple[str, ...], combined: CiState | None) -> None:
    assert combined_status([status(name, state) for name, state in states.items()], contexts) is combined


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(CiState))), st.sets(st.sampled_from("abcd")))
def test_it_is_success_only_where_everything_that_counts_says_so(said: list[tuple[str, CiState]], wanted: set[str]) -> None:
    newest = dict(said)
    counted = {name: state for name, state in newest.items() if not wanted or name in wanted}
    green = bool(counted) and set(counted.values()) == {CiState.SUCCESS} and not wanted - counted.keys()
    assert (combined_status([status(*each) for each in newest.items()], wanted) is CiState.SUCCESS) is green


def test_what_failed_is_told_with_its_link() -> None:
    told = describe_statuses([status("build", CiState.FAILURE, description="2 tests failed", url="http://ci/7")])
    assert told == "build: failure: 2 tests failed http://ci/7"


def test_a_status_of_an_unknown_commit_is_the_only_developing_task_s_and_nobody_s_where_there_are_two() -> None:
    first, second = developing(number=1), developing(number=2, code_head=sha("b"), head=sha("b"))
    reviewed = make_task(number=3, stage=Stage.REVIEW, code_head=sha("c"))
    assert match_status([first, second], sha("b")) is second
    assert match_status([first, reviewed], sha("f")) is first
    assert match_status([first, second], sha("f")) is None
    assert match_status([reviewed], sha("f")) is None


# ------------------------------------------------------------------------------------------------ a CI that says nothing


def test_a_ci_that_says_nothing_for_too_long_parks_the_task_and_is_never_green() -> None:
    task = developing(pr_number=7)
    decided = ci_absent(context(601), task, sha("a"))
    assert decided.task.park is not None
    assert decided.task.park.reason is ParkReason.NO_CI


@pytest.mark.parametrize(
    ("at", "task"),
    [
        (599, developing()),
        (601, developing(ci=CiState.PENDING)),
        (601, developing(code_head=sha("b"))),
        (601, developing(awaiting=Awaiting.AGENT)),
        (601, developing(park=make_park())),
        (601, make_task(stage=Stage.REVIEW, code_head=sha("a"))),
    ],
)
def test_nothing_is_parked_before_its_time_or_for_another_head(at: float, task: Task) -> None:
    assert not ci_absent(context(at), task, sha("a")).changed


# ------------------------------------------------------------------------------------------------ hooks


def test_a_hook_that_tells_of_nothing_while_polls_see_changes_is_dead() -> None:
    """Seen within two polls: by the first the hook may be late, by the second it is not coming."""
    signs = after_poll(HookSigns(), [later(0)], later(30))
    assert not signs.dead
    assert after_poll(signs, [], later(90)).dead


def test_polls_that_see_nothing_say_nothing_about_the_hook() -> None:
    signs = HookSigns(heard=NOW)
    assert after_poll(signs, [], later(86_400)) == signs


def test_a_change_that_a_hook_told_of_is_no_sign() -> None:
    signs = after_hook(after_poll(HookSigns(), [later(100)], later(110)), later(101))
    assert after_poll(signs, [], later(400)) == HookSigns(heard=later(101))


def test_a_dead_hook_lives_again_when_it_is_heard() -> None:
    dead = after_poll(HookSigns(heard=NOW), [later(100)], later(400))
    assert dead.dead
    assert after_hook(dead, NOW).dead
    assert not after_hook(dead, later(500)).dead


@pytest.mark.parametrize(
    ("began_s", "changes_s", "until_s"),
    [
        (3600, [40.0, 70.0], 70.0),  # our clock is an hour ahead: what the board dates after its newest change is still to come
        (3600, [], 0.0),
        (60, [40.0], 40.0),
        (30, [3600.0], 30.0),  # the board's clock is ahead: nothing is left out, some of it is read twice
    ],
)
def test_G9_a_poll_has_read_the_board_up_to_what_the_board_itself_dates(
    began_s: float, changes_s: list[float], until_s: float
) -> None:
    assert polled_until(later(0), later(began_s), [later(each) for each in changes_s]) == later(until_s)
