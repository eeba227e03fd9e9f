"""The nouns: frozen values of everything the store keeps.

Owns: the shape of tasks, jobs, runs, parks, freezes, leases, intents and what hangs on them.
Rule: values only. Times are aware UTC datetimes; names ending in ``_s`` are seconds; money is in US dollars.
"""

from orch.core.model.board import Activity, BoardComment, BoardIssue
from orch.core.model.project import CiSource, DeploySettings, LandStyle, Limits, Project, RoleSettings
from orch.core.model.queue import InboxRow, NewOutbox, OutboxRow, RowState, Target
from orch.core.model.repo import (
    Candidate,
    CommitStatus,
    Freeze,
    FreezeCause,
    Intent,
    IntentKind,
    IntentState,
    Member,
    MergeLease,
    PullRequest,
    PullRequestState,
    Repo,
)
from orch.core.model.run import (
    AgentResult,
    Feedback,
    Finding,
    Job,
    JobState,
    NewJob,
    Outcome,
    Run,
    RunKind,
    RunMode,
    Usage,
    Verdict,
    VerdictValue,
)
from orch.core.model.task import Awaiting, CiState, Counters, NewTask, Park, ParkReason, Task, Transition

__all__ = [
    "Activity",
    "AgentResult",
    "Awaiting",
    "BoardComment",
    "BoardIssue",
    "Candidate",
    "CiSource",
    "CiState",
    "CommitStatus",
    "Counters",
    "DeploySettings",
    "Feedback",
    "Finding",
    "Freeze",
    "FreezeCause",
    "InboxRow",
    "Intent",
    "IntentKind",
    "IntentState",
    "Job",
    "JobState",
    "LandStyle",
    "Limits",
    "Member",
    "MergeLease",
    "NewJob",
    "NewOutbox",
    "NewTask",
    "OutboxRow",
    "Outcome",
    "Park",
    "ParkReason",
    "Project",
    "PullRequest",
    "PullRequestState",
    "Repo",
    "RoleSettings",
    "RowState",
    "Run",
    "RunKind",
    "RunMode",
    "Target",
    "Task",
    "Transition",
    "Usage",
    "Verdict",
    "VerdictValue",
]
