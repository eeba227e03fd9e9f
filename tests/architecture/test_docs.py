"""The docs say what is so: generated pages are fresh, every setting and dependency stands there, every link leads somewhere."""

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from orch.cli.app import build_cli
from orch.cli.options import CliDeps
from orch.failpoints import NAMES
from orch.web.app import create_app
from orch.web.deps import WebDeps
from tests.architecture.generate import PAGES, find_failpoints

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES_OF_OURS = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
ROW = re.compile(r"^\| `([^`]+)` \|(.*)\|$", re.MULTILINE)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows(text: str, heading: str) -> dict[str, list[str]]:
    """Return the table rows under *heading* (to the next heading of its level) by the name in their first cell."""
    level = heading.split(" ")[0]
    section = text.partition(f"\n{heading}\n")[2]
    section = re.split(rf"^{level} ", section, maxsplit=1, flags=re.MULTILINE)[0]
    return {match[1]: [cell.strip() for cell in match[2].split(" | ")] for match in ROW.finditer(section)}


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert read(f"docs/{name}") == PAGES[name](), "run 'make docs'"


@pytest.mark.parametrize("name", NAMES)
def test_a_failpoint_stands_at_exactly_one_place(name: str) -> None:
    assert len(find_failpoints().get(name, [])) == 1


def test_no_place_names_a_failpoint_that_does_not_exist() -> None:
    assert find_failpoints().keys() <= NAMES.keys()


# ------------------------------------------------------------------------------------------------ interfaces


def test_every_command_is_documented() -> None:
    unasked: Any = lambda *_: pytest.fail("nobody is asked")  # noqa: E731
    app = build_cli(CliDeps(serve=unasked, demo=unasked, doctor=unasked, connect=unasked, version="0", setup=unasked))
    told = read("docs/interfaces.md")
    names = [f"orch {command.name}" for command in app.registered_commands]
    assert [name for name in names if f"`{name}" not in told] == []
    groups = {inner.info.name: inner for group in app.registered_groups if (inner := group.typer_instance) is not None}
    parts = [(group, command.name) for group, inner in groups.items() for command in inner.registered_commands]
    assert [(group, name) for group, name in parts if f"`orch {group} {name}" not in told and f"`{name}`" not in told] == []


def test_every_address_is_documented() -> None:
    given: dict[str, Any] = {field.name: None for field in dataclasses.fields(WebDeps) if field.default is dataclasses.MISSING}
    given |= {"token": "t" * 32, "public_url": "http://127.0.0.1:1", "version": "0"}
    given = {name: value for name, value in given.items() if name != "links"}
    told = read("docs/interfaces.md").partition("\n## HTTP\n")[2]
    paths = [route.path for route in create_app(WebDeps(**given)).routes if route.path != "/static/{name}"]
    last = {path: [part for part in path.split("/") if part and "{" not in part][-1:] for path in paths}
    assert [path for path, part in last.items() if not all(name in told for name in part)] == []


# ------------------------------------------------------------------------------------------------ pages


def test_every_dependency_is_named_with_its_reason() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    names = {re.split(r"[<>=!~\[; ]", dependency)[0] for dependency in wanted}
    assert (
        rows(read("docs/dependencies.md"), "## At run time").keys()
        | rows(read("docs/dependencies.md"), "## For development").keys()
        == names
    )


def test_the_readme_is_short_and_begins_with_the_two_commands() -> None:
    text = read("README.md")
    assert len(text.splitlines()) <= 150
    commands = [
        line for block in re.findall(r"```(?:sh|console|bash)\n(.*?)```", text, re.DOTALL) for line in block.splitlines() if line
    ]
    assert [command.split("#")[0].strip() for command in commands[:2]] == ["make demo", "make test"]


@pytest.mark.parametrize("page", PAGES_OF_OURS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def test_the_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((DOCS / "adr").glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
