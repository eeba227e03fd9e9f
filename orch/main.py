"""The program's entry: the command line, the two commands that run a daemon, and the one that examines what would run.

Owns: what each command is given. With ``orch.daemon`` it is the composition root: these two may import everything.
Rule: the daemon's own modules are loaded by the commands that run one; the others answer quickly.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio

from orch import __version__, failpoints, logs
from orch.adapters.http import HttpApi, connect_api
from orch.cli.app import build_cli
from orch.cli.options import CliDeps, DemoOptions, ServeOptions
from orch.config import load_settings
from orch.core.doctor import Examination


def main() -> int:
    """Run the command line; it leaves by SystemExit with the exit code."""
    build_cli(CliDeps(serve=serve, demo=demo, doctor=doctor, connect=_connect, version=__version__))()
    return 0


def _connect(data_dir: Path | None, url: str | None) -> HttpApi:
    settings = load_settings()
    admin = settings.admin_token.get_secret_value() if settings.admin_token is not None else ""
    return connect_api(data_dir or settings.data_dir, url, admin_token=admin)


def serve(options: ServeOptions) -> int:
    """Run the daemon until a signal ends it."""
    from orch.daemon import make_plan, run_daemon

    armed = failpoints.arm(os.environ)
    plan = make_plan(options, os.environ)
    logs.configure(plan.settings.log_level, json_lines=plan.settings.log_format == "json")
    if armed:
        logs.get_logger("start").warning("a failpoint is armed: the daemon will kill itself", name=armed)
    reread = partial(make_plan, options, os.environ) if options.config is not None else None
    anyio.run(partial(run_daemon, plan, announce=True, reread=reread))
    return 0


def demo(options: DemoOptions) -> int:
    """Run the demonstration: a daemon on a sample repository, and a person who drives it over HTTP."""
    from orch.cli.demo import Demo

    logs.configure("error")
    return Demo(options, connect_api, _demo_daemon).run()


def doctor(options: ServeOptions) -> Examination:
    """Examine what ``orch serve`` would run with the same options; nothing is started."""
    from orch.adapters.doctor import Installation, examine
    from orch.adapters.sandbox_policy import make_sandbox
    from orch.daemon import make_adapters, make_configuration, make_plan
    from orch.wiring import Connections

    logs.configure("error")
    plan, adapters = make_plan(options, os.environ), make_adapters()
    registry = make_configuration(plan, None, adapters).registry
    logs.register_secrets(plan.settings.secrets())
    installation = Installation(
        settings=plan.settings,
        data_dir=plan.data_dir,
        projects=plan.projects,
        refused=plan.refused,
        warnings=plan.warnings,
        adapters=adapters,
        sandbox=make_sandbox(plan.settings, plan.data_dir, registry, os.environ),
        environ=os.environ,
    )

    async def look() -> Examination:
        with tempfile.TemporaryDirectory(prefix="orch-doctor-") as folder:  # git's credentials: the data directory stays as it is
            async with Connections(plan.settings, plan.projects, Path(folder)) as connections:
                return await examine(replace(installation, services=connections.services))

    return anyio.run(look)


def _demo_daemon(options: ServeOptions, work: Callable[[str], None]) -> None:
    """Run *work* in a thread beside a daemon for *options*; the daemon ends with it."""
    from orch.daemon import make_plan, run_daemon

    # It shows the line and not this machine: on a small or full one it would stand still without a word.
    plan = make_plan(options, {"ORCH_MIN_FREE_MEMORY_MB": "0", "ORCH_MIN_FREE_DISK_MB": "0"})

    async def beside() -> None:
        async with anyio.create_task_group() as group:
            stop = anyio.Event()
            url = await group.start(partial(run_daemon, plan, stop=stop))
            try:
                await anyio.to_thread.run_sync(work, url, abandon_on_cancel=False)
            finally:
                stop.set()

    anyio.run(beside)


def __getattr__(name: str):  # type: ignore[no-untyped-def]
    import orch.daemon

    return getattr(orch.daemon, name)
