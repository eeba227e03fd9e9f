"""The Bot API's state: chats, messages, limits, updates, and what each method answers.

Owns: ``BotApi``. Does not own: the socket. Rule: what the real server says is said in its words; what it does not tell (who
deleted a message, whether a lost reply was a success) is not told. Every write is in ``writes``, in order, with its moment.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import anyio

from tests.fakes.telegram.entities import Unparsed, parse_html

TOKEN = "700100200:AAE-canary_canary-canary_canary-42"
BOT = 700100200
UNITS_MAX = 4096
BYTES_MAX = 32_768
GROUP_MAX = 20
SLACK_S = 0.05
NOT_MODIFIED = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"

Fields = Mapping[str, Any]


class Refused(Exception):
    """An answer with ``ok: false``."""

    def __init__(self, code: int, text: str, **parameters: int) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.parameters = parameters


@dataclass
class Message:
    id: int
    chat: int
    raw: str
    text: str
    entities: list[tuple[str, str]]
    markup: Any
    silent: bool
    at: float
    ours: bool = True
    edits: int = 0

    @property
    def buttons(self) -> dict[str, str]:
        """Return the buttons' data by their label without its picture."""
        rows = (self.markup or {}).get("inline_keyboard", [])
        return {button["text"].partition(" ")[2]: button["callback_data"] for row in rows for button in row}


@dataclass
class ChatState:
    id: int
    kind: str
    messages: dict[int, Message] = field(default_factory=dict)
    refuses: tuple[int, str] | None = None
    """What every call about it is answered."""
    migrated: int | None = None
    silent_until: float = float("-inf")
    silence_s: int = 0
    writes: deque[float] = field(default_factory=deque)


@dataclass(frozen=True)
class Write:
    """One write that was made: *what* is ``send`` or ``edit``."""

    at: float
    what: str
    chat: int
    message: int
    text: str
    silent: bool = False


@dataclass(frozen=True)
class Fault:
    """What one call meets: *refused* instead of its work; *lost*: its work is done and nobody hears; *hang*: it never ends."""

    refused: Refused | None = None
    status: int = 0
    lost: bool = False
    hang: bool = False


class Lost(Exception):
    """The reply does not reach whoever called."""


class Broken(Exception):
    """A server in between answers with *status* and no JSON."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class BotApi:
    """One bot. *now* is a clock in seconds; *limits* off lets everything pass."""

    def __init__(self, now: Callable[[], float], *, chat: int = -1001, limits: bool = True) -> None:
        self.now = now
        self.limits = limits
        self.token = TOKEN
        self.home = chat
        self.chats: dict[int, ChatState] = {}
        self.writes: list[Write] = []
        self.calls: list[str] = []
        self.answers: list[tuple[str, str, bool]] = []
        """What presses were answered: the query, the text, whether it has to be closed."""
        self.down = False
        self.hanging = False
        self.webhook = ""
        self.revoked = False
        self.throttled = 0
        self._faults: dict[str, deque[Fault]] = {}
        self._message = 0
        self._update = 500
        self._updates: list[dict[str, Any]] = []
        self._arrived = anyio.Event()
        self._reader = 0
        self.add_chat(chat)

    def add_chat(self, chat: int) -> ChatState:
        kind = "private" if chat > 0 else "supergroup" if str(chat).startswith("-100") else "group"
        self.chats[chat] = ChatState(chat, kind)
        return self.chats[chat]

    # ------------------------------------------------------------------------------------------ what tests do and see

    def fail_next(self, method: str, *, times: int = 1, **fault: Any) -> None:
        self._faults.setdefault(method, deque()).extend(Fault(**fault) for _ in range(times))

    def silence(self, seconds: int, chat: int | None = None) -> None:
        """The chat's next writes meet a 429 for so long."""
        state = self.chats[chat or self.home]
        state.silent_until, state.silence_s = self.now() + seconds, seconds

    def messages(self, chat: int | None = None) -> list[Message]:
        return [message for message in self.chats[chat or self.home].messages.values() if message.ours]

    def trackers(self) -> list[Message]:
        """Return the silent messages that carry or carried a tracker."""
        return [message for message in self.messages() if message.silent and "Σ" in message.text]

    def alerts(self) -> list[Message]:
        """Return the sounding messages."""
        return [message for message in self.messages() if not message.silent]

    def delete(self, message: int, chat: int | None = None) -> None:
        """Somebody deletes a message: the bot is not told."""
        del self.chats[chat or self.home].messages[message]

    def migrate(self, target: int) -> None:
        """The group becomes a supergroup: a new id, and no message of the old one can be edited there."""
        self.chats[self.home].migrated = target
        self.add_chat(target)
        self.home = target

    def press(self, message: Message, label: str = "", *, user: int = 7, name: str = "Anna", data: str | None = None) -> str:
        """Somebody presses the button *label*; return the query's id."""
        self._update += 1
        query = f"q{self._update}"
        pressed = message.buttons[label] if data is None else data
        chat = {"id": message.chat, "type": self.chats[message.chat].kind}
        body = {"id": query, "from": {"id": user, "first_name": name}, "data": pressed}
        self._put({"callback_query": {**body, "message": {"message_id": message.id, "chat": chat}}})
        return query

    def reply(self, message: Message, text: str, *, user: int = 7) -> None:
        self._update += 1
        self._message += 1
        chat = {"id": message.chat, "type": self.chats[message.chat].kind}
        body = {"message_id": self._message, "from": {"id": user, "first_name": "Anna"}, "chat": chat, "text": text}
        self._put({"message": {**body, "reply_to_message": {"message_id": message.id, "chat": chat}}})

    def _put(self, update: dict[str, Any]) -> None:
        self._updates.append({"update_id": self._update, **update})
        self._arrived.set()
        self._arrived = anyio.Event()

    def told(self, query: str) -> str | None:
        """Return what the presser was told; None where nobody answered yet."""
        return next((text for name, text, _ in self.answers if name == query), None)

    # ------------------------------------------------------------------------------------------ the API

    async def call(self, method: str, fields: Fields) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Answer one call: status, body, headers. Raises Lost or Broken where the answer is none of the API's."""
        self.calls.append(method)
        faults = self._faults.get(method)
        fault = faults.popleft() if faults else Fault()
        if self.hanging or fault.hang:
            await anyio.sleep_forever()
        if fault.status:
            raise Broken(fault.status)
        try:
            if fault.refused is not None:
                raise fault.refused
            if self.revoked:
                raise Refused(401, "Unauthorized")
            result = await self._answer(method, fields)
        except Refused as error:
            body = {"ok": False, "error_code": error.code, "description": error.text}
            headers = {}
            if error.parameters:
                body["parameters"] = dict(error.parameters)
            if "retry_after" in error.parameters:
                headers["Retry-After"] = str(error.parameters["retry_after"])
            return error.code, body, headers
        if fault.lost:
            raise Lost
        return 200, {"ok": True, "result": result}, {}

    async def _answer(self, method: str, fields: Fields) -> Any:
        match method:
            case "getMe":
                return {"id": BOT, "is_bot": True, "first_name": "Orch", "username": "orch_bot"}
            case "getWebhookInfo":
                return {"url": self.webhook, "pending_update_count": len(self._updates)}
            case "getChat":
                chat = self._chat(fields)
                return {"id": chat.id, "type": chat.kind, "title": "The line"}
            case "sendMessage":
                return self._send(fields)
            case "editMessageText":
                return self._edit(fields)
            case "answerCallbackQuery":
                self.answers.append(
                    (str(fields["callback_query_id"]), str(fields.get("text", "")), bool(fields.get("show_alert")))
                )
                return True
            case "getUpdates":
                return await self._get_updates(fields)
            case _:
                raise Refused(404, "Not Found: method not found")

    def _chat(self, fields: Fields) -> ChatState:
        try:
            chat = self.chats[int(fields.get("chat_id", 0))]
        except (KeyError, ValueError):
            raise Refused(400, "Bad Request: chat not found") from None
        if chat.migrated is not None:
            text = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refused(400, text, migrate_to_chat_id=chat.migrated)
        if chat.refuses is not None:
            raise Refused(*chat.refuses)
        return chat

    def _count(self, chat: ChatState) -> None:
        """Sends and edits share one quota: one a second, in a group twenty a minute."""
        now = self.now()
        if now < chat.silent_until:
            left = ceil(chat.silent_until - now)
            raise self._too_many(left)
        while chat.writes and chat.writes[0] <= now - 60:
            chat.writes.popleft()
        if self.limits and chat.kind != "private" and len(chat.writes) >= GROUP_MAX:
            raise self._too_many(ceil(chat.writes[0] + 60 - now))
        if self.limits and chat.writes and now - chat.writes[-1] < 1 - SLACK_S:
            raise self._too_many(1)
        chat.writes.append(now)

    def _too_many(self, seconds: int) -> Refused:
        self.throttled += 1
        return Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)

    def _parse(self, fields: Fields) -> tuple[str, str, list[tuple[str, str]]]:
        raw = str(fields.get("text", ""))
        if not raw:
            raise Refused(400, "Bad Request: message text is empty")
        if len(raw.encode("utf-8", "surrogatepass")) > BYTES_MAX:
            raise Refused(400, "Bad Request: text is too long")
        if any("\ud800" <= char <= "\udfff" for char in raw):
            raise Refused(400, "Bad Request: strings must be encoded in UTF-8")
        text, entities = raw, list[tuple[str, str]]()
        if fields.get("parse_mode") == "HTML":
            try:
                text, entities = parse_html(raw)
            except Unparsed as error:
                raise Refused(400, f"Bad Request: can't parse entities: {error}") from None
        text = text.strip()
        if not text:
            raise Refused(400, "Bad Request: text must be non-empty")
        if len(text) > UNITS_MAX:
            raise Refused(400, "Bad Request: message is too long")
        return raw, text, entities

    def _markup(self, fields: Fields) -> Any:
        markup = fields.get("reply_markup")
        for row in (markup or {}).get("inline_keyboard", []):
            for button in row:
                if not 1 <= len(button["callback_data"].encode()) <= 64 or not button["text"]:
                    raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
        return json.loads(json.dumps(markup))

    def _send(self, fields: Fields) -> dict[str, Any]:
        chat = self._chat(fields)
        raw, text, entities = self._parse(fields)
        markup = self._markup(fields)
        self._count(chat)
        self._message += 1
        silent = bool(fields.get("disable_notification"))
        made = Message(self._message, chat.id, raw, text, entities, markup, silent, self.now())
        chat.messages[made.id] = made
        self.writes.append(Write(self.now(), "send", chat.id, made.id, text, silent))
        return {"message_id": made.id, "chat": {"id": chat.id}, "text": text}

    def _edit(self, fields: Fields) -> dict[str, Any]:
        chat = self._chat(fields)
        raw, text, entities = self._parse(fields)
        markup = self._markup(fields)
        message = chat.messages.get(int(fields.get("message_id", 0)))
        if message is None:
            raise Refused(400, "Bad Request: message to edit not found")
        if not message.ours:
            raise Refused(400, "Bad Request: message can't be edited")
        self._count(chat)
        if (message.text, message.entities, message.markup) == (text, entities, markup):
            raise Refused(400, NOT_MODIFIED)
        message.raw, message.text, message.entities, message.markup = raw, text, entities, markup
        message.edits += 1
        self.writes.append(Write(self.now(), "edit", chat.id, message.id, text))
        return {"message_id": message.id, "chat": {"id": chat.id}, "text": text}

    async def _get_updates(self, fields: Fields) -> list[dict[str, Any]]:
        """Forget what is before *offset*; a second reader ends the first one's call."""
        if self.webhook:
            text = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            raise Refused(409, text)
        self._reader += 1
        own = self._reader
        self._arrived.set()  # whoever read before is sent away
        self._arrived = anyio.Event()
        offset = int(fields.get("offset", 0))
        self._updates = [update for update in self._updates if update["update_id"] >= offset]
        until = self.now() + int(fields.get("timeout", 0))
        while not self._updates and self.now() < until:
            arrived = self._arrived
            with anyio.move_on_after(max(until - self.now(), 0)):
                await arrived.wait()
            if own != self._reader:
                raise Refused(409, CONFLICT)
        return self._updates[: int(fields.get("limit", 100))]
