"""What a task waits for, in a sentence or two for people.

Owns: the why sentence and which of several obstacles it names. Does not own the words (``render``) nor how a deploy waits
(``deploy_views``). Rule: everything is derived from the facts and the present moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never, final

from orch.core.budget import UNMETERED, BudgetScope, Purse, next_day, overrun
from orch.core.deploy_views import why_deploy
from orch.core.model import AccountPause, Awaiting, Freeze, FreezeCause, Job, JobState, ParkReason, Run, RunKind, Task, WatchSign
from orch.core.render.budget import render_budget_onward, render_day_spent
from orch.core.render.catalogue import say
from orch.core.render.figures import render_duration, render_moment, short_sha
from orch.core.render.quote import plain
from orch.core.render.replies import render_frozen_by
from orch.core.retry import clears_at
from orch.core.stages import Stage, is_terminal
from orch.core.task_facts import TaskFacts

NAMES_MAX = 10


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
