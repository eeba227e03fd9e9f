"""The snapshot of everything that waits: ``/queue``, block by block.

Rule: every block is there, each list is bounded, and a feature that is not built says ``enabled: false``.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from orch.core.ids import ProjectName, TaskRow
from orch.core.model import (
    AccountPause,
    Intent,
    IntentKind,
    Job,
    JobState,
    Limits,
    OutboxRow,
    Repo,
    RowState,
    Run,
    RunKind,
    Task,
    WatchState,
)
from orch.core.render.quote import plain
from orch.core.task_facts import TaskFacts, status_of
from orch.core.views import job_view, run_view, watch_view
from orch.core.why import why
from orch.ports import Tx
from orch.snapshots.deploys import deploy_block
from orch.snapshots.merge import TrainReader
from orch.snapshots.reader import Block, Present, Reader, freeze_view
from orch.snapshots.spend import budget_block

ROWS_MAX = 200


def load_queue(
    tx: Tx, now: datetime, limits: Limits, *, projects: Iterable[ProjectName] = (), present: Present | None = None
) -> Block:
    """Return ``/queue``: block by block, what is queued, running and waiting, and why. Each list is bounded.

    The repos of *projects* are shown even while no task of them lives.
    """
    reader = Reader(tx, limits, present, now)
    live = tx.list_tasks(live=True, limit=ROWS_MAX)
    facts = [reader.facts(task) for task in live]
    names = {task.row: str(task.work_item) for task in live}
    repos = [reader.repo(project) for project in sorted({*projects, *(task.project for task in live)})]
    intents = tx.open_intents()
    return {
        "at": now.isoformat(),
        "jobs": _jobs_block(tx, facts, now, names),
        "tasks": _tasks_block(facts, now),
        "serial_gate": _gate_block(repos, facts, limits),
        "task_deps": _deps_block(facts, limits),
        "merge": _trains(tx, reader, now, limits, present or Present(), names).block(repos, intents),
        "deploy": {**_deploys(tx, now, facts, repos, names), "watch": _watches(tx, repos, names)},
        "stop": {**_stop_block(live, intents, names), "survivors": _survivors(tx, names)},
        "reconcile": _reconcile_block(tx, limits, present or Present()),
        "agents": {**_agents_block(tx, now, limits, names), **_held_block(reader, present or Present())},
        "budget": budget_block(reader, facts, limits, now),
        "outbox": _outbox_block(tx, names),
    }


def _reconcile_block(tx: Tx, limits: Limits, present: Present) -> Block:
    """Return how the services are polled, how the last poll of each project went, and what waits in the inbox."""
    return {
        "enabled": limits.reconcile_enabled,
        "board": limits.reconcile_board_enabled,
        "interval_s": limits.reconcile_interval_s,
        "projects": {name: dict(report) for name, report in present.polls.items()},
        "inbox": len(tx.pending_inbox(ROWS_MAX)),
    }


def _task_name(tx: Tx, row: TaskRow | None, names: Mapping[TaskRow, str]) -> str | None:
    """Return what people call the task in *row*; most are among the live ones that were read already."""
    if row is None or row in names:
        return names[row] if row is not None else None
    task = tx.load_task(row)
    return task.work_item if task is not None else None


def _jobs_block(tx: Tx, facts: Sequence[TaskFacts], now: datetime, names: Mapping[TaskRow, str]) -> Block:
    reasons = {each.task.row: why(each, now) for each in facts}

    def view(job: Job) -> Block:
        return {**job_view(job), "task": _task_name(tx, job.task, names), "waiting": reasons.get(job.task, "")}

    queued = tx.list_jobs(state=JobState.QUEUED, limit=ROWS_MAX)
    running = tx.list_jobs(state=JobState.RUNNING, limit=ROWS_MAX)
    in_order = sorted(queued, key=lambda job: (-job.priority, job.id))
    return {
        "queued": [view(job) for job in in_order],
        "running": [view(job) for job in running],
        "more": len(queued) >= ROWS_MAX or len(running) >= ROWS_MAX,
    }


def _tasks_block(facts: Sequence[TaskFacts], now: datetime) -> Block:
    rows = [
        {
            "id": each.task.work_item,
            "project": each.task.project,
            "stage": str(each.task.stage),
            "status": str(status_of(each.task)),
            "parked": each.task.park is not None,
            "waiting": why(each, now),
        }
        for each in facts
    ]
    return {
        "live": rows,
        "by_stage": dict(Counter(str(each.task.stage) for each in facts)),
        "parked": sum(each.task.park is not None for each in facts),
        "more": len(facts) >= ROWS_MAX,
    }


def _gate_block(repos: Sequence[Repo], facts: Sequence[TaskFacts], limits: Limits) -> Block:
    """Return which projects let one task enter after the other, whom that holds, and the freezes and pauses of the repos."""
    return {
        "enabled": bool(limits.serial_gate),
        "projects": sorted(limits.serial_gate),
        "held": [{"id": each.task.work_item, "by": each.held_by} for each in facts if each.held_by],
        "fixes": [each.task.work_item for each in facts if each.task.exempt],
        "freezes": [freeze_view(repo.freeze) for repo in repos if repo.freeze is not None],
        "paused": [repo.project for repo in repos if repo.paused],
    }


def _deps_block(facts: Sequence[TaskFacts], limits: Limits) -> Block:
    return {
        "enabled": limits.task_deps_enabled,
        "source": "plane" if limits.task_deps_from_board else "db",
        "tasks": [
            {
                "id": each.task.work_item,
                "on": list(each.dependencies),
                "open": list(each.open_dependencies),
                "board": list(each.board_dependencies),
            }
            for each in facts
            if each.dependencies
        ],
    }


def _trains(tx: Tx, reader: Reader, now: datetime, limits: Limits, present: Present, names: Mapping[TaskRow, str]) -> TrainReader:
    return TrainReader(tx=tx, reader=reader, limits=limits, present=present, now=now, name=lambda row: _task_name(tx, row, names))


def _deploys(tx: Tx, now: datetime, facts: Sequence[TaskFacts], repos: Sequence[Repo], names: Mapping[TaskRow, str]) -> Block:
    return deploy_block(tx, facts, repos, lambda each: why(each, now), lambda row: _task_name(tx, row, names))


def _watches(tx: Tx, repos: Sequence[Repo], names: Mapping[TaskRow, str]) -> list[Block]:
    """Return how the newest deploy of each project does, where that is watched or was found bad."""
    newest = [watch for repo in repos if (watch := tx.load_watch(repo.project)) is not None]
    return [
        {"project": watch.project, "id": _task_name(tx, watch.task, names), **watch_view(watch)}
        for watch in newest
        if watch.state in (WatchState.WATCHING, WatchState.DEGRADED)
    ]


def _stop_block(live: Sequence[Task], intents: Sequence[Intent], names: Mapping[TaskRow, str]) -> Block:
    asked = [task for task in live if task.cancel_requested_at is not None]
    return {
        "pending": [
            {"id": task.work_item, "stage": str(task.stage), "requested_at": task.cancel_requested_at.isoformat()}
            for task in asked
            if task.cancel_requested_at is not None
        ],
        "unfinished": [
            {"id": names.get(intent.task) if intent.task is not None else None, "since": intent.at.isoformat()}
            for intent in intents
            if intent.kind is IntentKind.STOP
        ],
    }


def _survivors(tx: Tx, names: Mapping[TaskRow, str]) -> list[Block]:
    """Return the processes that could not be ended: of tasks that were stopped, and of those parked for them."""
    rows: list[Block] = [
        {"id": _task_name(tx, row, names), "pid": each.pid, "started": each.started, "name": plain(each.name, 40)}
        for row, left in tx.list_survivors().items()
        for each in left
    ]
    return rows[:ROWS_MAX]


def _agents_block(tx: Tx, now: datetime, limits: Limits, names: Mapping[TaskRow, str]) -> Block:
    running = tx.list_runs(running=True, limit=ROWS_MAX)

    def view(run: Run) -> Block:
        return {**run_view(run, 0, now), "task": _task_name(tx, run.task, names), "project": run.project}

    agents = [run for run in running if run.kind is RunKind.AGENT]
    return {
        "slots": limits.max_concurrency,
        "slots_per_repo": limits.max_concurrency_per_repo,
        "busy": len(agents),
        "test_slots": limits.test_slots,
        "running": [view(run) for run in agents],
        "commands": [view(run) for run in running if run.kind is not RunKind.AGENT],
    }


def _held_block(reader: Reader, present: Present) -> Block:
    """Return what holds agents over all projects: paused accounts, too little room."""
    return {
        "accounts": [_account_view(account.name, account.pause) for account in reader.accounts().values() if account.pause],
        "shortages": [
            {"resource": str(each.resource), "free_mb": each.free_mb, "floor_mb": each.floor_mb} for each in present.shortages
        ],
    }


def _account_view(name: str, pause: AccountPause) -> Block:
    return {
        "name": name,
        "paused": True,
        "cause": str(pause.cause),
        "since": pause.since.isoformat(),
        "until": pause.until.isoformat(),
        "renewals": pause.renewals,
        "trial": int(pause.trial) if pause.trial is not None else None,
        "detail": plain(pause.detail, 300),
    }


def _outbox_block(tx: Tx, names: Mapping[TaskRow, str]) -> Block:
    pending = tx.list_outbox(state=RowState.PENDING, limit=ROWS_MAX)
    parked = tx.list_outbox(state=RowState.PARKED, limit=ROWS_MAX)

    def view(row: OutboxRow) -> Block:
        return {
            "id": int(row.id),
            "project": row.project,
            "task": _task_name(tx, row.task, names),
            "target": str(row.target),
            "kind": row.kind,
            "tries": row.tries,
            "due_at": row.due_at.isoformat(),
            "error": plain(row.error, 300),
        }

    return {
        "pending": [view(row) for row in pending],
        "parked": [view(row) for row in parked],
        "more": len(pending) >= ROWS_MAX or len(parked) >= ROWS_MAX,
    }
