"""The world that outlives every daemon: repositories, board, forge, agents, and the daemon that is started again and again.

Owns: how the fakes are put together under fate, and the lives of the daemon. Does not own: what people do, what must hold.
Rule: everything that the daemon does to the world leaves a note, under its own name.
"""

import json
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast, final

import anyio

from actors.health import WatchedStore
from actors.supervisor import Supervisor
from actors.world import Services, World
from orch.adapters.store import InlineStore, recover
from orch.core.ids import Branch, IssueId, ProjectName, Sha
from orch.core.model import (
    CiSource,
    DeploySettings,
    LandStyle,
    MonitorSettings,
    Project,
    PullRequest,
    PullRequestState,
)
from orch.ports import BranchEvent, CardEvent, Deploys, HookDoor
from tests.builders import make_limits, make_project
from tests.fakes.git import FakeMirror
from tests.fakes.line import Ground
from tests.fakes.repository import Files, Repository
from tests.fakes.services import FaultyBoard, FaultyForge
from tests.fakes.virtual_time import VirtualClock
from tests.scenario.sim.agents import SimAgent, SimCommands, SimDeploys, SimProcesses, SimWorkspace
from tests.scenario.sim.fate import Plan, draw
from tests.scenario.sim.mortal import LIFE, Life, MortalStore, SimFaults, is_ours
from tests.scenario.sim.remembering import RememberingStore
from tests.scenario.sim.trace import Trace

SHOP, LIB = ProjectName("shop"), ProjectName("lib")
PREFIXES = {SHOP: "SHOP", LIB: "LIB"}
MAIN = "main"
ROLLBACK = ("back",)


def make_projects(plan: Plan) -> tuple[Project, Project]:
    """Return one project with everything, and one with as little as possible."""
    deploy = DeploySettings(staging_command=("stage",), command=("deploy",), rollback_command=ROLLBACK, confirm=plan.confirm)
    watch = MonitorSettings(command=("probe",), window_s=60.0, interval_s=15.0, fail_after=2)
    both: dict[str, Any] = {"board": "plane", "land_style": LandStyle(plan.style)}
    shop = make_project(name=SHOP, prefix="SHOP", forge="gitea", ci=CiSource.FORGE, deploy=deploy, monitor=watch, **both)
    return shop, make_project(name=LIB, prefix="LIB", ci=CiSource.LOCAL, **both)


class _Branches(dict[str, Sha]):
    """A remote's branches; every change of one is noted."""

    def __init__(self, branches: dict[str, Sha], project: ProjectName, world: "SimGround") -> None:
        super().__init__(branches)
        self._project, self._world = project, world

    def __setitem__(self, name: str, sha: Sha) -> None:
        old = self.get(name)
        super().__setitem__(name, sha)
        if old != sha:
            self._note(name, old, sha)

    def pop(self, name: str, *default: Any) -> Any:
        old = self.get(name)
        if old is not None:
            self._note(name, old, None)
        return super().pop(name, *default)

    def _note(self, name: str, old: Sha | None, new: Sha | None) -> None:
        kind = "main moves" if name == MAIN else "branch moves"
        self._world.trace.note(kind, self._project, name, old or "-", new or "-", by=who())
        if name != MAIN and new is not None:
            self._world.pushed.append((self._project, name, new))


def who() -> str:
    return "orch" if is_ours() else "person"


class SimRepository(Repository):
    def __init__(self, files: Files, project: ProjectName, world: "SimGround") -> None:
        super().__init__(files)
        self.branches = _Branches(self.branches, project, world)


class SimForge(FaultyForge):
    """What becomes of pull requests is noted."""

    async def edit_pull_request(
        self, number: int, *, title: str | None = None, body: str | None = None, state: PullRequestState | None = None
    ) -> PullRequest:
        pull = await super().edit_pull_request(number, title=title, body=body, state=state)
        self._faults.wrote("pull edited", f"{number} {pull.state}")
        return pull


@final
class Door:
    """What both services' hooks say in this world."""

    def read(self, source: str, body: bytes) -> CardEvent | BranchEvent:
        told = json.loads(body)
        if source.startswith("gitea"):
            return BranchEvent(project=told["project"], branch=Branch(told["branch"]), sha=Sha(told["sha"]))
        return CardEvent(project=told["project"], issue=IssueId(told["issue"]))


class SimGround(Ground):
    """See the module's docstring. *kinds* says by issue what is not as usual with its card."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.trace = Trace()
        self.weather = SimFaults(self.trace)
        limits = make_limits(
            test_slots=plan.test_slots,
            serial_gate=frozenset({SHOP}) if plan.serial else frozenset(),
            max_concurrency=3,
            reconcile_interval_s=60.0,
        )
        super().__init__(*make_projects(plan), limits=limits, faults=self.weather)
        self.kinds: dict[str, str] = {}
        self.cards: dict[str, int] = {}
        """By issue: the number of its card in the plan."""
        self.pushed: deque[tuple[ProjectName, str, Sha]] = deque()
        """What a CI has not looked at yet."""
        self.repositories = {name: SimRepository({"README.md": "# Sample\n"}, name, self) for name in PREFIXES}
        self.mirrors = {name: FakeMirror(name, self.repositories[name], self.weather) for name in PREFIXES}
        self.workspaces = {
            name: SimWorkspace(mirror, self.weather, self._is_current, self.trace) for name, mirror in self.mirrors.items()
        }
        self.steady = VirtualClock()
        """The board's own clock: another host's, which does not jump."""
        self.clock.monotonic(), self.steady.monotonic()  # both begin now
        self.boards = {project.name: FaultyBoard(self.store, project, self.steady, self.weather) for project in self.projects}
        self.agent = self.sim_agent = SimAgent(plan, self.trace, self.clock, (self.cards, self.kinds))
        self.commands = self.sim_commands = SimCommands(plan, self.trace, self.mirrors.values, self.weather)
        self.sim_commands.without_slot = frozenset({ROLLBACK})  # production does badly
        self.processes = SimProcesses(self.agent, self._workspace_of, self.weather, self.trace)
        self.sim_deploys = SimDeploys(self.deploys, plan, self.trace)
        self.committed: Callable[[], None] = lambda: None
        self.daemon: Supervisor | None = None
        """The one that lives now."""

    def _make_store(self) -> InlineStore:
        return RememberingStore(clock=self.clock)

    def _services(self, project: Project) -> Services:
        name = project.name
        forge = SimForge(self.store, name, self.clock, self.weather, self.repositories[name])
        return replace(super()._services(project), forge=forge)

    def world(self) -> World:
        world = super().world()
        store = MortalStore(self.store, self.weather, self.committed)
        door = cast(HookDoor, Door())
        return replace(
            world,
            store=WatchedStore(store, world.health),
            deploys=cast(Deploys, self.sim_deploys),
            doors={"plane": door, "gitea": door, "local-board": door},
        )

    # ---------------------------------------------------------------------------------------- lives

    async def live(self, crashed: Callable[[Exception], None]) -> None:
        """Start the daemon, and again whenever it has died, until cancelled; *crashed* is told what no fate has killed."""
        number = 0
        while True:
            number += 1
            life = Life(number=number)
            with self._born(life):
                try:
                    await self._one_life(life)
                except Exception as error:  # noqa: BLE001 - whatever ends a daemon by itself is a finding
                    if not life.dead:
                        crashed(error)
            life.dead = True
            self.daemon = None
            await anyio.sleep(draw(self.plan.seed, "boot", number).uniform(1, 40))

    @contextmanager
    def _born(self, life: Life) -> Iterator[None]:
        token = LIFE.set(life)
        try:
            yield
        finally:
            LIFE.reset(token)

    async def _one_life(self, life: Life) -> None:
        with life.scope:
            world = self.world()
            now = self.clock.now()
            await self.weather.beat("start")
            await self.store.transact(lambda tx: recover(tx, now))
            self.committed()
            self.trace.note("start", life.number)
            supervisor = Supervisor(world, strict=True)
            async with anyio.create_task_group() as group:
                await group.start(supervisor.run)
                self.daemon = supervisor
                await anyio.sleep_forever()
