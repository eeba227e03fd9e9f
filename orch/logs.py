"""Logs: structured lines on standard error, with every registered secret struck out.

Owns: how a line looks, and the redaction that every edge uses (``redact``, ``redact_bytes``, ``StreamRedactor``).
Does not own: what is logged, or where the stream goes after us.
Rule: a secret is registered before anything that could hold it is logged, and leaves in no form (raw, base64 with any
neighbour, hexadecimal, URL-encoded, JSON-escaped, HTML-escaped, cut in two by a chunk's border). A hostile text cannot
forge a line: control characters are escaped.
Keys used throughout: ``repo``, ``task``, ``attempt``, ``action``, ``outcome``.
"""

import base64
import html
import json
import logging
import re
import sys
import threading
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TextIO, final
from urllib.parse import quote, quote_plus

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

STRUCK = "[redacted]"
_STRUCK_BYTES = STRUCK.encode()
SECRET_MIN = 4
"""A shorter text is no secret: striking it out would only garble the lines."""
_BASE64_MIN = 6
_DEPTH_MAX = 8

_lock = threading.Lock()
_needles: tuple[str, ...] = ()


def register_secret(value: str) -> None:
    """Strike *value* and its encoded forms out of every line from now on. Registering twice changes nothing."""
    global _needles
    if len(value) < SECRET_MIN:
        return
    with _lock:
        _needles = tuple(sorted({*_needles, *_forms(value)}, key=len, reverse=True))


def register_secrets(values: Iterable[str]) -> None:
    for value in values:
        register_secret(value)


def redact(text: str) -> str:
    """Return *text* with every registered secret struck out."""
    for needle in _needles:
        if needle in text:
            text = text.replace(needle, STRUCK)
    return text


def redact_bytes(data: bytes) -> bytes:
    """Return *data* with every registered secret struck out."""
    for needle in _in_bytes(_needles).needles:
        if needle in data:
            data = data.replace(needle, _STRUCK_BYTES)
    return data


@final
class StreamRedactor:
    """Strikes every secret out of a stream, also where a chunk's border cuts one in two.

    What may be a secret's beginning is held back until it is known what it is, so a line that ended is never waited for.
    """

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return what may go on."""
        data = redact_bytes(self._held + chunk)
        begun = _in_bytes(_needles).begun(data)
        cut = len(data) - begun
        self._held = data[cut:]
        return data[:cut]

    def close(self) -> bytes:
        """Return what was held back and has turned out to be no secret."""
        held, self._held = self._held, b""
        return held


@final
class _InBytes:
    """The needles as bytes, and every proper beginning of one."""

    def __init__(self, needles: tuple[str, ...]) -> None:
        self.needles = tuple(needle.encode("utf-8", "surrogatepass") for needle in needles)
        self._beginnings = frozenset(needle[:length] for needle in self.needles for length in range(1, len(needle)))
        self._longest = max((len(needle) for needle in self.needles), default=1) - 1

    def begun(self, data: bytes) -> int:
        """Return how many bytes at the end of *data* may be the beginning of a secret."""
        tail = data[-self._longest :] if self._longest else b""
        return next((len(tail) - start for start in range(len(tail)) if tail[start:] in self._beginnings), 0)


def holds_secret(data: bytes) -> bool:
    """Say whether *data* holds a secret that is too long to be a word."""
    return any(len(needle) >= _ENVIRONMENT_MIN and needle in data for needle in _in_bytes(_needles).needles)


def redact_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return *values* with every registered secret struck out of the texts inside."""
    return {key: _redacted(value) for key, value in values.items()}


@lru_cache(maxsize=1)
def _in_bytes(needles: tuple[str, ...]) -> _InBytes:
    return _InBytes(needles)


_NAMED_SECRET = re.compile(r"(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIALS?)$", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_ENVIRONMENT_MIN = 12
"""What the environment calls a secret and is shorter may be a word: striking it out would garble what is said."""


def secrets_of(environ: Mapping[str, str]) -> set[str]:
    """Return what looks like a secret in an environment: by its name, or as the password in an address."""
    named = {value for name, value in environ.items() if _NAMED_SECRET.search(name)}
    passwords = {found for value in environ.values() for found in _URL_PASSWORD.findall(value)}
    return {value for value in named | passwords if len(value) >= _ENVIRONMENT_MIN and not value.startswith(("/", "~", "."))}


def _forms(value: str) -> set[str]:
    """Return the forms in which a secret could leave: as it is, escaped, and inside a longer base64 text."""
    raw = value.encode("utf-8", "surrogatepass")
    forms = {value, quote(raw), quote(raw, safe=""), quote_plus(raw), json.dumps(value)[1:-1], repr(value)[1:-1]}
    forms |= {json.dumps(value, ensure_ascii=False)[1:-1], html.escape(value), html.escape(value, quote=False)}
    forms |= {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(raw, safe="")), raw.hex(), raw.hex().upper()}
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        skipped = (before * 8 + 5) // 6
        sure = (before + len(raw)) * 8 // 6
        inner = encoded[skipped:sure]
        if len(inner) >= _BASE64_MIN:
            forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= SECRET_MIN}


def configure(level: str = "info", *, json_lines: bool = False, stream: TextIO | None = None) -> None:
    """Set up structlog, and send the standard library's loggers (hypercorn's among them) the same way."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = structlog.processors.JSONRenderer() if json_lines else _Text()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact_values,
            renderer,
            _redact_line,
        ],
    )
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get_logger(name: str = "orch", **bound: object) -> structlog.stdlib.BoundLogger:
    """Return a logger with *bound* keys on each of its lines."""
    return structlog.stdlib.get_logger(name, **bound)


def _redact_values(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {str(key): _redacted(value) for key, value in event.items()}


def _redacted(value: object, depth: int = 0) -> object:
    """Return *value* with the secrets in every text inside it struck out; other objects become their text."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return redact(value)
        case bytes():
            return redact(value.decode(errors="replace"))
        case Mapping() if depth < _DEPTH_MAX:
            return {redact(str(key)): _redacted(item, depth + 1) for key, item in value.items()}
        case list() | tuple() | set() | frozenset() if depth < _DEPTH_MAX:
            return [_redacted(item, depth + 1) for item in value]
        case _:
            return redact(str(value))


def _redact_line(_logger: WrappedLogger, _method: str, line: Any) -> str:
    """Strike out whatever only took its form when the line was rendered."""
    return redact(str(line))


class _Text:
    """Renders a line for people: time, level, event, then ``key=value``; one event is one line, a traceback excepted."""

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        head = [str(event.pop("timestamp", "")), f"{event.pop('level', 'info'):<7}", _one_line(str(event.pop("event", "")))]
        trace = event.pop("exception", "")
        name = event.pop("logger", "")
        pairs = [f"{_one_line(str(key))}={_quoted(item)}" for key, item in event.items()]
        line = " ".join([*head, *pairs, *([f"logger={_quoted(name)}"] if name else [])])
        return line + "".join(f"\n    {_one_line(part)}" for part in str(trace).splitlines())


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _quoted(value: object) -> str:
    text = _one_line(value if isinstance(value, str) else json.dumps(value, default=str))
    return text if text and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)
