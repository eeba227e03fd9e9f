"""Jobs and runs: what is queued, what an execution came to, what a verdict said."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import final

from orch.core.ids import (
    Attempt,
    JobId,
    ProjectName,
    RunId,
    Sha,
    TaskRow,
)
from orch.core.stages import Role, Stage


class RunKind(StrEnum):
    """What a run executes. ``AGENT`` runs come from jobs and take a slot of ``max_concurrency``; ``CI`` and ``LAND``
    take one of ``test_slots``; ``STAGING`` and ``DEPLOY`` run the project's own commands. A ``ROLLBACK`` waits for no slot."""

    AGENT = "agent"
    CI = "ci"
    STAGING = "staging"
    LAND = "land"
    DEPLOY = "deploy"
    ROLLBACK = "rollback"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunMode(StrEnum):
    """A *continuation* goes on with the same session and tree; a *new attempt* starts from the pinned head."""

    NEW_ATTEMPT = "new-attempt"
    CONTINUATION = "continuation"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a verdict asks to mend."""

    title: str
    severity: str = "major"
    path: str = ""
    detail: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """Why a job was queued again: goes into the prompt. *kind* is a short key such as ``review`` or ``rejected``."""

    kind: str = ""
    text: str = ""
    findings: tuple[Finding, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A wish to run an agent; a slot claims it when the claim rule admits it."""

    task: TaskRow
    project: ProjectName
    stage: Stage
    role: Role
    mode: RunMode = RunMode.NEW_ATTEMPT
    priority: int = 0
    """Higher first; equal ones in the order they were queued."""
    not_before: datetime | None = None
    feedback: Feedback = Feedback()
    at: datetime


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: JobId
    task: TaskRow
    project: ProjectName
    stage: Stage
    role: Role
    mode: RunMode
    priority: int
    state: JobState
    not_before: datetime | None
    feedback: Feedback
    created_at: datetime
    updated_at: datetime


class Outcome(StrEnum):
    """The closed set of ways in which a run ends."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TURN_LIMIT = "turn_limit"
    TIMED_OUT = "timed_out"
    STALLED = "stalled"
    RATE_LIMITED = "rate_limited"
    PERMISSION_DENIED = "permission_denied"
    BUDGET_EXHAUSTED = "budget_exhausted"
    CRASHED = "crashed"
    CANCELLED = "cancelled"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of a run, as the agent reported them."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_creation: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_creation=self.cache_creation + other.cache_creation,
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a run has reported so far; each figure only grows while it goes on. *cost_usd* is the run's own.

    *session_cost_usd* is its session's total once the run has made its report: from then on the session goes with it.
    """

    session: str | None = None
    session_cost_usd: float | None = None
    model: str = ""
    usage: Usage = Usage()
    cost_usd: float = 0.0
    turns: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DayBudget:
    """The limit of one UTC day where a person changed it: *limit_usd*, or none at all where it was *lifted*."""

    day: date
    limit_usd: float | None = None
    lifted: bool = False
    by: str
    at: datetime


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AgentResult:
    """What an agent's process came to.

    *cost_usd* is this run's own cost; *session_cost_usd* the agent's running total for its session where it reports one.
    Unless the agent told its own cost (*measured*) the difference to the stored total is this run's cost.
    *until* is when a rate limit ends.
    *session_lost* says that the session to continue does not exist: begin a new conversation on the same tree.
    """

    outcome: Outcome
    detail: str = ""
    text: str = ""
    session: str | None = None
    usage: Usage = Usage()
    cost_usd: float = 0.0
    session_cost_usd: float | None = None
    measured: bool = False
    model: str = ""
    version: str = ""
    turns: int = 0
    until: datetime | None = None
    session_lost: bool = False
    exit_code: int | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution for a job. *outcome* is None while it goes on. *attempt* is its fence."""

    id: RunId
    job: JobId | None
    task: TaskRow
    project: ProjectName
    kind: RunKind
    stage: Stage
    role: Role | None
    attempt: Attempt
    agent: str = ""
    model: str = ""
    session: str | None = None
    session_cost_usd: float | None = None
    start_head: Sha | None = None
    end_head: Sha | None = None
    archive: Sha | None = None
    outcome: Outcome | None = None
    detail: str = ""
    usage: Usage = Usage()
    cost_usd: float = 0.0
    turns: int = 0
    exit_code: int | None = None
    log_path: str = ""
    started_at: datetime
    ended_at: datetime | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """A process that could not be ended; *started* (ticks since the machine's start) tells it from a later one of its id."""

    pid: int
    started: int
    name: str = ""


class VerdictValue(StrEnum):
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    PASS = "pass"  # noqa: S105
    OK = "ok"
    FAIL = "fail"
    SUCCESS = "success"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A verdict as it was written by one attempt on one code head; it is void for any other."""

    task: TaskRow
    stage: Stage
    run: RunId | None
    attempt: Attempt
    value: VerdictValue
    findings: tuple[Finding, ...] = ()
    code_head: Sha | None
    blob: str = ""
    at: datetime
