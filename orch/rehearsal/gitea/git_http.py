"""Git over smart HTTP: ``git http-backend`` behind the fake's own authentication, as a CGI program.

Owns: the three addresses that git asks. Rule: the server's hooks see who pushes and by which rules, and what was received
changes the state only once git has moved the refs.
"""

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
from quart import Blueprint, Response, request

from orch.rehearsal.gitea.access import Caller, Refused, identify
from orch.rehearsal.gitea.repository import GIT_ENV
from orch.rehearsal.gitea.state import Repo

if TYPE_CHECKING:
    from orch.rehearsal.gitea.server import FakeGitea

UNKNOWN = {"WWW-Authenticate": 'Basic realm="Gitea"'}


def git_routes(gitea: "FakeGitea") -> Blueprint:
    routes = Blueprint("git", __name__)

    @routes.route("/<owner>/<name>.git/<path:rest>", methods=["GET", "POST"])
    async def serve(owner: str, name: str, rest: str) -> Response:
        service = rest.rpartition("/")[2].removeprefix("git-")
        call = f"git.{service}" if request.method == "POST" else f"git.{request.args.get('service', '')[4:]}.refs"
        async with gitea.faults.at(call):
            try:
                caller = identify(gitea.state, request.headers.get("Authorization", ""))
            except Refused:
                caller = None
            if caller is None:
                return Response("Unauthorized\n", 401, UNKNOWN)
            repo = gitea.state.repos.get(f"{owner}/{name}")
            if repo is None or caller.login not in repo.rights:
                return _no_repo()
            return await _run(gitea, repo, caller, rest)

    return routes


def _no_repo() -> Response:
    if request.args.get("service") == "git-receive-pack":
        return Response("Push to create is not enabled for users.\n", 403, {"Content-Type": "text/plain; charset=utf-8"})
    return Response("Repository not found\n", 404, {"Content-Type": "text/plain; charset=utf-8"})


async def _run(gitea: "FakeGitea", repo: Repo, caller: Caller, rest: str) -> Response:
    body = cast(bytes, await request.get_data())
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "received"
        env = GIT_ENV | {
            "GIT_PROJECT_ROOT": str(repo.git.path),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{rest}",
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query_string.decode(),
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": caller.login,
            "REMOTE_ADDR": "127.0.0.1",
            "FAKE_WRITE": str(int(repo.may_write(caller.login) and "write:repository" in caller.scopes)),
            "FAKE_SICK": "1" if gitea.sick else "",
            "FAKE_RULES": _rules(repo, caller.login),
            "FAKE_REPORT": str(report),
        }
        ran = await anyio.run_process(["git", "http-backend"], input=body, env=env, stderr=subprocess.PIPE)
        for line in report.read_text().splitlines() if report.exists() else []:
            before, after, ref = line.split(" ")
            gitea.state.pushed(repo, caller.login, ref, before, after)
    head, _, content = ran.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
    status = int(headers.pop("Status", "200").split(" ")[0])
    return Response(content, status, headers)


def _rules(repo: Repo, login: str) -> str:
    return "\n".join(
        f"{rule.rule_name}|{int(rule.may_push(login))}|{int(rule.require_signed_commits)}|{rule.protected_file_patterns}"
        for rule in repo.protections.values()
    )
