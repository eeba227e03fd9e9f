"""Repos: freezes, leases, intents, candidates, pull requests and commit statuses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import final

from orch.core.ids import (
    Branch,
    Epoch,
    IntentId,
    ProjectName,
    Sha,
    TaskRow,
)
from orch.core.model.task import CiState


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MergeLease:
    """The right to land into one repo. Made by ``decide_repo``; the store checks *epoch* again at every write."""

    project: ProjectName
    holder: str
    epoch: Epoch


class FreezeCause(StrEnum):
    PERSON = "person"
    DEPLOY = "deploy"
    RED_MAIN = "red-main"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A durable stop on entry, landing and deploy of one repo."""

    project: ProjectName
    cause: FreezeCause
    since: datetime
    by: str
    detail: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Repo:
    """A project's runtime state."""

    project: ProjectName
    paused: bool = False
    freeze: Freeze | None = None
    main: Sha | None = None
    """The default branch as last seen on the forge."""
    baseline_at: datetime | None = None
    """When the board was first met; activity before it counts as handled."""
    polled_at: datetime | None = None
    """When the last poll of the board that was read to its end began."""


class IntentKind(StrEnum):
    LAND = "land"
    STOP = "stop"


class IntentState(StrEnum):
    OPEN = "open"
    DONE = "done"
    CLEARED = "cleared"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A task inside a candidate, with the head that was pinned when it was built."""

    task: TaskRow
    head: Sha


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A commit made of *base* plus its members in order; immutable. *landed* gives each member's own last commit."""

    project: ProjectName
    base: Sha
    sha: Sha
    tree: Sha
    members: tuple[Member, ...]
    landed: Mapping[TaskRow, Sha]

    def begins_after(self, task: TaskRow) -> Sha | None:
        """Return the commit that *task*'s own commits stand on, the base or the member before it; None when it is no member."""
        before = self.base
        for member in self.members:
            if member.task == task:
                return before
            before = self.landed[member.task]
        return None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is about to be done to the world, recorded first, so that a restart can ask what became of it."""

    id: IntentId
    kind: IntentKind
    project: ProjectName
    state: IntentState
    epoch: Epoch
    candidate: Candidate | None = None
    task: TaskRow | None = None
    at: datetime


class PullRequestState(StrEnum):
    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    number: int
    project: ProjectName
    branch: Branch
    base: str
    title: str
    body: str
    state: PullRequestState
    merged: Sha | None = None
    url: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStatus:
    """One context's newest status of a commit. A forge's answer of none at all is an empty list, never success."""

    sha: Sha
    context: str
    state: CiState
    description: str = ""
    url: str = ""
