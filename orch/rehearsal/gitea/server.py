"""A stateful Gitea on a real socket, with real bare repositories behind it.

Owns: ``FakeGitea``: the app, its socket, its users, faults and outages. Rule: what a real server was seen to do is done here, its
silences and its bad manners included; a test says only what differs.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from quart import Quart, Response, request

from orch.rehearsal.faults import Faults
from orch.rehearsal.gitea.access import Cut, Refused
from orch.rehearsal.gitea.answers import Answers
from orch.rehearsal.gitea.api import PAGE_MAX, repo_routes
from orch.rehearsal.gitea.git_http import git_routes
from orch.rehearsal.gitea.person import Person
from orch.rehearsal.gitea.pulls_api import pull_routes
from orch.rehearsal.gitea.repo_api import file_routes, protection_routes
from orch.rehearsal.gitea.repository import BareRepository
from orch.rehearsal.gitea.state import ALL_SCOPES, Repo, State, Token, User
from orch.rehearsal.gitea.webhooks import Order, Target, Webhooks
from orch.rehearsal.listening import Listening

REPO = "team/shop"
BOT = "bot"
GRACE_S = 0.5


@dataclass(frozen=True)
class Exchange:
    """One call of the API and its answer, for comparison with a published schema."""

    method: str
    route: str
    sent: Any
    status: int
    answer: Any


class FakeGitea:
    """``async with FakeGitea(folder) as gitea``: users ``bot`` (write), ``anna`` (admin), ``dev`` (write), ``guest`` (read).

    *old* is a server that tells less: no merge settings, no reasons. *order*, *seed*, *loss* and *doubling* are of its hooks.
    """

    def __init__(
        self, folder: Path, *, old: bool = False, order: Order = "worst", seed: int = 0, loss: float = 0.0, doubling: float = 0.0
    ) -> None:
        self.folder = folder
        self.old = old
        self.sick = False
        """Its git hooks cannot ask it, as while it restarts."""
        self.page_max = PAGE_MAX
        self.paged_comments = False
        self.faults = Faults()
        self.hooks = Webhooks(order=order, seed=seed, loss=loss, doubling=doubling)
        self.exchanges: list[Exchange] = []
        self.seen_urls: list[str] = []
        self.state = State(self.faults.wrote, self._tell)
        self.token = ""
        self.url = ""
        self._listening: Listening

    # ------------------------------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        self._listening = await Listening(grace_s=GRACE_S).__aenter__()
        self.url = self._listening.url
        self.answers = Answers(self.url, self.state.users, old=self.old)
        for login in ("anna", BOT, "dev", "guest"):
            self.add_user(login)
        self.add_repo(REPO)
        self.token = self.make_token(BOT)
        self._listening.serve(self._make_app())
        self._listening.group.start_soon(self.hooks.run)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        await self._listening.__aexit__(kind, value, trace)

    async def go_down(self) -> None:
        """Stop listening: connections are refused until ``come_back``. What people do goes on."""
        await self._listening.go_down()

    async def come_back(self) -> None:
        """Listen again at the same address."""
        await self._listening.come_back()

    # ------------------------------------------------------------------------------------------ what is there

    @property
    def log(self) -> list[tuple[str, str]]:
        """Every write in its order: what it was, and by whom."""
        return self.faults.writes

    @property
    def person(self) -> Person:
        """Anna, who may do everything in the first repo."""
        return self.somebody("anna")

    def somebody(self, login: str, repo: str = REPO) -> Person:
        return Person(self, login, repo)

    @property
    def repo(self) -> Repo:
        return self.state.repos[REPO]

    def add_user(self, login: str) -> None:
        self.state.users[login] = User(self.state.next_id(), login, f"password of {login}")

    def add_repo(self, full_name: str, default_branch: str = "main") -> Repo:
        git = BareRepository(self.folder / "repos" / f"{full_name}.git", default_branch)
        rights = {"anna": "admin", BOT: "write", "dev": "write", "guest": "read"}
        self.state.repos[full_name] = Repo(self.state.next_id(), full_name, default_branch, git, rights)
        return self.state.repos[full_name]

    def make_token(self, login: str, scopes: tuple[str, ...] = ALL_SCOPES) -> str:
        token = secrets.token_hex(20)
        self.state.tokens[token] = Token(login, scopes)
        return token

    def add_hook(self, url: str, secret: str, events: tuple[str, ...] = (), repo: str = REPO) -> None:
        """Register a hook as an administrator does; without *events* for all that this version knows."""
        known = ("push", "create", "delete", "pull_request", "issue_comment") + (() if self.old else ("status",))
        self.hooks.targets.append(Target(self.state.next_id(), repo, url, secret, events or known))

    # ------------------------------------------------------------------------------------------ the app

    def _tell(self, repo: Repo, event: str, fine: str, of: Mapping[str, Any]) -> None:
        match event:
            case "push":
                body = self.answers.push_hook(repo, of["ref"], of["before"], of["after"])
                body["pusher"] = self.answers.user(of["sender"])
            case "create":
                body = {"sha": of["sha"], "ref": of["ref"], "ref_type": "branch"}
            case "delete":
                body = {"ref": of["ref"], "ref_type": "branch", "pusher_type": "user"}
            case "pull_request":
                body = self.answers.pull_hook(repo, of["pull"], of["action"])
            case "issue_comment":
                body = self.answers.comment_hook(repo, of["comment"], of["action"])
            case _:
                body = self.answers.status_hook(of["status"])
        body |= {"repository": self.answers.repo(repo, of["sender"]), "sender": self.answers.user(of["sender"])}
        self.hooks.tell(repo.full_name, event, fine, body)

    def _make_app(self) -> Quart:
        app = Quart("fake-gitea")
        app.config["MAX_CONTENT_LENGTH"] = None
        app.json.sort_keys = False  # type: ignore[attr-defined]
        for routes in (repo_routes(self), pull_routes(self), protection_routes(self), file_routes(self), git_routes(self)):
            app.register_blueprint(routes)

        @app.errorhandler(Refused)
        async def refused(error: Refused) -> Response:
            if isinstance(error.body, str) or error.body is None:
                headers = {"Content-Type": "text/plain; charset=utf-8", **error.headers}
                return Response(error.body or "", error.status, headers)
            return Response(json.dumps(error.body), error.status, {"Content-Type": "application/json", **error.headers})

        @app.errorhandler(Cut)
        async def cut(error: Cut) -> Response:
            """Promise more than is sent: the server then closes the connection."""
            return Response(b"{", 200, {"Content-Type": "application/json", "Content-Length": "1000"})

        @app.after_request
        async def keep(response: Response) -> Response:
            self.seen_urls.append(request.url)
            if request.path.startswith("/api/v1/") and request.url_rule is not None:
                sent = json.loads(await request.get_data() or b"null")
                answer = await response.get_data()
                cut = response.headers.get("Content-Length") not in (None, str(len(answer)))
                told = json.loads(answer) if answer[:1] in (b"{", b"[") and response.status_code < 300 and not cut else None
                exchange = Exchange(request.method, str(request.url_rule), sent, response.status_code, told)
                self.exchanges.append(exchange)
            return response

        return app


async def _nothing() -> None:
    return None
