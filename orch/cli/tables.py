"""What the terminal shows, as rich renderables.

Owns: tables and their wording. Rule: everything that came from a board or an agent goes through ``plain`` first, so
that no text can steer the terminal; colours appear on a terminal only.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from orch.core.render.quote import clean, cut

WIDTH_PIPED = 160
WIDTH_FULL = 130
"""From so many columns on all that is known of a task stands in one line."""

COLOURS = {
    "blocked": "red",
    "needs_input": "yellow",
    "in_review": "yellow",
    "awaiting_deploy": "yellow",
    "done": "green",
    "cancelled": "dim",
}
"""Of a task's status, wherever a terminal shows it."""


def console() -> Console:
    """Return a console on standard output; piped output is wide and plain."""
    terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, width=None if terminal else WIDTH_PIPED, highlight=False, soft_wrap=False)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal that *what* goes on, and for how long; nothing where standard error is none."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    shown = Console(stderr=True)
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as progress:
        progress.add_task(what, total=None)
        yield


def plain(value: object, limit: int = 500) -> str:
    """Return *value* as one harmless line."""
    return cut(" ".join(clean("" if value is None else str(value)).split()), limit)


def prose(value: object) -> str:
    """Return *value* as harmless text that keeps its lines."""
    return clean("" if value is None else str(value)).expandtabs(4)


def tokens(number: object) -> str:
    """Return a count of tokens in a few characters."""
    count = number if isinstance(number, int | float) else 0
    if count >= 1_000_000:
        return f"{count / 1_000_000:.1f}M"
    return f"{count / 1000:.1f}k" if count >= 1000 else f"{count:.0f}"


def dollars(number: object) -> str:
    return f"${number:.2f}" if isinstance(number, int | float) else "–"


def task_table(tasks: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("ID", "Title", "Project", "Stage", "Status"):
        table.add_column(name, no_wrap=name != "Title", max_width=44 if name == "Title" else None, overflow="fold")
    table.add_column("Waits for", overflow="fold")
    for name in ("Runs", "In↓", "Out↑", "Cost"):
        table.add_column(name, justify="right", no_wrap=True)
    for task in tasks:
        status = plain(task.get("status"))
        waits = plain(task.get("waiting"))
        table.add_row(
            Text(plain(task.get("id"))),
            Text(plain(task.get("title"), 120)),
            Text(plain(task.get("project"))),
            Text(plain(task.get("stage"))),
            Text(status, style=COLOURS.get(status, "")),
            Text(waits),
            plain(task.get("runs")),
            tokens(task.get("tokens_in")),
            tokens(task.get("tokens_out")),
            dollars(task.get("cost_usd")),
        )
    return table


def narrow_tasks(tasks: list[Mapping[str, Any]], width: int) -> RenderableType:
    """Return the tasks for a narrow terminal: a line each, and under it what it waits for."""
    names = [plain(task.get("id"), 40) for task in tasks]
    first = max(cell_len(name) for name in ["ID", *names]) + 2
    rows: list[RenderableType] = []
    fixed = {"stage": 15, "status": 15}
    title = max(width - first - sum(fixed.values()) - len("Runs") - len(" $999.99"), 12)

    def row(name: str, about: str, stage: str, status: str, runs: str, cost: str, style: str = "", colour: str = "") -> Text:
        text = Text(no_wrap=True, overflow="crop")
        text.append(set_cell_size(name, first), style=style or "bold")
        text.append(_cut(about, title - 2) + "  ", style=style)
        text.append(set_cell_size(stage, fixed["stage"]), style=style)
        text.append(set_cell_size(status, fixed["status"]), style=style or colour)
        text.append(f"{runs:>4}{cost:>8}", style=style)
        return text

    rows.append(row("ID", "Title", "Stage", "Status", "Runs", "Cost", style="bold"))
    for name, task in zip(names, tasks, strict=True):
        status = plain(task.get("status"))
        told = plain(task.get("title"), 120), plain(task.get("stage")), status, plain(task.get("runs"))
        rows.append(row(name, *told, dollars(task.get("cost_usd")), colour=COLOURS.get(status, "")))
        if waits := plain(task.get("waiting")):
            rows.append(Padding(Text(waits, style="dim", overflow="fold"), (0, 0, 0, first)))
    return Group(*rows)


def _cut(text: str, width: int) -> str:
    """Return *text* in exactly *width* cells, with the mark of a cut where it was longer."""
    return set_cell_size(text, width) if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"


def status_view(snapshot: Mapping[str, Any], width: int = WIDTH_PIPED) -> RenderableType:
    """Return what ``orch status`` shows in a terminal of *width* columns."""
    tasks = list(snapshot.get("tasks") or [])
    issues = [issue for issue in snapshot.get("issues") or [] if not issue.get("task")]
    parts: list[RenderableType] = [*_holds(snapshot.get("projects") or [])]
    if tasks:
        table = task_table(tasks) if width >= WIDTH_FULL else narrow_tasks(tasks, width)
        parts += [table, Text(_totals(tasks), style="dim")]
    else:
        parts.append(Text("No tasks yet. A card enters the line with: orch board move ID to_analyse"))
    if issues:
        parts += [Text(""), Text("Cards without a task", style="bold"), issue_table(issues)]
    return Group(*parts)


def _holds(projects: Iterable[Mapping[str, Any]]) -> list[Text]:
    """Return a line for each project that is frozen or paused."""
    lines = []
    for project in projects:
        name = plain(project.get("name"))
        if freeze := project.get("freeze"):
            text = f"{name} is frozen ({plain(freeze.get('cause'))}, by {plain(freeze.get('by'))}): {plain(freeze.get('detail'))}"
            lines.append(Text(text, style="bold cyan"))
        if project.get("paused"):
            lines.append(Text(f"{name} is paused: nothing new is claimed", style="bold cyan"))
    return lines


def _totals(tasks: list[Mapping[str, Any]]) -> str:
    def add(key: str) -> float:
        return sum(value for task in tasks if isinstance(value := task.get(key), int | float))

    into = f"{tokens(add('tokens_in'))} in ({tokens(add('tokens_cached'))} of them cached)"
    count = f"{len(tasks)} task{'' if len(tasks) == 1 else 's'}"
    return f"{count}; tokens {into}, {tokens(add('tokens_out'))} out; {dollars(add('cost_usd'))} in all"


def issue_table(issues: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("ID", no_wrap=True)
    table.add_column("Title", overflow="fold")
    table.add_column("Project", no_wrap=True)
    table.add_column("Column", no_wrap=True)
    for issue in issues:
        column = issue.get("column") or issue.get("status")
        table.add_row(*(Text(plain(cell, 120)) for cell in (issue.get("id"), issue.get("title"), issue.get("project"), column)))
    return table


def issue_view(issue: Mapping[str, Any]) -> RenderableType:
    """Return what ``orch board show`` shows."""
    head = Text.assemble((plain(issue.get("id")), "bold"), "  ", plain(issue.get("title"), 1000))
    parts: list[RenderableType] = [head, Text(f"Column: {plain(issue.get('column') or issue.get('status'))}")]
    if issue.get("text"):
        parts += [Text(""), Text(prose(issue["text"]))]
    for comment in issue.get("comments") or []:
        who = plain(comment.get("role") or comment.get("by"))
        parts += [Text(""), Text(f"{who}, {plain(comment.get('at'))}:", style="bold"), Text(prose(comment.get("text")))]
    return Group(*parts)


def dependency_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("Project", "Issue", "Waits for", "State"):
        table.add_column(name, no_wrap=True)
    for row in rows:
        state = "open" if row.get("open") else "met"
        table.add_row(*(Text(plain(cell)) for cell in (row.get("project"), row.get("issue"), row.get("on"), state)))
    return table
