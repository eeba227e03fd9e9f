"""The probe: one look at how a project does in production, at its address or by its own command.

Owns: what counts as a good answer, and the one line about a bad one. Does not own: how often it is looked
(``actors/monitor.py``), what follows (``orch.core.decide_watch``).
Rule: a look takes at most the time between two of them and never raises; a redirect is no good answer, since it is not known what
it leads to. What is said names neither the address, which may hold a key, nor what an answer or a command said.
"""

from pathlib import Path
from typing import final

from orch.adapters.http import fetch_status
from orch.core.errors import ExternalError
from orch.core.messages import CommandReport, CommandVerdict
from orch.core.model import MonitorSettings, Project
from orch.ports import Commands, ProbeResult

TIMEOUT_MAX_S = 30.0


@final
class ProjectProbe:
    """The ``Probe`` port. A project's command runs in a folder of its own below *folder*; the log of its last look lies there."""

    def __init__(self, commands: Commands, folder: Path) -> None:
        self._commands = commands
        self._folder = folder

    async def probe(self, project: Project) -> ProbeResult:
        monitor = project.monitor
        if monitor is None:
            return ProbeResult(ok=True, detail="no monitor")
        timeout_s = min(monitor.interval_s, TIMEOUT_MAX_S)
        if monitor.url:
            return await _look(monitor.url, timeout_s)
        return await self._run(project, monitor, timeout_s)

    async def _run(self, project: Project, monitor: MonitorSettings, timeout_s: float) -> ProbeResult:
        folder = self._folder / project.name
        log = folder / "output.log"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            log.unlink(missing_ok=True)
            report = await self._commands.run(
                monitor.command, cwd=folder, timeout_s=timeout_s, label=f"probe-{project.name}", log_path=log
            )
        except OSError as error:
            return ProbeResult(ok=False, detail=f"the probe command has no place to run in ({error.strerror})")
        return ProbeResult(ok=report.verdict is CommandVerdict.GREEN, detail=_told(report, timeout_s))


async def _look(url: str, timeout_s: float) -> ProbeResult:
    try:
        status = await fetch_status(url, timeout_s=timeout_s)
    except ExternalError as error:
        return ProbeResult(ok=False, detail=error.detail)
    if 300 <= status < 400:
        return ProbeResult(ok=False, detail=f"HTTP {status}, and a redirect is not followed")
    return ProbeResult(ok=200 <= status < 300, detail=f"HTTP {status}")


def _told(report: CommandReport, timeout_s: float) -> str:
    match report.verdict:
        case CommandVerdict.GREEN | CommandVerdict.RED:
            return f"exit code {report.exit_code}"
        case CommandVerdict.TIMEOUT:
            return f"the probe command did not end within {timeout_s:g} s"
        case _:
            return "the probe command could not be run" if report.exit_code is None else f"signal {-report.exit_code}"
