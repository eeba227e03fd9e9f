"""The pages for a browser, and the doors that need no token.

Owns: ``/``, ``/static``, ``/login``, ``/healthz``, ``/readyz``, ``/metrics``. Rule: pages carry no script and
no style of their own text (strict CSP); everything that came from a board is escaped by the template.
"""

from pathlib import Path
from typing import final

from quart import Response, jsonify, render_template, request

from orch.web.api import load_tasks
from orch.web.auth import SESSION_LIFETIME, Gate
from orch.web.bodies import NoBody, read_body
from orch.web.deps import WebDeps
from orch.web.metrics import Metrics
from orch.web.problems import ProblemError
from orch.web.routes import Route, act, read

HTML = "text/html"
STATIC = Path(__file__).with_name("static")
ASSET_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
}
HTML_UTF8 = "text/html; charset=utf-8"


@final
class PageViews:
    def __init__(self, deps: WebDeps, gate: Gate, metrics: Metrics) -> None:
        self._deps = deps
        self._gate = gate
        self._metrics = metrics
        self._assets = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in ASSET_TYPES}

    def routes(self) -> list[Route]:
        return [
            read("/", self.index, "The page", content=HTML),
            read("/login", self.login, "Use a one-time link up and open the page", query=("code",), content=HTML),
            act("POST", "/login/links", self.link, "Make a one-time link to the page", NoBody),
            read("/static/{name}", self.asset, "A style, script or picture of the page", content="*/*"),
            read("/healthz", self.health, "Whether the process answers"),
            read("/readyz", self.ready, "Whether everything is ready, and what is not"),
            read("/metrics", self.metrics, "Prometheus metrics", content="text/plain"),
        ]

    async def index(self) -> Response:
        now = self._deps.clock.now()
        snapshot = await load_tasks(self._deps)
        page = await render_template("index.html", snapshot=snapshot, version=self._deps.version, now=now)
        return Response(page, content_type=HTML_UTF8)

    async def asset(self, name: str) -> Response:
        """Serve from memory: a file that is streamed stays open when the client goes at the wrong moment."""
        if name not in self._assets:
            raise ProblemError(404, f"There is no {name[:80]!r} here.")
        kind = ASSET_TYPES[Path(name).suffix]
        return Response(self._assets[name], content_type=kind, headers={"Cache-Control": "no-cache"})

    async def login(self) -> Response:
        """Trade the code for a session.

        The page moves on by itself instead of a redirect: a SameSite=Strict cookie is not sent on a redirect that
        another site's link began.
        """
        now = self._deps.clock.now()
        if not self._deps.links.redeem(request.args.get("code", "")[:200], now):
            raise ProblemError(403, "This link was used already or is too old: 'orch link' makes a new one.")
        response = Response(await render_template("login.html"), content_type=HTML_UTF8)
        response.set_cookie(
            self._gate.cookie,
            self._gate.session(now),
            max_age=int(SESSION_LIFETIME.total_seconds()),
            httponly=True,
            samesite="Strict",
            secure=self._gate.secure,
            path="/",
        )
        return response

    async def link(self) -> Response:
        await read_body(NoBody)
        code = self._deps.links.issue(self._deps.clock.now())
        return jsonify({"url": f"{self._deps.public_url.rstrip('/')}/login?code={code}"})

    async def health(self) -> Response:
        return jsonify({"status": "ok", "version": self._deps.version})

    async def ready(self) -> Response:
        vitals = self._deps.control.vitals()
        missing = dict(vitals.not_ready)
        response = jsonify({"ready": not missing, "not_ready": missing, "notices": dict(vitals.notices)})
        response.status_code = 503 if missing else 200
        return response

    async def metrics(self) -> Response:
        return self._metrics.render(self._deps.control.vitals())
