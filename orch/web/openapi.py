"""``/openapi.json``: every address with its parameters, its body, and every status that it answers.

Owns: which statuses a row of the table can answer. Rule: made from the table; a test provokes each status that is written here,
and finds none that is not.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from orch.web.auth import OPEN_PATHS
from orch.web.routes import Route

NUMBERS = frozenset({"n", "limit", "tail", "days"})
"""Parameters that are whole numbers."""
SPECIAL = {
    ("GET", "/login"): (403,),
    ("GET", "/readyz"): (503,),
    ("GET", "/backup"): (401, 404, 421),
    ("GET", "/tasks/{id}/artefacts/{file}"): (401, 404, 421, 422),
    ("POST", "/backup"): (202, 400, 401, 403, 404, 409, 413, 421, 422, 503),
    ("POST", "/login/links"): (400, 401, 403, 413, 421, 422),
}
"""Beside 200; rows that are as their kind are not here."""
STATES = frozenset({"/readyz"})
"""Answers that are no problems whatever their status."""
MEANINGS = {
    202: "It goes on: ask again with GET",
    400: "The body is not JSON",
    401: "A token is needed, or the signature is wrong",
    403: "The page that asks is not one of this daemon's, or the link is used up",
    404: "There is no such thing",
    409: "Not possible now; the detail says why",
    413: "The body is larger than 1 MiB",
    421: "The daemon is not known by that host name",
    422: "The input is wrong; the detail says where",
    503: "Not possible for a while: try again",
}


def statuses(route: Route) -> tuple[int, ...]:
    """Return the statuses beside the good one that *route* answers."""
    if (special := SPECIAL.get((route.method, route.path))) is not None:
        return special
    if route.hook:
        return (401, 404, 413, 503)
    if route.acting:
        return (400, 401, 403, 404, 409, 413, 421, 422, 503)
    gate = () if route.path in OPEN_PATHS else (401, 421)
    if route.socket:
        return tuple(sorted({*gate, 403, 503, *((404,) if "{" in route.path else ())}))
    missing = (404,) if "{" in route.path else ()
    numbers = (422,) if NUMBERS & set(route.query) else ()
    return tuple(sorted({*gate, *missing, *numbers}))


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
            good: {"description": "Good", "content": {kind: {} for kind in _kinds(route)}},
            **{str(status): _answer(route, status) for status in statuses(route)},
            "default": _problem("Any other problem"),
        },
    }
    if route.body is not None:
        schema = {"$ref": f"#/components/schemas/{route.body.__name__}"}
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    if route.acting:
        operation["security"] = [{"token": []}]
    return operation


def _kinds(route: Route) -> list[str]:
    return list(dict.fromkeys([route.content, *(["text/html"] if route.page is not None else [])]))


def _answer(route: Route, status: int) -> dict[str, Any]:
    if status < 400 or route.path in STATES:
        return {"description": MEANINGS[status], "content": {"application/json": {}}}
    answer = _problem(MEANINGS.get(status, HTTPStatus(status).phrase))
    if status == 404 and route.page is not None:
        answer["content"]["text/html"] = {}
    return answer


def _problem(told: str) -> dict[str, Any]:
    return {
        "description": told,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _parameter(name: str, place: str) -> dict[str, Any]:
    kind = "integer" if name in NUMBERS else "string"
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": kind}}
