"""The repo's decisions: which trigger an activity log stands for, what may enter, what lands next and whether it still may."""

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.board_write import LOOKS, UNKNOWN, unknown_entry
from orch.core.decide_repo import (
    Chosen,
    Enter,
    Forward,
    Later,
    Nothing,
    Refuse,
    Useless,
    choose_trigger,
    decide_adoption,
    decide_trigger,
    first_contact,
    membership_fault,
    rejection_reason,
    shown_at,
)
from orch.core.ids import IssueId, TaskRow
from orch.core.messages import Answer, Verb
from orch.core.model import Activity, Awaiting, Freeze, FreezeCause, Member, Repo, Task, Unexplained
from orch.core.stages import ORDER, Stage
from orch.core.statuses import DEFAULT_NAMES, TRIGGERS, BoardState, Status, map_states
from tests.builders import (
    DEMO,
    NOW,
    later,
    make_activity,
    make_candidate,
    make_comment,
    make_issue,
    make_limits,
    make_park,
    make_project,
    make_task,
    sha,
)

STATES = map_states([BoardState(id=f"s-{status}", name=DEFAULT_NAMES[status]) for status in Status])
PLAIN_BOARD = map_states(
    [BoardState(id=f"s-{status}", name=DEFAULT_NAMES[status]) for status in Status if status is not Status.TO_ANALYSE]
)


def column(status: Status | str | None) -> str | None:
    return f"s-{status}" if isinstance(status, Status) else status


def log(*moves: tuple[str, Status | str | None, Status | str | None]) -> list[Activity]:
    """An activity log, oldest first: (who, old column, new column); ``bot`` is one of our own users."""
    return [
        make_activity(
            number=number, actor=who, ours=who == "bot", source=column(old), target=column(new), created_at=later(number)
        )
        for number, (who, old, new) in enumerate(moves, start=1)
    ]


def choose(
    entries: list[Activity], now: Status | str | None, *, fresh: tuple[int, ...] | None = None, live: bool = True, **more: Any
) -> tuple[Status | None, list[int]]:
    """Choose with all (or the *fresh*) entries unhandled; return the trigger and the numbers of what is handled with it."""
    chosen = choosing(entries, now, fresh=fresh, live=live, **more)
    numbers = {entry.id: number for number, entry in enumerate(entries, 1)}
    assert chosen.entry is not None or chosen.trigger is None
    return chosen.trigger, [numbers[entry] for entry in chosen.handled if entry in numbers]


def choosing(
    entries: list[Activity], now: Status | str | None, *, fresh: tuple[int, ...] | None = None, live: bool = True, **more: Any
) -> Chosen:
    """The whole choice. *looks*: how often an unexplained column was looked at before."""
    unhandled = {entry.id for number, entry in enumerate(entries, 1) if fresh is None or number in fresh}
    seen = Unexplained(project=DEMO, issue=IssueId("DEMO-1"), column=column(now) or "", looks=more.get("looks", 0), at=NOW)
    baseline, states = more.get("baseline"), more.get("states", STATES)
    return choose_trigger(entries, unhandled, states, column(now), live=live, baseline=baseline, seen=seen)


S = Status


@pytest.mark.parametrize("trigger", sorted(TRIGGERS))
def test_a_person_s_entry_is_a_trigger(trigger: Status) -> None:
    assert choose(log(("anna", S.BACKLOG, trigger)), trigger) == (trigger, [1])


@pytest.mark.parametrize("status", [status for status in Status if status not in TRIGGERS])
def test_any_other_column_means_nothing_and_is_handled(status: Status) -> None:
    assert choose(log(("anna", S.BACKLOG, status)), status) == (None, [1])


@pytest.mark.parametrize("trigger", sorted(TRIGGERS))
def test_G8_our_own_entry_is_an_echo(trigger: Status) -> None:
    assert choose(log(("bot", S.BACKLOG, trigger)), trigger) == (None, [1])


@pytest.mark.parametrize("trigger", sorted(TRIGGERS))
def test_G8_phantoms_do_not_count(trigger: Status) -> None:
    """A creation or a project's automation has no old state; a state of another project is not one of ours."""
    assert choose(log(("anna", None, trigger)), trigger) == (None, [1])
    assert choose(log(("anna", S.BACKLOG, None)), S.BACKLOG) == (None, [1])
    assert choose(log(("anna", S.BACKLOG, "elsewhere")), "elsewhere") == (None, [1])


def test_G1_handled_entries_are_not_handled_again() -> None:
    entries = log(("anna", S.BACKLOG, S.TO_ANALYSE), ("anna", S.IN_REVIEW, S.APPROVED))
    assert choose(entries, S.APPROVED, fresh=(2,)) == (S.APPROVED, [2])
    assert choose(entries, S.APPROVED, fresh=()) == (None, [])


def test_a_later_move_withdraws_an_earlier_one() -> None:
    entries = log(("anna", S.IN_REVIEW, S.APPROVED), ("anna", S.APPROVED, S.REJECTED))
    assert choose(entries, S.REJECTED) == (S.REJECTED, [1, 2])
    entries = log(("anna", S.IN_REVIEW, S.APPROVED), ("anna", S.APPROVED, S.BACKLOG))
    assert choose(entries, S.BACKLOG) == (None, [1, 2])


def test_G8_a_column_that_never_showed_it_is_no_command() -> None:
    entries = log(("anna", S.IN_REVIEW, S.APPROVED))
    assert choose(entries, S.IN_REVIEW, looks=LOOKS) == (None, [1])
    assert choosing(entries, S.IN_REVIEW, looks=LOOKS).unknown
    assert choose(entries, None) == (None, [1]), "a card that is gone shows nothing any more"


def test_G8_a_log_that_does_not_explain_the_column_yet_is_waited_for() -> None:
    """Anna's approval was written over by us, and our own entry is late: only that entry would show that the card stood there."""
    late = log(("anna", S.IN_REVIEW, S.APPROVED))
    for looks in range(LOOKS):
        chosen = choosing(late, S.IN_REVIEW, looks=looks)
        assert (chosen.wait, chosen.handled, chosen.trigger) == (True, (), None)
    assert choose([*late, *log(*[("bot", S.APPROVED, S.IN_REVIEW)] * 2)[1:]], S.IN_REVIEW) == (S.APPROVED, [1, 2])


@pytest.mark.parametrize("now", [S.APPROVED, S.STOP, S.TO_ANALYSE, S.DONE])
def test_a_column_without_an_entry_is_waited_for_and_then_an_unknown_person_s(now: Status) -> None:
    entries = log(("bot", S.BACKLOG, S.IN_REVIEW))
    assert choosing(entries, now, fresh=(), looks=LOOKS - 1).wait
    chosen = choosing(entries, now, fresh=(), looks=LOOKS)
    assert (chosen.unknown, chosen.wait) == (True, False)
    assert chosen.trigger is (S.STOP if now is S.STOP else None), "STOP alone is obeyed"
    assert chosen.entry is not None
    assert (chosen.entry.actor, chosen.handled) == (UNKNOWN, (chosen.entry.id,))
    assert choosing(entries, now, fresh=(), looks=LOOKS, live=False).trigger is None, "there is nothing to stop"


def test_G5_STOP_waits_for_no_explanation() -> None:
    assert choose(log(("anna", S.TESTING, S.STOP)), S.CODE_REVIEW) == (S.STOP, [1])


def test_what_explains_a_column_of_two_writes_at_once() -> None:
    """The person's entry came in last, the column is ours: her STOP was handled, and our own sign may be written over."""
    entries = log(("bot", S.TESTING, S.CODE_REVIEW), ("anna", S.TESTING, S.STOP))
    assert choose(entries, S.CODE_REVIEW, fresh=()) == (None, [])
    assert choosing(log(*[("bot", S.TESTING, S.CODE_REVIEW), ("anna", S.TESTING, S.APPROVED)]), S.CODE_REVIEW).wait


def test_G8_a_command_that_a_write_of_ours_replaced_is_kept() -> None:
    entries = log(("anna", S.IN_REVIEW, S.APPROVED), ("bot", S.APPROVED, S.IN_REVIEW))
    assert choose(entries, S.IN_REVIEW) == (S.APPROVED, [1, 2])
    overlapping = log(("anna", S.ANALYSIS, S.APPROVED), ("bot", S.ANALYSIS, S.IN_REVIEW))
    assert choose(overlapping, S.IN_REVIEW) == (None, [1, 2]), "nothing says that the column ever showed it"
    earlier = log(("bot", S.APPROVED, S.ANALYSIS), ("anna", S.ANALYSIS, S.APPROVED))
    assert choose(earlier, S.ANALYSIS, looks=LOOKS) == (None, [1, 2]), "what we replaced before is another story"


@pytest.mark.parametrize(
    ("moves", "now", "handled"),
    [
        ([("anna", S.TESTING, S.STOP)], S.STOP, [1]),
        ([("anna", S.TESTING, S.STOP)], S.TESTING, [1]),
        ([("anna", S.TESTING, S.STOP), ("bot", S.TESTING, S.IN_PROGRESS)], S.IN_PROGRESS, [1, 2]),
        ([("anna", S.TESTING, S.STOP), ("anna", S.STOP, S.BACKLOG)], S.BACKLOG, [1, 2]),
        ([("anna", S.TESTING, S.STOP), ("anna", S.STOP, S.APPROVED)], S.APPROVED, [1, 2]),
        ([("anna", S.TESTING, S.TO_ANALYSE), ("anna", S.TO_ANALYSE, S.STOP)], S.STOP, [1, 2]),
        ([("anna", S.TESTING, S.STOP), ("anna", S.STOP, S.TO_ANALYSE)], S.BLOCKED, [1, 2]),
    ],
)
def test_G5_STOP_always_counts(moves: list[tuple[str, Status, Status]], now: Status, handled: list[int]) -> None:
    assert choose(log(*moves), now) == (S.STOP, handled)


def test_G8_to_analyse_after_a_STOP_is_kept_for_after_it() -> None:
    entries = log(("anna", S.TESTING, S.STOP), ("anna", S.STOP, S.TO_ANALYSE))
    assert choose(entries, S.TO_ANALYSE) == (S.STOP, [1])
    assert choose(entries, S.TO_ANALYSE, fresh=(2,)) == (S.TO_ANALYSE, [2])


def test_G8_a_STOP_with_nothing_to_stop_does_not_swallow_what_came_after_it() -> None:
    entries = log(("anna", S.BACKLOG, S.STOP), ("anna", S.STOP, S.TO_ANALYSE))
    assert choose(entries, S.TO_ANALYSE, live=False) == (S.TO_ANALYSE, [1, 2])
    assert choose(entries[:1], S.STOP, live=False) == (S.STOP, [1])


def test_a_board_without_to_analyse_starts_by_its_alias() -> None:
    entries = log(("anna", S.BACKLOG, S.IN_PROGRESS))
    assert choose(entries, S.IN_PROGRESS, states=PLAIN_BOARD) == (S.TO_ANALYSE, [1])
    assert choose(entries, S.IN_PROGRESS) == (None, [1])


_MOVES = st.lists(
    st.tuples(
        st.sampled_from(["anna", "bot"]),
        st.none() | st.sampled_from(list(Status)),
        st.none() | st.sampled_from([*Status, "elsewhere"]),
    ),
    max_size=6,
)


@given(moves=_MOVES, now=st.none() | st.sampled_from(list(Status)), live=st.booleans())
def test_whatever_the_log_says_every_entry_comes_to_an_end(moves: Any, now: Status | None, live: bool) -> None:
    """Read again and again, a log is used up; each person's STOP is seen; nothing counts that no person did."""
    entries = log(*moves)
    unhandled, chosen = {entry.id for entry in entries}, list[Chosen]()
    while unhandled:
        seen = Unexplained(project=DEMO, issue=IssueId("DEMO-1"), column=column(now) or "", looks=LOOKS, at=NOW)
        choice = choose_trigger(entries, unhandled, STATES, column(now), live=live, seen=seen)
        assert choice.handled, "an entry would be looked at for ever"
        assert set(choice.handled) - {unknown_entry(seen).id} <= unhandled
        unhandled -= set(choice.handled)
        chosen.append(choice)
    human = [e for e in entries if not e.ours and e.source is not None and e.target in STATES.groups]
    stopped = any(choice.trigger is S.STOP for choice in chosen)
    if live:
        assert stopped is (any(e.target == column(S.STOP) for e in human) or any(c.unknown and now is S.STOP for c in chosen))
    for choice in chosen:
        assert choice.trigger is None or choice.entry in human or choice.unknown
        assert choice.trigger is None or choice.trigger in TRIGGERS


# ------------------------------------------------------------------------------------------------ a rejection's reason


def test_the_reason_is_the_newest_human_comment_since_the_plan_was_shown() -> None:
    task = make_task(awaiting=Awaiting.APPROVAL, updated_at=NOW)
    comments = [
        make_comment(number=1, text="old", created_at=NOW - timedelta(seconds=1)),
        make_comment(number=2, text="first", created_at=later(1)),
        make_comment(number=3, text="second", created_at=later(2)),
        make_comment(number=4, text="the analyst's own", ours=True, created_at=later(3)),
    ]
    assert rejection_reason(comments, task) == "second"
    assert rejection_reason(comments[:1], task) == ""
    assert rejection_reason([], task) == ""
    assert rejection_reason(comments, None) == ""
    assert rejection_reason(comments, replace(task, updated_at=later(9999)), NOW) == "second", "the board's own clock dates both"


def test_the_board_itself_says_when_artefacts_were_shown() -> None:
    entries = log(("bot", S.ANALYSIS, S.IN_REVIEW), ("anna", S.IN_REVIEW, S.REJECTED))
    assert shown_at(entries, STATES) == entries[0].created_at
    assert shown_at(log(("bot", S.IN_REVIEW, S.ANALYSIS), ("anna", S.ANALYSIS, S.REJECTED)), STATES) is None
    assert shown_at([], STATES) is None


# ------------------------------------------------------------------------------------------------ entry

LIMITS = make_limits()
OVER = make_task(stage=Stage.CANCELLED)


@pytest.mark.parametrize(("trigger", "stage"), list(product(sorted(TRIGGERS), ORDER[:-2])))
def test_G2_a_live_task_decides_for_itself(trigger: Status, stage: Stage) -> None:
    live = make_task(number=3, stage=stage)
    assert decide_trigger(trigger, make_issue(), live, live, LIMITS) == Forward(task=TaskRow(3))


@pytest.mark.parametrize(
    ("trigger", "newest", "entry"),
    [
        (None, None, Nothing()),
        (S.TO_ANALYSE, None, Enter()),
        (S.TO_ANALYSE, replace(OVER, swept=True), Enter()),
        (S.TO_ANALYSE, OVER, Later()),
        (S.TO_ANALYSE, make_task(stage=Stage.DONE), Useless()),
        (S.STOP, None, Nothing()),
        (S.STOP, OVER, Useless()),
        (S.STOP, make_task(stage=Stage.DONE), Useless()),
        (S.APPROVED, None, Useless()),
        (S.REJECTED, OVER, Useless()),
        (S.CONFIRM_DEPLOY, make_task(stage=Stage.DONE), Useless()),
    ],
)
def test_a_trigger_on_an_issue_without_a_live_task(trigger: Status | None, newest: Task | None, entry: object) -> None:
    assert decide_trigger(trigger, make_issue(), None, newest, LIMITS) == entry


def test_no_trigger_moves_no_live_task() -> None:
    assert decide_trigger(None, make_issue(), make_task(), make_task(), LIMITS) == Nothing()


@pytest.mark.parametrize(
    ("changes", "fields"),
    [({"title": "Hi"}, ["title"]), ({"text": "short"}, ["description"]), ({"title": "", "text": ""}, ["title", "description"])],
)
def test_QG0_refuses_naming_each_problem(changes: dict[str, Any], fields: list[str]) -> None:
    entry = decide_trigger(S.TO_ANALYSE, make_issue(**changes), None, None, LIMITS)
    assert isinstance(entry, Refuse)
    assert [problem.field for problem in entry.problems] == fields


# ------------------------------------------------------------------------------------------------ the membership check

FROZEN = Repo(project=DEMO, freeze=Freeze(project=DEMO, cause=FreezeCause.RED_MAIN, since=NOW, by="orch"))
FREE = Repo(project=DEMO)


def member(number: int, **changes: Any) -> Task:
    known: dict[str, Any] = {"awaiting": Awaiting.LANDING, "train_seq": number, "head": sha(number)}
    return make_task(number, **({"stage": Stage.DEPLOY_STAGING} | known | changes))


PINNED = make_candidate(Member(task=TaskRow(1), head=sha(1)))


def test_S4_a_member_that_is_as_it_was_may_land() -> None:
    assert membership_fault(PINNED, [member(1)], FREE) is None


@pytest.mark.parametrize(
    ("task", "repo", "told"),
    [
        (None, FREE, "left the line"),
        (member(1, stage=Stage.CANCELLED), FREE, "left the line"),
        (member(1, stage=Stage.DONE), FREE, "left the line"),
        (member(1, cancel_requested_at=NOW), FREE, "left the line"),
        (member(1, stage=Stage.DEVELOPMENT, train_seq=None), FREE, "left the landing queue"),
        (member(1, stage=Stage.DEPLOY), FREE, "left the landing queue"),
        (member(1, train_seq=None), FREE, "left the landing queue"),
        (member(1, park=make_park()), FREE, "left the landing queue"),
        (member(1, head=sha("f")), FREE, "has a newer head"),
        (member(1, head=None), FREE, "has a newer head"),
        (member(1), FROZEN, "the repo is frozen"),
    ],
)
def test_S4_anything_else_may_not(task: Task | None, repo: Repo, told: str) -> None:
    fault = membership_fault(PINNED, [task], repo)
    assert fault is not None
    assert told in fault


def test_S8_a_fix_lands_through_a_freeze() -> None:
    assert membership_fault(PINNED, [member(1, exempt=True)], FROZEN) is None


def test_S4_one_bad_member_holds_the_whole_candidate() -> None:
    candidate = make_candidate(Member(task=TaskRow(1), head=sha(1)), Member(task=TaskRow(2), head=sha(2)))
    assert membership_fault(candidate, [member(1), member(2)], FREE) is None
    assert membership_fault(candidate, [member(1), member(2, cancel_requested_at=NOW)], FREE) == "task 2 left the line"
    with pytest.raises(ValueError, match="zip"):
        membership_fault(candidate, [member(1)], FREE)


# ------------------------------------------------------------------------------------------------ first contact, adoption

BEFORE = [("anna", S.BACKLOG, S.TO_ANALYSE)]
OLD_STOP = [("anna", S.IN_PROGRESS, S.STOP)]


def test_what_was_set_before_the_first_contact_counts_as_handled() -> None:
    assert choose(log(*BEFORE), S.TO_ANALYSE, live=False, baseline=later(2)) == (None, [1])
    assert choose(log(*BEFORE), S.TO_ANALYSE, live=False, baseline=later(1)) == (S.TO_ANALYSE, [1])
    assert choose(log(*BEFORE), S.TO_ANALYSE, live=False, baseline=None) == (S.TO_ANALYSE, [1])


def test_what_is_set_after_it_counts_whatever_was_there_before() -> None:
    entries = log(*BEFORE, ("anna", S.TO_ANALYSE, S.BACKLOG), ("anna", S.BACKLOG, S.TO_ANALYSE))
    assert choose(entries, S.TO_ANALYSE, live=False, baseline=later(3)) == (S.TO_ANALYSE, [1, 2, 3])


def test_an_old_STOP_that_stands_on_a_live_task_is_obeyed() -> None:
    assert choose(log(*OLD_STOP), S.STOP, baseline=later(5)) == (S.STOP, [1])
    assert choose(log(*OLD_STOP), S.STOP, live=False, baseline=later(5)) == (None, [1])
    moved_on = log(*OLD_STOP, ("anna", S.STOP, S.IN_PROGRESS))
    assert choose(moved_on, S.IN_PROGRESS, baseline=later(5)) == (None, [1, 2])


def test_a_board_that_begins_with_the_store_has_nothing_from_before_whatever_the_clock_does() -> None:
    assert first_contact(make_project(), NOW) < later(-1e9)
    assert first_contact(make_project(board="plane", board_project="p"), NOW) == NOW


@pytest.mark.parametrize("newest", [None, make_task(stage=Stage.DONE), replace(OVER, swept=True)])
def test_adoption_starts_what_no_live_task_has(newest: Task | None) -> None:
    assert decide_adoption(make_issue(), None, newest, make_limits()) == Enter()


@pytest.mark.parametrize(
    ("issue", "live", "newest", "words"),
    [
        (make_issue(), make_task(stage=Stage.TESTING), None, "in the line already, as DEMO-1 at testing"),
        (make_issue(), None, OVER, "cleaned up"),
        (make_issue(title="Hm", text="short"), None, None, "2 characters"),
    ],
)
def test_adoption_is_refused_with_the_reason(words: str, issue: Any, live: Task | None, newest: Task | None) -> None:
    answer = decide_adoption(issue, live, newest, make_limits())
    assert isinstance(answer, Answer)
    assert answer.verb is Verb.REFUSED
    assert words in answer.text
