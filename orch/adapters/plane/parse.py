"""Plane's JSON as the core's values.

Owns: what a field of Plane means to us. Does not own how it is fetched. Rule: pure; whatever is not as documented is a
``ValueError`` that names the field, never an attribute that happens to be missing; text for people is repaired here.
"""

import hashlib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from orch.adapters.local_board import TITLE_MAX, make_slug, repair
from orch.adapters.plane.text import read_html
from orch.core.ids import ActivityId, IssueId, ProjectName, UserId
from orch.core.model import Absence, Activity, BoardComment, BoardIssue
from orch.core.stages import Role
from orch.core.statuses import BoardState

SOURCE = "orch"
"""The ``external_source`` of whatever we make."""
SEQUENCE_MAX = 999_999_999
EXTERNAL_ID_MAX = 255
NAME_MAX = 255
TRIAGE = "triage"
"""A group that is hidden from people."""

_ROLES = {role.value: role for role in Role}

Row = Mapping[str, Any]


def parse_uuid(value: object) -> str | None:
    """Return *value* as a uuid in its usual form, or None for whatever else it is (``"None"`` and lists have been seen)."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        return str(UUID(value))
    except ValueError:
        return None


def _uuid(row: Row, name: str) -> str:
    found = parse_uuid(row.get(name))
    if found is None:
        raise ValueError(f"{name} is no uuid")
    return found


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return repair(value)


def parse_moment(value: object, name: str) -> datetime:
    """Return an ISO moment as an aware datetime; one without a zone is UTC."""
    if not isinstance(value, str) or len(value) > 64:
        raise ValueError(f"{name} is no moment")
    found = datetime.fromisoformat(value)
    return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)


def parse_state(row: Row) -> BoardState | None:
    """Return a column; None for the hidden one that new requests of guests wait in."""
    group = row.get("group")
    if group == TRIAGE or row.get("is_triage") is True:
        return None
    return BoardState(id=_uuid(row, "id"), name=_text(row, "name")[:NAME_MAX], group=group if isinstance(group, str) else "")


def parse_issue(row: Row, project: ProjectName, url_of: str) -> BoardIssue:
    """Return a work item; *url_of* is where people find it, with ``{id}`` in it. A description that is not there is empty."""
    sequence = row.get("sequence_id")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or not 0 < sequence <= SEQUENCE_MAX:
        raise ValueError("sequence_id is no number of an issue")
    title = " ".join(_text(row, "name").split())[:TITLE_MAX]
    described = row.get("description_html")
    state = row.get("state")
    issue = _uuid(row, "id")
    return BoardIssue(
        id=IssueId(issue),
        project=project,
        sequence=sequence,
        title=title,
        text=read_html(described) if isinstance(described, str) else "",
        slug=make_slug(title),
        state_id=parse_uuid(state.get("id") if isinstance(state, Mapping) else state) or "",
        updated_at=parse_moment(row.get("updated_at"), "updated_at"),
        created_at=parse_moment(row.get("created_at"), "created_at"),
        url=url_of.replace("{id}", issue),
        archived=row.get("archived_at") is not None,
    )


def parse_activity(row: Row, issue: IssueId, own: Collection[UserId]) -> Activity | None:
    """Return an entry about the state, or the one of the creation (with neither source nor target); None for any other.

    The entry's values are names of that moment; what counts are its identifiers. An entry without the old one is a phantom
    or an automation's, and comes out as a creation does: it can trigger nothing.
    """
    field, created = row.get("field"), row.get("verb") == "created"
    if field != "state" and not (field is None and created):
        return None
    actor, name = _person(row.get("actor"))
    return Activity(
        id=ActivityId(_uuid(row, "id")),
        issue=issue,
        actor=actor,
        actor_name=name,
        ours=actor in own,
        source=parse_uuid(row.get("old_identifier")) if field == "state" else None,
        target=parse_uuid(row.get("new_identifier")) if field == "state" else None,
        created_at=parse_moment(row.get("created_at"), "created_at"),
    )


def parse_comment(row: Row, issue: IssueId, own: Collection[UserId]) -> BoardComment | None:
    """Return a comment. Whoever posts one may choose its ``created_by`` and ``created_at``, so that the author is ``actor``,
    and a moment after the comment was last written is not believed."""
    if row.get("deleted_at") is not None:
        return None
    author, name = _person(row.get("actor"))
    created = parse_moment(row.get("created_at"), "created_at")
    written = parse_moment(row["updated_at"], "updated_at") if row.get("updated_at") is not None else created
    markup = row.get("comment_html")
    return BoardComment(
        id=_uuid(row, "id"),
        issue=issue,
        author=author,
        author_name=name,
        ours=author in own,
        role=role_of_key(row.get("external_id")) if author in own and row.get("external_source") == SOURCE else None,
        text=read_html(markup) if isinstance(markup, str) else "",
        created_at=min(created, written),
    )


def parse_absence(rows: list[Row]) -> Absence:
    """Tell from an activity log, newest entry first, why its issue is not to be found.

    Not only the newest entry counts: an archived card still takes status writes.
    """
    for row in rows:
        if row.get("verb") == "deleted" and row.get("field") in (None, "issue"):
            return Absence.DELETED
        if row.get("field") == "archived_at":
            return Absence.UNKNOWN if row.get("new_value") == "restore" else Absence.ARCHIVED
    return Absence.UNKNOWN


def _person(value: object) -> tuple[UserId, str]:
    """Return a user's id and name from a uuid or an expanded user; nobody at all is an empty id, which is never ours."""
    if isinstance(value, Mapping):
        name = value.get("display_name") or value.get("first_name")
        shown = " ".join(repair(name).split())[:NAME_MAX] if isinstance(name, str) else ""
        return UserId(parse_uuid(value.get("id")) or ""), shown
    return UserId(parse_uuid(value) or ""), ""


# ------------------------------------------------------------------------------------------------ our own marks


def comment_key(role: Role, issue: IssueId, key: str) -> str:
    """Return the ``external_id`` of a comment: ids are one per project on Plane, so that it names the issue too."""
    return external_id(f"{role}/{parse_uuid(issue) or issue}/{key}")


def external_id(name: str) -> str:
    """Return *name* as an ``external_id``; a long one keeps its beginning and becomes its own hash."""
    if len(name) <= EXTERNAL_ID_MAX:
        return name
    return f"{name[: EXTERNAL_ID_MAX - 65]}/{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()}"


def role_of_key(value: object) -> Role | None:
    """Return who spoke, from a comment's ``external_id``."""
    name = value.partition("/")[0] if isinstance(value, str) else ""
    return _ROLES.get(name)
