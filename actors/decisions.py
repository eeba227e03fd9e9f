"""A task's part of the transaction: what each decision about it is given, and what is recorded with it.

Owns: which rows are loaded for which decision, and the run, job or inbox row that ends in the same commit.
Does not own: the decisions (``orch.core``), their writing (``persist``), what follows the commit (``task``).
Rule: called inside ``store.transact``.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from actors import accounts, money
from actors.checks import record_ci
from actors.deploying import newest_deploy, record_agent
from actors.persist import end_job
from orch.core import (
    decide_branch,
    decide_budget,
    decide_control,
    decide_evidence,
    decide_person,
    decide_run,
    reconcile,
    resuming,
)
from orch.core.budget import own_cost
from orch.core.effects import PushBranch, ReopenPullRequest, RequeueJob
from orch.core.landing import landing_members
from orch.core.messages import (
    BranchMoved,
    ChangeBudget,
    CommandFinished,
    CommandVerdict,
    Decide,
    EvidenceRead,
    PullRequestClosed,
    RunEnded,
    SendBack,
    TriggerSet,
)
from orch.core.model import Job, JobState, Outcome, RowState, Run, RunKind, Survivor, Task, Usage
from orch.core.stages import Stage
from orch.core.turn import Context, Decided
from orch.failpoints import hit
from orch.ports import Tx

Alive = Callable[[Iterable[str], Iterable[Survivor]], tuple[Survivor, ...]]

OUTCOME_OF = {
    CommandVerdict.GREEN: Outcome.SUCCEEDED,
    CommandVerdict.RED: Outcome.FAILED,
    CommandVerdict.TIMEOUT: Outcome.TIMED_OUT,
    CommandVerdict.INFRA: Outcome.CRASHED,
    CommandVerdict.INTERRUPTED: Outcome.CANCELLED,
}


def end_run(tx: Tx, context: Context, task: Task, ended: RunEnded) -> Decided:
    """Record an agent's run and its cost, end its job unless it goes back, and decide what follows."""
    run = tx.load_run(ended.run)
    job = tx.load_job(run.job) if run is not None and run.job is not None else None
    if run is None or job is None or run.outcome is not None or ended.attempt != task.attempt:
        return Decided(task=task)
    run = _with_result(tx, run, ended, context.now)
    ended = replace(ended, result=replace(ended.result, cost_usd=run.cost_usd))
    tx.save_run(run)
    hit("run.recording")
    if run.stage is Stage.DEPLOY:
        end_job(tx, task.row, good=ended.result.outcome is Outcome.SUCCEEDED)
        return record_agent(tx, context, task, ended)
    ended = money.after_run(tx, context, task, run, accounts.after_run(tx, context, task, run, ended))
    decided = decide_run.run_ended(context, task, job, run, ended)
    if not any(isinstance(effect, RequeueJob) for effect in decided.effects):
        end_job(tx, task.row, good=ended.result.outcome is Outcome.SUCCEEDED)
    return decided


def _with_result(tx: Tx, run: Run, ended: RunEnded, now: datetime) -> Run:
    """Fill in what the run came to. A session's running total is charged as the difference to what is stored of it."""
    result, before = ended.result, 0.0
    if result.session is not None and result.session_cost_usd is not None:
        before = tx.session_total(run.task, result.session, before=run.id)
    return replace(
        run,
        outcome=result.outcome,
        detail=(ended.infrastructure or ended.setup or result.detail or (ended.refusal.reason if ended.refusal else ""))[:2000],
        session=None if result.session_lost else result.session,
        session_cost_usd=result.session_cost_usd,
        usage=result.usage if result.usage != Usage() else run.usage,
        cost_usd=own_cost(result, before, run.cost_usd),
        turns=result.turns or run.turns,
        model=result.model or run.model,
        exit_code=result.exit_code,
        end_head=ended.branch.head if ended.branch else None,
        archive=ended.archive,
        ended_at=now,
    )


def end_command(tx: Tx, context: Context, task: Task, finished: CommandFinished) -> Decided:
    run = tx.load_run(finished.run)
    if run is None or run.outcome is not None:
        return Decided(task=task)
    report = finished.report
    ended = replace(
        run,
        outcome=OUTCOME_OF[report.verdict],
        detail=report.tail[-2000:],
        exit_code=report.exit_code,
        log_path=report.log_path,
        ended_at=context.now,
    )
    tx.save_run(ended)
    if run.kind is RunKind.CI:
        record_ci(tx, ended, finished)
    return decide_evidence.command_finished(context, task, run, finished)


def reconciled(tx: Tx, context: Context, task: Task, read: EvidenceRead) -> Decided:
    evidence = reconcile.stored_evidence(task, tx.latest_verdict(task.row, task.stage))
    if read.facts is not None:
        evidence = replace(evidence, artefacts=read.facts.artefacts)
    return reconcile.reconciled(context, task, read, evidence, active=tx.active_job(task.row) is not None)


def cause_cleared(tx: Tx, context: Context, task: Task) -> Decided:
    newest = tx.list_jobs(task=task.row)
    active = tx.active_job(task.row) is not None
    return resuming.cause_cleared(context, task, active=active, job=newest[-1] if newest else None)


def _is_to_be_put_back(tx: Tx, task: Task, effect: type[PushBranch | ReopenPullRequest]) -> bool:
    """Say whether what a resume puts back has not reached the forge yet: that it was away there says nothing new."""
    return any(row.kind == effect.__name__ for row in tx.list_outbox(state=RowState.PENDING, task=task.row))


def pull_closed(tx: Tx, context: Context, task: Task, closed: PullRequestClosed) -> Decided:
    if _is_to_be_put_back(tx, task, ReopenPullRequest):
        return Decided(task=task)
    return decide_branch.pull_request_closed(context, task, closed)


def branch_moved(tx: Tx, context: Context, task: Task, moved: BranchMoved) -> Decided:
    if moved.new is None and _is_to_be_put_back(tx, task, PushBranch):
        return Decided(task=task)
    job = tx.active_job(task.row)
    running = job is not None and job.state is JobState.RUNNING
    return decide_branch.branch_moved(context, task, moved, running=running)


def _is_landing(tx: Tx, task: Task) -> bool:
    """Say whether an intent to land the task is open: then STOP waits for what becomes of it."""
    return task.row in landing_members(tx.open_intents(task.project))


def person_decided(tx: Tx, context: Context, task: Task, command: Decide, alive: Alive) -> Decided:
    known = tx.list_survivors(task.row).get(task.row, [])
    left = alive((), known)
    if len(left) < len(known):
        tx.save_survivors(task.row, left)
    active = tx.active_job(task.row) is not None
    last = tx.latest_verdict(task.row, task.stage) if task.park is not None else None
    landing, freeze = _is_landing(tx, task), tx.load_repo(task.project).freeze
    deploy, queued = newest_deploy(tx, task)
    job, begun = _newest_job(tx, task)
    return decide_person.decided(
        context, task, command, active=active, landing=landing, freeze=freeze, last=last, survivors=left,
        job=job, begun=begun, deploy=deploy, queued=queued, purse=money.load_purse(tx, context.limits, task),
    )  # fmt: skip


def _newest_job(tx: Tx, task: Task) -> tuple[Job | None, bool]:
    """Return the task's newest job, where it is parked, and whether an agent began that one."""
    jobs = tx.list_jobs(task=task.row) if task.park is not None else []
    job = jobs[-1] if jobs else None
    begun = job is not None and any(run.job == job.id and run.start_head is not None for run in tx.list_runs(task=task.row))
    return job, begun


def budget_changed(tx: Tx, context: Context, task: Task, command: ChangeBudget) -> Decided:
    job, begun = _newest_job(tx, task)
    active = tx.active_job(task.row) is not None
    last = tx.latest_verdict(task.row, task.stage) if task.park is not None else None
    purse = money.load_purse(tx, context.limits, task)
    return decide_budget.changed(context, task, command, purse, active=active, last=last, job=job, begun=begun)


def sent_back(tx: Tx, context: Context, task: Task, command: SendBack) -> Decided:
    return decide_control.sent_back(context, task, command, landing=_is_landing(tx, task))


def triggered(tx: Tx, context: Context, task: Task, trigger: TriggerSet) -> Decided:
    """Handle a board trigger once: its activity entries are marked in the same transaction."""
    for row in trigger.inbox:
        tx.mark_inbox(row, RowState.DONE)
    if not tx.unhandled(task.project, trigger.entries):
        return Decided(task=task)
    tx.mark_handled(task.project, trigger.entries, context.now)
    active = tx.active_job(task.row) is not None
    landing, freeze = _is_landing(tx, task), tx.load_repo(task.project).freeze
    deploy, queued = newest_deploy(tx, task)
    return decide_person.triggered(
        context, task, trigger, active=active, landing=landing, freeze=freeze, deploy=deploy, queued=queued
    )
