"""The stage table: every stage by every move, and what can never happen."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.errors import DomainError, IllegalTransition
from orch.core.stages import ORDER, TABLE, TERMINAL, Move, Role, Stage, is_landed, is_terminal, may_send_back, step

A, R, D, V, T, S, P, DONE, OFF = Stage

EXPECTED = {
    (A, Move.PASSED): R,
    (A, Move.RETURNED): A,
    (R, Move.PASSED): D,
    (D, Move.PASSED): V,
    (V, Move.PASSED): T,
    (V, Move.RETURNED): D,
    (T, Move.PASSED): S,
    (T, Move.RETURNED): D,
    (S, Move.PASSED): P,
    (S, Move.RETURNED): D,
    (P, Move.PASSED): DONE,
    **{(stage, Move.STOPPED): OFF for stage in (A, R, D, V, T, S, P)},
    **{(stage, Move.MERGED_OUTSIDE): P for stage in (A, R, D, V, T, S)},
    **{(stage, Move.BRANCH_MOVED): D for stage in (D, V, T, S)},
}
"""Written out on its own, so that a change of the table has to be made twice and on purpose."""


@pytest.mark.parametrize(("stage", "move"), list(product(Stage, Move)))
def test_every_move_from_every_stage(stage: Stage, move: Move) -> None:
    if (stage, move) in EXPECTED:
        assert step(stage, move) is EXPECTED[stage, move]
    else:
        with pytest.raises(IllegalTransition, match=stage.value):
            step(stage, move)


def test_an_illegal_transition_is_an_error_of_the_domain() -> None:
    assert issubclass(IllegalTransition, DomainError)


def test_the_table_has_one_row_for_every_stage_in_the_lines_order() -> None:
    assert set(TABLE) == set(Stage)
    assert list(ORDER) == [A, R, D, V, T, S, P, DONE, OFF]
    assert all(TABLE[stage].stage is stage for stage in Stage)


def test_nothing_leads_out_of_a_terminal_stage() -> None:
    assert {stage for stage in Stage if not TABLE[stage].moves} == TERMINAL == {DONE, OFF}
    assert all(not TABLE[stage].gates and TABLE[stage].role is None for stage in TERMINAL)
    assert all(TABLE[stage].gates and TABLE[stage].role is not None for stage in set(Stage) - TERMINAL)


def test_terminal_is_one_predicate() -> None:
    assert {stage for stage in Stage if is_terminal(stage)} == TERMINAL


def test_only_landing_or_a_merge_from_outside_leads_to_deploy() -> None:
    into = {(stage, move) for (stage, move) in product(Stage, Move) if TABLE[stage].moves.get(move) is P}
    assert into == {(S, Move.PASSED)} | {(stage, Move.MERGED_OUTSIDE) for stage in (A, R, D, V, T, S)}


def test_G15_only_a_passed_deploy_makes_a_task_done() -> None:
    into = {(stage, move) for (stage, move) in product(Stage, Move) if TABLE[stage].moves.get(move) is DONE}
    assert into == {(P, Move.PASSED)}


def test_G15_a_merge_seen_at_deploy_moves_nothing() -> None:
    with pytest.raises(IllegalTransition):
        step(P, Move.MERGED_OUTSIDE)


def test_after_landing_no_move_leads_back() -> None:
    assert {stage for stage in Stage if is_landed(stage)} == {P, DONE}
    for stage in (P, DONE):
        assert all(is_landed(target) or target is OFF for target in TABLE[stage].moves.values())


def test_a_stop_is_possible_from_everywhere_but_the_end() -> None:
    assert {stage for stage in Stage if Move.STOPPED in TABLE[stage].moves} == set(Stage) - TERMINAL


@pytest.mark.parametrize(("stage", "target"), list(product(Stage, Stage)))
def test_a_person_may_send_back_only_what_has_not_landed_and_only_backwards(stage: Stage, target: Stage) -> None:
    line = [A, R, D, V, T, S]
    allowed = stage in line and target in line[: line.index(stage) + 1]
    assert may_send_back(stage, target) is allowed


def test_the_roles_that_work_are_those_of_the_table() -> None:
    assert {row.role for row in TABLE.values() if row.role} == set(Role) - {Role.STREAM}


@given(st.lists(st.sampled_from(Move), max_size=40))
def test_no_order_of_moves_leaves_an_end_or_unlands_a_task(moves: list[Move]) -> None:
    stage, landed, ended = Stage.ANALYSIS, False, False
    for move in moves:
        try:
            following = step(stage, move)
        except IllegalTransition:
            continue
        assert not ended
        assert not landed or following in {DONE, OFF}
        stage, landed, ended = following, landed or is_landed(following), is_terminal(following)
