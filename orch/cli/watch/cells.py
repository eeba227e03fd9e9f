"""Cells and lines of the live view.

Owns: how a value becomes one line of a terminal. Rule: every line is one line, whatever is in it (``plain``), and what does not
fit is cut with a mark.
"""

from rich.table import Table
from rich.text import Text

from orch.cli.tables import plain


def window(count: int, selected: int, room: int) -> range:
    """Return which of *count* rows a window of *room* shows, so that the *selected* one is among them."""
    first = min(max(selected - room // 2, 0), max(count - room, 0))
    return range(first, min(first + room, count))


def grid(*ratios: int | None) -> Table:
    """Return a table without lines; a column with a ratio takes the room that is left."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for ratio in ratios:
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio, min_width=None if ratio else 1)
    return table


def cell(value: object, style: str = "", limit: int = 300) -> Text:
    return Text(plain(value, limit), style=style, no_wrap=True, overflow="ellipsis", end="")


def line(*parts: tuple[object, str] | str) -> Text:
    """Return one line of harmless parts, cut where the terminal ends."""
    whole = Text(no_wrap=True, overflow="ellipsis")
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        whole.append(plain(text, 600) if not isinstance(part, str) else part, style=style)
    return whole
