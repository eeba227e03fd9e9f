"""What is remembered of a chat: a task's live message, and questions that people were asked by the bot."""

from dataclasses import dataclass
from datetime import datetime
from typing import final

from orch.core.ids import TaskRow


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tracker:
    """The one live message of a task. *digest* names what it shows; *closed*: that is the task's end."""

    task: TaskRow
    chat: str
    message: int
    digest: str
    closed: bool = False
    at: datetime


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonAsked:
    """The bot asked *user* for a reason; a reply to that *message* is the answer. *press* is the button that led to it."""

    chat: str
    message: int
    press: str
    user: str
    at: datetime
