"""Deploys and watches: what is being put into production, and how it does there."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import final

from orch.core.ids import DeployId, ProjectName, RunId, Sha, TaskRow, WorkItemId


class DeployState(StrEnum):
    """``RUNNING`` holds the project's deploy slot: at most one row of a project is in it."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"
    """The deploy command put the earlier state back by itself (exit code 3)."""
    NO_RESULT = "no-result"
    """It gave no result in time, or its process is gone without one: never a guess."""
    WITHDRAWN = "withdrawn"
    """A STOP came between two tries."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """The intent to deploy *sha* for *task*, recorded before anything is started, and what became of it.

    The row is the project's durable deploy slot: *task* holds it, *id* is its epoch. *tries* counts starts of the
    command (exit code 75 asks for another one); *due_at* is when the next begins, *deadline_at* when the whole has to be over.
    """

    id: DeployId
    project: ProjectName
    task: TaskRow
    run: RunId
    sha: Sha
    state: DeployState = DeployState.RUNNING
    tries: int = 0
    due_at: datetime | None = None
    deadline_at: datetime
    started_at: datetime
    ended_at: datetime | None = None
    exit_code: int | None = None
    detail: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployQuestion:
    """What a person is shown before a deploy of *sha*.

    *carries* names every landed, undeployed task that it would take along, *diff* is git's summary since the last deployed SHA.
    *tested_exit* and *tested_s* are those of the test run that made it land, None where there was none. *after* is the
    deploy before it, where that did not succeed.
    """

    work_item: WorkItemId
    sha: Sha
    carries: tuple[str, ...] = ()
    diff: str = ""
    tested_exit: int | None = None
    tested_s: float = 0.0
    after: Deploy | None = None


class WatchState(StrEnum):
    WATCHING = "watching"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    ENDED = "ended"
    """A newer deploy took its place before its time was over."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How a deployed SHA is doing: probed every ``monitor.interval_s`` until *until*; *bad* counts failed probes in a row."""

    deploy: DeployId
    project: ProjectName
    task: TaskRow
    sha: Sha
    state: WatchState = WatchState.WATCHING
    bad: int = 0
    probes: int = 0
    detail: str = ""
    since: datetime
    until: datetime
    next_at: datetime
    ended_at: datetime | None = None
