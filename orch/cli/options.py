"""What the composition root gives to the command line, and what the command line hands back to it.

Owns: ``CliDeps``, ``ServeOptions``, ``DemoOptions``, ``InitOptions``. Rule: options are values, already parsed; whether they make
sense together is said by the configuration (ConfigError), not here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orch.cli.api import Api
from orch.config import Settings
from orch.core.doctor import Examination
from orch.core.first_hour import Extent
from orch.ports.setup import SetupDesk


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """``orch serve``. None (and an empty tuple) mean: not given, so settings or defaults decide."""

    config: Path | None = None
    repo: Path | None = None
    test_command: tuple[str, ...] = ()
    setup_command: tuple[str, ...] = ()
    agent: str | None = None
    agent_command: tuple[str, ...] = ()
    script: Path | None = None
    name: str | None = None
    prefix: str | None = None
    default_branch: str | None = None
    land_style: str | None = None
    host: str | None = None
    port: int | None = None
    data_dir: Path | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """``orch demo``. *keep* is where the demo's folder stays; *serve* leaves the page up; *services*: Plane and Gitea stand in
    the place of the built-in board and forge."""

    json: bool = False
    keep: Path | None = None
    serve: bool = False
    services: bool = False
    port: int | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions:
    """``orch init``. An empty text (and None) means: not given, so it is asked for, found out or left out.

    *protect* and *columns* None: asked for, with a default. *agent*, *agent_command* and *script* go into every role.
    """

    config: Path
    name: str = ""
    prefix: str = ""
    board: str = ""
    forge: str = ""
    repo: str = ""
    default_branch: str = ""
    plane_url: str = ""
    plane_workspace: str = ""
    board_project: str = ""
    gitea_url: str = ""
    public_url: str = ""
    test_command: tuple[str, ...] = ()
    setup_command: tuple[str, ...] = ()
    ci: str = ""
    language: str = "en"
    columns: Extent | None = None
    protect: bool | None = None
    agent: str = ""
    agent_command: tuple[str, ...] = ()
    script: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CliDeps:
    """*serve* and *demo* return the exit code; *doctor* looks at what *serve* would run with the same options; *connect* finds
    the daemon (data directory, address), raising TransientError when there is none; *setup* reaches the services that settings
    name, before any daemon runs."""

    serve: Callable[[ServeOptions], int]
    demo: Callable[[DemoOptions], int]
    doctor: Callable[[ServeOptions], Examination]
    connect: Callable[[Path | None, str | None], Api]
    version: str
    setup: Callable[[Settings], SetupDesk]
