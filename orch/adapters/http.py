"""HTTP to the outside: the one module that imports httpx.

Owns: ``HttpApi``, the command line's client of the daemon, and how a data directory leads to one. Rule: httpx's types
and errors never leave this module; a daemon that does not answer is a TransientError whose detail says what to do.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final
from urllib.parse import urlsplit

import httpx  # noqa: TID251 - this is the one module

from orch.core.errors import ConfigError, TransientError

CONNECT_S = 5.0
READ_S = 30.0
"""More than the daemon takes to say that it is too busy."""
START = "start one with 'orch serve --repo PATH --test CMD'"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """An answer: *body* is the JSON object, a problem's too, empty for anything else."""

    status: int
    body: Mapping[str, Any]


@final
class HttpApi:
    """One daemon over HTTP. Each call has a connection of its own, so that nothing is to be closed."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url!r} is no address of a daemon: give one such as http://127.0.0.1:8780")
        self.url = url.rstrip("/")
        self.token = token
        self._client: Mapping[str, Any] = {
            "base_url": self.url,
            "headers": {"Authorization": f"Bearer {token}"} if token else {},
            "timeout": httpx.Timeout(READ_S, connect=CONNECT_S),
            "trust_env": parts.hostname not in LOOPBACK,
        }

    def get(self, path: str) -> HttpReply:
        return self._send("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> HttpReply:
        return self._send("POST", path, body)

    def delete(self, path: str, body: Mapping[str, Any]) -> HttpReply:
        return self._send("DELETE", path, body)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> HttpReply:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            with httpx.Client(**self._client) as client:
                response = client.request(method, path, content=content, headers=headers)
        except httpx.TransportError as error:
            raise TransientError("orch", method, f"no daemon answers at {self.url}: {START}") from error
        return HttpReply(status=response.status_code, body=_object(response))


def _object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        value = response.json()
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def connect_api(data_dir: Path, url: str | None = None, *, admin_token: str = "") -> HttpApi:
    """Return the daemon that belongs to *data_dir*, or the one at *url*.

    The data directory's own token goes to the address that it names; *admin_token* goes only to an address that the
    person named, since a data directory may have come with someone else's repository. Raises TransientError when the
    directory names no daemon.
    """
    token = _read(data_dir / "token").strip()
    if url is not None:
        return HttpApi(url, admin_token or token)
    try:
        found = json.loads(_read(data_dir / "daemon.json") or "null")
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("url"), str):
        raise TransientError("orch", "connect", f"no daemon runs with the data directory {data_dir}: {START}")
    return HttpApi(found["url"], token)


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(4096)
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}): run as the user of the daemon") from error
