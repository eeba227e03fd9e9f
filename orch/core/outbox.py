"""Outbox rows and the effects they carry, there and back.

Owns: the one encoding of an ``OutboxEffect`` as a row's ``kind`` and JSON-ready ``payload``, and its idempotency key.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from typing import Any, assert_never

from orch.core.effects import (
    Alert,
    Comment,
    EditPullRequest,
    KeepPrComment,
    MarkMerged,
    OpenPullRequest,
    OutboxEffect,
    PostCommitStatus,
    PushBranch,
    ReopenPullRequest,
    SetStatus,
)
from orch.core.ids import Branch, IssueId, ProjectName, Sha, TaskRow
from orch.core.model import CiState, CommitStatus, NewOutbox, Target
from orch.core.stages import Role
from orch.core.statuses import Status

_TARGETS: Mapping[type, Target] = {
    SetStatus: Target.BOARD,
    Comment: Target.BOARD,
    OpenPullRequest: Target.FORGE,
    EditPullRequest: Target.FORGE,
    ReopenPullRequest: Target.FORGE,
    PushBranch: Target.FORGE,
    KeepPrComment: Target.FORGE,
    PostCommitStatus: Target.FORGE,
    MarkMerged: Target.FORGE,
    Alert: Target.CHAT,
}


def _key(effect: OutboxEffect, owner: str, at: datetime) -> str:
    """Name the one effect that this row stands for: what is named alike is written once."""
    match effect:
        case Comment():
            return f"comment:{owner}:{effect.key}"
        case OpenPullRequest():
            return f"pr:{owner}:{effect.branch}"
        case MarkMerged():
            return f"merged:{owner}:{effect.sha}"
        case SetStatus():
            return f"status:{owner}:{effect.status}:{at.isoformat()}"
        case PostCommitStatus():
            return f"ci:{effect.status.sha}:{effect.status.context}:{effect.status.state}:{at.isoformat()}"
        case EditPullRequest() | KeepPrComment():
            # Two edits can fall into one moment of the clock; the later one (a close) must not be taken for the earlier one.
            content = sha256(repr(effect).encode("utf-8", "replace")).hexdigest()[:16]
            return f"{type(effect).__name__}:{owner}:{effect.number}:{at.isoformat()}:{content}"
        case ReopenPullRequest():
            return f"reopen:{owner}:{effect.number}:{at.isoformat()}"
        case PushBranch():
            return f"push:{owner}:{effect.sha}:{at.isoformat()}"
        case Alert():
            return f"alert:{owner}:{effect.kind}:{at.isoformat()}"
        case _:
            assert_never(effect)


def write_row(effect: OutboxEffect, *, project: ProjectName, task: TaskRow | None, issue: IssueId, at: datetime) -> NewOutbox:
    """Make the row of *effect*; *issue* is what board effects are about, also where there is no task."""
    owner = f"{project}:{issue}" if task is None else str(int(task))
    payload: dict[str, object] = {"issue": issue, **asdict(effect)}
    return NewOutbox(
        project=project,
        task=task,
        target=_TARGETS[type(effect)],
        kind=type(effect).__name__,
        payload=payload,
        key=_key(effect, owner, at),
        at=at,
    )


def read_row(kind: str, payload: Mapping[str, Any]) -> OutboxEffect:
    """Return the effect of a row; raises ValueError for a kind that no effect has (a newer version's row)."""
    fields = {name: value for name, value in payload.items() if name != "issue"}
    match kind:
        case "SetStatus":
            return SetStatus(status=Status(fields["status"]))
        case "Comment":
            return Comment(role=Role(fields["role"]), text=fields["text"], key=fields["key"])
        case "OpenPullRequest":
            return OpenPullRequest(branch=Branch(fields["branch"]), title=fields["title"], body=fields["body"])
        case "EditPullRequest":
            return EditPullRequest(**fields)
        case "ReopenPullRequest":
            return ReopenPullRequest(**fields)
        case "PushBranch":
            return PushBranch(branch=Branch(fields["branch"]), sha=Sha(fields["sha"]))
        case "KeepPrComment":
            return KeepPrComment(**fields)
        case "PostCommitStatus":
            status = {**fields["status"], "sha": Sha(fields["status"]["sha"])}
            return PostCommitStatus(status=CommitStatus(**{**status, "state": CiState(status["state"])}))
        case "MarkMerged":
            return MarkMerged(**fields)
        case "Alert":
            return Alert(**fields)
        case _:
            raise ValueError(f"no outbox effect is called {kind!r}")
