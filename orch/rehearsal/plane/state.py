"""What the fake Plane remembers, and the rules by which a write changes it.

Owns: users, keys, projects, columns, work items, comments, relations; what a PATCH really does, phantoms included. Does not own
HTTP, the activity log and the hooks (``Worker``). Rule: people and programs change the state through the same methods, each
in its own dialect; every write is logged with who did it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Protocol
from uuid import UUID

from orch.core.first_hour import GROUPS as GROUP_OF
from orch.core.statuses import DEFAULT_NAMES
from orch.rehearsal.plane.access import Refused, invalid, not_found

ADMIN, MEMBER, GUEST = 20, 15, 5
PRIORITIES = ("urgent", "high", "medium", "low", "none")
GROUPS = ("backlog", "unstarted", "started", "completed", "cancelled", "triage")
COLUMNS: Mapping[str, str] = {name: GROUP_OF[status] for status, name in DEFAULT_NAMES.items()}
"""A column for every step of the line."""
FRESH: Mapping[str, str] = {
    "Backlog": "backlog",
    "Todo": "unstarted",
    "In Progress": "started",
    "Done": "completed",
    "Cancelled": "cancelled",
}
"""What a new project begins with."""
WRITABLE = ("name", "description_html", "state", "priority", "external_source", "external_id")
STEP = timedelta(milliseconds=1)
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
"""When the server's own clock begins."""


@dataclass
class Time:
    """The fake's own clock: each stamp is a millisecond later than the one before; more passes when a test says so."""

    present: datetime = START
    on_tick: Callable[[], None] = lambda: None

    def stamp(self) -> datetime:
        self.present += STEP
        return self.present

    def tick(self, seconds: float) -> datetime:
        self.present += timedelta(seconds=seconds)
        self.on_tick()
        return self.present


@dataclass(frozen=True)
class Change:
    """One changed field, as a hook names it."""

    field: str
    old: Any
    new: Any


@dataclass
class User:
    id: str
    name: str
    role: int


@dataclass
class Column:
    id: str
    name: str
    group: str
    default: bool
    at: datetime


@dataclass
class Item:
    id: str
    project: str
    sequence: int
    name: str
    description_html: str
    state: str
    created_by: str
    created_at: datetime
    updated_at: datetime
    priority: str = "none"
    updated_by: str | None = None
    completed_at: datetime | None = None
    archived_at: datetime | None = None
    deleted_at: datetime | None = None
    external_source: str | None = None
    external_id: str | None = None


@dataclass
class Comment:
    id: str
    issue: str
    project: str
    actor: str
    created_by: str
    html: str
    created_at: datetime
    updated_at: datetime
    external_source: str | None = None
    external_id: str | None = None


@dataclass
class Project:
    id: str
    name: str
    identifier: str
    columns: dict[str, Column] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    comments: dict[str, Comment] = field(default_factory=dict)
    relations: list[tuple[str, str, str]] = field(default_factory=list)
    """(issue, ``blocked_by``, the issue that it waits for), and other types alike."""
    sequence: int = 0

    def column(self, name: str) -> Column:
        return next(column for column in self.columns.values() if column.name == name)

    def visible(self) -> list[Item]:
        return [item for item in self.items.values() if item.archived_at is None and item.deleted_at is None]


class Told(Protocol):
    """What the background worker is told of a change."""

    def entry(
        self,
        item: Item,
        actor: str,
        verb: str,
        field_: str | None,
        *,
        values: tuple[str | None, str | None] = (None, None),
        identifiers: tuple[str | None, str | None] = (None, None),
        touch: bool = True,
    ) -> None: ...

    def hook(self, event: str, action: str, about: str, actor: str, change: Change | None = None) -> None: ...


class State:
    def __init__(self, time: Time, log: Callable[[str, str], None], told: Told, seed: int) -> None:
        self.time = time
        self.users: dict[str, User] = {}
        self.keys: dict[str, str] = {}
        self.projects: dict[str, Project] = {}
        self.keeps_comment_ids = True
        """Off: a version that takes a comment with a known external id for another one."""
        self._log = log
        self._told = told
        self._random = Random(seed)
        self.workspace = self.new_id()

    def new_id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def new_key(self, user: User) -> str:
        key = f"plane_api_{self._random.getrandbits(128):032x}"
        self.keys[key] = user.id
        return key

    def add_user(self, name: str, role: int) -> User:
        user = User(self.new_id(), name, role)
        self.users[user.id] = user
        return user

    def add_project(self, name: str, identifier: str, columns: Mapping[str, str]) -> Project:
        made = Project(self.new_id(), name, identifier)
        self.projects[made.id] = made
        for column, group in columns.items():
            self.add_column(made, column, group, default=not made.columns)
        return made

    def add_column(self, project: Project, name: str, group: str, *, default: bool = False) -> Column:
        made = Column(self.new_id(), name, group, default, self.time.stamp())
        project.columns[made.id] = made
        return made

    # ------------------------------------------------------------------------------------------ work items

    def create(self, project: Project, actor: str, fields: Mapping[str, Any]) -> Item:
        self._checked(project, fields)
        if not isinstance(fields.get("name"), str) or not fields["name"]:
            raise invalid("name", "This field is required.")
        source, external = fields.get("external_source"), fields.get("external_id")
        for item in project.items.values():
            if source and external and (item.external_source, item.external_id, item.deleted_at) == (source, external, None):
                said = "Issue with the same external id and external source already exists"
                raise Refused(409, {"error": said, "id": item.id})
        project.sequence += 1
        at = self.time.stamp()
        default = next(column.id for column in project.columns.values() if column.default)
        item = Item(
            id=self.new_id(),
            project=project.id,
            sequence=project.sequence,
            name=fields["name"],
            description_html=fields.get("description_html") or "<p></p>",
            state=fields.get("state") or default,
            priority=fields.get("priority") or "none",
            external_source=source,
            external_id=external,
            created_by=actor,
            created_at=at,
            updated_at=at,
        )
        project.items[item.id] = item
        self._log("create", f"{self.users[actor].name} {item.name}")
        self._told.entry(item, actor, "created", None)
        self._told.hook("issue", "created", item.id, actor)
        return item

    def patch(self, item: Item, actor: str, fields: Mapping[str, Any], *, read: Item | None = None, app: bool = False) -> None:
        """Write *fields* as the API does: on the row as it was *read*, every column of which is saved.

        *app* is the dialect of the pages that people use: its hooks say ``state_id`` where the API's say ``state``.
        """
        project = self.projects[item.project]
        self._checked(project, fields)
        before = replace(read or item)
        changes = {name: fields[name] for name in WRITABLE if name in fields}
        if "state" in changes and changes["state"] is None:
            changes["state"] = next(column.id for column in project.columns.values() if column.default)
        for name in WRITABLE:
            setattr(item, name, changes.get(name, getattr(before, name)))
        item.updated_at, item.updated_by = self.time.stamp(), actor
        item.completed_at = item.updated_at if project.columns[item.state].group == "completed" else None
        self._phantoms(item, before, actor, fields)
        for name, value in changes.items():
            old = getattr(before, name)
            if old != value:
                shown = project.columns[value].name if name == "state" else value
                self._log(f"patch {name}", f"{self.users[actor].name} {item.name}: {shown}")
                if name != "state":
                    self._told.entry(item, actor, "updated", name.removesuffix("_html"), values=(str(old), str(value)))
                elif "state_id" not in fields:
                    self._tell_move(item, actor, old, fields["state"])
                self._told.hook(
                    "issue", "updated", item.id, actor, Change("state_id" if app and name == "state" else name, old, value)
                )

    def _tell_move(self, item: Item, actor: str, old: str | None, new: str | None) -> None:
        """Write the entry of a move as it was asked for: its values are names of this moment."""
        columns = self.projects[item.project].columns
        names = (columns[old].name if old else None, columns[new].name if new else None)
        self._told.entry(item, actor, "updated", "state", values=names, identifiers=(old, new))

    def _phantoms(self, item: Item, before: Item, actor: str, fields: Mapping[str, Any]) -> None:
        """Write the entries of fields that change nothing: seen for each of these names."""
        columns = self.projects[item.project].columns
        for name, old in (("state_id", before.state), ("closed_to", None)):
            target = fields.get(name)
            if target in columns and target != old:
                self._tell_move(item, actor, old, target)
        if fields.get("archived_at"):
            self._told.entry(item, actor, "updated", "archived_at", values=(None, "manual_archive"))

    def _checked(self, project: Project, fields: Mapping[str, Any]) -> None:
        """Refuse what the serializer refuses; unknown fields are nobody's business."""
        state = fields.get("state")
        if state is not None and state not in project.columns:
            try:
                UUID(str(state))
            except ValueError:
                raise invalid("state", f"“{state}” is not a valid UUID.") from None
            raise invalid("state", f'Invalid pk "{state}" - object does not exist.')
        if fields.get("priority") is not None and fields["priority"] not in PRIORITIES:
            raise invalid("priority", f'"{fields["priority"]}" is not a valid choice.')
        if len(str(fields.get("name", ""))) > 255:
            raise invalid("name", "Ensure this field has no more than 255 characters.")

    def archive(self, item: Item, actor: str, *, archived: bool) -> None:
        if archived and self.projects[item.project].columns[item.state].group not in ("completed", "cancelled"):
            raise Refused(400, {"error": "Can only archive completed or cancelled state group issue"})
        item.archived_at = self.time.stamp() if archived else None
        self._log("archive" if archived else "restore", f"{self.users[actor].name} {item.name}")
        self._told.entry(item, actor, "updated", "archived_at", values=(None, "manual_archive" if archived else "restore"))

    def delete(self, item: Item, actor: str) -> None:
        user = self.users[actor]
        if user.role < ADMIN and item.created_by != actor:
            raise Refused(403, {"error": "Only admin or creator can delete the work item"})
        item.deleted_at = self.time.stamp()
        self._log("delete", f"{user.name} {item.name}")
        self._told.entry(item, actor, "deleted", "issue")

    # ------------------------------------------------------------------------------------------ comments and relations

    def comment(self, project: Project, issue: str, actor: str, fields: Mapping[str, Any]) -> Comment:
        """Take whatever is posted: a deleted card's too, and whoever and whenever the poster says that it was."""
        if issue not in project.items:
            raise Refused(400, {"error": "The payload is not valid"})
        source, external = fields.get("external_source"), fields.get("external_id")
        for known in project.comments.values() if self.keeps_comment_ids else ():
            if source and external and (known.external_source, known.external_id) == (source, external):
                said = "Work item comment with the same external id and external source already exists"
                raise Refused(409, {"error": said, "id": known.id})
        at = self.time.stamp()
        made = Comment(
            id=self.new_id(),
            issue=issue,
            project=project.id,
            actor=actor,
            created_by=fields.get("created_by") or actor,
            html=fields.get("comment_html", ""),
            created_at=datetime.fromisoformat(fields["created_at"]) if fields.get("created_at") else at,
            updated_at=at,
            external_source=source,
            external_id=external,
        )
        project.comments[made.id] = made
        project.items[issue].updated_at = at
        self._log("comment", f"{self.users[actor].name} {made.html}")
        self._told.hook("issue_comment", "created", made.id, actor)
        return made

    def edit_comment(self, comment: Comment, actor: str, html: str) -> None:
        old, comment.html, comment.updated_at = comment.html, html, self.time.stamp()
        self.projects[comment.project].items[comment.issue].updated_at = comment.updated_at
        self._log("edit comment", f"{self.users[actor].name} {html}")
        self._told.hook("issue_comment", "updated", comment.id, actor, Change("comment_html", old, html))

    def delete_comment(self, comment: Comment, actor: str) -> None:
        project = self.projects[comment.project]
        del project.comments[comment.id]
        project.items[comment.issue].updated_at = self.time.stamp()
        self._log("delete comment", f"{self.users[actor].name} {comment.html}")

    def relate(self, project: Project, item: Item, kind: str, others: list[str], actor: str) -> list[Item]:
        """Add relations; asking twice is answered alike. Only the side that was written counts as updated, and no hook tells."""
        for other in others:
            if other not in project.items:
                raise not_found()
            if any({first, second} == {item.id, other} for first, _, second in project.relations):
                continue
            project.relations.append((item.id, kind, other))
            item.updated_at = self.time.stamp()
            self._log("relate", f"{self.users[actor].name} {item.name} {kind} {project.items[other].name}")
            self._told.entry(item, actor, "updated", kind)
            self._told.entry(project.items[other], actor, "updated", "blocking" if kind == "blocked_by" else kind, touch=False)
        return [project.items[other] for other in others]

    def unrelate(self, project: Project, item: Item, other: str, actor: str) -> None:
        """Take a relation back, as the pages can and the API cannot; again no hook tells."""
        project.relations[:] = [each for each in project.relations if {each[0], each[2]} != {item.id, other}]
        item.updated_at = self.time.stamp()
        self._log("unrelate", f"{self.users[actor].name} {item.name} {project.items[other].name}")
        self._told.entry(item, actor, "updated", "blocked_by")
