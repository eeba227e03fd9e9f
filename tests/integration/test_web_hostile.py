"""R8: hostile bodies and slow clients get a clear refusal, never an error of ours."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.web.bodies import Body, CommentBody, DecisionBody, DependencyBody, IssueBody, MoveBody, parse_body
from orch.web.problems import ProblemError
from tests.integration.web_world import TOKEN, World, running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as made:
        yield made


HOSTILE = [
    (b"{", 400, "not valid JSON"),
    (b"\xff\xfe\x00", 400, "not valid JSON"),
    (b"[" * 100_000, 400, "nested too deeply"),
    (b'{"title":' * 50_000, 400, "nested too deeply"),
    (b'{"title": NaN}', 400, "not valid JSON"),
    (b'{"title": -Infinity}', 400, "not valid JSON"),
    (b'{"title": ' + b"9" * 5000 + b"}", 400, "not valid JSON"),
    (b'{"title": 1e999}', 422, "title: Input should be a valid string"),
    (b'{"title": 9223372036854775808}', 422, "title: Input should be a valid string"),
    (b"[]", 422, "must be a JSON object"),
    (b"null", 422, "must be a JSON object"),
    (b'"text"', 422, "must be a JSON object"),
    (b"{}", 422, "title: Field required"),
    (b'{"title": "  "}', 422, "title: is empty"),
    (b'{"title": "a\\u0000b"}', 422, "title: holds characters that are not text"),
    (b'{"title": "\\ud800"}', 422, "title: Input should be a valid string, unable to parse"),
    (b'{"title": "\\u001b[2J"}', 422, "title: holds characters that are not text"),
    (b'{"title": "x", "body": "\\udfff"}', 422, "body: Input should be a valid string, unable to parse"),
    (b'{"title": "x", "colour": 1}', 422, "'colour' is not a field"),
    (json.dumps({"title": "x" * 256}).encode(), 422, "title: String should have at most 255 characters"),
    (json.dumps({f"k{number}": number for number in range(60_000)}).encode(), 422, "60000 fields"),
    (b" " * (1024 * 1024 + 1), 413, "larger than 1 MiB"),
]


@pytest.mark.parametrize(("body", "status", "text"), HOSTILE, ids=[text for _, _, text in HOSTILE])
async def test_R8_a_hostile_body_is_refused_with_a_clear_text(world: World, body: bytes, status: int, text: str) -> None:
    async with world.client() as client:
        reply = await client.post("/board/issues", content=body)
        healthy = await client.get("/healthz")
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    assert text in reply.json()["detail"]
    assert len(reply.content) < 1000
    assert healthy.status_code == 200
    assert world.control.asked == []


async def test_R8_a_body_without_an_end_in_chunks_is_cut_at_1_mib(world: World) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65_536

    async with world.client() as client:
        reply = await client.post("/board/issues", content=endless())
    assert reply.status_code == 413


async def test_R8_a_body_that_never_comes_is_a_408(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(world.app.config, "BODY_TIMEOUT", 0.05)
    async with await anyio.connect_tcp("127.0.0.1", world.sock.getsockname()[1]) as stream:
        head = f"POST /deps HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 100\r\n\r\n{{"
        await stream.send(head.encode())
        answer = await stream.receive()
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_R8_the_body_timeout_in_force_is_ten_seconds_and_the_limit_one_mebibyte() -> None:
    from orch.web import bodies

    assert (bodies.BODY_TIMEOUT_S, bodies.BODY_MAX) == (10, 1_048_576)


MODELS: list[type[Body]] = [IssueBody, DecisionBody, MoveBody, CommentBody, DependencyBody]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["title", "body", "status", "text", "issue", "on", "shown", "reason", "by", "project"])


@given(body=st.binary(max_size=200) | st.dictionaries(FIELDS, ANY_JSON, max_size=5).map(lambda value: json.dumps(value).encode()))
def test_R8_any_body_is_a_checked_value_or_a_refusal(body: bytes) -> None:
    refused: int | None
    for model in MODELS:
        try:
            parsed = parse_body(body, model)
        except ProblemError as error:
            refused, values = error.status, [error.detail]
        else:
            refused, values = None, list(parsed.model_dump().values())
        assert refused in (None, 400, 422)
        assert not any("\0" in value for value in values)
        assert all(isinstance(json.dumps(value), str) for value in values)
