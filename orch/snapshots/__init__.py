"""Snapshots: reads what people are shown out of the store, in one read transaction.

Owns: the loads behind the live page, ``/tasks``, ``/queue``, ``orch status`` and ``orch why``. It derives nothing itself
(``orch.core.views`` does). Rule: plain functions of a ``Tx``; names are taken as work item id or issue key, in any case.
"""

from orch.snapshots.figures import LineFigures, RepoFigures, load_figures
from orch.snapshots.queue import load_queue
from orch.snapshots.reader import Present, Reader
from orch.snapshots.spend import load_spend, load_sums
from orch.snapshots.tasks import load_snapshot, load_task, load_task_view, load_why

__all__ = [
    "LineFigures",
    "Present",
    "Reader",
    "RepoFigures",
    "load_figures",
    "load_queue",
    "load_snapshot",
    "load_spend",
    "load_sums",
    "load_task",
    "load_task_view",
    "load_why",
]
