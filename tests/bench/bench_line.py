"""From an accepted event to a running agent: a card's move is committed … the agent's program has started.

The whole way is real but for git: durable store, intake, repo actor, claim, task actor, shim. The working copy stands
ready, as it does for every run but a task's first. Baseline: a bare spawn of the same program plus one durable commit.
Run: ``python -m tests.bench.bench_line [ROUNDS]``.
"""

import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from actors.supervisor import Supervisor
from actors.world import Services, World
from orch import logs
from orch.adapters.clock import SystemClock
from orch.adapters.commands import ProjectCommands
from orch.adapters.local_board import LocalBoard, LocalDeskAdapter
from orch.adapters.local_forge import LocalForge
from orch.adapters.notices import LogNotifier
from orch.adapters.process import ProcessTree, namespace_of
from orch.adapters.room import HostRoom
from orch.adapters.shelves import DiskShelves
from orch.adapters.store import SqliteStore
from orch.core.gates import BranchFacts
from orch.core.messages import InboxHint
from orch.core.model import AgentResult, Figures, Outcome, Registry, RoleSettings, Usage
from orch.core.stages import Role
from orch.core.statuses import Status
from orch.main import keep_what_is_loaded
from orch.ports import AgentRequest, Collected, Prepared, ProcessEnd, ProcessSpec, PromptContext, WorkspaceSpec
from orch.rehearsal.faults import Faults
from tests.bench import harness
from tests.builders import DEMO, make_limits, make_project, sha
from tests.fakes.deploys import FakeDeploys
from tests.fakes.probe import FakeProbe

PROGRAM = ("/bin/echo", "x")


class Reader:
    """Notes when the program's first byte came; every run succeeds with nothing written."""

    tool_open = finished = False
    usage, figures = Usage(), Figures()

    def __init__(self, started: list[float], event: anyio.Event) -> None:
        self._started, self._event = started, event

    def feed(self, line: bytes) -> None:
        self._started.append(time.perf_counter())
        self._event.set()

    def result(self, end: ProcessEnd) -> AgentResult:
        return AgentResult(outcome=Outcome.PERMISSION_DENIED, detail="enough")


class Agent:
    """The smallest program there is."""

    name = "scripted"

    def __init__(self) -> None:
        self.started: list[float] = []
        self.event = anyio.Event()

    def check(self, settings: RoleSettings) -> str | None:
        return None

    def command(self, request: AgentRequest) -> ProcessSpec:
        return ProcessSpec(
            argv=PROGRAM,
            cwd=request.worktree,
            env={},
            log_path=request.log_path,
            run_timeout_s=60.0,
            grace_s=1.0,
            run_label=f"run-{int(request.run)}",
        )

    def reader(self, request: AgentRequest) -> Reader:
        return Reader(self.started, self.event)


class ReadyWorkspace:
    """A working copy that stands ready."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def prepare(self, spec: WorkspaceSpec) -> Prepared:
        return Prepared(worktree=self._folder, home=self._folder, start_head=sha("a"), base=sha("b"), branch=spec.branch)

    async def archive(self, spec: WorkspaceSpec) -> None:
        return None

    async def collect(self, spec: WorkspaceSpec, prepared: Prepared) -> Collected:
        return Collected(facts=BranchFacts(head=sha("c"), code_head=None))

    async def remove(self, task: object) -> None:
        return None


class NoMirror:
    """What the analyst's run asks of a mirror."""

    async def read_artefacts(self, *_: object) -> BranchFacts:
        return BranchFacts(head=sha("a"), code_head=None)

    async def retire(self, *_: Any, **__: Any) -> int:
        return 0

    async def fetch(self) -> Any:
        return sha("a")


class ShortPrompts:
    def render(self, context: PromptContext) -> str:
        return f"role: {context.role}\n"


@asynccontextmanager
async def line(folder: Path, agent: Agent) -> AsyncIterator[tuple[World, Supervisor]]:
    """Run the actors on a durable store."""
    clock = SystemClock()
    async with await SqliteStore.open(folder / "orch.db", clock=clock) as store:
        processes = ProcessTree(namespace=namespace_of(folder))
        roles: Mapping[Role, RoleSettings] = {role: RoleSettings(agent="scripted") for role in Role}
        project = make_project(roles=roles)
        services = Services(
            configured=lambda: project,
            board=LocalBoard(store, DEMO, clock),
            forge=LocalForge(store, DEMO, folder, "main", clock),
            mirror=NoMirror(),  # type: ignore[arg-type]
            workspace=ReadyWorkspace(folder),
        )
        limits = make_limits(max_concurrency=2, min_free_memory_mb=0, min_free_disk_mb=0)
        registry = Registry(limits=limits, projects={DEMO: project})
        world = World(
            store=store,
            clock=clock,
            registry=lambda: registry,
            services={DEMO: services},
            processes=processes,
            adapters={"scripted": agent},
            commands=ProjectCommands(processes),
            probe=FakeProbe(clock),
            deploys=FakeDeploys(clock, Faults()),
            prompts=ShortPrompts(),
            desk=LocalDeskAdapter(store, clock, {DEMO: "DEMO"}),
            notifier=LogNotifier(),
            run_dir=lambda run: _made(folder / f"run-{int(run)}"),
            room=HostRoom(folder),
            shelves=DiskShelves(folder),
        )
        async with anyio.create_task_group() as group:
            supervisor = Supervisor(world)
            await group.start(supervisor.run)
            yield world, supervisor
            group.cancel_scope.cancel()


def _made(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


async def event_to_spawn(world: World, supervisor: Supervisor, agent: Agent, rounds: int) -> list[float]:
    seconds = []
    for _ in range(rounds):
        issue = await world.desk.create_issue(DEMO, title="Measure this", body="A description that is long enough.", by="me")
        await anyio.sleep(0.02)
        agent.event, begun = anyio.Event(), time.perf_counter()
        await world.desk.move_issue(issue.id, Status.TO_ANALYSE, by="me")
        supervisor.intake.tell(InboxHint())
        await agent.event.wait()
        seconds.append(agent.started[-1] - begun)
        await anyio.sleep(0.05)
    return seconds


async def bare_spawn(rounds: int) -> list[float]:
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        async with await anyio.open_process(PROGRAM) as process:
            assert process.stdout is not None
            await process.stdout.receive()
            seconds.append(time.perf_counter() - begun)
            await process.wait()
    return seconds


async def commit(world: World, rounds: int) -> list[float]:
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        await world.store.transact(lambda tx: tx.add_inbox("bench", b"{}", world.clock.now()))
        seconds.append(time.perf_counter() - begun)
    return seconds


def percentile(seconds: list[float], share: float) -> float:
    """Return a percentile in milliseconds."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


async def measure(rounds: int) -> None:
    logs.configure("error")
    agent = Agent()
    with harness.disk_dir() as folder:
        async with line(folder, agent) as (world, supervisor):
            await event_to_spawn(world, supervisor, agent, 5)
            ours = await event_to_spawn(world, supervisor, agent, rounds)
            floor_spawn, floor_commit = await bare_spawn(rounds), await commit(world, rounds)
    bench = harness.Bench("line")
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        floor = percentile(floor_spawn, share) + percentile(floor_commit, share)
        bench.add(f"event to agent started, {name}", percentile(ours, share), "ms", baseline=floor, lower_is_better=True)
    bench.finish()


if __name__ == "__main__":
    keep_what_is_loaded()  # as the daemon does
    anyio.run(measure, int(sys.argv[1]) if len(sys.argv) > 1 else 100)
