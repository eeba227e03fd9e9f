"""Tasks: an issue in the line, its counters, its park, its history."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import final

from orch.core.ids import (
    Attempt,
    Branch,
    IssueId,
    ProjectName,
    Sha,
    TaskRow,
    WorkItemId,
)
from orch.core.stages import Stage


class CiState(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class Awaiting(StrEnum):
    """What an un-parked task is waiting for right now. With stage and park it determines the shown status."""

    AGENT = "agent"
    """A job of it is queued or running."""
    APPROVAL = "approval"
    INPUT = "input"
    GATE = "gate"
    """Evidence that no agent makes: a pull request to appear, a CI status, the staging command."""
    LANDING = "landing"
    """It stands in the landing queue (``train_seq`` is its place)."""
    MERGE = "merge"
    """The merge gate is off: a person or the forge merges the pull request."""
    CONFIRM = "confirm"
    DEPLOY_TURN = "deploy-turn"
    """The deploy is confirmed (or needs no confirm) and waits for the repo's deploy slot."""
    DEPLOYING = "deploying"
    """The intent to deploy is recorded: its result is waited for."""
    NOTHING = "nothing"


class WatchSign(StrEnum):
    """What a done task's card shows of how its code does in production: a sign only."""

    NONE = ""
    WATCHING = "watching"
    HEALTHY = "healthy"
    DEGRADED = "degraded"


class ParkReason(StrEnum):
    """Why a task is parked. ``INFRASTRUCTURE`` clears with its cause; every other needs a person."""

    RETRIES_EXHAUSTED = "retries-exhausted"
    PERMISSION_DENIED = "permission-denied"
    BUDGET = "budget"
    NO_CI = "no-ci-reported"
    PR_CLOSED = "pull-request-closed"
    BRANCH_FORCED = "branch-forced"
    REPLAY_CONFLICT = "replay-conflict"
    ISSUE_GONE = "issue-gone"
    DEPENDENCY_CYCLE = "dependency-cycle"
    DEPENDENCY_CANCELLED = "dependency-cancelled"
    DEPLOY_FAILED = "deploy-failed"
    DEPLOY_DECLINED = "deploy-declined"
    SURVIVOR = "process-survived"
    ACTOR_FAILED = "actor-failed"
    SETUP_FAILED = "setup-failed"
    INFRASTRUCTURE = "infrastructure"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """A persisted stop of a task; *evidence* is what a person needs to see."""

    reason: ParkReason
    since: datetime
    evidence: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """How often each thing went wrong since the last person's resume. Every loop of the line has its bound here."""

    failed: int = 0
    turn_limit: int = 0
    stalled: int = 0
    timed_out: int = 0
    gate_red: int = 0
    ci_red: int = 0
    review: int = 0
    testing: int = 0
    conflict: int = 0
    land_red: int = 0
    staging: int = 0
    infrastructure: int = 0

    def returns(self) -> int:
        """Return how often the task came back to development in all."""
        return self.ci_red + self.review + self.testing + self.conflict + self.land_red + self.staging


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An issue in the line.

    *attempt* is the fence. *head* is the task branch's SHA as the daemon last pushed or accepted it, *code_head* the
    last one that changed something outside the artefact folder: verdicts and CI refer to that. *base* is where the
    branch was cut. *shown* is the SHA whose artefacts (or landing) a person was last shown; decisions name it.
    """

    row: TaskRow
    project: ProjectName
    issue: IssueId
    work_item: WorkItemId
    title: str
    description: str
    url: str = ""
    branch: Branch
    stage: Stage = Stage.ANALYSIS
    awaiting: Awaiting = Awaiting.AGENT
    park: Park | None = None
    attempt: Attempt = Attempt(0)
    base: Sha | None = None
    head: Sha | None = None
    code_head: Sha | None = None
    shown: Sha | None = None
    ci: CiState | None = None
    """The CI's answer for ``code_head``; None until there is one."""
    pr_number: int | None = None
    train_seq: int | None = None
    landed: Sha | None = None
    landed_seq: int | None = None
    """Its place in the order in which the project's tasks landed."""
    deployed: bool = False
    watch: WatchSign = WatchSign.NONE
    swept: bool = False
    """After its end: whether working copy, home and (of a stopped one) remote branch are gone, everything being archived."""
    exempt: bool = False
    """A fix: exempt from freeze and serial gate, head of the train."""
    merge_main: bool = False
    """It was sent back by the landing: its next new attempt begins with the default branch merged in."""
    newest_title: str | None = None
    newest_description: str | None = None
    """What its card says now, where that is no longer what the task was started with."""
    branch_take: int = 1
    budget_usd: float | None = None
    """Its own limit where a person raised it; None: that of the settings. *budget_lifted*: none at all."""
    budget_lifted: bool = False
    counters: Counters = field(default_factory=Counters)
    note: str = ""
    """What it waits for, in one sentence, where the state alone does not tell ("main's working tree is dirty")."""
    cancel_requested_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None

    @property
    def title_now(self) -> str:
        return self.title if self.newest_title is None else self.newest_title

    @property
    def description_now(self) -> str:
        return self.description if self.newest_description is None else self.newest_description


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """What a task is made of; the store adds the row and refuses a second live one for the issue."""

    project: ProjectName
    issue: IssueId
    prefix: str
    sequence: int
    """The board's number; the store takes the next free one where an uncancelled task of the repo has it."""
    title: str
    description: str
    slug: str
    url: str
    at: datetime
    exempt: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One line of a task's history. *cause* is a short key, *detail* a sentence, *by* a person or a role."""

    task: TaskRow
    at: datetime
    source: Stage | None
    target: Stage
    cause: str
    detail: str = ""
    by: str = ""
