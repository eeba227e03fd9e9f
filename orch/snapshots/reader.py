"""Reads the facts around tasks, for every view of them.

Owns: which small queries a task's view costs. Rule: one transaction, nothing kept beyond it; what several tasks share
(their repo, the landing queue, names, the running agents) is read once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import final

from orch.core.accounting import add_cost
from orch.core.accounts import account_of
from orch.core.budget import Purse, day_purse, task_purse, utc_day
from orch.core.ids import IssueId, ProjectName, TaskRow
from orch.core.model import Account, Awaiting, CheckRow, Deploy, Freeze, Limits, Project, Repo, RunKind, Task, WatchSign
from orch.core.render.quote import clean, cut
from orch.core.room import Shortage
from orch.core.serial_gate import Standing, holders
from orch.core.stages import TABLE, Stage, is_terminal
from orch.core.task_facts import TaskFacts
from orch.ports import Tx

Block = dict[str, object]
"""A JSON-ready object."""

RUNS_MAX = 500


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What a view needs and the store does not hold: the projects as configured, what there is too little of, the last polls."""

    projects: Mapping[ProjectName, Project] = field(default_factory=dict)
    shortages: tuple[Shortage, ...] = ()
    polls: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


class Reader:
    """One transaction's facts around tasks; what several tasks share is read once."""

    def __init__(self, tx: Tx, limits: Limits | None = None, present: Present | None = None, now: datetime | None = None) -> None:
        self._tx = tx
        self._now = now
        self._day: Purse | None = None
        self._present = present or Present()
        self._pauses: dict[str, Account] | None = None
        self._limits = limits
        self._repos: dict[ProjectName, Repo] = {}
        self._places: dict[ProjectName, Mapping[TaskRow, int]] = {}
        self._names: dict[tuple[ProjectName, IssueId], str] = {}
        self._standings: dict[ProjectName, dict[TaskRow, Standing]] = {}
        self._busy: int | None = None
        self._deploying: dict[ProjectName, Deploy | None] = {}
        self._helds: dict[ProjectName, dict[TaskRow, str]] = {}
        self._checks: dict[ProjectName, list[CheckRow]] = {}

    def repo(self, project: ProjectName) -> Repo:
        if project not in self._repos:
            self._repos[project] = self._tx.load_repo(project)
        return self._repos[project]

    def facts(self, task: Task, *, history: bool = False) -> TaskFacts:
        """Load what the view of *task* needs; a finished task needs only its runs."""
        live = not is_terminal(task.stage)
        on = self._tx.dependencies(task.project, task.issue) if live or history else []
        deploying = self.deploying(task.project) if task.stage is Stage.DEPLOY else None
        runs = self._tx.list_runs(task=task.row, limit=RUNS_MAX)
        return TaskFacts(
            task=task,
            runs=runs,
            purse=task_purse(task, self._limits, add_cost(runs)) if self._limits is not None else None,
            day=self.day() if live else None,
            job=self._tx.active_job(task.row) if live else None,
            dependencies=[self.name(task.project, issue) for issue in on],
            open_dependencies=self._open(task) if live and on else (),
            board_dependencies=self._related(task) if live and on else (),
            held_by=self.held_by(task) if live else "",
            history=self._tx.list_transitions(task.row),
            repo=self.repo(task.project) if live else None,
            landing_position=self._place(task) if task.awaiting is Awaiting.LANDING else None,
            slots_busy=self.busy() if live else 0,
            account=self.account(task) if live else None,
            shortages=self._present.shortages,
            landing_held=self._held(task) if task.awaiting is Awaiting.LANDING else "",
            landing_with=self._tested_with(task) if task.awaiting is Awaiting.LANDING else (),
            deploying=deploying,
            deploying_name=self._name_of(deploying.task) if deploying is not None else "",
            deploys=self._tx.list_deploys(task=task.row) if history else (),
            watch=self._tx.watch_of(task.row) if task.watch is not WatchSign.NONE or (history and not live) else None,
            slots=self._limits.max_concurrency if self._limits is not None else None,
        )

    def day(self) -> Purse | None:
        """Return the budget of the present UTC day, None where the present is not known."""
        if self._day is None and self._limits is not None and self._now is not None:
            on = utc_day(self._now)
            self._day = day_purse(self._tx.load_day_budget(on), self._limits, self._tx.spent_on(on))
        return self._day

    def deploying(self, project: ProjectName) -> Deploy | None:
        """Return the project's running deploy."""
        if project not in self._deploying:
            self._deploying[project] = next(iter(self._tx.running_deploys(project)), None)
        return self._deploying[project]

    def _name_of(self, row: TaskRow) -> str:
        task = self._tx.load_task(row)
        return task.work_item if task is not None else ""

    def _open(self, task: Task) -> list[str]:
        """Return the names of what *task* is held by: nothing where dependencies are only shown."""
        if self._limits is not None and not self._limits.task_deps_enabled:
            return []
        return [self.name(task.project, issue) for issue in self._tx.open_dependencies(task.project, task.issue)]

    def _related(self, task: Task) -> list[str]:
        """Return the names of those that the board alone says *task* waits for."""
        return [self.name(task.project, issue) for issue in self._tx.relations(task.project, task.issue)]

    def held_by(self, task: Task) -> str:
        """Return the work item id of the first earlier task that holds *task* at the serial gate, empty where none does."""
        if self._limits is None or task.project not in self._limits.serial_gate or task.stage is not Stage.ANALYSIS:
            return ""
        if task.project not in self._standings:
            found = self._tx.load_standings(task.project, self._limits)
            self._standings[task.project] = {standing.row: standing for standing in found}
        # One that is not among them stands behind the first that waits at the gate, and nobody inside waits for it.
        behind = {task.row: Standing(row=task.row, entered=False)}
        held = holders(task.row, (behind | self._standings[task.project]).values())
        first = self._tx.load_task(held[0]) if held else None
        return first.work_item if first is not None else ""

    def accounts(self) -> dict[str, Account]:
        """Return the accounts that are paused, by name."""
        if self._pauses is None:
            self._pauses = {account.name: account for account in self._tx.paused_accounts()}
        return self._pauses

    def account(self, task: Task) -> Account | None:
        """Return the account that the next agent of *task* runs under, where it is paused."""
        role, project = TABLE[task.stage].role, self._present.projects.get(task.project)
        if role is None or project is None or not self.accounts():
            return None
        return self.accounts().get(account_of(project, role))

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

    def _held(self, task: Task) -> str:
        """Return why the train goes without *task*, empty where it does not."""
        if task.project not in self._helds:
            self._helds[task.project] = dict(self._tx.load_train(task.project).held)
        return self._helds[task.project].get(task.row, "")

    def _tested_with(self, task: Task) -> list[str]:
        """Return the members of the shortest candidate under test that *task* is in, in their order."""
        if task.project not in self._checks:
            self._checks[task.project] = self._tx.list_checks(task.project, running=True)
        within = [row for row in self._checks[task.project] if any(member.task == task.row for member in row.members)]
        shortest = min(within, key=lambda row: len(row.members), default=None)
        return [] if shortest is None else [self._name_of(member.task) for member in shortest.members]

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
