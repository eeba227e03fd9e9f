"""Reads the facts around tasks, for every view of them.

Owns: which small queries a task's view costs. Rule: one transaction, nothing kept beyond it; what several tasks share
(their repo, the landing queue, names, the running agents) is read once.
"""

from collections.abc import Mapping

from orch.core.ids import IssueId, ProjectName, TaskRow
from orch.core.model import Awaiting, Freeze, Limits, Repo, RunKind, Task
from orch.core.render.quote import clean, cut
from orch.core.stages import is_terminal
from orch.core.views import TaskFacts
from orch.ports import Tx

Block = dict[str, object]
"""A JSON-ready object."""

RUNS_MAX = 500


class Reader:
    """One transaction's facts around tasks; what several tasks share is read once."""

    def __init__(self, tx: Tx, limits: Limits | None = None) -> None:
        self._tx = tx
        self._limits = limits
        self._repos: dict[ProjectName, Repo] = {}
        self._places: dict[ProjectName, Mapping[TaskRow, int]] = {}
        self._names: dict[tuple[ProjectName, IssueId], str] = {}
        self._busy: int | None = None

    def repo(self, project: ProjectName) -> Repo:
        if project not in self._repos:
            self._repos[project] = self._tx.load_repo(project)
        return self._repos[project]

    def facts(self, task: Task, *, history: bool = False) -> TaskFacts:
        """Load what the view of *task* needs; a finished task needs only its runs."""
        live = not is_terminal(task.stage)
        on = self._tx.dependencies(task.project, task.issue) if live or history else []
        return TaskFacts(
            task=task,
            runs=self._tx.list_runs(task=task.row, limit=RUNS_MAX),
            job=self._tx.active_job(task.row) if live else None,
            dependencies=[self.name(task.project, issue) for issue in on],
            open_dependencies=self._open(task) if live and on else (),
            history=self._tx.list_transitions(task.row) if history else (),
            repo=self.repo(task.project) if live else None,
            landing_position=self._place(task) if task.awaiting is Awaiting.LANDING else None,
            slots_busy=self.busy() if live else 0,
            slots=self._limits.max_concurrency if self._limits is not None else None,
        )

    def _open(self, task: Task) -> list[str]:
        """Return the names of what *task* is held by: nothing where dependencies are only shown."""
        if self._limits is not None and not self._limits.task_deps_enabled:
            return []
        return [self.name(task.project, issue) for issue in self._tx.open_dependencies(task.project, task.issue)]

    def name(self, project: ProjectName, issue: IssueId) -> str:
        """Return what people call an issue: its newest task's work item id, else the board's own id."""
        key = (project, issue)
        if key not in self._names:
            task = self._tx.newest_task(project, issue)
            self._names[key] = task.work_item if task is not None else issue
        return self._names[key]

    def queue(self, project: ProjectName) -> list[Task]:
        return self._tx.landing_queue(project)

    def _place(self, task: Task) -> int | None:
        if task.project not in self._places:
            self._places[task.project] = {other.row: n for n, other in enumerate(self.queue(task.project), start=1)}
        return self._places[task.project].get(task.row)

    def busy(self) -> int:
        """Return how many agents are running now."""
        if self._busy is None:
            self._busy = sum(run.kind is RunKind.AGENT for run in self._tx.list_runs(running=True))
        return self._busy


def freeze_view(freeze: Freeze) -> Block:
    return {
        "project": freeze.project,
        "cause": str(freeze.cause),
        "since": freeze.since.isoformat(),
        "by": clean(freeze.by),
        "detail": cut(clean(freeze.detail), 2000),
    }
