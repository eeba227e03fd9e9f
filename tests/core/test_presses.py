"""Buttons: what each state offers, what a button carries, and when a press means nothing any more."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.commands import Decision
from orch.core.ids import TaskRow
from orch.core.model import Awaiting, ParkReason, Task
from orch.core.presses import (
    DATA_MAX,
    Press,
    Verb,
    asked_about,
    buttons_for,
    day_buttons,
    day_limit,
    decide,
    is_stale,
    name_day,
    park_name,
    read_press,
)
from orch.core.stages import Stage
from tests.builders import NOW, later, make_park, make_task, sha

PLAN = make_task(stage=Stage.ANALYSIS, awaiting=Awaiting.APPROVAL, shown=sha("a"))
DEPLOY = make_task(stage=Stage.DEPLOY, awaiting=Awaiting.CONFIRM, shown=sha("b"))
WORKING = make_task(stage=Stage.DEVELOPMENT)
PARKED = make_task(stage=Stage.REVIEW, park=make_park(), awaiting=Awaiting.NOTHING)
BROKE = replace(PARKED, park=make_park(ParkReason.BUDGET))
DONE = make_task(stage=Stage.DONE, awaiting=Awaiting.NOTHING)


def verbs(task: Task) -> list[list[Verb]]:
    return [[press.verb for press in row] for row in buttons_for(task)]


@pytest.mark.parametrize(
    ("task", "rows"),
    [
        (PLAN, [["a", "r"], ["s"]]),
        (DEPLOY, [["c", "r"], ["s"]]),
        (WORKING, [["s"]]),
        (PARKED, [["u", "s"]]),
        (BROKE, [["b", "l"], ["s"]]),
        (DONE, []),
        (replace(WORKING, stage=Stage.CANCELLED), []),
        (replace(WORKING, cancel_requested_at=NOW), []),
        (replace(PLAN, park=make_park()), [["u", "s"]]),
        (replace(PLAN, awaiting=Awaiting.INPUT), [["s"]]),
        (replace(PLAN, shown=None), [["s"]]),
    ],
)
def test_each_state_has_its_buttons(task: Task, rows: list[list[str]]) -> None:
    assert verbs(task) == rows


@given(
    verb=st.sampled_from(Verb),
    row=st.integers(1, 2**63 - 1),
    stage=st.sampled_from(Stage),
    what=st.sampled_from(["", "a" * 12, "f" * 40]),
)
def test_a_button_comes_back_as_it_was_and_is_short_enough(verb: Verb, row: int, stage: Stage, what: str) -> None:
    press = Press(verb=verb, task=TaskRow(row), stage=stage, what=what)
    assert len(press.data().encode()) <= DATA_MAX
    assert read_press(press.data()) == press


@given(data=st.text(max_size=70))
def test_any_data_is_read_without_an_error(data: str) -> None:
    press = read_press(data)
    assert press is None or press.data()[:2] == data[:2]


@pytest.mark.parametrize(
    "data", ["", "a", "aA", "aA.", "zA1.", "aZ1.", "aA-1.", "aAé.", "aA1", "aA1.a b", "aA²." + "x", "a" * 65]
)
def test_what_we_did_not_make_is_none_of_ours(data: str) -> None:
    assert read_press(data) is None


def pressed(task: Task, verb: Verb) -> Press:
    return next(press for row in buttons_for(task) for press in row if press.verb is verb)


@pytest.mark.parametrize(
    ("task", "verb", "changes", "stale"),
    [
        (PLAN, Verb.APPROVE, {}, False),
        (PLAN, Verb.REJECT, {}, False),
        (PLAN, Verb.APPROVE, {"shown": sha("c")}, True),
        (PLAN, Verb.APPROVE, {"awaiting": Awaiting.AGENT}, True),
        (PLAN, Verb.APPROVE, {"stage": Stage.ARCHITECTURE, "awaiting": Awaiting.AGENT}, True),
        (PLAN, Verb.APPROVE, {"park": make_park()}, True),
        (PLAN, Verb.APPROVE, {"cancel_requested_at": NOW}, True),
        (DEPLOY, Verb.CONFIRM, {}, False),
        (DEPLOY, Verb.REJECT, {}, False),
        (DEPLOY, Verb.CONFIRM, {"awaiting": Awaiting.DEPLOYING}, True),
        (PARKED, Verb.RESUME, {}, False),
        (PARKED, Verb.RESUME, {"park": None, "awaiting": Awaiting.AGENT}, True),
        (PARKED, Verb.RESUME, {"park": make_park(since=later(60))}, True),
        (PARKED, Verb.RESUME, {"park": make_park(ParkReason.SURVIVOR)}, True),
        (BROKE, Verb.RAISE, {}, False),
        (BROKE, Verb.LIFT, {"park": None}, True),
        (WORKING, Verb.STOP, {}, False),
        (WORKING, Verb.STOP, {"stage": Stage.TESTING}, False),
        (WORKING, Verb.STOP, {"stage": Stage.DONE}, True),
    ],
)
def test_a_press_counts_for_what_was_shown_and_a_stop_for_the_task(
    task: Task, verb: Verb, changes: dict[str, Any], stale: bool
) -> None:
    assert is_stale(pressed(task, verb), replace(task, **changes)) is stale


def test_a_press_on_a_task_that_is_not_there_is_stale() -> None:
    assert is_stale(pressed(PLAN, Verb.APPROVE), None)


def test_a_press_becomes_the_command_that_every_door_gives() -> None:
    made = decide(pressed(PLAN, Verb.REJECT), PLAN, "telegram:7", "too big")
    assert (made.task, made.decision, made.by, made.shown, made.reason) == (
        "DEMO-1",
        Decision.REJECT,
        "telegram:7",
        sha("a"),
        "too big",
    )
    resumed = decide(pressed(PARKED, Verb.RESUME), PARKED, "telegram:7")
    assert (resumed.decision, resumed.shown) == (Decision.RESUME, "")


def test_what_is_asked_has_a_name() -> None:
    assert [asked_about(task) for task in (PLAN, DEPLOY, WORKING, PARKED)] == [sha("a"), sha("b"), "", park_name(PARKED)]
    assert park_name(WORKING) == ""


def test_the_days_question_is_about_one_limit_of_one_day() -> None:
    today = NOW.date()
    ((more, lift),) = day_buttons(name_day(today, 12.5))
    assert [press.verb for press in (more, lift)] == [Verb.RAISE, Verb.LIFT]
    assert read_press(more.data()) == more
    assert day_limit(more, today) == 12.5
    assert day_limit(more, later(86_400).date()) is None
    assert day_limit(pressed(BROKE, Verb.RAISE), today) is None
    assert is_stale(more, None)
