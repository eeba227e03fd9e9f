"""What a task's actor receives."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import final

from orch.core.budget import BudgetScope, Overrun
from orch.core.commands import Decision
from orch.core.gates import BranchFacts
from orch.core.ids import ActivityId, Attempt, Branch, InboxId, RunId, Sha, WorkItemId
from orch.core.messages.ends import Answer, Handle, Reply
from orch.core.model import AgentResult, Finding, Survivor
from orch.core.stages import Stage
from orch.core.statuses import Status


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunReleased:
    """The run that a slot was held for is over."""

    run: RunId


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
    MARKERS = "conflict-markers"


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
    this head: no agent began. *survivors* could not be ended, or live yet from an earlier run: nothing was collected.
    *account_until* is filled in with the store's look: the account is at fault, not the task, and
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
    survivors: tuple[Survivor, ...] = ()
    stopped_by: BudgetScope | None = None
    """The budget for which the daemon ended the run; *over* is filled in with the store's look: the budget that is spent."""
    over: Overrun | None = None


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
    """*tail* is the end of the output, at most 20,000 characters. *seconds* is wall time. *survivors* could not be ended."""

    verdict: CommandVerdict
    tail: str = ""
    seconds: float = 0.0
    exit_code: int | None = None
    log_path: str = ""
    survivors: tuple[Survivor, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFinished:
    """A CI, staging or deploy command of the task is over; *sha* is what it ran on.

    *head* is the branch's head with the daemon's own report on it, where one was written (staging). Of a run of the test command
    *environment* says what its verdict depends on beside the tree, and *tree* names that where it was asked for.
    """

    run: RunId
    attempt: Attempt
    sha: Sha
    report: CommandReport
    head: Sha | None = None
    tree: Sha | None = None
    environment: str = ""


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

    *kind* is ``conflict`` or ``land_red``, *evidence* what git or the tests said. *head* is the member head that it is about;
    a task that moved on ignores it. *files* conflict, or were changed by the task and by *culprits*, which landed since it was
    cut.
    """

    kind: str
    head: Sha
    base: Sha
    evidence: str
    files: tuple[str, ...] = ()
    culprits: tuple[WorkItemId, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestClosed:
    """A person closed the task's pull request without merging it."""

    number: int
    by: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MergedOutside:
    """Somebody else merged the task's pull request: *sha* of the default branch holds its content, which was verified."""

    sha: Sha
    by: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BranchMoved:
    """Somebody moved the task's branch on the forge from *old* (the task's head) to *new*, None where it was removed.

    *forced*: *new* does not descend from *old*. *code_head* is the newest commit of code of *new* where that was read.
    """

    old: Sha
    new: Sha | None
    forced: bool
    code_head: Sha | None = None


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
class ChangeBudget:
    """A person raises the task's budget by *raise_usd*, or lifts it; *shown_usd* is the limit that was shown."""

    by: str
    raise_usd: float | None = None
    lift: bool = False
    shown_usd: float | None = None
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
class CiSilent:
    """The forge was asked and has no status at all of *sha*, the head whose CI is waited for."""

    sha: Sha


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRead:
    """The reconciler read what the gate of *stage* looks at, on *head*: a task that stands still goes on if it is green."""

    stage: Stage
    head: Sha | None
    facts: BranchFacts | None = None


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
    | PullRequestClosed
    | MergedOutside
    | BranchMoved
    | Decide
    | SendBack
    | ChangeBudget
    | TriggerSet
    | CauseCleared
    | CiSilent
    | EvidenceRead
    | TaskHint
)
