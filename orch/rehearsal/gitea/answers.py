"""The JSON of the fake Gitea: what its API answers and its hooks carry.

Owns: the shapes, written after what real servers answer. Rule: a payload shows the state at the time it is made.
"""

from typing import Any

from orch.rehearsal.gitea.state import Comment, CommitStatus, Pull, Repo, User, is_wip

NEVER = "0001-01-01T00:00:00Z"
MADE = "2026-01-01T00:00:00Z"


class Answers:
    """Makes JSON; *url* is the server's own address, *old* a version that keeps more to itself."""

    def __init__(self, url: str, users: dict[str, User], *, old: bool) -> None:
        self.url = url
        self.users = users
        self.old = old

    def user(self, login: str) -> dict[str, Any]:
        user = self.users[login]
        return {
            "id": user.id,
            "login": login,
            "login_name": "",
            "full_name": "",
            "email": f"{login}@noreply.localhost",
            "avatar_url": f"{self.url}/avatars/{user.id}",
            "language": "",
            "is_admin": False,
            "last_login": NEVER,
            "created": MADE,
            "restricted": False,
            "active": False,
            "prohibit_login": False,
            "location": "",
            "website": "",
            "description": "",
            "visibility": "public",
            "followers_count": 0,
            "following_count": 0,
            "starred_repos_count": 0,
            "username": login,
        }

    def repo(self, repo: Repo, login: str) -> dict[str, Any]:
        right = repo.rights.get(login)
        owner, _, name = repo.full_name.partition("/")
        told = {
            "id": repo.id,
            "owner": self.user(owner) if owner in self.users else self.user(next(iter(self.users))) | {"login": owner},
            "name": name,
            "full_name": repo.full_name,
            "description": "",
            "empty": False,
            "private": True,
            "fork": False,
            "template": False,
            "parent": None,
            "mirror": False,
            "size": 25,
            "html_url": f"{self.url}/{repo.full_name}",
            "url": f"{self.url}/api/v1/repos/{repo.full_name}",
            "clone_url": f"{self.url}/{repo.full_name}.git",
            "default_branch": repo.default_branch,
            "archived": False,
            "created_at": MADE,
            "updated_at": MADE,
            "permissions": {"admin": right == "admin", "push": right in ("write", "admin"), "pull": right is not None},
            "has_pull_requests": True,
            "allow_merge_commits": True,
            "allow_rebase": True,
            "allow_squash_merge": True,
            "default_merge_style": "merge",
        }
        if not self.old:
            told |= {
                "allow_manual_merge": repo.allow_manual_merge,
                "autodetect_manual_merge": repo.autodetect_manual_merge,
            }
        return told

    def pull(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        page = f"{self.url}/{repo.full_name}/pulls/{pull.number}"
        told = self.repo(repo, "")
        tip = None if pull.fork else repo.git.branch(pull.head)
        base = repo.git.branch(pull.base)
        checked = pull.unchecked == 0 and base is not None
        head = {
            "label": pull.head,
            "ref": pull.head if tip or pull.fork else f"refs/pull/{pull.number}/head",
            "sha": tip or pull.head_sha,
            "repo_id": repo.id + 1000 if pull.fork else repo.id,
            "repo": told,
        }
        return {
            "id": repo.id * 1000 + pull.number,
            "url": page,
            "number": pull.number,
            "user": self.user(pull.user),
            "title": pull.title,
            "body": pull.body,
            "labels": [],
            "milestone": None,
            "assignee": None,
            "assignees": None,
            "requested_reviewers": None,
            "state": pull.state,
            "is_locked": False,
            "comments": sum(comment.number == pull.number for comment in repo.comments.values()),
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "mergeable": checked and not is_wip(pull.title) and repo.git.merge_tree(str(base), pull.head_sha) is not None,
            "merged": pull.merged,
            "merged_at": pull.merged_at,
            "merge_commit_sha": pull.merge_commit_sha,
            "merged_by": None if pull.merged_by is None else self.user(pull.merged_by),
            "allow_maintainer_edit": False,
            "base": {"label": pull.base, "ref": pull.base, "sha": base or "", "repo_id": repo.id, "repo": told},
            "head": head,
            "merge_base": base or "",
            "due_date": None,
            "created_at": pull.created_at,
            "updated_at": pull.updated_at,
            "closed_at": pull.closed_at,
            "pin_order": 0,
        }

    def comment(self, repo: Repo, comment: Comment) -> dict[str, Any]:
        page = f"{self.url}/{repo.full_name}/pulls/{comment.number}"
        return {
            "id": comment.id,
            "html_url": f"{page}#issuecomment-{comment.id}",
            "pull_request_url": page,
            "issue_url": "",
            "user": self.user(comment.user),
            "original_author": "",
            "original_author_id": 0,
            "body": comment.body,
            "assets": [],
            "created_at": comment.created_at,
            "updated_at": comment.created_at,
        }

    def status(self, repo: Repo, status: CommitStatus) -> dict[str, Any]:
        return {
            "id": status.id,
            "status": status.state,
            "target_url": status.target_url,
            "description": status.description,
            "url": f"{self.url}/api/v1/repos/{repo.full_name}/statuses/{status.sha}",
            "context": status.context,
            "creator": self.user(status.user),
            "created_at": status.created_at,
            "updated_at": status.created_at,
        }

    def combined(self, repo: Repo, sha: str, page: list[CommitStatus], login: str) -> dict[str, Any]:
        latest = [status.state for status in repo.latest_statuses(sha)]
        if not latest:
            state = ""
        elif any(each in ("error", "failure") for each in latest):
            state = "failure"
        else:
            state = "success" if all(each in ("success", "warning", "skipped") for each in latest) else "pending"
        return {
            "state": state,
            "sha": sha,
            "total_count": len(page),
            "statuses": [self.status(repo, status) for status in page] or None,
            "repository": self.repo(repo, login),
            "commit_url": "",
            "url": "",
        }

    def branch(self, repo: Repo, name: str, sha: str, login: str) -> dict[str, Any]:
        rule = repo.protections.get(name)
        return {
            "name": name,
            "commit": {"id": sha, "message": repo.git.git("log", "-1", "--format=%s", sha), "url": "", "timestamp": MADE},
            "protected": rule is not None,
            "required_approvals": 0,
            "enable_status_check": False,
            "status_check_contexts": [],
            "user_can_push": repo.may_write(login) and (rule is None or rule.may_push(login)),
            "user_can_merge": repo.may_write(login) and (rule is None or rule.may_merge(login)),
            "effective_branch_protection_name": name if rule else "",
        }

    # ------------------------------------------------------------------------------------------ hooks

    def push_hook(self, repo: Repo, ref: str, before: str, after: str) -> dict[str, Any]:
        return {
            "ref": ref,
            "before": before,
            "after": after,
            "compare_url": f"{self.url}/{repo.full_name}/compare/{before[:12]}...{after[:12]}",
            "commits": [],
            "total_commits": 0,
            "head_commit": None,
        }

    def pull_hook(self, repo: Repo, pull: Pull, action: str) -> dict[str, Any]:
        told = {"action": action, "number": pull.number, "pull_request": self.pull(repo, pull)}
        return told | {"requested_reviewer": None, "commit_id": "", "review": None}

    def comment_hook(self, repo: Repo, comment: Comment, action: str) -> dict[str, Any]:
        pull = repo.pulls[comment.number]
        issue = {"id": pull.number, "number": pull.number, "title": pull.title, "body": pull.body, "state": pull.state}
        return {"action": action, "issue": issue, "comment": self.comment(repo, comment), "is_pull": True}

    def status_hook(self, status: CommitStatus) -> dict[str, Any]:
        told = {"id": status.id, "sha": status.sha, "state": status.state, "context": status.context}
        told |= {"description": status.description, "target_url": status.target_url}
        return told | {"created_at": status.created_at, "updated_at": status.created_at, "commit": None}
