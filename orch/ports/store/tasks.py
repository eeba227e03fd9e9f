"""The store's tables of tasks, their history and their verdicts."""

from collections.abc import Collection
from typing import Protocol

from orch.core.ids import IssueId, ProjectName, TaskRow
from orch.core.model import Awaiting, NewTask, ParkReason, Task, Transition, Verdict
from orch.core.stages import Stage


class TaskTables(Protocol):
    """Tasks, their history and verdicts. Plain calls inside one transaction."""

    def insert_task(self, new: NewTask) -> Task | None:
        """Make a task, or return None when the issue has a live (not terminal) one.

        The work item id takes ``sequence`` or, when an uncancelled task of the project has that id, the next free number.
        The branch takes the slug, and a number behind it while an uncancelled task has that name.
        """

    def load_task(self, row: TaskRow) -> Task | None: ...

    def live_task(self, project: ProjectName, issue: IssueId) -> Task | None:
        """Return the issue's task that is not terminal."""

    def newest_task(self, project: ProjectName, issue: IssueId) -> Task | None: ...

    def find_task(self, name: str) -> Task | None:
        """Return the newest task whose work item id or issue id is *name* (case does not matter)."""

    def save_task(self, task: Task) -> None:
        """Write every field of the task's row."""

    def list_tasks(
        self,
        *,
        project: ProjectName | None = None,
        live: bool | None = None,
        awaiting: Collection[Awaiting] | None = None,
        parked: ParkReason | None = None,
        limit: int = 1000,
        newest_first: bool = False,
    ) -> list[Task]:
        """Return tasks in row order; *live* True for those not terminal, False for the others, None for all.

        *awaiting* keeps those that wait for one of these, *parked* those that are parked for that reason.
        """

    def unswept(self) -> list[Task]:
        """Return the terminal tasks that have not been cleaned up after yet."""

    def end_sweep(self, row: TaskRow) -> None:
        """Mark a terminal task as cleaned up. A cancelled one's issue id, work item id and branch get the suffix
        ``#cancelled-<n>`` (what stands before it is the original), so that nothing late can name what is a new task's.
        """

    def next_train_seq(self, project: ProjectName) -> int: ...

    def landing_queue(self, project: ProjectName) -> list[Task]:
        """Return the un-parked tasks with a place in the landing queue: exempt ones first, then by ``train_seq``."""

    def add_transition(self, transition: Transition) -> None: ...

    def list_transitions(self, row: TaskRow) -> list[Transition]: ...

    def save_verdict(self, verdict: Verdict) -> None: ...

    def latest_verdict(self, row: TaskRow, stage: Stage) -> Verdict | None: ...
