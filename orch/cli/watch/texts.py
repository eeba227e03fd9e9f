"""The screens that are texts: one task with its history, a run's log, the help.

Owns: their lines. Rule: a line never wraps by itself: prose is broken here, at the terminal's width, so that scrolling can count.
"""

import textwrap
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from orch.cli.tables import dollars, plain, prose, tokens
from orch.cli.watch.cells import line
from orch.cli.watch.state import View
from orch.core.ids import Sha
from orch.core.render.figures import render_duration, short_sha

HELP = (
    "The line, live. Nothing here changes anything: to decide, use the page or orch approve, reject, stop, resume …",
    "",
    "  ↑ ↓  j k        select a task; in a text: scroll",
    "  PgUp PgDn Space a page at once",
    "  g G Home End    the first, the last; at the end of a log: follow it",
    "  Enter           one task: why it waits, stages, history, runs",
    "  l               the log of the task's newest run, as it is written",
    "  Tab Shift-Tab   the pane below: agents, train, waits, spend",
    "  q Esc           back; from the line: quit. Ctrl-C quits at once",
    "  ?               this page",
    "",
    "  !  a task that only you can move on",
    "  The line under the tasks says why the selected one waits.",
    "  agents: who is at work, since when, and the last line of the log.",
    "  train: what is tested together (A + B: both on top of main), who comes next, who is held and why.",
)


def task_lines(task: Mapping[str, Any], width: int) -> list[Text]:
    """Return everything about one task."""
    if not task:
        return [Text("reading …", style="dim")]
    lines = [
        line((task.get("id"), "bold"), "  ", (task.get("title"), "")),
        line(
            f"stage {plain(task.get('stage'))}, status {plain(task.get('status'))}, attempt {plain(task.get('attempt'))}, ",
            f"branch {plain(task.get('branch')) or '–'}, main has {_short(task.get('landed'))}",
        ),
        line(
            f"{plain(task.get('run_count'))} runs, {tokens(task.get('tokens_in'))} in, {tokens(task.get('tokens_out'))} out, ",
            dollars(task.get("cost_usd")),
        ),
        Text(""),
        *broken(task.get("waiting"), width, "bold"),
    ]
    if park := task.get("parked"):
        lines += [Text(""), *broken(park.get("evidence"), width)]
    if on := task.get("dependencies"):
        names = ", ".join(f"{plain(each.get('name'))}{'' if each.get('open') else ' (met)'}" for each in on)
        lines.append(line(f"after {names}"))
    lines += [*_stages(task), *_runs(task), *_history(task, width)]
    if task.get("description"):
        lines += [Text(""), Text("What is wanted", style="bold"), *broken(task.get("description"), width)]
    return lines


def _stages(task: Mapping[str, Any]) -> list[Text]:
    spent = task.get("stage_seconds") or {}
    if not spent:
        return []
    told = ", ".join(f"{plain(stage)} {render_duration(float(seconds))}" for stage, seconds in spent.items())
    return [Text(""), line(("Time:", "bold"), f" {told}")]


def _runs(task: Mapping[str, Any]) -> list[Text]:
    rows = list(reversed(task.get("runs") or []))
    if not rows:
        return []
    lines = [Text(""), Text("Runs, newest first", style="bold")]
    for run in rows:
        role = run.get("role") if run.get("kind") == "agent" else run.get("kind")
        outcome = plain(run.get("outcome")) or "running"
        style = "cyan" if outcome == "running" else "green" if outcome == "succeeded" else "yellow"
        took = render_duration(float(run.get("seconds") or 0))
        detail = plain((prose(run.get("detail")).strip().splitlines() or [""])[-1], 160)
        figures = f"{took:>8}  {dollars(run.get('cost_usd')):>7}  "
        lines.append(line(f"  #{plain(run.get('n')):<4} {plain(role):<10} ", (f"{outcome:<12}", style), figures, (detail, "dim")))
    return lines


def _history(task: Mapping[str, Any], width: int) -> list[Text]:
    rows = list(reversed(task.get("history") or []))
    lines = [Text(""), Text("History, newest first", style="bold")] if rows else []
    for row in rows:
        at = plain(row.get("at"))[:16].replace("T", " ")
        by = f" by {plain(row.get('by'), 40)}" if row.get("by") else ""
        told = f"{plain(row.get('source')) or 'board'} → {plain(row.get('target'))}: {plain(row.get('cause'))}{by}"
        lines.append(line((f"  {at}  ", "dim"), told))
        if row.get("detail"):
            lines += broken(row["detail"], width, "dim", indent=20)[:6]
    return lines


def log_lines(view: View, width: int) -> list[Text]:
    """Return the log's lines, each cut at the terminal's width: what a program printed is not prose."""
    if not view.log:
        return [Text("nothing was written yet", style="dim")]
    return [Text(plain(each, max(width, 20)), no_wrap=True, overflow="ellipsis") for each in view.log]


def broken(value: object, width: int, style: str = "", indent: int = 0) -> list[Text]:
    """Return *value* as lines of the terminal's width."""
    room = max(width - indent - 1, 20)
    found: list[Text] = []
    for each in prose(value).splitlines():
        pieces = textwrap.wrap(each, room, break_on_hyphens=False) or [""]
        found += [Text(" " * indent + piece, style=style, no_wrap=True) for piece in pieces]
    return found


def _short(sha: object) -> str:
    return short_sha(Sha(plain(sha))) if sha else "–"
