"""What every actor is given: the ports, and how to reach the other actors.

Owns: the bundle of ports per daemon (``World``) and per project (``Services``), and the ``Router``.
Rule: made once by the composition root. What a reload may change is asked of ``registry`` each time: no actor keeps a copy of a
project or of the limits beyond the run, landing or decision that it is about.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, final

from actors.health import Health
from orch.core.effects import Alert
from orch.core.ids import ProjectName, RunId, TaskRow
from orch.core.messages import (
    CommandSlotMessage,
    Handle,
    IntakeMessage,
    OutboxMessage,
    PublisherMessage,
    ReconcilerMessage,
    RepoMessage,
    SlotMessage,
    TaskMessage,
)
from orch.core.model import Limits, Project, Registry
from orch.core.room import Shortage, shortages
from orch.core.turn import Context
from orch.ports import (
    AgentAdapter,
    Board,
    Clock,
    Commands,
    Deploys,
    Forge,
    HookDoor,
    LocalDesk,
    Mirror,
    Probe,
    Processes,
    Prompts,
    Room,
    Shelves,
    Store,
    Workspace,
)
from orch.ports.chat import Chat


class Notifier(Protocol):
    """Where sounding messages go."""

    async def alert(self, project: ProjectName, alert: Alert) -> None: ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One project's ports, and its entry as configuration has it now."""

    configured: Callable[[], Project]
    board: Board
    forge: Forge
    mirror: Mirror
    workspace: Workspace

    @property
    def project(self) -> Project:
        return self.configured()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside the actors."""

    store: Store
    clock: Clock
    registry: Callable[[], Registry]
    services: Mapping[ProjectName, Services]
    processes: Processes
    adapters: Mapping[str, AgentAdapter]
    commands: Commands
    probe: Probe
    deploys: Deploys
    prompts: Prompts
    desk: LocalDesk
    notifier: Notifier
    run_dir: Callable[[RunId], Path]
    room: Room
    shelves: Shelves
    doors: Mapping[str, HookDoor] = field(default_factory=dict)
    """The services whose webhooks are taken, by name."""
    chat: Chat | None = None
    """Where trackers and alerts go; without one alerts go to the notifier alone."""
    health: Health = field(default_factory=Health)

    @property
    def limits(self) -> Limits:
        return self.registry().limits

    async def measure_room(self) -> tuple[Shortage, ...]:
        """Return what there is too little of to begin anything, as it is now; health shows it."""
        self.health.shortages = shortages(await self.room.measure(), self.limits)
        return self.health.shortages

    def context(self, project: ProjectName) -> Context:
        """Return what a decision about *project* is given, now."""
        services = self.services[project]
        return Context(now=self.clock.now(), project=services.project, limits=self.limits, web_url=services.forge.web_url)


class Router(Protocol):
    """The sending ends of the actors. A task's or repo's actor is started by the first message to it."""

    @property
    def slots(self) -> Handle[SlotMessage]: ...

    @property
    def commands(self) -> Handle[CommandSlotMessage]: ...

    @property
    def outbox(self) -> Handle[OutboxMessage]: ...

    @property
    def intake(self) -> Handle[IntakeMessage]: ...

    @property
    def reconciler(self) -> Handle[ReconcilerMessage]: ...

    @property
    def publisher(self) -> Handle[PublisherMessage]: ...

    def task(self, row: TaskRow) -> Handle[TaskMessage]: ...

    def repo(self, project: ProjectName) -> Handle[RepoMessage]: ...
