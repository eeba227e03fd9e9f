"""Tasks, their history and verdicts.

Owns: ``task``, ``transition``, ``verdict``. Rule: names are given here, in the transaction that makes the task, and unique
indexes hold them; a task is never saved over a later attempt.
"""

from collections.abc import Collection
from datetime import datetime

from orch.adapters.store.tables import Tables, base_name
from orch.adapters.store.values import (
    Row,
    SqlValue,
    dump_counters,
    dump_findings,
    from_us,
    from_us_or_none,
    load_counters,
    load_findings,
    to_us,
    to_us_or_none,
)
from orch.core.errors import DomainError, LeaseLost
from orch.core.ids import (
    Attempt,
    Branch,
    IssueId,
    ProjectName,
    RunId,
    Sha,
    TaskRow,
    WorkItemId,
    make_branch,
    make_work_item_id,
)
from orch.core.model import (
    Awaiting,
    CiState,
    Counters,
    NewTask,
    Outcome,
    Park,
    ParkReason,
    Task,
    Transition,
    Verdict,
    VerdictValue,
    WatchSign,
)
from orch.core.stages import Stage, is_terminal

LIVE = "stage NOT IN ('done', 'cancelled')"


class TaskRows(Tables):
    def insert_task(self, new: NewTask) -> Task | None:
        if self.live_task(new.project, new.issue) is not None:
            return None
        work_item = self._free_work_item(new)
        branch, take = self._free_branch(new, work_item)
        task = Task(
            row=TaskRow(0),
            project=new.project,
            issue=new.issue,
            work_item=work_item,
            title=new.title,
            description=new.description,
            url=new.url,
            branch=branch,
            branch_take=take,
            counters=Counters(),
            exempt=new.exempt,
            created_at=new.at,
            updated_at=new.at,
        )
        row = TaskRow(self._insert("task", _columns(task)))
        self._run(
            """
            UPDATE outbox SET state = 'void' WHERE state = 'pending' AND target = 'board'
            AND task IN (SELECT row FROM task WHERE project = ? AND issue_base = ? AND row < ?)
            """,
            (new.project, base_name(new.issue), row),
        )
        self._refresh_blocked(new.project, new.issue)
        return self.load_task(row)

    def _free_work_item(self, new: NewTask) -> WorkItemId:
        """Take the board's number or the next one that neither an uncancelled task nor another local issue has."""
        number = new.sequence
        while True:
            work_item = make_work_item_id(new.prefix, number)
            taken = self._row(
                "SELECT 1 FROM task WHERE project = ? AND work_item = ? AND stage <> 'cancelled'", (new.project, work_item)
            )
            promised = number != new.sequence and self._row(
                "SELECT 1 FROM local_issue WHERE project = ? AND sequence = ?", (new.project, number)
            )
            if not taken and not promised:
                return work_item
            number += 1

    def _free_branch(self, new: NewTask, work_item: WorkItemId) -> tuple[Branch, int]:
        """Take a branch name that no task of the project ever had, numbered behind those of the issue's cancelled tasks."""
        row = self._row(
            "SELECT count(*) AS cancelled FROM task WHERE project = ? AND issue_base = ? AND stage = 'cancelled'",
            (new.project, base_name(new.issue)),
        )
        take = 1 + (row["cancelled"] if row else 0)
        while True:
            branch = make_branch(work_item, new.slug, take)
            if self._row("SELECT 1 FROM task WHERE project = ? AND branch_base = ?", (new.project, branch)) is None:
                return branch, take
            take += 1

    def load_task(self, row: TaskRow) -> Task | None:
        return _task_or_none(self._row("SELECT * FROM task WHERE row = ?", (row,)))

    def live_task(self, project: ProjectName, issue: IssueId) -> Task | None:
        sql = f"SELECT * FROM task WHERE project = ? AND issue = ? AND {LIVE}"
        return _task_or_none(self._row(sql, (project, issue)))

    def newest_task(self, project: ProjectName, issue: IssueId) -> Task | None:
        sql = "SELECT * FROM task WHERE project = ? AND issue_base = ? ORDER BY row DESC LIMIT 1"
        return _task_or_none(self._row(sql, (project, base_name(issue))))

    def find_task(self, name: str) -> Task | None:
        sql = """
            SELECT * FROM task WHERE row = (
                SELECT max(row) FROM (
                    SELECT row FROM task WHERE work_item = :name COLLATE NOCASE
                    UNION ALL
                    SELECT row FROM task
                    WHERE work_item >= :name || '#cancelled-' COLLATE NOCASE AND work_item < :name || '#cancelled.' COLLATE NOCASE
                    UNION ALL
                    SELECT row FROM task
                    WHERE issue_base = :base COLLATE NOCASE AND (issue = :name COLLATE NOCASE OR :name = :base)
                )
            )
        """
        return _task_or_none(self._row(sql, {"name": name.strip(), "base": base_name(name.strip())}))

    def save_task(self, task: Task) -> None:
        """Write every field; raise LeaseLost when *task* was read before a later launch or STOP of it."""
        stored = self._row("SELECT stage, attempt FROM task WHERE row = ?", (task.row,))
        if stored is None:
            raise DomainError(f"there is no task in row {task.row}")
        if task.attempt < stored["attempt"]:
            raise LeaseLost(
                f"{task.work_item} is at attempt {stored['attempt']}; a write of attempt {task.attempt} came too late"
            )
        values = _columns(task)
        self._run(
            f"UPDATE task SET {', '.join(f'{name} = :{name}' for name in values)} WHERE row = :row", {**values, "row": task.row}
        )
        if task.attempt > stored["attempt"]:
            self._close_fenced_runs(task.row, task.attempt, task.updated_at)
        if stored["stage"] == Stage.ANALYSIS and task.stage is not Stage.ANALYSIS:
            self._run("UPDATE task SET entered = 1 WHERE row = ?", (task.row,))
            self._run("UPDATE job SET entry = 0 WHERE task = ? AND state IN ('queued', 'running') AND entry = 1", (task.row,))
        if is_terminal(task.stage) != is_terminal(Stage(stored["stage"])):
            self._refresh_blocked(task.project, task.issue)

    def _close_fenced_runs(self, row: TaskRow, attempt: Attempt, at: datetime) -> None:
        """End the task's runs that an attempt has overtaken: nothing can write them any more, and none may count as running."""
        self._run(
            "UPDATE run SET outcome = ?, detail = 'overtaken by a later attempt', ended_at = ?"
            " WHERE task = ? AND outcome IS NULL AND attempt < ?",
            (Outcome.CANCELLED, to_us(at), row, attempt),
        )

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
        terms = ["1"]
        if project is not None:
            terms.append("project = :project")
        if live is not None:
            terms.append(LIVE if live else f"NOT {LIVE}")
        if awaiting is not None:
            terms.append(f"awaiting IN ({', '.join(repr(str(each)) for each in awaiting) or 'NULL'})")
        if parked is not None:
            terms.append("park_reason = :parked")
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT * FROM task WHERE {' AND '.join(terms)} ORDER BY row {order} LIMIT :limit"
        return [task_of(row) for row in self._rows(sql, {"project": project, "parked": parked, "limit": limit})]

    def unswept(self) -> list[Task]:
        sql = "SELECT * FROM task WHERE stage IN ('done', 'cancelled') AND swept = 0 ORDER BY row"
        return [task_of(row) for row in self._rows(sql, ())]

    def end_sweep(self, row: TaskRow) -> None:
        task = self.load_task(row)
        if task is None or task.swept or not is_terminal(task.stage):
            return
        if task.stage is Stage.CANCELLED:
            earlier = self._row(
                "SELECT count(*) AS n FROM task WHERE project = ? AND issue_base = ? AND stage = 'cancelled' AND row <= ?",
                (task.project, base_name(task.issue), row),
            )
            mark = f"#cancelled-{earlier['n'] if earlier else 1}"
            sql = "UPDATE task SET issue = issue || ?, work_item = work_item || ?, branch = branch || ? WHERE row = ?"
            self._run(sql, (mark, mark, mark, row))
        self._run("UPDATE task SET swept = 1 WHERE row = ?", (row,))

    def next_train_seq(self, project: ProjectName) -> int:
        sql = "SELECT max(train_seq) AS last FROM task WHERE project = ? AND train_seq IS NOT NULL"
        row = self._row(sql, (project,))
        return 1 + ((row["last"] if row else None) or 0)

    def landing_queue(self, project: ProjectName) -> list[Task]:
        sql = f"""
            SELECT * FROM task WHERE project = ? AND train_seq IS NOT NULL AND park_reason IS NULL AND {LIVE}
            ORDER BY exempt DESC, train_seq
        """
        return [task_of(row) for row in self._rows(sql, (project,))]

    def undeployed(self, project: ProjectName) -> list[Task]:
        sql = """
            SELECT * FROM task
            WHERE project = ? AND landed IS NOT NULL AND deployed = 0 AND stage IN ('deploy', 'cancelled') ORDER BY row
        """
        return [task_of(row) for row in self._rows(sql, (project,))]

    def add_transition(self, transition: Transition) -> None:
        self._insert(
            "transition",
            {
                "task": transition.task,
                "at": to_us(transition.at),
                "source": transition.source,
                "target": transition.target,
                "cause": transition.cause,
                "by": transition.by,
                "detail": transition.detail,
            },
        )

    def list_transitions(self, row: TaskRow) -> list[Transition]:
        return [
            Transition(
                task=TaskRow(found["task"]),
                at=from_us(found["at"]),
                source=None if found["source"] is None else Stage(found["source"]),
                target=Stage(found["target"]),
                cause=found["cause"],
                detail=found["detail"],
                by=found["by"],
            )
            for found in self._rows("SELECT * FROM transition WHERE task = ? ORDER BY id", (row,))
        ]

    def save_verdict(self, verdict: Verdict) -> None:
        """Add a verdict; raise LeaseLost when a later attempt of the task has begun."""
        stored = self._row("SELECT attempt FROM task WHERE row = ?", (verdict.task,))
        if stored is not None and verdict.attempt < stored["attempt"]:
            raise LeaseLost(f"a verdict of attempt {verdict.attempt} came after attempt {stored['attempt']} had begun")
        self._insert(
            "verdict",
            {
                "task": verdict.task,
                "stage": verdict.stage,
                "run": verdict.run,
                "attempt": verdict.attempt,
                "value": verdict.value,
                "code_head": verdict.code_head,
                "blob": verdict.blob,
                "at": to_us(verdict.at),
                "findings": dump_findings(verdict.findings),
            },
        )

    def latest_verdict(self, row: TaskRow, stage: Stage) -> Verdict | None:
        found = self._row("SELECT * FROM verdict WHERE task = ? AND stage = ? ORDER BY id DESC LIMIT 1", (row, stage))
        if found is None:
            return None
        return Verdict(
            task=row,
            stage=stage,
            run=None if found["run"] is None else RunId(found["run"]),
            attempt=Attempt(found["attempt"]),
            value=VerdictValue(found["value"]),
            findings=load_findings(found["findings"]),
            code_head=_sha(found["code_head"]),
            blob=found["blob"],
            at=from_us(found["at"]),
        )


def _columns(task: Task) -> dict[str, SqlValue]:
    return {
        "project": task.project,
        "issue": task.issue,
        "work_item": task.work_item,
        "branch": task.branch,
        "branch_take": task.branch_take,
        "stage": task.stage,
        "awaiting": task.awaiting,
        "attempt": task.attempt,
        "base": task.base,
        "head": task.head,
        "code_head": task.code_head,
        "shown": task.shown,
        "ci": task.ci,
        "pr_number": task.pr_number,
        "train_seq": task.train_seq,
        "landed": task.landed,
        "landed_seq": task.landed_seq,
        "deployed": task.deployed,
        "watch": task.watch,
        "swept": task.swept,
        "exempt": task.exempt,
        "merge_main": task.merge_main,
        "newest_title": task.newest_title,
        "newest_description": task.newest_description,
        "budget_usd": task.budget_usd,
        "budget_lifted": task.budget_lifted,
        "park_reason": None if task.park is None else task.park.reason,
        "park_since": None if task.park is None else to_us(task.park.since),
        "cancel_requested_at": to_us_or_none(task.cancel_requested_at),
        "created_at": to_us(task.created_at),
        "updated_at": to_us(task.updated_at),
        "finished_at": to_us_or_none(task.finished_at),
        "counters": dump_counters(task.counters),
        "title": task.title,
        "url": task.url,
        "note": task.note,
        "park_evidence": "" if task.park is None else task.park.evidence,
        "description": task.description,
    }


def task_of(row: Row) -> Task:
    park = None
    if row["park_reason"] is not None:
        park = Park(reason=ParkReason(row["park_reason"]), since=from_us(row["park_since"]), evidence=row["park_evidence"])
    return Task(
        row=TaskRow(row["row"]),
        project=ProjectName(row["project"]),
        issue=IssueId(row["issue"]),
        work_item=WorkItemId(row["work_item"]),
        title=row["title"],
        description=row["description"],
        url=row["url"],
        branch=Branch(row["branch"]),
        stage=Stage(row["stage"]),
        awaiting=Awaiting(row["awaiting"]),
        park=park,
        attempt=Attempt(row["attempt"]),
        base=_sha(row["base"]),
        head=_sha(row["head"]),
        code_head=_sha(row["code_head"]),
        shown=_sha(row["shown"]),
        ci=None if row["ci"] is None else CiState(row["ci"]),
        pr_number=row["pr_number"],
        train_seq=row["train_seq"],
        landed=_sha(row["landed"]),
        landed_seq=row["landed_seq"],
        deployed=bool(row["deployed"]),
        watch=WatchSign(row["watch"]),
        swept=bool(row["swept"]),
        exempt=bool(row["exempt"]),
        merge_main=bool(row["merge_main"]),
        newest_title=row["newest_title"],
        newest_description=row["newest_description"],
        branch_take=row["branch_take"],
        budget_usd=row["budget_usd"],
        budget_lifted=bool(row["budget_lifted"]),
        counters=load_counters(row["counters"]),
        note=row["note"],
        cancel_requested_at=from_us_or_none(row["cancel_requested_at"]),
        created_at=from_us(row["created_at"]),
        updated_at=from_us(row["updated_at"]),
        finished_at=from_us_or_none(row["finished_at"]),
    )


def _task_or_none(row: Row | None) -> Task | None:
    return None if row is None else task_of(row)


def _sha(text: str | None) -> Sha | None:
    return None if text is None else Sha(text)
