"""Whether a column is explained, and what the outbox does before and after it sets one: over nothing that a person set."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.board_write import (
    LOOK_S,
    LOOKS,
    Card,
    Hold,
    Void,
    Write,
    decide_write,
    is_explained,
    is_obsolete,
    is_unknown_persons,
    look,
    overwrote,
)
from orch.core.ids import IssueId
from orch.core.model import Activity, Task, Unexplained
from orch.core.stages import Stage
from tests.builders import DEMO, NOW, later, make_activity, make_issue, make_task

ISSUE = IssueId("DEMO-1")


def log(*moves: tuple[str, str | None, str | None]) -> list[Activity]:
    """An activity log, oldest first: (who, old column, new column); ``bot`` is one of our own users."""
    return [
        make_activity(number=number, actor=who, ours=who == "bot", source=old, target=new, created_at=later(number))
        for number, (who, old, new) in enumerate(moves, start=1)
    ]


def seen(column: str, looks: int) -> Unexplained:
    return Unexplained(project=DEMO, issue=ISSUE, column=column, looks=looks, at=NOW)


def card(column: str | None, entries: list[Activity], *fresh: int, looked: Unexplained | None = None) -> Card:
    """*fresh* numbers the entries that nobody has handled; *column* None: the card is gone."""
    issue = None if column is None else make_issue(state_id=column)
    unhandled = {entry.id for number, entry in enumerate(entries, 1) if number in fresh}
    return Card(issue=issue, entries=entries, unhandled=unhandled, seen=looked)


OURS = ("bot", "todo", "testing")
HERS = ("anna", "testing", "stop")


@pytest.mark.parametrize(
    ("entries", "column", "fresh", "explained"),
    [
        ([], "todo", (), True),
        ([("anna", None, "todo")], "todo", (), True),
        ([OURS], "testing", (), True),
        ([OURS], "todo", (), False),
        ([OURS, HERS], "stop", (), True),
        ([OURS, HERS], "stop", (2,), True),
        ([OURS, HERS], "testing", (), True),
        ([OURS, HERS], "testing", (2,), False),
        ([OURS, HERS], "todo", (), False),
        ([OURS, ("anna", None, "stop")], "testing", (), True),
        ([OURS, ("anna", "todo", None)], "backlog", (), False),
    ],
)
def test_what_explains_a_column(
    entries: list[tuple[str, str | None, str | None]], column: str, fresh: tuple[int, ...], explained: bool
) -> None:
    made = log(*entries)
    unhandled = {entry.id for number, entry in enumerate(made, 1) if number in fresh}
    assert is_explained(column, made, unhandled) is explained


def test_looks_are_counted_with_time_between_them_and_no_further_than_needed() -> None:
    one = look(None, DEMO, ISSUE, "stop", NOW)
    assert (one.looks, is_unknown_persons(one, "stop")) == (1, False)
    assert look(one, DEMO, ISSUE, "stop", later(LOOK_S - 1)) == one
    two = look(one, DEMO, ISSUE, "stop", later(LOOK_S))
    three = look(two, DEMO, ISSUE, "stop", later(2 * LOOK_S))
    assert (three.looks, is_unknown_persons(three, "stop"), is_unknown_persons(three, "todo")) == (LOOKS, True, False)
    assert look(three, DEMO, ISSUE, "stop", later(900)) == three, "what was judged once is the same judgement later"
    assert look(three, DEMO, ISSUE, "approved", later(900)).looks == 1, "another column is another question"
    assert look(one, DEMO, ISSUE, "stop", NOW - timedelta(hours=1)).looks == 2, "a clock that was set back holds nothing up"


def test_a_column_that_we_wrote_is_written_over() -> None:
    assert decide_write(card("testing", log(OURS)), "review") == Write(over="testing")
    assert decide_write(card("todo", log(("anna", None, "todo"))), "analysis") == Write(over="todo")


def test_G8_a_person_s_unhandled_move_goes_first() -> None:
    for column in ("stop", "testing"):
        decided = decide_write(card(column, log(OURS, HERS), 2), "review")
        assert isinstance(decided, Hold)
        assert decided.read
    assert decide_write(card("stop", log(OURS, HERS)), "cancelled") == Write(over="stop"), "it was handled"
    assert decide_write(card("testing", log(OURS), 1), "review") == Write(over="testing"), "an echo is no person's"


def test_G8_a_column_that_nobody_is_known_to_have_set_holds_the_write_until_it_was_looked_at_often_enough() -> None:
    entries = log(OURS)
    first = decide_write(card("approved", entries), "review")
    assert isinstance(first, Hold)
    assert first.read, "whoever decides about the issue begins to look"
    for looks in range(1, LOOKS):
        held = decide_write(card("approved", entries, looked=seen("approved", looks)), "review")
        assert isinstance(held, Hold)
        assert not held.read, "and goes on by himself"
    assert decide_write(card("approved", entries, looked=seen("approved", LOOKS)), "review") == Write(over="approved")
    assert isinstance(decide_write(card("approved", entries, looked=seen("stop", LOOKS)), "review"), Hold)


def test_nothing_is_written_on_a_card_that_is_gone_or_stands_there() -> None:
    gone = decide_write(card(None, []), "review")
    assert isinstance(gone, Void)
    assert gone.read
    assert isinstance(decide_write(card("review", log(OURS)), "review"), Void)


@pytest.mark.parametrize(
    ("row", "newest", "obsolete"),
    [
        (None, None, False),
        (None, make_task(2), True),
        (None, make_task(2, stage=Stage.CANCELLED), False),
        (make_task(1), make_task(1), False),
        (make_task(1), make_task(2), True),
        (make_task(1, stage=Stage.CANCELLED), make_task(1, stage=Stage.CANCELLED), False),
    ],
)
def test_a_sign_of_an_earlier_task_is_not_shown_over_a_later_one(row: Task | None, newest: Task | None, obsolete: bool) -> None:
    assert is_obsolete(None if row is None else row.row, newest) is obsolete


def test_our_own_entry_tells_whom_we_wrote_over() -> None:
    before, write = log(OURS), Write(over="testing")
    assert not overwrote(write, "review", before, log(OURS, ("bot", "testing", "review")))
    assert overwrote(write, "review", before, log(OURS, ("anna", "testing", "stop"), ("bot", "stop", "review")))
    assert overwrote(write, "review", before, log(OURS, ("bot", "stop", "review"))), "hers is late"
    assert not overwrote(write, "review", before, before), "ours is late: hers, when it comes, is read by itself"


@given(
    column=st.none() | st.sampled_from("abcd"),
    target=st.sampled_from("abcd"),
    moves=st.lists(st.tuples(st.sampled_from(["anna", "bot"]), st.sampled_from("abcd"), st.sampled_from("abcd")), max_size=5),
    fresh=st.sets(st.integers(1, 5)),
    looks=st.integers(0, LOOKS),
)
def test_G8_a_write_goes_over_no_person_s_move_that_nobody_handled(
    column: str | None, target: str, moves: list[tuple[str, str, str]], fresh: set[int], looks: int
) -> None:
    entries = log(*moves)
    decided = decide_write(card(column, entries, *fresh, looked=seen(column or "", looks)), target)
    waiting = [entry for number, entry in enumerate(entries, 1) if number in fresh and not entry.ours]
    if isinstance(decided, Write):
        assert not waiting
        assert decided.over == column != target
        assert looks == LOOKS or not entries or column in {entry.target for entry in entries}
