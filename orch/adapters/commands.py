"""A project's own commands: setup, test, staging, roll-back.

Owns: their clean environment, the home and the cache that a project's commands share, and what their end means. Owns no process
(the ``Processes`` port) and no meaning of green.
Rule: red is only what the command itself said with its exit code; whatever befell it from outside is infrastructure. What runs a
project's code runs sandboxed and shares nothing writable with another project's.
"""

import os
import platform
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, final

from orch.adapters.agents.environment import clean_environment
from orch.core.errors import AgentError
from orch.core.ids import ProjectName
from orch.core.messages import CommandReport, CommandVerdict
from orch.ports import ProcessEnd, Processes, ProcessSpec, SandboxSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

TAIL_CHARACTERS = 20_000
_FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP})


@final
class ProjectCommands:
    """Runs a project's commands. *home* is their home directory; None gives each a fresh one that is removed.

    Commands that run a project's code have a folder of its own below *home*, and one below *cache* as ``ORCH_CACHE_DIR``.
    *source* is the environment that the allow list picks from, the daemon's own when None. *sandboxed* says whether *processes*
    has a sandbox.
    """

    def __init__(
        self,
        processes: Processes,
        *,
        home: Path | None = None,
        cache: Path | None = None,
        source: Mapping[str, str] | None = None,
        grace: Callable[[], float] = lambda: 5.0,
        sandboxed: bool = False,
    ) -> None:
        self._processes, self._home, self._cache, self._grace = processes, home, cache, grace
        self._source = os.environ if source is None else source
        self._sandboxed = sandboxed

    def toolchain(self, *commands: Sequence[str]) -> str:
        host, path = platform.uname(), self._source.get("PATH", os.defpath)
        lines = [f"{host.system} {host.release} {host.machine}", f"PATH={path}", f"sandboxed: {self._sandboxed}"]
        return "\n".join([*lines, *(_describe(argv[0], path) for argv in commands if argv)])

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        timeout_s: float,
        label: str,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        project: ProjectName | None = None,
    ) -> CommandReport:
        """Exit 0 is green, another code red; a time-out, a kill from outside or a start that failed are told apart.

        *project* is whose code the command runs: it is sandboxed as that project's. None: the operator's own command.
        """
        before = _size(log_path)
        with _home_directory(_own(self._home, project)) as home:
            cache = _own(self._cache, project) if project is not None else None
            given = {"CI": "true", "GIT_TERMINAL_PROMPT": "0", **({"ORCH_CACHE_DIR": str(cache)} if cache else {})}
            writable = (cwd, home, *([cache] if cache else []))
            spec = ProcessSpec(
                argv=tuple(argv),
                cwd=cwd,
                env={**clean_environment(self._source, home), **given, **(env or {})},
                log_path=log_path,
                run_timeout_s=timeout_s,
                grace_s=self._grace(),
                run_label=label,
                sandbox=None if project is None else SandboxSpec(project=project, write=writable),
            )
            try:
                end = await self._processes.run(spec)
            except AgentError as error:
                return CommandReport(verdict=CommandVerdict.INFRA, tail=str(error), log_path=str(log_path))
        return CommandReport(
            verdict=verdict_of(end),
            tail=_read_tail(log_path, before),
            seconds=end.seconds,
            exit_code=end.exit_code,
            log_path=str(log_path),
            survivors=end.survivors,
        )


def _describe(program: str, path: str) -> str:
    """Return which file *program* is and when it was last changed; one of the project's own is part of its tree."""
    if "/" in program and not program.startswith("/"):
        return f"{program}: the project's"
    found = shutil.which(program, path=path)
    if found is None:
        return f"{program}: not found"
    real = Path(found).resolve()
    try:
        stat = real.stat()
    except OSError:
        return f"{program}: {real}"
    return f"{program}: {real} {stat.st_size} {stat.st_mtime_ns}"


def verdict_of(end: ProcessEnd) -> CommandVerdict:
    """Say what a command's end means. A crash of its own (a segmentation fault, say) is red; a kill from outside is not."""
    if end.ending != "exited":
        return CommandVerdict.TIMEOUT
    if end.exit_code in _FROM_OUTSIDE:
        return CommandVerdict.INFRA
    return CommandVerdict.GREEN if end.exit_code == 0 else CommandVerdict.RED


def _own(folder: Path | None, project: ProjectName | None) -> Path | None:
    """Return *project*'s own folder below *folder*, made if need be."""
    if folder is None:
        return None
    mine = folder if project is None else folder / project
    mine.mkdir(mode=0o700, parents=True, exist_ok=True)
    return mine


@contextmanager
def _home_directory(given: Path | None) -> "Iterator[Path]":
    if given is not None:
        yield given
        return
    made = Path(tempfile.mkdtemp(prefix="orch-home-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read_tail(path: Path, start: int) -> str:
    """Return the end of what was written after *start*. Never raises: a log that cannot be read is an empty tail."""
    try:
        with path.open("rb") as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - 4 * TAIL_CHARACTERS))
            return file.read().decode("utf-8", "replace")[-TAIL_CHARACTERS:]
    except OSError:
        return ""
