"""The app factory: the route table, what every request passes, and what every response carries.

Owns: ``create_app`` and ``Web``. Does not own: the listening socket (``server``), nor closing the store or clients (the
composition root does, after ``serve`` returned). Rule: no state but what ``WebDeps`` brings and the viewers' hub.
"""

from collections.abc import Awaitable, Callable
from typing import final

from quart import Quart, Response, g, jsonify, request, websocket

from orch.web.api import TaskViews
from orch.web.artefacts import ArtefactViews
from orch.web.assets import AssetViews
from orch.web.auth import Gate
from orch.web.backup import BackupViews
from orch.web.board import BoardViews
from orch.web.bodies import BODY_MAX, BODY_TIMEOUT_S, ArrivingBody, ArrivingRequest
from orch.web.controls import ControlViews
from orch.web.deps import WebDeps
from orch.web.live import Hub
from orch.web.metrics import Metrics
from orch.web.openapi import describe
from orch.web.pages import PageViews
from orch.web.problems import register_problems
from orch.web.routes import Route, add_routes, read, with_pages
from orch.web.run_log import LogViews
from orch.web.screens import ScreenViews
from orch.web.shell import Shell
from orch.web.spend import SpendViews
from orch.web.task_page import TaskPages
from orch.web.webhooks import WebhookViews

READING = frozenset({"GET", "HEAD"})
RESPONSE_TIMEOUT_S = 30
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@final
class Web(Quart):
    """The app, its table, and how its viewers are sent away."""

    request_class = ArrivingRequest
    hub_close: Callable[[], Awaitable[None]]
    routes: tuple[Route, ...]


def create_app(deps: WebDeps) -> Web:
    """Build the app; it opens nothing and starts nothing."""
    app = Web("orch.web", static_folder=None, template_folder="templates")
    app.config["MAX_CONTENT_LENGTH"] = BODY_MAX
    app.config["BODY_TIMEOUT"] = BODY_TIMEOUT_S
    app.config["RESPONSE_TIMEOUT"] = RESPONSE_TIMEOUT_S
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    gate, metrics = Gate(deps), Metrics(deps.version)
    hub, artefacts = Hub(deps, metrics.viewers), ArtefactViews(deps)
    routes = [
        *PageViews(deps, gate, metrics).routes(),
        *AssetViews().routes(),
        *TaskViews(deps).routes(),
        *SpendViews(deps).routes(),
        *artefacts.routes(),
        *BoardViews(deps).routes(),
        *ControlViews(deps).routes(),
        *BackupViews(deps).routes(),
        *WebhookViews(deps).routes(),
        *hub.routes(),
        *LogViews(deps, hub).routes(),
    ]

    async def openapi() -> Response:
        return jsonify(describe(routes, deps.version))

    routes.append(read("/openapi.json", openapi, "This description"))
    shell = Shell(deps, gate)
    routes = with_pages(routes, {**ScreenViews(deps, shell).pages(), **TaskPages(deps, shell, artefacts).pages()})
    add_routes(app, routes)
    register_problems(app)
    _guard(app, gate, metrics)
    app.hub_close = hub.close
    app.routes = tuple(routes)
    return app


def _guard(app: Web, gate: Gate, metrics: Metrics) -> None:
    """Let every request and socket pass the gate, count it, and give every response its headers."""

    async def before() -> Response | None:
        g.door = "api" if gate.by_bearer(request) else "page"
        return gate.refuse(request, acting=request.method not in READING)

    async def before_socket() -> Response | None:
        return gate.refuse(websocket, acting=False, socket=True)

    async def after(response: Response) -> Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        if response.status_code >= 400 and response.status_code != 408 and isinstance(request.body, ArrivingBody):
            await request.body.drain()
        metrics.count(str(request.url_rule) if request.url_rule else "other", response.status_code)
        return response

    app.before_request(before)
    app.before_websocket(before_socket)
    app.after_request(after)
