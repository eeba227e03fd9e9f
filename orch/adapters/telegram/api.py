"""The Bot API: one call, and what its answer means.

Owns: ``TelegramApi`` (calls by method name), ``Refusal`` and its classes, and updates as values. Does not own the connection
(``ServiceClient``), pace and retries (``chat``), what a press does (``presses``).
Rule: an answer of the API is a value, also one that refuses; no answer, or one that is not the API's, raises TransientError. The
token stands in the address: it is in no error, log or value.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, final

from orch.adapters.http import ServiceClient, ServiceReply
from orch.core.errors import ConfigError, TransientError

SERVICE = "telegram"
POLL_S = 20
"""How long ``getUpdates`` waits for something to tell; less than a client waits for an answer."""
_TOKEN = re.compile(r"(\d{1,20}):[A-Za-z0-9_-]{8,200}")
_CODES = range(400, 500)


class Client(Protocol):
    """What is needed of a ``ServiceClient``."""

    async def post(self, path: str, body: object = None, *, expect: Container[int] = ()) -> ServiceReply: ...

    async def aclose(self) -> None: ...


class Cause(StrEnum):
    """Why the API refused a call, as far as it matters what to do then."""

    UNCHANGED = "unchanged"
    GONE = "gone"
    TOO_LONG = "too-long"
    UNPARSED = "unparsed"
    BARRED = "barred"
    MOVED = "moved"
    THROTTLED = "throttled"
    CONFLICT = "conflict"
    OTHER = "other"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The API's no. *retry_s* comes with THROTTLED, *target* (the chat's new id) with MOVED."""

    cause: Cause
    detail: str
    retry_s: float = 0.0
    target: str = ""


_TEXTS: tuple[tuple[str, Cause], ...] = (
    ("message is not modified", Cause.UNCHANGED),
    ("message to edit not found", Cause.GONE),
    ("message can't be edited", Cause.GONE),
    ("message is too long", Cause.TOO_LONG),
    ("text is too long", Cause.TOO_LONG),
    ("can't parse entities", Cause.UNPARSED),
    ("chat not found", Cause.BARRED),
    ("message thread not found", Cause.BARRED),
    ("bot was blocked", Cause.BARRED),
    ("bot was kicked", Cause.BARRED),
    ("bot is not a member", Cause.BARRED),
    ("user is deactivated", Cause.BARRED),
    ("not enough rights to send", Cause.BARRED),
    ("have no rights to send", Cause.BARRED),
)
RETRY_MAX_S = 3600.0
RETRY_DEFAULT_S = 30.0


def read_refusal(status: int, body: Mapping[str, Any]) -> Refusal:
    """Return what an answer with ``ok: false`` means."""
    detail = " ".join(str(body.get("description", "")).split())[:300] or f"HTTP {status}"
    given = body.get("parameters")
    extra: Mapping[str, Any] = given if isinstance(given, dict) else {}
    moved, retry = extra.get("migrate_to_chat_id"), extra.get("retry_after")
    if isinstance(moved, int):
        return Refusal(cause=Cause.MOVED, detail=detail, target=str(moved))
    if status == 429:
        seconds = float(retry) if isinstance(retry, int | float) and retry > 0 else RETRY_DEFAULT_S
        return Refusal(cause=Cause.THROTTLED, detail=detail, retry_s=min(seconds, RETRY_MAX_S))
    if status == 409:
        return Refusal(cause=Cause.CONFLICT, detail=detail)
    for text, cause in _TEXTS:
        if text in detail:
            return Refusal(cause=cause, detail=detail)
    return Refusal(cause=Cause.BARRED if status == 403 else Cause.OTHER, detail=detail)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """Somebody pressed a button under a message of ours."""

    update: int
    id: str
    user: str
    name: str
    chat: str
    data: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Replied:
    """Somebody replied to a message."""

    update: int
    user: str
    chat: str
    to: int
    text: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """An update that means nothing to us."""

    update: int


Update = Pressed | Replied | Ignored


@final
class TelegramApi:
    """The methods of one bot. *bot* is its id, which is no secret."""

    def __init__(self, client: Client, bot: str) -> None:
        self._client = client
        self.bot = bot

    async def aclose(self) -> None:
        await self._client.aclose()

    async def call(self, method: str, **fields: object) -> Any | Refusal:
        """Call one method: its result, or the API's refusal. Raises TransientError, CredentialRefused for a bad token."""
        given = {name: value for name, value in fields.items() if value is not None}
        reply = await self._client.post(f"/{method}", given, expect=_CODES)
        body = reply.body
        if not isinstance(body, dict) or not isinstance(body.get("ok"), bool):
            raise TransientError(SERVICE, method, f"HTTP {reply.status}: no answer of the Bot API: {reply.said[:120]}")
        if body["ok"]:
            return body.get("result")
        return read_refusal(reply.status, body)

    async def updates(self, offset: int) -> list[Update] | Refusal:
        """Wait for updates from *offset* on; those before it are forgotten by the server."""
        found = await self.call(
            "getUpdates", offset=offset, timeout=POLL_S, limit=100, allowed_updates=["message", "callback_query"]
        )
        if isinstance(found, Refusal):
            return found
        if not isinstance(found, list):
            raise TransientError(SERVICE, "getUpdates", "the answer is no list")
        return [read_update(each) for each in found if isinstance(each, dict) and isinstance(each.get("update_id"), int)]


def read_update(update: Mapping[str, Any]) -> Update:
    """Return one update as a value; whatever is not as it should be is ignored."""
    number = int(update["update_id"])
    query, message = update.get("callback_query"), update.get("message")
    if isinstance(query, dict):
        user, under = _dict(query, "from"), _dict(query, "message")
        chat, data = _dict(under, "chat").get("id"), query.get("data")
        if isinstance(user.get("id"), int) and isinstance(chat, int) and isinstance(data, str):
            name = str(user.get("first_name", ""))[:60]
            return Pressed(
                update=number, id=str(query.get("id")), user=str(user["id"]), name=name, chat=str(chat), data=data[:200]
            )
    if isinstance(message, dict):
        user, to = _dict(message, "from"), _dict(message, "reply_to_message").get("message_id")
        chat, text = _dict(message, "chat").get("id"), message.get("text")
        if isinstance(user.get("id"), int) and isinstance(chat, int) and isinstance(to, int) and isinstance(text, str):
            return Replied(update=number, user=str(user["id"]), chat=str(chat), to=to, text=text[:4096])
    return Ignored(update=number)


def _dict(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def bot_of(token: str) -> str:
    """Return the id of the bot that a token is of; raises ConfigError, which does not name it, where it is none."""
    found = _TOKEN.fullmatch(token.strip())
    if found is None:
        raise ConfigError("ORCH_TELEGRAM_TOKEN is no token of a bot: @BotFather gives one, such as 123456789:AAE…")
    return found[1]


def make_client(url: str, token: str) -> ServiceClient:
    """Return the client of the bot's own address."""
    bot_of(token)
    return ServiceClient(SERVICE, url, None, secret_path=f"/bot{token.strip()}")
