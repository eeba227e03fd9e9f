"""The whole line of actors with the real Telegram adapter before a fake Bot API, on virtual time.

Owns: how the chat is put into the line's ground, the people of the chat, and waiting for what shall show there.
Rule: what is looked at is the chat itself; the adapter, the tracker, the outbox and the presses are the daemon's own.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio

from actors.world import World
from orch.adapters.store import recover
from orch.adapters.telegram import Audience, PressDesk, TelegramApi, TelegramChat
from orch.core.model import Limits, Project
from tests.fakes.line import Ground, Line
from tests.fakes.telegram import BotApi, DirectClient, Message
from tests.fakes.telegram.state import BOT

ANNA, STRANGER = 7, 66


class ChatGround(Ground):
    """What outlives a daemon: the line's ground, and the chat."""

    def __init__(self, *projects: Project, limits: Limits | None = None, chat: int = -1001, paced: bool = True) -> None:
        super().__init__(*projects, limits=limits)
        self.bot = BotApi(self.clock.monotonic, chat=chat, limits=paced)
        self.configured = str(chat)
        self.raise_usd: float | None = None

    def world(self) -> World:
        world = super().world()
        api = TelegramApi(DirectClient(self.bot), str(BOT))
        chat = TelegramChat(
            api, self.configured, store=world.store, clock=self.clock, notice=world.health.notice, chance=lambda: 0.5
        )
        return replace(world, chat=chat)


class ChatLine(Line):
    """A running line with its chat."""

    def __init__(self, ground: ChatGround, *, strict: bool = True) -> None:
        super().__init__(ground, strict=strict)
        self.bot = ground.bot
        chat = self.world.chat
        assert isinstance(chat, TelegramChat)
        audience = Audience(
            users={str(ANNA)}, language=lambda _: "en", raise_usd=lambda: ground.raise_usd, raise_day_usd=lambda: 7.0
        )
        self.presses = PressDesk(
            TelegramApi(DirectClient(self.bot), str(BOT)),
            chat,
            store=self.world.store,
            control=self.supervisor,
            clock=ground.clock,
            audience=audience,
            notice=self.world.health.notice,
        )

    @property
    def notices(self) -> dict[str, str]:
        return dict(self.world.health.vitals().notices)

    def tracker(self, task: str = "DEMO-1") -> Message:
        """Return the task's one live message."""
        found = [message for message in self.bot.trackers() if message.text.startswith(f"{task} ")]
        assert len(found) == 1, [message.text[:60] for message in self.bot.messages()]
        return found[0]

    def alert(self, heading: str) -> Message:
        """Return the newest sounding message with that heading."""
        found = [message for message in self.bot.alerts() if heading in message.text.split("\n")[0]]
        assert found, [message.text[:60] for message in self.bot.alerts()]
        return found[-1]

    def headings(self) -> list[str]:
        return [message.text.split("\n")[0].partition(" ")[2] for message in self.bot.alerts()]

    async def shows(self, holds: Callable[[], object], *, within_s: float = 300.0) -> None:
        """Wait until something shows in the chat."""
        deadline = anyio.current_time() + within_s
        while True:
            try:
                if holds():
                    return
            except AssertionError:
                pass
            told = [(message.id, message.text[:200]) for message in self.bot.messages()]
            assert anyio.current_time() < deadline, (told, self.notices, self.bot.calls[-5:])
            await anyio.sleep(0.25)

    async def press(self, message: Message, label: str, *, user: int = ANNA, data: str | None = None) -> str:
        """Press a button and return what the presser is told."""
        query = self.bot.press(message, label, user=user, data=data)
        await self.shows(lambda: self.bot.told(query) is not None)
        return self.bot.told(query) or ""


@asynccontextmanager
async def running(ground: ChatGround, *, strict: bool = True) -> AsyncIterator[ChatLine]:
    """Run a daemon's actors and its press desk on *ground*; leaving the block is a kill, as store and chat see it."""
    now = ground.clock.now()
    await ground.store.transact(lambda tx: recover(tx, now))
    it = ChatLine(ground, strict=strict)
    async with anyio.create_task_group() as group:
        await group.start(it.supervisor.run)
        group.start_soon(it.presses.run)
        try:
            yield it
        finally:
            group.cancel_scope.cancel()


@asynccontextmanager
async def chat_line(*projects: Project, limits: Limits | None = None, strict: bool = True) -> AsyncIterator[ChatLine]:
    async with ChatGround(*projects, limits=limits) as ground:
        async with running(ground, strict=strict) as it:
            yield it
        ground.faults.assert_used()
