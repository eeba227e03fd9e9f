"""One freeze a repo: which of several causes stays, and what lifts it."""

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.decide_freeze import Delivered, freeze, lifts
from orch.core.model import Freeze, FreezeCause, Repo
from tests.builders import DEMO, NOW, later

P, D, R = FreezeCause.PERSON, FreezeCause.DEPLOY, FreezeCause.RED_MAIN
HARDER = [D, R, P]
moments = st.integers(min_value=-1000, max_value=1000).map(lambda seconds: NOW + timedelta(seconds=seconds))


def standing(cause: FreezeCause | None, detail: str = "why") -> Repo:
    stands = None if cause is None else Freeze(project=DEMO, cause=cause, since=NOW, by="x", detail=detail)
    return Repo(project=DEMO, freeze=stands)


STAYS: dict[tuple[FreezeCause, FreezeCause], bool] = {
    (D, D): False,
    (D, R): False,
    (D, P): False,
    (R, D): True,
    (R, R): False,
    (R, P): False,
    (P, D): True,
    (P, R): True,
    (P, P): True,
}


@pytest.mark.parametrize(("before", "cause"), list(product(FreezeCause, FreezeCause)))
def test_where_causes_meet_the_one_that_is_harder_to_lift_stays(before: FreezeCause, cause: FreezeCause) -> None:
    made = freeze(standing(before), cause, by="y", detail="something else", now=later(5))
    assert (made is None) is STAYS[before, cause]
    if made is not None:
        assert made == Freeze(project=DEMO, cause=cause, since=later(5), by="y", detail="something else")


@pytest.mark.parametrize("cause", FreezeCause)
def test_a_repo_that_is_not_frozen_is_frozen_by_any_cause(cause: FreezeCause) -> None:
    made = freeze(standing(None), cause, detail="why", now=NOW)
    assert made == Freeze(project=DEMO, cause=cause, since=NOW, by="orch", detail="why")


@pytest.mark.parametrize("cause", [D, R])
def test_the_same_cause_told_again_changes_nothing_so_that_nobody_hears_of_it_twice(cause: FreezeCause) -> None:
    assert freeze(standing(cause), cause, detail="why", now=later(5)) is None


@pytest.mark.parametrize("cause", FreezeCause)
def test_with_the_switch_off_only_a_person_freezes(cause: FreezeCause) -> None:
    assert (freeze(standing(None), cause, now=NOW, enabled=False) is not None) is (cause is P)


@given(causes=st.lists(st.sampled_from(FreezeCause), max_size=8))
def test_whatever_comes_in_whatever_order_the_hardest_cause_of_all_stands(causes: list[FreezeCause]) -> None:
    repo = standing(None)
    for number, cause in enumerate(causes):
        made = freeze(repo, cause, detail=str(number), now=later(number))
        repo = repo if made is None else Repo(project=DEMO, freeze=made)
    strongest = max(causes, key=HARDER.index, default=None)
    assert (repo.freeze.cause if repo.freeze else None) is strongest


LIFTED: list[tuple[str, FreezeCause, float, float | None, bool]] = [
    ("a deploy that was begun before the freeze", D, -1, -5, False),
    ("a deploy of what had landed before, begun after it", D, 1, -5, True),
    ("a deploy of something of which nobody knows when it landed", D, 1, None, True),
    ("a later deploy of what was in main when main went red", R, 1, -5, False),
    ("a deploy of what landed after main went red", R, 2, 1, True),
    ("a deploy that was under way when main went red", R, -1, 1, False),
    ("a deploy of something that cannot be dated", R, 2, None, False),
    ("anything at all against a person", P, 2, 1, False),
]


@pytest.mark.parametrize(("_", "cause", "begun", "landed", "lifted"), LIFTED, ids=[row[0] for row in LIFTED])
def test_what_lifts_a_freeze(_: str, cause: FreezeCause, begun: float, landed: float | None, lifted: bool) -> None:
    good = Delivered(begun_at=later(begun), landed_at=None if landed is None else later(landed))
    assert lifts(Freeze(project=DEMO, cause=cause, since=NOW, by="x"), good) is lifted


@given(cause=st.sampled_from(FreezeCause), since=moments, begun=moments, landed=st.none() | moments)
def test_nothing_lifts_a_freeze_that_would_not_lift_a_weaker_one_of_the_same_moment(cause, since, begun, landed) -> None:  # type: ignore[no-untyped-def]
    good = Delivered(begun_at=begun, landed_at=landed)
    freezes = {each: Freeze(project=DEMO, cause=each, since=since, by="x") for each in HARDER}
    weaker = HARDER[: HARDER.index(cause)]
    if lifts(freezes[cause], good):
        assert all(lifts(freezes[each], good) for each in weaker)
        assert begun >= since
