"""A project's own commands: setup, test, staging, deploy.

Owns: their clean environment and what their end means. Owns no process (the ``Processes`` port) and no meaning of green.
Rule: red is only what the command itself said with its exit code; whatever befell it from outside is infrastructure.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, final

from orch.adapters.agents.environment import clean_environment
from orch.core.errors import AgentError
from orch.core.messages import CommandReport, CommandVerdict
from orch.ports import ProcessEnd, Processes, ProcessSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

TAIL_CHARACTERS = 20_000
_FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP})


@final
class ProjectCommands:
    """Runs a project's commands. *home* is their home directory (caches); None gives each a fresh one that is removed.

    *source* is the environment that the allow list picks from, the daemon's own when None.
    """

    def __init__(
        self,
        processes: Processes,
        *,
        home: Path | None = None,
        source: Mapping[str, str] | None = None,
        grace: Callable[[], float] = lambda: 5.0,
    ) -> None:
        self._processes, self._home, self._grace = processes, home, grace
        self._source = os.environ if source is None else source

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        timeout_s: float,
        label: str,
        log_path: Path,
        env: Mapping[str, str] | None = None,
    ) -> CommandReport:
        """Exit 0 is green, another code red; a time-out, a kill from outside or a start that failed are told apart."""
        before = _size(log_path)
        with _home_directory(self._home) as home:
            spec = ProcessSpec(
                argv=tuple(argv),
                cwd=cwd,
                env={**clean_environment(self._source, home), "CI": "true", "GIT_TERMINAL_PROMPT": "0", **(env or {})},
                log_path=log_path,
                run_timeout_s=timeout_s,
                grace_s=self._grace(),
                run_label=label,
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
        )


def verdict_of(end: ProcessEnd) -> CommandVerdict:
    """Say what a command's end means. A crash of its own (a segmentation fault, say) is red; a kill from outside is not."""
    if end.ending != "exited":
        return CommandVerdict.TIMEOUT
    if end.exit_code in _FROM_OUTSIDE:
        return CommandVerdict.INFRA
    return CommandVerdict.GREEN if end.exit_code == 0 else CommandVerdict.RED


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
