"""What `orch init` decides: which columns are made, and what is taken for a test command."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.first_hour import GROUPS, NEEDED, READ, Extent, has_ci, plan_columns, suggest_test
from orch.core.statuses import ALIASES, DEFAULT_NAMES, REQUIRED, BoardState, Status, fold, map_states


def board(*names: str) -> list[BoardState]:
    return [BoardState(id=f"id of {name}", name=name) for name in names]


FRESH = board("Backlog", "Todo", "In Progress", "Done", "Cancelled")


def test_a_new_board_gets_what_the_line_cannot_do_without_in_the_order_of_the_line() -> None:
    plan = plan_columns(FRESH, {}, Extent.NEEDED)
    assert [column.name for column in plan.create] == [
        "Needs Input",
        "In Review",
        "Approved",
        "Rejected",
        "Confirm Deploy",
        "Blocked",
        "STOP",
    ]
    assert {column.group for column in plan.create} == {"started"}
    assert Status.TO_ANALYSE in plan.stood_for


def test_stop_and_confirm_deploy_are_made_since_nothing_stands_for_them() -> None:
    assert {Status.STOP, Status.CONFIRM_DEPLOY} == NEEDED - REQUIRED
    assert not {Status.STOP, Status.CONFIRM_DEPLOY} & ALIASES.keys()


def test_whatever_is_left_out_has_an_alias_that_will_be_there_or_needs_none() -> None:
    left = set(Status) - NEEDED
    assert left - {Status.BACKLOG} <= ALIASES.keys()
    assert {ALIASES[status] for status in left - {Status.BACKLOG}} <= NEEDED


def test_with_all_of_them_every_status_has_a_column_of_its_own_and_its_group() -> None:
    plan = plan_columns(FRESH, {}, Extent.ALL)
    assert {column.status for column in plan.create} == set(Status) - {
        Status.BACKLOG,
        Status.IN_PROGRESS,
        Status.DONE,
        Status.CANCELLED,
    }
    assert all(column.group == GROUPS[column.status] for column in plan.create)


def test_a_rename_by_name_or_id_is_a_column_that_is_there() -> None:
    states = [*FRESH, *board("Halt!", "please look")]
    plan = plan_columns(states, {"stop": "halt!", "in_review": "id of please look"}, Extent.NEEDED)
    assert not {Status.STOP, Status.IN_REVIEW} & {column.status for column in plan.create}


def test_a_renamed_status_that_is_missing_is_made_under_its_new_name() -> None:
    plan = plan_columns(FRESH, {"stop": " Halt! "}, Extent.NEEDED)
    assert "Halt!" in [column.name for column in plan.create]


@pytest.mark.parametrize("name", ["done", "5151c2dc-01ed-4492-9741-0500b597661d", " "], ids=["taken", "an id", "empty"])
def test_a_name_that_cannot_be_is_refused_and_the_others_are_made(name: str) -> None:
    plan = plan_columns(FRESH, {"stop": name}, Extent.NEEDED)
    assert [each.split(" ")[0] for each in plan.refused] == ["stop"]
    assert len(plan.create) == len(NEEDED) - 3


NAMES = st.one_of(st.sampled_from(list(DEFAULT_NAMES.values())), st.text(max_size=12))


@given(
    st.lists(NAMES, max_size=12),
    st.dictionaries(st.sampled_from([status.value for status in Status]), st.text(min_size=1, max_size=12), max_size=4),
    st.sampled_from([Extent.NEEDED, Extent.ALL]),
    st.integers(0, 18),
)
def test_cut_off_anywhere_a_second_time_comes_to_the_same_board(
    names: list[str], renames: dict[str, str], extent: Extent, cut: int
) -> None:
    before = [BoardState(id=str(place), name=name) for place, name in enumerate(names)]
    whole = plan_columns(before, renames, extent)
    half = [*before, *(BoardState(id=f"new {column.name}", name=column.name) for column in whole.create[:cut])]
    rest = plan_columns(half, renames, extent)
    assert [column.name for column in (*whole.create[:cut], *rest.create)] == [column.name for column in whole.create]
    made = [fold(column.name) for column in whole.create]
    assert len(set(made)) == len(made)
    assert not set(made) & {fold(name) for name in names}
    after = [*half, *(BoardState(id=f"new {column.name}", name=column.name) for column in rest.create)]
    wanted = {Status(key): name for key, name in renames.items()}
    refused = {each.split(" ")[0] for each in rest.refused}
    assert map_states(after, wanted).missing() <= {Status(each) for each in refused}


# ------------------------------------------------------------------------------------------------ the test command

MAKE = "build:\n\tcc\n\ntest lint: build\n\t./t\n"
NPM = json.dumps({"scripts": {"test": "vitest"}})


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"Makefile": MAKE, "package.json": NPM}, "make test"),
        ({"Makefile": "TEST := 1\ntest:=x\n.PHONY: test\n\ttest: no\n"}, None),
        ({"package.json": NPM}, "npm test"),
        ({"package.json": NPM, "yarn.lock": ""}, "yarn test"),
        ({"package.json": NPM, "pnpm-lock.yaml": ""}, "pnpm test"),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, None),
        ({"package.json": "[" * 100_000}, None),
        ({"package.json": "[1]", "go.mod": ""}, "go test ./..."),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, "python3 -m pytest"),
        ({"pyproject.toml": "pytest", "uv.lock": ""}, "uv run pytest"),
        ({"pytest.ini": "", "poetry.lock": ""}, "poetry run pytest"),
        ({"pyproject.toml": "[project]\n"}, None),
        ({"Cargo.toml": ""}, "cargo test"),
        ({"README.md": ""}, None),
    ],
)
def test_a_command_is_suggested_by_what_lies_in_the_first_folder(files: dict[str, str], command: str | None) -> None:
    found = suggest_test(files, {name: text for name, text in files.items() if name in READ})
    assert (None if found is None else " ".join(found.command)) == command


def test_a_ci_is_known_by_its_folder() -> None:
    assert has_ci(["README.md", ".gitea"])
    assert not has_ci(["README.md", "src"])
