"""The local board over HTTP.

Owns: ``/board/issues…``. Rule: a write is a person's command to the actors, never a write to the store.
"""

from typing import final

from quart import Response, jsonify, request

from orch.core.ids import IssueId
from orch.core.messages import ArchiveIssue, CommentIssue, CreateIssue, MoveIssue
from orch.core.model import Activity, BoardComment, BoardIssue, Project
from orch.core.statuses import BoardState, Status, map_states
from orch.ports import Tx
from orch.web.api import LIMIT_MAX, by, query_number
from orch.web.bodies import ArchiveBody, CommentBody, IssueBody, MoveBody, read_body
from orch.web.deps import WebDeps
from orch.web.problems import ProblemError, answer_response
from orch.web.routes import Route, act, read


@final
class BoardViews:
    """Handlers of the local board's addresses."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        return [
            read("/board/issues", self.issues, "The local board's issues", query=("project", "limit")),
            act("POST", "/board/issues", self.create, "Add an issue", IssueBody),
            read("/board/issues/{id}", self.issue, "One issue with comments and activity"),
            act("POST", "/board/issues/{id}/move", self.move, "Put an issue into a column", MoveBody),
            act("POST", "/board/issues/{id}/archive", self.archive, "Put an issue away, or bring it back", ArchiveBody),
            act("POST", "/board/issues/{id}/comments", self.comment, "Comment on an issue", CommentBody),
        ]

    async def issues(self) -> Response:
        project, limit = request.args.get("project"), query_number("limit", LIMIT_MAX, LIMIT_MAX)

        def load(tx: Tx) -> list[dict[str, object]]:
            issues = tx.list_issues(limit=limit)
            return [self._show(tx, issue) for issue in issues if project is None or issue.project == project]

        return jsonify({"issues": await self._deps.store.read(load)})

    async def create(self) -> Response:
        body = await read_body(IssueBody)
        answer = await self._deps.control.ask(
            CreateIssue(title=body.title, body=body.body, by=by(body), project=body.project, status=body.status)
        )
        issue = await self._deps.store.read(lambda tx: self._find(tx, answer.id)) if answer.id else None
        return answer_response(answer, None if issue is None else {"issue": issue})

    async def issue(self, id: str) -> Response:  # noqa: A002
        def load(tx: Tx) -> dict[str, object] | None:
            issue = tx.load_issue(IssueId(id))
            if issue is None:
                return None
            comments = [_comment(comment) for comment in tx.list_comments(issue.id)]
            states = tx.load_states(issue.project)
            moves = [_activity(entry, states) for entry in tx.list_activities(issue.id)]
            return {**self._show(tx, issue), "comments": comments, "activity": moves}

        found = await self._deps.store.read(load)
        if found is None:
            raise ProblemError(404, f"There is no issue {id[:80]!r} on the local board.")
        return jsonify(found)

    async def move(self, id: str) -> Response:  # noqa: A002
        body = await read_body(MoveBody)
        return answer_response(await self._deps.control.ask(MoveIssue(issue=id, status=body.status, by=by(body))))

    async def archive(self, id: str) -> Response:  # noqa: A002
        body = await read_body(ArchiveBody)
        return answer_response(await self._deps.control.ask(ArchiveIssue(issue=id, archived=body.archived, by=by(body))))

    async def comment(self, id: str) -> Response:  # noqa: A002
        body = await read_body(CommentBody)
        return answer_response(await self._deps.control.ask(CommentIssue(issue=id, text=body.text, by=by(body))))

    def _find(self, tx: Tx, name: str) -> dict[str, object] | None:
        issue = tx.load_issue(IssueId(name))
        return None if issue is None else self._show(tx, issue)

    def _show(self, tx: Tx, issue: BoardIssue) -> dict[str, object]:
        return {
            "id": issue.id,
            "project": issue.project,
            "title": issue.title,
            "text": issue.text,
            **_column(issue.state_id, tx.load_states(issue.project), self._deps.projects.get(issue.project)),
            "url": issue.url,
            "archived": issue.archived,
            "created_at": issue.created_at.isoformat(),
            "updated_at": issue.updated_at.isoformat(),
        }


def _column(state_id: str, states: list[BoardState], project: Project | None) -> dict[str, object]:
    """Return the column's logical key (None for a column without one) and its name on the board."""
    renames = {} if project is None else {key: project.statuses[key] for key in Status if key in project.statuses}
    status = map_states(states, renames).status_of(state_id)
    name = next((state.name for state in states if state.id == state_id), state_id)
    return {"status": None if status is None else status.value, "column": name}


def _activity(entry: Activity, states: list[BoardState]) -> dict[str, object]:
    names = {state.id: state.name for state in states}
    return {
        "at": entry.created_at.isoformat(),
        "by": entry.actor_name or entry.actor,
        "ours": entry.ours,
        "from": names.get(entry.source or "", entry.source),
        "to": names.get(entry.target or "", entry.target),
    }


def _comment(comment: BoardComment) -> dict[str, object]:
    return {
        "at": comment.created_at.isoformat(),
        "by": comment.author_name or comment.author,
        "ours": comment.ours,
        "role": None if comment.role is None else comment.role.value,
        "text": comment.text,
    }
