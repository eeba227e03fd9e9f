"""Concurrency limits as mailboxes: N receivers claim jobs, M receivers run the projects' own commands.

Owns: how many agents and how many test commands run at once. Does not own what they do.
Rule: waiting for a slot holds nothing; a slot that is free asks the store, so a lost hint only delays (``POLL_S``).
Races we accept: after a crash of the slots themselves the runs that go on hold their slots until the next look at the store.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import assert_never, final

import anyio

from actors import accounts, money
from actors.actor import Actor, store_wait_s
from actors.mailbox import Mailbox
from actors.persist import Hints, apply, send_hints
from actors.world import Router, World
from orch.core.decide_task import launched
from orch.core.errors import ActorDied, ExternalError, MailboxFull, StoreError
from orch.core.ids import RunId, Sha
from orch.core.landing import environment_of
from orch.core.messages import (
    CancelCommand,
    CommandFinished,
    CommandReport,
    CommandSlotMessage,
    CommandVerdict,
    JobsWaiting,
    LimitsChanged,
    RunClaimed,
    RunCommand,
    RunReleased,
)
from orch.core.model import Outcome, RoleSettings, RunKind
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import Claimed, NothingToClaim, Tx

POLL_S = 30.0
ROOM_S = 10.0
"""How long until the room is measured again where there was too little."""
AWAY_S = 600.0
"""After this long a job whose project is not configured is looked at again."""
_log = get_logger("slots")


@final
class AgentSlots(Actor[JobsWaiting]):
    """``max_concurrency`` receivers on one mailbox; each holds one run at a time.

    A reload may add receivers; one beyond the limit finishes its run and claims nothing more.
    """

    def __init__(self, mailbox: Mailbox[JobsWaiting], world: World, router: Router) -> None:
        super().__init__(mailbox)
        self._world = world
        self._router = router
        self._wake: list[anyio.Event] = []
        self._held: Iterator[RunId] = iter(())

    async def started(self) -> None:
        """Give every slot its receiver; what an earlier life of this actor had started keeps its slot."""
        running = await self._world.store.read(lambda tx: tx.list_runs(running=True))
        self._held = iter([run.id for run in running if run.kind is RunKind.AGENT])
        self._fill_up()

    def _fill_up(self) -> None:
        for number in range(len(self._wake), self._world.limits.max_concurrency):
            self._wake.append(anyio.Event())
            self.children.start_soon(self._receive, number)

    async def handle(self, message: JobsWaiting) -> None:
        del message
        self._fill_up()
        for event in self._wake:
            event.set()

    async def _receive(self, number: int) -> None:
        """One slot: claim, hand over, wait for the release; sleep when there is nothing."""
        failures = 0
        with closing(Mailbox[RunReleased](f"slot-{number}", hints=(RunReleased,))) as released:
            for run in self._held:
                await self._until_released(released, run)
            while True:
                self._wake[number] = anyio.Event()
                try:
                    claimed = await self._next_run(number)
                    failures = 0
                    if isinstance(claimed, Claimed):
                        await self._hold(claimed, released)
                        continue
                    wait_s = claimed
                except (StoreError, OSError) as error:
                    failures += 1
                    wait_s = store_wait_s(failures)
                    _log.warning("nothing is claimed", error=str(error))
                with anyio.move_on_after(wait_s):
                    await self._wake[number].wait()

    async def _next_run(self, number: int) -> Claimed | float:
        """Claim the next run, or return how long there will be none for this slot."""
        if number >= self._world.limits.max_concurrency:
            return POLL_S
        if await self._world.measure_room():
            return ROOM_S
        claimed = await self._claim()
        return claimed if isinstance(claimed, Claimed) else self._patience(claimed.due_at)

    async def _hold(self, claimed: Claimed, released: Mailbox[RunReleased]) -> None:
        """Hand a run to its task's actor and keep the slot for it."""
        run, refused = claimed.run, ""
        try:
            self._router.task(run.task).tell(RunClaimed(run=run.id, attempt=run.attempt, slot=released))
        except (MailboxFull, ActorDied) as error:
            refused = str(error)
        if not refused:
            hit("job.handed")
            await self._until_released(released, run.id)
            return
        _log.error("not handed over", task=claimed.task.work_item, run=int(run.id), error=refused)
        await self._world.store.transact(lambda tx: self._put_back(tx, claimed, POLL_S, refused))

    async def _until_released(self, released: Mailbox[RunReleased], run: RunId) -> None:
        """Wait for the release; the store has the last word, should the message be lost with its sender."""
        while True:
            with anyio.move_on_after(POLL_S):
                if (await released.receive()).run == run:
                    return
                continue
            try:
                stored = await self._world.store.read(lambda tx: tx.load_run(run))
            except StoreError:
                continue
            if stored is None or stored.outcome is not None:
                return

    def _patience(self, due_at: datetime | None) -> float:
        if due_at is None:
            return POLL_S
        return min(POLL_S, max(0.05, (due_at - self._world.clock.now()).total_seconds()))

    async def _claim(self) -> Claimed | NothingToClaim:
        now = self._world.clock.now()

        def work(tx: Tx) -> tuple[Claimed | NothingToClaim, list[Hints]]:
            registry = self._world.registry()
            asked = money.ask(tx, self._world, now)
            gate = accounts.look(tx, registry.projects.values(), now)
            claimed = tx.claim_job(now, registry.limits, gate.closed)
            while isinstance(claimed, Claimed) and claimed.task.project not in self._world.services:
                self._put_back(tx, claimed, AWAY_S, f"its project {claimed.task.project} is not configured")
                claimed = tx.claim_job(now, registry.limits, gate.closed)
            if isinstance(claimed, NothingToClaim):
                due = [at for at in (claimed.due_at, gate.due_at) if at is not None]
                return NothingToClaim(due_at=min(due, default=None)), asked
            hit("job.claiming")
            context = self._world.context(claimed.task.project)
            role = context.project.roles.get(claimed.job.role, RoleSettings())
            log = str(self._world.run_dir(claimed.run.id) / "output.log")
            tx.save_run(replace(claimed.run, agent=role.agent, model=role.model, log_path=log))
            if role.agent in gate.trying:
                accounts.begin_try(tx, role.agent, claimed.run.id)
            _, hints = apply(tx, launched(context, claimed.task, claimed.job, claimed.run), at=now)
            return claimed, [*asked, hints]

        claimed, hints = await self._world.store.transact(work)
        if isinstance(claimed, Claimed):
            hit("job.claimed")
        for each in hints:
            send_hints(self._router, each)
        return claimed

    def _put_back(self, tx: Tx, claimed: Claimed, seconds: float, why: str) -> None:
        """Inside the transaction: nobody can execute the run now; its job waits, uncharged."""
        now = self._world.clock.now()
        tx.save_run(replace(claimed.run, outcome=Outcome.CANCELLED, detail=why, ended_at=now))
        later = now + timedelta(seconds=seconds)
        tx.requeue_job(claimed.job.id, mode=claimed.job.mode, not_before=later, at=now)


@final
class CommandSlots(Actor[CommandSlotMessage]):
    """``test_slots`` receivers for CI, landing tests and staging commands. Each is answered, whatever ends it."""

    def __init__(self, mailbox: Mailbox[CommandSlotMessage], world: World) -> None:
        super().__init__(mailbox)
        self._world = world
        self._log = get_logger("command")
        self._queue: Mailbox[RunCommand] = Mailbox("command-queue")
        self._waiting: dict[RunId, tuple[RunCommand, anyio.CancelScope]] = {}
        self._tested: dict[RunId, tuple[Sha | None, str]] = {}
        """What a run of the test command runs on, and in which environment."""
        self._idle: dict[int, anyio.CancelScope | None] = {}
        """Each receiver by its number, with the scope that it waits in while it is idle."""

    async def started(self) -> None:
        self._fit()

    def _fit(self) -> None:
        """Start receivers that a reload has allowed; send idle ones beyond the limit home, busy ones go when they are done."""
        for number in range(self._world.limits.test_slots):
            if number not in self._idle:
                self._idle[number] = None
                self.children.start_soon(self._receive, number)
        for number, scope in self._idle.items():
            if number >= self._world.limits.test_slots and scope is not None:
                scope.cancel()

    async def handle(self, message: CommandSlotMessage) -> None:
        self._fit()
        match message:
            case LimitsChanged():
                pass
            case RunCommand():
                if message.run not in self._waiting:
                    self._waiting[message.run] = (message, anyio.CancelScope())
                    self._queue.tell(message)
            case CancelCommand():
                if message.run in self._waiting:
                    self._waiting[message.run][1].cancel()
            case _:
                assert_never(message)

    def ended(self) -> None:
        """Whoever waits for a command of ours is told that it came to nothing."""
        self._queue.close()
        for run in tuple(self._waiting):
            self._answer(run, CommandReport(verdict=CommandVerdict.INTERRUPTED, tail="the daemon's command slots were restarted"))

    async def _receive(self, number: int) -> None:
        """One slot: it is held while its command runs, which is the limit."""
        while number < self._world.limits.test_slots:
            message = None
            with anyio.CancelScope() as idle:
                self._idle[number] = idle
                message = await self._queue.receive()
            if message is None:
                break
            self._idle[number] = None
            report = CommandReport(verdict=CommandVerdict.INTERRUPTED)
            with self._waiting[message.run][1]:
                report = await self._run(message)
                hit("command.ended")
            self._answer(message.run, report)
        del self._idle[number]

    async def _until_room(self) -> None:
        """A checkout on a disk that is all but full would only fail, and be held against what it is for."""
        while self._world.health.shortages and await self._world.measure_room():
            await self._world.clock.sleep(ROOM_S)

    def _answer(self, run: RunId, report: CommandReport) -> None:
        message, _ = self._waiting.pop(run)
        tree, environment = self._tested.pop(run, (None, ""))
        self._log.info("finished", run=int(run), repo=message.project, outcome=report.verdict.value)
        try:
            message.reply.tell(
                CommandFinished(
                    run=run, attempt=message.attempt, sha=message.sha, report=report, tree=tree, environment=environment
                )
            )
        except (ActorDied, MailboxFull) as error:
            self._log.warning("nobody takes the answer", run=int(run), error=str(error))

    async def _run(self, message: RunCommand) -> CommandReport:
        services = self._world.services[message.project]
        if message.prepare:
            await self._until_room()
        try:
            log_dir = self._world.run_dir(message.run)
            if message.prepare:
                await self._note(message)
            async with services.mirror.checkout(message.sha, f"run-{int(message.run)}") as tree:
                setup = services.project.setup_command
                if message.prepare and setup:
                    prepared = await self._command(message, setup, tree, log_dir / "setup.log")
                    if prepared.verdict is not CommandVerdict.GREEN:
                        return prepared
                hit("command.checked-out")
                return await self._command(message, message.command, tree, log_dir / "output.log")
        except (ExternalError, StoreError, OSError) as error:
            return CommandReport(verdict=CommandVerdict.INFRA, tail=str(error))

    async def _note(self, message: RunCommand) -> None:
        """Note what the verdict will depend on, as it is when the run begins."""
        services = self._world.services[message.project]
        project = replace(services.project, test_command=message.command, test_timeout_s=message.timeout_s)
        toolchain = self._world.commands.toolchain(project.setup_command, project.test_command)
        tree = await services.mirror.tree_of(message.sha) if message.tell_tree else None
        self._tested[message.run] = (tree, environment_of(project, toolchain))

    async def _command(self, message: RunCommand, argv: tuple[str, ...], tree: Path, log: Path) -> CommandReport:
        label = f"run-{int(message.run)}"
        return await self._world.commands.run(
            argv, cwd=tree, timeout_s=message.timeout_s, label=label, log_path=log, project=message.project
        )
