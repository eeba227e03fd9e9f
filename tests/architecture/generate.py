"""Writes the pages that are made from the code: ``docs/stages.md``, ``docs/messages.md``, ``docs/failpoints.md``.

Run ``make docs`` (or ``python -m tests.architecture.generate``); a test fails while a page is not what this would write.
"""

import ast
import dataclasses
import enum
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

from orch.core import commands, messages
from orch.core.gates import GATES
from orch.core.stages import TABLE, Move, StageRow
from orch.failpoints import NAMES

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("ends", "task", "repo", "slots", "reconciler", "caretaker", "queues", "desk", "publisher", "tracker")
"""The modules of ``orch.core.messages``."""
MADE = "<!-- Made by `make docs` from {source}; edit that, not this. -->"


def render_stages() -> str:
    """Return ``docs/stages.md``: the table, what each gate demands, and the diagram."""
    lines = [
        "# The line",
        MADE.format(source="`orch/core/stages.py` and `orch/core/gates.py`"),
        "",
        "A task's *stage* is its persisted position. It leaves a stage only by a move that this table lists; anything else",
        "raises `IllegalTransition` and changes nothing. A person may also send an unlanded task back to any earlier stage.",
        "",
        "| stage | role | artefacts | gates to leave it, in order | moves |",
        "| --- | --- | --- | --- | --- |",
        *(_stage_row(row) for row in TABLE.values()),
        "",
        "## Gates",
        "A gate is code, never a prompt. It answers green, red (with a reason that goes into the next prompt), or pending.",
        "",
        "| gate | green when |",
        "| --- | --- |",
        *(f"| `{name}` | {_gate_text(name)} |" for row in TABLE.values() for name in row.gates),
        "",
        "## Diagram",
        "```mermaid",
        "stateDiagram-v2",
        f"    [*] --> {_node(next(iter(TABLE.values())))}",
        *_arrows(),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _stage_row(row: StageRow) -> str:
    role = row.role.value if row.role is not None else "–"
    artefacts = ", ".join(f"`{name}`" for name in row.artefacts) or "–"
    gates = ", ".join(f"`{name}`" for name in row.gates) or "–"
    moves = ", ".join(f"{move.value} → {target.value}" for move, target in row.moves.items()) or "– (the end)"
    return f"| `{row.stage.value}` | {role} | {artefacts} | {gates} | {moves} |"


def _gate_text(name: str) -> str:
    return _cell((inspect.getdoc(GATES[name]) or name.replace("_", " ")).split("\n\n")[0])


def _node(row: StageRow) -> str:
    return row.stage.value.replace("-", "_")


def _arrows() -> Iterator[str]:
    for row in TABLE.values():
        for move, target in row.moves.items():
            if move is not Move.STOPPED:
                yield f"    {_node(row)} --> {target.value.replace('-', '_')}: {move.value}"
        if not row.moves:
            yield f"    {_node(row)} --> [*]"
    stoppable = [row.stage.value for row in TABLE.values() if Move.STOPPED in row.moves]
    yield f"    note right of cancelled: by STOP from {', '.join(stoppable)}"


def render_messages() -> str:
    """Return ``docs/messages.md``: each actor's closed union, and the values inside messages."""
    source = {
        node.name: node
        for module in (*_parts(messages), commands)
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef)
    }
    lines = [
        "# Messages",
        MADE.format(source="`orch/core/messages/` and `orch/core/commands.py`"),
        "",
        "Each actor receives one closed union. Commands are imperative, events past tense. A message carries ids rather than",
        "objects, and whatever may arrive late carries its fence (*attempt* or *epoch*); a stale one is ignored.",
    ]
    told: set[str] = set()
    for name, members in _unions():
        lines += ["", f"## {name}", *_members(members, source)]
        told |= {member.__name__ for member in members}
    others = [kind for name in source if name not in told and _is_value(kind := getattr(messages, name))]
    if others:
        lines += ["", "## Values inside messages", *_members(others, source)]
    return "\n".join(lines) + "\n"


def _parts(package: types.ModuleType) -> list[types.ModuleType]:
    """Return the package's modules, in the order of PARTS: that of the page."""
    return [importlib.import_module(f"{package.__name__}.{name}") for name in PARTS]


def _unions() -> Iterator[tuple[str, list[type]]]:
    """Yield the unions in the order of the page; a union of one message is that class under another name."""
    for name, value in [pair for part in _parts(messages) for pair in vars(part).items()]:
        members = list(typing.get_args(value)) if isinstance(value, types.UnionType) else [value]
        if name.endswith(("Message", "Command")) and all(isinstance(member, type) for member in members):
            if isinstance(value, type) and value.__name__ == name:
                continue
            yield name, members


def _is_value(kind: object) -> bool:
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or issubclass(kind, enum.Enum))


def _members(members: list[type], source: dict[str, ast.ClassDef]) -> Iterator[str]:
    yield "| name | fields | meaning |"
    yield "| --- | --- | --- |"
    for member in members:
        node = source[member.__name__]
        yield f"| `{member.__name__}` | {_fields(node)} | {_cell(_doc(node)) or '–'} |"


def _doc(node: ast.ClassDef) -> str:
    return ast.get_docstring(node) or ""


def _fields(node: ast.ClassDef) -> str:
    """Return a dataclass's fields with their types, or an enumeration's words."""
    fields = []
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            default = "" if item.value is None else f" = {ast.unparse(item.value)}"
            fields.append(f"`{item.target.id}: {_type(item.annotation)}{default}`".replace("|", "\\|"))
        elif isinstance(item, ast.Assign):
            fields.append(f"`{ast.literal_eval(item.value)}`")
    return ", ".join(fields) or "–"


def _type(annotation: ast.expr) -> str:
    """Return an annotation as it reads; one that is quoted, to be read later, without its quotes."""
    return (
        annotation.value
        if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str)
        else ast.unparse(annotation)
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


HIT = re.compile(r'^ *hit\("([^"]*)"\)$', re.MULTILINE)


def find_failpoints() -> dict[str, list[str]]:
    """Return, by name, the modules in which a failpoint is hit, one for each place."""
    found: dict[str, list[str]] = {}
    for path in sorted(path for folder in ("orch", "actors") for path in (ROOT / folder).rglob("*.py")):
        for name in HIT.findall(path.read_text(encoding="utf-8")):
            found.setdefault(name, []).append(str(path.relative_to(ROOT)))
    return found


def render_failpoints() -> str:
    """Return ``docs/failpoints.md``: every name, where it stands, what is true there."""
    places = find_failpoints()
    lines = [
        "# Failpoints",
        MADE.format(source="`orch/failpoints.py`"),
        "",
        "A failpoint is a named place at which a test lets the daemon die. `ORCH_FAILPOINT=name:n` in its environment kills the",
        "process with SIGKILL at the n-th passing of that name; a name that does not exist stops the start (exit code 2). Unset,",
        "it costs nothing. `tests/scenario/crash` dies at each of them once, and `make crash` at random, as often as you like.",
        "",
        "| name | in | what is true there |",
        "| --- | --- | --- |",
        *(f"| `{name}` | `{', '.join(places.get(name, ['–']))}` | {_cell(told)} |" for name, told in NAMES.items()),
    ]
    return "\n".join(lines) + "\n"


PAGES = {"stages.md": render_stages, "messages.md": render_messages, "failpoints.md": render_failpoints}


def main() -> None:
    for name, render in PAGES.items():
        path = ROOT / "docs" / name
        path.write_text(render(), encoding="utf-8")
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
