"""What every actor is given: the ports, and how to reach the other actors.

Owns: the bundle of ports per daemon (``World``) and per project (``Services``), and the ``Router``.
Rule: made once by the composition root; nothing in it is replaced while the daemon runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

from orch.core.effects import Alert
from orch.core.ids import ProjectName, RunId, TaskRow
from orch.core.messages import (
    CommandSlotMessage,
    Handle,
    IntakeMessage,
    OutboxMessage,
    PublisherMessage,
    RepoMessage,
    SlotMessage,
    TaskMessage,
)
from orch.core.model import Limits, Project
from orch.core.turn import Context
from orch.ports import (
    AgentAdapter,
    Board,
    Clock,
    Commands,
    Forge,
    LocalDesk,
    Mirror,
    Processes,
    Prompts,
    Store,
    Workspace,
)


class Notifier(Protocol):
    """Where sounding messages go."""

    async def alert(self, project: ProjectName, alert: Alert) -> None: ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One project's ports."""

    project: Project
    board: Board
    forge: Forge
    mirror: Mirror
    workspace: Workspace


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside the actors."""

    store: Store
    clock: Clock
    limits: Limits
    services: Mapping[ProjectName, Services]
    processes: Processes
    adapters: Mapping[str, AgentAdapter]
    commands: Commands
    prompts: Prompts
    desk: LocalDesk
    notifier: Notifier
    run_dir: Callable[[RunId], Path]
    home_of: Callable[[TaskRow], Path]

    def context(self, project: ProjectName) -> Context:
        """Return what a decision about *project* is given, now."""
        return Context(now=self.clock.now(), project=self.services[project].project, limits=self.limits)


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
    def publisher(self) -> Handle[PublisherMessage]: ...

    def task(self, row: TaskRow) -> Handle[TaskMessage]: ...

    def repo(self, project: ProjectName) -> Handle[RepoMessage]: ...
