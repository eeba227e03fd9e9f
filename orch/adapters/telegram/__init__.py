"""Telegram: the chat of one bot, as the ``Chat`` port, and people's presses.

Owns: how settings become one (``make_telegram``). Without a token there is none.
"""

from orch.adapters.telegram.api import TelegramApi, bot_of, make_client
from orch.adapters.telegram.chat import TelegramChat
from orch.adapters.telegram.examining import look_at_telegram
from orch.adapters.telegram.notifier import ChatNotifier
from orch.adapters.telegram.presses import Audience, PressDesk
from orch.config.settings import Settings

__all__ = ["Audience", "ChatNotifier", "PressDesk", "TelegramApi", "TelegramChat", "look_at_telegram", "make_telegram"]


def make_telegram(settings: Settings) -> TelegramApi | None:
    """Return the bot's API, None where no bot is configured; raises ConfigError where its token is none."""
    if settings.telegram_token is None:
        return None
    token = settings.telegram_token.get_secret_value().strip()
    bot = bot_of(token)
    return TelegramApi(make_client(settings.telegram_api_url, token), bot)
