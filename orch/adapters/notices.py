"""Alerts without a chat: a line in the log.

Owns: what a sounding message becomes while no chat service is configured. Rule: it is never lost silently.
"""

from orch.core.effects import Alert
from orch.core.ids import ProjectName
from orch.logs import get_logger


class LogNotifier:
    """Writes each alert as a warning."""

    async def alert(self, project: ProjectName, alert: Alert) -> None:
        get_logger("alert").warning(alert.kind, repo=project, detail=alert.text.splitlines()[0][:300] if alert.text else "")
