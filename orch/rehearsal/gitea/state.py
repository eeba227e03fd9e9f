"""What the fake Gitea remembers, and the rules by which a push, an edit and a mark change it.

Owns: users, tokens, repos, pull requests, comments, statuses, protections. Does not own HTTP. Rule: people and programs change
the state through the same methods, and every change is written to the one log and told to the hooks.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orch.core.ids import Sha
from orch.rehearsal.gitea.repository import NOTHING, BareRepository

ALL_SCOPES = ("write:repository", "write:issue", "read:user")
CHECKS = 2
"""How often a pull request must be looked at until its ``mergeable`` has been computed."""


@dataclass
class User:
    id: int
    login: str
    password: str


@dataclass
class Token:
    login: str
    scopes: tuple[str, ...]


@dataclass
class Pull:
    number: int
    head: str
    base: str
    title: str
    body: str
    user: str
    head_sha: str
    created_at: str
    updated_at: str
    fork: bool = False
    state: str = "open"
    merged: bool = False
    merge_commit_sha: str | None = None
    merged_by: str | None = None
    merged_at: str | None = None
    closed_at: str | None = None
    unchecked: int = CHECKS


@dataclass
class Comment:
    id: int
    number: int
    user: str
    body: str
    created_at: str


@dataclass
class CommitStatus:
    id: int
    sha: str
    context: str
    state: str
    description: str
    target_url: str
    user: str
    created_at: str


@dataclass
class Protection:
    """A rule for one branch; the defaults are what an empty rule means."""

    rule_name: str
    enable_push: bool = False
    push_whitelist: tuple[str, ...] | None = None
    merge_whitelist: tuple[str, ...] | None = None
    protected_file_patterns: str = ""
    require_signed_commits: bool = False

    def may_push(self, login: str) -> bool:
        return self.enable_push and (self.push_whitelist is None or login in self.push_whitelist)

    def may_merge(self, login: str) -> bool:
        return self.merge_whitelist is None or login in self.merge_whitelist


@dataclass
class Repo:
    id: int
    full_name: str
    default_branch: str
    git: BareRepository
    rights: dict[str, str] = field(default_factory=dict)
    """``read``, ``write`` or ``admin`` by login."""
    allow_manual_merge: bool = True
    autodetect_manual_merge: bool = False
    pulls: dict[int, Pull] = field(default_factory=dict)
    comments: dict[int, Comment] = field(default_factory=dict)
    statuses: list[CommitStatus] = field(default_factory=list)
    protections: dict[str, Protection] = field(default_factory=dict)

    def may_write(self, login: str) -> bool:
        return self.rights.get(login) in ("write", "admin")

    def latest_statuses(self, sha: str) -> list[CommitStatus]:
        latest = {status.context: status for status in self.statuses if status.sha == sha}
        return sorted(latest.values(), key=lambda status: -status.id)

    def open_pull(self, head: str, base: str) -> Pull | None:
        return next((p for p in self.pulls.values() if (p.head, p.base, p.state, p.fork) == (head, base, "open", False)), None)


Tell = Callable[[Repo, str, str, Mapping[str, Any]], None]
"""Tells the hooks: repo, event, fine event type, what the payload is made of."""


class State:
    """Everything on the server."""

    def __init__(self, log: Callable[[str, str], None], tell: Tell) -> None:
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.repos: dict[str, Repo] = {}
        self._log = log
        self._tell = tell
        self._seconds = 0
        self._ids = 0
        self.real_time = False
        """On: the clock on the wall, which a whole daemon beside it goes by."""

    def now(self) -> str:
        """Return the time of a write: each is a second later than the last."""
        if self.real_time:
            return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._seconds += 1
        hours, rest = divmod(self._seconds, 3600)
        return f"2026-01-02T{hours:02}:{rest // 60:02}:{rest % 60:02}Z"

    def next_id(self) -> int:
        self._ids += 1
        return self._ids

    # ------------------------------------------------------------------------------------------ git

    def pushed(self, repo: Repo, login: str, ref: str, before: str, after: str) -> None:
        """A ref has moved: what follows from it."""
        self._log("push", f"{login} {ref} {before[:7]}..{after[:7]}")
        if not ref.startswith("refs/heads/"):
            return
        branch = ref.removeprefix("refs/heads/")
        if after == NOTHING:
            self._tell(repo, "delete", "delete", {"ref": branch, "sender": login})
            for pull in self._open_from(repo, branch):
                self.close(repo, pull, login)
            return
        if before == NOTHING:
            self._tell(repo, "create", "create", {"ref": branch, "sha": after, "sender": login})
        self._tell(repo, "push", "push", {"ref": ref, "before": before, "after": after, "sender": login})
        for pull in self._open_from(repo, branch):
            pull.head_sha, pull.unchecked, pull.updated_at = after, CHECKS, self.now()
            repo.git.set_ref(f"refs/pull/{pull.number}/head", after)
            self._tell_pull(repo, pull, "synchronized", login)
        for pull in repo.pulls.values():
            if pull.base == branch and pull.state == "open":
                pull.unchecked = CHECKS
        self._detect(repo)

    def _open_from(self, repo: Repo, branch: str) -> list[Pull]:
        return [pull for pull in repo.pulls.values() if (pull.head, pull.state, pull.fork) == (branch, "open", False)]

    def _detect(self, repo: Repo) -> None:
        """What a server does where ``autodetect_manual_merge`` is on, right or wrong."""
        if not repo.autodetect_manual_merge:
            return
        for pull in [pull for pull in repo.pulls.values() if pull.state == "open" and not pull.fork]:
            base = repo.git.branch(pull.base)
            if base is not None and repo.git.is_ancestor(pull.head_sha, base):
                self.merge(repo, pull, next(iter(repo.rights)), pull.head_sha)

    # ------------------------------------------------------------------------------------------ pull requests

    def open(self, repo: Repo, login: str, *, head: str, base: str, title: str, body: str, fork: bool = False) -> Pull:
        tip = repo.git.branch(head) or repo.git.branch(base)
        assert tip is not None
        number, now = len(repo.pulls) + 1, self.now()
        pull = Pull(number, head, base, title, body, login, tip, now, now, fork=fork)
        repo.pulls[number] = pull
        repo.git.set_ref(f"refs/pull/{number}/head", tip)
        self._log("pull request", f"{login} opened #{number} {head} -> {base}")
        self._tell_pull(repo, pull, "opened", login)
        self._detect(repo)
        return pull

    def edit(self, repo: Repo, pull: Pull, login: str, *, title: str | None, body: str | None) -> None:
        pull.title = title or pull.title
        pull.body = pull.body if body is None else body
        pull.updated_at = self.now()
        self._log("pull request", f"{login} edited #{pull.number}")
        self._tell_pull(repo, pull, "edited", login)

    def close(self, repo: Repo, pull: Pull, login: str) -> None:
        pull.state, pull.closed_at = "closed", self.now()
        pull.updated_at = pull.closed_at
        self._log("pull request", f"{login} closed #{pull.number}")
        self._tell_pull(repo, pull, "closed", login)

    def reopen(self, repo: Repo, pull: Pull, login: str) -> None:
        pull.state, pull.closed_at, pull.updated_at, pull.unchecked = "open", None, self.now(), CHECKS
        pull.head_sha = repo.git.branch(pull.head) or pull.head_sha
        self._log("pull request", f"{login} reopened #{pull.number}")
        self._tell_pull(repo, pull, "reopened", login)

    def merge(self, repo: Repo, pull: Pull, login: str, sha: str) -> None:
        """Mark it as merged."""
        pull.state, pull.merged, pull.merge_commit_sha, pull.merged_by = "closed", True, sha, login
        pull.merged_at = pull.closed_at = pull.updated_at = self.now()
        self._log("merged", f"{login} #{pull.number} {sha}")
        self._tell_pull(repo, pull, "closed", login)

    def merge_by_commit(self, repo: Repo, pull: Pull, login: str, style: str) -> Sha | None:
        """Merge as the button does; None where it conflicts."""
        base = repo.git.branch(pull.base)
        assert base is not None
        message = f"Merge pull request #{pull.number}: {pull.title}"
        if style == "fast-forward-only":
            made = Sha(pull.head_sha) if repo.git.is_ancestor(base, pull.head_sha) else None
        else:
            tree = repo.git.merge_tree(base, pull.head_sha)
            parents: list[str] = [base, pull.head_sha] if style == "merge" else [base]
            made = None if tree is None else repo.git.commit_tree(tree, parents, message, login)
        if made is not None:
            repo.git.set_ref(f"refs/heads/{pull.base}", made)
            self.merge(repo, pull, login, made)
            self.pushed(repo, login, f"refs/heads/{pull.base}", base, made)
        return made

    def _tell_pull(self, repo: Repo, pull: Pull, action: str, login: str) -> None:
        fine = "pull_request_sync" if action == "synchronized" else "pull_request"
        self._tell(repo, "pull_request", fine, {"action": action, "pull": pull, "sender": login})

    # ------------------------------------------------------------------------------------------ comments and statuses

    def comment(self, repo: Repo, number: int, login: str, body: str) -> Comment:
        made = Comment(self.next_id(), number, login, body, self.now())
        repo.comments[made.id] = made
        self._log("comment", f"{login} #{number} {body.splitlines()[-1] if body else ''}")
        self._tell(repo, "issue_comment", "pull_request_comment", {"action": "created", "comment": made, "sender": login})
        return made

    def edit_comment(self, repo: Repo, comment: Comment, login: str, body: str) -> None:
        comment.body = body
        self._log("comment edited", f"{login} #{comment.number} {body.splitlines()[-1] if body else ''}")
        self._tell(repo, "issue_comment", "pull_request_comment", {"action": "edited", "comment": comment, "sender": login})

    def delete_comment(self, repo: Repo, comment: Comment, login: str) -> None:
        del repo.comments[comment.id]
        self._log("comment deleted", f"{login} #{comment.number}")

    def set_status(self, repo: Repo, login: str, sha: str, table: Mapping[str, str]) -> CommitStatus:
        state, context = table.get("state", ""), table.get("context") or "default"
        told = (table.get("description", ""), table.get("target_url", ""))
        made = CommitStatus(self.next_id(), sha, context, state, *told, login, self.now())
        repo.statuses.append(made)
        self._log("status", f"{login} {sha[:7]} {context} {state}")
        self._tell(repo, "status", "status", {"status": made, "sender": login})
        return made


def is_wip(title: str) -> bool:
    return bool(re.match(r"\s*(?:WIP:|\[WIP\])", title, re.IGNORECASE))
