"""Board statuses: names, renames, aliases that fail closed, and what setting a column means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.statuses import ALIASES, DEFAULT_NAMES, REQUIRED, TRIGGERS, BoardState, Status, equal_names, fold, map_states


def column(name: str, key: str = "", group: str = "started") -> BoardState:
    return BoardState(id=key or f"id-{name}", name=name, group=group)


def full_board(*without: Status) -> list[BoardState]:
    return [column(DEFAULT_NAMES[status], key=f"id-{status}") for status in Status if status not in without]


def test_every_status_has_a_name_and_no_two_names_are_equal_after_folding() -> None:
    assert set(DEFAULT_NAMES) == set(Status)
    assert len({fold(name) for name in DEFAULT_NAMES.values()}) == len(Status)


@pytest.mark.parametrize("name", ["To Analyse", "to analyse", "  TO ANALYSE \t", "To analyse"])
def test_names_are_compared_trimmed_and_casefolded(name: str) -> None:
    mapped = map_states([column(name, key="x")])
    assert mapped.status_of("x") is Status.TO_ANALYSE
    assert mapped.state_for(Status.TO_ANALYSE) == "x"


def test_casefold_is_more_than_lower_case() -> None:
    mapped = map_states([column("STRASSE", key="x")], {Status.TESTING: "straße"})
    assert mapped.status_of("x") is Status.TESTING


def test_a_full_board_maps_every_status_and_misses_none() -> None:
    mapped = map_states(full_board())
    assert {status: mapped.state_for(status) for status in Status} == {status: f"id-{status}" for status in Status}
    assert mapped.missing() == frozenset()


@pytest.mark.parametrize("rename", ["Ready for Analysis", " ready FOR analysis", "0b0e"])
def test_a_rename_is_a_name_or_an_id(rename: str) -> None:
    states = [*full_board(Status.TO_ANALYSE), column("Ready for Analysis", key="0b0e")]
    mapped = map_states(states, {Status.TO_ANALYSE: rename})
    assert mapped.status_of("0b0e") is Status.TO_ANALYSE
    assert mapped.trigger_of("0b0e") is Status.TO_ANALYSE


def test_a_renamed_status_no_longer_answers_to_its_default_name() -> None:
    states = [column("To Analyse", key="old"), column("Ready", key="new")]
    mapped = map_states(states, {Status.TO_ANALYSE: "Ready"})
    assert mapped.status_of("new") is Status.TO_ANALYSE
    assert mapped.status_of("old") is None


def test_the_first_of_two_equal_names_wins_and_the_pair_is_reported() -> None:
    states = [column("Done", key="1"), column(" done ", key="2"), column("Testing", key="3")]
    assert map_states(states).state_for(Status.DONE) == "1"
    assert [(a.id, b.id) for a, b in equal_names(states)] == [("1", "2")]
    assert equal_names(full_board()) == []


@pytest.mark.parametrize(("status", "alias"), sorted(ALIASES.items()))
def test_a_missing_status_is_shown_through_its_alias(status: Status, alias: Status) -> None:
    assert map_states(full_board(status)).state_for(status) == f"id-{alias}"


@pytest.mark.parametrize(("status", "alias"), sorted(ALIASES.items()))
def test_an_alias_whose_target_is_missing_sets_nothing(status: Status, alias: Status) -> None:
    assert map_states(full_board(status, alias)).state_for(status) is None


@pytest.mark.parametrize("status", [Status.STOP, Status.CONFIRM_DEPLOY])
def test_stop_and_confirm_deploy_have_no_alias_and_fail_closed(status: Status) -> None:
    assert status not in ALIASES
    mapped = map_states(full_board(status))
    assert mapped.state_for(status) is None
    assert all(mapped.trigger_of(f"id-{other}") is not status for other in Status)


def test_no_alias_leads_to_a_trigger_or_to_another_alias() -> None:
    assert not set(ALIASES.values()) & (TRIGGERS | set(ALIASES))


@pytest.mark.parametrize("status", list(Status))
def test_only_a_trigger_triggers(status: Status) -> None:
    assert map_states(full_board()).trigger_of(f"id-{status}") is (status if status in TRIGGERS else None)


def test_without_to_analyse_in_progress_stands_for_it_and_with_it_it_does_not() -> None:
    assert map_states(full_board(Status.TO_ANALYSE)).trigger_of("id-in_progress") is Status.TO_ANALYSE
    assert map_states(full_board()).trigger_of("id-in_progress") is None


def test_an_unknown_column_means_nothing() -> None:
    mapped = map_states([*full_board(Status.TO_ANALYSE), column("Someone's own", key="own")])
    assert mapped.status_of("own") is None
    assert mapped.trigger_of("own") is None
    assert mapped.trigger_of("no such id") is None


def test_the_required_statuses_are_named_when_they_are_missing() -> None:
    assert map_states([]).missing() == REQUIRED
    assert map_states(full_board(Status.DONE, Status.TESTING)).missing() == {Status.DONE}


@given(st.lists(st.tuples(st.text(max_size=12), st.sampled_from(["a", "b", "c", "d"])), max_size=8))
def test_any_board_maps_each_column_to_at_most_one_status(columns: list[tuple[str, str]]) -> None:
    states = [BoardState(id=f"{key}{n}", name=name) for n, (name, key) in enumerate(columns)]
    renames = {Status.STOP: columns[0][0]} if columns else {}
    mapped = map_states(states, renames)
    assert len(set(mapped.ids.values())) == len(mapped.ids)
    assert set(mapped.ids.values()) <= {state.id for state in states}
    for status, key in mapped.ids.items():
        assert mapped.status_of(key) is status
