"""The JSON-ready view of a task, its runs, its job and its watch.

Owns: the shape of a task in snapshots. Does not own what the numbers mean (``accounting``) nor the sentence (``why``). It reads
nothing: ``orch.snapshots`` loads the facts. Rule: everything here is derived; nothing of it is ever read back as state.
"""

from collections.abc import Sequence
from datetime import datetime

from orch.core.accounting import stage_durations, stage_lines, totals
from orch.core.deploy_views import deploy_view
from orch.core.model import Job, Run, Task, Transition, Usage, Watch
from orch.core.render.figures import tokens_cached, tokens_in
from orch.core.render.quote import clean, cut, plain
from orch.core.spend_views import budget_view, stages_view, totals_view
from orch.core.stages import is_landed, is_terminal
from orch.core.task_facts import TaskFacts, status_of
from orch.core.why import why

EVIDENCE_MAX = 4000


def task_view(facts: TaskFacts, now: datetime) -> dict[str, object]:
    """Return the task as every list shows it, JSON-ready."""
    task, running = facts.task, facts.running()
    usage = sum((run.usage for run in facts.runs), Usage())
    return {
        "id": task.work_item,
        "row": int(task.row),
        "title": clean(task.title_now),
        "project": task.project,
        "issue": task.issue,
        "url": task.url,
        "stage": str(task.stage),
        "status": str(status_of(task)),
        "parked": _park_view(task),
        "waiting": why(facts, now),
        "awaiting": str(task.awaiting),
        "runs": len(facts.runs),
        "cost_usd": round(sum(run.cost_usd for run in facts.runs), 6),
        "tokens_in": tokens_in(usage),
        "tokens_cached": tokens_cached(usage),
        "tokens_out": usage.output,
        "stages": stages_view(stage_lines(task, facts.runs, facts.history, now)),
        "totals": totals_view(totals(task, facts.runs, facts.history, now)),
        "budget": budget_view(task, facts.purse),
        "branch": task.branch,
        "sha": task.landed or task.head,
        "landed": task.landed,
        "shown": task.shown,
        "pr": task.pr_number,
        "attempt": int(task.attempt),
        "role": str(running.role) if running is not None and running.role is not None else None,
        "running": _running_view(running) if running is not None else None,
        "exempt": task.exempt,
        "stopping": task.cancel_requested_at is not None and not is_terminal(task.stage),
        "created_at": _moment(task.created_at),
        "updated_at": _moment(task.updated_at),
        "finished_at": _moment(task.finished_at),
    }


def _running_view(run: Run) -> dict[str, object]:
    return {
        "n": int(run.id),
        "kind": str(run.kind),
        "role": str(run.role) if run.role is not None else None,
        "agent": run.agent,
        "model": run.model,
        "started_at": _moment(run.started_at),
    }


def task_detail(facts: TaskFacts, now: datetime) -> dict[str, object]:
    """Return the task with history, job, dependencies and times, JSON-ready; ``runs`` is the list, ``run_count`` its length."""
    task = facts.task
    waiting_on = set(facts.open_dependencies)
    return {
        **task_view(facts, now),
        "description": clean(task.description_now),
        "cancel_requested_at": _moment(task.cancel_requested_at),
        "is_landed": is_landed(task.stage) or task.landed is not None,
        "history": [_transition_view(line) for line in facts.history],
        "run_count": len(facts.runs),
        "runs": [run_view(run, number, now) for number, run in enumerate(facts.runs, start=1)],
        "job": job_view(facts.job) if facts.job is not None else None,
        "dependencies": [{"name": name, "open": name in waiting_on} for name in facts.dependencies],
        "deploys": [deploy_view(deploy) for deploy in facts.deploys],
        "watch": watch_view(facts.watch) if facts.watch is not None else None,
        "stage_seconds": stage_seconds(task, facts.history, now),
    }


def stage_seconds(task: Task, history: Sequence[Transition], now: datetime) -> dict[str, float]:
    """Return how long the task has been in each stage it was in, in seconds, repeats added up."""
    spent = stage_durations(task, history, now)
    return {str(name): round(seconds, 3) for name, seconds in spent.items()}


def run_view(run: Run, number: int, now: datetime) -> dict[str, object]:
    """Return one run, JSON-ready. *number* counts within the task; ``n`` is the id that log and feed are asked for."""
    return {
        "n": int(run.id),
        "number": number,
        "role": str(run.role) if run.role is not None else None,
        "stage": str(run.stage),
        "kind": str(run.kind),
        "agent": run.agent,
        "model": run.model,
        "attempt": int(run.attempt),
        "outcome": str(run.outcome) if run.outcome is not None else None,
        "seconds": round(max(((run.ended_at or now) - run.started_at).total_seconds(), 0.0), 3),
        "usage": {
            "input": run.usage.input,
            "output": run.usage.output,
            "cache_read": run.usage.cache_read,
            "cache_creation": run.usage.cache_creation,
        },
        "cost_usd": round(run.cost_usd, 6),
        "turns": run.turns,
        "exit_code": run.exit_code,
        "detail": cut(clean(run.detail), EVIDENCE_MAX),
        "started_at": _moment(run.started_at),
        "ended_at": _moment(run.ended_at),
    }


def watch_view(watch: Watch) -> dict[str, object]:
    """Return one watch, JSON-ready; *bad* counts failed probes in a row."""
    return {
        "state": str(watch.state),
        "sha": watch.sha,
        "probes": watch.probes,
        "bad": watch.bad,
        "detail": plain(watch.detail, 300),
        "since": _moment(watch.since),
        "until": _moment(watch.until),
        "next_at": _moment(watch.next_at),
        "ended_at": _moment(watch.ended_at),
    }


def job_view(job: Job) -> dict[str, object]:
    """Return one job, JSON-ready."""
    return {
        "id": int(job.id),
        "project": job.project,
        "stage": str(job.stage),
        "role": str(job.role),
        "mode": str(job.mode),
        "priority": job.priority,
        "state": str(job.state),
        "not_before": _moment(job.not_before),
        "created_at": _moment(job.created_at),
    }


def _park_view(task: Task) -> dict[str, object] | None:
    if task.park is None or is_terminal(task.stage):
        return None
    return {
        "reason": str(task.park.reason),
        "since": _moment(task.park.since),
        "evidence": cut(clean(task.park.evidence), EVIDENCE_MAX),
    }


def _transition_view(line: Transition) -> dict[str, object]:
    return {
        "at": _moment(line.at),
        "source": str(line.source) if line.source is not None else None,
        "target": str(line.target),
        "cause": line.cause,
        "detail": cut(clean(line.detail), EVIDENCE_MAX),
        "by": clean(line.by),
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
