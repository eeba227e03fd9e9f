"""The pace of one chat: who may write when, planned without a clock."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orch.core.ids import TaskRow
from orch.core.pacing import GROUP_MAX, GROUP_TRACKERS_MAX, Pace, Turn, next_turn, silenced, wait_s, wrote

ONE, TWO = TaskRow(1), TaskRow(2)


def test_a_fresh_chat_may_be_written_at_once() -> None:
    assert wait_s(Pace(), 100.0) == wait_s(Pace(group=True), 0.0, ONE) == 0.0


def test_a_second_lies_between_messages_and_three_between_edits_of_one_tracker() -> None:
    pace = wrote(Pace(), 100.0, ONE)
    assert [wait_s(pace, 100.25, who) for who in (None, TWO, ONE)] == [0.75, 0.75, 2.75]
    assert [wait_s(pace, 101.0, who) for who in (None, TWO, ONE)] == [0.0, 0.0, 2.0]


def test_a_group_leaves_room_for_alerts_and_a_private_chat_has_no_such_limit() -> None:
    for group, tracker_s, alert_s in ((True, 16.0, 0.0), (False, 0.0, 0.0)):
        pace = Pace(group=group)
        for number in range(GROUP_TRACKERS_MAX):
            pace = wrote(pace, number * 3.0, TaskRow(number))
        assert (wait_s(pace, 44.0, TaskRow(99)), wait_s(pace, 44.0)) == (tracker_s, alert_s)
    pace = Pace(group=True)
    for number in range(GROUP_MAX):
        pace = wrote(pace, float(number))
    assert wait_s(pace, 30.0) == 30.0


def test_a_429_silences_the_whole_chat_and_a_shorter_one_does_not_shorten_it() -> None:
    pace = silenced(Pace(), 10.0, 40.0, chance=0.5)
    assert [wait_s(pace, 10.0, who) for who in (None, ONE)] == [42.0, 42.0]
    assert wait_s(silenced(pace, 11.0, 1.0, chance=1.0), 11.0) == 41.0
    assert wait_s(silenced(Pace(), 0.0, 1.0, chance=1.0), 0.0) == 1.5


def test_the_first_who_may_goes_and_else_the_wait_of_whoever_is_soonest_is_told() -> None:
    pace = wrote(Pace(), 0.0, ONE)
    assert next_turn(pace, (), 9.0) is None
    assert next_turn(pace, (ONE, TWO), 1.5) == Turn(task=TWO, wait_s=0.0)
    assert next_turn(pace, (ONE, TWO), 0.5) == Turn(task=TWO, wait_s=0.5)
    assert next_turn(pace, (ONE,), 1.0) == Turn(task=ONE, wait_s=2.0)


@given(wants=st.lists(st.tuples(st.floats(0, 5), st.one_of(st.none(), st.integers(1, 4))), max_size=80), group=st.booleans())
def test_whoever_heeds_it_never_breaks_a_limit(wants: list[tuple[float, int | None]], group: bool) -> None:
    pace, now, made = Pace(group=group), 0.0, list[tuple[float, int | None]]()
    for after, who in wants:
        task = None if who is None else TaskRow(who)
        now += after
        now += wait_s(pace, now, task)
        assert wait_s(pace, now, task) < 1e-6
        pace = wrote(pace, now, task)
        made.append((now, who))
    for (before, _), (at, _) in pairwise(made):
        assert at - before >= 1.0 - 2e-3
    for at, who in made:
        if group:
            within = [w for t, w in made if at - 60 + 2e-3 < t <= at]
            assert len(within) <= GROUP_MAX
            assert sum(w is not None for w in within) <= GROUP_TRACKERS_MAX or who is None
        if who is not None:
            assert sum(w == who and at - 3 + 2e-3 < t <= at for t, w in made) == 1
    assert len(pace.writes) <= max(len(made), 1)
