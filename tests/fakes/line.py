"""The whole line of actors in a fake world, on virtual time: ``async with line() as it``.

Owns: how the fakes and the real local services are put together, the person's part, and waiting for what shall come.
Rule: strict by default: an actor that crashes fails the test.
"""

import copy
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar

import anyio

from actors.health import Health, WatchedStore
from actors.supervisor import Supervisor
from actors.world import Services, World
from orch.adapters.local_board import LocalDeskAdapter
from orch.adapters.store import InlineStore, recover
from orch.core.ids import IssueId, ProjectName, RunId, TaskRow
from orch.core.messages import Answer, CommentIssue, CreateIssue, DecideTask, Decision, MoveIssue, PersonCommand, Verb
from orch.core.model import BoardComment, Job, Limits, OutboxRow, Project, Registry, RowState, Run, Task, Transition
from orch.core.stages import Stage
from orch.ports import Tx, WorkspaceSpec
from orch.rehearsal.faults import Faults
from tests.builders import DEMO, make_limits, make_project
from tests.fakes.agents import FakeAgent, FakeCommands, FakeNotifier, FakeProcesses, FakePrompts
from tests.fakes.deploys import FakeDeploys
from tests.fakes.git import FakeMirror, FakeWorkspace
from tests.fakes.probe import FakeProbe
from tests.fakes.repository import Repository
from tests.fakes.services import FakeRoom, FakeShelves, FaultyBoard, FaultyForge, FaultyStore
from tests.fakes.virtual_time import VirtualClock

T = TypeVar("T")
BODY = "It shall be done, and here is why it shall be done."
STEP_S = 0.1


class Ground:
    """What outlives a daemon: the store, the repositories, and the fakes' memories."""

    def __init__(self, *projects: Project, limits: Limits | None = None, faults: Faults | None = None) -> None:
        self.projects = projects or (make_project(),)
        self.limits = limits or make_limits()
        self.clock = VirtualClock()
        self.store = FaultyStore(self._make_store())
        self.faults = faults or Faults()
        self.repositories = {project.name: Repository({"README.md": "# Sample\n"}) for project in self.projects}
        self.mirrors = {name: FakeMirror(name, repository, self.faults) for name, repository in self.repositories.items()}
        self.workspaces = {name: FakeWorkspace(mirror, self.faults, self._is_current) for name, mirror in self.mirrors.items()}
        self.agent = FakeAgent()
        self.commands = FakeCommands(self.mirrors.values, self.faults)
        self.prompts = FakePrompts()
        self.probe = FakeProbe(self.clock)
        self.deploys = FakeDeploys(self.clock, self.faults)
        self.notifier = FakeNotifier(self.faults)
        self.room = FakeRoom()
        self.shelves = FakeShelves()
        self.owners: dict[TaskRow, ProjectName] = {}
        self.processes = FakeProcesses(self.agent, self._workspace_of, self.faults)
        self.boards = {project.name: FaultyBoard(self.store, project, self.clock, self.faults) for project in self.projects}
        self._folder = tempfile.TemporaryDirectory(prefix="orch-line-")

    def _make_store(self) -> InlineStore:
        return InlineStore(clock=self.clock)

    def without(self, project: ProjectName) -> "Ground":
        """Return the same ground under a configuration that does not name *project* any more."""
        other = copy.copy(self)
        other.projects = tuple(each for each in self.projects if each.name != project)
        return other

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.store.aclose()
        self._folder.cleanup()

    async def _is_current(self, spec: WorkspaceSpec) -> bool:
        def work(tx: Tx) -> bool:
            task = tx.load_task(spec.task)
            return task is not None and task.attempt == spec.attempt and task.cancel_requested_at is None

        return await self.store.read(work)

    def _workspace_of(self, task: TaskRow) -> FakeWorkspace:
        for workspace in self.workspaces.values():
            if any(spec.task == task for spec in workspace.specs):
                return workspace
        raise AssertionError(f"no working copy was made for task {task}")

    def run_dir(self, run: RunId) -> Path:
        folder = Path(self._folder.name) / str(int(run))
        folder.mkdir(exist_ok=True)
        return folder

    def registry(self) -> Registry:
        return Registry(limits=self.limits, projects={project.name: project for project in self.projects})

    def world(self) -> World:
        health = Health()
        prefixes = {project.name: project.prefix for project in self.projects}
        return World(
            store=WatchedStore(self.store, health),
            clock=self.clock,
            registry=self.registry,
            services={project.name: self._services(project) for project in self.projects},
            processes=self.processes,
            adapters={self.agent.name: self.agent},
            commands=self.commands,
            probe=self.probe,
            deploys=self.deploys,
            prompts=self.prompts,
            desk=LocalDeskAdapter(self.store, self.clock, prefixes),
            notifier=self.notifier,
            run_dir=self.run_dir,
            room=self.room,
            shelves=self.shelves,
            health=health,
        )

    def _services(self, project: Project) -> Services:
        name = project.name
        forge = FaultyForge(self.store, name, self.clock, self.faults, self.repositories[name])
        return Services(
            configured=lambda: self.registry().projects[name],
            board=self.boards[name],
            forge=forge,
            mirror=self.mirrors[name],
            workspace=self.workspaces[name],
        )


class Line:
    """A running line. ``g`` is the ground it stands on; the short names are those of the (first) project."""

    def __init__(self, ground: Ground, *, strict: bool = True) -> None:
        self.g = ground
        self.world = ground.world()
        self.supervisor = Supervisor(self.world, strict=strict)
        first = ground.projects[0].name
        self.repository, self.mirror = ground.repositories[first], ground.mirrors[first]
        self.workspace, self.board = ground.workspaces[first], ground.boards[first]
        self.faults, self.agent, self.commands = ground.faults, ground.agent, ground.commands
        self.processes, self.prompts = ground.processes, ground.prompts
        self.deploys = ground.deploys

    # ---------------------------------------------------------------------------------------- the person

    async def ask(self, command: PersonCommand) -> Answer:
        return await self.supervisor.ask(command)

    async def add(self, title: str = "Add a greeting", *, body: str = BODY, project: ProjectName = DEMO) -> str:
        answer = await self.ask(CreateIssue(title=title, body=body, by="anna", project=project))
        assert answer.verb is Verb.DONE, answer
        return answer.id

    async def move(self, issue: str, status: str) -> None:
        answer = await self.ask(MoveIssue(issue=issue, status=status, by="anna"))
        assert answer.verb is Verb.DONE, answer

    async def say(self, issue: str, text: str) -> None:
        await self.ask(CommentIssue(issue=issue, text=text, by="anna"))

    async def start(self, title: str = "Add a greeting", *, project: ProjectName = DEMO) -> str:
        """Make an issue and move it to To Analyse; return its key, which is the work item id."""
        issue = await self.add(title, project=project)
        await self.move(issue, "to_analyse")
        return issue

    async def decide(self, task: str, decision: Decision, *, reason: str = "", shown: str | None = None) -> Answer:
        """Decide about what is shown now."""
        if shown is None:
            shown = (await self.task(task)).shown or ""
        return await self.ask(DecideTask(task=task, decision=decision, by="anna", shown=shown, reason=reason))

    async def approve(self, task: str, *, within_s: float = 60) -> None:
        """Wait for the plan and approve it."""
        await self.until(lambda tx: tx_task(tx, task).awaiting == "approval", within_s=within_s)
        answer = await self.decide(task, Decision.APPROVE)
        assert answer.verb is Verb.DONE, answer

    # ---------------------------------------------------------------------------------------- looking

    async def read(self, work: Callable[[Tx], T]) -> T:
        return await self.g.store.read(work)

    async def write(self, work: Callable[[Tx], T]) -> T:
        return await self.g.store.transact(work)

    async def task(self, name: str) -> Task:
        return await self.read(lambda tx: tx_task(tx, name))

    async def runs(self, name: str) -> list[Run]:
        return await self.read(lambda tx: tx.list_runs(task=tx_task(tx, name).row))

    async def jobs(self, name: str) -> list[Job]:
        return await self.read(lambda tx: tx.list_jobs(task=tx_task(tx, name).row))

    async def history(self, name: str) -> list[Transition]:
        return await self.read(lambda tx: tx.list_transitions(tx_task(tx, name).row))

    async def comments(self, issue: str) -> list[BoardComment]:
        return await self.read(lambda tx: tx.list_comments(IssueId(issue)))

    async def outbox(self, state: RowState = RowState.PENDING) -> list[OutboxRow]:
        return await self.read(lambda tx: tx.list_outbox(state=state))

    async def column(self, issue: str) -> str:
        found = await self.read(lambda tx: tx.load_issue(IssueId(issue)))
        assert found is not None
        return found.state_id

    async def settle(self, seconds: float = 0.0) -> None:
        """Let *seconds* of virtual time pass, then let everything go on until it waits."""
        await anyio.sleep(seconds)
        await anyio.wait_all_tasks_blocked()

    async def until(self, holds: Callable[[Tx], bool], *, within_s: float = 120) -> None:
        """Wait until the store says so; fail with the tasks' states when it does not."""
        deadline = anyio.current_time() + within_s

        def work(tx: Tx) -> bool:
            try:
                return holds(tx)
            except NoTaskError:
                return False

        while not await self.read(work):
            if anyio.current_time() > deadline:
                tasks = await self.read(lambda tx: tx.list_tasks())
                told = [
                    (t.work_item, t.stage, t.awaiting, t.park and (t.park.reason, t.park.evidence[:300]), t.note) for t in tasks
                ]
                raise AssertionError(f"it did not come within {within_s} s: {told}")
            waited_s = anyio.current_time() - (deadline - within_s)
            await anyio.sleep(STEP_S if waited_s < 20 else 10 * STEP_S)

    async def until_stage(self, name: str, stage: Stage, *, within_s: float = 120) -> Task:
        await self.until(lambda tx: tx_task(tx, name).stage is stage, within_s=within_s)
        return await self.task(name)

    async def until_parked(self, name: str, *, within_s: float = 600) -> Task:
        await self.until(lambda tx: tx_task(tx, name).park is not None, within_s=within_s)
        return await self.task(name)


class NoTaskError(AssertionError):
    """There is no such task (yet)."""


def tx_task(tx: Tx, name: str) -> Task:
    """Return the newest task of that name; raises NoTaskError."""
    task = tx.find_task(name)
    if task is None:
        raise NoTaskError(name)
    return task


@asynccontextmanager
async def running(ground: Ground, *, strict: bool = True) -> AsyncIterator[Line]:
    """Run a daemon's actors on *ground*; leaving the block is a kill, as far as the store is concerned."""
    now = ground.clock.now()
    await ground.store.transact(lambda tx: recover(tx, now))
    it = Line(ground, strict=strict)
    async with anyio.create_task_group() as group:
        await group.start(it.supervisor.run)
        try:
            yield it
        finally:
            group.cancel_scope.cancel()


@asynccontextmanager
async def line(*projects: Project, limits: Limits | None = None, strict: bool = True) -> AsyncIterator[Line]:
    """Run a line on a ground of its own; every fault that was ordered must have been met."""
    async with Ground(*projects, limits=limits) as ground:
        async with running(ground, strict=strict) as it:
            yield it
        ground.faults.assert_used()
