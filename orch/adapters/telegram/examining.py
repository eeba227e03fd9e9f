"""Asking Telegram what ``orch doctor`` judges.

Owns: ``look_at_telegram``. Rule: three questions that change nothing and that nobody in the chat sees.
"""

from orch.adapters.telegram.api import Refusal, TelegramApi
from orch.core.doctor import ChatFacts
from orch.core.errors import ExternalError
from orch.core.render.quote import plain


async def look_at_telegram(api: TelegramApi, chat: str, users: int) -> ChatFacts:
    """Ask who the bot is, whether it sees the chat, and whether its updates go elsewhere; never raises for what it finds."""
    try:
        me = await api.call("getMe")
        if isinstance(me, Refusal):
            return ChatFacts(trouble=me.detail)
        bot = f"@{plain(str(me.get('username', api.bot)), 60)}" if isinstance(me, dict) else api.bot
        seen = await api.call("getChat", chat_id=chat)
        if isinstance(seen, Refusal):
            moved = f"; its id is {seen.target} now" if seen.target else ""
            return ChatFacts(bot=bot, unseen=f"{seen.detail}{moved}")
        hook = await api.call("getWebhookInfo")
    except ExternalError as error:
        return ChatFacts(trouble=str(error))
    told = seen.get("title") or seen.get("username") or seen.get("first_name") or chat if isinstance(seen, dict) else chat
    url = hook.get("url", "") if isinstance(hook, dict) else ""
    return ChatFacts(bot=bot, chat=plain(str(told), 80), webhook=plain(str(url), 200), users=users)
