"""Messages: one closed union per receiving actor, and the two ways to reach one.

Owns: every message type. Commands are imperative, events past tense. ``docs/messages.md`` is generated from here.
Rule: frozen, keyword-only, ids rather than objects that may have changed; whatever is delayed carries its fence,
and a stale one is ignored in one line. Mailboxes are memory: what must survive is a row first and a message second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeVar, final

from orch.core.commands import (
    AddDependency as AddDependency,
)
from orch.core.commands import (
    AdoptIssue as AdoptIssue,
)
from orch.core.commands import (
    CommentIssue as CommentIssue,
)
from orch.core.commands import (
    CreateIssue as CreateIssue,
)
from orch.core.commands import (
    DecideTask as DecideTask,
)
from orch.core.commands import (
    Decision as Decision,
)
from orch.core.commands import (
    FreezeRepo as FreezeRepo,
)
from orch.core.commands import (
    LiftPause as LiftPause,
)
from orch.core.commands import (
    MoveIssue as MoveIssue,
)
from orch.core.commands import (
    PauseRepos as PauseRepos,
)
from orch.core.commands import (
    PersonCommand as PersonCommand,
)
from orch.core.commands import (
    RemoveDependency as RemoveDependency,
)
from orch.core.commands import (
    SendTaskBack as SendTaskBack,
)
from orch.core.commands import (
    UnfreezeRepo as UnfreezeRepo,
)
from orch.core.commands import (
    UnpauseRepos as UnpauseRepos,
)
from orch.core.gates import BranchFacts
from orch.core.ids import ActivityId, Attempt, Branch, Epoch, InboxId, IssueId, OutboxId, ProjectName, RunId, Sha, TaskRow
from orch.core.model import Activity, AgentResult, BoardComment, BoardIssue, Finding
from orch.core.stages import Role, Stage
from orch.core.statuses import BoardState, Status

M_contra = TypeVar("M_contra", contravariant=True)
A_contra = TypeVar("A_contra", contravariant=True)


class Handle(Protocol[M_contra]):
    """The sending end of a mailbox."""

    def tell(self, message: M_contra) -> None:
        """Put *message* into the mailbox at once; raises MailboxFull for a command when it is full, drops a hint."""


class Reply(Protocol[A_contra]):
    """Where an answer to an ``ask`` goes; answering twice or after the asker left changes nothing."""

    def answer(self, value: A_contra) -> None: ...


# ------------------------------------------------------------------------------------------------ answers for people


class Verb(StrEnum):
    """What became of a person's command."""

    DONE = "done"
    NOTHING = "nothing"
    """Understood, and there is nothing to do (already so)."""
    REFUSED = "refused"
    """Not possible now; the text says why (HTTP 409)."""
    UNKNOWN = "unknown"
    """No such task, issue or project (HTTP 404)."""
    UNAVAILABLE = "unavailable"
    """Not possible for a while, whatever is asked (no room, a store that cannot write): try again later (HTTP 503)."""
    INVALID = "invalid"
    """The input is wrong; the text says how (HTTP 422)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The reply to a person's command. *id* names what was made or meant, where there is one."""

    verb: Verb
    text: str
    id: str = ""


# ------------------------------------------------------------------------------------------------ task actor


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunClaimed:
    """A slot has claimed a job of the task: execute *run*, then tell *slot* ``RunReleased``."""

    run: RunId
    attempt: Attempt
    slot: "Handle[RunReleased]"


class RefusalKind(StrEnum):
    """Why a finished run's branch was not accepted."""

    PATHS = "paths"
    HISTORY = "history"
    OVERSIZED = "oversized"
    EMPTY = "empty"
    REMOTE_MOVED = "remote-moved"
    REPLAY_CONFLICT = "replay-conflict"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    kind: RefusalKind
    reason: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """An agent's run is over, archived, and, if it succeeded, its branch fetched, checked and pushed.

    *base* and *name* say where the branch was cut and what it is called. Exactly one of *branch* and *refusal* is set after
    success; neither otherwise. *infrastructure* is set when the run never came to an agent's verdict for a reason that is
    not the task's (no mirror, no disk): the job goes back uncharged. *setup* is set when the project's setup command failed on
    this head: no agent began. *account_until* is filled in with the store's look: the account is at fault, not the task, and
    paused until then.
    """

    run: RunId
    attempt: Attempt
    result: AgentResult
    branch: BranchFacts | None = None
    refusal: Refusal | None = None
    base: Sha | None = None
    name: Branch | None = None
    archive: Sha | None = None
    infrastructure: str = ""
    setup: str = ""
    account_until: datetime | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestOpened:
    number: int
    url: str


class CommandVerdict(StrEnum):
    """What a run of the test command came to. Only red counts against anybody."""

    GREEN = "green"
    RED = "red"
    INTERRUPTED = "interrupted"
    TIMEOUT = "timeout"
    INFRA = "infra"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandReport:
    """*tail* is the end of the output, at most 20,000 characters. *seconds* is wall time."""

    verdict: CommandVerdict
    tail: str = ""
    seconds: float = 0.0
    exit_code: int | None = None
    log_path: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFinished:
    """A CI, staging or deploy command of the task is over; *sha* is what it ran on.

    *head* is the branch's head with the daemon's own report on it, where one was written (staging).
    """

    run: RunId
    attempt: Attempt
    sha: Sha
    report: CommandReport
    head: Sha | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CiReported:
    """The forge's combined status of *sha* was read: *state* is one of ``CiState``, *tail* what a developer needs."""

    sha: Sha
    state: str
    tail: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLanded:
    """The repo actor has recorded the landing; the task is now at deploy."""

    sha: Sha


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LandingRefused:
    """The landing found a conflict or a red combined tree: back to development with the evidence.

    *head* is the member head the evidence is about; a task that moved on ignores it.
    """

    kind: str
    head: Sha
    base: Sha
    evidence: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """A person's decision by page, CLI or chat. *shown* is the SHA that was shown; a different one is refused."""

    decision: Decision
    by: str
    shown: Sha | None = None
    reason: str = ""
    reply: "Reply[Answer] | None" = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SendBack:
    """A person sends the task back to *stage*, an earlier one or its own; *reason* and *findings* go into the next prompt."""

    stage: Stage
    by: str
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    reply: "Reply[Answer] | None" = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerSet:
    """A person set a trigger status on the board; *entries* are the activity entries it stands for.

    *reason* is the newest human comment that may serve as a rejection's reason, *inbox* the rows to mark with it.
    """

    trigger: Status
    entries: tuple[ActivityId, ...]
    at: datetime
    by: str
    by_name: str = ""
    reason: str = ""
    inbox: tuple[InboxId, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CauseCleared:
    """What the task is parked for outside itself may work again: the repo answers, there is room."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHint:
    """Look at the store again: something about the task may have changed."""


TaskMessage = (
    RunClaimed
    | RunEnded
    | PullRequestOpened
    | CommandFinished
    | CiReported
    | TaskLanded
    | LandingRefused
    | Decide
    | SendBack
    | TriggerSet
    | CauseCleared
    | TaskHint
)

# ------------------------------------------------------------------------------------------------ repo actor


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

# ------------------------------------------------------------------------------------------------ slots


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class JobsWaiting:
    """Hint: something may be claimable."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunReleased:
    """The run that a slot was held for is over."""

    run: RunId


SlotMessage = JobsWaiting


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """Run a project's command on a checkout of *sha*; the answer goes to *reply* as ``CommandFinished`` fields.

    *prepare* says whether ``setup_command`` runs first. A test slot takes it; nothing is held while it waits.
    """

    run: RunId
    attempt: Attempt
    project: ProjectName
    task: TaskRow
    sha: Sha
    command: tuple[str, ...]
    prepare: bool
    timeout_s: float
    reply: "Handle[CommandFinished]"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCommand:
    """Nobody waits for the run any more: end it, or never begin it. Its answer is ``interrupted``."""

    run: RunId


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChanged:
    """Hint: a reload may have changed how many run at once."""


CommandSlotMessage = RunCommand | CancelCommand | LimitsChanged

# ------------------------------------------------------------------------------------------------ caretaker


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LookAround:
    """Hint: look at the room, the store and what is parked for infrastructure."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RepoReached:
    """A repo whose tasks are parked for infrastructure was asked: *error* is empty where it answered."""

    project: ProjectName
    error: str = ""


CaretakerMessage = LookAround | RepoReached

# ------------------------------------------------------------------------------------------------ outbox, intake


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxHint:
    """Rows may be due."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEnded:
    """One row's delivery is over."""

    row: OutboxId
    error: str = ""
    retry_s: float | None = None


OutboxMessage = OutboxHint | DeliveryEnded


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class InboxHint:
    """Rows of the inbox may be unhandled."""


IntakeMessage = InboxHint

# ------------------------------------------------------------------------------------------------ desk: people's commands


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A person's command with the place for its answer."""

    command: PersonCommand
    reply: Reply[Answer]


DeskMessage = Asked

# ------------------------------------------------------------------------------------------------ supervisor, publisher


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ActorFailed:
    """An actor's handler raised; *message* is what it was handling (dead-lettered)."""

    actor: str
    error: str
    message: str


SupervisorMessage = ActorFailed


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTouched:
    """A task's row changed: viewers are told."""

    task: TaskRow


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunTouched:
    """A run's live figures changed."""

    task: TaskRow
    run: RunId
    role: Role | None = None
    stage: Stage | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BoardTouched:
    """A local board issue changed."""

    issue: IssueId


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RepoTouched:
    """A project's freeze or pause changed; *turns*: not that, but a task of it ended, so that those in line moved up."""

    project: ProjectName
    turns: bool = False


PublisherMessage = TaskTouched | RunTouched | BoardTouched | RepoTouched
