"""What a repo's actor receives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from orch.core.dependencies import Relations
from orch.core.ids import DeployId, InboxId, IssueId, RunId, Sha, TaskRow
from orch.core.messages.ends import Answer, Reply
from orch.core.messages.task import CommandReport
from orch.core.model import Activity, BoardComment, BoardIssue, Survivor
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
    relations: Relations | None = None
    """What it waits for, where the board is asked that."""


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
class RelationsRead:
    """What the board says now of the cards that one waits for, or (*confirmed*) that each member of a cycle waits for."""

    relations: tuple[Relations, ...]
    confirmed: bool = False


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
    relations: Relations | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LandingHint:
    """The landing queue, a freeze or main may have changed: plan again."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A probe of a watch came back; *number* is how many had come back when it was begun: another number is stale."""

    deploy: DeployId
    number: int
    ok: bool
    detail: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackEnded:
    """The rollback command of a degraded deploy is over."""

    run: RunId
    report: CommandReport


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Revert:
    """A person wants what a landed task brought to be taken back, by a task of its own."""

    task: TaskRow
    by: str
    reply: Reply[Answer]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RevertCarded:
    """The board has a card for the revert of *task*; *issue* None: it could not be made (*error*)."""

    task: TaskRow
    issue: BoardIssue | None
    by: str
    reply: Reply[Answer]
    error: str = ""


class DeployEnding(StrEnum):
    """How one try of a deploy came to its end."""

    EXITED = "exited"
    TIMED_OUT = "timed-out"
    LOST = "lost"
    """Its process is gone and has left no result."""
    UNSTARTED = "unstarted"
    """It could not be started until its time was over, and never will be."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployEnded:
    """Try *number* of a deploy is over. *tail* is the end of its output; *survivors* live yet and hold the slot.

    *health* is what a probe right after a good deploy saw; *healthy* whether that was good.
    """

    deploy: DeployId
    number: int
    ending: DeployEnding
    exit_code: int | None = None
    tail: str = ""
    seconds: float = 0.0
    survivors: tuple[Survivor, ...] = ()
    healthy: bool = True
    health: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployDue:
    """The next try of a deploy that asked for one is due."""

    deploy: DeployId
    number: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployShown:
    """What a deploy of *sha* for *task* would change was read: a person can be asked. *diff* is empty where git did not tell."""

    task: TaskRow
    sha: Sha
    diff: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AncestryRead:
    """Git has told which of these commits *tip* holds."""

    tip: Sha
    held: Mapping[Sha, bool]


DeployMessage = DeployEnded | DeployDue | DeployShown | AncestryRead
RepoMessage = (
    IssueChanged
    | IssueRead
    | IssueUnread
    | RelationsRead
    | Adopt
    | AdoptionRead
    | LandingHint
    | Probed
    | RollbackEnded
    | Revert
    | RevertCarded
    | DeployEnded
    | DeployDue
    | DeployShown
    | AncestryRead
)
