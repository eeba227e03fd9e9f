"""The store's tables of agents' accounts, its own name and probe, and its census."""

from datetime import datetime
from typing import Protocol

from orch.core.ids import TaskRow
from orch.core.model import Account, Census


class AccountTables(Protocol):
    """Accounts that agents run under, the store's own probe, and how much there is of what."""

    def load_account(self, name: str) -> Account:
        """Return the account; one that was never saved is not paused."""

    def paused_accounts(self) -> list[Account]: ...

    def census(self) -> Census:
        """Count what is live, queued, open and pending."""

    def save_account(self, account: Account) -> None: ...

    def note_failure(self, account: str, kind: str, task: TaskRow, at: datetime) -> None:
        """Keep the newest failure of that class of *task* under *account*."""

    def failing_tasks(self, account: str, kind: str, since: datetime) -> list[TaskRow]:
        """Return the tasks with a noted failure of that class at or after *since*."""

    def forget_failures(self, account: str, before: datetime | None = None) -> None:
        """Forget the account's noted failures, or those *before* a moment."""

    def identity(self) -> str:
        """Return this store's own name, made with it and kept by its backups."""

    def probe(self, at: datetime) -> None:
        """Write something small, to see whether the disk takes it."""
