"""Who calls the fake Gitea, and what is answered instead of an answer.

Owns: authentication by token or password, and the exceptions by which a call ends early.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orch.rehearsal.gitea.state import ALL_SCOPES, Repo, State


@dataclass
class Refused(Exception):
    """The call is answered with *status*; None as *body* is an empty one, a text is one that is not JSON."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Cut(Exception):
    """The connection ends in the middle of the answer."""


@dataclass(frozen=True)
class Caller:
    """*scopes* are those of the token; a password may do everything."""

    login: str
    scopes: tuple[str, ...] = ALL_SCOPES


def problem(status: int, message: str) -> Refused:
    return Refused(status, {"message": message, "url": "http://gitea/api/swagger"})


def missing() -> Refused:
    return Refused(404, {"errors": [], "message": "The target couldn't be found.", "url": "http://gitea/api/swagger"})


def identify(state: State, header: str) -> Caller | None:
    """Return who a header is, None where there is none; raises Refused for one that is wrong."""
    if not header:
        return None
    scheme, _, value = header.partition(" ")
    if scheme.lower() in ("token", "bearer"):
        return _by_token(state, value.strip())
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _unknown() from error
    known = state.users.get(user)
    if known is not None and password == known.password:
        return Caller(user)
    return _by_token(state, user if password in ("", "x-oauth-basic") else password)


def _by_token(state: State, token: str) -> Caller:
    found = state.tokens.get(token)
    if found is None:
        raise _unknown()
    return Caller(found.login, found.scopes)


def _unknown() -> Refused:
    return problem(401, "invalid username, password or token")


def require_scope(caller: Caller, scope: str) -> None:
    """*scope* is such as ``read:repository``; the right to write holds the right to read."""
    if scope not in caller.scopes and scope.replace("read:", "write:") not in caller.scopes:
        raise problem(403, f"token does not have at least one of required scope(s): [{scope}]")


def visible(state: State, caller: Caller, name: str) -> Repo:
    """Return a repo; one that the caller may not read is answered as if it were not there."""
    repo = state.repos.get(name)
    if repo is None or caller.login not in repo.rights:
        raise missing()
    return repo


def require_write(repo: Repo, caller: Caller) -> None:
    if not repo.may_write(caller.login):
        raise problem(403, "user should have a permission to write to a repo")


def require_admin(repo: Repo, caller: Caller) -> None:
    if repo.rights.get(caller.login) != "admin":
        raise problem(403, "user should be an owner or a collaborator with admin write of a repository")
