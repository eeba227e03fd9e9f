"""The train's checks: runs of the test command on candidates, each a row before it begins and a verdict before anything follows.

Owns: beginning, cancelling and recording them. Does not own: which (``orch.core.train``), how many run at once on this machine
(the command slots).

Desired properties: one verdict per check; a verdict that comes too late, or that was reached under other commands than the
check was begun for, counts for nothing. Design: a check's row is its fence (``end_check`` takes one verdict); its run, under
the last member's task, is for people. Each has a child that waits for the command's end and writes that down itself, so that
nothing but a hint can be lost. Races we accept: a check is begun for a member that is just leaving: the next round cancels
it.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import final

import anyio

from actors.actor import store_wait_s
from actors.component import Room
from actors.mailbox import Mailbox
from orch.core.errors import ActorDied, MailboxFull, StoreError
from orch.core.ids import CheckId, RunId, TaskRow
from orch.core.landing import CANCELLED
from orch.core.messages import (
    CancelCommand,
    CommandFinished,
    CommandReport,
    CommandVerdict,
    LandingHint,
    RunCommand,
    TaskTouched,
)
from orch.core.model import CheckRow, Outcome, Run, RunKind
from orch.core.train import Chain
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import Tx

RETRY_S = 5.0
OUTCOMES = {
    CommandVerdict.GREEN: Outcome.SUCCEEDED,
    CommandVerdict.RED: Outcome.FAILED,
    CommandVerdict.TIMEOUT: Outcome.TIMED_OUT,
    CommandVerdict.INFRA: Outcome.CRASHED,
    CommandVerdict.INTERRUPTED: Outcome.CANCELLED,
}
_log = get_logger("landing")


@final
class Checks:
    """Begins, cancels and records the checks of one repo."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def end_left_over(self) -> None:
        """Checks of an earlier life have no verdict and never will; the planner begins them again where they are still needed."""
        left = await self._room.world.store.transact(self._interrupt_all)
        for run in left:
            self._room.router.commands.tell(CancelCommand(run=run))

    def _interrupt_all(self, tx: Tx) -> list[RunId]:
        now, left = self._room.world.clock.now(), []
        for row in tx.list_checks(self._room.name, running=True):
            tx.end_check(replace(row, verdict=CommandVerdict.INTERRUPTED.value, ended_at=now))
        for run in tx.list_runs(running=True):
            if run.kind is RunKind.LAND and run.project == self._room.name:
                tx.save_run(replace(run, outcome=Outcome.CANCELLED, detail="its check was begun again", ended_at=now))
                left.append(run.id)
        return left

    # -------------------------------------------------------------------------------------------- beginning

    async def begin(self, chain: Chain, position: int, environment: str, under: TaskRow) -> None:
        """Test the chain's candidate at *position*; a control run of the base goes under the task *under*."""
        links = chain.links[:position]
        task_row = links[-1].member.task if links else under
        made = CheckRow(
            id=CheckId(0),
            project=self._room.name,
            base=chain.base,
            sha=chain.sha(position),
            tree=chain.tree(position),
            members=tuple(link.member for link in links),
            environment=environment,
            started_at=self._room.world.clock.now(),
        )

        def work(tx: Tx) -> tuple[CheckRow, Run] | None:
            task = tx.load_task(task_row)
            if task is None:
                return None
            run = tx.start_run(task, kind=RunKind.LAND, job=None, role=None, at=made.started_at)
            tx.save_run(replace(run, start_head=made.sha))
            train = tx.load_train(self._room.name)
            tx.save_train(replace(train, checks=train.checks + 1))
            return tx.add_check(replace(made, run=run.id)), run

        begun = await self._room.world.store.transact(work)
        if begun is not None:
            hit("check.begun")
            self._room.spawn(self._watch, *begun)

    async def _watch(self, check: CheckRow, run: Run) -> None:
        """Have the command run in a test slot; nothing is held while it waits."""
        room, project = self._room, self._room.project
        command = RunCommand(
            run=run.id,
            attempt=run.attempt,
            project=run.project,
            task=run.task,
            sha=check.sha,
            command=project.test_command,
            prepare=True,
            timeout_s=project.test_timeout_s,
            reply=(replies := Mailbox[CommandFinished](f"check-{int(check.id)}", hints=(CommandFinished,))),
        )
        with closing(replies):
            try:
                room.router.commands.tell(command)
                room.router.publisher.tell(TaskTouched(task=run.task))
                finished = await replies.receive()
            except (MailboxFull, ActorDied) as error:
                report = CommandReport(verdict=CommandVerdict.INTERRUPTED, tail=str(error))
                finished = CommandFinished(run=run.id, attempt=run.attempt, sha=check.sha, report=report)
            except anyio.get_cancelled_exc_class():
                room.router.commands.tell(CancelCommand(run=run.id))
                raise
        hit("landing.tested")
        await self._record(check, run, finished)
        if finished.report.verdict in (CommandVerdict.INFRA, CommandVerdict.INTERRUPTED):
            await room.world.clock.sleep(RETRY_S)
        room.mailbox.tell(LandingHint())

    # -------------------------------------------------------------------------------------------- ending

    async def _record(self, check: CheckRow, run: Run, finished: CommandFinished) -> None:
        """Write the verdict down, again and again until the store takes it: it is what everything else follows from."""
        ended = self._judge(check, finished)
        failures = 0
        while True:
            try:
                counted = await self._room.world.store.transact(lambda tx: self._end(tx, ended, run, finished.report))
                break
            except StoreError as error:
                failures += 1
                _log.warning("verdict not recorded yet", check=int(check.id), error=str(error))
                await self._room.world.clock.sleep(store_wait_s(failures))
        hit("check.recorded")
        if counted and ended.verdict == CommandVerdict.GREEN:
            hit("landing.green")
        _log.info("check ended", check=int(check.id), members=len(check.members), outcome=ended.verdict, counted=counted)
        self._room.router.publisher.tell(TaskTouched(task=run.task))

    def _judge(self, check: CheckRow, finished: CommandFinished) -> CheckRow:
        """Return the check's row with what its command came to."""
        report, verdict, tail = finished.report, finished.report.verdict, finished.report.tail
        if finished.environment and finished.environment != check.environment:
            verdict, tail = CommandVerdict.INTERRUPTED, "the commands or their environment changed before it began"
        elif report.survivors:
            verdict = CommandVerdict.INFRA
            tail = f"it left processes that cannot be ended: {', '.join(str(each.pid) for each in report.survivors)}\n{tail}"
        return replace(
            check,
            verdict=verdict.value,
            tail=tail,
            log_path=report.log_path,
            seconds=report.seconds,
            ended_at=self._room.world.clock.now(),
        )

    def _end(self, tx: Tx, ended: CheckRow, run: Run, report: CommandReport) -> bool:
        """Inside the transaction: give the check its verdict, False where it has one; and end its run for people."""
        if not tx.end_check(ended):
            return False
        assert ended.ended_at is not None
        tx.save_run(
            replace(
                run,
                start_head=ended.sha,
                outcome=OUTCOMES[CommandVerdict(ended.verdict or "")],
                detail=ended.tail[-2000:],
                exit_code=report.exit_code,
                log_path=ended.log_path,
                ended_at=ended.ended_at,
            )
        )
        return True

    async def cancel(self, rows: Sequence[CheckRow]) -> None:
        """Nobody needs these any more: they end without a verdict."""
        now = self._room.world.clock.now()

        def work(tx: Tx) -> list[CheckRow]:
            ended = [row for row in rows if tx.end_check(replace(row, verdict=CANCELLED, ended_at=now))]
            for row in ended:
                run = tx.load_run(row.run) if row.run is not None else None
                if run is not None:
                    tx.save_run(replace(run, outcome=Outcome.CANCELLED, detail="nobody needs it any more", ended_at=now))
            train = tx.load_train(self._room.name)
            tx.save_train(replace(train, wasted=train.wasted + len(ended)))
            return ended

        for row in await self._room.world.store.transact(work) if rows else ():
            if row.run is not None:
                self._room.router.commands.tell(CancelCommand(run=row.run))


def record_ci(tx: Tx, run: Run, finished: CommandFinished) -> None:
    """Inside the transaction: a CI run of the daemon's own is a check of its tree too, so that the train need not repeat it."""
    if finished.tree is None or not finished.environment or finished.report.verdict is not CommandVerdict.GREEN:
        return
    now = run.ended_at or run.started_at
    begun = tx.add_check(
        CheckRow(
            id=CheckId(0),
            project=run.project,
            base=finished.sha,
            sha=finished.sha,
            tree=finished.tree,
            members=(),
            environment=finished.environment,
            run=run.id,
            started_at=run.started_at,
        )
    )
    report = finished.report
    ended = replace(begun, verdict=report.verdict.value, log_path=report.log_path, seconds=report.seconds, ended_at=now)
    tx.end_check(ended)
