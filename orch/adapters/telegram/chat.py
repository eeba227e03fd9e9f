"""One chat on Telegram: the ``Chat`` port over the Bot API.

Owns: pace, silence after a 429, what every refusal leads to, the chat's moves, and the notice that an operator sees. Does not
own: what is said, which task's turn it is.

Desired properties: the chat's limits are kept whoever writes; the whole chat is silent after a 429; text that the API cannot
parse is shown all the same; a wrong configuration is said and not tried again and again.
Design: one write after the other; it counts when it has ended. Parse errors lead to the same text without any markup, a text
that is too long to a shorter one. After a send whose reply was lost nothing is sent before ``getMe`` was answered.
Race we accept: a send whose reply was lost may have happened; it is made again, since a person who is not asked is worse than
one who is asked twice. An edit is simply made again.
"""

import random
from collections.abc import Callable
from typing import Any, final

import anyio

from orch.adapters.telegram.api import Cause, Refusal, TelegramApi
from orch.core.chat_text import ChatText, fit, line
from orch.core.errors import CredentialRefused, ExternalError
from orch.core.ids import TaskRow
from orch.core.pacing import Pace, silenced, wait_s, wrote
from orch.core.presses import Keyboard
from orch.core.render.catalogue import say
from orch.logs import get_logger
from orch.ports import Clock, Store
from orch.ports.chat import Barred, Declined, Delivery, Edited, Gone, Revision, Sent, Throttled, Unanswered

SHORT_MAX = 1000
"""How much is sent of a text that was too long all the same."""
AGAIN_S = 15.0
COMPONENT = "telegram"
_log = get_logger("telegram")


@final
class TelegramChat:
    """See the module's docstring. *notice* is told what an operator should see to, with an empty text when that is over."""

    def __init__(
        self,
        api: TelegramApi,
        chat: str,
        *,
        store: Store,
        clock: Clock,
        notice: Callable[[str, str], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._configured = chat
        self._store = store
        self._clock = clock
        self._notice = notice
        self._chance = chance
        self._address = ""
        self._barred = ""
        self._unsure = False
        self._turn = anyio.Lock()
        self.pace = Pace(group=chat.startswith(("-", "@")))

    async def address(self) -> str:
        if not self._address:
            self._address = await self._store.read(lambda tx: tx.chat_address(self._configured))
        return self._address

    def wait_s(self, task: TaskRow | None = None) -> float:
        return wait_s(self.pace, self._clock.monotonic(), task)

    def reopen(self) -> None:
        self._barred = ""
        self._notice(COMPONENT, "")

    async def send(
        self,
        text: ChatText,
        *,
        buttons: Keyboard = (),
        silent: bool = False,
        task: TaskRow | None = None,
        language: str = "en",
        ask_back: bool = False,
    ) -> Delivery:
        """See the port. *ask_back* opens the reply field of whoever the text mentions."""
        markup = {"force_reply": True, "selective": True} if ask_back else _markup(buttons, language)
        found = await self._write("sendMessage", text, task, reply_markup=markup, disable_notification=silent)
        if isinstance(found, Gone | Edited):
            return Declined(detail="the answer makes no sense for a new message")
        if isinstance(found, Throttled | Unanswered | Barred | Declined):
            return found
        number = found.get("message_id") if isinstance(found, dict) else None
        if not isinstance(number, int):
            return Unanswered(detail="the answer names no message", retry_s=AGAIN_S)
        return Sent(chat=await self.address(), message=number)

    async def edit(
        self, message: int, text: ChatText, *, buttons: Keyboard = (), task: TaskRow | None = None, language: str = "en"
    ) -> Revision:
        found = await self._write("editMessageText", text, task, message_id=message, reply_markup=_markup(buttons, language))
        if isinstance(found, Gone | Edited | Throttled | Unanswered | Barred | Declined):
            return found
        return Edited()

    # -------------------------------------------------------------------------------------------- one write

    async def _write(self, method: str, text: ChatText, task: TaskRow | None, **fields: object) -> Any | Revision:
        """Make one write as far as the API lets it be made; its result, or what kept it."""
        try:
            async with self._turn:
                if self._barred:
                    return Barred(detail=self._barred)
                early = self.wait_s(task)
                return Throttled(retry_s=early) if early > 0 else await self._try(method, text, task, fields)
        except CredentialRefused as error:
            return self._bar(f"the bot's token is refused: {error.detail}")
        except ExternalError as error:
            self._unsure = self._unsure or method == "sendMessage"
            self._notice(COMPONENT, f"no answer: {error.detail}; what waits is told when it answers again")
            return Unanswered(detail=error.detail, retry_s=max(error.retry_after or 0.0, AGAIN_S))

    async def _try(self, method: str, text: ChatText, task: TaskRow | None, fields: dict[str, object]) -> Any | Revision:
        if self._unsure and method == "sendMessage":
            alive = await self._api.call("getMe")
            if isinstance(alive, Refusal):
                return self._refused(alive)
        form: dict[str, object] = {"text": text.html(), "parse_mode": "HTML"}
        for _ in range(4):
            found = await self._call(method, task, {**form, **fields})
            self._unsure = False
            if not isinstance(found, Refusal):
                self._notice(COMPONENT, "")
                return found
            if found.cause is Cause.MOVED:
                await self._move(found.target)
            elif found.cause is Cause.UNPARSED and "parse_mode" in form:
                _log.error("a text could not be parsed", detail=found.detail)
                form = {"text": text.plain()}
            elif found.cause is Cause.TOO_LONG and len(str(form["text"])) > SHORT_MAX:
                _log.error("a text was too long", detail=found.detail)
                form = {"text": fit([line(text.plain())], SHORT_MAX).plain()}
            else:
                return self._refused(found)
        return Declined(detail="the service takes the text in no form")

    async def _call(self, method: str, task: TaskRow | None, fields: dict[str, object]) -> Any | Refusal:
        chat = await self.address()
        try:
            return await self._api.call(method, chat_id=chat, link_preview_options={"is_disabled": True}, **fields)
        finally:  # at its end: whenever in between the service counted it
            self.pace = wrote(self.pace, self._clock.monotonic(), task)

    def _refused(self, refusal: Refusal) -> Revision:
        match refusal.cause:
            case Cause.UNCHANGED:
                self._notice(COMPONENT, "")
                return Edited(changed=False)
            case Cause.GONE:
                return Gone()
            case Cause.THROTTLED:
                now = self._clock.monotonic()
                self.pace = silenced(self.pace, now, refusal.retry_s, self._chance())
                _log.warning("the chat asks for silence", seconds=refusal.retry_s)
                return Throttled(retry_s=max(self.pace.silent_until - now, 0.0))
            case Cause.BARRED:
                return self._bar(refusal.detail)
            case _:
                _log.error("declined", detail=refusal.detail)
                return Declined(detail=refusal.detail)

    def _bar(self, detail: str) -> Barred:
        self._barred = f"{detail}; see to it (orch doctor), then reload (SIGHUP) or restart: nothing is sent before that"
        self._notice(COMPONENT, self._barred)
        _log.error("no message can be sent", detail=self._barred)
        return Barred(detail=self._barred)

    async def _move(self, target: str) -> None:
        """The group became a supergroup: from now on it has another id. Messages of the old one cannot be edited there."""
        before = await self.address()
        _log.warning("the chat has another id", before=before, after=target)
        await self._store.transact(lambda tx: tx.save_chat_move(before, target))
        self._address = target


def _markup(buttons: Keyboard, language: str) -> dict[str, object] | None:
    if not buttons:
        return None
    rows = [[{"text": say(language, f"button.{press.verb}"), "callback_data": press.data()} for press in row] for row in buttons]
    return {"inline_keyboard": rows}
