"""Deploys inside the transaction: what is known of a project's, the next step, and the record of what one came to.

Owns: which rows a decision about a deploy is made from, and where its parts are written. Does not own: when (``deploys``), what
it means (``orch.core.decide_deploy``).
Rule: the intent is one transaction: run, slot and task together; so is the end. Whoever comes second finds the slot taken, or the
deploy ended, and writes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import assert_never, final

from actors.persist import Hints, apply
from orch.core import decide_deploy, deploy_agent
from orch.core.decide_deploy import FAILURES
from orch.core.deploy_plan import Deliver, DeployFacts, DeployPlan, Hold, Postpone, Start, Void, carried_with, plan_deploy
from orch.core.effects import KeepDeploy
from orch.core.ids import DeployId, Sha, TaskRow
from orch.core.messages import DeployEnded, DeployEnding, DeployShown, RunEnded
from orch.core.model import (
    Awaiting,
    Deploy,
    DeployQuestion,
    DeployState,
    JobState,
    Outcome,
    Project,
    Run,
    RunKind,
    Task,
)
from orch.core.stages import Role, Stage, is_terminal
from orch.core.turn import Context, Decided
from orch.failpoints import hit
from orch.ports import Tx

LogPath = Callable[[DeployId, int], Path]
Known = Mapping[tuple[Sha, Sha], bool]
"""Of (commit, tip): whether *tip* holds *commit*, as far as git was asked."""

OVER = (DeployState.SUCCEEDED, *FAILURES)
OUTCOMES = {
    DeployState.SUCCEEDED: Outcome.SUCCEEDED,
    DeployState.FAILED: Outcome.FAILED,
    DeployState.ROLLED_BACK: Outcome.FAILED,
    DeployState.NO_RESULT: Outcome.CRASHED,
    DeployState.WITHDRAWN: Outcome.CANCELLED,
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployView:
    """What the store says of a project's deploys. *agent* says that the running one is the deployer's agent's, *lost* that this
    one's job is over without having been recorded. *strays* wait for what will not come.
    """

    facts: DeployFacts
    plan: DeployPlan
    agent: bool = False
    lost: bool = False
    strays: tuple[Task, ...] = ()

    def unasked(self, known: Known) -> tuple[Sha, ...]:
        """Return the landings of which it is not known whether production holds them."""
        last = self.facts.last
        if last is None:
            return ()
        landings = dict.fromkeys(task.landed for task in self.facts.waiting if task.landed is not None)
        return tuple(sha for sha in landings if sha != last.sha and (sha, last.sha) not in known)


def deploys(project: Project) -> bool:
    """Say whether the project has a deploy at all."""
    return bool(project.deploy.command) or project.deploy.agent


def running_deploy(tx: Tx, task: Task) -> tuple[Deploy | None, bool]:
    """Return the task's running deploy, and whether it is an agent's that no slot has claimed."""
    mine = [deploy for deploy in tx.running_deploys(task.project) if deploy.task == task.row]
    if not mine:
        return None, False
    job = tx.active_job(task.row) if _is_agents(tx, mine[0]) else None
    return mine[0], job is not None and job.state is JobState.QUEUED


def newest_deploy(tx: Tx, task: Task) -> tuple[Deploy | None, bool]:
    """Return the task's newest deploy, whatever became of it, and whether it is an agent's that no slot has claimed."""
    running, queued = running_deploy(tx, task)
    return running or next(iter(tx.list_deploys(task=task.row, limit=1)), None), queued


def _is_agents(tx: Tx, deploy: Deploy) -> bool:
    run = tx.load_run(deploy.run)
    return run is not None and run.role is Role.DEPLOYER


def look(tx: Tx, context: Context, known: Known) -> DeployView:
    """Read what decides about the project's next deploy."""
    project = context.project.name
    waiting = tx.undeployed(project)
    running, last = next(iter(tx.running_deploys(project)), None), tx.last_deployed(project)
    ended = [deploy for deploy in tx.list_deploys(project=project) if deploy.state in OVER]
    agent = running is not None and _is_agents(tx, running)
    job = tx.active_job(running.task) if running is not None and agent else None
    facts = DeployFacts(
        waiting=waiting,
        running=running,
        last=last,
        failed=ended[0] if ended and ended[0].state in FAILURES else None,
        freeze=tx.load_repo(project).freeze,
        held={} if last is None else _held(waiting, last.sha, known),
        confirmed={task.row: at for task in waiting if (at := _confirmed_at(tx, task)) is not None},
        confirm=context.project.deploy.confirm,
        queued=job is not None and job.state is JobState.QUEUED,
        rolling_back=any(run.kind is RunKind.ROLLBACK and run.project == project for run in tx.list_runs(running=True)),
    )
    strays = [task for task in waiting if decide_deploy.is_stray(task, running)]
    plan = plan_deploy(facts)
    return DeployView(facts=facts, plan=plan, agent=agent, lost=agent and job is None, strays=tuple(strays))


def _held(waiting: list[Task], tip: Sha, known: Known) -> dict[Sha, bool]:
    held = {task.landed: known[task.landed, tip] for task in waiting if task.landed and (task.landed, tip) in known}
    return {**held, tip: True}


def _confirmed_at(tx: Tx, task: Task) -> datetime | None:
    if task.awaiting is not Awaiting.DEPLOY_TURN:
        return None
    return max((line.at for line in tx.list_transitions(task.row) if line.cause == "deploy-confirmed"), default=None)


# ------------------------------------------------------------------------------------------------ the next step


def step(tx: Tx, context: Context, known: Known, log_path: LogPath) -> tuple[DeployPlan, Hints | None]:
    """Do the one next thing, and say which; a ``Hold`` did nothing."""
    view = look(tx, context, known)
    if view.strays:
        return Void(task=view.strays[0].row), _apply(tx, context, decide_deploy.unaccounted(context, view.strays[0]))
    plan = view.plan
    match plan:
        case Start():
            return plan, _start(tx, context, plan, log_path)
        case Deliver():
            by = tx.load_task(plan.by.task)
            assert by is not None, "a deploy names its task"
            return plan, _apply(tx, context, decide_deploy.delivered(context, _task(tx, plan.task), plan.by, by.work_item))
        case Void():
            return plan, _apply(tx, context, decide_deploy.voided(context, _task(tx, plan.task), plan))
        case Postpone():
            return plan, _record(tx, context, plan.deploy, decide_deploy.postponed(context, _task(tx, plan.deploy.task), plan))
        case Hold():
            return plan, None
        case _:
            assert_never(plan)


def _task(tx: Tx, row: TaskRow) -> Task:
    task = tx.load_task(row)
    assert task is not None, "a deploy names a task that exists"
    return task


def _apply(tx: Tx, context: Context, decided: Decided) -> Hints | None:
    return apply(tx, decided, at=context.now)[1] if decided.changed else None


def _start(tx: Tx, context: Context, plan: Start, log_path: LogPath) -> Hints | None:
    """Record the intent: a run for people to look at, the slot, and the task."""
    task, settings, now = _task(tx, plan.task), context.project.deploy, context.now
    role = Role.DEPLOYER if settings.agent else None
    run = tx.start_run(task, kind=RunKind.DEPLOY, job=None, role=role, at=now)
    hit("deploy.intending")
    begun = tx.begin_deploy(
        Deploy(
            id=DeployId(0),
            project=task.project,
            task=task.row,
            run=run.id,
            sha=plan.sha,
            tries=0 if settings.agent else 1,
            deadline_at=now + timedelta(seconds=settings.timeout_s),
            started_at=now,
        )
    )
    assert begun is not None, "the slot was seen to be free in this transaction"
    tx.save_run(replace(run, start_head=plan.sha, log_path="" if settings.agent else str(log_path(begun.id, 1))))
    return _apply(tx, context, decide_deploy.started(context, task, begun, agent=settings.agent))


def begin_next_try(tx: Tx, deploy: DeployId, number: int, log_path: LogPath) -> Deploy | None:
    """Begin the try after *number*, which is due; None where that is not wanted any more."""
    found = tx.load_deploy(deploy)
    if found is None or found.state is not DeployState.RUNNING or found.tries != number or found.due_at is None:
        return None
    if tx.load_repo(found.project).freeze is not None and not _task(tx, found.task).exempt:
        return None  # the plan postpones it
    begun = replace(found, tries=number + 1, due_at=None)
    tx.save_deploy(begun)
    run = tx.load_run(found.run)
    if run is not None:
        tx.save_run(replace(run, log_path=str(log_path(deploy, begun.tries))))
    return begun


# ------------------------------------------------------------------------------------------------ what one came to


def record(tx: Tx, context: Context, ended: DeployEnded) -> Hints | None:
    """Write what a try came to; None, and nothing written, where that is known already."""
    deploy = tx.load_deploy(ended.deploy)
    if deploy is None or deploy.state is not DeployState.RUNNING or deploy.tries != ended.number or deploy.due_at is not None:
        return None
    return _record(tx, context, deploy, decide_deploy.ended(context, _task(tx, deploy.task), deploy, ended), ended)


def record_lost_agent(tx: Tx, context: Context, deploy: DeployId) -> Hints | None:
    """The deployer's agent was cut off, by a restart or by its actor's end: no result, and no second try."""
    found = tx.load_deploy(deploy)
    if found is None or found.state is not DeployState.RUNNING or tx.active_job(found.task) is not None:
        return None
    return record(tx, context, DeployEnded(deploy=deploy, number=found.tries, ending=DeployEnding.LOST))


def record_agent(tx: Tx, context: Context, task: Task, ended: RunEnded) -> Decided:
    """Decide what the end of the deployer's agent means; whoever handles its run writes that."""
    deploy, _ = running_deploy(tx, task)
    if deploy is None:
        return Decided(task=task)
    decided = deploy_agent.agent_ended(context, task, deploy, ended)
    kept = next((effect.deploy for effect in decided.effects if isinstance(effect, KeepDeploy)), None)
    shown = tx.load_run(deploy.run)
    if kept is not None and shown is not None:
        tx.save_run(_ended_run(shown, kept, context, None))
    return decided


def _record(tx: Tx, context: Context, deploy: Deploy, decided: Decided, ended: DeployEnded | None = None) -> Hints | None:
    """End the deploy's run with it, while the task's attempt is the one it carries; then write the decision."""
    kept = next((effect.deploy for effect in decided.effects if isinstance(effect, KeepDeploy)), None)
    run = tx.load_run(deploy.run)
    if kept is not None and run is not None and (kept.ended_at is not None or (ended is not None and ended.survivors)):
        tx.save_run(_ended_run(run, kept, context, ended))
        hit("deploy.recording")
    return _apply(tx, context, decided)


def _ended_run(run: Run, deploy: Deploy, context: Context, ended: DeployEnded | None) -> Run:
    timed_out = ended is not None and ended.ending is DeployEnding.TIMED_OUT
    outcome = Outcome.TIMED_OUT if timed_out else OUTCOMES.get(deploy.state, Outcome.CRASHED)
    told = ended.tail[-2000:] if ended is not None and ended.tail else deploy.detail
    return replace(run, outcome=outcome, exit_code=deploy.exit_code, detail=told, ended_at=context.now)


# ------------------------------------------------------------------------------------------------ the question


def ask(tx: Tx, context: Context, shown: DeployShown, known: Known) -> Hints | None:
    """Ask a person about a task's deploy, with what is known of it now."""
    task, view = tx.load_task(shown.task), look(tx, context, known)
    if task is None or task.landed != shown.sha:
        return None
    held = view.facts.held
    carried = [t for t in carried_with(task, view.facts.waiting) if t.landed and not held.get(t.landed)]
    exit_code, seconds = _tested(tx, task)
    question = DeployQuestion(
        work_item=task.work_item,
        sha=shown.sha,
        carries=tuple(f"{each.work_item.partition('#')[0]} {each.title_now}{_told_of(each)}" for each in carried),
        diff=shown.diff,
        tested_exit=exit_code,
        tested_s=seconds,
        after=view.facts.failed,
    )
    return _apply(tx, context, decide_deploy.asked(context, task, question))


def _told_of(task: Task) -> str:
    if task.stage is Stage.CANCELLED:
        return " (stopped)"
    return " (parked)" if task.park is not None else ""


def _tested(tx: Tx, task: Task) -> tuple[int | None, float]:
    """Return exit code and seconds of the test run that made the task land."""
    checks = [c for c in tx.list_checks(task.project) if c.verdict == "green" and any(m.task == task.row for m in c.members)]
    newest = max(checks, key=lambda check: (check.sha == task.landed, check.id), default=None)
    if newest is not None:
        run = tx.load_run(newest.run) if newest.run is not None else None
        return (run.exit_code if run is not None and run.exit_code is not None else 0), newest.seconds
    tests = [run for run in tx.list_runs(task=task.row) if run.kind is RunKind.LAND and run.outcome is Outcome.SUCCEEDED]
    if not tests or tests[-1].ended_at is None:
        return None, 0.0
    return tests[-1].exit_code, (tests[-1].ended_at - tests[-1].started_at).total_seconds()


def undeployable(tx: Tx, context: Context) -> Hints | None:
    """Take on a task that waits for a deploy in a project that has none any more."""
    for task in tx.undeployed(context.project.name):
        if not is_terminal(task.stage):
            decided = decide_deploy.passed(context, task)
            if decided.changed:
                return _apply(tx, context, decided)
    return None
