"""Which sandbox a daemon has: what its settings and projects say, and whether this machine can do it.

Owns: turning configuration into a ``Sandbox``, and the choice between sandboxed, unsandboxed and refusing to start.
Rule: whether it works is found by running it. Without it the daemon says so loudly and goes on, unless it is told to require it.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from orch.adapters.git.layout import mirror_path
from orch.adapters.sandbox import Sandbox
from orch.adapters.toolchain import is_under
from orch.config import Settings, secret_files
from orch.core.errors import ConfigError
from orch.core.ids import ProjectName
from orch.core.model import Project, Registry
from orch.logs import get_logger


def make_sandbox(settings: Settings, data_dir: Path, registry: Callable[[], Registry], environ: Mapping[str, str]) -> Sandbox:
    """Return what *settings* describe, whether it works or not. What a project may read is asked of *registry* at each start.

    Raises ConfigError where something in the data directory is to be shown.
    """
    check_readable(data_dir, settings, registry().projects.values())
    everybody = tuple(Path(path).expanduser() for path in settings.sandbox_read)

    def reads(name: ProjectName | None) -> Iterable[Path]:
        project = None if name is None else registry().projects.get(name)
        if project is None:
            return everybody
        own = (Path(path).expanduser() for path in project.sandbox_read)
        return (*everybody, *own, mirror_path(data_dir, project.name) / "objects")

    hide = (*(Path(path) for path in settings.sandbox_hide), *secret_files(environ))
    return Sandbox(data_dir, hide=hide, reads=reads)


def check_readable(data_dir: Path, settings: Settings, projects: Iterable[Project]) -> None:
    """Raise ConfigError where ``sandbox_read`` names something in the data directory: the token and all tasks' work are there."""
    named = [("sandbox_read", path) for path in settings.sandbox_read]
    named += [(f"project {project.name}: sandbox_read", path) for project in projects for path in project.sandbox_read]
    for where, path in named:
        if is_under(Path(path).expanduser().resolve(), [data_dir.resolve()]):
            raise ConfigError(
                f"{where}: {path} lies in the data directory, which stays hidden: keep what is to be read elsewhere"
            )


def sandbox_in_force(mode: str, sandbox: Sandbox) -> Sandbox | None:
    """Return *sandbox* where it is to be used and works. Raises ConfigError where it is required and does not.

    Runs it once, which takes some milliseconds; says in the log what agents can reach.
    """
    log = get_logger("start")
    if mode == "off":
        log.warning("no sandbox: agents and tests can read whatever this user can", reason="sandbox = off")
        return None
    trouble = sandbox.trouble()
    if trouble is None:
        hidden = sandbox.hidden_on_path(os.environ.get("PATH", ""))
        if hidden:
            log.warning("folders of the PATH are hidden in the sandbox; see sandbox_read", folders=", ".join(map(str, hidden)))
        return sandbox
    if mode == "require":
        raise ConfigError(f"sandbox = require, but it does not work here: {trouble}; mend that, or set sandbox to auto")
    log.warning("no sandbox: agents and tests can read whatever this user can", reason=trouble)
    return None
