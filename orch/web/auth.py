"""Who may read and who may act: the token, the cookie session, Origin and Host.

Owns: the token file, the session cookie, and ``Gate``, which every request and every WebSocket passes.
Rule: acting needs the token always, on loopback too, because agents share it and must not approve themselves.
Reading needs it on any bind that is not loopback. Every comparison of a secret takes constant time.
"""

import hashlib
import hmac
import os
import secrets
import stat
from datetime import datetime, timedelta
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

from quart import Response
from quart.wrappers.base import BaseRequestWebsocket

from orch.core.errors import ConfigError
from orch.web.deps import WebDeps
from orch.web.problems import problem

TOKEN_FILE = "token"  # noqa: S105
TOKEN_MIN = 16
SESSION_LIFETIME = timedelta(days=7)
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/login"})
HOOK_PATHS = frozenset({"/webhook/plane", "/webhook/gitea"})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def load_or_make_token(data_dir: Path) -> str:
    """Return the data directory's token, making it (mode 0600) at the first start.

    Raises ConfigError when the file is no plain file, readable by others, or holds no token.
    """
    path = data_dir / TOKEN_FILE
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.is_symlink() and not path.exists():
            _make_token(path)
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode) or mode & 0o077:
                raise ConfigError(f"{path} can be read by others: chmod 600 it, or delete it and a new one is made")
            token = file.read(1024).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be used as the token file: {error}") from error
    if len(token) < TOKEN_MIN:
        raise ConfigError(f"{path} holds no token: delete it and a new one is made")
    return token


def _make_token(path: Path) -> None:
    """Write a new token whole or not at all; of two that race, the first stays."""
    draft = path.with_name(f".{TOKEN_FILE}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)


@final
class Gate:
    """Lets a request in or says why not."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps
        self._tokens = [_digest(token) for token in (deps.token, deps.admin_token) if token]
        self._key = hashlib.sha256(b"orch session\0" + deps.token.encode()).digest()
        self._public = urlsplit(deps.public_url)
        self._hosts = LOOPBACK | ({self._public.hostname} if self._public.hostname else set())
        self.cookie = f"orch_{hashlib.sha256(self._key).hexdigest()[:8]}"
        """Named after the token, because cookies do not tell the ports of one host apart."""

    @property
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return self._public.scheme == "https"

    def refuse(self, request: BaseRequestWebsocket, *, acting: bool, socket: bool = False) -> Response | None:
        """Return the problem that keeps *request* out, or None to let it in."""
        if request.path in OPEN_PATHS and not acting:
            return None
        if request.method == "POST" and request.path in HOOK_PATHS:
            return None  # its own signature is asked for there
        if not self._deps.require_token_for_reading and not self._host_known(request.host):
            # Another name that resolves to loopback is a page elsewhere that reads through the visitor's browser.
            return problem(421, "This daemon is not known by that host name; set public_url to the address that is used.")
        if socket and (origin := request.headers.get("Origin")) is not None and not self._origin_known(origin, request.host):
            return problem(403, "The page that asks is not one of this daemon's.")
        if self.by_bearer(request):
            return None
        if self.by_cookie(request):
            origin = request.headers.get("Origin", "")
            if acting and not self._origin_known(origin, request.host):
                return problem(403, "The page that asks is not one of this daemon's.")
            return None
        if acting or self._deps.require_token_for_reading:
            detail = "A token is needed: send 'Authorization: Bearer <token>', found in the file 'token' of the data directory."
            return problem(401, detail, {"WWW-Authenticate": "Bearer"})
        return None

    def by_bearer(self, request: BaseRequestWebsocket) -> bool:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        given = _digest(value.strip())
        # No early exit: the time must not tell which of the tokens came close.
        return sum(hmac.compare_digest(given, known) for known in self._tokens) > 0

    def by_cookie(self, request: BaseRequestWebsocket) -> bool:
        ends, _, mac = request.cookies.get(self.cookie, "").partition(".")
        if not (ends.isascii() and ends.isdigit() and len(ends) <= 12):
            return False
        genuine = hmac.compare_digest(_digest(mac), _digest(self._mac(ends)))
        return genuine and self._deps.clock.now().timestamp() < int(ends)

    def session(self, now: datetime) -> str:
        """Make a session cookie's value; it outlives a restart and ends with the token."""
        ends = str(int((now + SESSION_LIFETIME).timestamp()))
        return f"{ends}.{self._mac(ends)}"

    def _mac(self, ends: str) -> str:
        return hmac.new(self._key, ends.encode(), hashlib.sha256).hexdigest()

    def _host_known(self, host: str) -> bool:
        try:
            return urlsplit(f"//{host}").hostname in self._hosts
        except ValueError:
            return False

    def _origin_known(self, origin: str, host: str) -> bool:
        try:
            given = urlsplit(origin)
        except ValueError:
            return False
        if given.scheme not in ("http", "https"):
            return False
        public = (self._public.scheme, self._public.netloc.lower())
        return given.netloc.lower() == host.lower() or (given.scheme, given.netloc.lower()) == public


def _digest(secret: str) -> bytes:
    """Return what is compared: equal lengths, whatever text (a header may hold anything) came."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
