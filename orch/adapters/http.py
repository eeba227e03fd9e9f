"""HTTP to the outside: the one module that imports httpx.

Owns: ``HttpApi``, the command line's client of the daemon, and how a data directory leads to one; ``ServiceClient``, the
daemon's client of a board, forge or chat; ``fetch_status``, one look at an address. Does not own what answers mean. Rule:
httpx's types and errors never leave this module; a token travels in a header alone and is registered for redaction; no redirect
is followed; a daemon that does not answer is a TransientError whose detail says what to do.
"""

import json
import logging
import ssl
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any, Self, TypedDict, final
from urllib.parse import SplitResult, urlsplit

import anyio
import httpx  # noqa: TID251 - this is the one module

from orch.adapters.throttle import MINUTE_S, Rest, TokenBucket
from orch.core.errors import ConfigError, CredentialRefused, ExternalError, PermanentError, TransientError
from orch.logs import redact, redact_bytes, register_secret

CONNECT_S = 5.0
READ_S = 30.0
"""More than the daemon takes to say that it is too busy."""
ANSWER_S = 60.0
"""How long a whole answer of a service may take, however steadily it drips."""
REFUSED_S = 30.0
"""How long until a key that was refused is tried again."""
CLOSE_S = 2.0
ANSWER_MAX = 8 * 1024 * 1024
CONNECTIONS_MAX = 8
LOOK_MAX = 64 * 1024
RETRY_AFTER_MAX_S = 3600.0
OPERATION_MAX = 160
EXCERPT_MAX = 200
START = "start one with 'orch serve --repo PATH --test CMD'"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
Query = Mapping[str, str | int]

for _name in ("httpx", "httpcore"):
    # A line per request, and at debug level the headers too: neither belongs into a log.
    logging.getLogger(_name).setLevel(logging.WARNING)


class _Trust(TypedDict):
    """What each client of httpx is told about its surroundings."""

    trust_env: bool
    verify: ssl.SSLContext


def _trust(address: SplitResult) -> _Trust:
    """Say whether variables of the environment count (proxies, authorities) and whom to believe under TLS."""
    outside = address.hostname not in LOOPBACK
    return {"trust_env": outside, "verify": _tls(outside, authorities=outside or address.scheme == "https")}


@cache
def _tls(trust_env: bool, *, authorities: bool) -> ssl.SSLContext:
    """Make what believes the certificate authorities, or nobody. Reading them takes 50 ms: once, not for every connection."""
    return httpx.create_ssl_context(trust_env=trust_env) if authorities else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """An answer: *body* is the JSON object, a problem's too, empty for anything else; *text* is what came as plain text."""

    status: int
    body: Mapping[str, Any]
    text: str = ""


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
            **_trust(parts),
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
        text = response.text if response.headers.get("content-type", "").startswith("text/") else ""
        return HttpReply(status=response.status_code, body={} if text else _object(response), text=text)


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


# ------------------------------------------------------------------------------------------------ services


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """How a service is told who calls: *scheme* goes before the token where the header wants one (``token …``).

    A 401 means that the key is refused, and so does a 403 whose answer holds *refusal*; *advice* then says what to do.
    """

    header: str
    token: str = field(repr=False)
    scheme: str = ""
    refusal: str = ""
    advice: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReply:
    """An answer: *body* is the parsed JSON, None for an empty one (or, with an error's status, for one that is no JSON).

    *said* is its beginning for people. Header names are in lower case.
    """

    status: int
    body: Any
    said: str
    headers: Mapping[str, str]


@final
class ServiceClient:
    """One service's API under one key; every board or forge that uses the key shares it.

    A status of 2xx, or one that the caller *expects*, is an answer. Anything else is a TransientError (no connection, no
    answer in time, 408, 425, 429, 5xx, garbage) or a PermanentError (a redirect, another 4xx, an answer beyond *answer_max*
    bytes), and neither names the token. Where a bucket is given, each call takes a token of it first. *secret_path* stands
    between address and path in what is sent, and nowhere else: for a service that wants its token there.
    """

    def __init__(
        self,
        service: str,
        url: str,
        key: ApiKey | None,
        *,
        bucket: TokenBucket | None = None,
        answer_max: int = ANSWER_MAX,
        secret_path: str = "",
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{url!r} is no address of {service}: it begins with http:// or https:// and names a host")
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "orch"}
        if key is not None:
            register_secret(key.token)
            headers[key.header] = f"{key.scheme} {key.token}".strip()
        if secret_path:
            register_secret(secret_path)
        self.service = service
        self.url = url.rstrip("/")
        self._secret_path = secret_path
        self._key = key
        self._bucket = bucket
        self._rest = Rest()
        self._answer_max = answer_max
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(READ_S, connect=CONNECT_S),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
            follow_redirects=False,
            **_trust(parts),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, query: Query | None = None, *, expect: Container[int] = ()) -> ServiceReply:
        return await self.call("GET", path, query=query, expect=expect)

    async def post(self, path: str, body: object = None, *, expect: Container[int] = ()) -> ServiceReply:
        return await self.call("POST", path, body=body, expect=expect)

    async def patch(self, path: str, body: object, *, expect: Container[int] = ()) -> ServiceReply:
        return await self.call("PATCH", path, body=body, expect=expect)

    async def delete(self, path: str, *, expect: Container[int] = ()) -> ServiceReply:
        return await self.call("DELETE", path, expect=expect)

    async def call(
        self, method: str, path: str, *, query: Query | None = None, body: object = None, expect: Container[int] = ()
    ) -> ServiceReply:
        """Send one request below the service's address and return its answer; *path* begins with a slash and is quoted."""
        operation = f"{method} {path}"[:OPERATION_MAX]
        self._rest.check()
        if self._bucket is not None:
            await self._bucket.take()
        self._rest.enter()
        try:
            with anyio.fail_after(ANSWER_S):
                reply = await self._send(
                    operation,
                    self._client.build_request(method, self.url + self._secret_path + path, params=query, **_json(body)),
                )
        except httpx.InvalidURL as error:
            raise PermanentError(self.service, operation, redact(f"no URL: {error}")) from error
        except (TimeoutError, httpx.HTTPError, httpx.StreamError) as error:
            failure: ExternalError = TransientError(
                self.service, operation, f"no answer from {self.url} ({type(error).__name__})"
            )
            self._rest.failed(failure)
            raise failure from error
        except ExternalError as error:
            self._rest.failed(error)
            raise
        refused = self._key_refused(reply)
        answered = not refused and (200 <= reply.status < 300 or reply.status in expect)
        failed = None if answered else self._failure(operation, reply, refused=refused)
        if isinstance(failed, TransientError):
            self._rest.failed(failed)
        else:
            self._rest.succeeded()
        if failed is not None:
            raise failed
        return reply

    def _key_refused(self, reply: ServiceReply) -> bool:
        refusal = self._key.refusal if self._key is not None else ""
        return reply.status == 401 or (reply.status == 403 and bool(refusal) and refusal in reply.said)

    async def _send(self, operation: str, request: httpx.Request) -> ServiceReply:
        response = await self._client.send(request, stream=True)
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            if headers.get("content-encoding", "identity") not in ("", "identity"):
                raise PermanentError(self.service, operation, "the answer is compressed, which was not asked for: see the proxy")
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > self._answer_max:
                    raise PermanentError(self.service, operation, f"the answer has more than {self._answer_max:,} bytes")
        finally:
            # Part of an answer may be left: the connection is then closed, and nobody is to wait for it under cancellation.
            with anyio.move_on_after(CLOSE_S, shield=True):
                await response.aclose()
        content = bytearray(
            redact_bytes(bytes(content))
        )  # what echoes our headers tells nothing, and no cut leaves half a secret
        said = _excerpt(bytes(content[:EXCERPT_MAX]))
        try:
            body = json.loads(content) if content.strip() else None
        except (ValueError, RecursionError) as error:
            if response.is_success:
                raise TransientError(self.service, operation, f"the answer is no JSON: {said}") from error
            body = None
        return ServiceReply(status=response.status_code, body=body, said=said, headers=headers)

    def _failure(self, operation: str, reply: ServiceReply, *, refused: bool) -> ExternalError:
        detail = f"HTTP {reply.status} {reply.said}".strip()
        if reply.status >= 500 or reply.status in (408, 425, 429):
            return TransientError(self.service, operation, detail, retry_after=_retry_after(reply))
        if 300 <= reply.status < 400:
            return PermanentError(
                self.service,
                operation,
                f"HTTP {reply.status} leads to {_excerpt(reply.headers.get('location', '').encode())!r}, and a redirect is never "
                f"followed: configure the address that answers itself instead of {self.url}",
            )
        if refused:  # the operator's to mend: what waits for the service goes on then, nothing of it is given up
            advice = f"; {self._key.advice}" if self._key is not None and self._key.advice else ""
            return CredentialRefused(self.service, operation, detail + advice, retry_after=REFUSED_S)
        return PermanentError(self.service, operation, detail)


async def fetch_status(url: str, *, timeout_s: float, body_max: int = LOOK_MAX) -> int:
    """GET *url* once over a connection of its own and return its status; at most *body_max* bytes of the answer are read.

    No redirect is followed. Raises TransientError with a detail that names neither the address nor what it said.
    """
    parts = urlsplit(url)
    try:
        with anyio.fail_after(timeout_s):
            async with (
                httpx.AsyncClient(
                    headers={"User-Agent": "orch", "Accept-Encoding": "identity"},
                    timeout=None,
                    follow_redirects=False,
                    **_trust(parts),
                ) as client,
                client.stream("GET", url) as response,
            ):
                left = body_max
                async for chunk in response.aiter_raw():
                    left -= len(chunk)
                    if left <= 0:
                        break
                return response.status_code
    except TimeoutError as error:
        raise TransientError("http", "GET", f"no whole answer within {timeout_s:g} s") from error
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
        told = "no connection" if isinstance(error, httpx.ConnectError) else "no answer that can be read"
        raise TransientError("http", "GET", f"{told} ({type(error).__name__})") from error


def _json(body: object) -> dict[str, Any]:
    if body is None:
        return {}
    return {"content": json.dumps(body).encode(), "headers": {"Content-Type": "application/json"}}


def _excerpt(content: bytes) -> str:
    """Return the beginning of what a service said, on one line, without control characters and secrets."""
    text = redact(content.decode("utf-8", "replace"))
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _retry_after(reply: ServiceReply) -> float | None:
    """Return the answer's ``Retry-After`` in seconds, at most ``RETRY_AFTER_MAX_S``; a 429 without one means a minute."""
    said = reply.headers.get("retry-after", "").strip()
    seconds: float | None = MINUTE_S if reply.status == 429 else None
    try:
        if said.isascii() and said.isdigit():
            seconds = float(said[:9])
        elif said:
            until, now = parsedate_to_datetime(said), parsedate_to_datetime(reply.headers.get("date", ""))
            seconds = (until - now).total_seconds()
    except (ValueError, TypeError):
        pass  # neither a number nor a date: as if it were not there
    return None if seconds is None else min(max(seconds, 0.0), RETRY_AFTER_MAX_S)
