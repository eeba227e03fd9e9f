"""What a repo's actor receives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from orch.core.ids import Epoch, InboxId, IssueId
from orch.core.messages.ends import Answer, Reply
from orch.core.model import Activity, BoardComment, BoardIssue
from orch.core.statuses import BoardState


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IssueChanged:
    """A hook, a poll or the local board says that an issue changed: read it. *inbox* is the row to mark, if any."""

    issue: IssueId
    inbox: InboxId | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IssueRead:
    """What the board says of the issue now; *issue* None means it is gone."""

    id: IssueId
    issue: BoardIssue | None
    states: Sequence[BoardState]
    activities: Sequence[Activity]
    comments: Sequence[BoardComment]
    inbox: tuple[InboxId, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IssueUnread:
    """The board could not be read; the inbox rows stay and it is tried again after *retry_s*."""

    id: IssueId
    inbox: tuple[InboxId, ...]
    error: str
    retry_s: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """A person starts the line for an issue, whatever its column and its activity say."""

    issue: IssueId
    by: str
    reply: Reply[Answer]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionRead:
    """What the board says of an issue that is to be adopted; *issue* None: it is not there, or (*error*) could not be read."""

    id: IssueId
    issue: BoardIssue | None
    by: str
    reply: Reply[Answer]
    error: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LandingHint:
    """The landing queue, a freeze or main may have changed: plan again."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LandingEnded:
    """One pass over the queue's head is over (landed, refused, or to be tried again after *retry_s*)."""

    epoch: Epoch
    retry_s: float | None = None
    note: str = ""


RepoMessage = IssueChanged | IssueRead | IssueUnread | Adopt | AdoptionRead | LandingHint | LandingEnded
