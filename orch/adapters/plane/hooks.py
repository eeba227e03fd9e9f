"""Plane's webhooks as values: signature and body.

Owns: ``verify_signature``, ``parse_hook`` and the key by which a repeated hook is known. Does not own what an event leads to.
Rule: pure, and never raises, whatever the body is. A hook is a hint to read an issue again: only ids are taken out of it, and
only as uuids. Both versions are read leniently: v1, with an ``activity``, and v2, whose own samples write null as ``"None"``.
"""

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, final

from orch.adapters.hook_body import HookBody
from orch.adapters.plane.parse import parse_uuid
from orch.core.ids import IssueId, UserId

SIGNATURE_HEADER = "X-Plane-Signature"
EVENT_HEADER = "X-Plane-Event"
TEXT_MAX = 80
_DATA = ("id", "issue", "project", "project_id", "updated_at", "updated_by", "updated_by_id", "created_by")
_BODY = HookBody(
    {
        **dict.fromkeys(("version", "event", "action", "entity_id", "event_id"), str),
        "data": {**dict.fromkeys(_DATA, str), "comment": {"issue": str, "issue_id": str}},
        "activity": {"field": str, "new_value": str, "actor": {"id": str}},
    }
)


class HookKind(StrEnum):
    ISSUE = "issue"
    COMMENT = "comment"
    DELETED = "deleted"
    OTHER = "other"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneHook:
    """What a hook tells. *project* is Plane's uuid, *field* the changed one (v1), *key* the same for every repetition."""

    kind: HookKind
    key: str
    event: str
    action: str
    issue: IssueId | None = None
    project: str | None = None
    actor: UserId | None = None
    field: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """A body that cannot be read, and why."""

    key: str
    reason: str


def verify_signature(secret: str, body: bytes, signature: str | None) -> bool:
    """Say, in constant time, whether *signature* is that of the raw *body*; without a secret or a signature nothing is."""
    wanted = hmac.new(secret.encode(), body, sha256).hexdigest()
    given = (signature or "").encode("utf-8", "replace")
    return hmac.compare_digest(wanted.encode(), given) and bool(secret)


def parse_hook(body: bytes) -> PlaneHook | Poison:
    """Return what *body* tells."""
    try:
        data = _BODY.load(body)
        return _v2(data) if data.get("version") == "v2" else _v1(data)
    except (ValueError, RecursionError) as error:
        return Poison(key=sha256(body).hexdigest(), reason=f"not a hook of Plane: {_line(str(error))}")


def _v1(body: Mapping[str, Any]) -> PlaneHook:
    data, activity = _table(body.get("data")), _table(body.get("activity"))
    event, action, field = _text(body.get("event")), _text(body.get("action")), _text(activity.get("field"))
    match event:
        case "issue":
            kind, issue = (HookKind.DELETED if action.startswith("delete") else HookKind.ISSUE), parse_uuid(data.get("id"))
        case "issue_comment":
            kind, issue = HookKind.COMMENT, parse_uuid(data.get("issue"))
        case _:
            kind, issue = HookKind.OTHER, None
    actor = parse_uuid(_table(activity.get("actor")).get("id")) or parse_uuid(activity.get("actor"))
    told = [event, action, data.get("id"), field, activity.get("new_value"), data.get("updated_at")]
    return PlaneHook(
        # An issue that is named by nothing to read it by tells nothing.
        kind=kind if issue is not None or kind is HookKind.OTHER else HookKind.OTHER,
        key=_hash(told),
        event=event,
        action=action,
        issue=None if issue is None else IssueId(issue),
        project=parse_uuid(data.get("project")) or parse_uuid(_table(data.get("project")).get("id")),
        actor=None if actor is None else UserId(actor),
        field=field,
    )


def _v2(body: Mapping[str, Any]) -> PlaneHook:
    data = _table(body.get("data"))
    event = _text(body.get("event"))
    words = [word for word in re.split(r"[._]+", event.lower()) if word]
    about_issue = "workitem" in words or "issue" in words or ("work" in words and "item" in words)
    about_comment = about_issue and "comment" in words
    entity = parse_uuid(body.get("entity_id"))
    if about_comment:
        comment = _table(data.get("comment"))
        issue = entity or parse_uuid(comment.get("issue")) or parse_uuid(comment.get("issue_id"))
    else:
        issue = (entity or parse_uuid(data.get("id"))) if about_issue else None
    deleted = about_issue and not about_comment and words[-1] == "deleted" and not {"relation", "dependency"} & set(words)
    kind = HookKind.COMMENT if about_comment else HookKind.DELETED if deleted else HookKind.ISSUE
    stable = parse_uuid(body.get("event_id"))
    project = next((found for name in ("project", "project_id") if (found := parse_uuid(data.get(name)))), None)
    actor = next((found for name in ("updated_by", "updated_by_id", "created_by") if (found := parse_uuid(data.get(name)))), None)
    return PlaneHook(
        kind=kind if issue is not None else HookKind.OTHER,
        key=_hash([stable]) if stable else _hash([event, body.get("entity_id"), data.get("updated_at"), body.get("data")]),
        event=event,
        action=words[-1] if words else "",
        issue=None if issue is None else IssueId(issue),
        project=project,
        actor=None if actor is None else UserId(actor),
    )


def _table(value: object) -> Mapping[str, Any]:
    """Return an object; of a list its first one, and an empty one for anything else."""
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict)), None)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return "" if not isinstance(value, str) or value == "None" else _line(value)


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text.encode("utf-8", "replace").decode())[:TEXT_MAX].strip()


def _hash(told: list[Any]) -> str:
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
