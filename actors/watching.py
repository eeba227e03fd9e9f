"""The watch inside the transaction: what a good deploy, a probe and a rollback's end do to its rows.

Owns: what is loaded for each decision and where its parts are written. Does not own: when (``monitor``), what it means
(``orch.core.decide_watch``).
Rule: level-triggered. A good deploy without a watch row of its own is one to be followed, so that every good deploy gets one,
also where nothing is watched; a rollback's run is inserted with the verdict that asks for it, so that one without an end is to
be run.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import final

from actors.deploying import deploys
from actors.persist import Hints, apply, tell_world
from orch.core import decide_watch
from orch.core.decide_freeze import Delivered, lifts
from orch.core.effects import Alert
from orch.core.ids import IssueId, RunId, Sha, TaskRow
from orch.core.messages import CommandReport, CommandVerdict, Probed
from orch.core.model import Deploy, Freeze, Outcome, Run, RunKind, Task, Watch, WatchState
from orch.core.render import render_thawed
from orch.core.turn import Context
from orch.ports import Tx

LANDINGS_MAX = 200
"""How many of the newest tasks are looked at for one whose landing lifts a freeze."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What a look at the newest deploys changed: whom to wake, and the freeze that was lifted."""

    hints: tuple[Hints, ...] = ()
    thawed: Freeze | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the store says: whether a deploy is to be followed, the open watch, and the rollback that should be under way."""

    behind: bool
    watch: Watch | None
    rollback: Run | None
    sha: Sha | None = None
    again: bool = False
    """The rollback was cut off."""


def follow_deploys(tx: Tx, context: Context) -> Followed:
    """Bring watch and freeze into line with the project's newest deploys; a second call changes nothing.

    Called in the transaction that records a deploy's success, and at every look: whichever comes first does it.
    """
    project = context.project
    watch, last = tx.load_watch(project.name), tx.last_deployed(project.name)
    hints: list[Hints] = []
    over = None if watch is None else _over(tx, context, watch, last)
    if watch is not None and over is not None and (task := tx.load_task(watch.task)) is not None:
        ended = decide_watch.superseded(context, task, watch, over, newest=_is_newest(tx, task))
        if ended is not None:
            tx.save_watch(ended.watch)
            hints.append(apply(tx, ended.decided, at=context.now)[1])
    thawed = None
    if last is not None and (watch is None or watch.deploy < last.id) and (task := tx.load_task(last.task)) is not None:
        repo, landed_at = tx.load_repo(project.name), _landed_at(tx, last.task)
        begun = decide_watch.begin(context, task, last, repo=repo, landed_at=landed_at, newest=_is_newest(tx, task))
        tx.save_watch(begun.watch)
        if (thawed := begun.thawed) is not None:
            tx.lift_freeze(project.name)
        hints.append(apply(tx, begun.decided, at=context.now)[1])
    elif (fix := _delivering_landing(tx, context)) is not None:
        thawed = _thaw_by_landing(tx, context, fix)
        hints.append(Hints(project=project.name, outbox=True))
    return Followed(hints=tuple(hints), thawed=thawed)


def _over(tx: Tx, context: Context, watch: Watch, last: Deploy | None) -> str | None:
    """Return why the project's newest watch is not to go on, or None."""
    if last is not None and last.id > watch.deploy:
        return "a later deploy has succeeded"
    if watch.state is not WatchState.WATCHING:
        return None
    if any(deploy.id > watch.deploy for deploy in tx.running_deploys(watch.project)):
        return "a later deploy has begun"
    return "no monitor is configured any more" if context.project.monitor is None else None


def _is_newest(tx: Tx, task: Task) -> bool:
    newest = tx.newest_task(task.project, task.issue)
    return newest is None or newest.row == task.row


def _landed_at(tx: Tx, row: TaskRow) -> datetime | None:
    return max((line.at for line in tx.list_transitions(row) if line.cause == "landed"), default=None)


def _delivering_landing(tx: Tx, context: Context) -> Task | None:
    """In a project without a deploy: the task whose landing lifts the standing freeze, if there is one."""
    standing = tx.load_repo(context.project.name).freeze
    if standing is None or deploys(context.project):
        return None
    for task in tx.list_tasks(project=context.project.name, newest_first=True, limit=LANDINGS_MAX):
        if task.landed is None or task.updated_at < standing.since or (at := _landed_at(tx, task.row)) is None:
            continue
        if lifts(standing, Delivered(begun_at=at, landed_at=at)):
            return task
    return None


def _thaw_by_landing(tx: Tx, context: Context, fix: Task) -> Freeze | None:
    standing = tx.load_repo(context.project.name).freeze
    assert standing is not None
    assert fix.landed is not None
    tx.lift_freeze(fix.project)
    text = render_thawed(standing, fix.work_item, fix.landed, context.project.language)
    tell_world(tx, Alert(kind="thaw", text=text), project=fix.project, task=None, issue=IssueId(""), at=context.now)
    return standing


def look(tx: Tx, context: Context) -> Look:
    project = context.project.name
    watch, last = tx.load_watch(project), tx.last_deployed(project)
    behind = last is not None and (watch is None or watch.deploy < last.id)
    behind = behind or _delivering_landing(tx, context) is not None
    if watch is None:
        return Look(behind=behind, watch=None, rollback=None)
    behind = behind or (watch.state is WatchState.WATCHING and _over(tx, context, watch, last) is not None)
    run, again = _wanted_rollback(tx, watch)
    open_watch = watch if watch.state is WatchState.WATCHING and not behind else None
    return Look(behind=behind, watch=open_watch, rollback=run, sha=watch.sha, again=again)


def _wanted_rollback(tx: Tx, watch: Watch) -> tuple[Run | None, bool]:
    """Return the rollback's run that has no end of its own, and whether it was cut off.

    After a newer deploy, whatever came of it, there is nothing to be rolled back to any more.
    """
    if watch.state is not WatchState.DEGRADED or tx.list_deploys(project=watch.project, limit=1)[0].id != watch.deploy:
        return None, False
    runs = tx.list_runs(task=watch.task)
    mine = [run for run in runs if run.kind is RunKind.ROLLBACK]
    again = decide_watch.rollback_cut_off(runs)
    return (mine[-1] if mine and (again or mine[-1].outcome is None) else None), again


def judge(
    tx: Tx, context: Context, probed: Probed, seen: decide_watch.Observed
) -> tuple[decide_watch.Judged | None, Hints | None]:
    """Inside the transaction: what the probe means for the watch as the store has it now."""
    project = context.project.name
    watch = tx.load_watch(project)
    task = None if watch is None else tx.load_task(watch.task)
    if watch is None or task is None or watch.deploy != probed.deploy or watch.probes != probed.number:
        return None, None
    if _over(tx, context, watch, tx.last_deployed(project)) is not None:
        return None, None
    judged = decide_watch.probed(context, task, watch, seen, repo=tx.load_repo(project), newest=_is_newest(tx, task))
    if judged is None:
        return None, None
    tx.save_watch(judged.watch)
    if judged.freeze is not None:
        tx.set_freeze(judged.freeze)
    if judged.rollback:
        tx.start_run(task, kind=RunKind.ROLLBACK, job=None, role=None, at=context.now)
    return judged, apply(tx, judged.decided, at=context.now)[1] if judged.decided.changed else None


def cut_off_rollbacks(tx: Tx, context: Context) -> None:
    """End the project's rollback runs that count as running though nobody runs them any more."""
    for run in tx.list_runs(running=True):
        if run.kind is RunKind.ROLLBACK and run.project == context.project.name:
            told = "interrupted: its actor was restarted"
            tx.save_run(replace(run, outcome=Outcome.CANCELLED, detail=told, ended_at=context.now))


def begin_rollback_again(tx: Tx, context: Context) -> Hints | None:
    """Insert the next run of a rollback that was cut off; or, where it had all its tries, record that and say so."""
    seen = look(tx, context)
    if not seen.again or seen.rollback is None or (task := tx.load_task(seen.rollback.task)) is None:
        return None
    given_up = decide_watch.rollback_given_up(tx.list_runs(task=task.row))
    run = tx.start_run(task, kind=RunKind.ROLLBACK, job=None, role=None, at=context.now)
    return _end_rollback(tx, context, task, run, CommandReport(verdict=CommandVerdict.INTERRUPTED)) if given_up else None


def end_rollback(tx: Tx, context: Context, ended: RunId, report: CommandReport) -> Hints | None:
    """Record what a rollback came to, once."""
    run = tx.load_run(ended)
    task = None if run is None else tx.load_task(run.task)
    if run is None or run.outcome is not None or task is None:
        return None
    return _end_rollback(tx, context, task, run, report)


def _end_rollback(tx: Tx, context: Context, task: Task, run: Run, report: CommandReport) -> Hints:
    outcome = decide_watch.ROLLBACK_OUTCOME.get(report.verdict, Outcome.FAILED)
    tail = report.tail[-2000:] or report.verdict.value
    ended = replace(run, outcome=outcome, detail=tail, exit_code=report.exit_code, log_path=report.log_path, ended_at=context.now)
    tx.save_run(ended)
    return apply(tx, decide_watch.rolled_back(context, task, report), at=context.now)[1]
