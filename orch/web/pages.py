"""The doors that need no token, the one-time link into the page, and whether a browser may act.

Owns: ``/login``, ``/session``, ``/healthz``, ``/readyz``, ``/metrics``. Does not own: screens (``screens``), files (``assets``).
"""

from contextlib import suppress
from typing import final

from quart import Response, jsonify, render_template, request

from orch.core.errors import StoreError
from orch.snapshots import load_figures, load_sums
from orch.web.auth import SESSION_LIFETIME, Gate
from orch.web.bodies import NoBody, read_body
from orch.web.deps import WebDeps
from orch.web.metrics import Metrics
from orch.web.problems import ProblemError
from orch.web.routes import Route, act, read

HTML = "text/html"
HTML_UTF8 = "text/html; charset=utf-8"


@final
class PageViews:
    def __init__(self, deps: WebDeps, gate: Gate, metrics: Metrics) -> None:
        self._deps = deps
        self._gate = gate
        self._metrics = metrics

    def routes(self) -> list[Route]:
        return [
            read("/login", self.login, "Use a one-time link up and open the page", query=("code",), content=HTML),
            act("POST", "/login/links", self.link, "Make a one-time link to the page", NoBody),
            read("/session", self.session, "Whether this browser may act, and which version answers"),
            read("/healthz", self.health, "Whether the process answers"),
            read("/readyz", self.ready, "Whether everything is ready, and what is not"),
            read("/metrics", self.metrics, "Prometheus metrics", content="text/plain"),
        ]

    async def session(self) -> Response:
        may_act = self._gate.by_cookie(request) or self._gate.by_bearer(request)
        return jsonify({"may_act": may_act, "version": self._deps.version})

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
        now, limits = self._deps.clock.now(), self._deps.limits
        with suppress(StoreError):  # what is wrong with the store is among the vitals; the sums stand as they were
            self._metrics.spent(*await self._deps.store.read(lambda tx: load_sums(tx, now, limits)))
            self._metrics.counted(await self._deps.store.read(lambda tx: load_figures(tx, now, limits, self._deps.projects)))
        return self._metrics.render(self._deps.control.vitals())
