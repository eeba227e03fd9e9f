"""The daemon's client of a service on a real socket: what counts as an answer, what each failure says, what never leaves."""

import base64
import gzip
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from quart import Quart, Response, request

from orch import logs
from orch.adapters import http
from orch.adapters.http import ApiKey, ServiceClient
from orch.adapters.throttle import TokenBucket
from orch.core.errors import ConfigError, CredentialRefused, ExternalError, PermanentError, TransientError
from orch.web.server import Listener, bind_socket, serve, url_of

TOKEN = "plane_api_3f9a77c1d5e24b08"
KEY = ApiKey(header="X-API-Key", token=TOKEN, refusal="not valid", advice="make a new key")
Answer = Callable[[], Awaitable[Response]]


@dataclass
class Service:
    """A server that answers as it is told."""

    url: str
    listener: Listener
    client: ServiceClient
    answer: Answer | None = None
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def says(self, status: int, body: object = None, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer() -> Response:
            return Response(content, status, {"Content-Type": "application/json", **named})

        self.answer = answer


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    app = Quart("service")
    listener, stop = bind_socket("127.0.0.1", 0), anyio.Event()

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    @app.route("/<path:path>", methods=["GET", "POST", "PATCH", "PUT", "DELETE"])
    async def take(path: str) -> Response:
        body = await request.get_data()
        assert isinstance(body, bytes)
        made.seen.append((request.method, request.full_path.rstrip("?"), dict(request.headers), body))
        assert made.answer is not None
        return await made.answer()

    async def nothing() -> None: ...

    async with ServiceClient("plane", url_of(listener), KEY) as client, anyio.create_task_group() as group:
        made = Service(url=url_of(listener), listener=listener, client=client)

        async def run() -> None:
            await serve(app, listener, shutdown=stop, hub_close=nothing, grace_s=0.5)

        group.start_soon(run)
        yield made
        stop.set()


async def failure(call: Awaitable[object]) -> ExternalError:
    with pytest.raises(ExternalError) as raised:
        await call
    return raised.value


async def test_an_answer_comes_back_parsed_and_the_key_travels_in_its_header_alone(service: Service) -> None:
    service.says(201, {"id": 7}, X_Total_Count="3")
    reply = await service.client.call("POST", "/items/", query={"per_page": 5}, body={"name": "ü"})
    assert (reply.status, reply.body, reply.headers["x-total-count"]) == (201, {"id": 7}, "3")
    [(method, path, headers, body)] = service.seen
    assert (method, path, json.loads(body)) == ("POST", "/items/?per_page=5", {"name": "ü"})
    assert headers["X-Api-Key"] == TOKEN
    assert TOKEN not in path
    assert TOKEN not in repr(KEY)
    service.says(204, b"")
    assert (await service.client.delete("/items/7/")).body is None
    assert service.seen[-1][3] == b""


async def test_a_scheme_goes_before_the_token(service: Service) -> None:
    service.says(200, {})
    async with ServiceClient("gitea", service.url, ApiKey(header="Authorization", token=TOKEN, scheme="token")) as client:
        await client.get("/user")
    assert service.seen[0][2]["Authorization"] == f"token {TOKEN}"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, PermanentError),
        (404, PermanentError),
        (409, PermanentError),
        (408, TransientError),
        (500, TransientError),
        (503, TransientError),
    ],
)
async def test_a_status_that_is_not_expected_is_a_failure_with_the_servers_words(
    service: Service, status: int, kind: type[ExternalError]
) -> None:
    service.says(status, {"error": "no\n\x1b[31msuch thing"})
    error = await failure(service.client.get("/items/"))
    assert type(error) is kind
    assert str(error) == f'plane: GET /items/: HTTP {status} {{"error": "no\\n\\u001b[31msuch thing"}}'
    assert (await service.client.get("/items/", expect={status})).status == status


async def test_a_429_names_its_wait_and_nothing_is_sent_until_it_is_over(service: Service) -> None:
    service.says(429, {"error_code": 5900}, Retry_After="55")
    error = await failure(service.client.get("/items/"))
    assert (type(error), error.retry_after) == (TransientError, 55)
    error = await failure(service.client.get("/other/"))
    assert error.retry_after == pytest.approx(55, abs=5)
    assert len(service.seen) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 60),
        ({"Retry_After": "0"}, 0),
        ({"Retry_After": "999999999999"}, http.RETRY_AFTER_MAX_S),
        ({"Retry_After": "nan"}, 60),
        ({"Retry_After": "²"}, 60),
        ({"Retry_After": "-5"}, 60),
    ],
)
async def test_a_wait_may_be_written_in_any_way(service: Service, headers: dict[str, str], seconds: float) -> None:
    service.says(429, {}, **headers)
    assert (await failure(service.client.get("/"))).retry_after == seconds


async def test_who_waits_for_the_bucket_while_another_is_refused_is_not_sent_either(service: Service) -> None:
    service.says(429, {}, Retry_After="55")
    errors: list[ExternalError] = []

    async def call(client: ServiceClient) -> None:
        errors.append(await failure(client.get("/")))

    bucket = TokenBucket(per_minute=121, burst=1)
    async with ServiceClient("plane", service.url, KEY, bucket=bucket) as client, anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(call, client)
    assert [error.retry_after for error in errors] == pytest.approx([55, 55, 55], abs=5)
    assert len(service.seen) == 1


@pytest.mark.parametrize(("zone", "seconds"), [("GMT", 40), ("+0000", 40), ("-0000", 60)])
async def test_a_wait_may_be_a_date_which_is_read_by_the_servers_own_clock(service: Service, zone: str, seconds: float) -> None:
    until = datetime.now(UTC) + timedelta(seconds=40)
    service.says(429, {}, Retry_After=f"{until:%a, %d %b %Y %H:%M:%S} {zone}")
    assert (await failure(service.client.get("/"))).retry_after == pytest.approx(seconds, abs=5)


async def test_a_redirect_is_refused_and_the_key_does_not_follow_it(service: Service) -> None:
    service.says(301, b"", Location=f"{service.url}/elsewhere/")
    error = await failure(service.client.post("/items", {"name": "x"}))
    assert isinstance(error, PermanentError)
    assert f"leads to '{service.url}/elsewhere/'" in error.detail
    assert [path for _, path, _, _ in service.seen] == ["/items"]


@pytest.mark.parametrize(("status", "body"), [(401, {"detail": "none"}), (403, {"detail": "Given API token is not valid"})])
async def test_a_refused_key_says_what_to_do_even_where_the_status_is_expected(
    service: Service, status: int, body: object
) -> None:
    service.says(status, body)
    error = await failure(service.client.get("/", expect={401, 403}))
    assert isinstance(error, CredentialRefused)
    assert error.detail.endswith("make a new key")


async def test_a_key_that_stays_refused_is_not_tried_over_and_over(service: Service) -> None:
    service.says(403, {"detail": "Given API token is not valid"})
    for _ in range(10):
        assert isinstance(await failure(service.client.get("/")), CredentialRefused)
    assert len(service.seen) == 1
    service.says(403, {"detail": "You do not have permission"})
    async with ServiceClient("plane", service.url, KEY) as other:
        for _ in range(5):
            await failure(other.get("/"))
    assert len(service.seen) == 6, "what a user may not do says nothing about the key"


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000, b"1" * 5_000, b'{"a": ', b"\xff\xfe"])
async def test_garbage_is_worth_another_try(service: Service, body: bytes) -> None:
    service.says(200, body)
    error = await failure(service.client.get("/"))
    assert isinstance(error, TransientError)
    assert "no JSON" in error.detail
    assert len(str(error)) < 400


async def test_an_error_that_is_no_json_is_told_as_text(service: Service) -> None:
    service.says(502, b"<html>\n<h1>Bad Gateway</h1>")
    assert (await failure(service.client.get("/"))).detail == "HTTP 502 <html> <h1>Bad Gateway</h1>"


async def test_R8_an_answer_without_end_is_cut_off(service: Service) -> None:
    async def flood() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * (http.ANSWER_MAX // 4)

    async def answer() -> Response:
        return Response(flood(), 200, {"Content-Type": "application/json"})

    service.answer = answer
    with anyio.fail_after(20):
        error = await failure(service.client.get("/"))
    assert isinstance(error, PermanentError)
    assert "more than 8,388,608 bytes" in error.detail
    service.says(200, [])
    assert (await service.client.get("/")).body == []


async def test_R8_a_compressed_answer_is_not_unpacked(service: Service) -> None:
    service.says(200, gzip.compress(b" " * 10_000_000), Content_Encoding="gzip")
    assert "compressed" in (await failure(service.client.get("/"))).detail
    assert service.seen[0][2]["Accept-Encoding"] == "identity"


async def test_an_answer_that_drips_for_ever_ends_in_time(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_S", 0.3)

    async def drip() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await anyio.sleep(0.02)

    async def answer() -> Response:
        return Response(drip(), 200)

    service.answer = answer
    error = await failure(service.client.get("/"))
    assert (type(error), error.detail) == (TransientError, f"no answer from {service.url} (TimeoutError)")


async def test_a_caller_that_goes_away_is_not_told_that_the_service_failed(service: Service) -> None:
    reached = anyio.Event()

    async def answer() -> Response:
        reached.set()
        await anyio.sleep_forever()
        raise AssertionError

    service.answer = answer
    for _ in range(4):
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(service.client.get, "/")
                await reached.wait()
                scope.cancel()
        reached = anyio.Event()
    service.says(200, {"still": "there"})
    assert (await service.client.get("/")).body == {"still": "there"}


async def test_a_service_that_is_away_is_called_three_times_and_then_left_alone(service: Service) -> None:
    service.listener.limit = 0
    service.listener.shut_connections()
    errors = [await failure(service.client.get("/")) for _ in range(6)]
    assert {type(error) for error in errors} == {TransientError}
    assert ["not called again" in error.detail for error in errors] == [False] * 3 + [True] * 3
    assert all(error.retry_after for error in errors[3:])


@pytest.mark.parametrize("url", ["plane.example", "ftp://plane.example", "http://", ""])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match="is no address of plane"):
        ServiceClient("plane", url, KEY)


async def test_R10_the_key_is_struck_out_of_whatever_a_server_says(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service.says(400, {"you sent": TOKEN, "and": "x" * 1000})
    error = await failure(service.client.get("/"))
    assert TOKEN not in str(error)
    assert "[redacted]" in error.detail
    assert logs.redact(f"X-API-Key: {TOKEN}") == "X-API-Key: [redacted]"
    assert TOKEN not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith(("httpx", "httpcore"))]


@pytest.mark.parametrize("before", [0, 150, 170, 180, 190, 199])
async def test_G13_a_service_that_echoes_our_headers_tells_nobody(service: Service, before: int) -> None:
    """Wherever the excerpt is cut: half a key is a leak too."""
    service.says(500, b"x" * before + b" you sent X-API-Key: " + TOKEN.encode() * 2)
    told = str(await failure(service.client.get("/items/")))
    assert not any(TOKEN[:length] in told for length in range(12, len(TOKEN) + 1))
    service.says(200, {"echo": TOKEN, "more": [base64.b64encode(TOKEN.encode()).decode()]})
    reply = await service.client.get("/items/")
    assert reply.body["echo"] == logs.STRUCK
    assert logs.STRUCK in reply.body["more"][0]
