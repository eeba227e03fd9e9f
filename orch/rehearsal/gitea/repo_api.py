"""The API of the fake Gitea about a branch's protection and the files on it.

Owns: these routes, with the answers and the silences of a real server.
"""

import base64
from typing import TYPE_CHECKING, Any

from quart import Blueprint, request

from orch.rehearsal.gitea.access import missing, problem, require_admin
from orch.rehearsal.gitea.api import Reply, enter, payload
from orch.rehearsal.gitea.state import Protection, Repo

if TYPE_CHECKING:
    from orch.rehearsal.gitea.server import FakeGitea

AT = "/repos/<owner>/<name>"


def file_routes(gitea: "FakeGitea") -> Blueprint:
    routes = Blueprint("files", __name__, url_prefix="/api/v1")

    @routes.get(f"{AT}/contents")
    @routes.get(f"{AT}/contents/<path:path>")
    async def contents(owner: str, name: str, path: str = "") -> Reply:
        async with gitea.faults.at("contents.get"):
            repo, _ = enter(gitea, owner, name)
            branch = request.args.get("ref", repo.default_branch)
            tip = repo.git.branch(branch)
            if tip is None:
                raise missing()
            rows = [_entry(gitea, repo, branch, line) for line in repo.git.git("ls-tree", "-l", tip).splitlines()]
            if not path:
                return rows, 200
            found = next((row for row in rows if row["path"] == path), None)
            if found is None:
                raise missing()
            if found["type"] != "file":
                return found, 200
            content = repo.git.git("cat-file", "blob", str(found["sha"]))
            return found | {"encoding": "base64", "content": base64.b64encode(content.encode()).decode()}, 200

    return routes


def _entry(gitea: "FakeGitea", repo: Repo, branch: str, line: str) -> dict[str, Any]:
    about, _, path = line.partition("\t")
    mode, kind, sha, size = about.split()
    url = f"{gitea.url}/api/v1/repos/{repo.full_name}/contents/{path}?ref={branch}"
    return {
        "name": path,
        "path": path,
        "sha": sha,
        "type": "dir" if kind == "tree" else "symlink" if mode == "120000" else "file",
        "size": int(size) if size.isdigit() else 0,
        "encoding": None,
        "content": None,
        "target": None,
        "url": url,
        "html_url": f"{gitea.url}/{repo.full_name}/src/branch/{branch}/{path}",
        "git_url": None,
        "download_url": None,
        "submodule_git_url": None,
    }


def protection_routes(gitea: "FakeGitea") -> Blueprint:
    routes = Blueprint("protections", __name__, url_prefix="/api/v1")

    @routes.get(f"{AT}/branch_protections")
    async def protections(owner: str, name: str) -> Reply:
        async with gitea.faults.at("protections.list"):
            repo, caller = enter(gitea, owner, name)
            require_admin(repo, caller)
            return [_told(rule) for rule in repo.protections.values()], 200

    @routes.post(f"{AT}/branch_protections")
    async def protect(owner: str, name: str) -> Reply:
        async with gitea.faults.at("protections.create"):
            repo, caller = enter(gitea, owner, name)
            require_admin(repo, caller)
            wanted = await payload()
            rule = str(wanted.get("rule_name") or wanted.get("branch_name") or "")
            if rule in repo.protections:
                raise problem(403, "Branch protection already exist")
            repo.protections[rule] = _ruled(Protection(rule), wanted)
            return _told(repo.protections[rule]), 201

    @routes.patch(f"{AT}/branch_protections/<path:rule>")
    async def edit(owner: str, name: str, rule: str) -> Reply:
        async with gitea.faults.at("protections.edit"):
            repo, caller = enter(gitea, owner, name)
            require_admin(repo, caller)
            if rule not in repo.protections:
                raise missing()
            _ruled(repo.protections[rule], await payload())
            return _told(repo.protections[rule]), 200

    return routes


def _ruled(rule: Protection, wanted: dict[str, Any]) -> Protection:
    """Change what is named, and nothing else."""
    rule.enable_push = bool(wanted.get("enable_push", rule.enable_push))
    rule.push_whitelist = _listed("push", rule.push_whitelist, wanted)
    rule.merge_whitelist = _listed("merge", rule.merge_whitelist, wanted)
    rule.protected_file_patterns = str(wanted.get("protected_file_patterns", rule.protected_file_patterns))
    rule.require_signed_commits = bool(wanted.get("require_signed_commits", rule.require_signed_commits))
    return rule


def _listed(kind: str, before: tuple[str, ...] | None, wanted: dict[str, Any]) -> tuple[str, ...] | None:
    if not wanted.get(f"enable_{kind}_whitelist", before is not None):
        return None
    return tuple(wanted.get(f"{kind}_whitelist_usernames", before) or ())


def _told(rule: Protection) -> dict[str, Any]:
    return {
        "rule_name": rule.rule_name,
        "branch_name": rule.rule_name,
        "enable_push": rule.enable_push,
        "enable_push_whitelist": rule.push_whitelist is not None,
        "push_whitelist_usernames": list(rule.push_whitelist or ()),
        "enable_merge_whitelist": rule.merge_whitelist is not None,
        "merge_whitelist_usernames": list(rule.merge_whitelist or ()),
        "protected_file_patterns": rule.protected_file_patterns,
        "require_signed_commits": rule.require_signed_commits,
    }
