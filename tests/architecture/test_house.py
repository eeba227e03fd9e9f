"""The house's own rules about files: their size, their first words, and what may not stand in them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(path for folder in ("orch", "actors") for path in (ROOT / folder).rglob("*.py"))
TEXTS = sorted(
    path
    for folder in ("orch", "actors", "tests", "docs", "config", ".ci")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".py", ".md", ".toml", ".sql", ".html", ".css", ".js", ""}
    and path.is_file()
    and "__pycache__" not in path.parts
) + [path for name in ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "run.py") if (path := ROOT / name).is_file()]
VENDORED = {"alpine", "uplot"}
FORBIDDEN = {
    "a path of the machine it was written on": re.compile(r"(?<![\w.}-])/" + r"work/|/tmp/" + "scratch"),
    "the host of a package registry": re.compile("pypi" + r"\.org|files\." + "pythonhosted|registry\\." + "npmjs", re.IGNORECASE),
    "a note about work to be done": re.compile(r"\b(?:TO" + "DO|FIX" + "ME|XX" + "X)\\b"),
}
VAGUE = {"manager", "helper", "helpers", "util", "utils", "common", "misc"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def is_ours(path: Path) -> bool:
    return not any(part in path.name.casefold() for part in VENDORED)


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_of_ours_holds(what: str) -> None:
    found = [
        f"{name_of(path)}:{number}"
        for path in TEXTS
        if is_ours(path)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if FORBIDDEN[what].search(line)
    ]
    assert found == []


def test_no_module_is_longer_than_600_lines() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in CODE}
    assert {name: length for name, length in lengths.items() if length > 600} == {}


def test_every_module_says_what_it_owns() -> None:
    silent = [name_of(path) for path in CODE if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]
    assert silent == []


def test_no_module_has_a_vague_name() -> None:
    assert [name_of(path) for path in CODE if set(path.stem.split("_")) & VAGUE] == []


def test_only_data_lies_in_config() -> None:
    assert list((ROOT / "config").rglob("*.py")) == []


def test_only_the_actors_guard_catches_everything() -> None:
    wide = [
        f"{name_of(path)}:{node.lineno}"
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    ]
    assert {place.partition(":")[0] for place in wide} <= {"actors/actor.py"}


def test_run_py_is_three_lines() -> None:
    lines = [line for line in (ROOT / "run.py").read_text(encoding="utf-8").splitlines() if line]
    assert lines[1:] == ["from orch.main import main", 'if __name__ == "__main__":', "    raise SystemExit(main())"]
