"""The watch of a deployed SHA: the component of a repo's actor that probes it, judges it and rolls it back.

Owns: when the next probe is, and the one rollback under way. Does not own: what a probe means (``orch.core.decide_watch``), its
rows (``watching``), the deploy itself.

Desired properties: a lost hint, a restart and a jump of the wall clock neither skip a watch's time nor bunch its probes; a deploy
that begins ends the watch before it; a degraded deploy freezes, alerts and rolls back once, whatever dies in between.
Design: rows first; what should be under way is derived from them. A probe is a child that waits on the monotonic clock, looks
once and reports by message, with the number of probes before it as its fence.
Races we accept: a rollback that was cut off is begun again from its start (``ROLLBACK_TRIES``), so the command has to bear that.
"""

from dataclasses import dataclass
from typing import assert_never, final

import anyio

from actors import watching
from actors.component import Room
from actors.freezing import look_again
from actors.persist import send_hints
from orch.core import decide_watch
from orch.core.errors import ExternalError, StoreError
from orch.core.ids import DeployId, RunId, Sha
from orch.core.messages import CommandReport, CommandVerdict, Probed, RollbackEnded
from orch.core.model import Run, Watch, WatchState
from orch.logs import get_logger

MonitorMessage = Probed | RollbackEnded
LOST_S = 60.0
"""After this long a report that nobody handled is taken for lost."""
_log = get_logger("monitor")


@final
@dataclass(slots=True, kw_only=True)
class Watching:
    """The watch that is probed, in this life: when its window is over on the monotonic clock, and its probe under way.

    A probe is under way until what it reported at *reported_at* is handled; a report that is lost makes way for another probe.
    """

    deploy: DeployId
    over_at: float
    scope: anyio.CancelScope | None = None
    reported_at: float | None = None

    def is_probing(self, now: float) -> bool:
        return self.scope is not None and (self.reported_at is None or now - self.reported_at < LOST_S)


@final
class Monitor:
    """See the module's docstring."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._watching: Watching | None = None
        self._rolling: RunId | None = None

    async def started(self) -> None:
        """A rollback that an earlier life of this actor had under way was cut off with it."""
        context = self._room.world.context(self._room.name)
        await self._room.world.store.transact(lambda tx: watching.cut_off_rollbacks(tx, context))

    async def plan(self) -> None:
        store, context = self._room.world.store, self._room.world.context(self._room.name)
        look = await store.read(lambda tx: watching.look(tx, context))
        if look.behind:
            followed = await store.transact(lambda tx: watching.follow_deploys(tx, context))
            await self.follow(followed)
            look = await store.read(lambda tx: watching.look(tx, context))
        self._align(look.watch)
        if look.again:
            await self._begin_again()
        elif look.rollback is not None and look.sha is not None and look.rollback.id != self._rolling:
            self._rolling = look.rollback.id
            self._room.spawn(self._roll_back, look.rollback, look.sha)

    async def handle(self, message: MonitorMessage) -> None:
        match message:
            case Probed():
                await self._probed(message)
            case RollbackEnded():
                await self._rollback_ended(message)
            case _:
                assert_never(message)
        await self.plan()

    async def follow(self, followed: watching.Followed) -> None:
        """After the commit of ``follow_deploys``."""
        for hints in followed.hints:
            send_hints(self._room.router, hints)
        if followed.thawed is not None:
            _log.warning("thawed", repo=self._room.name, cause=followed.thawed.cause.value)
            look_again(self._room.router, self._room.name)

    # -------------------------------------------------------------------------------------------- probes

    def _align(self, watch: Watch | None) -> None:
        """Bring the probe into line with the store: none for a watch that is over, one for the watch that is open."""
        monitor = self._room.project.monitor
        if self._watching is not None and (watch is None or monitor is None or watch.deploy != self._watching.deploy):
            self._cancel_probe()
            self._watching = None
        if watch is None or monitor is None:
            return
        clock = self._room.world.clock
        left_s, wait_s = decide_watch.remaining(monitor, watch, clock.now())
        if self._watching is None:
            self._watching = Watching(deploy=watch.deploy, over_at=clock.monotonic() + left_s)
        if not self._watching.is_probing(clock.monotonic()):
            self._begin_probe(self._watching, watch.probes, wait_s)

    def _begin_probe(self, mine: Watching, number: int, wait_s: float) -> None:
        mine.scope, mine.reported_at = anyio.CancelScope(), None
        self._room.spawn(self._probe, mine, mine.scope, number, wait_s)

    def _cancel_probe(self) -> None:
        if self._watching is not None and self._watching.scope is not None:
            self._watching.scope.cancel()
            self._watching.scope = None

    async def _probe(self, mine: Watching, scope: anyio.CancelScope, number: int, wait_s: float) -> None:
        clock = self._room.world.clock
        with scope:
            await clock.sleep(wait_s)
            seen = await self._room.world.probe.probe(self._room.project)
            mine.reported_at = clock.monotonic()
            self._room.mailbox.tell(Probed(deploy=mine.deploy, number=number, ok=seen.ok, detail=seen.detail))

    async def _probed(self, probed: Probed) -> None:
        """Judge a probe and put its verdict, freeze and rollback into one transaction; then wait for the next."""
        mine, clock = self._watching, self._room.world.clock
        if mine is None or mine.deploy != probed.deploy:
            return
        context = self._room.world.context(self._room.name)
        left_s = mine.over_at - clock.monotonic()
        seen = decide_watch.Observed(ok=probed.ok, detail=probed.detail, left_s=left_s)
        judged, hints = await self._room.world.store.transact(lambda tx: watching.judge(tx, context, probed, seen))
        if judged is None:
            return
        if hints is not None:
            send_hints(self._room.router, hints)
        if judged.watch.state is WatchState.DEGRADED:
            _log.warning("degraded", repo=self._room.name, sha=judged.watch.sha, detail=judged.watch.detail)
        if judged.freeze is not None:
            look_again(self._room.router, self._room.name)
        self._cancel_probe()
        if judged.watch.state is WatchState.WATCHING and context.project.monitor is not None:
            wait_s = decide_watch.next_probe_s(context.project.monitor, left_s)
            self._begin_probe(mine, judged.watch.probes, wait_s)

    # -------------------------------------------------------------------------------------------- rollback

    async def _begin_again(self) -> None:
        """Begin a rollback anew that was cut off, or give it up and say so."""
        context = self._room.world.context(self._room.name)
        hints = await self._room.world.store.transact(lambda tx: watching.begin_rollback_again(tx, context))
        if hints is not None:
            send_hints(self._room.router, hints)
        await self.plan()

    async def _roll_back(self, run: Run, sha: Sha) -> None:
        """Run the rollback command on a checkout of the degraded SHA. It waits for no slot: production does badly."""
        room, project = self._room, self._room.project
        report = CommandReport(verdict=CommandVerdict.INFRA, tail="no rollback command is configured any more")
        try:
            if decide_watch.may_roll_back(project):
                async with room.services.mirror.checkout(sha, f"run-{int(run.id)}") as tree:
                    report = await room.world.commands.run(
                        project.deploy.rollback_command,
                        cwd=tree,
                        timeout_s=project.deploy.timeout_s,
                        label=f"run-{int(run.id)}",
                        log_path=room.world.run_dir(run.id) / "output.log",
                    )
        except (ExternalError, StoreError, OSError) as error:
            report = CommandReport(verdict=CommandVerdict.INFRA, tail=str(error))
        room.mailbox.tell(RollbackEnded(run=run.id, report=report))

    async def _rollback_ended(self, ended: RollbackEnded) -> None:
        context = self._room.world.context(self._room.name)
        hints = await self._room.world.store.transact(lambda tx: watching.end_rollback(tx, context, ended.run, ended.report))
        if self._rolling == ended.run:
            self._rolling = None
        if hints is not None:
            _log.warning("rolled back", repo=self._room.name, outcome=ended.report.verdict.value)
            send_hints(self._room.router, hints)
