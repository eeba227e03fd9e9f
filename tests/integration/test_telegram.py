"""Telegram over a socket: each answer of the Bot API, the token that stays out of everything, doctor, a whole daemon."""

import json
import logging
from collections.abc import AsyncIterator, Callable
from io import StringIO
from pathlib import Path

import anyio
import pytest
from pydantic import SecretStr

from orch import logs
from orch.adapters.store import InlineStore
from orch.adapters.telegram import ChatNotifier, TelegramApi, TelegramChat, look_at_telegram, make_telegram
from orch.adapters.telegram.api import Cause, Ignored, Pressed, Refusal, Replied, make_client, read_refusal, read_update
from orch.config.settings import Settings
from orch.core.chat_text import Piece, Style, fit, line
from orch.core.doctor import ChatFacts, Level, judge_chat
from orch.core.effects import Alert
from orch.core.errors import ConfigError, CredentialRefused, ExternalError, TransientError
from orch.core.ids import TaskRow
from orch.core.presses import Press, Verb
from orch.core.stages import Stage
from orch.ports.chat import Barred, Declined, Edited, Gone, Sent, Throttled, Unanswered
from tests.builders import DEMO, ManualClock
from tests.fakes.telegram import FakeTelegram
from tests.fakes.telegram.state import BOT, NOT_MODIFIED, TOKEN, Refused
from tests.scenario.story import Story

TEXT = fit([line(Piece("DEMO-1 <x> & co", Style.BOLD)), line("it works")])
OTHER = fit([line("it is done")])


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram(limits=False) as made:
        yield made


async def until(holds: Callable[[], object]) -> None:
    """Wait for what a real server does in its own time."""
    with anyio.fail_after(60):
        while not holds():  # noqa: ASYNC110 - a server's state, which tells nobody
            await anyio.sleep(0.02)


class Notices(dict[str, str]):
    def __call__(self, component: str, text: str) -> None:
        self[component] = text


class Desk:
    """One chat on a fake, with a clock in the test's hands."""

    def __init__(self, telegram: FakeTelegram, store: InlineStore, clock: ManualClock) -> None:
        self.clock = clock
        self.api = TelegramApi(make_client(telegram.url, TOKEN), str(BOT))
        self.notices = Notices()
        home = str(telegram.api.home)
        self.chat = TelegramChat(self.api, home, store=store, clock=clock, notice=self.notices, chance=lambda: 0.0)

    async def send(self) -> object:
        self.clock.tick(5)
        return await self.chat.send(TEXT, silent=True)

    async def edit(self, message: int) -> object:
        self.clock.tick(5)
        return await self.chat.edit(message, OTHER)


@pytest.fixture
async def desk(telegram: FakeTelegram) -> AsyncIterator[Desk]:
    clock = ManualClock()
    async with InlineStore(clock=clock) as store:
        made = Desk(telegram, store, clock)
        yield made
        await made.api.aclose()


async def test_a_message_is_sent_and_edited_with_its_buttons(telegram: FakeTelegram, desk: Desk) -> None:
    press = Press(verb=Verb.STOP, task=TaskRow(1), stage=Stage.REVIEW)
    sent = await desk.chat.send(TEXT, buttons=((press,),), silent=True, language="ru")
    assert sent == Sent(chat=str(telegram.api.home), message=1)
    (message,) = telegram.api.messages()
    assert (message.text, message.entities) == ("DEMO-1 <x> & co\nit works", [("b", "DEMO-1 <x> & co")])
    assert (message.buttons, message.silent) == ({"Стоп": press.data()}, True)
    assert await desk.edit(1) == Edited()
    assert (message.text, message.buttons) == ("it is done", {}), "without buttons there are none"
    assert await desk.edit(1) == Edited(changed=False)


@pytest.mark.parametrize(
    ("method", "code", "said", "becomes"),
    [
        ("editMessageText", 400, NOT_MODIFIED, Edited(changed=False)),
        ("editMessageText", 400, "Bad Request: message to edit not found", Gone()),
        ("editMessageText", 400, "Bad Request: message can't be edited", Gone()),
        ("editMessageText", 400, "Bad Request: something new", Declined(detail="Bad Request: something new")),
        ("sendMessage", 400, "Bad Request: something new", Declined(detail="Bad Request: something new")),
    ],
)
async def test_a_refusal_is_an_outcome(
    telegram: FakeTelegram, desk: Desk, method: str, code: int, said: str, becomes: object
) -> None:
    await desk.send()
    telegram.api.fail_next(method, refused=Refused(code, said))
    assert await (desk.send() if method == "sendMessage" else desk.edit(1)) == becomes


@pytest.mark.parametrize("said", ["chat not found", "message thread not found", "group is deactivated", "bot was kicked"])
async def test_after_a_configuration_failure_nothing_is_called_before_it_is_reopened(
    telegram: FakeTelegram, desk: Desk, said: str
) -> None:
    telegram.api.chats[telegram.api.home].refuses = (403 if "bot" in said or "deact" in said else 400, said)
    assert isinstance(await desk.send(), Barred)
    calls = len(telegram.api.calls)
    assert isinstance(await desk.send(), Barred)
    assert isinstance(await desk.edit(1), Barred)
    assert len(telegram.api.calls) == calls
    assert said in desk.notices["telegram"]
    telegram.api.chats[telegram.api.home].refuses = None
    desk.chat.reopen()
    assert isinstance(await desk.send(), Sent)
    assert desk.notices["telegram"] == ""


async def test_a_429_is_heeded_without_being_asked_again(telegram: FakeTelegram, desk: Desk) -> None:
    telegram.api.fail_next("sendMessage", refused=Refused(429, "Too Many Requests: retry after 40", retry_after=40))
    assert await desk.send() == Throttled(retry_s=40.0)
    calls = len(telegram.api.calls)
    desk.clock.tick(20)
    assert isinstance(await desk.chat.edit(1, OTHER), Throttled)
    assert len(telegram.api.calls) == calls
    desk.clock.tick(21)
    assert isinstance(await desk.chat.send(TEXT), Sent)


async def test_two_messages_in_one_second_are_one_too_many(telegram: FakeTelegram, desk: Desk) -> None:
    await desk.send()
    assert await desk.chat.send(TEXT) == Throttled(retry_s=1.0)
    assert telegram.api.calls == ["sendMessage"]


async def test_after_a_lost_reply_something_harmless_is_asked_before_anything_is_sent(telegram: FakeTelegram, desk: Desk) -> None:
    telegram.api.fail_next("sendMessage", lost=True)
    assert isinstance(await desk.send(), Unanswered)
    telegram.api.fail_next("getMe", status=502)
    assert isinstance(await desk.send(), Unanswered)
    assert telegram.api.calls == ["sendMessage", "getMe"], "while it does not answer nothing is sent"
    assert isinstance(await desk.send(), Sent)
    assert telegram.api.calls[-2:] == ["getMe", "sendMessage"]
    assert isinstance(await desk.send(), Sent)
    assert telegram.api.calls[-2:] == ["sendMessage", "sendMessage"]


async def test_a_server_that_is_away_or_answers_garbage_is_no_verdict(telegram: FakeTelegram, desk: Desk) -> None:
    await desk.send()
    telegram.api.fail_next("editMessageText", status=403)
    assert isinstance(await desk.edit(1), Unanswered), "a proxy's 403 says nothing about the chat"
    await telegram.go_down()
    assert isinstance(await desk.edit(1), Unanswered)
    await telegram.come_back()
    assert await desk.edit(1) == Edited()


async def test_a_group_that_moved_is_written_to_where_it_is(telegram: FakeTelegram, desk: Desk) -> None:
    telegram.api.migrate(-100777)
    assert await desk.send() == Sent(chat="-100777", message=1)
    assert await desk.chat.address() == "-100777"


async def test_text_that_cannot_be_parsed_or_is_too_long_goes_out_plainer(telegram: FakeTelegram, desk: Desk) -> None:
    telegram.api.fail_next("sendMessage", refused=Refused(400, "Bad Request: can't parse entities: Unsupported start tag"))
    telegram.api.fail_next("sendMessage", refused=Refused(400, "Bad Request: message is too long"))
    desk.clock.tick(5)
    assert isinstance(await desk.chat.send(fit([line(Piece("x" * 4000, Style.BOLD))])), Sent)
    (message,) = telegram.api.messages()
    assert (message.raw, message.entities) == ("x" * 999 + "…", [])


async def test_the_notifier_says_when_nobody_was_told(telegram: FakeTelegram, desk: Desk) -> None:
    await ChatNotifier(desk.chat).alert(DEMO, Alert(kind="trouble-store", text="the store is full"))
    assert "the store is full" in telegram.api.alerts()[0].text
    with pytest.raises(TransientError):
        await ChatNotifier(desk.chat).alert(DEMO, Alert(kind="trouble-store", text="again"))


# ------------------------------------------------------------------------------------------------ answers as values


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (400, {"description": NOT_MODIFIED}, Cause.UNCHANGED),
        (400, {"description": "Bad Request: text is too long"}, Cause.TOO_LONG),
        (403, {"description": "Forbidden: whatever comes next"}, Cause.BARRED),
        (409, {"description": "Conflict: terminated by other getUpdates request"}, Cause.CONFLICT),
        (429, {}, Cause.THROTTLED),
        (400, {"description": "x", "parameters": {"migrate_to_chat_id": -100}}, Cause.MOVED),
        (400, {"description": None, "parameters": "no object"}, Cause.OTHER),
    ],
)
def test_each_refusal_has_a_cause(status: int, body: dict[str, object], cause: Cause) -> None:
    assert read_refusal(status, body).cause is cause


@pytest.mark.parametrize("retry", [None, 0, -1, "soon", 10**9, 2.5])
def test_a_429_always_says_how_long(retry: object) -> None:
    found = read_refusal(429, {"parameters": {"retry_after": retry}})
    assert 0 < found.retry_s <= 3600


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"message": None},
        {"message": {"text": "hello", "from": {"id": 7}, "chat": {"id": 1}}},
        {"message": {"text": 5, "from": {"id": 7}, "chat": {"id": 1}, "reply_to_message": {"message_id": 1}}},
        {"callback_query": {"id": "1", "from": {"id": 7}, "data": "x"}},
        {"callback_query": {"id": "1", "from": "me", "data": "x", "message": {"chat": {"id": 1}}}},
        {"edited_message": {}},
    ],
)
def test_an_update_that_means_nothing_is_ignored(update: dict[str, object]) -> None:
    assert read_update({"update_id": 4, **update}) == Ignored(update=4)


async def test_updates_are_read_from_an_offset_and_a_second_reader_ends_the_first(telegram: FakeTelegram, desk: Desk) -> None:
    await desk.send()
    (message,) = telegram.api.messages()
    telegram.api.press(message, data="sA1.")
    telegram.api.reply(message, "because")
    found = await desk.api.updates(0)
    assert [type(each) for each in found] == [Pressed, Replied]  # type: ignore[union-attr]
    assert await desk.api.updates(found[-1].update) == [found[-1]]  # type: ignore[index]
    refused: list[object] = []

    async def read() -> None:
        refused.append(await desk.api.updates(10_000))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await until(lambda: telegram.api.calls.count("getUpdates") >= 3)
        group.start_soon(read)
        await until(lambda: refused)
        group.cancel_scope.cancel()
    assert isinstance(refused[0], Refusal)
    assert refused[0].cause is Cause.CONFLICT


# ------------------------------------------------------------------------------------------------ the token, doctor


@pytest.mark.parametrize("token", ["", "abc", "123:short", "123:AAE canary canary canary", "123:AAE/../../getMe?canary"])
def test_what_is_no_token_is_refused_without_being_named(token: str) -> None:
    with pytest.raises(ConfigError) as told:
        make_telegram(Settings(telegram_token=token, telegram_chat_id="1"))  # type: ignore[arg-type]
    assert "ORCH_TELEGRAM_TOKEN" in str(told.value)
    assert not token or token not in str(told.value)


def test_without_a_token_there_is_no_chat() -> None:
    assert make_telegram(Settings()) is None


async def test_R10_the_token_reaches_no_error_no_log_and_no_notice(telegram: FakeTelegram, desk: Desk) -> None:
    """It stands in every address: whatever fails, nothing that is shown or kept holds it."""
    stream = StringIO()
    logs.configure("debug", stream=stream)
    for name in ("httpx", "httpcore", "hypercorn"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    told: list[str] = []
    try:
        telegram.api.fail_next("sendMessage", status=502)
        told.append(str(await desk.send()))
        telegram.api.fail_next("getMe", status=302)
        told.append(str(await desk.send()))
        telegram.api.fail_next("sendMessage", refused=Refused(400, f"Bad Request: chat not found at /bot{TOKEN}/sendMessage"))
        told.append(str(await desk.send()))
        telegram.api.revoked = True
        for attempt in ("getMe", "getUpdates", "no/such?method"):
            try:
                told.append(str(await desk.api.call(attempt)))
            except ExternalError as error:
                told += [str(error), repr(error), str(error.__cause__), error.operation, error.detail]
                logs.get_logger("test").error("failed", exc_info=error)
        await telegram.go_down()
        facts = await look_at_telegram(desk.api, "-1", 0)
        told += [str(facts), json.dumps(desk.notices), str(desk.api.__dict__)]
    finally:
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        logs.configure("critical")
    assert any(TOKEN in path for path in telegram.paths), "it was in the addresses"
    secret = TOKEN.partition(":")[2]
    shown = [text for text in [*told, stream.getvalue()] if secret in logs.redact(text)]
    assert not shown
    assert not [text for text in told if secret in text and "chat not found" not in text]


async def test_a_refused_token_is_a_configuration_failure(telegram: FakeTelegram, desk: Desk) -> None:
    telegram.api.revoked = True
    with pytest.raises(CredentialRefused):
        await desk.api.call("getMe")
    found = await desk.send()
    assert isinstance(found, Barred | Unanswered)


async def test_doctor_asks_three_harmless_questions(telegram: FakeTelegram, desk: Desk) -> None:
    facts = await look_at_telegram(desk.api, str(telegram.api.home), 2)
    assert [finding.level for finding in judge_chat(facts)] == [Level.OK]
    assert telegram.api.calls == ["getMe", "getChat", "getWebhookInfo"]
    assert not telegram.api.writes
    unseen = judge_chat(await look_at_telegram(desk.api, "-4711", 2))
    assert [(finding.level, finding.key) for finding in unseen] == [(Level.FAULT, "chat.unseen")]
    telegram.api.webhook = "https://elsewhere.example/hook"
    hooked = judge_chat(await look_at_telegram(desk.api, str(telegram.api.home), 2))
    assert [finding.key for finding in hooked] == ["chat", "chat.webhook"]
    telegram.api.revoked = True
    refused = judge_chat(await look_at_telegram(desk.api, str(telegram.api.home), 2))
    assert [finding.key for finding in refused] == ["chat.trouble"]


def test_doctor_says_when_nobody_may_press() -> None:
    assert [finding.key for finding in judge_chat(ChatFacts(bot="@b", chat="c"))] == ["chat", "chat.nobody"]


# ------------------------------------------------------------------------------------------------ a whole daemon


async def test_a_daemon_tells_the_chat_and_heeds_its_buttons(telegram: FakeTelegram, tmp_path: Path) -> None:
    story = Story(tmp_path)
    settings = {
        "telegram_token": SecretStr(TOKEN),
        "telegram_chat_id": str(telegram.api.home),
        "telegram_allowed_users": ("7",),
        "telegram_api_url": telegram.url,
    }
    async with story.daemon(**settings) as person:
        issue = await person.start("Greet the world")
        await until(telegram.api.alerts)
        query = telegram.api.press(telegram.api.alerts()[0], "Approve")
        await until(lambda: telegram.api.told(query) is not None)
        assert telegram.api.told(query) == f"{issue}: approved"
        await person.until_stage(issue, "done")
        await until(lambda: any("🏁" in message.text for message in telegram.api.trackers()))
        assert len(telegram.api.messages()) == 2
        shown = json.dumps([await person.get(path) for path in ("/queue", "/tasks", f"/tasks/{issue}", "/readyz")])
        assert TOKEN not in shown
    secret = TOKEN.partition(":")[2].encode()
    assert not [path for path in story.data.rglob("*") if path.is_file() and secret in path.read_bytes()]
