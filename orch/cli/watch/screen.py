"""The whole screen: what stands where at which size.

Owns: ``frame`` and how many rows each part gets. Rule: good at 80 columns and 24 rows; a lower or narrower terminal loses what is
least important, and nothing ever wraps.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.layout import Layout
from rich.table import Table
from rich.text import Text

from orch.cli.tables import dollars, plain
from orch.cli.watch.cells import line
from orch.cli.watch.panes import agents_pane, needs_person, tasks_pane, train_pane, waits_pane
from orch.cli.watch.spending import spend_pane, spent_today
from orch.cli.watch.state import ENDED, PANES, LiveState, Pane, Screen, View
from orch.cli.watch.texts import HELP, log_lines, task_lines

KEYS = {
    Screen.LINE: "q quit  ↑↓ select  Enter task  l log  Tab pane  ? help",
    Screen.TASK: "q back  ↑↓ scroll  l log  ? help",
    Screen.LOG: "q back  ↑↓ scroll  End follow  ? help",
    Screen.HELP: "q back",
}
FRAME_ROWS = 2
"""The head and the keys."""
PANE_MIN = 6
PANE_BEST = 9


def frame(state: LiveState, view: View, size: tuple[int, int], now: float) -> RenderableType:
    """Return the screen of *size* (columns, rows); *now* is the monotonic clock's."""
    width, height = size
    whole = Layout()
    room = max(height - FRAME_ROWS, 1)
    whole.split_column(
        Layout(head(state), size=1),
        Layout(_body(state, view, (width, room), now), size=room),
        Layout(Text(KEYS[view.screen], style="dim", no_wrap=True, overflow="ellipsis"), size=1),
    )
    return whole


def head(state: LiveState) -> RenderableType:
    """Return the first line: whether it is live, how much goes on, what was spent."""
    style, word = ("green", "live") if state.connected else ("yellow", state.note)
    tasks = state.tasks()
    live = [task for task in tasks if task.get("stage") not in ENDED]
    asks = sum(needs_person(task) for task in live)
    told = f"  {len(live)} live, {len(tasks) - len(live)} ended, {len(state.agents())} at work"
    left = line(("orch", "bold"), "  ", (word, style), f"  {datetime.now(UTC):%H:%M:%S} UTC")
    if state.snapshot:
        left.append(told)
        left.append(f", {asks} for you" if asks else "", style="bold yellow")
    spent, limit = spent_today(state)
    right = Text("" if spent is None else f"{dollars(spent)}{f' of {dollars(limit)}' if limit else ''} today", no_wrap=True)
    table = Table.grid(expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(no_wrap=True, justify="right")
    table.add_row(left, right)
    return table


def _body(state: LiveState, view: View, size: tuple[int, int], now: float) -> RenderableType:
    match view.screen:
        case Screen.LINE:
            return _line_screen(state, view, size, now)
        case Screen.TASK | Screen.LOG | Screen.HELP:
            return text_screen(text_of(view, size[0]), view, size[1])


def text_of(view: View, width: int) -> Sequence[Text]:
    """Return all lines of the screen that scrolls."""
    if view.screen is Screen.TASK:
        return task_lines(view.detail, width)
    return log_lines(view, width) if view.screen is Screen.LOG else [Text(each) for each in HELP]


def text_screen(lines: Sequence[Text], view: View, room: int) -> RenderableType:
    """Return the window of *lines* that is scrolled to; the last line says where that is."""
    shown = max(room - 1, 1)
    last = max(len(lines) - shown, 0)
    top = last if view.top is None else min(view.top, last)
    table = Table.grid(expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for each in lines[top : top + shown]:
        table.add_row(each)
    place = "" if len(lines) <= shown else f" {top + 1}–{min(top + shown, len(lines))} of {len(lines)} "
    follow = "following " if view.screen is Screen.LOG and view.top is None else ""
    told = f"{plain(view.log_note)} {place}{follow}" if view.screen is Screen.LOG else place
    foot = Text(told or " ", style="dim", no_wrap=True)
    whole = Layout()
    whole.split_column(Layout(table, size=shown), Layout(foot, size=1))
    return whole


# ------------------------------------------------------------------------------------------------ the line


def _line_screen(state: LiveState, view: View, size: tuple[int, int], now: float) -> RenderableType:
    width, room = size
    below = _panes_below(view, room)
    heights = _heights(room, len(state.tasks()), below)
    parts = [Layout(tasks_pane(state, view, width, heights[0]), size=heights[0])]
    for pane, height in zip(below, heights[1:], strict=True):
        inner = Layout()
        inner.split_column(
            Layout(_title(pane, view), size=1), Layout(_stacked(_lines(pane, state, now), height - 1), size=height - 1)
        )
        parts.append(Layout(inner, size=height))
    whole = Layout()
    whole.split_column(*parts)
    return whole


def _panes_below(view: View, room: int) -> list[Pane]:
    """Return the panes that have room below the tasks: the chosen one first, then those after it."""
    count = min(max((room - PANE_MIN) // PANE_BEST, 1), len(PANES)) if room >= 2 * PANE_MIN - 2 else 0
    first = PANES.index(view.pane)
    return [PANES[(first + step) % len(PANES)] for step in range(count)]


def _heights(room: int, tasks: int, below: Sequence[Pane]) -> list[int]:
    """Return the rows of the tasks and of each pane; the tasks get what they need, up to half of the room."""
    if not below:
        return [room]
    own = min(max(tasks + 2, 3), max(room // 2, 3))
    left = room - own
    each = [left // len(below)] * len(below)
    each[0] += left - sum(each)
    return [own, *each]


def _title(pane: Pane, view: View) -> RenderableType:
    """Return the bar over a pane; over the chosen one it names them all."""
    if pane is not view.pane:
        return line((f"── {pane} ", "bold"))
    bar = Text("── ", no_wrap=True, overflow="ellipsis", style="bold")
    for other in PANES:
        bar.append(f"[{other}]" if other is pane else f" {other} ", style="bold" if other is pane else "dim")
        bar.append(" ")
    return bar


def _lines(pane: Pane, state: LiveState, now: float) -> list[RenderableType]:
    match pane:
        case Pane.AGENTS:
            return agents_pane(state, now)
        case Pane.TRAIN:
            return train_pane(state, now)
        case Pane.WAITS:
            return waits_pane(state)
        case Pane.SPEND:
            return spend_pane(state)


def _stacked(lines: Sequence[RenderableType], room: int) -> RenderableType:
    """Return *lines* one under the other; where there are more than *room* the last says how many are left out."""
    table = Table.grid(expand=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    fits = len(lines) <= room
    for each in lines if fits else lines[: max(room - 1, 0)]:
        table.add_row(each)
    if not fits:
        table.add_row(Text(f"… {len(lines) - room + 1} more", style="dim"))
    return table
