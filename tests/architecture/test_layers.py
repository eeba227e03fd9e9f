"""The layers: who may import whom, checked by import-linter's contracts and, for the core, name by name."""

import ast
import sys
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[2]
PURE = frozenset(
    """
    abc ast base64 bisect collections contextlib dataclasses datetime decimal difflib enum fnmatch functools graphlib hashlib
    hmac html itertools json math operator re statistics string struct textwrap types typing unicodedata urllib uuid
    """.split()  # noqa: SIM905
)
"""The standard library's modules that neither wait, read, write, log nor tell the time by being imported."""


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Return the names of the modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


def test_every_contract_of_import_linter_holds(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = lint_imports(config_filename="pyproject.toml", no_cache=True)
    assert result == 0, capsys.readouterr().out


@pytest.mark.parametrize("path", modules("orch/core"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_imports_itself_and_the_pure_part_of_the_standard_library(path: Path) -> None:
    wrong = {name for name in imported(path) if not name.startswith("orch.core") and name.split(".")[0] not in PURE}
    assert not wrong


def test_the_pure_part_is_part_of_the_standard_library() -> None:
    assert sys.stdlib_module_names >= PURE


@pytest.mark.parametrize("path", modules("orch/core"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_has_no_async_and_asks_no_clock(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    waiting = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
    ]
    clock = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"now", "utcnow", "today"}
    ]
    assert waiting == []
    assert clock == []


def test_only_one_module_of_each_side_imports_httpx() -> None:
    found = [str(path.relative_to(ROOT)) for path in modules("orch", "actors") if "httpx" in imported(path)]
    assert sorted(found) == ["orch/adapters/http.py", "orch/rehearsal/outgoing.py"]


def test_actors_never_import_asyncio() -> None:
    assert [path for path in modules("actors") if any(name.split(".")[0] == "asyncio" for name in imported(path))] == []
