"""The store's tables of the local board and the local forge."""

from datetime import datetime
from typing import Protocol

from orch.core.ids import ActivityId, Branch, IssueId, ProjectName, Sha
from orch.core.model import Activity, BoardComment, BoardIssue, CommitStatus, PullRequest


class LocalTables(Protocol):
    """The local board's issues, comments and activity; the local forge's pull requests and statuses."""

    def insert_issue(self, issue: BoardIssue) -> None: ...

    def next_issue_sequence(self, project: ProjectName) -> int: ...

    def load_issue(self, issue: IssueId) -> BoardIssue | None:
        """Return the local board's issue; case of the key does not matter."""

    def list_issues(self, project: ProjectName | None = None, limit: int = 1000) -> list[BoardIssue]: ...

    def move_issue(self, issue: IssueId, state_id: str, activity: Activity) -> None:
        """Set the column and append the activity entry."""

    def archive_issue(self, issue: IssueId, at: datetime, *, archived: bool) -> None:
        """Put the local board's card away, or bring it back."""

    def list_activities(self, issue: IssueId) -> list[Activity]: ...

    def issue_of_activity(self, activity: ActivityId) -> IssueId | None:
        """Return the local board's issue that an entry belongs to."""

    def insert_comment(self, comment: BoardComment, key: str) -> bool:
        """Add a comment; False when *key* (not empty) exists."""

    def list_comments(self, issue: IssueId) -> list[BoardComment]: ...

    def insert_pull_request(
        self, project: ProjectName, branch: Branch, base: str, title: str, body: str, at: datetime
    ) -> PullRequest: ...

    def load_pull_request(self, project: ProjectName, number: int) -> PullRequest | None: ...

    def open_pull_request_of(self, project: ProjectName, branch: Branch, base: str) -> PullRequest | None: ...

    def list_pull_requests(self, project: ProjectName, base: str) -> list[PullRequest]:
        """Return the pull requests onto *base*, newest first."""

    def save_pull_request(self, pull: PullRequest) -> None: ...

    def keep_pr_comment(self, project: ProjectName, number: int, marker: str, text: str) -> None: ...

    def list_pr_comments(self, project: ProjectName, number: int) -> list[tuple[str, str]]:
        """Return (marker, text) pairs in order of making."""

    def save_commit_status(self, project: ProjectName, status: CommitStatus, at: datetime) -> None: ...

    def list_commit_statuses(self, project: ProjectName, sha: Sha) -> list[CommitStatus]:
        """Return the newest per context."""
