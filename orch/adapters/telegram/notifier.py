"""An alert straight into the chat, for the moment in which the store cannot keep it.

Owns: ``ChatNotifier``. Rule: no row, no retry; whoever calls learns that it was not told.
"""

from typing import final

from orch.adapters.telegram.chat import TelegramChat
from orch.core.alerts import alert_text
from orch.core.effects import Alert
from orch.core.errors import TransientError
from orch.core.ids import ProjectName
from orch.ports.chat import Sent


@final
class ChatNotifier:
    """Sends each alert at once, in English: nothing can be looked up."""

    def __init__(self, chat: TelegramChat) -> None:
        self._chat = chat

    async def alert(self, project: ProjectName, alert: Alert) -> None:
        sent = await self._chat.send(alert_text(alert, project, None, "en"))
        if not isinstance(sent, Sent):
            raise TransientError("telegram", "alert", type(sent).__name__.lower())
