"""Deploys of one repo: the component of its actor that asks, starts, follows and records them.

Owns: the one deploy under way, and what git was asked about landings. Does not own: what anything of it means
(``orch.core.decide_deploy``), its rows (``deploying``), the process (the ``Deploys`` port), the watch afterwards.

Desired properties: one deploy at a time; a try is executed at most once, whoever dies when; a result is read, never guessed;
SIGTERM leaves a deploy to the next start.
Design: rows first. What should be under way is derived from the running deploy's row and from its folder, so that a new life goes
on where the last one was: an unclaimed try is started, a claimed one waited for, a gone one without result is told as that. Each
is a child that reports by message, with deploy and try as its fence.
Races we accept: a confirm is answered before its deploy has begun; what comes in between (a freeze, a failure) voids it and says
so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never, final

from actors import deploying, watching
from actors.component import Room
from actors.freezing import look_again
from actors.persist import Hints, send_hints
from orch.core.deploy_plan import Hold, to_be_asked
from orch.core.errors import ExternalError, StoreError
from orch.core.ids import DeployId, Sha, WorkItemId
from orch.core.messages import AncestryRead, DeployDue, DeployEnded, DeployEnding, DeployMessage, DeployShown
from orch.core.model import Deploy, DeployState, Survivor, Task
from orch.core.retry import backoff
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import DeployLook, DeployOrder, DeployPhase, Tx

PACE_S, PACE_MAX_S = 0.1, 1.0
"""How often a folder is looked at: at first, and after a while."""
CLAIM_S = 10.0
"""How long a started process has to claim its try before another one is started."""
LATE_S = 10.0
"""How long past its time limit and grace a deploy's own process may take before it is helped."""
SURVIVORS_S = 5.0
STEPS_MAX = 1000
_log = get_logger("deploy")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """The try that a child of ours has under way: waits for it to be due, or for its end."""

    deploy: DeployId
    number: int
    due: bool


@final
class DeployShell:
    """See the module's docstring."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._following: Following | None = None
        self._known: dict[tuple[Sha, Sha], bool] = {}
        self._asking = False
        self._showing: set[tuple[int, Sha]] = set()

    async def started(self) -> None:
        """Remove the checkouts of deploys that are over."""
        name = self._room.name

        def work(tx: Tx) -> list[DeployId]:
            return [deploy.id for deploy in tx.list_deploys(project=name) if deploy.state is not DeployState.RUNNING]

        self._room.spawn(self._clear, await self._room.world.store.read(work))

    async def plan(self) -> None:
        """Do what can be done at once, then see to it that what takes time is under way."""
        store, context = self._room.world.store, self._room.world.context(self._room.name)
        if not deploying.deploys(context.project):
            await self._steps(lambda tx: deploying.undeployable(tx, context))
        view = await store.read(lambda tx: deploying.look(tx, context, self._known))
        if view.strays or not isinstance(view.plan, Hold):
            log_path = self._room.world.deploys.log_path
            await self._steps(lambda tx: deploying.step(tx, context, self._known, log_path)[1])
            view = await store.read(lambda tx: deploying.look(tx, context, self._known))
        if deploying.deploys(context.project):
            unasked, last = view.unasked(self._known), view.facts.last
            if unasked and last is not None and not self._asking:
                self._asking = True
                self._room.spawn(self._ask_git, last.sha, unasked)
            for task in to_be_asked(view.facts.waiting):
                self._show(task, last)
        running = view.facts.running
        if running is None:
            self._following = None
        elif not view.agent:
            self._follow_on(running)
        elif view.lost:
            await self._write(lambda tx: deploying.record_lost_agent(tx, context, running.id))

    async def handle(self, message: DeployMessage) -> None:
        match message:
            case DeployEnded():
                await self._ended(message)
            case DeployDue():
                await self._due(message)
            case DeployShown():
                self._showing.discard((int(message.task), message.sha))
                context = self._room.world.context(self._room.name)
                await self._write(lambda tx: deploying.ask(tx, context, message, self._known))
            case AncestryRead():
                self._asking = False
                known = {key: held for key, held in self._known.items() if key[1] == message.tip}
                self._known = known | {(sha, message.tip): held for sha, held in message.held.items()}
            case _:
                assert_never(message)
        await self.plan()

    async def _steps(self, one: Callable[[Tx], Hints | None]) -> None:
        """Do one thing after the other, each in a transaction of its own, until nothing is left."""
        for _ in range(STEPS_MAX):
            if not await self._write(one):
                return

    async def _write(self, work: Callable[[Tx], Hints | None]) -> bool:
        hints = await self._room.world.store.transact(work)
        if hints is not None:
            send_hints(self._room.router, hints)
        return hints is not None

    # -------------------------------------------------------------------------------------------- what there is to know

    async def _ask_git(self, tip: Sha, landings: tuple[Sha, ...]) -> None:
        """Ask which landings production holds; what cannot be asked now is asked again."""
        held: dict[Sha, bool] = {}
        failures = 0
        while len(held) < len(landings):
            try:
                for sha in landings[len(held) :]:
                    held[sha] = await self._room.services.mirror.contains(sha, tip)
            except (ExternalError, StoreError) as error:
                failures += 1
                _log.warning("git does not tell what is deployed", repo=self._room.name, error=str(error))
                await self._room.world.clock.sleep(backoff(failures))
        self._room.mailbox.tell(AncestryRead(tip=tip, held=held))

    def _show(self, task: Task, last: Deploy | None) -> None:
        assert task.landed is not None
        if (int(task.row), task.landed) not in self._showing:
            self._showing.add((int(task.row), task.landed))
            self._room.spawn(self._read_diff, task, task.landed, task.base if last is None else last.sha)

    async def _read_diff(self, task: Task, sha: Sha, base: Sha | None) -> None:
        """Read what the deploy would change. A person is asked without that where git does not tell."""
        diff = ""
        if base is not None:
            try:
                diff = await self._room.services.mirror.diff_stat(base, sha)
            except (ExternalError, StoreError) as error:
                _log.warning("no summary of a deploy", task=task.work_item, error=str(error))
        self._room.mailbox.tell(DeployShown(task=task.row, sha=sha, diff=diff))

    # -------------------------------------------------------------------------------------------- the deploy under way

    def _follow_on(self, running: Deploy) -> None:
        wanted = Following(deploy=running.id, number=running.tries, due=running.due_at is not None)
        if self._following != wanted:
            self._following = wanted
            self._room.spawn(self._wait_until_due if wanted.due else self._follow, running)

    async def _wait_until_due(self, deploy: Deploy) -> None:
        assert deploy.due_at is not None
        clock = self._room.world.clock
        await clock.sleep(max((deploy.due_at - clock.now()).total_seconds(), 0.0))
        self._room.mailbox.tell(DeployDue(deploy=deploy.id, number=deploy.tries))

    async def _due(self, due: DeployDue) -> None:
        log_path = self._room.world.deploys.log_path
        await self._room.world.store.transact(lambda tx: deploying.begin_next_try(tx, due.deploy, due.number, log_path))

    async def _follow(self, deploy: Deploy) -> None:
        """Take a try to its end and report that; report again when what would not go is gone after all."""
        ended = await self._patiently_end_of(deploy)
        hit("deploy.ended")
        self._room.mailbox.tell(ended)
        while ended.survivors:
            await self._room.world.clock.sleep(SURVIVORS_S)
            ended = await self._patiently_end_of(deploy)
            if not ended.survivors:
                self._room.mailbox.tell(ended)

    async def _patiently_end_of(self, deploy: Deploy) -> DeployEnded:
        """As ``_end_of``, again and again while a disk or a mirror is in trouble."""
        failures = 0
        while True:
            try:
                return await self._end_of(deploy)
            except (ExternalError, StoreError, OSError) as error:
                failures += 1
                _log.warning("a deploy waits", repo=self._room.name, deploy=int(deploy.id), error=str(error), failures=failures)
            await self._room.world.clock.sleep(min(backoff(failures), self._left_s(deploy) + 1.0))

    def _left_s(self, deploy: Deploy) -> float:
        return max((deploy.deadline_at - self._room.world.clock.now()).total_seconds(), 0.0)

    async def _end_of(self, deploy: Deploy) -> DeployEnded:
        """Start the try if nobody has, and wait for its end."""
        world, clock = self._room.world, self._room.world.clock
        over_at = clock.monotonic() + self._left_s(deploy)
        look = await self._claimed(deploy, over_at)
        patience_s, pace = world.limits.stop_grace_s + LATE_S, PACE_S
        survivors: tuple[Survivor, ...] = ()
        while look.phase is DeployPhase.RUNNING and clock.monotonic() < over_at + patience_s:
            await clock.sleep(pace)
            pace = min(pace * 1.2, PACE_MAX_S)
            look = await world.deploys.look(deploy.id, deploy.tries)
        late = look.phase is DeployPhase.RUNNING
        if late or look.timed_out or look.phase is DeployPhase.LOST:
            survivors = tuple(dict.fromkeys((*await world.deploys.end(deploy.id, deploy.tries), *look.survivors)))
        return await self._report(deploy, look, survivors, late=late)

    async def _claimed(self, deploy: Deploy, over_at: float) -> DeployLook:
        """Return what the try's folder says once it is claimed; or that it never will be, its time being over."""
        deploys, clock = self._room.world.deploys, self._room.world.clock
        while True:
            look = await deploys.look(deploy.id, deploy.tries)
            if look.phase is not DeployPhase.UNCLAIMED:
                hit("deploy.claimed")
                return look
            if clock.monotonic() >= over_at:
                if await deploys.abandon(deploy.id, deploy.tries):
                    return look
                continue
            await self._launch(deploy, over_at - clock.monotonic())
            until = min(clock.monotonic() + CLAIM_S, over_at)
            while clock.monotonic() < until and (await deploys.look(deploy.id, deploy.tries)).phase is DeployPhase.UNCLAIMED:
                await clock.sleep(PACE_S)

    async def _launch(self, deploy: Deploy, time_s: float) -> None:
        deploys, settings = self._room.world.deploys, self._room.project.deploy
        work_item = await self._room.world.store.read(lambda tx: _work_item(tx, deploy))
        hit("deploy.intended")
        await self._room.services.mirror.export(deploy.sha, deploys.tree(deploy.id, deploy.tries))
        hit("deploy.checked-out")
        await deploys.launch(
            DeployOrder(
                deploy=deploy.id,
                number=deploy.tries,
                argv=settings.command,
                time_s=time_s,
                sha=deploy.sha,
                work_item=work_item,
                launcher=settings.launcher,
            )
        )
        hit("deploy.launched")

    async def _report(self, deploy: Deploy, look: DeployLook, survivors: tuple[Survivor, ...], *, late: bool) -> DeployEnded:
        world, project = self._room.world, self._room.project
        ending = DeployEnding.EXITED
        if late or look.timed_out:
            ending = DeployEnding.TIMED_OUT
        elif look.phase is DeployPhase.LOST:
            ending = DeployEnding.LOST
        elif look.phase is DeployPhase.UNCLAIMED:
            ending = DeployEnding.UNSTARTED
        good = ending is DeployEnding.EXITED and look.exit_code == 0
        seen = await world.probe.probe(project) if good and project.monitor is not None else None
        return DeployEnded(
            deploy=deploy.id,
            number=deploy.tries,
            ending=ending,
            exit_code=look.exit_code,
            tail="" if good else await world.deploys.tail(deploy.id, deploy.tries),
            seconds=look.seconds,
            survivors=survivors,
            healthy=seen is None or seen.ok,
            health="" if seen is None else seen.detail,
        )

    async def _ended(self, ended: DeployEnded) -> None:
        context = self._room.world.context(self._room.name)

        def work(tx: Tx) -> tuple[Hints | None, watching.Followed]:
            hints = deploying.record(tx, context, ended)
            return hints, watching.Followed() if hints is None else watching.follow_deploys(tx, context)

        hints, followed = await self._room.world.store.transact(work)
        hit("deploy.recorded")
        for each in (hints, *followed.hints):
            if each is not None:
                send_hints(self._room.router, each)
        if followed.thawed is not None:
            look_again(self._room.router, self._room.name)
        told = {"repo": self._room.name, "deploy": int(ended.deploy), "number": ended.number}
        _log.info("try ended", **told, action="deploy", outcome=ended.ending.value)
        if not ended.survivors:
            self._room.spawn(self._clear, [ended.deploy])

    async def _clear(self, ended: list[DeployId]) -> None:
        try:
            await self._room.world.deploys.clear(ended)
        except OSError as error:
            _log.warning("a checkout is left", repo=self._room.name, error=str(error))


def _work_item(tx: Tx, deploy: Deploy) -> WorkItemId:
    task = tx.load_task(deploy.task)
    assert task is not None, "a deploy names a task that exists"
    return task.work_item
