"""The panes of the live view: tasks, what runs, the merge train, what waits and why.

Owns: the lines of each. Rule: every line is one line, whatever is in it (``plain``), and what does not fit is cut with a mark;
the most important comes first, because a low terminal shows only that.
"""

import textwrap
from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from orch.cli.tables import COLOURS, dollars, plain, tokens
from orch.cli.watch.cells import cell, grid, line, window
from orch.cli.watch.state import ENDED, LiveState, Row, View
from orch.core.ids import Sha
from orch.core.render.figures import render_duration, short_sha

ASKS = {"approval": "approve", "input": "answer", "confirm": "confirm", "merge": "merge"}
"""What a task waits for that only a person can give."""
REASON_ROOM = 5
"""From so many rows on the reason has two of them."""
WIDE = 110
"""From so many columns on a task's line says why it waits."""
NARROW = 60
"""With fewer columns a task is its mark, id, title and stage."""


# ------------------------------------------------------------------------------------------------ tasks


def tasks_pane(state: LiveState, view: View, width: int, room: int) -> RenderableType:
    """Return the tasks around the selected one, which also says why it waits on the pane's last lines."""
    rows = state.tasks()
    if not rows:
        return line(("No tasks yet. A card enters the line with: orch board move ID to_analyse", "dim"))
    names = [row.get("id") for row in rows]
    here = names.index(view.selected) if view.selected in names else 0
    wide, narrow = width >= WIDE, width < NARROW
    table = grid(None, None, 2, None) if narrow else grid(None, None, 2, None, None, *([4] if wide else []), None, None)
    why = 2 if room >= REASON_ROOM else 1
    for index in window(len(rows), here, max(room - why, 1)):
        cells = _task_cells(rows[index], wide)
        table.add_row(*(cells[:4] if narrow else cells), style="reverse" if index == here else "")
    chosen = rows[here]
    whole = Table.grid(expand=True)
    whole.add_row(table)
    for told in textwrap.wrap(
        f"{plain(chosen.get('id'), 40)}: {_reason(chosen)}", max(width - 1, 20), max_lines=why, placeholder=" …"
    ):
        whole.add_row(Text(told, no_wrap=True, overflow="ellipsis"))
    return whole


def _task_cells(task: Row, wide: bool) -> list[Text]:
    status = plain(task.get("status"))
    asks = needs_person(task)
    cells = [
        cell("!" if asks else "", "bold yellow"),
        cell(plain(task.get("id"), 40), "bold" if asks else ""),
        cell(task.get("title"), limit=120),
        cell(task.get("stage")),
        cell(status, COLOURS.get(status, "")),
    ]
    if wide:
        cells.append(cell(_reason(task), "dim"))
    return [*cells, cell(f"{tokens(task.get('tokens_in'))}↓"), cell(dollars(task.get("cost_usd")))]


def _reason(task: Row) -> str:
    return plain(task.get("waiting"), 300)


def needs_person(task: Row) -> bool:
    """Say whether only a person can move *task* on."""
    if task.get("stage") in ENDED:
        return False
    return bool(task.get("parked")) or task.get("awaiting") in ASKS


# ------------------------------------------------------------------------------------------------ what runs


def agents_pane(state: LiveState, now: float) -> list[RenderableType]:
    """Return a line for each run, with how long it has been going on and the last line of its log."""
    runs = state.agents()
    block = state.queue.get("agents") or {}
    lines: list[RenderableType] = []
    if runs:
        table = grid(None, None, None, None, 1)
        for run in runs:
            role = run.get("role") if run.get("kind") == "agent" else run.get("kind")
            tail = state.tails.get(run.get("n") or 0, "")
            table.add_row(
                cell(run.get("task"), "bold"),
                cell(role),
                cell(elapsed(run, state, now)),
                cell(run.get("model")),
                cell(tail, "dim"),
            )
        lines.append(table)
    else:
        lines.append(line(("Nothing runs now.", "dim")))
    lines += [
        line(
            (f"account {plain(each.get('name'))} is paused until {moment(each.get('until'))}: ", "yellow"),
            (each.get("detail"), ""),
        )
        for each in block.get("accounts") or []
    ]
    lines += [
        line((f"too little {plain(each.get('resource'))}: {each.get('free_mb')} MB free, {each.get('floor_mb')} needed", "red"))
        for each in block.get("shortages") or []
    ]
    return lines


def elapsed(run: Row, state: LiveState, now: float) -> str:
    """Return how long *run* has been going on: as it was when the queue was read, and since then by our own clock."""
    seconds = run.get("seconds")
    known = seconds if isinstance(seconds, int | float) else 0.0
    return render_duration(known + max(now - state.queue_at, 0.0))


def moment(text: object) -> str:
    """Return the time of day of an ISO moment."""
    told = plain(text, 40)
    return f"{told[11:16]} UTC" if len(told) >= 16 else told


# ------------------------------------------------------------------------------------------------ the train


def train_pane(state: LiveState, now: float) -> list[RenderableType]:
    """Return each project's train: what is tested together, who stands in it in which order, what landed last."""
    block = state.queue.get("merge") or {}
    lines: list[RenderableType] = []
    for each in block.get("landing") or []:
        lines.append(line(("landing ", "bold green"), (_names(each.get("members")), "bold"), f" {_short(each.get('sha'))}"))
    for train in block.get("queues") or []:
        lines += _train_lines(train, state, now)
    return lines or [line(("Nothing is on its way to the default branch.", "dim"))]


def _train_lines(train: Row, state: LiveState, now: float) -> list[RenderableType]:
    flags = [word for key, word in (("frozen", "frozen"), ("red_main", "main is red")) if train.get(key)]
    if not train.get("merge_gate", True):
        flags.append("merge gate off")
    landed = f"{train.get('landed') or 0} landed, {train.get('ejected') or 0} sent back"
    head = line(
        (train.get("project"), "bold"),
        f"  main {_short(train.get('main'))}  up to {plain(train.get('width'))} at once  {landed}",
        (f"  {', '.join(flags)}" if flags else "", "yellow"),
    )
    lines: list[RenderableType] = [head]
    for check in train.get("checks") or []:
        what = _names(check.get("members")) or "the default branch itself"
        lines.append(line("  testing ", (what, "cyan"), f" on {_short(check.get('base'))}, {elapsed(check, state, now)}"))
    for member in train.get("members") or []:
        why = member.get("held") or member.get("note") or ""
        fix = " (fix)" if member.get("exempt") else ""
        lines.append(line(f"  {plain(member.get('position'))}. ", (member.get("id"), "bold"), f"{fix}  ", (why, "dim")))
    for check in (train.get("ended") or [])[-3:]:
        verdict = plain(check.get("verdict"))
        style = "green" if verdict == "green" else "red"
        lines.append(line("  was ", (verdict, style), f": {_names(check.get('members')) or 'the default branch'}"))
    return lines


def _names(names: object) -> str:
    """Return a prefix of the train: the tasks that are tested together, in their order."""
    return " + ".join(plain(name, 40) for name in names) if isinstance(names, Sequence) and not isinstance(names, str) else ""


def _short(sha: object) -> str:
    return short_sha(Sha(plain(sha))) if sha else "–"


# ------------------------------------------------------------------------------------------------ what waits


def waits_pane(state: LiveState) -> list[RenderableType]:
    """Return what waits and why: first what holds a whole repo, then what a person is asked, then everything else."""
    lines: list[RenderableType] = []
    for project in state.snapshot.get("projects") or []:
        name = plain(project.get("name"))
        if freeze := project.get("freeze"):
            lines.append(line((f"{name} is frozen by {plain(freeze.get('by'))}: ", "bold cyan"), (freeze.get("detail"), "")))
        if project.get("paused"):
            lines.append(line((f"{name} is paused: nothing new is claimed", "bold cyan")))
    live = [task for task in state.tasks() if task.get("stage") not in ENDED]
    asks = [task for task in live if needs_person(task)]
    lines += [line((f"! {plain(task.get('id'))}  ", "bold yellow"), (_reason(task), "")) for task in asks]
    lines += [line((f"  {plain(task.get('id'))}  ", "bold"), (_reason(task), "dim")) for task in live if task not in asks]
    for row in (state.queue.get("outbox") or {}).get("parked") or []:
        what = f"! not delivered to {plain(row.get('target'))}, {plain(row.get('task'))}: "
        lines.append(line((what, "red"), (row.get("error"), "")))
    return lines or [line(("Nothing waits.", "dim"))]
