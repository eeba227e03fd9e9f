"""What the tracker receives: the publisher's hints, and what became of its own writes."""

from dataclasses import dataclass
from typing import final

from orch.core.ids import TaskRow
from orch.core.messages.publisher import RepoTouched, RunTouched, TaskTouched


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrackersDue:
    """Hint: a tracker may be written now."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReopened:
    """Hint: the configuration was read again; a chat that could not be written to may be."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerWritten:
    """One task's turn is over. *retry_s*: it is to have another one then; *moving*: something runs for it, its figures grow.

    *barred*: nobody's turn comes before the chat is reopened.
    """

    task: TaskRow
    retry_s: float | None = None
    barred: bool = False
    moving: bool = False


TrackerMessage = TaskTouched | RunTouched | RepoTouched | TrackersDue | ChatReopened | TrackerWritten
