"""Boards: issues, comments and activity as a board shows them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import final

from orch.core.ids import (
    ActivityId,
    IssueId,
    ProjectName,
    UserId,
)
from orch.core.stages import Role


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BoardIssue:
    """An issue as its board shows it now. *text* is the description as plain text, *slug* a safe slug of the title."""

    id: IssueId
    project: ProjectName
    sequence: int
    title: str
    text: str
    slug: str
    state_id: str
    updated_at: datetime
    created_at: datetime
    url: str = ""
    archived: bool = False


class Absence(StrEnum):
    """Why an issue is not to be found; a board may not know."""

    ARCHIVED = "archived"
    DELETED = "deleted"
    UNKNOWN = "unknown"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BoardComment:
    """*ours* says that one of the daemon's own users wrote it."""

    id: str
    issue: IssueId
    author: UserId
    author_name: str
    ours: bool
    role: Role | None
    text: str
    created_at: datetime


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One entry of an issue's activity log about its state. *source* is None for a creation (it never triggers)."""

    id: ActivityId
    issue: IssueId
    actor: UserId
    actor_name: str
    ours: bool
    source: str | None
    target: str | None
    created_at: datetime


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Unexplained:
    """A column that an issue's activity log does not explain: how often it was looked at so far, and when last."""

    project: ProjectName
    issue: IssueId
    column: str
    looks: int
    at: datetime
