"""Gitea's hooks as values. No I/O, no clock: the signature over the raw body, and what the body tells.

Owns: ``verify_signature`` and ``parse_hook``. Does not own receiving or keeping a hook. Rule: nothing that a body holds raises,
and nothing in it is believed beyond its shape: an event is a hint to look again. Hooks come in any order, once or never, and
each tells the state at the time of sending.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from orch.adapters.gitea.wire import head_branch, is_of_repo, read_sha, read_state
from orch.adapters.hook_body import HookBody
from orch.ports import ForgeEvent, ForgeEventKind

EVENT_HEADER = "X-Gitea-Event"
SIGNATURE_HEADER = "X-Gitea-Signature"
HUB_SIGNATURE_HEADER = "X-Hub-Signature-256"
_HUB_PREFIX = "sha256="
_HEADS = "refs/heads/"
_NAME_MAX = 255
_NUMBER_MAX = 2**31
_PULL_KINDS = {
    "opened": ForgeEventKind.PULL_OPENED,
    "closed": ForgeEventKind.PULL_CLOSED,
    "reopened": ForgeEventKind.PULL_REOPENED,
    "synchronized": ForgeEventKind.PULL_SYNCHRONIZED,
    "edited": ForgeEventKind.PULL_EDITED,
}
_SIDE = {"ref": str, "label": str, "sha": str, "repo_id": int}
_BODY = HookBody(
    {
        **dict.fromkeys(("ref", "before", "after", "ref_type", "action", "sha", "state", "status", "context"), str),
        "repository": {"full_name": str},
        "sender": {"login": str},
        "number": int,
        "pull_request": {"number": int, "merged": bool, "head": _SIDE, "base": _SIDE},
    }
)
_IGNORED = ForgeEvent(kind=ForgeEventKind.IGNORED)
Table = Mapping[str, Any]


def verify_signature(secret: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Say whether *body* was signed with *secret*, in constant time. An empty signature or secret is never right.

    Gitea's own header decides; the one in the fashion of another forge counts where that is missing.
    """
    named = {name.lower(): value for name, value in headers.items()}
    given = named.get(SIGNATURE_HEADER.lower(), "")
    if not given:
        hub = named.get(HUB_SIGNATURE_HEADER.lower(), "")
        given = hub.removeprefix(_HUB_PREFIX) if hub.startswith(_HUB_PREFIX) else ""
    if not secret or not given:
        return False
    expected = hmac.new(secret.encode("utf-8", "surrogatepass"), body, sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), given.strip().lower().encode("utf-8", "surrogatepass"))


def parse_hook(event: str, body: bytes) -> ForgeEvent:
    """Return what a hook tells; *event* is the ``X-Gitea-Event`` header. What is of no use, or unreadable, is IGNORED."""
    try:
        read = _BODY.load(body)
    except (ValueError, RecursionError):
        return _IGNORED
    parse = _PARSERS.get(event.strip().lower())
    told = _IGNORED if parse is None else parse(read)
    repo, actor = _text(_table(read, "repository"), "full_name"), _text(_table(read, "sender"), "login")
    return replace(told, repo=repo, actor=actor)


def _push(body: Table) -> ForgeEvent:
    """A push to a branch; the forge's own test hook says the same commit twice."""
    ref, before, after = _text(body, "ref"), _sha(body, "before"), _sha(body, "after")
    branch = ref.removeprefix(_HEADS)
    if branch == ref or not branch or after is None or before == after:
        return _IGNORED
    return ForgeEvent(kind=ForgeEventKind.PUSHED, branch=branch, sha=after, before=before)


def _created(body: Table) -> ForgeEvent:
    branch = _branch(body)
    if not branch:
        return _IGNORED
    return ForgeEvent(kind=ForgeEventKind.BRANCH_CREATED, branch=branch, sha=_sha(body, "sha"))


def _deleted(body: Table) -> ForgeEvent:
    branch = _branch(body)
    return ForgeEvent(kind=ForgeEventKind.BRANCH_DELETED, branch=branch) if branch else _IGNORED


def _branch(body: Table) -> str:
    return _text(body, "ref").removeprefix(_HEADS) if body.get("ref_type") == "branch" else ""


def _pull_request(body: Table) -> ForgeEvent:
    """A pull request of the repo's own branches; a fork's branch may have the name of one of ours."""
    pull, action = _table(body, "pull_request"), body.get("action")
    head, base = _table(pull, "head"), _table(pull, "base")
    kind = _PULL_KINDS.get(action) if isinstance(action, str) else None
    number = _number(body.get("number")) or _number(pull.get("number"))
    if kind is None or number is None or not is_of_repo(head, base):
        return _IGNORED
    return ForgeEvent(
        kind=kind,
        number=number,
        branch=_safe(head_branch(head)),
        base=_text(base, "ref"),
        sha=_sha(head, "sha"),
        merged=pull.get("merged") is True,
    )


def _status(body: Table) -> ForgeEvent:
    sha = _sha(body, "sha")
    if sha is None:
        return _IGNORED
    state = read_state(body.get("state", body.get("status")))
    return ForgeEvent(kind=ForgeEventKind.STATUS, sha=sha, state=state, context=_text(body, "context"))


_PARSERS: Mapping[str, Callable[[Table], ForgeEvent]] = {
    "push": _push,
    "create": _created,
    "delete": _deleted,
    "pull_request": _pull_request,
    "status": _status,
}


# ------------------------------------------------------------------------------------------------ reading hostile JSON


def _table(table: Table, key: str) -> Table:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _text(table: Table, key: str) -> str:
    return _safe(table.get(key))


def _safe(value: object) -> str:
    """Return a short, printable text, or nothing: control characters and halves of characters have no place in a name."""
    return value if isinstance(value, str) and len(value) <= _NAME_MAX and value.isprintable() else ""


def _sha(table: Table, key: str) -> Any:
    """Return a commit; the row of zeros that stands for none is none."""
    sha = read_sha(table.get(key))
    return sha if sha is not None and sha.strip("0") else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _NUMBER_MAX else None
