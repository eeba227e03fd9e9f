"""The local board's issues, comments and activity; the local forge's pull requests and commit statuses.

Owns: the ``local_*`` tables and ``commit_status``. Rule: an issue's key is its future work item id, so a number that a task of
the project already has is never given to an issue.
"""

from datetime import datetime

from orch.adapters.store.tables import Tables
from orch.adapters.store.values import Row, from_us, to_us
from orch.core.errors import DomainError
from orch.core.ids import ActivityId, Branch, IssueId, ProjectName, Sha, UserId
from orch.core.model import Activity, BoardComment, BoardIssue, CiState, CommitStatus, PullRequest, PullRequestState
from orch.core.stages import Role


class LocalRows(Tables):
    def insert_issue(self, issue: BoardIssue) -> None:
        self._insert(
            "local_issue",
            {
                "id": issue.id,
                "project": issue.project,
                "sequence": issue.sequence,
                "state_id": issue.state_id,
                "archived": issue.archived,
                "created_at": to_us(issue.created_at),
                "updated_at": to_us(issue.updated_at),
                "slug": issue.slug,
                "url": issue.url,
                "title": issue.title,
                "text": issue.text,
            },
        )
        self._refresh_blocked(issue.project, issue.id)

    def next_issue_sequence(self, project: ProjectName) -> int:
        sql = """
            SELECT max(
                (SELECT coalesce(max(sequence), 0) FROM local_issue WHERE project = :project),
                (
                    SELECT coalesce(max(CAST(substr(work_item, instr(work_item, '-') + 1) AS INTEGER)), 0)
                    FROM task WHERE project = :project AND stage <> 'cancelled'
                )
            ) + 1 AS free
        """
        row = self._row(sql, {"project": project})
        return int(row["free"]) if row else 1

    def load_issue(self, issue: IssueId) -> BoardIssue | None:
        row = self._row("SELECT * FROM local_issue WHERE id = ?", (issue.strip(),))
        return None if row is None else _issue(row)

    def list_issues(self, project: ProjectName | None = None, limit: int = 1000) -> list[BoardIssue]:
        """Return issues in order of making."""
        term = "1" if project is None else "project = :project"
        sql = f"SELECT * FROM local_issue WHERE {term} ORDER BY rowid LIMIT :limit"
        return [_issue(row) for row in self._rows(sql, {"project": project, "limit": limit})]

    def move_issue(self, issue: IssueId, state_id: str, activity: Activity) -> None:
        row = self._row(
            "UPDATE local_issue SET state_id = ?, updated_at = ? WHERE id = ? RETURNING id, project",
            (state_id, to_us(activity.created_at), issue),
        )
        if row is None:
            raise DomainError(f"the local board has no issue {issue}")
        self._insert(
            "local_activity",
            {
                "id": activity.id,
                "issue": row["id"],
                "actor": activity.actor,
                "actor_name": activity.actor_name,
                "ours": activity.ours,
                "source": activity.source,
                "target": activity.target,
                "created_at": to_us(activity.created_at),
            },
        )
        self._refresh_blocked(ProjectName(row["project"]), IssueId(row["id"]))

    def archive_issue(self, issue: IssueId, at: datetime, *, archived: bool) -> None:
        self._run("UPDATE local_issue SET archived = ?, updated_at = ? WHERE id = ?", (archived, to_us(at), issue))

    def list_activities(self, issue: IssueId) -> list[Activity]:
        return [
            Activity(
                id=ActivityId(row["id"]),
                issue=IssueId(row["issue"]),
                actor=UserId(row["actor"]),
                actor_name=row["actor_name"],
                ours=bool(row["ours"]),
                source=row["source"],
                target=row["target"],
                created_at=from_us(row["created_at"]),
            )
            for row in self._rows("SELECT * FROM local_activity WHERE issue = ? ORDER BY seq", (issue,))
        ]

    def issue_of_activity(self, activity: ActivityId) -> IssueId | None:
        row = self._row("SELECT issue FROM local_activity WHERE id = ?", (activity,))
        return None if row is None else IssueId(row["issue"])

    def insert_comment(self, comment: BoardComment, key: str) -> bool:
        row = self._row(
            """
            INSERT INTO local_comment (id, issue, key, author, author_name, ours, role, created_at, text)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (issue, key) WHERE key <> '' DO NOTHING RETURNING id
            """,
            (
                comment.id,
                comment.issue,
                key,
                comment.author,
                comment.author_name,
                comment.ours,
                comment.role,
                to_us(comment.created_at),
                comment.text,
            ),
        )
        return row is not None

    def list_comments(self, issue: IssueId) -> list[BoardComment]:
        return [
            BoardComment(
                id=row["id"],
                issue=IssueId(row["issue"]),
                author=UserId(row["author"]),
                author_name=row["author_name"],
                ours=bool(row["ours"]),
                role=None if row["role"] is None else Role(row["role"]),
                text=row["text"],
                created_at=from_us(row["created_at"]),
            )
            for row in self._rows("SELECT * FROM local_comment WHERE issue = ? ORDER BY seq", (issue,))
        ]

    # ------------------------------------------------------------------------------------------------ the forge

    def insert_pull_request(
        self, project: ProjectName, branch: Branch, base: str, title: str, body: str, at: datetime
    ) -> PullRequest:
        row = self._row(
            """
            INSERT INTO local_pull (project, number, branch, base, state, created_at, title, url, body)
            SELECT :project, coalesce(max(number), 0) + 1, :branch, :base, 'open', :at, :title, '', :body
            FROM local_pull WHERE project = :project RETURNING *
            """,
            {"project": project, "branch": branch, "base": base, "at": to_us(at), "title": title, "body": body},
        )
        if row is None:
            raise DomainError("the pull request that was just made is not there")
        return _pull(row)

    def load_pull_request(self, project: ProjectName, number: int) -> PullRequest | None:
        row = self._row("SELECT * FROM local_pull WHERE project = ? AND number = ?", (project, number))
        return None if row is None else _pull(row)

    def open_pull_request_of(self, project: ProjectName, branch: Branch, base: str) -> PullRequest | None:
        sql = "SELECT * FROM local_pull WHERE project = ? AND branch = ? AND base = ? AND state = 'open'"
        row = self._row(sql, (project, branch, base))
        return None if row is None else _pull(row)

    def list_pull_requests(self, project: ProjectName, base: str) -> list[PullRequest]:
        sql = "SELECT * FROM local_pull WHERE project = ? AND base = ? ORDER BY number DESC"
        return [_pull(row) for row in self._rows(sql, (project, base))]

    def save_pull_request(self, pull: PullRequest) -> None:
        self._run(
            "UPDATE local_pull SET title = ?, body = ?, state = ?, merged = ?, url = ? WHERE project = ? AND number = ?",
            (pull.title, pull.body, pull.state, pull.merged, pull.url, pull.project, pull.number),
        )

    def keep_pr_comment(self, project: ProjectName, number: int, marker: str, text: str) -> None:
        self._run(
            """
            INSERT INTO local_pull_comment (project, number, marker, text) VALUES (?, ?, ?, ?)
            ON CONFLICT (project, number, marker) DO UPDATE SET text = excluded.text
            """,
            (project, number, marker, text),
        )

    def list_pr_comments(self, project: ProjectName, number: int) -> list[tuple[str, str]]:
        sql = "SELECT marker, text FROM local_pull_comment WHERE project = ? AND number = ? ORDER BY seq"
        return [(row["marker"], row["text"]) for row in self._rows(sql, (project, number))]

    def save_commit_status(self, project: ProjectName, status: CommitStatus, at: datetime) -> None:
        self._run(
            """
            INSERT INTO commit_status (project, sha, context, state, at, url, description) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (project, sha, context) DO UPDATE SET
            state = excluded.state, at = excluded.at, url = excluded.url, description = excluded.description
            """,
            (project, status.sha, status.context, status.state, to_us(at), status.url, status.description),
        )

    def list_commit_statuses(self, project: ProjectName, sha: Sha) -> list[CommitStatus]:
        sql = "SELECT * FROM commit_status WHERE project = ? AND sha = ? ORDER BY at, context"
        return [
            CommitStatus(
                sha=Sha(row["sha"]),
                context=row["context"],
                state=CiState(row["state"]),
                description=row["description"],
                url=row["url"],
            )
            for row in self._rows(sql, (project, sha))
        ]


def _issue(row: Row) -> BoardIssue:
    return BoardIssue(
        id=IssueId(row["id"]),
        project=ProjectName(row["project"]),
        sequence=row["sequence"],
        title=row["title"],
        text=row["text"],
        slug=row["slug"],
        state_id=row["state_id"],
        updated_at=from_us(row["updated_at"]),
        created_at=from_us(row["created_at"]),
        url=row["url"],
        archived=bool(row["archived"]),
    )


def _pull(row: Row) -> PullRequest:
    return PullRequest(
        number=row["number"],
        project=ProjectName(row["project"]),
        branch=Branch(row["branch"]),
        base=row["base"],
        title=row["title"],
        body=row["body"],
        state=PullRequestState(row["state"]),
        merged=None if row["merged"] is None else Sha(row["merged"]),
        url=row["url"],
    )
