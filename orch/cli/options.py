"""What the composition root gives to the command line, and what the command line hands back to it.

Owns: ``CliDeps``, ``ServeOptions``, ``DemoOptions``. Rule: options are values, already parsed; whether they make sense
together is said by the configuration (ConfigError), not here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orch.cli.api import Api
from orch.core.doctor import Examination


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
    """``orch demo``. *keep* is where the demo's folder stays; *serve* leaves the page up."""

    json: bool = False
    keep: Path | None = None
    serve: bool = False
    port: int | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CliDeps:
    """*serve* and *demo* return the exit code; *doctor* looks at what *serve* would run with the same options; *connect* finds
    the daemon (data directory, address), raising TransientError when there is none."""

    serve: Callable[[ServeOptions], int]
    demo: Callable[[DemoOptions], int]
    doctor: Callable[[ServeOptions], Examination]
    connect: Callable[[Path | None, str | None], Api]
    version: str
