"""What people are shown about a task: its status, what it waits for, and the JSON-ready view of it.

Owns: the one derivation of the shown status, the why sentence, and the shape of a task in snapshots. It reads
nothing: ``orch.snapshots`` loads the facts. Rule: everything here is derived; nothing of it is ever read back as state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never, final

from orch.core.accounting import stage_durations, stage_lines, totals
from orch.core.budget import UNMETERED, BudgetScope, Purse, next_day, overrun
from orch.core.deploy_views import deploy_view, why_deploy
from orch.core.model import (
    Account,
    AccountPause,
    Awaiting,
    Deploy,
    Freeze,
    FreezeCause,
    Job,
    JobState,
    ParkReason,
    Repo,
    Run,
    RunKind,
    Task,
    Transition,
    Usage,
    Watch,
    WatchSign,
)
from orch.core.render.budget import render_budget_onward, render_day_spent
from orch.core.render.catalogue import say
from orch.core.render.figures import render_duration, render_moment, short_sha, tokens_cached, tokens_in
from orch.core.render.quote import clean, cut, plain
from orch.core.render.replies import render_frozen_by
from orch.core.retry import clears_at
from orch.core.room import Shortage
from orch.core.spend_views import budget_view, stages_view, totals_view
from orch.core.stages import Stage, is_landed, is_terminal
from orch.core.statuses import Status

EVIDENCE_MAX = 4000
NAMES_MAX = 10

_ANALYSIS = {Awaiting.APPROVAL: Status.IN_REVIEW, Awaiting.INPUT: Status.NEEDS_INPUT}
_DEPLOY = {
    Awaiting.DEPLOYING: Status.DEPLOYING,
    Awaiting.CONFIRM: Status.AWAITING_DEPLOY,
    Awaiting.DEPLOY_TURN: Status.AWAITING_DEPLOY,
}
_DONE = {WatchSign.WATCHING: Status.MONITORING, WatchSign.DEGRADED: Status.BLOCKED}


def status_of(task: Task) -> Status:
    """Return the board status that *task* shows."""
    if task.park is not None and not is_terminal(task.stage):
        return Status.BLOCKED
    match task.stage:
        case Stage.ANALYSIS:
            return _ANALYSIS.get(task.awaiting, Status.ANALYSIS)
        case Stage.ARCHITECTURE | Stage.DEVELOPMENT | Stage.DEPLOY_STAGING:
            return Status.IN_PROGRESS
        case Stage.REVIEW:
            return Status.CODE_REVIEW
        case Stage.TESTING:
            return Status.TESTING
        case Stage.DEPLOY:
            return _DEPLOY.get(task.awaiting, Status.IN_PROGRESS)
        case Stage.DONE:
            return _DONE.get(task.watch, Status.DONE)
        case Stage.CANCELLED:
            return Status.CANCELLED
        case _:
            assert_never(task.stage)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """A task with what its view needs to know around it.

    *runs* are all of the task's, oldest first. *dependencies* and *open_dependencies* are names for people; the open ones
    are those that hold the task; *held_by* is the first earlier task that holds it at the serial gate. *landing_position*
    counts from 1. *slots* is None where the limit is not known. *account* is the one that its next agent
    runs under, where that is paused; *shortages* are the daemon's.
    """

    task: Task
    runs: Sequence[Run] = ()
    job: Job | None = None
    dependencies: Sequence[str] = ()
    open_dependencies: Sequence[str] = ()
    board_dependencies: Sequence[str] = ()
    held_by: str = ""
    history: Sequence[Transition] = ()
    repo: Repo | None = None
    landing_position: int | None = None
    slots_busy: int = 0
    slots: int | None = None
    account: Account | None = None
    shortages: Sequence[Shortage] = ()
    landing_held: str = ""
    """Why it is not in the train's chain, *landing_with* who is being tested with it now, itself among them."""
    landing_with: Sequence[str] = ()
    deploying: Deploy | None = None
    """The running deploy of its project, *deploying_name* what people call that one's task, *deploys* its own, newest first."""
    deploying_name: str = ""
    deploys: Sequence[Deploy] = ()
    watch: Watch | None = None
    """How what the task brought does in production, while its card shows something of that."""
    purse: Purse | None = None
    """The task's own budget, *day* that of the present UTC day."""
    day: Purse | None = None

    def running(self) -> Run | None:
        """Return the newest run that has not ended."""
        return next((run for run in reversed(self.runs) if run.ended_at is None and run.outcome is None), None)

    def entered(self) -> bool:
        """Say whether it has entered analysis: an agent of it ran, or it is past that stage."""
        return self.task.stage is not Stage.ANALYSIS or any(run.kind is RunKind.AGENT for run in self.runs)

    def freeze(self) -> Freeze | None:
        """Return the freeze that this task heeds (a fix heeds none)."""
        return None if self.repo is None or self.task.exempt else self.repo.freeze


# ------------------------------------------------------------------------------------------------ why


def why(facts: TaskFacts, now: datetime, language: str = "en", *, elapsed: bool = True) -> str:
    """Say in one or two plain sentences what the task waits for, since when, and what would move it on.

    Without *elapsed* a wait is told by when it began alone, so that the sentence does not age.
    """
    task, since = facts.task, _Since(now, language, elapsed)
    if is_terminal(task.stage):
        return _why_ended(facts, since)
    if task.cancel_requested_at is not None:
        return say(language, "why.stopping", since=since(task.cancel_requested_at))
    if task.park is not None:
        return _why_parked(task, since, facts.purse)
    told = _why_waiting(facts, since)
    note = plain(task.note, 300)
    return f"{told} {note}" if note else told


@final
@dataclass(frozen=True, slots=True)
class _Since:
    """Words for "since when", bound to a present moment and a language."""

    now: datetime
    language: str
    elapsed: bool = True

    def __call__(self, at: datetime) -> str:
        if not self.elapsed:
            return say(self.language, "why.since_moment", moment=render_moment(at))
        passed = render_duration((self.now - at).total_seconds())
        return say(self.language, "why.since", moment=render_moment(at), duration=passed)


def _why_ended(facts: TaskFacts, since: _Since) -> str:
    """Nothing more happens to the task itself; what it brought may still be watched."""
    task, watch, language = facts.task, facts.watch, since.language
    ended = since(task.finished_at or task.updated_at)
    if watch is None or task.stage is not Stage.DONE:
        return say(language, f"why.{task.stage}", since=ended)
    sha = short_sha(watch.sha)
    if task.watch is WatchSign.WATCHING:
        moment = render_moment(watch.until)
        return say(language, "why.watched", since=ended, sha=sha, moment=moment, probes=watch.probes, bad=watch.bad)
    if task.watch is WatchSign.DEGRADED:
        fix, revert = "orch fix ID", f"orch revert {task.work_item}"
        return say(language, "why.degraded", since=ended, sha=sha, detail=plain(watch.detail, 240), fix=fix, revert=revert)
    return say(language, f"why.{task.stage}", since=ended)


def _why_parked(task: Task, since: _Since, purse: Purse | None) -> str:
    assert task.park is not None
    language, park = since.language, task.park
    told = say(
        language,
        "why.parked",
        since=since(park.since),
        reason=say(language, f"park.{park.reason}"),
        evidence=plain(park.evidence, 240),
    ).strip()
    clears = clears_at(park, task.counters)
    if clears is not None:
        onward = say(language, "why.parked_clears", moment=render_moment(max(clears, since.now)))
    elif park.reason is ParkReason.BUDGET and purse is not None and purse.is_spent:
        onward = render_budget_onward(task.work_item, language)
    else:
        onward = say(language, "why.parked_person", command=f"orch resume {task.work_item}")
    return f"{told} {onward}"


def _why_waiting(facts: TaskFacts, since: _Since) -> str:
    task, language = facts.task, since.language
    began = since(task.updated_at)
    match task.awaiting:
        case Awaiting.AGENT:
            return _why_agent(facts, since)
        case Awaiting.APPROVAL:
            return say(language, "why.approval", since=began, approve=f"orch approve {task.work_item}")
        case Awaiting.INPUT:
            return say(language, "why.input", since=began)
        case Awaiting.GATE:
            return _why_gate(facts, since)
        case Awaiting.LANDING:
            return _why_landing(facts, since)
        case Awaiting.MERGE:
            number = f"#{task.pr_number}" if task.pr_number is not None else "–"
            return say(language, "why.merge", since=began, number=number)
        case Awaiting.CONFIRM:
            told = say(language, "why.confirm", since=began, confirm=f"orch confirm-deploy {task.work_item}")
            return _after_freeze(facts, since, told)
        case Awaiting.DEPLOY_TURN:
            return _after_freeze(facts, since, why_deploy(task, facts.deploying, facts.deploying_name, began, language))
        case Awaiting.DEPLOYING:
            return why_deploy(task, facts.deploying, facts.deploying_name, began, language)
        case Awaiting.NOTHING:
            return say(language, "why.nothing")
        case _:
            assert_never(task.awaiting)


def _why_agent(facts: TaskFacts, since: _Since) -> str:
    """A job is running, queued behind something, or about to be queued. The first two obstacles are named."""
    language, job, run = since.language, facts.job, facts.running()
    if run is not None:
        told = _why_run(run, since)
        return f"{told} {say(language, 'why.unmetered')}" if _is_unmetered(facts, run) else told
    if job is None:
        return say(language, "why.unqueued")
    if job.state is JobState.RUNNING:
        return say(language, "why.working", role=say(language, f"role.{job.role}"), since=since(job.updated_at))
    obstacles = _obstacles(facts, job, since)
    if not obstacles:
        busy = str(facts.slots_busy)
        if facts.slots is not None:
            busy = say(language, "why.slots_of", busy=facts.slots_busy, slots=facts.slots)
        return say(language, "why.slot", since=since(job.created_at), busy=busy)
    return " ".join(obstacles[:2])


def _obstacles(facts: TaskFacts, job: Job, since: _Since) -> list[str]:
    """What keeps a queued job from being claimed, most lasting first, in the claim rule's own terms."""
    language, task = since.language, facts.task
    told = []
    freeze = facts.freeze()
    if freeze is not None and not facts.entered():
        told.append(_frozen(freeze, since))
    if facts.repo is not None and facts.repo.paused:
        told.append(say(language, "why.paused", command=f"orch unpause {task.project}"))
    if facts.day is not None and (spent := overrun(BudgetScope.DAY, facts.day)) is not None:
        told.append(render_day_spent(spent, next_day(since.now), language))
    if facts.open_dependencies:
        told.append(say(language, "why.dependencies", names=_names(facts.open_dependencies)))
    if facts.held_by:
        told.append(say(language, "why.held", holder=plain(facts.held_by, 60), command=f"orch fix {task.work_item}"))
    if facts.account is not None and facts.account.pause is not None:
        told.append(_account_paused(facts.account.name, facts.account.pause, since))
    told += [say(language, f"why.room.{each.resource}", free=each.free_mb, floor=each.floor_mb) for each in facts.shortages]
    if job.not_before is not None and job.not_before > since.now:
        told.append(say(language, "why.delayed", moment=job.not_before.strftime("%Y-%m-%d %H:%M:%S UTC")))
    return told


def _account_paused(name: str, pause: AccountPause, since: _Since) -> str:
    language, cause = since.language, say(since.language, f"account.cause.{pause.cause}")
    if pause.until <= since.now:
        return say(language, "why.account_trying", account=plain(name, 60), cause=cause)
    until = render_moment(pause.until)
    return say(language, "why.account_paused", account=plain(name, 60), cause=cause, since=since(pause.since), moment=until)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(plain(name, 60) for name in names[:NAMES_MAX])
    return f"{shown}, … (+{len(names) - NAMES_MAX})" if len(names) > NAMES_MAX else shown


def _frozen(freeze: Freeze, since: _Since) -> str:
    person = freeze.cause is FreezeCause.PERSON
    return say(
        since.language,
        "why.frozen_person" if person else "why.frozen",
        who=render_frozen_by(freeze, since.language),
        since=since(freeze.since),
        command=f"orch unfreeze {freeze.project}",
    )


def _after_freeze(facts: TaskFacts, since: _Since, told: str) -> str:
    freeze = facts.freeze()
    return told if freeze is None else f"{_frozen(freeze, since)} {told}"


def _is_unmetered(facts: TaskFacts, run: Run) -> bool:
    """Say whether a budget is to bound a run whose agent has reported no cost."""
    limited = any(purse is not None and purse.limit_usd is not None for purse in (facts.purse, facts.day))
    return limited and run.agent in UNMETERED and run.cost_usd == 0


def _why_run(run: Run, since: _Since) -> str:
    language = since.language
    if run.kind is RunKind.AGENT and run.role is not None:
        return say(language, "why.working", role=say(language, f"role.{run.role}"), since=since(run.started_at))
    return say(language, "why.command", kind=say(language, f"kind.{run.kind}"), since=since(run.started_at))


def _why_gate(facts: TaskFacts, since: _Since) -> str:
    task, language, run = facts.task, since.language, facts.running()
    if run is not None:
        return _why_run(run, since)
    began = since(task.updated_at)
    if task.stage is Stage.DEVELOPMENT:
        if task.pr_number is None:
            return say(language, "why.pull_request")
        head = task.code_head or task.head
        return say(language, "why.ci", sha=short_sha(head) if head else "–", since=began)
    if task.stage is Stage.DEPLOY_STAGING:
        return say(language, "why.staging", since=began)
    if task.stage is Stage.DEPLOY:
        return why_deploy(task, facts.deploying, facts.deploying_name, began, language)
    return say(language, "why.gate", stage=say(language, f"stage.{task.stage}"), since=began)


def _why_landing(facts: TaskFacts, since: _Since) -> str:
    language, began = since.language, since(facts.task.updated_at)
    if facts.landing_position is None:
        told = say(language, "why.landing_unplaced", since=began)
    else:
        told = say(language, "why.landing", since=began, position=facts.landing_position)
    if facts.landing_held:
        told = f"{told} {plain(facts.landing_held, 600)}"
    elif facts.landing_with:
        told = f"{told} {say(language, 'train.testing', names=_names(facts.landing_with))}"
    return _after_freeze(facts, since, told)


# ------------------------------------------------------------------------------------------------ views


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
