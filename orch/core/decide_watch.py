"""Decisions about how a deployed SHA is doing: a watch begins, is probed, ends, and what a bad end brings about.

Owns: what a good deploy means for the watch before it and for a standing freeze, what a probe's result means, when the window is
over, what becomes of a rollback. Does not own: probing, the rollback's process, time (``actors/monitor.py``); which freeze stays
(``decide_freeze``).
Rule: pure. Time left is given by whoever has a monotonic clock, so that a jump of the wall clock neither ends a window nor begins
another; ``until`` and ``next_at`` are for a start after this life. A watch ends well only with a good probe, and badly only with
``fail_after`` bad ones in a row. What a card shows of it is a sign: the task stays done.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import final

from orch.core.decide_freeze import Delivered, freeze, lifts
from orch.core.effects import SetStatus, WakeRepo
from orch.core.messages import CommandReport, CommandVerdict
from orch.core.model import (
    Deploy,
    Freeze,
    FreezeCause,
    MonitorSettings,
    Outcome,
    Project,
    Repo,
    Run,
    RunKind,
    Task,
    Watch,
    WatchSign,
    WatchState,
)
from orch.core.render import (
    render_degraded,
    render_degraded_cause,
    render_healthy,
    render_rolled_back,
    render_thawed,
)
from orch.core.stages import Role
from orch.core.task_facts import status_of
from orch.core.turn import Context, Decided, Turn

ROLLBACK_TRIES = 3
"""How often a rollback is begun that was cut off with its daemon; one that ended is never begun again."""
INTERRUPTED = (Outcome.CRASHED, Outcome.CANCELLED)
"""Ends of a rollback's run that are not its own."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a probe came to. *left_s* is what is left of the watch's window now, in seconds on the monotonic clock."""

    ok: bool
    detail: str
    left_s: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A watch and its task as they shall be, the freeze to be set, and whether the rollback command is to run."""

    watch: Watch
    decided: Decided
    freeze: Freeze | None = None
    rollback: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What follows a good deploy: its watch, its task, and the freeze that it lifts."""

    watch: Watch
    decided: Decided
    thawed: Freeze | None = None


# ------------------------------------------------------------------------------------------------ beginning


def begin(context: Context, task: Task, deploy: Deploy, *, repo: Repo, landed_at: datetime | None, newest: bool = True) -> Begun:
    """A deploy of *task*'s SHA succeeded: it is watched from now on, where the project has a monitor.

    *newest* says that no later task has the issue: then the card shows what becomes of the watch. The watch before it is the
    caller's to end (``superseded``), since that is another task's.
    """
    turn, monitor, now = Turn(context, task), context.project.monitor, context.now
    watch = Watch(deploy=deploy.id, project=deploy.project, task=task.row, sha=deploy.sha, since=now, until=now, next_at=now)
    if monitor is None:
        turn.record(task.stage, task.stage, "not-watched", "no monitor is configured")
        watch = replace(watch, state=WatchState.HEALTHY, ended_at=now, detail="no monitor")
    else:
        left = timedelta(seconds=monitor.window_s)
        watch = replace(watch, until=now + left, next_at=now + timedelta(seconds=next_probe_s(monitor, monitor.window_s)))
        turn.set(watch=WatchSign.WATCHING)
        turn.record(task.stage, task.stage, "watched", f"{deploy.sha[:12]}: for {monitor.window_s:g} s")
    thawed = None
    standing = repo.freeze
    if standing is not None and lifts(standing, Delivered(begun_at=deploy.started_at, landed_at=landed_at)):
        thawed = standing
        text = render_thawed(standing, task.work_item, deploy.sha, turn.language)
        turn.record(task.stage, task.stage, "thawed", f"the freeze by {standing.cause} since {standing.since.isoformat()}")
        turn.comment(Role.STREAM, text, f"thawed:{int(deploy.id)}")
        turn.alert("thaw", text)
    return Begun(watch=watch, decided=_end(turn, newest=newest), thawed=thawed)


def superseded(context: Context, task: Task, watch: Watch, why: str, *, newest: bool = True) -> Judged | None:
    """The watch is over without a verdict of its own; None where there is nothing to end.

    A degraded one loses its sign too when a later deploy is good: what it warns of is not what runs any more.
    """
    if watch.state is WatchState.HEALTHY or watch.state is WatchState.ENDED:
        return None
    turn = Turn(context, task)
    turn.set(watch=WatchSign.NONE)
    turn.record(task.stage, task.stage, "watch-ended", why)
    if watch.state is WatchState.WATCHING:
        watch = replace(watch, state=WatchState.ENDED, ended_at=context.now, detail=why)
    elif task.watch is WatchSign.NONE:
        return None
    return Judged(watch=watch, decided=_end(turn, newest=newest))


# ------------------------------------------------------------------------------------------------ time


def next_probe_s(monitor: MonitorSettings, left_s: float) -> float:
    """Return in how many seconds the next probe is due: an interval, the last one of the window at its very end."""
    return min(monitor.interval_s, left_s) if left_s > 0 else monitor.interval_s


def remaining(monitor: MonitorSettings, watch: Watch, now: datetime) -> tuple[float, float]:
    """Return what is left of the window and of the wait for the next probe, in seconds, as a new life of the daemon sees it.

    Whatever the wall clock did meanwhile, neither is negative nor longer than configured.
    """
    left_s = min(max((watch.until - now).total_seconds(), 0.0), monitor.window_s)
    wait_s = min(max((watch.next_at - now).total_seconds(), 0.0), monitor.interval_s)
    return left_s, wait_s


# ------------------------------------------------------------------------------------------------ probes


def probed(context: Context, task: Task, watch: Watch, seen: Observed, *, repo: Repo, newest: bool = True) -> Judged | None:
    """A probe of the running watch came back; None: it came too late to mean anything."""
    monitor, now = context.project.monitor, context.now
    if watch.state is not WatchState.WATCHING or monitor is None:
        return None
    left_s = max(seen.left_s, 0.0)
    watch = replace(
        watch,
        probes=watch.probes + 1,
        bad=0 if seen.ok else watch.bad + 1,
        detail=seen.detail,
        until=now + timedelta(seconds=left_s),
        next_at=now + timedelta(seconds=next_probe_s(monitor, left_s)),
    )
    if watch.bad >= monitor.fail_after:
        return _degraded(context, task, watch, repo, newest)
    turn = Turn(context, task)
    if seen.ok and left_s <= 0:
        watch = replace(watch, state=WatchState.HEALTHY, ended_at=now)
        turn.set(watch=WatchSign.HEALTHY)
        turn.record(task.stage, task.stage, "healthy", f"{watch.sha[:12]}: {watch.probes} probes")
        seconds = (now - watch.since).total_seconds()
        turn.comment(Role.STREAM, render_healthy(task.work_item, watch, seconds, turn.language), f"healthy:{int(watch.deploy)}")
    return Judged(watch=watch, decided=_end(turn, newest=newest))


def _degraded(context: Context, task: Task, watch: Watch, repo: Repo, newest: bool) -> Judged:
    """Sign, alert, comment; a freeze where machines may freeze; a rollback where there is one that the daemon may run."""
    turn = Turn(context, task)
    watch = replace(watch, state=WatchState.DEGRADED, ended_at=context.now)
    frozen = freeze(
        repo,
        FreezeCause.DEPLOY,
        detail=render_degraded_cause(task.work_item, watch, turn.language),
        now=context.now,
        enabled=context.limits.serial_gate_freeze_enabled,
    )
    rollback = may_roll_back(context.project)
    turn.set(watch=WatchSign.DEGRADED)
    turn.record(task.stage, task.stage, "degraded", f"{watch.sha[:12]}: {watch.bad} bad probes in a row: {watch.detail}"[:500])
    standing = frozen or repo.freeze
    text = render_degraded(task.work_item, watch, standing, turn.language, rollback=rollback)
    turn.comment(Role.STREAM, text, f"degraded:{int(watch.deploy)}")
    turn.alert("degraded", text)
    return Judged(watch=watch, decided=_end(turn, newest=newest), freeze=frozen, rollback=rollback)


def _end(turn: Turn, *, newest: bool) -> Decided:
    """Finish; where another task has the card by now, what this one did shows nothing on it."""
    decided = turn.end()
    if newest or status_of(decided.task) is status_of(turn.before):
        return decided
    return replace(decided, effects=tuple(effect for effect in decided.effects if not isinstance(effect, SetStatus)))


# ------------------------------------------------------------------------------------------------ rollback


def may_roll_back(project: Project) -> bool:
    """Say whether the daemon runs the project's rollback command: never its own project's, whose deploy replaces the daemon."""
    return bool(project.deploy.rollback_command) and not project.self_hosting


def rollback_cut_off(runs: list[Run]) -> bool:
    """Say whether the newest rollback among a task's *runs* was cut off from outside, so that it has to be begun again."""
    mine = [run for run in runs if run.kind is RunKind.ROLLBACK]
    return bool(mine) and mine[-1].outcome in INTERRUPTED


def rollback_given_up(runs: list[Run]) -> bool:
    """Say whether a rollback that was cut off has had all its tries."""
    return sum(run.kind is RunKind.ROLLBACK for run in runs) >= ROLLBACK_TRIES


ROLLBACK_OUTCOME = {
    CommandVerdict.GREEN: Outcome.SUCCEEDED,
    CommandVerdict.RED: Outcome.FAILED,
    CommandVerdict.TIMEOUT: Outcome.TIMED_OUT,
    CommandVerdict.INFRA: Outcome.FAILED,
}
"""What the end of a rollback means; an interrupted one has not ended."""


def rolled_back(context: Context, task: Task, report: CommandReport) -> Decided:
    """The rollback command ended. A failed one is nobody's to repeat: it sounds louder than what it was for."""
    turn = Turn(context, task)
    good = report.verdict is CommandVerdict.GREEN
    ended = f"exit {report.exit_code}" if report.exit_code is not None else report.verdict.value
    turn.record(task.stage, task.stage, "rolled-back" if good else "rollback-failed", ended)
    text = render_rolled_back(task.work_item, report, turn.language)
    turn.comment(Role.STREAM, text, "rolled-back" if good else "rollback-failed")
    turn.alert("rolled-back" if good else "rollback-failed", text)
    turn.emit(WakeRepo())
    return turn.end()
