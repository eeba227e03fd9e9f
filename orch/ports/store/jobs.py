"""The store's tables of jobs and runs, and the claim rule."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, final

from orch.core.ids import JobId, ProjectName, RunId, TaskRow
from orch.core.model import Job, JobState, Limits, NewJob, Run, RunKind, RunMode, Task
from orch.core.serial_gate import Standing
from orch.core.stages import Role


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A job that a slot now holds: its run exists, the task's attempt has grown."""

    job: Job
    run: Run
    task: Task


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToClaim:
    """*due_at* is when the earliest delayed job becomes claimable, where there is one."""

    due_at: datetime | None


class JobTables(Protocol):
    """Jobs and runs."""

    def add_job(self, new: NewJob) -> Job | None:
        """Queue a job, or return None when the task already has an active (queued or running) one."""

    def load_job(self, job: JobId) -> Job | None: ...

    def active_job(self, row: TaskRow) -> Job | None: ...

    def list_jobs(self, *, state: JobState | None = None, task: TaskRow | None = None, limit: int = 1000) -> list[Job]: ...

    def claim_job(
        self, now: datetime, limits: Limits, closed: Collection[tuple[ProjectName, Role]] = ()
    ) -> Claimed | NothingToClaim:
        """Claim the first admitted job by the claim rule, without network, in this transaction.

        A queued job is admitted when it is due; its task is un-parked, not terminal and not cancel-requested; the project is
        not paused; a task that has not entered (no job of it was ever claimed, and it is in analysis) is exempt, or its project
        is not frozen and, where it is one of ``limits.serial_gate``, no earlier task holds it; every dependency of its issue is
        terminal (while ``limits.task_deps_enabled``): the newest task of that issue is done or cancelled, or, where the
        issue never had a task, the local board shows it in a completed or cancelled group; fewer than
        ``max_concurrency_per_repo`` agent runs of its project are running. Order: priority, then id.
        Jobs of *closed* roles of projects wait (their account is paused).
        Claiming sets the job to running, adds one to the task's attempt and inserts the run (kind ``agent``).
        """

    def end_job(self, job: JobId, state: JobState) -> None: ...

    def requeue_job(self, job: JobId, *, mode: RunMode, not_before: datetime | None, at: datetime) -> None:
        """Put a running job back into the queue, keeping its place."""

    def expedite_job(self, row: TaskRow, priority: int) -> None:
        """Give the task's queued job at least this priority."""

    def load_standings(self, project: ProjectName, limits: Limits) -> list[Standing]:
        """Return the live tasks that decide who may enter *project* now, as the serial gate sees them.

        Of those that have not entered and that nobody inside waits for, only the first is among them that waits for no
        dependency: it holds all behind it.
        """

    def cancel_jobs(self, row: TaskRow, at: datetime) -> int: ...

    def start_run(self, task: Task, *, kind: RunKind, job: JobId | None, role: Role | None, at: datetime) -> Run: ...

    def load_run(self, run: RunId) -> Run | None: ...

    def save_run(self, run: Run) -> bool:
        """Write a run; False, and nothing written, when it has already ended or its attempt is not the task's current one."""

    def list_runs(self, *, task: TaskRow | None = None, running: bool = False, limit: int = 1000) -> list[Run]: ...

    def session_total(self, row: TaskRow, session: str, *, before: RunId | None = None) -> float:
        """Return the greatest ``session_cost_usd`` stored for that session of that task (by runs *before* one), 0.0 for none."""
