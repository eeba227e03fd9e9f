"""The merge train's planner: what it does in known situations, and what holds in any."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.ids import CheckId, Sha, TaskRow
from orch.core.messages import CommandVerdict
from orch.core.model import Member
from orch.core.train import (
    Action,
    Begin,
    Cancel,
    Chain,
    Check,
    Disturbed,
    Eject,
    Facts,
    LandPrefix,
    Link,
    MainRed,
    Plan,
    Train,
    Waiting,
    arrange,
    initial,
    landed,
    plan,
    reach,
)
from orch.core.train_evidence import spread
from orch.core.train_facts import DISTURBED_MAX, DOUBT

VERDICTS = {verdict.value: verdict for verdict in CommandVerdict}


def task(letter: str) -> TaskRow:
    return TaskRow(ord(letter) - ord("a") + 1)


def chain(members: str) -> Chain:
    """A base and one member per letter; the tree of a prefix is its letters."""
    links = [
        Link(member=Member(task=task(m), head=Sha(m)), sha=Sha(f"sha {members[:n]}"), tree=Sha(members[:n]))
        for n, m in enumerate(members, 1)
    ]
    return Chain(base=Sha("sha"), base_tree=Sha(""), links=tuple(links))


def checks(*told: str) -> list[Check]:
    """One check per ``tree verdict``, numbered from 1; without a verdict it runs. The base's tree has no letters."""
    found = []
    for number, text in enumerate(told, 1):
        tree, _, verdict = text.partition(" ")
        found.append(Check(id=CheckId(number), tree=Sha(tree), verdict=VERDICTS[verdict] if verdict else None))
    return found


def decide(members: str, *told: str, train: Train | None = None, **facts: Any) -> Plan:
    given: dict[str, Any] = {"slots": 4, "checks": checks(*told), "chain": chain(members)} | facts
    return plan(train or Train(), Facts(**given))


def begun(actions: Sequence[Action]) -> list[int]:
    return sorted(action.position for action in actions if isinstance(action, Begin))


def others(actions: Sequence[Action]) -> list[Action]:
    return [action for action in actions if not isinstance(action, Begin)]


LONG = "abcdefghijklmnopqrst"
WIDE = Train(width=20)

# ------------------------------------------------------------------------------------------------ rounds


def test_a_round_tests_evenly_spaced_prefixes_the_longest_being_all() -> None:
    assert begun(decide(LONG, train=WIDE).actions) == [5, 10, 15, 20]
    assert begun(decide(LONG, train=Train(width=4)).actions) == [1, 2, 3, 4]
    assert begun(decide(LONG, train=Train(width=8), slots=2).actions) == [4, 8]
    assert begun(decide("abc", train=Train(width=4)).actions) == [1, 2, 3]


def test_a_round_that_is_shorter_than_its_width_takes_fewer_slots() -> None:
    assert begun(decide(LONG[:10], train=WIDE).actions) == [5, 10]
    assert begun(decide("a", train=WIDE).actions) == [1]
    assert begun(decide("", train=WIDE).actions) == []


def test_one_slot_takes_less_than_its_width_and_divides_a_gap_nearer_to_its_front() -> None:
    assert begun(decide(LONG, train=Train(width=16), slots=1).actions) == [12]
    assert begun(decide(LONG, LONG[:12] + " red", train=Train(width=16), slots=1).actions) == [4]
    assert begun(decide(LONG, "a red", train=Train(width=1), slots=1).actions) == [1]


def test_free_slots_are_filled_beside_what_runs() -> None:
    assert begun(decide(LONG, "abcde", LONG[:10], train=WIDE).actions) == [15, 20]
    assert begun(decide("abcd", "a", "ab", train=Train(width=4)).actions) == [3, 4]
    assert begun(decide(LONG, "a", "ab", "abc", "abcd", train=WIDE).actions) == []


def test_the_slots_go_into_the_gap_between_the_longest_green_and_the_shortest_red() -> None:
    decided = decide(LONG, "abcde green", LONG[:10] + " red", LONG[:15] + " red", LONG + " red", train=WIDE)
    assert others(decided.actions) == [LandPrefix(position=5)]
    assert begun(decided.actions) == [6, 7, 8, 9]


def test_runs_beyond_a_red_end_and_stay_where_tests_are_known_to_flake() -> None:
    told = ("abcde", LONG[:10] + " red", LONG[:15], LONG)
    sure = decide(LONG, *told, train=WIDE)
    assert others(sure.actions) == [Cancel(check=CheckId(3)), Cancel(check=CheckId(4))]
    assert len(begun(sure.actions)) == 3
    wary = decide(LONG, *told, train=Train(width=20, doubt=DOUBT))
    assert others(wary.actions) == []
    assert len(begun(wary.actions)) == 1


def test_the_longest_green_prefix_lands_at_once_shorter_runs_end_and_longer_ones_go_on() -> None:
    decided = decide(LONG, "abcde", LONG[:10] + " green", LONG[:15], LONG, train=WIDE)
    assert others(decided.actions) == [Cancel(check=CheckId(1)), LandPrefix(position=10)]
    assert begun(decided.actions) == []


def test_a_green_check_makes_a_tree_green_whatever_else_it_was() -> None:
    assert others(decide("a", "a red", "a timeout", "a green").actions) == [LandPrefix(position=1)]
    assert others(decide("ab", "a red", "a red", " green", "ab green").actions) == [LandPrefix(position=2)]


def test_what_left_the_chain_is_cancelled() -> None:
    assert others(decide("bc", "a", "ab", "bc").actions) == [Cancel(check=CheckId(1)), Cancel(check=CheckId(2))]


def test_nothing_lands_while_a_landing_is_open() -> None:
    decided = decide("ab", "a green", landing=True)
    assert others(decided.actions) == []
    assert begun(decided.actions) == [2]


# ------------------------------------------------------------------------------------------------ the minimal pair


def test_S6_a_red_first_member_is_tried_again_and_main_is_tested_where_nothing_is_known_of_it() -> None:
    assert begun(decide("ab", "a red").actions) == [0, 1]
    assert begun(decide("ab", "a red", " green").actions) == [1]
    assert begun(decide("ab", "a red", " green", slots=1).actions) == [1]
    assert begun(decide("ab", "a red", slots=1).actions) == [1]
    assert begun(decide("ab", "a red", "a red", slots=1).actions) == [0]


def test_S6_red_twice_on_a_green_main_is_ejected() -> None:
    decided = decide("ab", " green", "ab red", "a red", "a red")
    assert decided.actions == (Eject(task=task("a"), red=CheckId(4), green=CheckId(1)),)
    assert decided.train.width == 8
    assert decide("ab", " green", "a red", "a red", train=Train(width=5)).train.width == 4


def test_nobody_is_ejected_while_a_landing_may_move_main() -> None:
    assert decide("a", " green", "a red", "a red", landing=True).actions == ()


def test_a_red_main_is_tested_again_then_told_and_nobody_is_ejected() -> None:
    assert begun(decide("a", "a red", "a red", " red").actions) == [0]
    told = decide("a", "a red", "a red", " red", " red")
    assert told.actions == (MainRed(check=CheckId(4)),)
    assert told.train.spent == CheckId(4)


def test_under_a_freeze_over_a_red_main_nothing_begins_but_a_fix() -> None:
    red = ("a red", "a red", " red", " red")
    after = Train(spent=CheckId(4))
    assert decide("a", *red, train=after, frozen=True).actions == ()
    assert decide("ab", *red, train=after, frozen=True).actions == ()
    fix: dict[str, Any] = {"frozen": True, "exempt": frozenset({task("f")}), "train": after}
    assert begun(decide("f", " red", " red", " red", " red", **fix).actions) == [1]
    assert begun(decide("f", *red, "f red", **fix).actions) == [1]
    assert decide("f", *red, "f red", "f red", **fix).actions == (Eject(task=task("f"), red=CheckId(6), green=None),)
    assert others(decide("f", *red, "f green", **fix).actions) == [LandPrefix(position=1)]


def test_once_the_freeze_is_lifted_the_reds_of_that_time_are_forgotten() -> None:
    again = decide("a", "a red", "a red", " red", " red", train=Train(spent=CheckId(4)))
    assert begun(again.actions) == [1]
    assert others(decide("a", "a red", "a red", " red", " red", " green", train=Train(spent=CheckId(4))).actions) == []


def test_a_tree_that_was_red_and_green_makes_the_train_ask_once_more() -> None:
    flaky = decide("a", "a red", "a green")
    assert flaky.train.doubt == DOUBT
    wary = Train(doubt=5)
    assert begun(decide("a", " green", "a red", "a red", train=wary).actions) == [1]
    assert isinstance(decide("a", " green", "a red", "a red", "a red", train=wary).actions[0], Eject)
    assert landed(wary, 3, 4).doubt == 2


def test_while_the_first_is_on_trial_free_slots_test_the_chain_without_it() -> None:
    named = decide("abcd", " green", "a red")
    assert named.train.suspect == task("a")
    assert begun(named.actions) == [1]
    decided = decide("abcd", " green", "a red", "a", aside=chain("bcd"), train=Train(width=4, suspect=task("a")))
    assert decided.actions == (Begin(position=3, aside=True), Begin(position=1, aside=True), Begin(position=2, aside=True))
    cleared = decide("abcd", " green", "a red", "a green", "bcd", aside=chain("bcd"), train=named.train)
    assert others(cleared.actions) == [Cancel(check=CheckId(4)), LandPrefix(position=1)]
    assert cleared.train.suspect is None


def test_nothing_lands_past_a_suspect() -> None:
    aside: dict[str, Any] = {"aside": chain("bcd"), "train": Train(suspect=task("a"))}
    assert others(decide("abcd", " green", "a red", "a", "bcd green", **aside).actions) == []
    assert others(decide("bcd", " green", "a red", "a red", "bcd green").actions) == [LandPrefix(position=3)]


# ------------------------------------------------------------------------------------------------ no verdict


@pytest.mark.parametrize("verdict", ["timeout", "infra", "interrupted"])
def test_a_run_without_a_verdict_is_begun_again_and_nobody_is_suspected(verdict: str) -> None:
    decided = decide("abcd", f"abcd {verdict}", train=Train(width=4), slots=1)
    assert begun(decided.actions) == [3]
    assert begun(decide("abc", f"abc {verdict}", train=Train(width=4), slots=1).actions) == [3]
    assert decided.train.suspect is None


def test_past_the_cap_a_round_narrows_and_then_the_first_is_set_aside() -> None:
    stuck = ["abc timeout"] * DISTURBED_MAX
    assert begun(decide("abc", *stuck, slots=1).actions) == [1]
    assert others(decide("abc", *stuck, "a green", slots=1).actions) == [LandPrefix(position=1)]
    first = ["a infra"] * DISTURBED_MAX
    assert decide("abc", *first).actions == (Disturbed(task=task("a"), check=CheckId(DISTURBED_MAX)),)
    assert begun(decide("abc", *["a interrupted"] * 9, train=Train(width=1), slots=1).actions) == [1]


def test_what_disturbed_a_test_is_forgotten_once_it_was_told() -> None:
    first = ["a infra"] * DISTURBED_MAX
    told = decide("a", *first)
    assert begun(decide("a", *first, train=told.train).actions) == [1]


def test_a_suspect_waits_where_main_itself_cannot_be_tested() -> None:
    disturbed = [" timeout"] * DISTURBED_MAX
    assert begun(decide("a", "a red", *disturbed).actions) == [1]
    assert decide("a", "a red", "a red", *disturbed).actions == (Disturbed(task=task("a"), check=CheckId(5)),)


# ------------------------------------------------------------------------------------------------ freeze


def test_S8_under_a_freeze_tests_go_on_and_only_the_exempt_land() -> None:
    assert others(decide("ab", "a green", frozen=True).actions) == []
    assert begun(decide("ab", "a green", frozen=True).actions) == [2]
    exempt: dict[str, Any] = {"frozen": True, "exempt": frozenset({task("a")})}
    assert others(decide("ab", "a green", "ab green", **exempt).actions) == [LandPrefix(position=1)]


# ------------------------------------------------------------------------------------------------ order and width


def waiting(text: str) -> list[Waiting]:
    """One task per letter; capital letters are fixes."""
    return [Waiting(task=task(letter.lower()), head=Sha(letter), exempt=letter.isupper()) for letter in text]


@pytest.mark.parametrize(
    ("queue", "running", "frozen", "suspect", "order"),
    [
        ("abc", "", False, None, "abc"),
        ("abF", "", False, None, "fab"),
        ("abFc", "a", False, None, "afbc"),
        ("abcdF", "abfc", False, None, "abfcd"),
        ("abF", "ab", True, None, "f"),
        ("ab", "ab", True, None, "ab"),
        ("aFG", "g", True, None, "gf"),
        ("abc", "bc", False, "a", "abc"),
        ("bc", "bc", False, "a", "bc"),
        ("abF", "", True, "a", "f"),
        ("bc", "abab", False, None, "bc"),
    ],
)
def test_L4_the_order(queue: str, running: str, frozen: bool, suspect: str | None, order: str) -> None:
    arranged = arrange(
        waiting(queue), [task(letter) for letter in running], frozen=frozen, suspect=None if suspect is None else task(suspect)
    )
    assert [found.task for found in arranged] == [task(letter) for letter in order]


@given(
    queue=st.lists(st.booleans(), max_size=8),
    running=st.lists(st.integers(1, 10), max_size=6, unique=True),
    frozen=st.booleans(),
)
def test_L4_only_what_is_under_test_stands_before_an_earlier_equal(queue: list[bool], running: list[int], frozen: bool) -> None:
    entered = [Waiting(task=TaskRow(n), head=Sha(str(n)), exempt=fix) for n, fix in enumerate(queue, 1)]
    order = arrange(entered, [TaskRow(n) for n in running], frozen=frozen)
    for place, later in enumerate(order):
        for earlier in order[place + 1 :]:
            if earlier.task < later.task and earlier.exempt == later.exempt:
                assert later.task in running
    assert len(order) == len(set(order))
    left_out = {found.task for found in entered} - {found.task for found in order}
    assert not left_out or (frozen and any(queue) and not any(found.exempt for found in entered if found.task in left_out))


def test_width_starts_wide_enough_for_the_slots_and_grows_by_what_lands_up_to_a_bound() -> None:
    assert [initial(slots).width for slots in (1, 2, 4, 8)] == [16, 16, 20, 72]
    assert landed(Train(width=20), 7, 4).width == 27
    assert landed(Train(width=120), 60, 4).width == 128
    assert landed(Train(width=120), 60, 16).width == 180
    assert reach(Train(width=5), [TaskRow(n) for n in (1, 2, 1)], 4) == 6
    assert reach(Train(width=1), [], 4) == 5
    assert reach(Train(width=1), [TaskRow(n) for n in range(8)], 4) == 9


@given(low=st.integers(0, 9), gap=st.integers(1, 40), taken=st.sets(st.integers(0, 50)), count=st.integers(0, 9))
def test_points_are_spread_evenly(low: int, gap: int, taken: set[int], count: int) -> None:
    high = low + gap
    points = spread(low, high, taken, count)
    inside = {position for position in taken if low < position < high}
    assert len(points) == len(set(points)) == min(count, gap - 1 - len(inside))
    assert all(low < point < high for point in points)
    assert not set(points) & inside
    if not inside:
        marks = [low, *sorted(points), high]
        pieces = [b - a for a, b in pairwise(marks)]
        assert max(pieces) - min(pieces) <= 1


# ------------------------------------------------------------------------------------------------ any situation

TREES = ["", "a", "ab", "abc", "abcd", "bcd", "x"]
CHECKS = st.lists(st.tuples(st.sampled_from(TREES), st.sampled_from(["", *VERDICTS])), max_size=10)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Train, Facts]:
    """Any facts at all, however odd, but for more runs than slots."""
    slots = draw(st.integers(1, 4))
    running: set[str] = set()
    told = []
    for tree, verdict in draw(CHECKS):
        if not verdict and (tree in running or len(running) >= slots):
            continue
        if not verdict:
            running.add(tree)
        told.append(f"{tree} {verdict}".rstrip() if tree or verdict else "")
    train = Train(
        width=draw(st.integers(1, 20)),
        suspect=draw(st.sampled_from([None, task("a")])),
        spent=draw(st.sampled_from([None, CheckId(2)])),
        doubt=draw(st.sampled_from([0, 3])),
    )
    facts = Facts(
        chain=chain(draw(st.sampled_from(["", "a", "abcd"]))),
        checks=checks(*told),
        slots=slots,
        frozen=draw(st.booleans()),
        exempt=draw(st.sampled_from([frozenset(), frozenset({task("a")}), frozenset(map(task, "abcd"))])),
        landing=draw(st.booleans()),
        aside=chain("bcd") if train.suspect is not None else None,
    )
    return train, facts


@given(situations())
def test_S11_never_more_runs_than_slots_and_no_tree_twice_at_once(situation: tuple[Train, Facts]) -> None:
    train, facts = situation
    actions = plan(train, facts).actions
    cancelled = {action.check for action in actions if isinstance(action, Cancel)}
    trees = [check.tree for check in facts.checks if check.verdict is None and check.id not in cancelled]
    for action in actions:
        if isinstance(action, Begin):
            of = facts.aside if action.aside else facts.chain
            assert of is not None
            trees.append(of.tree(action.position))
    assert len(trees) <= facts.slots
    assert len(trees) == len(set(trees))


@given(situations())
def test_S1_S8_what_lands_is_green_and_free_to_land(situation: tuple[Train, Facts]) -> None:
    train, facts = situation
    for action in plan(train, facts).actions:
        if isinstance(action, LandPrefix):
            assert not facts.landing
            members = {link.member.task for link in facts.chain.links[: action.position]}
            assert not facts.frozen or members <= facts.exempt
            tree = facts.chain.tree(action.position)
            assert any(check.tree == tree and check.verdict is CommandVerdict.GREEN for check in facts.checks)


@given(situations())
def test_S6_only_a_minimal_pair_ejects(situation: tuple[Train, Facts]) -> None:
    train, facts = situation
    by_id = {check.id: check for check in facts.checks}
    for action in plan(train, facts).actions:
        if isinstance(action, Eject):
            assert action.task == facts.chain.links[0].member.task
            alone = [check.verdict for check in facts.checks if check.tree == facts.chain.tree(1)]
            assert alone.count(CommandVerdict.RED) >= 2
            assert CommandVerdict.GREEN not in alone
            assert by_id[action.red].tree == facts.chain.tree(1)
            if action.green is None:
                assert facts.frozen
                assert action.task in facts.exempt
            else:
                assert by_id[action.green].verdict is CommandVerdict.GREEN
                assert by_id[action.green].tree == facts.chain.base_tree


@given(situations())
def test_L1_whoever_waits_in_a_train_that_may_land_has_something_under_way(situation: tuple[Train, Facts]) -> None:
    train, facts = situation
    if facts.frozen or facts.landing or not facts.chain.links:
        return
    actions = plan(train, facts).actions
    cancelled = {action.check for action in actions if isinstance(action, Cancel)}
    running = [check for check in facts.checks if check.verdict is None and check.id not in cancelled]
    assert running or any(not isinstance(action, Cancel) for action in actions)


@given(situations())
def test_S10_a_run_that_told_nothing_and_runs_of_other_trees_change_nothing(situation: tuple[Train, Facts]) -> None:
    train, facts = situation
    known = {facts.chain.tree(position) for position in range(len(facts.chain.links) + 1)}
    known |= {link.tree for link in facts.aside.links} if facts.aside is not None else set()
    kept = [
        check
        for check in facts.checks
        if check.verdict is not CommandVerdict.INTERRUPTED and (check.verdict is None or check.tree in known)
    ]
    fewer = Facts(
        chain=facts.chain,
        checks=kept,
        slots=facts.slots,
        frozen=facts.frozen,
        exempt=facts.exempt,
        landing=facts.landing,
        aside=facts.aside,
    )
    assert plan(train, facts).actions == plan(train, fewer).actions
