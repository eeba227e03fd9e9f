"""The task actor: one live task's decisions, its running attempt, and the cancel scope that ends it.

Owns: the task's stage, its one agent run and its one command run, and the scope that STOP cancels.
Does not own: the landing queue and the mirror's default branch (repo actor), slots, what a decision is given (``decisions``).

Desired properties: at most one live agent per task; a message of an older attempt changes nothing; what should be
under way is derived from the store, so that a restart needs no memory.
Design: every handler is one transaction (load → decide → persist), then hints; after it what runs is brought into line with
the store, whoever changed it. Long work is a child that reports by message. A command goes on when this actor crashes: its
result comes to the mailbox, which outlives the crash.
Races we accept: a hint may come twice; the second finds nothing to do.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import anyio

from actors import decisions
from actors.actor import Actor, Failure
from actors.attempt import Attempt, load_assignment
from actors.mailbox import Mailbox
from actors.persist import Hints, apply, bury, requeue_lost_agents, send_hints
from actors.sweep import sweep
from actors.task_command import UnderWay, look_at, report_staging, run_command, start_command
from actors.world import Router, World
from orch.core import (
    decide_branch,
    decide_evidence,
    reconcile,
)
from orch.core.errors import ExternalError, StoreError
from orch.core.ids import RunId, TaskRow
from orch.core.messages import (
    Answer,
    BranchMoved,
    CancelCommand,
    CauseCleared,
    ChangeBudget,
    CiReported,
    CiSilent,
    CommandFinished,
    CommandReport,
    CommandVerdict,
    Decide,
    Decision,
    EvidenceRead,
    InboxHint,
    IssueChanged,
    JobsWaiting,
    LandingRefused,
    MergedOutside,
    PullRequestClosed,
    PullRequestOpened,
    RunClaimed,
    RunEnded,
    RunReleased,
    RunTouched,
    SendBack,
    TaskHint,
    TaskLanded,
    TaskMessage,
    TaskTouched,
    TriggerSet,
    Verb,
)
from orch.core.model import Run, RunKind, Task
from orch.core.retry import backoff
from orch.core.stages import is_terminal
from orch.core.turn import Context, Decided
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import Tx

IDLE_S = 30.0

Deciding = Callable[[Tx, Context, Task], Decided]


class TaskActor(Actor[TaskMessage]):
    """See the module's docstring. *failure* says how an earlier life of this actor crashed."""

    idle_s = IDLE_S
    retires = True

    def __init__(
        self, mailbox: Mailbox[TaskMessage], world: World, router: Router, row: TaskRow, *, failure: Failure | None = None
    ) -> None:
        super().__init__(mailbox)
        self._world = world
        self._router = router
        self._row = row
        self._failure = failure
        self._attempts: dict[RunId, anyio.CancelScope] = {}
        self._alone = anyio.Lock()
        """Held by the attempt that has the working copy: one that was cancelled keeps it until its archive is made."""
        self._command: UnderWay | None = None
        self._sweeping = False

    def may_retire(self) -> bool:
        return not self._attempts and self._command is None and not self._sweeping

    async def started(self) -> None:
        if self._failure is not None:
            await self._recover(self._failure)
        await self._align()

    async def handle(self, message: TaskMessage) -> None:
        match message:
            case RunClaimed():
                await self._begin(message)
            case RunEnded():
                hit("run.ended")
                await self._decide(lambda tx, context, task: decisions.end_run(tx, context, task, message))
                hit("run.recorded")
                self._router.slots.tell(JobsWaiting())  # until now the run counted as running: its place is free
            case CommandFinished() if self._has_staging_to_report(message):
                self.children.start_soon(self._report_staging, message)
            case CommandFinished():
                await self._decide(lambda tx, context, task: decisions.end_command(tx, context, task, message))
                hit("command.recorded")
                if self._command is not None and self._command.run == message.run:
                    self._command = None
            case PullRequestOpened():
                await self._decide(lambda _, context, task: decide_evidence.pull_request_opened(context, task, message))
            case CiReported():
                await self._decide(lambda _, context, task: decide_evidence.ci_reported(context, task, message))
            case LandingRefused():
                await self._decide(lambda _, context, task: decide_evidence.landing_refused(context, task, message))
            case PullRequestClosed():
                await self._decide(lambda tx, context, task: decisions.pull_closed(tx, context, task, message))
            case MergedOutside():
                await self._decide(lambda _, context, task: decide_branch.merged_outside(context, task, message))
            case BranchMoved():
                await self._decide(lambda tx, context, task: decisions.branch_moved(tx, context, task, message))
            case Decide():
                alive = self._world.processes.living
                await self._answer(message, lambda tx, context, task: decisions.person_decided(tx, context, task, message, alive))
            case SendBack():
                await self._answer(message, lambda tx, context, task: decisions.sent_back(tx, context, task, message))
            case ChangeBudget():
                await self._answer(message, lambda tx, context, task: decisions.budget_changed(tx, context, task, message))
            case TriggerSet():
                await self._trigger(message)
            case CauseCleared():
                await self._decide(decisions.cause_cleared)
            case CiSilent():
                await self._decide(lambda _, context, task: reconcile.ci_absent(context, task, message.sha))
            case EvidenceRead():
                await self._decide(lambda tx, context, task: decisions.reconciled(tx, context, task, message))
            case TaskLanded() | TaskHint():
                pass
            case _:
                assert_never(message)
        await self._align()

    # -------------------------------------------------------------------------------------------- the one way to decide

    async def _decide(self, decide: Deciding) -> Answer | None:
        """Load, decide and persist in one transaction, then send the hints. What follows for what runs is ``_align``."""

        def work(tx: Tx) -> tuple[Answer | None, Hints | None]:
            task = tx.load_task(self._row)
            if task is None:
                return Answer(verb=Verb.UNKNOWN, text=f"no task with row {int(self._row)}"), None
            if task.project not in self._world.services:
                told = f"{task.work_item}: its project {task.project} is not configured any more"
                return Answer(verb=Verb.REFUSED, text=told, id=task.work_item), None
            context = self._world.context(task.project)
            decided = decide(tx, context, task)
            if not decided.changed and decided.task == task:
                return decided.answer, None
            _, hints = apply(tx, decided, at=context.now)
            return decided.answer, hints

        answer, hints = await self._world.store.transact(work)
        if hints is not None:
            send_hints(self._router, hints)
        return answer

    async def _answer(self, command: Decide | SendBack | ChangeBudget, decide: Deciding) -> None:
        """Decide for a person who waits. What the store cannot take now they are told at once; STOP alone is tried on."""
        try:
            answer = await self._decide(decide)
        except StoreError as error:
            stop = isinstance(command, Decide) and command.decision is Decision.STOP
            more = "STOP is tried again until it is recorded" if stop else "nothing was done, try again later"
            if command.reply is not None:
                command.reply.answer(Answer(verb=Verb.UNAVAILABLE, text=f"The store cannot write: {more}: {error}"))
            if stop or command.reply is None:
                raise
            return
        hit("decision.recorded")
        if command.reply is not None:
            command.reply.answer(answer or Answer(verb=Verb.NOTHING, text="nothing to do"))

    async def _trigger(self, trigger: TriggerSet) -> None:
        """Handle a board trigger; one that met a task that has ended meanwhile is the repo's again (it may start a new one)."""
        task = await self._world.store.read(lambda tx: tx.load_task(self._row))
        if task is not None and is_terminal(task.stage) and task.project in self._world.services:
            for row in trigger.inbox or (None,):
                self._router.repo(task.project).tell(IssueChanged(issue=task.issue, inbox=row))
            return
        await self._decide(lambda tx, context, task: decisions.triggered(tx, context, task, trigger))
        hit("trigger.handled")

    # -------------------------------------------------------------------------------------------- after a crash

    async def _recover(self, failure: Failure) -> None:
        """Bury what crashed the earlier life; its agents go back to the queue, its command goes on and reports here.

        It is asked for again: one that still runs is not begun twice, one whose result died with the earlier life runs anew.
        """
        letter = failure.letter

        def work(tx: Tx) -> tuple[Hints | None, Run | None]:
            task = tx.load_task(self._row)
            if task is None or task.project not in self._world.services:
                return None, None
            context = self._world.context(task.project)
            bury(tx, letter, task.project, failure.error, context.now)
            running = tx.list_runs(task=self._row, running=True)
            going = {run.id for run in running if run.kind in (RunKind.CI, RunKind.STAGING)}
            decided = Decided(task=task)
            if isinstance(letter, CommandFinished) and letter.run in going:
                going.discard(letter.run)
                unread = CommandReport(verdict=CommandVerdict.INFRA, tail=f"its result could not be handled: {failure.error}")
                decided = decisions.end_command(tx, context, task, replace(letter, report=unread))
            if not requeue_lost_agents(tx, self._row, context.now):
                decided = decide_evidence.actor_failed(context, task, failure.error)
            command = next((run for run in running if run.id in going), None)
            return (apply(tx, decided, at=context.now)[1] if decided.changed else None), command

        hints, command = await self._world.store.transact(work)
        if hints is not None:
            send_hints(self._router, hints)
        if command is not None:
            self._ask_for(command)
        self._router.slots.tell(JobsWaiting())

    # -------------------------------------------------------------------------------------------- agents

    async def _begin(self, claimed: RunClaimed) -> None:
        """Start the attempt of a claimed run; a stale claim only gives the slot back."""

        def touched() -> None:
            self._router.publisher.tell(RunTouched(task=self._row, run=claimed.run))

        def work(tx: Tx) -> Attempt | None:
            run = tx.load_run(claimed.run)
            assignment = load_assignment(tx, run) if run is not None else None
            if assignment is None:
                return None
            return Attempt(self._world, self._world.services[assignment.task.project], assignment, touched)

        if claimed.run in self._attempts:
            return
        attempt = await self._world.store.read(work)
        if attempt is None:
            claimed.slot.tell(RunReleased(run=claimed.run))
            return
        hit("run.begun")
        scope = anyio.CancelScope()
        self._attempts[claimed.run] = scope
        self.children.start_soon(self._execute, attempt, claimed, scope)

    async def _execute(self, attempt: Attempt, claimed: RunClaimed, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                async with self._alone:
                    self.mailbox.tell(await attempt.execute())
        finally:
            del self._attempts[claimed.run]
            claimed.slot.tell(RunReleased(run=claimed.run))
            self.mailbox.tell(TaskHint())  # what waited for the end of the run may begin

    # -------------------------------------------------------------------------------------------- what should be under way

    async def _align(self) -> None:
        """Bring what runs into line with the store: end what is over or not wanted any more, start what is wanted."""
        mine = tuple(self._attempts)
        look = await self._world.store.read(lambda tx: look_at(tx, self._world, self._row, mine))
        for run in look.over:
            if (scope := self._attempts.get(run)) is not None:
                scope.cancel()
        if self._command is not None:
            if look.wanted != (self._command.kind, self._command.sha):
                self._router.commands.tell(CancelCommand(run=self._command.run))
            return
        if look.ended is not None and not self._attempts and not self._sweeping:
            self._sweeping = True
            self.children.start_soon(self._sweep, look.ended)
        if look.wanted is None:
            return
        started = await self._world.store.transact(lambda tx: start_command(tx, self._world, self._row))
        if started is not None:
            hit("command.wanted")
            self._ask_for(started)

    def _ask_for(self, run: Run) -> None:
        """Ask the command slots to carry out a command's run, which is the task's one command from now on."""
        self._command = UnderWay.of(run)
        project = self._world.services[run.project].project
        self._router.commands.tell(run_command(run, self._command.sha, project, self.mailbox))

    async def _sweep(self, task: Task) -> None:
        """Clean up after the task, again and again until it is done; then a card that waited for it is looked at."""
        failures = 0
        while True:
            try:
                await sweep(self._world, self._router, self._world.services[task.project], task)
                break
            except (ExternalError, StoreError) as error:
                failures += 1
                get_logger("sweep").warning("again", task=task.work_item, error=str(error), failures=failures)
                await self._world.clock.sleep(backoff(failures))
        self._sweeping = False
        self._router.publisher.tell(TaskTouched(task=task.row))
        self._router.intake.tell(InboxHint())

    def _has_staging_to_report(self, finished: CommandFinished) -> bool:
        """Say whether the staging command gave a verdict that is not on the branch yet."""
        mine = self._command is not None and self._command.run == finished.run and self._command.kind is RunKind.STAGING
        return mine and finished.head is None and finished.report.verdict in (CommandVerdict.GREEN, CommandVerdict.RED)

    async def _report_staging(self, finished: CommandFinished) -> None:
        """Write the staging report onto the branch, then hand the result in."""
        self.mailbox.tell(await report_staging(self._world, self._row, finished))
