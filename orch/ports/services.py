"""Ports of the services around the line: the board where issues live, the forge where code lives.

Rule: every write is safe to repeat; a failure is ``TransientError`` or ``PermanentError``, an expected result a value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, final

from orch.core.ids import (
    Branch,
    IssueId,
    ProjectName,
    Sha,
)
from orch.core.model import (
    Activity,
    BoardComment,
    BoardIssue,
    CommitStatus,
    PullRequest,
    PullRequestState,
)
from orch.core.stages import Role
from orch.core.statuses import BoardState


class Board(Protocol):
    """One board project. Writes are safe to repeat: *key* makes a comment one comment."""

    async def fetch_states(self) -> list[BoardState]: ...

    async def fetch_issue(self, issue: IssueId) -> BoardIssue | None:
        """Return the issue, or None when it is deleted or archived."""

    async def fetch_activities(self, issue: IssueId) -> list[Activity]:
        """Return the entries about the state in ``created_at`` order, oldest first."""

    async def fetch_comments(self, issue: IssueId) -> list[BoardComment]:
        """Return the comments, oldest first."""

    async def fetch_changed(self, since: datetime | None) -> list[BoardIssue]:
        """Return the issues that changed at or after *since*, newest first; all of them when None."""

    async def set_state(self, issue: IssueId, state_id: str) -> None: ...

    async def add_comment(self, issue: IssueId, *, role: Role, text: str, key: str) -> None: ...


class LocalDesk(Protocol):
    """The person's side of the local board. Each call is one transaction that also leaves an inbox row."""

    async def create_issue(
        self, project: ProjectName, *, title: str, body: str, by: str, state_id: str | None = None
    ) -> BoardIssue: ...

    async def move_issue(self, issue: IssueId, state_id: str, *, by: str) -> None: ...

    async def comment(self, issue: IssueId, text: str, *, by: str) -> None: ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GitRemote:
    """Where a repo is pushed to and fetched from.

    *env* carries credentials (never argv); *receive_pack* is the ``--receive-pack`` value where one is needed.
    """

    url: str
    env: Mapping[str, str] = field(default_factory=dict)
    receive_pack: str | None = None


class Forge(Protocol):
    """One repo's pull requests and commit statuses. Every write is safe to repeat."""

    def remote(self) -> GitRemote: ...

    async def open_pull_request(self, branch: Branch, *, title: str, body: str) -> PullRequest:
        """Open a pull request onto the default branch, or return the open one of that branch."""

    async def fetch_pull_request(self, number: int) -> PullRequest | None: ...

    async def edit_pull_request(
        self, number: int, *, title: str | None = None, body: str | None = None, state: PullRequestState | None = None
    ) -> PullRequest: ...

    async def mark_merged(self, number: int, sha: Sha) -> PullRequest:
        """Mark the pull request as merged by *sha*, which is in the default branch, and read it back."""

    async def keep_comment(self, number: int, *, marker: str, text: str) -> None:
        """Make or edit in place the one comment with *marker*."""

    async def post_status(self, status: CommitStatus) -> None: ...

    async def fetch_statuses(self, sha: Sha) -> list[CommitStatus]:
        """Return the newest status per context; none at all is an empty list, never success."""

    def web_url(self, branch: Branch, path: str) -> str:
        """Return a link for people to a file on a branch, empty where the forge has no pages."""
