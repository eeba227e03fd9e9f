"""The task actor: one live task's decisions, its running attempt, and the cancel scope that ends it.

Owns: the task's stage, its one agent run and its one command run, and the scope that STOP cancels.
Does not own: the landing queue and the mirror's default branch (repo actor), slots.

Desired properties: at most one live agent per task; a message of an older attempt changes nothing; what should be
under way is derived from the store, so that a restart needs no memory.
Design: every handler is one transaction (load → decide → persist), then hints. Long work is a child that reports by message.
Races we accept: a hint may come twice; the second finds nothing to do.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import assert_never

import anyio

from actors.actor import Actor
from actors.attempt import Attempt, load_assignment
from actors.mailbox import Mailbox
from actors.persist import Hints, apply, end_job, requeue_lost_runs, send_hints
from actors.world import Router, World
from orch.core import decide_evidence, decide_person, decide_task
from orch.core.effects import RequeueJob
from orch.core.ids import RunId, Sha, TaskRow
from orch.core.messages import (
    Answer,
    CancelCommand,
    CiReported,
    CommandFinished,
    CommandVerdict,
    Decide,
    LandingRefused,
    PullRequestOpened,
    RunClaimed,
    RunCommand,
    RunEnded,
    RunReleased,
    TaskHint,
    TaskLanded,
    TaskMessage,
    TriggerSet,
    Verb,
)
from orch.core.model import Outcome, Project, RowState, Run, RunKind, Task
from orch.core.turn import Context, Decided
from orch.ports import Tx

IDLE_S = 30.0

Deciding = Callable[[Tx, Context, Task], Decided]

OUTCOME_OF = {
    CommandVerdict.GREEN: Outcome.SUCCEEDED,
    CommandVerdict.RED: Outcome.FAILED,
    CommandVerdict.TIMEOUT: Outcome.TIMED_OUT,
    CommandVerdict.INFRA: Outcome.CRASHED,
    CommandVerdict.INTERRUPTED: Outcome.CANCELLED,
}


class TaskActor(Actor[TaskMessage]):
    """See the module's docstring. *restarted* says that an earlier life of this actor crashed."""

    idle_s = IDLE_S
    retires = True

    def __init__(
        self, mailbox: Mailbox[TaskMessage], world: World, router: Router, row: TaskRow, *, restarted: bool = False
    ) -> None:
        super().__init__(mailbox)
        self._world = world
        self._router = router
        self._row = row
        self._restarted = restarted
        self._attempts: dict[RunId, anyio.CancelScope] = {}
        self._command: tuple[RunKind, Sha, RunId] | None = None

    def may_retire(self) -> bool:
        return not self._attempts and self._command is None

    async def started(self) -> None:
        if self._restarted:
            now = self._world.clock.now()
            await self._world.store.transact(lambda tx: requeue_lost_runs(tx, self._row, now))
        await self._start_what_is_wanted()

    async def handle(self, message: TaskMessage) -> None:
        match message:
            case RunClaimed():
                await self._begin(message)
            case RunEnded():
                await self._decide(lambda tx, context, task: _end_run(tx, context, task, message))
            case CommandFinished():
                if self._command is not None and self._command[2] == message.run:
                    self._command = None
                await self._decide(lambda tx, context, task: _end_command(tx, context, task, message))
            case PullRequestOpened():
                await self._decide(lambda _, context, task: decide_evidence.pull_request_opened(context, task, message))
            case CiReported():
                await self._decide(lambda _, context, task: decide_evidence.ci_reported(context, task, message))
            case LandingRefused():
                await self._decide(lambda _, context, task: decide_evidence.landing_refused(context, task, message))
            case Decide():
                answer = await self._decide(lambda tx, context, task: _person_decided(tx, context, task, message))
                if message.reply is not None:
                    message.reply.answer(answer or Answer(verb=Verb.NOTHING, text="nothing to do"))
            case TriggerSet():
                await self._decide(lambda tx, context, task: _triggered(tx, context, task, message))
            case TaskLanded() | TaskHint():
                await self._start_what_is_wanted()
            case _:
                assert_never(message)

    # -------------------------------------------------------------------------------------------- the one way to decide

    async def _decide(self, decide: Deciding) -> Answer | None:
        """Load, decide and persist in one transaction; then cancellation, hints, and what is now wanted."""

        def work(tx: Tx) -> tuple[Answer | None, Hints | None]:
            task = tx.load_task(self._row)
            if task is None:
                return Answer(verb=Verb.UNKNOWN, text=f"no task with row {int(self._row)}"), None
            context = self._world.context(task.project)
            decided = decide(tx, context, task)
            if not decided.changed and decided.task == task:
                return decided.answer, None
            _, hints = apply(tx, decided, at=context.now)
            return decided.answer, hints

        answer, hints = await self._world.store.transact(work)
        if hints is not None:
            if hints.cancel:
                self._cancel()
            send_hints(self._router, hints)
            await self._start_what_is_wanted()
        return answer

    def _cancel(self) -> None:
        """End whatever the task has running."""
        for scope in self._attempts.values():
            scope.cancel()
        if self._command is not None:
            self._router.commands.tell(CancelCommand(run=self._command[2]))

    # -------------------------------------------------------------------------------------------- agents

    async def _begin(self, claimed: RunClaimed) -> None:
        """Start the attempt of a claimed run; a stale claim only gives the slot back."""

        def work(tx: Tx) -> Attempt | None:
            run = tx.load_run(claimed.run)
            assignment = load_assignment(tx, run) if run is not None else None
            if assignment is None:
                return None
            return Attempt(self._world, self._world.services[assignment.task.project], assignment)

        attempt = await self._world.store.read(work)
        if attempt is None or claimed.run in self._attempts:
            claimed.slot.tell(RunReleased(run=claimed.run))
            return
        scope = anyio.CancelScope()
        self._attempts[claimed.run] = scope
        self.children.start_soon(self._execute, attempt, claimed, scope)

    async def _execute(self, attempt: Attempt, claimed: RunClaimed, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                self.mailbox.tell(await attempt.execute())
        finally:
            del self._attempts[claimed.run]
            claimed.slot.tell(RunReleased(run=claimed.run))

    # -------------------------------------------------------------------------------------------- the daemon's own commands

    async def _start_what_is_wanted(self) -> None:
        """Start the command that the task as it stands calls for, unless it is under way."""
        if self._command is not None:
            return

        def work(tx: Tx) -> tuple[Run, Sha] | None:
            task = tx.load_task(self._row)
            if task is None:
                return None
            context = self._world.context(task.project)
            wanted = decide_evidence.wants(task, context)
            if wanted is None:
                return None
            kind, sha = wanted
            run = replace(tx.start_run(task, kind=kind, job=None, role=None, at=context.now), start_head=sha)
            tx.save_run(run)
            return run, sha

        started = await self._world.store.transact(work)
        if started is not None:
            run, sha = started
            self._command = (run.kind, sha, run.id)
            project = self._world.services[run.project].project
            self._router.commands.tell(_run_command(run, sha, project, self.mailbox))


def _run_command(run: Run, sha: Sha, project: Project, reply: Mailbox[TaskMessage]) -> RunCommand:
    match run.kind:
        case RunKind.CI:
            command, timeout_s = project.test_command, project.test_timeout_s
        case RunKind.STAGING:
            command, timeout_s = project.deploy.staging_command, project.deploy.timeout_s
        case RunKind.DEPLOY:
            command, timeout_s = project.deploy.command, project.deploy.timeout_s
        case RunKind.AGENT | RunKind.LAND:
            raise ValueError(f"{run.kind} is no command of a task")
        case _:
            assert_never(run.kind)
    return RunCommand(
        run=run.id,
        attempt=run.attempt,
        project=run.project,
        task=run.task,
        sha=sha,
        command=command,
        prepare=run.kind is RunKind.CI,
        timeout_s=timeout_s,
        reply=reply,
    )


# ------------------------------------------------------------------------------------------------ inside the transaction


def _end_run(tx: Tx, context: Context, task: Task, ended: RunEnded) -> Decided:
    """Record an agent's run and its cost, end its job unless it goes back, and decide what follows."""
    run = tx.load_run(ended.run)
    job = tx.load_job(run.job) if run is not None and run.job is not None else None
    if run is None or job is None or run.outcome is not None or ended.attempt != task.attempt:
        return Decided(task=task)
    run = _with_result(tx, run, ended, context.now)
    ended = replace(ended, result=replace(ended.result, cost_usd=run.cost_usd))
    tx.save_run(run)
    decided = decide_task.run_ended(context, task, job, run, ended)
    if not any(isinstance(effect, RequeueJob) for effect in decided.effects):
        end_job(tx, task.row, good=ended.result.outcome is Outcome.SUCCEEDED)
    return decided


def _with_result(tx: Tx, run: Run, ended: RunEnded, now: datetime) -> Run:
    """Fill in what the run came to. A session's running total is charged as the difference to what is stored of it."""
    result = ended.result
    cost = result.cost_usd
    if result.session is not None and result.session_cost_usd is not None:
        stored = tx.session_total(run.task, result.session)
        cost = result.session_cost_usd - stored if result.session_cost_usd >= stored else result.session_cost_usd
    return replace(
        run,
        outcome=result.outcome,
        detail=(ended.infrastructure or result.detail or (ended.refusal.reason if ended.refusal else ""))[:2000],
        session=None if result.session_lost else result.session,
        session_cost_usd=result.session_cost_usd,
        usage=result.usage,
        cost_usd=cost,
        turns=result.turns,
        model=result.model or run.model,
        exit_code=result.exit_code,
        end_head=ended.branch.head if ended.branch else None,
        archive=ended.archive,
        ended_at=now,
    )


def _end_command(tx: Tx, context: Context, task: Task, finished: CommandFinished) -> Decided:
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
    return decide_evidence.command_finished(context, task, run, finished)


def _person_decided(tx: Tx, context: Context, task: Task, command: Decide) -> Decided:
    active = tx.active_job(task.row) is not None
    return decide_person.decided(context, task, command, active=active)


def _triggered(tx: Tx, context: Context, task: Task, trigger: TriggerSet) -> Decided:
    """Handle a board trigger once: its activity entries are marked in the same transaction."""
    for row in trigger.inbox:
        tx.mark_inbox(row, RowState.DONE)
    if not tx.unhandled(task.project, trigger.entries):
        return Decided(task=task)
    tx.mark_handled(task.project, trigger.entries, context.now)
    active = tx.active_job(task.row) is not None
    return decide_person.triggered(context, task, trigger, active=active)
