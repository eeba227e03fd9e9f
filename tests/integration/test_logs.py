"""Logs: what a line looks like, and that no secret leaves in any form."""

import base64
import html
import io
import json
import logging
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from orch import logs

CANARY = "c4nary/+ \"tok'en\u00e9"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start without secrets, and leave the standard library's root logger as it was found."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(logs, "_needles", ())
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def forms_of(secret: str) -> dict[str, str]:
    raw = secret.encode()
    return {
        "raw": secret,
        "header": f"Authorization: Bearer {secret}",
        "base64": base64.b64encode(raw).decode(),
        "base64 after a user": base64.b64encode(b"orch:" + raw).decode(),
        "base64 after another": base64.b64encode(b"me:" + raw + b"more").decode(),
        "base64 for urls": base64.urlsafe_b64encode(raw).decode(),
        "url": f"https://x.example/?token={quote(secret, safe='')}",
        "form": f"token={quote_plus(secret)}",
        "url in lower case": quote(secret, safe="").replace("%2F", "%2f").replace("%2B", "%2b").replace("%C3%A9", "%c3%a9"),
        "hexadecimal": raw.hex(),
        "hexadecimal in upper case": raw.hex().upper(),
        "html": html.escape(secret),
        "json": json.dumps({"token": secret}),
        "json with letters": json.dumps({"token": secret}, ensure_ascii=False),
        "repr": repr([secret]),
    }


def traces(secret: str, text: str) -> list[str]:
    """Return the forms of *secret* that *text* still holds; a base64 form counts from eight characters of it on."""
    raw = secret.encode()
    inner = [base64.b64encode(b"\0" * n + raw).decode()[n + 1 : -5] for n in range(3)]
    known = [secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1], *inner]
    known += [raw.hex(), raw.hex().upper(), html.escape(secret), html.escape(secret, quote=False)]
    return [form for form in known if form in text]


@pytest.mark.parametrize("form", forms_of(CANARY))
@pytest.mark.parametrize("json_lines", [False, True])
def test_G13_a_registered_secret_leaves_in_no_form(form: str, json_lines: bool) -> None:
    out = io.StringIO()
    logs.register_secret(CANARY)
    logs.configure("debug", json_lines=json_lines, stream=out)
    text = forms_of(CANARY)[form]
    logger = logs.get_logger(repo="shop")
    logger.info(text, task="SHOP-1", deep={"list": [text], text: 1}, raw=text.encode())
    logging.getLogger("hypercorn.error").warning("request %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("failed", error=ValueError(text))
    assert logs.STRUCK in out.getvalue()
    assert traces(CANARY, out.getvalue()) == []


SIGNS = st.text(alphabet='0123456789+/%& "é', max_size=20)


@given(SIGNS.filter(lambda text: len(text) >= logs.SECRET_MIN), SIGNS, SIGNS)
def test_G13_no_secret_survives_redaction_whatever_stands_around_it(secret: str, before: str, after: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "_needles", ())
        logs.register_secret(secret)
        assert secret not in logs.redact(before + secret + after)


def streamed(pieces: Iterable[bytes]) -> bytes:
    stream = logs.StreamRedactor()
    return b"".join([*(stream.feed(piece) for piece in pieces), stream.close()])


@pytest.mark.parametrize("form", forms_of(CANARY))
@pytest.mark.parametrize("size", [1, 2, 3, 7, 40])
def test_G13_no_secret_survives_in_a_stream_wherever_it_is_cut(form: str, size: int) -> None:
    logs.register_secret("some other secret, longer than a chunk of any size")
    logs.register_secret(CANARY)
    data = f"before {forms_of(CANARY)[form]} after\n{CANARY}".encode()
    struck = streamed(data[at : at + size] for at in range(0, len(data), size)).decode()
    assert traces(CANARY, struck) == []
    assert struck.startswith("before ")
    assert " after\n" in struck
    assert struck.endswith(logs.STRUCK)


@given(st.lists(st.binary(max_size=12), max_size=12))
def test_a_stream_without_a_secret_passes_unchanged(pieces: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "_needles", ())
        logs.register_secret("a secret that does not come")
        assert streamed(pieces) == b"".join(pieces)


def test_a_line_that_has_ended_is_not_held_back() -> None:
    logs.register_secret(CANARY)
    stream = logs.StreamRedactor()
    assert stream.feed(b'{"type": "result"}\n') == b'{"type": "result"}\n'
    assert stream.feed(b"the beginning of c4na") == b"the beginning of "
    assert stream.feed(b"stic\n") == b"c4nastic\n"


def test_what_an_environment_calls_a_secret_is_one_and_a_path_or_a_word_is_not() -> None:
    environ = {
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENG",
        "ANTHROPIC_API_KEY": "sk-ant-0123456789",
        "DB_PASSWORD": "correct horse battery",
        "HTTPS_PROXY": "http://me:proxy-password@proxy.example:3128",
        "USE_TOKEN": "true",
        "SSL_PRIVATE_KEY": "/etc/ssl/private/key.pem",
        "PATH": "/usr/bin:/usr/local/bin",
        "HOME": "/home/somebody-with-a-long-name",
    }
    found = {"wJalrXUtnFEMIK7MDENG", "sk-ant-0123456789", "correct horse battery", "proxy-password"}
    assert logs.secrets_of(environ) == found


def test_only_what_is_too_long_to_be_a_word_is_looked_for_in_what_people_keep() -> None:
    logs.register_secret("shop")
    logs.register_secret("s3cret-0123456789")
    assert not logs.holds_secret(b"a shop")
    assert logs.holds_secret(b"x=" + base64.b64encode(b"a:s3cret-0123456789"))


def test_a_text_too_short_to_be_a_secret_does_not_garble_the_lines() -> None:
    logs.register_secret("a")
    assert logs.redact("a banana") == "a banana"


def test_lines_for_machines_are_json_with_the_keys_that_were_bound() -> None:
    out = io.StringIO()
    logs.configure("info", json_lines=True, stream=out)
    logs.get_logger(repo="shop", task="SHOP-1").info("landed", attempt=3, outcome="done")
    line = json.loads(out.getvalue())
    assert {key: line[key] for key in ("event", "repo", "task", "attempt", "outcome", "level")} == {
        "event": "landed",
        "repo": "shop",
        "task": "SHOP-1",
        "attempt": 3,
        "outcome": "done",
        "level": "info",
    }
    assert line["timestamp"].endswith("Z")


def test_a_hostile_text_cannot_forge_a_second_line() -> None:
    out = io.StringIO()
    logs.configure("info", stream=out)
    logs.get_logger().info("a\n2026-01-01 info forged", title='x" forged="1\n\x1b[2J')
    (line,) = out.getvalue().splitlines()
    assert line.count("\\n") == 2
    assert "\x1b" not in line
    assert r'title="x\" forged=\"1' in line


def test_the_level_decides_what_is_written() -> None:
    out = io.StringIO()
    logs.configure("warning", stream=out)
    logs.get_logger().info("quiet")
    logs.get_logger().warning("loud")
    assert "quiet" not in out.getvalue()
    assert "loud" in out.getvalue()
