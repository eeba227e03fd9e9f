"""The port of the chat: one chat of people, its messages as outcomes.

Owns: ``Chat`` and the closed unions of what became of a message. Rule: an expected failure is a value; the caller decides
when to try again. An edit may be repeated. A send may not simply be: where its reply was lost (``Unanswered``) the message
may be there, and a repeat may be a second one. Whoever implements the port sends nothing after a lost reply before the
service has answered something harmless, so that an outage makes one double at most for each time that the service comes and
goes.
"""

from dataclasses import dataclass
from typing import Protocol, final

from orch.core.chat_text import ChatText
from orch.core.ids import TaskRow
from orch.core.pacing import Pace
from orch.core.presses import Keyboard


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The message is there. *chat* is where: it may have moved."""

    chat: str
    message: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """The message shows the text; *changed* False: it did already."""

    changed: bool = True


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """There is no such message of ours (any more): a new one is to be sent."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Throttled:
    """Nothing was done: the chat may not be written to before *retry_s* seconds have passed."""

    retry_s: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """The service is away, or its reply was lost: a send may have happened, an edit too."""

    detail: str
    retry_s: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """The configuration is wrong (no such chat, the bot was removed, its token is refused): nothing is tried until ``reopen``."""

    detail: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The service does not take this very message, and would not take it again."""

    detail: str


Delivery = Sent | Throttled | Unanswered | Barred | Declined
Revision = Edited | Gone | Throttled | Unanswered | Barred | Declined


class Chat(Protocol):
    """One chat. It keeps its own pace: a write that comes too early is ``Throttled`` and was not made."""

    @property
    def pace(self) -> Pace: ...

    async def address(self) -> str:
        """Return the chat's id as it is now: a group that became a supergroup has another one."""

    def wait_s(self, task: TaskRow | None = None) -> float:
        """Return in how many seconds the tracker of *task* (None: any other message) may be written."""

    async def send(
        self, text: ChatText, *, buttons: Keyboard = (), silent: bool = False, task: TaskRow | None = None, language: str = "en"
    ) -> Delivery:
        """Send a message; *task* says that it is that task's tracker."""

    async def edit(
        self, message: int, text: ChatText, *, buttons: Keyboard = (), task: TaskRow | None = None, language: str = "en"
    ) -> Revision:
        """Replace text and buttons of a message; without *buttons* it has none."""

    def reopen(self) -> None:
        """Try again after ``Barred``."""
