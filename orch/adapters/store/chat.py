"""What is remembered of the chat: trackers, asked reasons, the offset of the updates, where a chat went.

Owns: ``chat_tracker``, ``chat_reason``, ``chat_offset``, ``chat_move``. Rule: values in, values out; the newest value wins.
"""

from datetime import datetime

from orch.adapters.store.tables import Tables
from orch.adapters.store.values import from_us, to_us
from orch.core.ids import TaskRow
from orch.core.model import ReasonAsked, Tracker

MOVES_MAX = 10


class ChatRows(Tables):
    def load_tracker(self, row: TaskRow) -> Tracker | None:
        found = self._row("SELECT * FROM chat_tracker WHERE task = ?", (row,))
        if found is None:
            return None
        return Tracker(
            task=TaskRow(found["task"]),
            chat=found["chat"],
            message=found["message"],
            digest=found["digest"],
            closed=bool(found["closed"]),
            at=from_us(found["at"]),
        )

    def save_tracker(self, tracker: Tracker) -> None:
        self._run(
            """
            INSERT INTO chat_tracker (task, chat, message, digest, closed, at) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (task) DO UPDATE SET chat = excluded.chat, message = excluded.message, digest = excluded.digest,
            closed = excluded.closed, at = excluded.at
            """,
            (tracker.task, tracker.chat, tracker.message, tracker.digest, int(tracker.closed), to_us(tracker.at)),
        )

    def open_trackers(self) -> list[TaskRow]:
        return [TaskRow(found["task"]) for found in self._rows("SELECT task FROM chat_tracker WHERE closed = 0 ORDER BY task")]

    def save_reason_asked(self, asked: ReasonAsked) -> None:
        self._run(
            "INSERT OR REPLACE INTO chat_reason (chat, message, press, user, at) VALUES (?, ?, ?, ?, ?)",
            (asked.chat, asked.message, asked.press, asked.user, to_us(asked.at)),
        )

    def load_reason_asked(self, chat: str, message: int) -> ReasonAsked | None:
        found = self._row("SELECT * FROM chat_reason WHERE chat = ? AND message = ?", (chat, message))
        if found is None:
            return None
        return ReasonAsked(
            chat=found["chat"], message=found["message"], press=found["press"], user=found["user"], at=from_us(found["at"])
        )

    def drop_reason_asked(self, chat: str, message: int, older_than: datetime) -> None:
        values = (chat, message, to_us(older_than))
        self._run("DELETE FROM chat_reason WHERE (chat = ? AND message = ?) OR at < ?", values)

    def load_chat_offset(self, bot: str) -> int:
        found = self._row("SELECT next FROM chat_offset WHERE bot = ?", (bot,))
        return int(found["next"]) if found is not None else 0

    def save_chat_offset(self, bot: str, offset: int) -> None:
        self._run(
            "INSERT INTO chat_offset (bot, next) VALUES (?, ?) ON CONFLICT (bot) DO UPDATE SET next = excluded.next",
            (bot, offset),
        )

    def chat_address(self, chat: str) -> str:
        for _ in range(MOVES_MAX):
            found = self._row("SELECT target FROM chat_move WHERE chat = ?", (chat,))
            if found is None:
                break
            chat = found["target"]
        return chat

    def save_chat_move(self, chat: str, target: str) -> None:
        if chat != target:
            self._run("INSERT OR REPLACE INTO chat_move (chat, target) VALUES (?, ?)", (chat, target))
