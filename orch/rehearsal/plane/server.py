"""A stateful Plane on a real socket.

Owns: ``FakePlane``: the app, its socket, its users, limits, faults and outages. Rule: what a real server was seen to do is done
here, its silences and its bad manners included; a test says only what differs.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from quart import Quart, Response, g, request

from orch.rehearsal.faults import Faults
from orch.rehearsal.listening import Listening
from orch.rehearsal.plane.access import Limit, Refused, bad_key
from orch.rehearsal.plane.answers import Answers
from orch.rehearsal.plane.api import PER_PAGE_MAX, plane_routes
from orch.rehearsal.plane.person import Person
from orch.rehearsal.plane.state import ADMIN, COLUMNS, GUEST, MEMBER, Project, State, Time, User
from orch.rehearsal.plane.worker import Order, Webhook, Worker

WORKSPACE = "acme"
SECRET = "plane_wh_" + "5e" * 16
GRACE_S = 0.5


@dataclass(frozen=True)
class Exchange:
    """One call and its answer, for comparison with a published schema."""

    method: str
    route: str
    status: int
    answer: Any
    partial: bool
    """The call asked for some fields, or for objects in the place of ids."""


class FakePlane:
    """``async with FakePlane() as plane``: a workspace with one project, and in it ``alice`` (admin), ``carol`` (member),
    ``bot`` (member, whose key is ``key``) and ``guest``.

    *project* is its name and identifier; *columns* are names and groups; *rate* is calls a minute per key, on its own clock
    (*time* is another one); *order*, *seed*, *loss* and *doubling* are of its hooks.
    """

    def __init__(
        self,
        *,
        project: tuple[str, str] = ("Shop", "SHOP"),
        columns: Mapping[str, str] = COLUMNS,
        rate: int = 60,
        order: Order = "shuffled",
        seed: int = 0,
        loss: float = 0.0,
        doubling: float = 0.0,
        time: Time | None = None,
    ) -> None:
        self.workspace = WORKSPACE
        self.page_max = PER_PAGE_MAX
        self.has_relations = True
        self.faults = Faults()
        self.time = time or Time()
        self.limit = Limit(rate)
        self.worker = Worker(self.time, lambda hook: self.answers.hook(hook), seed, order, loss, doubling)
        self.time.on_tick = self.worker.ticked
        self.state = State(self.time, self.faults.wrote, self.worker, seed)
        self.answers = Answers(self.state)
        self.exchanges: list[Exchange] = []
        self.seen: list[tuple[str, str]] = []
        """Method and address of every call that arrived."""
        self.alice = self.state.add_user("alice", ADMIN)
        self.carol = self.state.add_user("carol", MEMBER)
        self.bot = self.state.add_user("bot", MEMBER)
        self.guest = self.state.add_user("guest", GUEST)
        self.project = self.state.add_project(*project, columns)
        self.key = self.state.new_key(self.bot)
        self.url = ""
        self._listening: Listening

    # ------------------------------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        self._listening = await Listening(grace_s=GRACE_S).__aenter__()
        self.url = self._listening.url
        self._listening.serve(self._make_app())
        self._listening.group.start_soon(self.worker.run)
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
        """Carol, a member."""
        return self.somebody(self.carol)

    def somebody(self, user: User, project: Project | None = None) -> Person:
        return Person(self, user, project or self.project)

    def add_bot(self, name: str) -> tuple[User, str]:
        """Add a member and return it with a key."""
        user = self.state.add_user(name, MEMBER)
        return user, self.state.new_key(user)

    def revoke(self, key: str) -> None:
        del self.state.keys[key]

    def add_webhook(self, url: str, secret: str = SECRET) -> Webhook:
        """Register a hook as an administrator does by hand."""
        made = Webhook(self.state.new_id(), url, secret)
        self.worker.webhooks.append(made)
        return made

    def switch_on(self, webhook: Webhook) -> None:
        self.worker.inactive.discard(webhook.id)

    # ------------------------------------------------------------------------------------------ the app

    def caller(self) -> User:
        found: User = g.caller
        return found

    def _make_app(self) -> Quart:
        app = Quart("fake-plane")
        app.json.sort_keys = False  # type: ignore[attr-defined]
        app.register_blueprint(plane_routes(self))
        app.register_error_handler(Refused, self._refused)
        app.register_error_handler(404, self._no_page)
        app.before_request(self._admit)
        app.after_request(self._keep)
        return app

    async def _admit(self) -> Response | None:
        self.seen.append((request.method, request.full_path.rstrip("?")))
        self.worker.settle()
        if not request.path.endswith("/"):
            query = f"?{request.query_string.decode()}" if request.query_string else ""
            return Response("", 301, {"Location": f"{request.path}/{query}"})
        key = request.headers.get("X-API-Key", "")
        if not key:
            raise Refused(401, {"detail": "Authentication credentials were not provided."})
        if key not in self.state.keys:
            raise bad_key()
        g.caller = self.state.users[self.state.keys[key]]
        g.left = self.limit.count(key, self.time.present)
        return None

    async def _refused(self, error: Refused) -> Response:
        if isinstance(error.body, str):
            return Response(error.body, error.status, {"Content-Type": "text/html", **error.headers})
        return Response(json.dumps(error.body), error.status, {"Content-Type": "application/json", **error.headers})

    async def _no_page(self, _: Exception) -> Response:
        return await self._refused(Refused(404, {"error": "Page not found."}))

    async def _keep(self, response: Response) -> Response:
        if "left" in g and response.status_code != 429:
            response.headers["X-RateLimit-Remaining"] = str(g.left)
            response.headers["X-RateLimit-Reset"] = str(int(self.time.present.timestamp()) + 60)
        if request.url_rule is not None and response.status_code < 300:
            answer = await response.get_data()
            told = json.loads(answer) if answer[:1] in (b"{", b"[") else None
            partial = bool({"fields", "expand"} & request.args.keys())
            self.exchanges.append(Exchange(request.method, str(request.url_rule), response.status_code, told, partial))
        return response
