"""Concurrency limits as mailboxes: N receivers claim jobs, M receivers run the projects' own commands.

Owns: how many agents and how many test commands run at once. Does not own what they do.
Rule: waiting for a slot holds nothing; a slot that is free asks the store, so a lost hint only delays (``POLL_S``).
"""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import assert_never

import anyio

from actors.actor import Actor
from actors.mailbox import Mailbox
from actors.persist import Hints, apply, send_hints
from actors.world import Router, World
from orch.core.decide_task import launched
from orch.core.errors import ExternalError, StoreError
from orch.core.ids import RunId
from orch.core.messages import (
    CancelCommand,
    CommandFinished,
    CommandReport,
    CommandSlotMessage,
    CommandVerdict,
    JobsWaiting,
    RunClaimed,
    RunCommand,
    RunReleased,
)
from orch.logs import get_logger
from orch.ports import Claimed, NothingToClaim, Tx

POLL_S = 30.0


class AgentSlots(Actor[JobsWaiting]):
    """``max_concurrency`` receivers on one mailbox; each holds one run at a time."""

    def __init__(self, mailbox: Mailbox[JobsWaiting], world: World, router: Router) -> None:
        super().__init__(mailbox)
        self._world = world
        self._router = router
        self._wake = [anyio.Event() for _ in range(world.limits.max_concurrency)]

    async def started(self) -> None:
        for number in range(self._world.limits.max_concurrency):
            self.children.start_soon(self._receive, number)

    async def handle(self, message: JobsWaiting) -> None:
        del message
        for event in self._wake:
            event.set()

    async def _receive(self, number: int) -> None:
        """One slot: claim, hand over, wait for the release; sleep when there is nothing."""
        released: Mailbox[RunReleased] = Mailbox(f"slot-{number}")
        while True:
            self._wake[number] = anyio.Event()
            claimed = await self._claim()
            if isinstance(claimed, Claimed):
                run = claimed.run
                self._router.task(run.task).tell(RunClaimed(run=run.id, attempt=run.attempt, slot=released))
                await self._until_released(released, run.id)
                continue
            with anyio.move_on_after(self._patience(claimed.due_at)):
                await self._wake[number].wait()

    async def _until_released(self, released: Mailbox[RunReleased], run: RunId) -> None:
        """Wait for the release; the store has the last word, should the message be lost with its sender."""
        while True:
            with anyio.move_on_after(POLL_S):
                if (await released.receive()).run == run:
                    return
                continue
            stored = await self._world.store.read(lambda tx: tx.load_run(run))
            if stored is None or stored.outcome is not None:
                return

    def _patience(self, due_at: datetime | None) -> float:
        if due_at is None:
            return POLL_S
        return min(POLL_S, max(0.05, (due_at - self._world.clock.now()).total_seconds()))

    async def _claim(self) -> Claimed | NothingToClaim:
        now = self._world.clock.now()

        def work(tx: Tx) -> tuple[Claimed | NothingToClaim, Hints | None]:
            claimed = tx.claim_job(now, self._world.limits)
            if isinstance(claimed, NothingToClaim):
                return claimed, None
            context = self._world.context(claimed.task.project)
            role = context.project.roles.get(claimed.job.role)
            if role is not None:
                log = str(self._world.run_dir(claimed.run.id) / "output.log")
                tx.save_run(replace(claimed.run, agent=role.agent, model=role.model, log_path=log))
            _, hints = apply(tx, launched(context, claimed.task, claimed.job, claimed.run), at=now)
            return claimed, hints

        claimed, hints = await self._world.store.transact(work)
        if hints is not None:
            send_hints(self._router, hints)
        return claimed


class CommandSlots(Actor[CommandSlotMessage]):
    """``test_slots`` receivers for CI, landing tests, staging and deploy commands."""

    def __init__(self, mailbox: Mailbox[CommandSlotMessage], world: World) -> None:
        super().__init__(mailbox)
        self._world = world
        self._log = get_logger("command")
        self._queue: Mailbox[RunCommand] = Mailbox("command-queue")
        self._scopes: dict[RunId, anyio.CancelScope] = {}

    async def started(self) -> None:
        for _ in range(self._world.limits.test_slots):
            self.children.start_soon(self._receive)

    async def handle(self, message: CommandSlotMessage) -> None:
        match message:
            case RunCommand():
                self._scopes[message.run] = anyio.CancelScope()
                self._queue.tell(message)
            case CancelCommand():
                if (scope := self._scopes.get(message.run)) is not None:
                    scope.cancel()
            case _:
                assert_never(message)

    async def _receive(self) -> None:
        """One slot: it is held while its command runs, which is the limit."""
        while True:
            message = await self._queue.receive()
            report = CommandReport(verdict=CommandVerdict.INTERRUPTED)
            with self._scopes[message.run]:
                report = await self._run(message)
            del self._scopes[message.run]
            self._log.info("finished", run=int(message.run), repo=message.project, outcome=report.verdict.value)
            message.reply.tell(CommandFinished(run=message.run, attempt=message.attempt, sha=message.sha, report=report))

    async def _run(self, message: RunCommand) -> CommandReport:
        services = self._world.services[message.project]
        log_dir = self._world.run_dir(message.run)
        try:
            async with services.mirror.checkout(message.sha, f"run-{int(message.run)}") as tree:
                setup = services.project.setup_command
                if message.prepare and setup:
                    prepared = await self._command(message, setup, tree, log_dir / "setup.log")
                    if prepared.verdict is not CommandVerdict.GREEN:
                        return prepared
                return await self._command(message, message.command, tree, log_dir / "output.log")
        except (ExternalError, StoreError) as error:
            return CommandReport(verdict=CommandVerdict.INFRA, tail=str(error))

    async def _command(self, message: RunCommand, argv: tuple[str, ...], tree: Path, log: Path) -> CommandReport:
        label = f"run-{int(message.run)}"
        return await self._world.commands.run(argv, cwd=tree, timeout_s=message.timeout_s, label=label, log_path=log)
