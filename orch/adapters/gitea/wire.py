"""Gitea's answers as values: what the adapter uses of them, and nothing that they get wrong.

Owns: reading pull requests, statuses and comments out of JSON. Rule: an answer that lacks what is needed is garbage, hence
transient; ``mergeable`` is computed later than it is told and is never read; a head branch that was deleted is known by
its label.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, final

from orch.core.errors import TransientError
from orch.core.ids import Branch, ProjectName, Sha, parse_sha
from orch.core.model import CiState, PullRequest, PullRequestState

SERVICE = "Gitea"
_GONE_HEAD = "refs/pull/"
_CI = {
    "success": CiState.SUCCESS,
    "warning": CiState.SUCCESS,
    "skipped": CiState.SUCCESS,
    "failure": CiState.FAILURE,
    "error": CiState.ERROR,
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A pull request, and what the port's value does not hold. *ours*: its head is in the repo itself, not in a fork."""

    value: PullRequest
    ours: bool
    updated_at: datetime | None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A comment of a pull request."""

    id: int
    author: int
    body: str


def garbage(operation: str, what: str) -> TransientError:
    return TransientError(SERVICE, operation, f"the answer holds no {what}")


def read_pull(body: object, project: ProjectName, web: str, operation: str) -> Pull:
    """Read one pull request; *web* is the repo's address for people."""
    table = body if isinstance(body, dict) else {}
    head, base = _table(table, "head"), _table(table, "base")
    number, branch, onto = table.get("number"), head_branch(head), base.get("ref")
    if not isinstance(number, int) or not branch or not isinstance(onto, str) or table.get("state") not in ("open", "closed"):
        raise garbage(operation, "pull request")
    merged = table.get("merged") is True
    closed = PullRequestState.MERGED if merged else PullRequestState.CLOSED
    value = PullRequest(
        number=number,
        project=project,
        branch=Branch(branch),
        base=onto,
        title=_text(table, "title"),
        body=_text(table, "body"),
        state=PullRequestState.OPEN if table["state"] == "open" and not merged else closed,
        merged=read_sha(table.get("merge_commit_sha")) if merged else None,
        url=f"{web}/pulls/{number}",
    )
    return Pull(value=value, ours=is_of_repo(head, base), updated_at=_time(table.get("updated_at")))


def head_branch(head: Mapping[str, Any]) -> str:
    """Return the head's branch; once that was deleted, ``ref`` is the pull request's own and only the label has the name."""
    ref, label = _text(head, "ref"), _text(head, "label")
    return label if ref.startswith(_GONE_HEAD) and label else ref


def is_of_repo(head: Mapping[str, Any], base: Mapping[str, Any]) -> bool:
    """Say whether the head is a branch of the repo itself: a fork's branch may have the same name."""
    return head.get("repo_id") == base.get("repo_id")


def read_state(text: object) -> CiState:
    """Read a status; a word that Gitea does not know counts as pending, as it does there."""
    return _CI.get(text.casefold(), CiState.PENDING) if isinstance(text, str) else CiState.PENDING


def read_sha(text: object) -> Sha | None:
    try:
        return parse_sha(text) if isinstance(text, str) else None
    except ValueError:
        return None


def read_note(item: object) -> Note | None:
    table = item if isinstance(item, dict) else {}
    number, author = table.get("id"), _table(table, "user").get("id")
    if not isinstance(number, int) or not isinstance(author, int):
        return None
    return Note(id=number, author=author, body=_text(table, "body"))


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _time(text: object) -> datetime | None:
    try:
        read = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return read if read is not None and read.tzinfo is not None else None
