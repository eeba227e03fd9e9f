"""What the store says, read between two events as plainly as can be: the oracle's other witness.

Owns: one read of the few columns that guarantees are about. Rule: plain SQL, none of the product's own judgement.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, final

from orch.core.model import Intent
from tests.scenario.sim.world import SimGround

TASKS = """SELECT row, project, issue_base, work_item, branch_base, stage, awaiting, attempt, park_reason, cancel_requested_at,
  landed, head, train_seq, exempt, deployed, counters FROM task"""


@final
class TaskLook(NamedTuple):
    """A task's row, as far as guarantees are about it."""

    row: int
    project: str
    issue: str
    work_item: str
    branch: str
    stage: str
    awaiting: str
    attempt: int
    park: str | None
    stop_asked: int | None
    landed: str | None
    head: str | None
    train_seq: int | None
    exempt: int
    deployed: int
    counters: str

    @property
    def over(self) -> bool:
        return self.stage in ("done", "cancelled")


@final
class Step(NamedTuple):
    """A line of a task's history."""

    number: int
    task: int
    source: str | None
    target: str
    cause: str
    detail: str


@final
@dataclass(frozen=True, slots=True)
class Look:
    """The store at one moment: everything by its row."""

    tasks: Mapping[int, TaskLook]
    jobs: Mapping[int, str]
    """By task: the state of its active job."""
    runs: Mapping[int, int]
    """Agents' runs that go on, each with its task."""
    frozen: frozenset[str]
    intents: Mapping[int, Intent]
    steps: tuple[Step, ...]
    """What was added to histories since the look before."""
    checks: Mapping[int, str | None]
    deploys: Mapping[tuple[int, int], int]
    """By deploy and try: its task."""

    def of_issue(self, issue: str) -> list[TaskLook]:
        return [task for task in self.tasks.values() if task.issue == issue]

    def of_branch(self, project: str, branch: str) -> list[TaskLook]:
        return [task for task in self.tasks.values() if task.branch == branch and task.project == project]


NOTHING = Look({}, {}, {}, frozenset(), {}, (), {}, {})


def connection_of(ground: SimGround) -> sqlite3.Connection:
    return ground.store._inner._open()


def look(ground: SimGround, last_step: int) -> Look:
    """Read the store as it is committed now."""
    sql = connection_of(ground)
    steps = sql.execute("SELECT id, task, source, target, cause, detail FROM transition WHERE id > ? ORDER BY id", (last_step,))
    return Look(
        tasks={line[0]: TaskLook(*line) for line in sql.execute(TASKS)},
        jobs=dict(sql.execute("SELECT task, state FROM job WHERE state IN ('queued', 'running')").fetchall()),
        runs=dict(sql.execute("SELECT id, task FROM run WHERE outcome IS NULL AND kind = 'agent'").fetchall()),
        frozen=frozenset(name for (name,) in sql.execute("SELECT project FROM freeze")),
        intents={int(intent.id): intent for intent in ground.store._inner._tx.open_intents()},
        steps=tuple(Step(*line) for line in steps),
        checks=dict(sql.execute("SELECT id, verdict FROM train_check").fetchall()),
        deploys={(number, tries): task for number, tries, task in sql.execute("SELECT id, tries, task FROM deploy")},
    )


def has_open_dependency(ground: SimGround, task: TaskLook) -> bool:
    sql = connection_of(ground)
    found = sql.execute("SELECT 1 FROM open_dependency WHERE project = ? AND issue = ?", (task.project, task.issue))
    return found.fetchone() is not None
