"""Ports of the services around the line: the board where issues live, the forge where code lives.

Rule: every write is safe to repeat; a failure is ``TransientError`` or ``PermanentError``, an expected result a value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, final

from orch.core.ids import (
    Branch,
    IssueId,
    ProjectName,
    Sha,
)
from orch.core.model import (
    Absence,
    Activity,
    BoardComment,
    BoardIssue,
    CiState,
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

    async def fetch_absence(self, issue: IssueId) -> Absence:
        """Say why ``fetch_issue`` returned None."""

    async def fetch_activities(self, issue: IssueId, *, since: datetime | None = None) -> list[Activity]:
        """Return the entries about the state in ``created_at`` order, oldest first.

        *since* is when the newest handled one was made: entries more than ten minutes older may be left out.
        """

    async def fetch_comments(self, issue: IssueId) -> list[BoardComment]:
        """Return the comments, oldest first; of very many the newest."""

    async def fetch_changed(self, since: datetime | None) -> list[BoardIssue]:
        """Return the issues that changed at or after *since*, newest first; all of them when None.

        Their *text* may be missing: ``fetch_issue`` returns a whole issue.
        """

    async def fetch_blocked_by(self, issue: IssueId) -> list[IssueId]:
        """Return the issues that the board says *issue* waits for; of another project perhaps."""

    async def set_state(self, issue: IssueId, state_id: str) -> None: ...

    async def add_comment(self, issue: IssueId, *, role: Role, text: str, key: str) -> None: ...

    async def create_issue(self, *, title: str, text: str, key: str) -> BoardIssue:
        """Make an issue where the board puts new ones, or return the one that *key* has made already. It starts nothing."""


class LocalDesk(Protocol):
    """The person's side of the local board. Each call is one transaction that also leaves an inbox row."""

    async def create_issue(
        self, project: ProjectName, *, title: str, body: str, by: str, state_id: str | None = None
    ) -> BoardIssue: ...

    async def move_issue(self, issue: IssueId, state_id: str, *, by: str) -> None: ...

    async def archive_issue(self, issue: IssueId, *, by: str, archived: bool = True) -> None:
        """Put a card away, or bring it back; raises DomainError where there is none."""

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


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MergeMarking:
    """How a forge marks a pull request as merged whose commits were pushed; None where the forge does not tell.

    *allowed*: ``mark_merged`` works. *autodetected*: the forge also does it by itself, which it must not: it then marks a
    branch that merely stands on the default branch's tip.
    """

    allowed: bool | None
    autodetected: bool | None = None
    detail: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LandingRight:
    """Whether the daemon may push the default branch; *detail* is what the server said."""

    allowed: bool
    detail: str = ""


class ForgeEventKind(StrEnum):
    """What a forge's hook tells of."""

    PUSHED = "pushed"
    BRANCH_CREATED = "branch-created"
    BRANCH_DELETED = "branch-deleted"
    PULL_OPENED = "pull-opened"
    PULL_CLOSED = "pull-closed"
    """Merged or not: *merged* tells."""
    PULL_REOPENED = "pull-reopened"
    PULL_SYNCHRONIZED = "pull-synchronized"
    PULL_EDITED = "pull-edited"
    STATUS = "status"
    IGNORED = "ignored"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeEvent:
    """A hook as values: a hint to look again, never evidence. What it does not tell is empty or None.

    *repo* is the full name (``team/shop``), *branch* the head for pull requests, *sha* the branch's new tip or the commit of a
    status, *before* the old tip (None for a new branch), *actor* the login of whoever caused it.
    """

    kind: ForgeEventKind
    repo: str = ""
    branch: str = ""
    base: str = ""
    sha: Sha | None = None
    before: Sha | None = None
    number: int | None = None
    merged: bool = False
    state: CiState | None = None
    context: str = ""
    actor: str = ""


class Forge(Protocol):
    """One repo's pull requests and commit statuses. Every write is safe to repeat."""

    def remote(self) -> GitRemote: ...

    async def open_pull_request(self, branch: Branch, *, title: str, body: str) -> PullRequest:
        """Open a pull request onto the default branch, or return the open one of that branch."""

    async def fetch_pull_request(self, number: int) -> PullRequest | None: ...

    async def find_pull_request(self, branch: Branch) -> PullRequest | None:
        """Return the open pull request of *branch* onto the default branch, else the newest of any state, else None."""

    async def list_pull_requests(
        self, state: PullRequestState | None = None, *, since: datetime | None = None
    ) -> list[PullRequest]:
        """Return pull requests onto the default branch, those of *state* where given.

        Newest change first where the forge knows it, else newest first. With *since* it may leave out what was last changed
        before that time.
        """

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

    async def check_manual_merge(self) -> MergeMarking:
        """Find out, changing nothing, whether ``mark_merged`` is possible."""

    def web_url(self, branch: Branch, path: str) -> str:
        """Return a link for people to a file on a branch, empty where the forge has no pages."""
