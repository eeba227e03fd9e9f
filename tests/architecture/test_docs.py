"""The docs say what is so: generated pages are fresh, every setting and dependency stands there, every link leads somewhere."""

import re
import tomllib
import types
import typing
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from orch.config import ProjectEntry, Settings, is_secret, load
from tests.architecture.generate import PAGES

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


# ------------------------------------------------------------------------------------------------ settings


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert rows(read("docs/configuration.md"), "## Settings").keys() == Settings.model_fields.keys()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_s_variable_and_default_are_those_of_the_code(name: str) -> None:
    variable, default, meaning = rows(read("docs/configuration.md"), "## Settings")[name]
    assert variable == f"`ORCH_{name.upper()}`"
    assert default == shown(name, Settings.model_fields[name])
    assert len(meaning) > 10


def shown(name: str, field: FieldInfo) -> str:
    """Return a default as the table writes it."""
    value = field.get_default(call_default_factory=True)
    match value:
        case None | "" | () | {}:
            return "secret" if is_secret(name) else "–"
        case bool():
            return f"`{str(value).lower()}`"
        case float() if value.is_integer():
            return f"`{int(value)}`"
        case dict():
            (each,) = set(value.values())
            return f"`{int(each)}` each"
        case _:
            return f"`{value}`"


def keys_of(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Return the keys of a project's entry, those of its tables too."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        inner = [part for part in flat(field.annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
        if not inner:
            found.add(key)
        for table in inner:
            found |= keys_of(table, f"{key}.<role>." if name == "roles" else f"{key}.")
    return found


def flat(annotation: object) -> list[object]:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        return [part for inner in typing.get_args(annotation) for part in flat(inner)]
    return [annotation]


def test_every_key_of_a_project_is_documented_and_nothing_else() -> None:
    assert rows(read("docs/configuration.md"), "## Projects").keys() == keys_of(ProjectEntry)


def test_the_example_can_be_loaded_and_its_commented_lines_too(tmp_path: Path) -> None:
    example = ROOT / "config" / "orch.example.toml"
    assert [project.name for project in load(example, {}).projects] == ["shop"]
    full = re.sub(r"^# (?=[a-z_.0-9]+ *=)", "", example.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert full.count("\n# ") < example.read_text(encoding="utf-8").count("\n# ")
    (tmp_path / "full.toml").write_text(full, encoding="utf-8")
    found = load(tmp_path / "full.toml", {})
    assert (found.projects[0].monitor is not None, found.warnings) == (True, ())


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
