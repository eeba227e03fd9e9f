"""Effects: what a decision asks the shell to do, as data.

Owns: the closed union ``Effect``. Rule: an effect that reaches the world (board, forge, chat) becomes an outbox
row in the same transaction as the state it belongs to; the others are rows of the store themselves or hints.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import final

from orch.core.ids import Branch, Sha
from orch.core.model import CommitStatus, Deploy, Feedback, RunMode, Survivor, Transition, Verdict
from orch.core.stages import Role, Stage
from orch.core.statuses import Status


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QueueJob:
    """Queue an agent for *stage*; nothing is queued while the task has an active job."""

    stage: Stage
    role: Role
    mode: RunMode
    feedback: Feedback = Feedback()
    priority: int = 0
    not_before: datetime | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RequeueJob:
    """Put the task's running job back, keeping its place: what ended it is not charged to the task."""

    mode: RunMode
    not_before: datetime | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EnterTrain:
    """Give the task the next place in its repo's landing queue."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJobs:
    """Make every active job of the task ``cancelled``; none of them is ever queued again."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ExpediteJob:
    """Give the task's queued job, if there is one, at least this priority."""

    priority: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTransition:
    transition: Transition


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RecordVerdict:
    verdict: Verdict


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KeepSurvivors:
    """Remember exactly these as the task's processes that could not be ended; none: all are gone."""

    survivors: tuple[Survivor, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KeepDeploy:
    """Write the row of the task's running deploy: its next try, or its end, with which the slot is free."""

    deploy: Deploy


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SetStatus:
    """Board: show *status*. Only the newest of a task is ever written."""

    status: Status


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """Board: one comment in *role*'s voice. *key* makes it one comment however often it is delivered."""

    role: Role
    text: str
    key: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPullRequest:
    """Forge: open the task's pull request, or find the open one."""

    branch: Branch
    title: str
    body: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EditPullRequest:
    """Forge: keep title and body, or close it."""

    number: int
    title: str
    body: str
    close: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenPullRequest:
    """Forge: open the task's pull request again, which a person had closed."""

    number: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PushBranch:
    """Forge: push *branch* at *sha* where it was removed; where it stands, it stays as it is."""

    branch: Branch
    sha: Sha


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KeepPrComment:
    """Forge: the one status comment of a pull request, edited in place."""

    number: int
    text: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PostCommitStatus:
    """Forge: mirror a verdict of ours on a commit."""

    status: CommitStatus


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MarkMerged:
    """Forge: mark the pull request as merged by *sha* and read it back, then delete *branch* at *head*."""

    number: int
    sha: Sha
    branch: Branch
    head: Sha


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Chat: a sounding message, only where a person is needed. *kind* is a short key.

    *shown* is what a decision about it is for: the SHA that is asked about, or the name of the park; empty for neither.
    """

    kind: str
    text: str
    shown: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TellDependents:
    """The task was cancelled: decide about each live task whose issue waits for its issue."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WakeSlots:
    """Hint: something may be claimable now."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WakeRepo:
    """Hint: the landing queue changed."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRun:
    """Cancel the scope of whatever the task has running."""


BoardEffect = SetStatus | Comment
ForgeEffect = OpenPullRequest | EditPullRequest | ReopenPullRequest | PushBranch | KeepPrComment | PostCommitStatus | MarkMerged
ChatEffect = Alert
OutboxEffect = BoardEffect | ForgeEffect | ChatEffect
StoreEffect = (
    QueueJob
    | RequeueJob
    | CancelJobs
    | ExpediteJob
    | EnterTrain
    | RecordTransition
    | RecordVerdict
    | KeepSurvivors
    | KeepDeploy
    | TellDependents
)
HintEffect = WakeSlots | WakeRepo | CancelRun
Effect = OutboxEffect | StoreEffect | HintEffect
