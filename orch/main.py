"""The program's entry: the command line, the two commands that run a daemon, and the one that examines what would run.

Owns: what each command is given. With ``orch.daemon`` it is the composition root: these two may import everything.
Rule: the daemon's own modules are loaded by the commands that run one; the others answer quickly.
"""

import gc
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from orch import __version__, failpoints, logs
from orch.adapters.http import HttpApi, connect_api
from orch.cli.app import build_cli
from orch.cli.options import CliDeps, DemoOptions, ServeOptions
from orch.config import Settings, load_settings
from orch.core.doctor import Examination
from orch.core.errors import OrchError
from orch.ports.setup import SetupDesk


def main() -> int:
    """Run the command line; it leaves by SystemExit with the exit code."""
    build_cli(CliDeps(serve=serve, demo=demo, doctor=doctor, connect=_connect, version=__version__, setup=_setup))()
    return 0


def _connect(data_dir: Path | None, url: str | None) -> HttpApi:
    settings = load_settings()
    admin = settings.admin_token.get_secret_value() if settings.admin_token is not None else ""
    return connect_api(data_dir or settings.data_dir, url, admin_token=admin)


def _setup(settings: Settings) -> SetupDesk:
    """Reach the services that settings name, for ``orch init``."""
    from orch.adapters.setup import Setup

    logs.configure("error")
    logs.register_secrets(settings.secrets())
    return Setup(settings)


def serve(options: ServeOptions) -> int:
    """Run the daemon until a signal ends it."""
    from orch.daemon import make_plan, run_daemon

    armed = failpoints.arm(os.environ)
    plan = make_plan(options, os.environ)
    logs.configure(plan.settings.log_level, json_lines=plan.settings.log_format == "json")
    if armed:
        logs.get_logger("start").warning("a failpoint is armed: the daemon will kill itself", name=armed)
    reread = partial(make_plan, options, os.environ) if options.config is not None else None
    keep_what_is_loaded()
    anyio.run(partial(run_daemon, plan, announce=True, reread=reread))
    return 0


def keep_what_is_loaded() -> None:
    """Take what was made so far, modules above all, out of the garbage collector's sight: it lives as long as the process.

    A full collection holds the event loop: 50 ms where it looks at all of it, one or two when a day's work is all there is.
    """
    gc.collect()
    gc.freeze()


def demo(options: DemoOptions) -> int:
    """Run the demonstration: a daemon on a sample repository, and a person who drives it over HTTP."""
    logs.configure("error")
    if options.services:
        from orch.cli.demo_services import ServicesDemo
        from orch.rehearse import rehearse

        return ServicesDemo(options, connect_api, partial(rehearse, doctor=_examine)).run()
    from orch.cli.demo import Demo

    return Demo(options, connect_api, _demo_daemon).run()


def doctor(options: ServeOptions) -> Examination:
    """Examine what ``orch serve`` would run with the same options; nothing is started."""
    return _examine(options, os.environ)


def _examine(options: ServeOptions, environ: Mapping[str, str]) -> Examination:
    from orch.adapters.doctor import Installation, examine
    from orch.adapters.sandbox_policy import make_sandbox
    from orch.daemon import make_adapters, make_configuration, make_plan
    from orch.wiring import Connections

    logs.configure("error")
    plan, adapters = make_plan(options, environ), make_adapters()
    registry = make_configuration(plan, None, adapters).registry
    logs.register_secrets(plan.settings.secrets())
    installation = Installation(
        settings=plan.settings,
        data_dir=plan.data_dir,
        projects=plan.projects,
        refused=plan.refused,
        warnings=plan.warnings,
        adapters=adapters,
        sandbox=make_sandbox(plan.settings, plan.data_dir, registry, environ),
        environ=environ,
    )

    async def look() -> Examination:
        with tempfile.TemporaryDirectory(prefix="orch-doctor-") as folder:  # git's credentials: the data directory stays as it is
            async with Connections(plan.settings, plan.projects, Path(folder)) as connections:
                return await examine(replace(installation, services=connections.services, chat=connections.look_at_chat))

    return anyio.run(look)


def _demo_daemon(options: ServeOptions, work: Callable[[str], None]) -> None:
    """Run *work* in a thread beside a daemon for *options*; the daemon ends with it."""
    from orch.daemon import make_plan, run_daemon

    # It shows the line and not this machine: on a small or full one it would stand still without a word.
    plan = make_plan(options, {"ORCH_MIN_FREE_MEMORY_MB": "0", "ORCH_MIN_FREE_DISK_MB": "0"})

    failed: list[OrchError] = []

    def kept(url: str) -> None:
        try:
            work(url)
        except OrchError as error:  # out of the task group, which would wrap it up
            failed.append(error)

    async def beside() -> None:
        async with anyio.create_task_group() as group:
            stop = anyio.Event()
            url = await group.start(partial(run_daemon, plan, stop=stop))
            try:
                await anyio.to_thread.run_sync(kept, url, abandon_on_cancel=False)
            finally:
                stop.set()

    anyio.run(beside)
    if failed:
        raise failed[0]
