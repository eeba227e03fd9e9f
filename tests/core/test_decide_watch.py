"""How a deployed SHA does: what begins a watch, what a probe means, how it ends, and what a bad end sets off."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.decide_watch import (
    ROLLBACK_TRIES,
    Judged,
    Observed,
    begin,
    may_roll_back,
    next_probe_s,
    probed,
    remaining,
    rollback_cut_off,
    rollback_given_up,
    rolled_back,
    superseded,
)
from orch.core.effects import Alert, Comment, RecordTransition, SetStatus
from orch.core.messages import CommandReport, CommandVerdict
from orch.core.model import (
    Deploy,
    DeploySettings,
    DeployState,
    Freeze,
    FreezeCause,
    MonitorSettings,
    Outcome,
    Project,
    Repo,
    RunKind,
    Task,
    Watch,
    WatchSign,
    WatchState,
)
from orch.core.stages import Stage
from orch.core.statuses import Status
from orch.core.task_facts import status_of
from orch.core.turn import Context, Decided
from tests.builders import (
    DEMO,
    NOW,
    effects_of,
    later,
    make_context,
    make_deploy,
    make_project,
    make_run,
    make_task,
    make_watch,
    sha,
)

MONITOR = MonitorSettings(url="https://shop.example/healthz", window_s=600, interval_s=15, fail_after=3)
PROJECT = make_project(monitor=MONITOR, deploy=DeploySettings(command=("deploy",), rollback_command=("rollback",)))
DONE = make_task(stage=Stage.DONE, landed=sha("c"), deployed=True, finished_at=NOW)
REPO = Repo(project=DEMO)


def good_deploy() -> Deploy:
    return make_deploy(DONE, state=DeployState.SUCCEEDED, ended_at=NOW)


def context(project: Project = PROJECT, seconds: float = 0, **limits: Any) -> Context:
    return make_context(project, now=later(seconds), **limits)


def watched(sign: WatchSign = WatchSign.WATCHING) -> Task:
    return replace(DONE, watch=sign)


def look(watch: Watch, ok: bool, left_s: float, at: float = 15, repo: Repo = REPO, **fields: Any) -> Judged:
    judged = probed(context(seconds=at), watched(), watch, Observed(ok=ok, detail="HTTP 500", left_s=left_s), repo=repo, **fields)
    assert judged is not None
    return judged


def causes(decided: Decided) -> list[str]:
    return [effect.transition.cause for effect in effects_of(decided, RecordTransition)]


def shown(decided: Decided) -> list[Status]:
    return [effect.status for effect in effects_of(decided, SetStatus)]


# ------------------------------------------------------------------------------------------------ beginning


def test_a_good_deploy_is_watched_for_the_window_and_the_card_says_so() -> None:
    begun = begin(context(), DONE, good_deploy(), repo=REPO, landed_at=None)
    assert begun.watch == make_watch()
    assert begun.decided.task.watch is WatchSign.WATCHING
    assert begun.decided.task.stage is Stage.DONE
    assert shown(begun.decided) == [Status.MONITORING]
    assert causes(begun.decided) == ["watched"]


def test_without_a_monitor_nothing_is_watched_and_the_history_says_so() -> None:
    begun = begin(context(make_project()), DONE, good_deploy(), repo=REPO, landed_at=None)
    assert (begun.watch.state, begun.watch.probes, begun.watch.ended_at) == (WatchState.HEALTHY, 0, NOW)
    assert (begun.decided.task.watch, shown(begun.decided)) == (WatchSign.NONE, [])
    assert causes(begun.decided) == ["not-watched"]


def frozen(cause: FreezeCause, since: float) -> Repo:
    return Repo(project=DEMO, freeze=Freeze(project=DEMO, cause=cause, since=later(since), by="orch", detail="it was bad"))


@pytest.mark.parametrize(
    ("cause", "since", "landed", "lifted"),
    [
        (FreezeCause.DEPLOY, -60, -120, True),
        (FreezeCause.DEPLOY, 1, -120, False),
        (FreezeCause.RED_MAIN, -60, -30, True),
        (FreezeCause.RED_MAIN, -60, -120, False),
        (FreezeCause.PERSON, -60, -30, False),
    ],
)
def test_a_good_deploy_lifts_a_machines_freeze_of_before_it_and_never_a_persons(
    cause: FreezeCause, since: float, landed: float, lifted: bool
) -> None:
    begun = begin(context(), DONE, good_deploy(), repo=frozen(cause, since), landed_at=later(landed))
    assert (begun.thawed is not None) is lifted
    assert ("thawed" in causes(begun.decided)) is lifted
    assert [alert.kind for alert in effects_of(begun.decided, Alert)] == (["thaw"] if lifted else [])


def test_a_good_deploy_lifts_the_freeze_also_where_nothing_is_watched() -> None:
    begun = begin(context(make_project()), DONE, good_deploy(), repo=frozen(FreezeCause.DEPLOY, -60), landed_at=None)
    assert begun.thawed is not None


# ------------------------------------------------------------------------------------------------ probes


def test_bad_probes_in_a_row_are_counted_and_a_good_one_forgives_them() -> None:
    watch = make_watch()
    for ok, bad in [(False, 1), (False, 2), (True, 0), (False, 1), (False, 2)]:
        judged = look(watch, ok, left_s=300)
        watch = judged.watch
        assert (watch.bad, watch.state) == (bad, WatchState.WATCHING)
        assert not judged.decided.changed
    assert watch.probes == 5


def test_the_next_probe_is_an_interval_later_and_the_last_one_at_the_very_end_of_the_window() -> None:
    assert look(make_watch(), ok=True, left_s=300, at=100).watch.next_at == later(115)
    assert look(make_watch(), ok=True, left_s=4, at=596).watch.next_at == later(600)
    assert look(make_watch(), ok=False, left_s=0, at=600).watch.next_at == later(615)


def test_the_window_ends_well_with_a_good_probe() -> None:
    judged = look(make_watch(probes=39), ok=True, left_s=0, at=600)
    assert (judged.watch.state, judged.watch.ended_at, judged.watch.probes) == (WatchState.HEALTHY, later(600), 40)
    assert judged.decided.task.watch is WatchSign.HEALTHY
    assert shown(judged.decided) == [Status.DONE]
    assert causes(judged.decided) == ["healthy"]
    assert (judged.freeze, judged.rollback) == (None, False)


def test_a_window_that_ends_while_probes_are_bad_goes_on_until_it_is_known_what_they_mean() -> None:
    first = look(make_watch(bad=1), ok=False, left_s=0, at=600)
    assert (first.watch.state, first.watch.bad) == (WatchState.WATCHING, 2)
    assert look(first.watch, ok=False, left_s=0, at=615).watch.state is WatchState.DEGRADED
    assert look(first.watch, ok=True, left_s=0, at=615).watch.state is WatchState.HEALTHY


def degrade(project: Project = PROJECT, repo: Repo = REPO, **limits: Any) -> Judged:
    seen = Observed(ok=False, detail="HTTP 500", left_s=300)
    judged = probed(context(project, seconds=45, **limits), watched(), make_watch(bad=2, probes=2), seen, repo=repo)
    assert judged is not None
    return judged


def test_enough_bad_probes_in_a_row_sign_freeze_alert_comment_and_ask_for_the_rollback() -> None:
    judged = degrade()
    assert (judged.watch.state, judged.watch.ended_at, judged.watch.bad) == (WatchState.DEGRADED, later(45), 3)
    assert judged.decided.task.watch is WatchSign.DEGRADED
    assert judged.decided.task.stage is Stage.DONE
    assert shown(judged.decided) == [Status.BLOCKED]
    assert judged.freeze is not None
    assert (judged.freeze.cause, judged.freeze.since, judged.freeze.by) == (FreezeCause.DEPLOY, later(45), "orch")
    assert judged.freeze.detail == f"DEMO-1 at {'c' * 12}: HTTP 500"
    assert judged.rollback
    told = [effect.text for effect in judged.decided.effects if isinstance(effect, Alert | Comment)]
    assert len(told) == 2
    assert all("HTTP 500" in text and "**demo** is frozen" in text and "rollback command is run" in text for text in told)


@pytest.mark.parametrize(
    "project",
    [
        replace(PROJECT, self_hosting=True),
        replace(PROJECT, deploy=DeploySettings(command=("deploy",))),
    ],
    ids=["self-hosting", "no rollback command"],
)
def test_where_the_daemon_may_not_roll_back_it_only_signs_freezes_and_alerts(project: Project) -> None:
    judged = degrade(project)
    assert (judged.rollback, judged.freeze is not None) == (False, True)
    assert "Nothing is rolled back" in effects_of(judged.decided, Alert)[0].text
    assert not may_roll_back(project)


def test_with_the_switch_off_a_bad_deploy_signs_and_alerts_and_freezes_nothing() -> None:
    judged = degrade(serial_gate_freeze_enabled=False)
    assert judged.freeze is None
    assert shown(judged.decided) == [Status.BLOCKED]
    assert "Nothing is frozen" in effects_of(judged.decided, Alert)[0].text


def test_a_persons_freeze_stays_when_a_deploy_degrades() -> None:
    repo = frozen(FreezeCause.PERSON, -60)
    judged = degrade(repo=repo)
    assert judged.freeze is None
    assert "**demo** is frozen" in effects_of(judged.decided, Alert)[0].text


@pytest.mark.parametrize("state", [WatchState.HEALTHY, WatchState.DEGRADED, WatchState.ENDED])
def test_a_probe_of_a_watch_that_is_over_means_nothing(state: WatchState) -> None:
    seen = Observed(ok=False, detail="", left_s=10)
    assert probed(context(), watched(), make_watch(state=state, bad=9), seen, repo=REPO) is None


def test_what_became_of_a_watch_is_not_shown_on_a_card_that_another_task_has_by_now() -> None:
    assert shown(look(make_watch(probes=39), ok=True, left_s=0, newest=False).decided) == []
    assert shown(begin(context(), DONE, good_deploy(), repo=REPO, landed_at=None, newest=False).decided) == []


# ------------------------------------------------------------------------------------------------ ends that are no verdict


def test_a_later_deploy_ends_the_running_watch_and_its_sign() -> None:
    judged = superseded(context(seconds=60), watched(), make_watch(), "a later deploy has begun")
    assert judged is not None
    assert (judged.watch.state, judged.watch.ended_at) == (WatchState.ENDED, later(60))
    assert (judged.decided.task.watch, status_of(judged.decided.task)) == (WatchSign.NONE, Status.DONE)
    assert shown(judged.decided) == [Status.DONE]


def test_a_later_good_deploy_takes_the_sign_of_a_degraded_one_away_and_keeps_its_verdict() -> None:
    watch = make_watch(state=WatchState.DEGRADED)
    judged = superseded(context(seconds=60), watched(WatchSign.DEGRADED), watch, "a later deploy has succeeded")
    assert judged is not None
    assert (judged.watch, shown(judged.decided)) == (watch, [Status.DONE])
    assert superseded(context(), watched(WatchSign.NONE), watch, "again") is None


@pytest.mark.parametrize("state", [WatchState.HEALTHY, WatchState.ENDED])
def test_a_watch_that_is_over_is_not_ended_again(state: WatchState) -> None:
    assert superseded(context(), watched(), make_watch(state=state), "later") is None


# ------------------------------------------------------------------------------------------------ time


@given(
    until=st.integers(-100_000, 100_000),
    following=st.integers(-100_000, 100_000),
    now=st.integers(-100_000, 100_000),
    window=st.floats(1, 10_000),
    interval=st.floats(1, 1000),
)
def test_whatever_the_clock_says_at_a_start_no_wait_is_negative_or_longer_than_configured(
    until: int, following: int, now: int, window: float, interval: float
) -> None:
    monitor = replace(MONITOR, window_s=window, interval_s=interval)
    left_s, wait_s = remaining(monitor, make_watch(until=later(until), next_at=later(following)), later(now))
    assert 0 <= left_s <= window
    assert 0 <= wait_s <= interval


@given(left=st.floats(-100, 100_000), interval=st.floats(0.5, 1000))
def test_a_next_probe_always_comes_and_never_later_than_an_interval(left: float, interval: float) -> None:
    assert 0 < next_probe_s(replace(MONITOR, interval_s=interval), left) <= interval


@given(answers=st.lists(st.booleans(), max_size=120), jump=st.integers(-100_000, 100_000), after=st.integers(0, 60))
def test_a_watch_ends_once_and_for_the_reason_that_its_probes_give_wherever_the_wall_clock_jumps(
    answers: list[bool], jump: int, after: int
) -> None:
    """A model of the loop: 600 s, a probe every 15 s, three bad ones in a row."""
    watch, elapsed, run, expected = make_watch(), 0.0, 0, None
    for number, ok in enumerate(answers):
        elapsed += next_probe_s(MONITOR, 600 - elapsed)
        run = 0 if ok else run + 1
        wall = NOW + timedelta(seconds=elapsed + (jump if number >= after else 0))
        seen = Observed(ok=ok, detail="x", left_s=600 - elapsed)
        judged = probed(make_context(PROJECT, now=wall), watched(), watch, seen, repo=REPO)
        if expected is not None:
            assert judged is None
            continue
        assert judged is not None
        watch = judged.watch
        assert watch.until == wall + timedelta(seconds=max(600 - elapsed, 0))
        expected = WatchState.DEGRADED if run == 3 else WatchState.HEALTHY if ok and elapsed >= 600 else None
        assert watch.state is (expected or WatchState.WATCHING)
        assert (judged.freeze is not None) is judged.rollback is (expected is WatchState.DEGRADED)


# ------------------------------------------------------------------------------------------------ rollback


ENDS = {
    CommandVerdict.GREEN: ("rolled-back", "has succeeded"),
    CommandVerdict.RED: ("rollback-failed", "has failed"),
    CommandVerdict.TIMEOUT: ("rollback-failed", "ran out of time"),
    CommandVerdict.INFRA: ("rollback-failed", "could not be run"),
    CommandVerdict.INTERRUPTED: ("rollback-failed", "cut off several times"),
}


@pytest.mark.parametrize("verdict", CommandVerdict)
def test_a_rollbacks_end_is_told_and_a_failed_one_says_that_a_person_is_needed(verdict: CommandVerdict) -> None:
    decided = rolled_back(context(), watched(WatchSign.DEGRADED), CommandReport(verdict=verdict, tail="boom", exit_code=1))
    cause, words = ENDS[verdict]
    alert = effects_of(decided, Alert)[0]
    assert (causes(decided), alert.kind) == ([cause], cause)
    assert words in alert.text
    good = verdict is CommandVerdict.GREEN
    assert ("for a person to put right now" in alert.text, "boom" in alert.text) == (not good, not good)
    assert decided.task.watch is WatchSign.DEGRADED


@pytest.mark.parametrize(
    ("outcomes", "again"),
    [
        ([], False),
        ([None], False),
        ([Outcome.SUCCEEDED], False),
        ([Outcome.FAILED], False),
        ([Outcome.TIMED_OUT], False),
        ([Outcome.CRASHED], True),
        ([Outcome.CANCELLED], True),
        ([Outcome.CRASHED, None], False),
        ([Outcome.CRASHED, Outcome.FAILED], False),
    ],
)
def test_only_a_rollback_that_was_cut_off_from_outside_is_begun_again(outcomes: list[Outcome | None], again: bool) -> None:
    runs = [make_run(kind=RunKind.ROLLBACK, outcome=outcome) for outcome in outcomes]
    assert rollback_cut_off([make_run(outcome=Outcome.CRASHED), *runs, make_run(outcome=Outcome.CRASHED)]) is again


def test_a_rollback_has_its_bound() -> None:
    runs = [make_run(kind=RunKind.ROLLBACK, outcome=Outcome.CRASHED)] * ROLLBACK_TRIES
    assert [rollback_given_up(runs[:count]) for count in range(ROLLBACK_TRIES + 1)] == [False] * ROLLBACK_TRIES + [True]
