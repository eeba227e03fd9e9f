"""The ports: what the actors and the web need from outside, as Protocols of values.

Owns: the contracts. Each has one suite in ``tests/contract`` that every implementation passes.
Rule: no type of a library or a service crosses a port; failures are ``TransientError``, ``PermanentError``,
``StoreError`` or ``AgentError``, expected results are values. Cancellation always passes through.
"""

from orch.ports.edges import Clock, Control, Feed, Subscription
from orch.ports.git import (
    CandidateMember,
    Collected,
    Conflict,
    Mirror,
    Prepared,
    Pushed,
    PushResult,
    Workspace,
    WorkspaceSpec,
)
from orch.ports.processes import (
    AgentAdapter,
    AgentReader,
    AgentRequest,
    Commands,
    LineReader,
    Paths,
    ProcessEnd,
    ProcessEnding,
    Processes,
    ProcessSpec,
    PromptContext,
    Prompts,
)
from orch.ports.services import Board, Forge, GitRemote, LocalDesk
from orch.ports.store import (
    Claimed,
    JobTables,
    LocalTables,
    NothingToClaim,
    QueueTables,
    RepoTables,
    Store,
    TaskTables,
    Tx,
)

__all__ = [
    "AgentAdapter",
    "AgentReader",
    "AgentRequest",
    "Board",
    "CandidateMember",
    "Claimed",
    "Clock",
    "Collected",
    "Commands",
    "Conflict",
    "Control",
    "Feed",
    "Forge",
    "GitRemote",
    "JobTables",
    "LineReader",
    "LocalDesk",
    "LocalTables",
    "Mirror",
    "NothingToClaim",
    "Paths",
    "Prepared",
    "ProcessEnd",
    "ProcessEnding",
    "ProcessSpec",
    "Processes",
    "PromptContext",
    "Prompts",
    "PushResult",
    "Pushed",
    "QueueTables",
    "RepoTables",
    "Store",
    "Subscription",
    "TaskTables",
    "Tx",
    "Workspace",
    "WorkspaceSpec",
]
