"""The tables are total: no stage, move, gate, role, status, effect or message is forgotten anywhere."""

import ast
import dataclasses
import types
import typing
from pathlib import Path

import pytest

from orch.adapters.prompts import shipped_prompts
from orch.core import commands, effects, messages
from orch.core.errors import IllegalTransition
from orch.core.gates import GATES, VERDICT_FILES
from orch.core.stages import ORDER, TABLE, TERMINAL, Move, Role, Stage, may_send_back, step
from orch.core.statuses import ALIASES, DEFAULT_NAMES, REQUIRED, TRIGGERS, Status, fold

ROOT = Path(__file__).resolve().parents[2]
UNIONS = {
    name: value
    for module in (messages, effects)
    for name, value in vars(module).items()
    if isinstance(value, types.UnionType) and not name.startswith("_")
}
MEMBERS: list[type] = sorted(
    {member for union in UNIONS.values() for member in typing.get_args(union)}, key=lambda kind: kind.__name__
)


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("stage", Stage)
def test_every_stage_answers_every_move_by_its_table_or_refuses_it(stage: Stage, move: Move) -> None:
    target = TABLE[stage].moves.get(move)
    if target is None:
        with pytest.raises(IllegalTransition, match=stage.value):
            step(stage, move)
    else:
        assert step(stage, move) is target


def test_the_table_has_each_stage_once_and_in_the_order_of_the_line() -> None:
    assert tuple(TABLE) == ORDER == tuple(Stage)
    assert all(row.stage is stage for stage, row in TABLE.items())


def test_terminal_stages_are_exactly_those_without_a_way_out() -> None:
    assert {stage for stage, row in TABLE.items() if not row.moves} == TERMINAL
    assert all(row.role is None and row.gates == () for stage, row in TABLE.items() if stage in TERMINAL)


def test_every_stage_can_be_stopped_and_leads_to_done() -> None:
    for stage in Stage:
        if stage not in TERMINAL:
            assert step(stage, Move.STOPPED) is Stage.CANCELLED
            seen, here = [stage], stage
            while here not in TERMINAL:
                here = step(here, Move.PASSED)
                seen.append(here)
                assert len(seen) <= len(Stage)
            assert here is Stage.DONE


def test_nothing_leads_back_once_it_has_landed() -> None:
    landed = {Stage.DEPLOY, Stage.DONE}
    assert all(target in landed | {Stage.CANCELLED} for stage in landed for target in TABLE[stage].moves.values())
    assert not any(may_send_back(stage, target) for stage in landed | {Stage.CANCELLED} for target in Stage)


def test_every_gate_that_the_table_names_is_implemented_and_no_other() -> None:
    assert [gate for row in TABLE.values() for gate in row.gates] == list(GATES)


def test_every_verdict_file_is_an_artefact_of_its_stage() -> None:
    for stage, (name, words) in VERDICT_FILES.items():
        assert name in TABLE[stage].artefacts
        assert len(words) == 2


def test_every_role_of_the_line_has_a_prompt() -> None:
    names = {path.name for path in shipped_prompts().iterdir()}
    assert {f"{row.role.value}.md" for row in TABLE.values() if row.role is not None} <= names
    assert {role for role in Role if f"{role.value}.md" not in names} == {Role.STREAM}


def test_every_status_has_a_default_name_of_its_own() -> None:
    assert DEFAULT_NAMES.keys() == set(Status)
    assert len({fold(name) for name in DEFAULT_NAMES.values()}) == len(Status)


def test_a_trigger_that_must_fail_closed_has_no_alias() -> None:
    assert {Status.CONFIRM_DEPLOY, Status.STOP} <= TRIGGERS
    assert not {Status.CONFIRM_DEPLOY, Status.STOP} & ALIASES.keys()
    assert all(alias in REQUIRED for alias in ALIASES.values())


@pytest.mark.parametrize("kind", MEMBERS, ids=lambda kind: kind.__name__)
def test_a_message_or_effect_is_a_frozen_value_with_named_fields(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(kind)
    assert all(field.kw_only for field in dataclasses.fields(kind))
    assert getattr(kind, "__final__", False)


def named_in(*folders: str) -> set[str]:
    """Return every name that the modules of *folders* use."""
    names: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return names


@pytest.mark.parametrize("kind", typing.get_args(effects.OutboxEffect), ids=lambda kind: kind.__name__)
def test_every_effect_on_the_world_is_delivered_by_an_actor(kind: type) -> None:
    assert kind.__name__ in named_in("actors")


@pytest.mark.parametrize("kind", [kind for kind in MEMBERS if kind.__module__ in (commands.__name__, messages.__name__)])
def test_every_message_is_known_to_an_actor(kind: type) -> None:
    assert kind.__name__ in named_in("actors")
