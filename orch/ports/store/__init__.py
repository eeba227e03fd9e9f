"""The store's port: one writer, plain calls inside one transaction.

Owns: what a transaction and the store are. Each module here is one group of tables, beside the adapter's module of that name.
Rule: *work* given to the store is a plain function of a ``Tx``; it may run on another thread and waits for nothing.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from orch.ports.retention import RetentionTables
from orch.ports.store.accounts import AccountTables
from orch.ports.store.budgets import BudgetTables
from orch.ports.store.chat import ChatTables
from orch.ports.store.control import ControlTables
from orch.ports.store.deploys import DeployTables
from orch.ports.store.jobs import Claimed, JobTables, NothingToClaim
from orch.ports.store.local import LocalTables
from orch.ports.store.queues import QueueTables
from orch.ports.store.repos import RepoTables
from orch.ports.store.tasks import TaskTables
from orch.ports.store.train import TrainTables

__all__ = [
    "AccountTables",
    "BudgetTables",
    "ChatTables",
    "Claimed",
    "ControlTables",
    "DeployTables",
    "JobTables",
    "LocalTables",
    "NothingToClaim",
    "QueueTables",
    "RepoTables",
    "Store",
    "TaskTables",
    "TrainTables",
    "Tx",
]

T = TypeVar("T")


class Tx(
    TaskTables,
    JobTables,
    QueueTables,
    RepoTables,
    TrainTables,
    DeployTables,
    LocalTables,
    AccountTables,
    ControlTables,
    BudgetTables,
    ChatTables,
    RetentionTables,
    Protocol,
):
    """One transaction: everything in it is committed together, or nothing."""


class Store(Protocol):
    """The one durable place. *work* is a plain function: it may not wait for anything, and may run on another thread."""

    async def transact(self, work: Callable[[Tx], T]) -> T:
        """Run *work* in the one writer and return its value after the commit is on disk.

        Raises what *work* raises (its own writes are undone, its neighbours' are kept) or StoreError. A caller that is
        cancelled leaves *work* running: it is committed whole or not at all.
        """

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run *work* on committed state; its writes fail."""

    async def aclose(self) -> None: ...
