"""The world put together: every adapter of one daemon, and the services' connections that its projects share.

Owns: which adapter stands behind which port, for the daemon and for each project; the clients of the services, opened once and
closed at the end. Does not own: in which order the daemon starts and ends (``orch.daemon``). It is part of the composition root.
Rule: what a reload may change is asked of the registry, never kept.
"""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, final

from pydantic import SecretStr

from actors.health import Health, WatchedStore
from actors.world import Services, World
from orch.adapters.commands import ProjectCommands
from orch.adapters.deploys import DetachedDeploys
from orch.adapters.git import Git, GitMirror, GitWorkspace
from orch.adapters.git.layout import mirror_path
from orch.adapters.gitea import make_gitea_client, make_gitea_forge
from orch.adapters.gitea.door import GiteaDoor
from orch.adapters.local_board import LocalBoard, LocalDeskAdapter
from orch.adapters.local_forge import LocalForge
from orch.adapters.notices import LogNotifier
from orch.adapters.plane import PlaneDoor, make_plane_accounts, make_plane_board
from orch.adapters.probe import ProjectProbe
from orch.adapters.process import ProcessTree, namespace_of
from orch.adapters.prompts import JinjaPrompts
from orch.adapters.room import HostRoom
from orch.adapters.sandbox import Sandbox
from orch.adapters.shelves import DiskShelves
from orch.adapters.telegram import Audience, ChatNotifier, PressDesk, TelegramChat, look_at_telegram, make_telegram
from orch.config import Settings
from orch.core.doctor import ChatFacts
from orch.core.ids import ProjectName, RunId
from orch.core.model import Project, Registry
from orch.ports import AgentAdapter, Board, Clock, Control, Forge, HookDoor, Store, Tx, WorkspaceSpec

PLANE, GITEA = "plane", "gitea"


@final
class Connections:
    """The services that projects share: opened where any project needs them, closed with the block.

    Raises ConfigError at the start where a setting of a service in use is missing or no value of its kind.
    """

    def __init__(self, settings: Settings, projects: tuple[Project, ...], data_dir: Path) -> None:
        self._settings, self._data_dir = settings, data_dir
        self._closing = AsyncExitStack()
        self.plane = make_plane_accounts(settings) if any(project.board == PLANE for project in projects) else None
        self.gitea = make_gitea_client(settings) if any(project.forge == GITEA for project in projects) else None
        self.telegram = make_telegram(settings)

    async def __aenter__(self) -> Self:
        for client in (self.plane, self.gitea):
            if client is not None:
                await self._closing.enter_async_context(client)
        if self.telegram is not None:
            self._closing.push_async_callback(self.telegram.aclose)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._closing.aclose()

    def board(self, project: Project, store: Store, clock: Clock) -> Board:
        if project.board == PLANE:
            assert self.plane is not None
            return make_plane_board(project, self.plane)
        return LocalBoard(store, project.name, clock, project.prefix)

    def forge(self, project: Project, store: Store, clock: Clock) -> Forge:
        if project.forge == GITEA:
            assert self.gitea is not None
            return make_gitea_forge(self._settings, project, self._data_dir, self.gitea)
        return LocalForge(store, project.name, Path(project.repo), project.default_branch, clock)

    def chat(self, store: Store, clock: Clock, health: Health) -> TelegramChat | None:
        """Return the chat that people are told in, None where none is configured."""
        if self.telegram is None:
            return None
        return TelegramChat(self.telegram, self._settings.telegram_chat_id, store=store, clock=clock, notice=health.notice)

    async def look_at_chat(self) -> ChatFacts | None:
        """Return what Telegram says, None where it is not configured."""
        if self.telegram is None:
            return None
        return await look_at_telegram(self.telegram, self._settings.telegram_chat_id, len(self._settings.telegram_allowed_users))

    def presses(self, world: World, control: Control) -> PressDesk | None:
        """Return who listens to people's presses in the chat, None where there is no chat."""
        if self.telegram is None or not isinstance(world.chat, TelegramChat):
            return None
        audience = Audience(
            users=frozenset(self._settings.telegram_allowed_users),
            language=lambda name: project.language if (project := world.registry().projects.get(name)) is not None else "en",
            raise_usd=lambda: self._settings.budget_task_usd,
            raise_day_usd=lambda: self._settings.budget_day_usd,
        )
        notice = world.health.notice
        store, clock = world.store, world.clock
        return PressDesk(self.telegram, world.chat, store=store, control=control, clock=clock, audience=audience, notice=notice)

    def services(self, project: Project) -> tuple[Board | None, Forge | None]:
        """Return a project's board and forge where they are services, which can be asked without a daemon."""
        board = make_plane_board(project, self.plane) if project.board == PLANE and self.plane is not None else None
        forge = None
        if project.forge == GITEA and self.gitea is not None:
            forge = make_gitea_forge(self._settings, project, self._data_dir, self.gitea)
        return board, forge

    def doors(self, registry: Callable[[], Registry], health: Health) -> dict[str, HookDoor]:
        """Return the services whose webhooks are taken."""
        doors: dict[str, HookDoor] = {}
        if self.plane is not None:
            secret = self._settings.plane_webhook_secret
            names = partial(_named, registry, lambda project: project.board_project if project.board == PLANE else "")
            doors[PLANE] = PlaneDoor(_text(secret), names, self.plane.known_users, health.hook_came)
        if self.gitea is not None:
            secret = self._settings.gitea_webhook_secret
            names = partial(_named, registry, lambda project: project.repo if project.forge == GITEA else "")
            doors[GITEA] = GiteaDoor(_text(secret), names, health.hook_came)
        return doors


def _named(registry: Callable[[], Registry], name_of: Callable[[Project], str]) -> Mapping[str, ProjectName]:
    """Return each project under the name that a service has for it."""
    return {name: project.name for project in registry().projects.values() if (name := name_of(project))}


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a world is built on. *registry* is what configuration says now, *adapters* every kind of agent by name."""

    settings: Settings
    projects: tuple[Project, ...]
    data_dir: Path
    registry: Callable[[], Registry]
    store: Store
    clock: Clock
    adapters: Mapping[str, AgentAdapter]
    sandbox: Sandbox | None


def build_world(ground: Ground, connections: Connections) -> World:
    """Make every adapter of the daemon."""
    data_dir, registry, sandbox, clock, health = ground.data_dir, ground.registry, ground.sandbox, ground.clock, Health()
    store = WatchedStore(ground.store, health)
    processes = ProcessTree(namespace=namespace_of(data_dir), sandbox=sandbox)
    home, cache = data_dir / "home", data_dir / "cache"
    commands = ProjectCommands(
        processes, home=home, cache=cache, grace=lambda: registry().limits.stop_grace_s, sandboxed=sandbox is not None
    )
    prompts = JinjaPrompts(ground.settings.prompts_dir)
    prompts.check()
    git = Git(label=f"{namespace_of(data_dir)}/git")
    workshop = Workshop(data_dir=data_dir, store=store, clock=clock, git=git, commands=commands)
    services = {project.name: _services(project, workshop, connections, registry) for project in ground.projects}
    chat = connections.chat(store, clock, health)
    return World(
        store=store,
        clock=clock,
        registry=registry,
        services=services,
        processes=processes,
        adapters=ground.adapters,
        commands=commands,
        deploys=_deploys(data_dir, registry, home),
        probe=ProjectProbe(commands, data_dir / "probes"),
        prompts=prompts,
        desk=LocalDeskAdapter(store, clock, {project.name: project.prefix for project in ground.projects}),
        notifier=LogNotifier() if chat is None else ChatNotifier(chat),
        chat=chat,
        run_dir=partial(_run_dir, data_dir),
        room=HostRoom(data_dir),
        shelves=DiskShelves(data_dir),
        doors=connections.doors(registry, health),
        health=health,
    )


def _deploys(data_dir: Path, registry: Callable[[], Registry], home: Path) -> DetachedDeploys:
    return DetachedDeploys(
        data_dir / "deploys",
        prefix=f"{namespace_of(data_dir)}/",
        home=home,
        lock=data_dir / "lock",
        grace=lambda: registry().limits.stop_grace_s,
    )


def _configured(registry: Callable[[], Registry], name: ProjectName) -> Project:
    return registry().projects[name]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What every project's adapters are made with."""

    data_dir: Path
    store: Store
    clock: Clock
    git: Git
    commands: ProjectCommands


def _services(project: Project, shop: Workshop, connections: Connections, registry: Callable[[], Registry]) -> Services:
    forge = connections.forge(project, shop.store, shop.clock)
    mirror = GitMirror(
        mirror_path(shop.data_dir, project.name),
        forge.remote,
        project=project.name,
        default_branch=project.default_branch,
        git=shop.git,
    )
    may_push = partial(_is_current, shop.store)
    workspace = GitWorkspace(shop.data_dir, mirror, shop.commands, may_push=may_push, now=shop.clock.now)
    return Services(
        configured=partial(_configured, registry, project.name),
        board=connections.board(project, shop.store, shop.clock),
        forge=forge,
        mirror=mirror,
        workspace=workspace,
    )


async def _is_current(store: Store, spec: WorkspaceSpec) -> bool:
    """Say whether a run's fence still holds: asked just before its branch is pushed."""

    def work(tx: Tx) -> bool:
        task = tx.load_task(spec.task)
        return task is not None and task.attempt == spec.attempt and task.cancel_requested_at is None

    return await store.read(work)


def _run_dir(data_dir: Path, run: RunId) -> Path:
    folder = data_dir / "runs" / str(int(run))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
