"""One row per address: the table from which the app's rules and ``/openapi.json`` are both made.

Owns: ``Route`` and how a table becomes rules. Rule: an address that is not a row does not exist.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

from quart import Quart, Response

from orch.web.bodies import Body

Handler = Callable[..., Awaitable[Response]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """*path* is as in OpenAPI (``/tasks/{id}``); a parameter named ``n`` is a number. *body* None means none is read."""

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


def read(path: str, handler: Handler, summary: str, *, query: tuple[str, ...] = (), content: str = "application/json") -> Route:
    return Route(method="GET", path=path, handler=handler, summary=summary, query=query, content=content)


def act(method: str, path: str, handler: Handler, summary: str, body: type[Body]) -> Route:
    return Route(method=method, path=path, handler=handler, summary=summary, body=body, acting=True)


def rule_of(path: str) -> str:
    """Return the rule of *path* in the router's notation."""
    return re.sub(r"\{(\w+)\}", lambda match: "<int:n>" if match[1] == "n" else f"<{match[1]}>", path)


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
                view_func=route.handler,
                methods=[route.method],
                provide_automatic_options=False,
            )


def describe(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of *routes*."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {"Problem": _PROBLEM}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
        if route.body is not None:
            schema = route.body.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= schema.pop("$defs", {})
            schemas[route.body.__name__] = schema
    return {
        "openapi": "3.1.0",
        "info": {"title": "Orch", "version": version},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


_PROBLEM = {
    "type": "object",
    "required": ["status", "title", "detail"],
    "properties": {
        "type": {"type": "string"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
    },
}


def _operation(route: Route) -> dict[str, Any]:
    parameters = [_parameter(name, "path") for name in re.findall(r"\{(\w+)\}", route.path)]
    parameters += [_parameter(name, "query") for name in route.query]
    good = "101" if route.socket else "200"
    operation: dict[str, Any] = {
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            good: {"description": "Good", "content": {route.content: {}}},
            "default": {
                "description": "A problem",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if route.body is not None:
        schema = {"$ref": f"#/components/schemas/{route.body.__name__}"}
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    if route.acting:
        operation["security"] = [{"token": []}]
    return operation


def _parameter(name: str, place: str) -> dict[str, Any]:
    kind = "integer" if name in ("n", "limit", "tail") else "string"
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": kind}}
