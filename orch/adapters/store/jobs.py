"""Jobs and runs: the queue, the claim, and the fence of every run.

Owns: ``job``, ``run``. Rule: a terminal job stays terminal, an ended run stays ended, and a run is written only while its
attempt is its task's current one.
"""

import json
from collections.abc import Collection
from datetime import datetime
from functools import cache

from orch.adapters.store.budgets import BudgetRows
from orch.adapters.store.gate import GateRows
from orch.adapters.store.tables import query
from orch.adapters.store.tasks import TaskRows
from orch.adapters.store.values import (
    Row,
    SqlValue,
    dump_feedback,
    from_us,
    from_us_or_none,
    load_feedback,
    money,
    to_us,
    to_us_or_none,
)
from orch.core.budget import Purse, day_purse, next_day, utc_day
from orch.core.errors import DomainError, LeaseLost
from orch.core.ids import Attempt, JobId, ProjectName, RunId, Sha, TaskRow
from orch.core.model import (
    Job,
    JobState,
    Limits,
    NewJob,
    Outcome,
    Run,
    RunKind,
    RunMode,
    Task,
    Usage,
)
from orch.core.stages import Role, Stage
from orch.ports import Claimed, NothingToClaim

ACTIVE = "state IN ('queued', 'running')"


@cache
def claim_rule(*, deps: bool, held: bool = False, shut: bool = False, budget: bool = False, spent: bool = False) -> str:
    """Return the claim's query without the lines whose marks do not hold now."""
    holding = {"deps" if deps else "no deps", "shut" if shut else "open"}
    holding |= {mark for mark, holds in (("held", held), ("budget", budget), ("spent", spent)) if holds}
    lines = []
    for line in query("claim_job").splitlines():
        code, _, marks = line.partition(" -- ")
        if not marks or set(marks.split(", ")) <= holding:
            lines.append(code)
    return "\n".join(lines)


CLAIM = {deps: claim_rule(deps=deps) for deps in (True, False)}


class JobRows(BudgetRows, GateRows, TaskRows):
    def add_job(self, new: NewJob) -> Job | None:
        row = self._row(
            """
            INSERT INTO job (
                task, project, stage, role, mode, priority, state, not_before, created_at, updated_at, feedback, blocked, entry
            ) VALUES (:task, :project, :stage, :role, :mode, :priority, 'queued', :not_before, :at, :at, :feedback, EXISTS (
                SELECT 1 FROM task
                CROSS JOIN open_dependency AS open ON open.project = task.project AND open.issue = task.issue_base
                WHERE task.row = :task
            ), (SELECT entered = 0 FROM task WHERE task.row = :task))
            ON CONFLICT DO NOTHING RETURNING *
            """,
            {
                "task": new.task,
                "project": new.project,
                "stage": new.stage,
                "role": new.role,
                "mode": new.mode,
                "priority": new.priority,
                "not_before": to_us_or_none(new.not_before),
                "at": to_us(new.at),
                "feedback": dump_feedback(new.feedback),
            },
        )
        return None if row is None else _job(row)

    def load_job(self, job: JobId) -> Job | None:
        return _job_or_none(self._row("SELECT * FROM job WHERE id = ?", (job,)))

    def active_job(self, row: TaskRow) -> Job | None:
        return _job_or_none(self._row(f"SELECT * FROM job WHERE task = ? AND {ACTIVE}", (row,)))

    def list_jobs(self, *, state: JobState | None = None, task: TaskRow | None = None, limit: int = 1000) -> list[Job]:
        terms = ["1"]
        if state is not None:
            terms.append("state = :state")
        if task is not None:
            terms.append("task = :task")
        sql = f"SELECT * FROM job WHERE {' AND '.join(terms)} ORDER BY id LIMIT :limit"
        return [_job(row) for row in self._rows(sql, {"state": state, "task": task, "limit": limit})]

    def claim_job(
        self, now: datetime, limits: Limits, closed: Collection[tuple[ProjectName, Role]] = ()
    ) -> Claimed | NothingToClaim:
        at = to_us(now)
        values: dict[str, SqlValue] = {"now": at, "per_repo": limits.max_concurrency_per_repo}
        if closed:
            values["held"] = json.dumps([f"{project} {role}" for project, role in sorted(closed)])
        spent = limits.budget_day_usd is not None and self._day(limits, now).is_spent
        if limits.budget_task_usd is not None:
            values["budget"] = limits.budget_task_usd
        doors = self._doors(limits)
        if doors.shut:
            values |= {"shut": json.dumps(doors.shut), "admitted": json.dumps(doors.admitted)}
        budget = limits.budget_task_usd is not None
        rule = claim_rule(deps=limits.task_deps_enabled, held=bool(closed), shut=bool(doors.shut), budget=budget, spent=spent)
        found = self._row(rule, values)
        if found is None and spent:
            return NothingToClaim(due_at=next_day(now))
        if found is None:
            row = self._row(
                "SELECT min(not_before) AS due FROM job WHERE state = 'queued' AND not_before IS NOT NULL AND not_before > ?",
                (at,),
            )
            return NothingToClaim(due_at=from_us_or_none(row["due"] if row else None))
        sql = "UPDATE job SET state = 'running', entry = 0, updated_at = ? WHERE id = ? RETURNING *"
        job = _job(self._must(sql, (at, found["id"])))
        self._run("UPDATE task SET attempt = attempt + 1, entered = 1, updated_at = ? WHERE row = ?", (at, job.task))
        task = self.load_task(job.task)
        if task is None:
            raise DomainError(f"job {job.id} names a task that does not exist")
        self._close_fenced_runs(task.row, task.attempt, now)
        run = self._insert_run(task, kind=RunKind.AGENT, job=job, role=job.role, at=now)
        return Claimed(job=job, run=run, task=task)

    def _day(self, limits: Limits, now: datetime) -> Purse:
        """Return the present UTC day's purse."""
        day = utc_day(now)
        return day_purse(self.load_day_budget(day), limits, self.spent_on(day))

    def end_job(self, job: JobId, state: JobState) -> None:
        """Make an active job terminal; one that is terminal already stays as it is."""
        if state in (JobState.QUEUED, JobState.RUNNING):
            raise DomainError(f"a job cannot end as {state}")
        sql = f"UPDATE job SET state = ?, updated_at = ? WHERE id = ? AND {ACTIVE}"
        self._run(sql, (state, self._now_us(), job))

    def requeue_job(self, job: JobId, *, mode: RunMode, not_before: datetime | None, at: datetime) -> None:
        """Put a running job back; one that was cancelled meanwhile stays cancelled."""
        self._run(
            "UPDATE job SET state = 'queued', mode = ?, not_before = ?, updated_at = ? WHERE id = ? AND state = 'running'",
            (mode, to_us_or_none(not_before), to_us(at), job),
        )

    def expedite_job(self, row: TaskRow, priority: int) -> None:
        self._run("UPDATE job SET priority = ? WHERE task = ? AND state = 'queued' AND priority < ?", (priority, row, priority))

    def cancel_jobs(self, row: TaskRow, at: datetime) -> int:
        sql = f"UPDATE job SET state = 'cancelled', updated_at = ? WHERE task = ? AND {ACTIVE}"
        return self._run(sql, (to_us(at), row)).rowcount

    def start_run(self, task: Task, *, kind: RunKind, job: JobId | None, role: Role | None, at: datetime) -> Run:
        """Insert a run under *task*'s attempt; raise LeaseLost when a later one has begun."""
        stored = self._row("SELECT attempt FROM task WHERE row = ?", (task.row,))
        if stored is None or stored["attempt"] != task.attempt:
            raise LeaseLost(f"{task.work_item} is no longer at attempt {task.attempt}; nothing was started")
        held = None if job is None else self.load_job(job)
        return self._insert_run(task, kind=kind, job=held, role=role, at=at)

    def _insert_run(self, task: Task, *, kind: RunKind, job: Job | None, role: Role | None, at: datetime) -> Run:
        run = Run(
            id=RunId(0),
            job=None if job is None else job.id,
            task=task.row,
            project=task.project,
            kind=kind,
            stage=task.stage if job is None else job.stage,
            role=role,
            attempt=task.attempt,
            started_at=at,
        )
        columns = ("job", "task", "project", "kind", "stage", "role", "attempt", "started_at")
        fixed: dict[str, SqlValue] = dict(
            zip(columns, (run.job, run.task, run.project, kind, run.stage, role, run.attempt, to_us(at)), strict=True)
        )
        row = self._insert("run", {**fixed, **_run_columns(run)})
        return _run(self._must("SELECT * FROM run WHERE id = ?", (row,)))

    def load_run(self, run: RunId) -> Run | None:
        row = self._row("SELECT * FROM run WHERE id = ?", (run,))
        return None if row is None else _run(row)

    def save_run(self, run: Run) -> bool:
        values = _run_columns(run)
        sql = f"""
            UPDATE run SET {", ".join(f"{name} = :{name}" for name in values)}
            WHERE id = :id AND outcome IS NULL AND attempt = :attempt
            AND attempt = (SELECT attempt FROM task WHERE task.row = run.task)
        """
        return self._run(sql, {**values, "id": run.id, "attempt": run.attempt}).rowcount == 1

    def list_runs(self, *, task: TaskRow | None = None, running: bool = False, limit: int = 1000) -> list[Run]:
        terms = ["1"]
        if task is not None:
            terms.append("task = :task")
        if running:
            terms.append("outcome IS NULL")
        sql = f"SELECT * FROM run WHERE {' AND '.join(terms)} ORDER BY id LIMIT :limit"
        return [_run(row) for row in self._rows(sql, {"task": task, "limit": limit})]

    def session_total(self, row: TaskRow, session: str, *, before: RunId | None = None) -> float:
        sql = "SELECT max(session_cost_usd) AS total FROM run WHERE task = ?1 AND session = ?2 AND (?3 IS NULL OR id < ?3)"
        found = self._row(sql, (row, session, before))
        return float((found["total"] if found else None) or 0.0)

    def _must(self, sql: str, values: tuple[SqlValue, ...]) -> Row:
        row = self._row(sql, values)
        if row is None:
            raise DomainError("a row that was just written is not there")
        return row


def _job(row: Row) -> Job:
    return Job(
        id=JobId(row["id"]),
        task=TaskRow(row["task"]),
        project=ProjectName(row["project"]),
        stage=Stage(row["stage"]),
        role=Role(row["role"]),
        mode=RunMode(row["mode"]),
        priority=row["priority"],
        state=JobState(row["state"]),
        not_before=from_us_or_none(row["not_before"]),
        feedback=load_feedback(row["feedback"]),
        created_at=from_us(row["created_at"]),
        updated_at=from_us(row["updated_at"]),
    )


def _job_or_none(row: Row | None) -> Job | None:
    return None if row is None else _job(row)


def _run_columns(run: Run) -> dict[str, SqlValue]:
    """The fields that a run's own writes may change; its identity and its fence are not among them."""
    return {
        "agent": run.agent,
        "model": run.model,
        "session": run.session,
        "session_cost_usd": None if run.session_cost_usd is None else money(run.session_cost_usd),
        "start_head": run.start_head,
        "end_head": run.end_head,
        "archive": run.archive,
        "outcome": run.outcome,
        "tokens_input": run.usage.input,
        "tokens_output": run.usage.output,
        "tokens_cache_read": run.usage.cache_read,
        "tokens_cache_creation": run.usage.cache_creation,
        "cost_usd": money(run.cost_usd),
        "turns": run.turns,
        "exit_code": run.exit_code,
        "log_path": run.log_path,
        "ended_at": to_us_or_none(run.ended_at),
        "detail": run.detail,
    }


def _run(row: Row) -> Run:
    return Run(
        id=RunId(row["id"]),
        job=None if row["job"] is None else JobId(row["job"]),
        task=TaskRow(row["task"]),
        project=ProjectName(row["project"]),
        kind=RunKind(row["kind"]),
        stage=Stage(row["stage"]),
        role=None if row["role"] is None else Role(row["role"]),
        attempt=Attempt(row["attempt"]),
        agent=row["agent"],
        model=row["model"],
        session=row["session"],
        session_cost_usd=row["session_cost_usd"],
        start_head=_sha(row["start_head"]),
        end_head=_sha(row["end_head"]),
        archive=_sha(row["archive"]),
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        detail=row["detail"],
        usage=Usage(
            input=row["tokens_input"],
            output=row["tokens_output"],
            cache_read=row["tokens_cache_read"],
            cache_creation=row["tokens_cache_creation"],
        ),
        cost_usd=row["cost_usd"],
        turns=row["turns"],
        exit_code=row["exit_code"],
        log_path=row["log_path"],
        started_at=from_us(row["started_at"]),
        ended_at=from_us_or_none(row["ended_at"]),
    )


def _sha(text: str | None) -> Sha | None:
    return None if text is None else Sha(text)
