"""A stateful Bot API: ``BotApi`` is the state, ``FakeTelegram`` its socket, ``DirectClient`` the connection on virtual time."""

from tests.fakes.telegram.direct import DirectClient
from tests.fakes.telegram.server import FakeTelegram
from tests.fakes.telegram.state import BotApi, Message, Write

__all__ = ["BotApi", "DirectClient", "FakeTelegram", "Message", "Write"]
