"""R8: every address of ``/openapi.json`` under made-up input: in process, on the real app and a real store.

Each example is what the document allows, or what it forbids, or one of the hostile bodies and names below. What must hold is
always the same: no error of ours, nothing that the document does not name, and nothing changed for whoever has no token.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx  # noqa: TID251 - this is the other side
import pytest
import schemathesis
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from orch.adapters.store import InlineStore
from orch.web.bodies import BODY_MAX
from orch.web.openapi import STATES, describe
from orch.web.routes import Route
from tests.integration.test_openapi import SAMPLES, Desk
from tests.integration.test_webhooks import Door
from tests.integration.web_world import BEARER, World, running

EXAMPLES = 6
"""Of each kind for each address, with token and without."""
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass
class Target:
    """The app, and what it may answer."""

    world: World
    portal: BlockingPortal
    document: dict[str, Any]
    called: set[tuple[str, str]] = field(default_factory=set)

    def send(self, method: str, path: str, *, token: bool, content: bytes | None = None, **given: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.world.app, raise_app_exceptions=False)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                headers = {**(BEARER if token else {}), **given.pop("headers", {})}
                return await client.request(method, path, content=content, headers=headers, **given)

        return self.portal.call(call)

    def state(self) -> tuple[object, ...]:
        """Return what would be different if anything had been written or asked for."""
        return (_changes(self.world.store), len(self.world.control.asked), self.world.control.hints)

    def check(self, route: Route, reply: httpx.Response) -> None:
        """Check an answer against the document."""
        self.called.add((route.method, route.path))
        told = self.document["paths"][route.path][route.method.lower()]["responses"]
        kind = reply.headers.get("content-type", "").split(";")[0]
        assert str(reply.status_code) in told, (route.method, reply.request.url, reply.status_code, reply.text[:200])
        if reply.status_code >= 400 and route.path not in STATES:
            assert kind in told[str(reply.status_code)]["content"], (route.path, kind)
            if kind == "text/html":  # a person asked for a page, and is told in one
                return
            assert kind == "application/problem+json", (route.path, kind)
            assert {"status", "title", "detail"} <= reply.json().keys()
            assert len(reply.content) < 2_000, "a problem does not repeat what was sent"
        elif reply.status_code < 300:
            kinds = set(told["200"]["content"])
            assert kind in kinds or any(kind.split("/")[0] + "/*" == each for each in kinds) or "*/*" in kinds, (route.path, kind)
        assert reply.headers["x-content-type-options"] == "nosniff"


def _changes(store: InlineStore) -> int:
    assert store._connection is not None
    return store._connection.total_changes


@contextmanager
def target_at(folder: Path) -> Iterator[Target]:
    doors: dict[str, Any] = {"plane": Door(), "gitea": Door()}
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(folder, backup=Desk(), doors=doors)) as world,
    ):
        yield Target(world, portal, describe(world.app.routes, "9.9.9"))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target_at(tmp_path_factory.mktemp("fuzz")) as made:
        yield made


def body_of(case: Case[Any]) -> bytes | None:
    if isinstance(case.body, bytes):
        return case.body
    return None if isinstance(case.body, type(schemathesis.core.NOT_SET)) else json.dumps(case.body).encode()


def unharmed(target: Target, act: Callable[[], httpx.Response]) -> httpx.Response:
    """Call without a token, and look that nothing is different."""
    before = target.state()
    reply = act()
    assert target.state() == before, f"{reply.request.method} {reply.request.url} changed something"
    return reply


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_R8_no_input_that_the_document_allows_or_forbids_breaks_an_address(target: Target, mode: GenerationMode) -> None:
    routes = {(route.method, route.path): route for route in target.world.app.routes if not route.socket}
    schema = schemathesis.openapi.from_dict(target.document)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if (route := routes.get((operation.method.upper(), operation.path))) is not None:
            with suppress(Unsatisfiable):  # nothing can be wrong with an address that takes nothing
                BOUNDED(given(operation.as_strategy(generation_mode=mode))(_example(target, route)))()
    if mode is GenerationMode.POSITIVE:
        assert target.called == routes.keys()


def _example(target: Target, route: Route) -> Callable[[Case[Any]], None]:
    def one(case: Case[Any]) -> None:
        query = {str(name): str(value) for name, value in (case.query or {}).items()}
        given: dict[str, Any] = {"content": body_of(case), "params": query}
        path = case.formatted_path
        reply = unharmed(target, lambda: target.send(route.method, path, token=False, **given))
        if not route.acting:
            target.check(route, reply)
            return
        assert reply.status_code in (401, 413)
        target.check(route, target.send(route.method, path, token=True, **given))

    return one


# ------------------------------------------------------------------------------------------------ our own hostility

DEEP = 100_000
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "blank": b" \n\t ",
    "lone surrogate": b'{"by": "\\ud800", "%s": "\\udfff"}',
    "raw surrogate": b'{"by": "\xed\xa0\x80"}',
    "NUL": b'{"by": "a\\u0000b"}',
    "raw NUL": b'{"by": "a\0b"}',
    "NaN": b'{"raise_usd": NaN, "by": NaN}',
    "infinity": b'{"raise_usd": 1e999, "shown_usd": -1e999}',
    "beyond 64 bits": b'{"raise_usd": 9223372036854775808, "by": 9223372036854775808}',
    "a number of 5000 digits": b'{"by": ' + b"9" * 5000 + b"}",
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"by":' * DEEP + b"1" + b"}" * DEEP,
    "deep inside a field": b'{"findings": ' + b"[" * 500 + b"]" * 500 + b"}",
    "200,000 keys": b"{" + b",".join(b'"%d":1' % number for number in range(80_000)) + b"}",
    "one key many times": b"{" + b",".join([b'"by":"a"'] * 50_000) + b"}",
    "a list": b"[]",
    "a text": b'"by"',
    "null": b"null",
    "wrong types": b'{"by": {}, "title": [], "reason": 1, "text": false, "stage": null, "raise_usd": "5", "lift": 1, "dir": 7}',
    "no JSON": b"by=ann&title=x",
    "UTF-16": '{"by": "a"}'.encode("utf-16"),
    "a mark in front": b"\xef\xbb\xbf{}",
    "bytes": bytes(range(256)) * 8,
    "escapes of a terminal": b'{"by": "\\u001b]0;evil\\u0007", "title": "\\u202eevil"}',
    "too large": b" " * (BODY_MAX + 1),
}
ODD_BUT_EMPTY = {BODIES["UTF-16"], BODIES["a mark in front"], BODIES["one key many times"]}
"""What a lenient reader takes for an object with nothing in it but a name."""
NAMES = (
    "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..%5cwindows", "%00", "SHOP-1%00", "%ff%fe", "%ed%a0%80",
    "%0d%0aX-Evil:%201", "%252e%252e", "-1", "0", "9223372036854775807", "9223372036854775808", "9" * 400, "SHOP-" + "9" * 400,
    "1e5", "+1", "\u0663", "%20", "SHOP-1%20", "shop-1", "A" * 20_000, "%F0%9F%92%A9" * 500, "';--", "<script>", "{id}", "~",
    "%7Eroot", "null", "SHOP-1;x=1", "a%2Fb", "a%3Fb%23c",
)  # fmt: skip


def filled(path: str, name: str) -> str:
    return re.sub(r"\{\w+\}", lambda _: name, path)


def names_of(route: Route) -> str:
    return f"{route.method} {route.path}"


def acting_routes(target: Target) -> list[Route]:
    return [route for route in target.world.app.routes if route.acting]


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_R8_no_hostile_body_breaks_an_acting_address(target: Target, body: bytes) -> None:
    routes = acting_routes(target)
    assert len(routes) > 20
    for route in routes:
        path = filled(route.path, "SHOP-1")
        reply = unharmed(target, lambda route=route, path=path: target.send(route.method, path, token=False, content=body))  # type: ignore[misc]
        assert reply.status_code in (401, 413), (route.path, reply.status_code)
        reply = target.send(route.method, path, token=True, content=body)
        target.check(route, reply)
        if body.strip() and body not in ODD_BUT_EMPTY:
            assert reply.status_code in (400, 413, 422), (route.path, reply.status_code)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:24])
def test_R8_no_hostile_name_breaks_an_address(target: Target, name: str) -> None:
    for route in target.world.app.routes:
        if route.socket or "{" not in route.path:
            continue
        sample = None if route.body is None else json.dumps(SAMPLES[route.body.__name__]).encode()
        for accept in ("application/json", "text/html"):
            path = filled(route.path, name)
            reply = target.send(route.method, path, token=True, content=sample, headers={"Accept": accept})
            if reply.status_code != 405:  # the name led to another address, which has no such method
                target.check(route, reply)
            assert "root:" not in reply.text
            assert "x-evil" not in reply.headers


@pytest.mark.parametrize("value", ["", "-1", "0", "1e9", "9" * 30, "%00", "٣", "nan", "x" * 20_000, "1;2", "%ff"])
def test_R8_no_hostile_query_breaks_an_address(target: Target, value: str) -> None:
    for route in target.world.app.routes:
        if route.socket or route.method != "GET":
            continue
        for name in (*route.query, "no-such-name"):
            raw = value if value.startswith("%") else quote(value)
            target.check(route, target.send("GET", f"{filled(route.path, '1')}?{name}={raw}&{name}={raw}", token=True))


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "HEAD", "MADE-UP"])
def test_R8_another_method_changes_nothing(target: Target, method: str) -> None:
    for path in sorted({filled(route.path, "SHOP-1") for route in target.world.app.routes if not route.socket}):
        reply = unharmed(target, lambda path=path: target.send(method, path, token=False, content=b"{}"))  # type: ignore[misc]
        assert reply.status_code < 500, (method, path, reply.status_code)


def test_the_check_finds_what_the_document_does_not_name(target: Target) -> None:
    """The proof that these tests can fail: a status and a kind that are documented nowhere are found."""
    route = next(route for route in target.world.app.routes if route.path == "/queue" and not route.socket)
    request = httpx.Request("GET", "http://localhost/queue")
    for reply in (
        httpx.Response(500, text="broken", request=request),
        httpx.Response(404, text="no problem", request=request),
        httpx.Response(200, text="{}", headers={"content-type": "text/x-made-up"}, request=request),
    ):
        with pytest.raises(AssertionError):
            target.check(route, reply)
