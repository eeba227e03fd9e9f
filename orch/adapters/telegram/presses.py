"""People's presses: the buttons under our messages, and the replies that give a reason.

Owns: the one consumer of the bot's updates, who may press, the answer to each press, and that each is handled once. Does not
own: what a decision means (``Control``), whether a press still fits (``orch.core.presses``), the buttons' places.
Rule: an edge: it asks ``Control`` and touches no state but its own. An update counts as handled after its handling, so that a
crash repeats it; a decision that was made already changes nothing. A press of a stranger, of another chat or of an earlier
state changes nothing.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import assert_never, final

import anyio

from orch.adapters.telegram.api import Cause, Ignored, Pressed, Refusal, Replied, TelegramApi, Update
from orch.adapters.telegram.chat import TelegramChat
from orch.core.chat_text import Line, Piece, fit, line
from orch.core.commands import PersonCommand, SetBudget
from orch.core.errors import ActorDied, CredentialRefused, ExternalError, MailboxFull, StoreError
from orch.core.ids import ProjectName
from orch.core.messages import Answer
from orch.core.messages import Verb as Outcome
from orch.core.model import ReasonAsked, Task
from orch.core.presses import Press, Verb, day_limit, decide, is_stale, read_press
from orch.core.render.catalogue import say
from orch.core.render.quote import clean, cut, plain
from orch.logs import get_logger
from orch.ports import Clock, Control, Store
from orch.ports.chat import Sent

COMPONENT = "telegram-updates"
ANSWER_MAX = 190
"""An answer to a press shows at most 200 characters."""
REASON_MAX = 4000
AGAIN_S = 5.0
AGAIN_MAX_S = 60.0
CONFLICT_S = 30.0
REFUSED_S = 600.0
KEPT = timedelta(days=30)
"""How long a question for a reason is remembered."""
_log = get_logger("presses")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Who may press, each project's language, and by how much a press raises a task's or the day's budget."""

    users: Collection[str]
    language: Callable[[ProjectName], str]
    raise_usd: Callable[[], float | None] = lambda: None
    raise_day_usd: Callable[[], float | None] = lambda: None


@final
class PressDesk:
    """See the module's docstring. *notice* is told what keeps people from being heard, with an empty text when that is over."""

    def __init__(
        self,
        api: TelegramApi,
        chat: TelegramChat,
        *,
        store: Store,
        control: Control,
        clock: Clock,
        audience: Audience,
        notice: Callable[[str, str], None],
    ) -> None:
        self._api = api
        self._chat = chat
        self._store = store
        self._control = control
        self._clock = clock
        self._audience = audience
        self._notice = notice

    async def run(self) -> None:
        """Listen until cancelled. Without anybody who may press there is nothing to listen to."""
        if not self._audience.users:
            return
        failures = 0
        while True:
            failures, pause_s = await self._listen(failures)
            if pause_s > 0:
                await self._clock.sleep(pause_s)

    async def _listen(self, failures: int) -> tuple[int, float]:
        """Take one batch; return how many failed in a row, and how long to wait before the next."""
        try:
            offset = await self._store.read(lambda tx: tx.load_chat_offset(self._api.bot))
            found = await self._api.updates(offset)
            if isinstance(found, Refusal):
                return failures + 1, self._refused(found, failures)
            self._notice(COMPONENT, "")
            for update in found:
                await self._handle(update)
                await self._store.transact(lambda tx, after=update.update + 1: tx.save_chat_offset(self._api.bot, after))  # type: ignore[misc]
        except CredentialRefused as error:
            self._notice(COMPONENT, f"nobody's presses are heard: the bot's token is refused ({error.detail})")
            return failures + 1, REFUSED_S
        except (ExternalError, StoreError) as error:
            if failures >= 2:
                self._notice(COMPONENT, f"nobody's presses are heard: {error}")
            return failures + 1, max(_pause_s(failures), getattr(error, "retry_after", None) or 0.0)
        return 0, 0.0

    def _refused(self, refusal: Refusal, failures: int) -> float:
        detail = refusal.detail
        if refusal.cause is Cause.CONFLICT:
            self._notice(COMPONENT, f"another program reads this bot's updates, so presses may be missed: {detail}; end it")
            _log.error("another consumer", detail=detail)
            return CONFLICT_S
        self._notice(COMPONENT, f"nobody's presses are heard: {detail}")
        return max(refusal.retry_s, _pause_s(failures))

    async def _handle(self, update: Update) -> None:
        match update:
            case Pressed():
                text, alarm = await self._pressed(update)
                await self._answer(update, text, alarm=alarm)
            case Replied():
                await self._replied(update)
            case Ignored():
                pass
            case _:
                assert_never(update)

    # -------------------------------------------------------------------------------------------- buttons

    async def _pressed(self, pressed: Pressed) -> tuple[str, bool]:
        """Carry a press out: what its presser is told, and whether that has to be closed by hand."""
        press = read_press(pressed.data)
        if press is None or pressed.chat != await self._chat.address():
            return say("en", "press.unknown"), True
        task = await self._store.read(lambda tx: tx.load_task(press.task))
        language = self._audience.language(task.project) if task is not None else "en"
        if pressed.user not in self._audience.users:
            _log.warning("a stranger pressed", user=pressed.user)
            return say(language, "press.stranger"), True
        if (limit := day_limit(press, self._clock.now().astimezone(UTC).date())) is not None:
            return await self._budget_day(press, pressed.user, limit)
        if task is None or is_stale(press, task):
            return say(language, "press.stale"), True
        if press.verb is Verb.REJECT:
            return await self._ask_reason(pressed, task, language)
        command = self._command(press, task, pressed.user)
        if command is None:
            return say(language, "press.no_raise"), True
        answer = await self._ask(command, language)
        return answer.text, answer.verb is not Outcome.DONE

    def _command(self, press: Press, task: Task, user: str) -> PersonCommand | None:
        if press.verb not in (Verb.RAISE, Verb.LIFT):
            return decide(press, task, _by(user))
        amount = self._audience.raise_usd()
        if press.verb is Verb.RAISE and amount is None:
            return None
        raised = amount if press.verb is Verb.RAISE else None
        return SetBudget(task=task.work_item, by=_by(user), raise_usd=raised, lift=raised is None)

    async def _budget_day(self, press: Press, user: str, limit: float) -> tuple[str, bool]:
        amount = self._audience.raise_day_usd() if press.verb is Verb.RAISE else None
        if press.verb is Verb.RAISE and amount is None:
            return say("en", "press.no_raise"), True
        command = SetBudget(task="", by=_by(user), raise_usd=amount, lift=amount is None, shown_usd=limit)
        answer = await self._ask(command, "en")
        return answer.text, answer.verb is not Outcome.DONE

    async def _ask_reason(self, pressed: Pressed, task: Task, language: str) -> tuple[str, bool]:
        """Ask whoever pressed for a reason, to be given as a reply; the rejection comes with that."""
        await self._clock.sleep(self._chat.wait_s())
        name = plain(pressed.name, 40) or pressed.user
        question = say(language, "press.ask", name="\0", work_item=task.work_item)
        before, _, after = question.partition("\0")
        text = fit([line(before, Piece(name, user=pressed.user), after)])
        sent = await self._chat.send(text, ask_back=True)
        if not isinstance(sent, Sent):
            return say(language, "press.later", detail=type(sent).__name__.lower()), True
        now = self._clock.now()
        asked = ReasonAsked(chat=sent.chat, message=sent.message, press=pressed.data, user=pressed.user, at=now)
        await self._store.transact(lambda tx: tx.save_reason_asked(asked))
        return say(language, "press.asked"), False

    async def _replied(self, replied: Replied) -> None:
        """A reply to one of our questions, by the one who was asked, is the reason of a rejection."""
        asked = await self._store.read(lambda tx: tx.load_reason_asked(replied.chat, replied.to))
        press = read_press(asked.press) if asked is not None else None
        if asked is None or press is None or replied.user != asked.user or replied.user not in self._audience.users:
            return
        task = await self._store.read(lambda tx: tx.load_task(press.task))
        language = self._audience.language(task.project) if task is not None else "en"
        reason = cut(clean(replied.text).strip(), REASON_MAX)
        if not reason:
            await self._tell(line(say(language, "press.no_reason")))
            return
        if task is None or is_stale(press, task):
            answer = say(language, "press.stale")
        else:
            found = await self._ask(decide(press, task, _by(replied.user), reason), language)
            answer = found.text
            if found.verb is Outcome.UNAVAILABLE:  # the question stays open
                await self._tell(line(answer))
                return
        before = self._clock.now() - KEPT
        await self._store.transact(lambda tx: tx.drop_reason_asked(replied.chat, replied.to, before))
        await self._tell(line(answer))

    async def _ask(self, command: PersonCommand, language: str) -> Answer:
        try:
            return await self._control.ask(command)
        except (ExternalError, MailboxFull, ActorDied) as error:
            text = say(language, "press.later", detail=str(error)[:100])
            return Answer(verb=Outcome.UNAVAILABLE, text=text)

    async def _answer(self, pressed: Pressed, text: str, *, alarm: bool) -> None:
        """Tell whoever pressed; the button stops turning. One who was told too late sees the message change all the same."""
        try:
            with anyio.move_on_after(AGAIN_S):
                await self._api.call(
                    "answerCallbackQuery", callback_query_id=pressed.id, text=cut(clean(text), ANSWER_MAX), show_alert=alarm
                )
        except ExternalError as error:
            _log.warning("a press was not answered", error=str(error))

    async def _tell(self, told: Line) -> None:
        """Say what came of a reply; what cannot be said is in the task's own message anyway."""
        await self._clock.sleep(self._chat.wait_s())
        await self._chat.send(fit([told]), silent=True)


def _by(user: str) -> str:
    return f"telegram:{user}"


def _pause_s(failures: int) -> float:
    return float(min(AGAIN_S * 2.0 ** min(failures, 10), AGAIN_MAX_S))
