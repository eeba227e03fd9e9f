"""What the daemon said so far, and where the person is in it.

Owns: ``LiveState`` (the feed's snapshot and changes, the queue, tails of logs) and ``View`` (screen, pane, selection, scrolling).
Rule: neither reads nor draws anything; a selection is kept by id, so that it stays on its task when the rows around it move.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, final

Row = Mapping[str, Any]
LOG_LINES_MAX = 2000


@final
class LiveState:
    """The daemon as it was last heard of."""

    def __init__(self) -> None:
        self.snapshot: dict[str, Any] = {}
        self.queue: Row = {}
        self.queue_at = 0.0
        """When the queue was read, on the monotonic clock."""
        self.spend: Row = {}
        self.tails: dict[int, str] = {}
        """The last line of each running agent's log, by run."""
        self.seq = 0
        self.connected = False
        self.note = "connecting …"

    def apply(self, message: Row) -> bool:
        """Take *message* in; False when one before it is missing."""
        seq = message.get("seq")
        if message.get("type") == "snapshot":
            self.snapshot = {key: value for key, value in message.items() if key not in ("type", "seq")}
        elif message.get("type") == "heartbeat":
            return seq == self.seq
        elif isinstance(seq, int) and seq != self.seq + 1:
            return False
        else:
            self._merge(message)
        if isinstance(seq, int):
            self.seq = seq
        return True

    def _merge(self, message: Row) -> None:
        """Put a change's rows in the place of those with the same id; everything else of it replaces what was there."""
        for key, value in message.items():
            many = f"{key}s"
            if key in ("tasks", "issues") and isinstance(value, list):
                for row in value:
                    self._put(key, row)
            elif many in ("tasks", "issues") and isinstance(value, Mapping):
                self._put(many, value)
            elif key not in ("type", "seq"):
                self.snapshot[key] = value

    def _put(self, key: str, row: Row) -> None:
        rows = self.snapshot.setdefault(key, [])
        for index, known in enumerate(rows):
            if known.get("id") == row.get("id"):
                rows[index] = row
                return
        rows.append(row)

    def tasks(self) -> list[Row]:
        """Return the tasks as they are listed: live ones in their order, then what ended, newest first as it came."""
        rows = [row for row in self.snapshot.get("tasks") or [] if isinstance(row, Mapping)]
        return sorted(rows, key=lambda row: row.get("stage") in ENDED)

    def task(self, name: str | None) -> Row | None:
        return next((row for row in self.tasks() if row.get("id") == name), None)

    def agents(self) -> list[Row]:
        """Return what runs now, agents first."""
        block = self.queue.get("agents") or {}
        return [*(block.get("running") or []), *(block.get("commands") or [])]


ENDED = ("done", "cancelled")


class Screen(StrEnum):
    LINE = "line"
    TASK = "task"
    LOG = "log"
    HELP = "help"


class Pane(StrEnum):
    """What stands below the tasks."""

    AGENTS = "agents"
    TRAIN = "train"
    WAITS = "waits"
    SPEND = "spend"


PANES = tuple(Pane)


@final
@dataclass(slots=True)
class View:
    """Where the person is. *top* is the first line shown of a text that scrolls; None follows its end."""

    screen: Screen = Screen.LINE
    pane: Pane = Pane.AGENTS
    selected: str | None = None
    top: int | None = 0
    detail: Row = field(default_factory=dict)
    run: int | None = None
    log: list[str] = field(default_factory=list)
    log_note: str = ""

    def move(self, rows: Sequence[Row], step: int) -> None:
        """Select the row that stands *step* further; the first one where nothing was selected."""
        names = [row.get("id") for row in rows]
        if not names:
            self.selected = None
            return
        here = names.index(self.selected) if self.selected in names else 0
        self.selected = names[min(max(here + step, 0), len(names) - 1)]

    def scroll(self, step: int, lines: int, room: int) -> None:
        """Scroll a text of *lines* in a window of *room*; at its end it is followed again."""
        last = max(lines - room, 0)
        here = last if self.top is None else min(self.top, last)
        there = min(max(here + step, 0), last)
        self.top = None if there == last and self.screen is Screen.LOG else there

    def turn(self, step: int) -> None:
        self.pane = PANES[(PANES.index(self.pane) + step) % len(PANES)]

    def say(self, lines: Sequence[str]) -> None:
        """Add lines of the log; the oldest are dropped."""
        self.log.extend(lines)
        del self.log[:-LOG_LINES_MAX]
        if self.top is not None:
            self.top = min(self.top, max(len(self.log) - 1, 0))
