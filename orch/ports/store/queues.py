"""The store's inbox, what was handled of a board's activity, and its outbox."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from orch.core.ids import ActivityId, InboxId, OutboxId, ProjectName, TaskRow
from orch.core.model import InboxRow, NewOutbox, OutboxRow, RowState, Target


class QueueTables(Protocol):
    """Inbox, handled activity, outbox."""

    def add_inbox(self, source: str, body: bytes, at: datetime) -> InboxId: ...

    def pending_inbox(self, limit: int = 500) -> list[InboxRow]: ...

    def mark_inbox(self, row: InboxId, state: RowState, error: str = "") -> None: ...

    def unhandled(self, project: ProjectName, entries: Iterable[ActivityId]) -> set[ActivityId]:
        """Return those of *entries* that were not handled yet."""

    def mark_handled(self, project: ProjectName, entries: Iterable[ActivityId], at: datetime) -> None: ...

    def add_outbox(self, new: NewOutbox) -> OutboxId | None:
        """Add a row, or return None when *key* exists. A ``SetStatus`` row voids the task's older pending ones."""

    def due_outbox(self, now: datetime, limit: int = 50, *, but: Target | None = None) -> list[OutboxRow]:
        """Return for each (task, target) its first pending row, if due; none of target *but*."""

    def next_outbox_due(self) -> datetime | None: ...

    def end_outbox(self, row: OutboxId, state: RowState, error: str = "") -> None: ...

    def retry_outbox(self, row: OutboxId, due_at: datetime, error: str) -> None:
        """Count a failed try and set when to try again."""

    def list_outbox(self, *, state: RowState | None = None, task: TaskRow | None = None, limit: int = 200) -> list[OutboxRow]: ...
