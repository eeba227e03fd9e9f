"""The daemon put together: what configuration says becomes adapters, actors and a server, and ends in good order.

Owns: what is made in which order, and in which order it ends. With ``orch.main`` it is the composition root: these two may
import everything. Rule: whatever can be wrong in configuration is found before anything is made; the listener closes first
at the end and the database last. A second signal, or the hard deadline, leaves at once.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import final

import anyio
import anyio.to_thread
from anyio.abc import TaskStatus

from actors.health import Health
from actors.supervisor import Supervisor
from actors.world import World
from orch import __version__, logs
from orch.adapters.agents.claude import ClaudeAdapter
from orch.adapters.agents.command import CommandAdapter
from orch.adapters.agents.scripted import ScriptedAdapter
from orch.adapters.backup import BackgroundBackups, Backups, resume_from_backup
from orch.adapters.clock import SystemClock
from orch.adapters.git import GitBranchReader, GitMirror
from orch.adapters.sandbox_policy import make_sandbox, sandbox_in_force
from orch.adapters.store import SqliteStore, hold_data_dir, recover
from orch.cli.options import ServeOptions
from orch.config import ProjectOptions, Refused, Settings, check_services, in_repos, load, project_from_options
from orch.core.errors import ConfigError
from orch.core.ids import ProjectName
from orch.core.model import Project, Registry, RoleSettings
from orch.failpoints import hit
from orch.ports import AgentAdapter, BackupDesk, Clock, Store
from orch.reload import Configuration, Reading
from orch.web.app import Web, create_app
from orch.web.auth import load_or_make_token
from orch.web.deps import WebDeps
from orch.web.server import Listener, bind_socket, url_of, write_daemon_file
from orch.web.server import serve as serve_web
from orch.wiring import GITEA, Connections, Ground, build_world

DATABASE = "orch.db"
LINGER_S = 5.0


# ------------------------------------------------------------------------------------------------ what is to run


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that configuration says about one daemon, checked."""

    settings: Settings
    projects: tuple[Project, ...]
    warnings: tuple[str, ...] = ()
    refused: tuple[Refused, ...] = ()

    @property
    def data_dir(self) -> Path:
        return self.settings.data_dir.expanduser().absolute()

    @property
    def notices(self) -> tuple[str, ...]:
        """What an operator should be told at the start."""
        return (*self.warnings, *(refused.reason for refused in self.refused))


def make_plan(options: ServeOptions, environ: Mapping[str, str]) -> Plan:
    """Turn options, file and environment into a plan; raises ConfigError with one line that says what to do."""
    if options.config is None and options.repo is None:
        raise ConfigError("nothing to serve: pass --repo PATH --test CMD, or --config FILE with a registry of projects")
    loaded = load(options.config, environ)
    given = {"host": options.host, "port": options.port, "data_dir": options.data_dir}
    settings = loaded.settings.model_copy(update={name: value for name, value in given.items() if value is not None})
    projects = loaded.projects
    if options.repo is not None:
        projects = (_with_gate(project_from_options(_project_options(options)), settings),)
    if not projects:
        told = "; ".join(refused.reason for refused in loaded.refused) or "the registry names no project"
        raise ConfigError(f"nothing can be started: {told}")
    check_services(settings, projects)
    return Plan(settings=settings, projects=projects, warnings=loaded.warnings, refused=loaded.refused)


def _project_options(options: ServeOptions) -> ProjectOptions:
    assert options.repo is not None
    agent = options.agent or ("command" if options.agent_command else "claude")
    script = str(options.script.absolute()) if options.script is not None else ""
    made = ProjectOptions(
        repo=options.repo,
        test_command=options.test_command,
        role=RoleSettings(agent=agent, command=options.agent_command, script=script),
        setup_command=options.setup_command,
        name=options.name,
        prefix=options.prefix,
        default_branch=options.default_branch,
    )
    return replace(made, land_style=type(made.land_style)(options.land_style)) if options.land_style else made


def _with_gate(project: Project, settings: Settings) -> Project:
    listed = in_repos(settings.merge_gate_repos, project.name, self_hosting=project.self_hosting)
    return replace(project, merge_gate=settings.merge_gate_enabled and listed)


# ------------------------------------------------------------------------------------------------ putting it together


def make_adapters() -> dict[str, AgentAdapter]:
    """Return every kind of agent by name."""
    return {adapter.name: adapter for adapter in (ClaudeAdapter(), CommandAdapter(), ScriptedAdapter())}


def check_agents(projects: tuple[Project, ...], adapters: Mapping[str, AgentAdapter]) -> None:
    """Raise ConfigError for the first role whose agent cannot be started."""
    for project in projects:
        for role, settings in project.agents().items():
            adapter = adapters.get(settings.agent)
            if adapter is None:
                known = ", ".join(sorted(adapters))
                raise ConfigError(f"project {project.name}: role {role}: no agent is called {settings.agent!r}; known: {known}")
            if (missing := adapter.check(settings)) is not None:
                raise ConfigError(f"project {project.name}: role {role}: {missing}")


def make_configuration(plan: Plan, reread: Callable[[], Plan] | None, adapters: Mapping[str, AgentAdapter]) -> Configuration:
    """Return the plan as what is in force; *reread* makes a new plan out of the same options."""

    def again() -> Reading:
        assert reread is not None
        new = reread()
        check_agents(new.projects, adapters)
        return new.settings, new.projects, new.notices

    return Configuration(plan.settings, plan.projects, reread=None if reread is None else again)


# ------------------------------------------------------------------------------------------------ running


async def run_daemon(
    plan: Plan,
    *,
    stop: anyio.Event | None = None,
    announce: bool = False,
    reread: Callable[[], Plan] | None = None,
    task_status: TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Run a daemon until *stop*, SIGTERM or SIGINT; its address is reported as the task's status.

    SIGHUP takes the configuration over that *reread* returns.
    """
    logs.register_secrets((*plan.settings.secrets(), *logs.secrets_of(os.environ)))
    adapters = make_adapters()
    check_agents(plan.projects, adapters)
    configuration = make_configuration(plan, reread, adapters)
    wanted = make_sandbox(plan.settings, plan.data_dir, configuration.registry, os.environ)
    sandbox = await anyio.to_thread.run_sync(sandbox_in_force, plan.settings.sandbox, wanted)
    stop = stop or anyio.Event()
    with bind_socket(plan.settings.host, plan.settings.port) as listener, hold_data_dir(plan.data_dir):
        hit("start.locked")
        clock = SystemClock()
        store = await SqliteStore.open(plan.data_dir / DATABASE, clock=clock)
        async with store, Connections(plan.settings, plan.projects, plan.data_dir) as connections:
            hit("start.opened")
            ground = Ground(
                settings=plan.settings,
                projects=plan.projects,
                data_dir=plan.data_dir,
                registry=configuration.registry,
                store=store,
                clock=clock,
                adapters=adapters,
                sandbox=sandbox,
            )
            world = build_world(ground, connections)
            await _recover(world)
            mirrors = {name: it.mirror for name, it in world.services.items() if isinstance(it.mirror, GitMirror)}
            await _after_restore(plan, mirrors, store)
            backups = BackgroundBackups(_backups(plan, store, mirrors, clock))
            supervisor = Supervisor(world)
            configuration.accepted = supervisor.configured
            deps = _web_deps(plan, world, supervisor, url_of(listener), backups)
            app = create_app(deps)
            async with anyio.create_task_group() as group:
                await group.start(_watch_signals, stop, world)
                await group.start(_watch_hangups, configuration, world.health)
                group.start_soon(backups.run)
                if (presses := connections.presses(world, supervisor)) is not None:
                    group.start_soon(presses.run)
                group.start_soon(partial(_run_line, supervisor, app, listener, stop, world, group.cancel_scope))
                link = _web_link(deps, world.clock)
                await _announce(plan, url_of(listener), link if announce else "")
                hit("start.ready")
                task_status.started(url_of(listener))
            hit("stop.actors")
        hit("stop.store")
        (plan.data_dir / "daemon.json").unlink(missing_ok=True)


async def _recover(world: World) -> None:
    """Before anything is claimed: no process of an earlier life goes on, and what was cut off waits again."""
    log = logs.get_logger("start")
    orphans = await world.processes.kill_orphans()
    hit("recovery.orphans")
    now = world.clock.now()
    recovered = await world.store.transact(lambda tx: recover(tx, now))
    hit("recovery.done")
    if orphans or recovered.runs:
        log.warning("recovered", orphans=len(orphans), runs=len(recovered.runs), requeued=len(recovered.requeued))


async def _after_restore(plan: Plan, mirrors: Mapping[ProjectName, GitMirror], store: Store) -> None:
    """Where the data directory is a backup that was put back: bring it into line with the forge."""
    taken = await resume_from_backup(plan.data_dir, mirrors, store)
    if taken is not None:
        logs.get_logger("start").warning(
            "restored from a backup", branches={str(name): list(found) for name, found in taken.items()}
        )


def _backups(plan: Plan, store: SqliteStore, mirrors: Mapping[ProjectName, GitMirror], clock: Clock) -> Backups:
    return Backups(copy_database=store.backup, mirrors=mirrors, data_dir=plan.data_dir, version=__version__, now=clock.now)


async def _run_line(
    supervisor: Supervisor, app: Web, listener: Listener, stop: anyio.Event, world: World, whole: anyio.CancelScope
) -> None:
    """Serve until *stop*: then the listener closes first, the actors end, and the database is closed by the caller."""
    async with anyio.create_task_group() as group:
        await group.start(supervisor.run)
        await serve_web(app, listener, shutdown=stop, hub_close=app.hub_close, grace_s=world.limits.shutdown_grace_s / 2)
        hit("stop.listener")
        group.cancel_scope.cancel()
    whole.cancel()


def _web_deps(plan: Plan, world: World, supervisor: Supervisor, url: str, backups: BackupDesk) -> WebDeps:
    settings = plan.settings
    admin = settings.admin_token.get_secret_value() if settings.admin_token is not None else ""
    token = load_or_make_token(plan.data_dir)
    logs.register_secret(token)
    return WebDeps(
        store=world.store,
        control=supervisor,
        feed=supervisor.feed,
        clock=world.clock,
        token=token,
        admin_token=admin,
        registry=world.registry,
        public_url=settings.public_url or url,
        version=__version__,
        require_token_for_reading=settings.host not in ("127.0.0.1", "::1", "localhost"),
        backup=backups,
        doors=world.doors,
        branches={name: GitBranchReader(it.mirror) for name, it in world.services.items() if isinstance(it.mirror, GitMirror)},
        pull_url=partial(_pull_url, settings.gitea_public_url or settings.gitea_url, world.registry),
        run_log=lambda run: plan.data_dir / "runs" / str(int(run)) / "output.log",
    )


def _pull_url(forge: str, registry: Callable[[], Registry], name: ProjectName, number: int) -> str:
    """Return where a browser finds a pull request; the local forge shows none."""
    project = registry().projects.get(name)
    return f"{forge.rstrip('/')}/{project.repo}/pulls/{number}" if project is not None and project.forge == GITEA else ""


def _web_link(deps: WebDeps, clock: Clock) -> str:
    """Return the one-time link that opens the page with the right to act."""
    return f"{deps.public_url}/login?code={deps.links.issue(clock.now())}"


async def _announce(plan: Plan, url: str, link: str) -> None:
    """Leave the address for the command line; say *link* on standard output (never in the log) where there is one."""
    write_daemon_file(plan.data_dir, url)
    log = logs.get_logger("start")
    for warning in plan.notices:
        log.warning("configuration", detail=warning)
    if link:
        sys.stdout.write(f"Open the page (this link works once, for ten minutes): {link}\n")
        sys.stdout.flush()
        names = ", ".join(project.name for project in plan.projects)
        log.info("ready", url=url, projects=names, data_dir=str(plan.data_dir))


async def _watch_signals(stop: anyio.Event, world: World, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """First signal: stop in good order, with a hard deadline. Second signal: leave now. Started, nothing unhandled kills us."""
    if threading.current_thread() is not threading.main_thread():
        task_status.started()
        return
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            if stop.is_set():
                os._exit(75)
            hit("stop.asked")
            stop.set()
            watchdog = threading.Timer(world.limits.shutdown_grace_s + LINGER_S, os._exit, args=(75,))
            watchdog.daemon = True
            watchdog.start()


async def _watch_hangups(
    configuration: Configuration, health: Health, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Reload at each SIGHUP; one that comes because the terminal was closed ends the daemon, as that always did."""
    if threading.current_thread() is not threading.main_thread():
        task_status.started()
        return
    terminal = [stream for stream in (0, 1, 2) if os.isatty(stream)]
    with anyio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            if any(not os.isatty(stream) for stream in terminal):
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                await configuration.reload(health)
