"""What a card that was read means for its live task: gone, closed, edited, or put somewhere by nobody known."""

from dataclasses import replace
from typing import Any

import pytest

from orch.core.decide_card import CardNews, card_read
from orch.core.decide_repo import Chosen
from orch.core.effects import Alert, CancelRun, Comment, EditPullRequest, RecordTransition, SetStatus
from orch.core.model import Awaiting, BoardIssue, ParkReason, Task
from orch.core.stages import Stage
from orch.core.statuses import DEFAULT_NAMES, BoardState, Status, map_states
from tests.builders import (
    NOW,
    effects_of,
    make_activity,
    make_context,
    make_issue,
    make_park,
    make_task,
)

GROUPS = {Status.DONE: "completed", Status.CANCELLED: "cancelled", Status.STOP: "cancelled", Status.BACKLOG: "backlog"}
STATES = map_states([BoardState(id=s, name=DEFAULT_NAMES[s], group=GROUPS.get(s, "started")) for s in Status])
NONE = Chosen(trigger=None, entry=None, handled=())
WORKING = make_task(stage=Stage.DEVELOPMENT)


def issue_of(task: Task, **fields: Any) -> BoardIssue:
    return make_issue(title=task.title, text=task.description, **fields)


def moved_to(status: Status, *, trigger: Status | None = None, unknown: bool = False) -> Chosen:
    entry = make_activity(source="in_progress", target=status.value)
    return Chosen(trigger=trigger, entry=entry, handled=(entry.id,), unknown=unknown)


def news(issue: BoardIssue | None, chosen: Chosen = NONE, *history: Any) -> CardNews:
    return CardNews(issue=issue, chosen=chosen, states=STATES, history=history)


def test_a_card_that_is_gone_parks_its_task_and_asks() -> None:
    decided = card_read(make_context(), WORKING, news(None))
    assert decided.task.park is not None
    assert decided.task.park.reason is ParkReason.ISSUE_GONE
    assert effects_of(decided, CancelRun)
    assert [alert.kind for alert in effects_of(decided, Alert)] == ["parked"]


def test_a_person_s_resume_takes_it_on_without_its_card_until_that_is_back_and_gone_again() -> None:
    first = card_read(make_context(), WORKING, news(None))
    history = [effect.transition for effect in effects_of(first, RecordTransition)]
    assert not card_read(make_context(), WORKING, news(None, NONE, *history)).changed
    back = card_read(make_context(), WORKING, news(issue_of(WORKING), NONE, *history))
    assert back.task.park is None
    assert effects_of(back, SetStatus), "what was to be shown meanwhile met no card: it is shown now"
    history += [effect.transition for effect in effects_of(back, RecordTransition)]
    assert not card_read(make_context(), WORKING, news(issue_of(WORKING), NONE, *history)).changed, "that is said once"
    assert card_read(make_context(), WORKING, news(None, NONE, *history)).task.park is not None


def test_a_card_that_goes_while_its_task_is_parked_is_asked_about_after_that() -> None:
    assert not card_read(make_context(), replace(WORKING, park=make_park()), news(None)).changed


@pytest.mark.parametrize(
    "task",
    [
        replace(WORKING, stage=Stage.DONE),
        replace(WORKING, cancel_requested_at=NOW),
        replace(WORKING, stage=Stage.DEPLOY, awaiting=Awaiting.DEPLOYING),
        replace(WORKING, park=make_park()),
    ],
    ids=["done", "being-stopped", "deploying", "parked"],
)
def test_what_is_ending_deploying_or_parked_is_not_parked_for_its_card(task: Task) -> None:
    assert card_read(make_context(), task, news(None)).task.park == task.park
    assert card_read(make_context(), task, news(issue_of(task), moved_to(Status.DONE))).task.park == task.park


@pytest.mark.parametrize("status", [Status.DONE, Status.CANCELLED])
def test_a_person_who_closes_the_card_is_asked(status: Status) -> None:
    decided = card_read(make_context(), WORKING, news(issue_of(WORKING), moved_to(status)))
    assert decided.task.park is not None
    assert (decided.task.park.reason, "Anna" in decided.task.park.evidence) == (ParkReason.ISSUE_GONE, True)


@pytest.mark.parametrize("status", [Status.BACKLOG, Status.TESTING, Status.STOP])
def test_other_columns_and_triggers_park_nothing(status: Status) -> None:
    """STOP may stand in a closed group: it is a trigger, and decided elsewhere."""
    assert not card_read(make_context(), WORKING, news(issue_of(WORKING), moved_to(status))).changed
    chosen = moved_to(Status.STOP, trigger=Status.STOP)
    assert card_read(make_context(), WORKING, news(issue_of(WORKING), chosen)).task == WORKING


def test_an_unknown_person_s_column_gets_one_comment_and_the_derived_status() -> None:
    decided = card_read(make_context(), WORKING, news(issue_of(WORKING), moved_to(Status.DONE, unknown=True)))
    assert decided.task.park is None
    assert [effect.status for effect in effects_of(decided, SetStatus)] == [Status.IN_PROGRESS]
    assert len(effects_of(decided, Comment)) == 1
    same = card_read(make_context(), WORKING, news(issue_of(WORKING), moved_to(Status.IN_PROGRESS, unknown=True)))
    assert not same.changed, "the card shows what it should"


def test_an_edited_card_is_kept_beside_what_the_task_was_started_with() -> None:
    edited = card_read(make_context(), WORKING, news(replace(issue_of(WORKING), text="Greet in Latin.")))
    assert (edited.task.description, edited.task.description_now) == (WORKING.description, "Greet in Latin.")
    assert (edited.task.newest_title, edited.task.title_now) == (None, WORKING.title)
    assert [e.transition.detail for e in effects_of(edited, RecordTransition)] == ["description"]
    again = card_read(make_context(), edited.task, news(replace(issue_of(WORKING), text="Greet in Latin.")))
    assert not again.changed, "it is said once"
    back = card_read(make_context(), edited.task, news(issue_of(WORKING)))
    assert (back.task.newest_description, back.task.description_now) == (None, WORKING.description)


@pytest.mark.parametrize(("stage", "wip"), [(Stage.DEVELOPMENT, True), (Stage.REVIEW, True), (Stage.TESTING, False)])
def test_the_pull_request_says_what_the_card_says(stage: Stage, wip: bool) -> None:
    task = make_task(stage=stage, pr_number=4)
    (edit,) = effects_of(card_read(make_context(), task, news(replace(issue_of(task), title="Greet all"))), EditPullRequest)
    assert ("Greet all" in edit.title, edit.title.startswith("WIP:"), edit.close) == (True, wip, False)


def test_an_edit_and_a_closed_card_are_both_kept() -> None:
    decided = card_read(make_context(), WORKING, news(replace(issue_of(WORKING), title="Greet all"), moved_to(Status.DONE)))
    assert (decided.task.title_now, decided.task.park is not None) == ("Greet all", True)
