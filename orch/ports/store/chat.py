"""The store's tables of the chat."""

from datetime import datetime
from typing import Protocol

from orch.core.ids import TaskRow
from orch.core.model import ReasonAsked, Tracker


class ChatTables(Protocol):
    """The chat: each task's live message, reasons that were asked for, the updates' offset, where a chat went."""

    def load_tracker(self, row: TaskRow) -> Tracker | None: ...

    def save_tracker(self, tracker: Tracker) -> None:
        """Write the task's one tracker."""

    def open_trackers(self) -> list[TaskRow]:
        """Return the tasks whose tracker does not show their end."""

    def save_reason_asked(self, asked: ReasonAsked) -> None: ...

    def load_reason_asked(self, chat: str, message: int) -> ReasonAsked | None: ...

    def drop_reason_asked(self, chat: str, message: int, older_than: datetime) -> None:
        """Forget one question, and all that were asked before *older_than*."""

    def load_chat_offset(self, bot: str) -> int:
        """Return the number of the first update of *bot* that was not handled, 0 where none ever was."""

    def save_chat_offset(self, bot: str, offset: int) -> None: ...

    def chat_address(self, chat: str) -> str:
        """Return where a chat went that got another id, itself where it did not."""

    def save_chat_move(self, chat: str, target: str) -> None: ...
