"""One row per address: the table from which the app's rules and ``/openapi.json`` are both made.

Owns: ``Route`` and how a table becomes rules. Rule: an address that is not a row does not exist.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

from quart import Quart, Response, request

from orch.web.bodies import Body

Handler = Callable[..., Awaitable[Response]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """*path* is as in OpenAPI (``/tasks/{id}``); a parameter named ``n`` is a number, one named ``file`` may
    hold slashes. *body* None means none is read."""

    method: str
    path: str
    handler: Handler
    summary: str
    body: type[Body] | None = None
    query: tuple[str, ...] = ()
    content: str = "application/json"
    acting: bool = False
    socket: bool = False
    hook: bool = False
    """It checks who sends by itself, by a signature over the body."""
    page: Handler | None = None
    """What a client that would rather read HTML is given at the same address."""


def read(path: str, handler: Handler, summary: str, *, query: tuple[str, ...] = (), content: str = "application/json") -> Route:
    return Route(method="GET", path=path, handler=handler, summary=summary, query=query, content=content)


def act(method: str, path: str, handler: Handler, summary: str, body: type[Body]) -> Route:
    return Route(method=method, path=path, handler=handler, summary=summary, body=body, acting=True)


def rule_of(path: str) -> str:
    """Return the rule of *path* in the router's notation."""
    kinds = {"n": "int:", "file": "path:"}
    return re.sub(r"\{(\w+)\}", lambda match: f"<{kinds.get(match[1], '')}{match[1]}>", path)


def with_pages(routes: Iterable[Route], pages: Mapping[str, Handler]) -> list[Route]:
    """Give the reading rows at the addresses of *pages* their page; an address without a row gets one of its own."""
    rows = [replace(row, page=pages[row.path]) if row.method == "GET" and row.path in pages else row for row in routes]
    known = {row.path for row in rows}
    return rows + [read(path, page, "A page", content="text/html") for path, page in pages.items() if path not in known]


def _either(handler: Handler, page: Handler) -> Handler:
    """Answer with *page* whoever asks for HTML first, as browsers do, and everybody else with *handler*."""

    async def answer(**values: Any) -> Response:
        wanted = request.accept_mimetypes.best_match(("application/json", "text/html"))
        response = await (page if wanted == "text/html" else handler)(**values)
        response.headers["Vary"] = "Accept"
        return response

    return answer


def add_routes(app: Quart, routes: Iterable[Route]) -> None:
    """Give *app* a rule for each row."""
    for route in routes:
        endpoint = f"{route.method} {route.path}".replace(".", "_")
        if route.socket:
            app.add_websocket(rule_of(route.path), endpoint=endpoint, view_func=route.handler)
        else:
            app.add_url_rule(
                rule_of(route.path),
                endpoint=endpoint,
                view_func=route.handler if route.page is None else _either(route.handler, route.page),
                methods=[route.method],
                provide_automatic_options=False,
            )
