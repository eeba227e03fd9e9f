"""The API of the fake Gitea about a repo: settings, branches, hooks, commits and their statuses.

Owns: these routes, with the answers and the silences of a real server. Pull requests are in ``pulls_api``, protections and files
in ``repo_api``.
"""

from typing import TYPE_CHECKING, Any

from quart import Blueprint, request

from orch.rehearsal.gitea.access import (
    Caller,
    Refused,
    identify,
    missing,
    problem,
    require_admin,
    require_scope,
    require_write,
    visible,
)
from orch.rehearsal.gitea.repository import NOTHING
from orch.rehearsal.gitea.state import Repo
from orch.rehearsal.gitea.webhooks import KNOWN, Target

if TYPE_CHECKING:
    from orch.rehearsal.gitea.server import FakeGitea

PAGE_MAX = 50
Reply = tuple[Any, int] | tuple[Any, int, dict[str, str]]


def authenticate(gitea: "FakeGitea", scope: str) -> Caller:
    caller = identify(gitea.state, request.headers.get("Authorization", ""))
    if caller is None:
        raise problem(401, "token is required")
    if request.method != "GET":
        scope = scope.replace("read:", "write:")
    require_scope(caller, scope)
    return caller


def enter(gitea: "FakeGitea", owner: str, name: str, scope: str = "read:repository") -> tuple[Repo, Caller]:
    """Return the repo and who asks; every write needs the right to write."""
    caller = authenticate(gitea, scope)
    repo = visible(gitea.state, caller, f"{owner}/{name}")
    if request.method != "GET":
        require_write(repo, caller)
    return repo, caller


def page_of(gitea: "FakeGitea", rows: list[Any]) -> tuple[list[Any], dict[str, str]]:
    """Cut the page that was asked for, and say how many rows there are where the server's version does."""
    page = max(1, request.args.get("page", 1, int))
    limit = min(gitea.page_max, max(1, request.args.get("limit", 30, int)))
    return rows[(page - 1) * limit : page * limit], {"X-Total-Count": str(len(rows))}


async def payload() -> dict[str, Any]:
    read = await request.get_json(force=True, silent=True)
    if not isinstance(read, dict):
        raise problem(422, "invalid JSON")
    return read


def repo_routes(gitea: "FakeGitea") -> Blueprint:
    routes = Blueprint("api", __name__, url_prefix="/api/v1")
    at = "/repos/<owner>/<name>"

    @routes.get("/version")
    async def version() -> Reply:
        return {"version": "1.22.0" if gitea.old else "1.25.0"}, 200

    @routes.get("/user")
    async def me() -> Reply:
        async with gitea.faults.at("user.get"):
            return gitea.answers.user(authenticate(gitea, "read:user").login), 200

    @routes.get(at)
    async def get_repo(owner: str, name: str) -> Reply:
        async with gitea.faults.at("repo.get"):
            repo, caller = enter(gitea, owner, name)
            return gitea.answers.repo(repo, caller.login), 200

    @routes.patch(at)
    async def edit_repo(owner: str, name: str) -> Reply:
        async with gitea.faults.at("repo.edit"):
            repo, caller = enter(gitea, owner, name)
            require_admin(repo, caller)
            wanted = await payload()
            repo.allow_manual_merge = wanted.get("allow_manual_merge", repo.allow_manual_merge)
            repo.autodetect_manual_merge = wanted.get("autodetect_manual_merge", repo.autodetect_manual_merge)
            return gitea.answers.repo(repo, caller.login), 200

    _branch_routes(routes, gitea, at)
    _hook_routes(routes, gitea, at)
    _status_routes(routes, gitea, at)
    return routes


def _branch_routes(routes: Blueprint, gitea: "FakeGitea", at: str) -> None:
    @routes.get(f"{at}/branches/<path:branch>")
    async def get_branch(owner: str, name: str, branch: str) -> Reply:
        async with gitea.faults.at("branches.get"):
            repo, caller = enter(gitea, owner, name)
            sha = repo.git.branch(branch)
            if sha is None:
                raise missing()
            return gitea.answers.branch(repo, branch, sha, caller.login), 200

    @routes.post(f"{at}/branches")
    async def make_branch(owner: str, name: str) -> Reply:
        async with gitea.faults.at("branches.create"):
            repo, caller = enter(gitea, owner, name)
            wanted = await payload()
            branch, tip = str(wanted.get("new_branch_name")), repo.git.branch(str(wanted.get("old_ref_name")))
            if repo.git.branch(branch) is not None:
                raise problem(409, "The branch already exists.")
            if tip is None:
                raise Refused(500, {"message": "", "url": "http://gitea/api/swagger"})
            repo.git.set_ref(f"refs/heads/{branch}", tip)
            gitea.state.pushed(repo, caller.login, f"refs/heads/{branch}", NOTHING, tip)
            return gitea.answers.branch(repo, branch, tip, caller.login), 201

    @routes.delete(f"{at}/branches/<path:branch>")
    async def delete_branch(owner: str, name: str, branch: str) -> Reply:
        async with gitea.faults.at("branches.delete"):
            repo, caller = enter(gitea, owner, name)
            sha = repo.git.branch(branch)
            if branch == repo.default_branch or branch in repo.protections:
                raise problem(403, "branch protected")
            if sha is not None:
                repo.git.delete_ref(f"refs/heads/{branch}")
                gitea.state.pushed(repo, caller.login, f"refs/heads/{branch}", sha, NOTHING)
            return "", 204


def _hook_routes(routes: Blueprint, gitea: "FakeGitea", at: str) -> None:
    def told(target: Target) -> dict[str, Any]:
        config = {"url": target.url, "content_type": "json"}
        return {"id": target.id, "type": "gitea", "active": target.active, "config": config, "events": list(target.events)}

    @routes.get(f"{at}/hooks")
    async def list_hooks(owner: str, name: str) -> Reply:
        async with gitea.faults.at("hooks.list"):
            repo, caller = enter(gitea, owner, name)
            require_admin(repo, caller)
            rows = [told(target) for target in gitea.hooks.targets if target.repo == repo.full_name]
            rows, headers = page_of(gitea, rows)
            return rows, 200, headers

    @routes.post(f"{at}/hooks")
    async def make_hook(owner: str, name: str) -> Reply:
        async with gitea.faults.at("hooks.create"):
            repo, caller = enter(gitea, owner, name)
            require_admin(repo, caller)
            wanted = await payload()
            config = wanted.get("config", {})
            known = KNOWN - {"status"} if gitea.old else KNOWN
            events = tuple(event for event in wanted.get("events", []) if event in known)
            secret, active = str(config.get("secret", "")), bool(wanted.get("active"))
            target = Target(gitea.state.next_id(), repo.full_name, str(config.get("url")), secret, events, active)
            gitea.hooks.targets.append(target)
            return told(target), 201

    @routes.patch(f"{at}/hooks/<int:number>")
    async def edit_hook(owner: str, name: str, number: int) -> Reply:
        async with gitea.faults.at("hooks.edit"):
            repo, caller = enter(gitea, owner, name)
            require_admin(repo, caller)
            wanted, known = await payload(), KNOWN - {"status"} if gitea.old else KNOWN
            for target in gitea.hooks.targets:
                if target.id == number and target.repo == repo.full_name:
                    target.active = bool(wanted.get("active", target.active))
                    target.events = tuple(event for event in wanted.get("events", target.events) if event in known)
                    target.secret = str(wanted.get("config", {}).get("secret", target.secret))
                    return told(target), 200
            raise missing()


def _status_routes(routes: Blueprint, gitea: "FakeGitea", at: str) -> None:
    @routes.get(f"{at}/git/commits/<sha>")
    async def get_commit(owner: str, name: str, sha: str) -> Reply:
        async with gitea.faults.at("commits.get"):
            repo, _ = enter(gitea, owner, name)
            if not repo.git.has_commit(sha):
                raise missing()
            return {"sha": sha, "url": "", "html_url": "", "parents": [], "created": "2026-01-01T00:00:00Z"}, 200

    @routes.post(f"{at}/statuses/<sha>")
    async def post_status(owner: str, name: str, sha: str) -> Reply:
        async with gitea.faults.at("statuses.create"):
            repo, caller = enter(gitea, owner, name)
            wanted = await payload()
            if not repo.git.has_commit(sha):
                raise Refused(500, {"message": "", "url": "http://gitea/api/swagger"})
            return gitea.answers.status(repo, gitea.state.set_status(repo, caller.login, sha, wanted)), 201

    @routes.get(f"{at}/commits/<ref>/status")
    async def combined(owner: str, name: str, ref: str) -> Reply:
        async with gitea.faults.at("statuses.combined"):
            repo, caller = enter(gitea, owner, name)
            sha = repo.git.branch(ref) or ref
            if not repo.git.has_commit(sha) and not gitea.old:
                raise missing()
            rows = repo.latest_statuses(sha) if repo.git.has_commit(sha) else []
            page, headers = page_of(gitea, rows)
            return gitea.answers.combined(repo, sha, page, caller.login), 200, headers
