"""The API of the fake Gitea about pull requests: opening, editing, marking as merged, comments.

Owns: these routes. Rule: a real server's silences are kept: one code for several reasons, and often no word with it.
"""

from typing import TYPE_CHECKING, Any

from quart import Blueprint, request

from orch.rehearsal.gitea.access import Caller, Refused, missing, problem
from orch.rehearsal.gitea.api import Reply, enter, page_of, payload
from orch.rehearsal.gitea.state import Pull, Repo, is_wip

if TYPE_CHECKING:
    from orch.rehearsal.gitea.server import FakeGitea

LATER = "Please try again later"
ISSUES = "read:issue"


def pull_routes(gitea: "FakeGitea") -> Blueprint:
    routes = Blueprint("pulls", __name__, url_prefix="/api/v1")
    at = "/repos/<owner>/<name>/pulls"

    @routes.get(at)
    async def list_pulls(owner: str, name: str) -> Reply:
        async with gitea.faults.at("pulls.list"):
            repo, _ = enter(gitea, owner, name)
            state = request.args.get("state", "open")
            rows = [pull for pull in repo.pulls.values() if state in (pull.state, "all")]
            by_update = request.args.get("sort") == "recentupdate"
            rows.sort(key=lambda pull: pull.updated_at if by_update else pull.created_at, reverse=True)
            page, headers = page_of(gitea, rows)
            return [gitea.answers.pull(repo, pull) for pull in page], 200, headers

    @routes.post(at)
    async def open_pull(owner: str, name: str) -> Reply:
        async with gitea.faults.at("pulls.create"):
            repo, caller = enter(gitea, owner, name)
            return gitea.answers.pull(repo, _open(gitea, repo, caller, await payload())), 201

    @routes.get(f"{at}/<int:number>")
    async def get_pull(owner: str, name: str, number: int) -> Reply:
        async with gitea.faults.at("pulls.get"):
            repo, _ = enter(gitea, owner, name)
            pull = _known(repo, number)
            told = gitea.answers.pull(repo, pull)
            pull.unchecked = max(0, pull.unchecked - 1)
            return told, 200

    @routes.patch(f"{at}/<int:number>")
    async def edit_pull(owner: str, name: str, number: int) -> Reply:
        async with gitea.faults.at("pulls.edit"):
            repo, caller = enter(gitea, owner, name)
            pull = _known(repo, number)
            _edit(gitea, repo, caller, pull, await payload())
            return gitea.answers.pull(repo, pull), 201

    @routes.get(f"{at}/<int:number>/merge")
    async def is_merged(owner: str, name: str, number: int) -> Reply:
        async with gitea.faults.at("pulls.merged"):
            repo, _ = enter(gitea, owner, name)
            if not _known(repo, number).merged:
                raise missing()
            return "", 204

    @routes.post(f"{at}/<int:number>/merge")
    async def merge_pull(owner: str, name: str, number: int) -> Reply:
        async with gitea.faults.at("pulls.merge"):
            repo, caller = enter(gitea, owner, name)
            _merge(gitea, repo, caller, _known(repo, number), await payload())
            return "", 200

    _comment_routes(routes, gitea)
    return routes


def _known(repo: Repo, number: int) -> Pull:
    if number not in repo.pulls:
        raise missing()
    return repo.pulls[number]


def _open(gitea: "FakeGitea", repo: Repo, caller: Caller, wanted: dict[str, Any]) -> Pull:
    head, base, title = str(wanted.get("head", "")), str(wanted.get("base", "")), str(wanted.get("title", ""))
    if not title:
        raise problem(422, "[Title]: Required")
    tip, onto = repo.git.branch(head), repo.git.branch(base)
    if tip is None or onto is None:
        raise missing()
    found = repo.open_pull(head, base)
    if found is not None:
        told = (
            f"pull request already exists for these targets [id: {found.number}, issue_id: {found.number}, head_branch: {head}]"
        )
        raise problem(409, told)
    if tip == onto and not gitea.old:
        raise problem(422, "no changes between the head and the base")
    return gitea.state.open(repo, caller.login, head=head, base=base, title=title, body=str(wanted.get("body", "")))


def _edit(gitea: "FakeGitea", repo: Repo, caller: Caller, pull: Pull, wanted: dict[str, Any]) -> None:
    if "title" in wanted or "body" in wanted:
        gitea.state.edit(repo, pull, caller.login, title=wanted.get("title"), body=wanted.get("body"))
    state = wanted.get("state")
    if state is not None and pull.merged:
        raise problem(412, "cannot change state of this pull request, it was already merged")
    if state == "closed" and pull.state == "open":
        gitea.state.close(repo, pull, caller.login)
    if state == "open" and pull.state == "closed":
        gitea.state.reopen(repo, pull, caller.login)


def _merge(gitea: "FakeGitea", repo: Repo, caller: Caller, pull: Pull, wanted: dict[str, Any]) -> None:
    if pull.merged:
        raise problem(405, "" if gitea.old else "The PR is already merged")
    if pull.state == "closed":
        raise missing()
    rule = repo.protections.get(pull.base)
    if rule is not None and not rule.may_merge(caller.login):
        raise problem(405, "User not allowed to merge PR")
    if wanted.get("Do") == "manually-merged":
        _mark(gitea, repo, caller, pull, str(wanted.get("MergeCommitID", "")))
    else:
        _press(gitea, repo, caller, pull, wanted)


def _mark(gitea: "FakeGitea", repo: Repo, caller: Caller, pull: Pull, sha: str) -> None:
    if not repo.allow_manual_merge:
        raise problem(405, "manually-merged is not allowed an allowed merge style for this repository")
    base = repo.git.branch(pull.base)
    if len(sha) != 40 or base is None or not repo.git.has_commit(sha) or not repo.git.is_ancestor(sha, base):
        raise Refused(409, {})
    gitea.state.merge(repo, pull, caller.login, sha)


def _press(gitea: "FakeGitea", repo: Repo, caller: Caller, pull: Pull, wanted: dict[str, Any]) -> None:
    """Merge as the button does."""
    style = wanted.get("Do")
    if style not in ("merge", "rebase", "rebase-merge", "squash", "fast-forward-only"):
        raise problem(422, "[Do]: In")
    if is_wip(pull.title):
        raise problem(405, "Work in progress PRs cannot be merged")
    if pull.unchecked:
        pull.unchecked -= 1
        raise problem(405, LATER)
    if wanted.get("head_commit_id") not in (None, "", pull.head_sha):
        raise problem(409, "head out of date")
    if gitea.state.merge_by_commit(repo, pull, caller.login, str(style)) is None:
        raise problem(405, LATER)


def _comment_routes(routes: Blueprint, gitea: "FakeGitea") -> None:
    at = "/repos/<owner>/<name>/issues"

    @routes.get(f"{at}/<int:number>/comments")
    async def list_comments(owner: str, name: str, number: int) -> Reply:
        async with gitea.faults.at("comments.list"):
            repo, _ = enter(gitea, owner, name, ISSUES)
            _known(repo, number)
            rows = [comment for comment in repo.comments.values() if comment.number == number]
            page, headers = page_of(gitea, rows) if gitea.paged_comments else (rows, {"X-Total-Count": str(len(rows))})
            return [gitea.answers.comment(repo, comment) for comment in page], 200, headers

    @routes.post(f"{at}/<int:number>/comments")
    async def add_comment(owner: str, name: str, number: int) -> Reply:
        async with gitea.faults.at("comments.create"):
            repo, caller = enter(gitea, owner, name, ISSUES)
            _known(repo, number)
            made = gitea.state.comment(repo, number, caller.login, str((await payload()).get("body", "")))
            return gitea.answers.comment(repo, made), 201

    @routes.patch(f"{at}/comments/<int:number>")
    async def edit_comment(owner: str, name: str, number: int) -> Reply:
        async with gitea.faults.at("comments.edit"):
            repo, caller = enter(gitea, owner, name, ISSUES)
            if number not in repo.comments:
                raise missing()
            gitea.state.edit_comment(repo, repo.comments[number], caller.login, str((await payload()).get("body", "")))
            return gitea.answers.comment(repo, repo.comments[number]), 200

    @routes.delete(f"{at}/comments/<int:number>")
    async def delete_comment(owner: str, name: str, number: int) -> Reply:
        async with gitea.faults.at("comments.delete"):
            repo, caller = enter(gitea, owner, name, ISSUES)
            if number not in repo.comments:
                raise missing()
            gitea.state.delete_comment(repo, repo.comments[number], caller.login)
            return "", 204
