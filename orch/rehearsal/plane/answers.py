"""The JSON of the fake Plane: what its API answers and its hooks carry.

Owns: the shapes, written after what a real server answers. Rule: a payload shows the state at the time it is made; a state is a
uuid in the API and an object in a hook.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orch.rehearsal.plane.state import Column, Comment, Item, Project, State, User
from orch.rehearsal.plane.worker import Entry, Hook

COLOR = "#60646C"
RELATIONS = (
    "blocking",
    "blocked_by",
    "duplicate",
    "relates_to",
    "start_after",
    "start_before",
    "finish_after",
    "finish_before",
)
Json = dict[str, Any]


def moment(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Answers:
    def __init__(self, state: State) -> None:
        self._state = state

    def user(self, user: User) -> Json:
        return {
            "id": user.id,
            "first_name": user.name.capitalize(),
            "last_name": "",
            "email": f"{user.name}@example.com",
            "avatar": "",
            "avatar_url": None,
            "display_name": user.name,
        }

    def project(self, project: Project) -> Json:
        return {
            "id": project.id,
            "name": project.name,
            "description": "",
            "identifier": project.identifier,
            "network": 2,
            "project_lead": None,
            "default_assignee": None,
            "default_state": next((column.id for column in project.columns.values() if column.default), None),
            "archived_at": None,
            "workspace": self._state.workspace,
        }

    def column(self, project: Project, column: Column) -> Json:
        return {
            "id": column.id,
            "created_at": moment(column.at),
            "updated_at": moment(column.at),
            "deleted_at": None,
            "name": column.name,
            "description": "",
            "color": COLOR,
            "slug": "",
            "sequence": 15000.0,
            "group": column.group,
            "is_triage": column.group == "triage",
            "default": column.default,
            "external_source": None,
            "external_id": None,
            "created_by": None,
            "updated_by": None,
            "project": project.id,
            "workspace": self._state.workspace,
        }

    def item(self, item: Item) -> Json:
        return {
            "id": item.id,
            "type_id": None,
            **self._common(item),
            "state": item.state,
            "estimate_point": None,
            "type": None,
            "assignees": [],
            "labels": [],
        }

    def _common(self, item: Item) -> Json:
        return {
            "created_at": moment(item.created_at),
            "updated_at": moment(item.updated_at),
            "deleted_at": moment(item.deleted_at),
            "point": None,
            "name": item.name,
            "description_html": item.description_html,
            "description_binary": None,
            "priority": item.priority,
            "start_date": None,
            "target_date": None,
            "sequence_id": item.sequence,
            "sort_order": 65535.0,
            "completed_at": moment(item.completed_at),
            "archived_at": None if item.archived_at is None else item.archived_at.date().isoformat(),
            "is_draft": False,
            "external_source": item.external_source,
            "external_id": item.external_id,
            "created_by": item.created_by,
            "updated_by": item.updated_by,
            "project": item.project,
            "workspace": self._state.workspace,
            "parent": None,
        }

    def comment(self, comment: Comment) -> Json:
        return {
            "id": comment.id,
            "created_at": moment(comment.created_at),
            "updated_at": moment(comment.updated_at),
            "deleted_at": None,
            "comment_html": comment.html,
            "attachments": [],
            "access": "INTERNAL",
            "external_source": comment.external_source,
            "external_id": comment.external_id,
            "edited_at": None,
            "created_by": comment.created_by,
            "updated_by": comment.created_by,
            "project": comment.project,
            "workspace": self._state.workspace,
            "description": comment.id,
            "issue": comment.issue,
            "actor": comment.actor,
            "parent": None,
        }

    def entry(self, entry: Entry) -> Json:
        said = {"created": "created the issue", "deleted": "deleted the issue"}.get(entry.verb, f"updated the {entry.field} to")
        return {
            "id": entry.id,
            "created_at": moment(entry.created_at),
            "updated_at": moment(entry.created_at),
            "deleted_at": None,
            "verb": entry.verb,
            "field": entry.field,
            "old_value": entry.values[0],
            "new_value": entry.values[1],
            "comment": said,
            "attachments": [],
            "old_identifier": entry.identifiers[0],
            "new_identifier": entry.identifiers[1],
            "epoch": entry.epoch,
            "project": entry.item.project,
            "workspace": self._state.workspace,
            "issue": entry.issue,
            "issue_comment": None,
            "actor": entry.actor,
        }

    def relations(self, project: Project, item: str) -> Json:
        told: Json = {kind: [] for kind in RELATIONS}
        for first, kind, second in project.relations:
            if first == item:
                told[kind].append({"project_id": project.id, "issue_id": second})
            elif second == item:
                reverse = {"blocked_by": "blocking", "blocking": "blocked_by"}.get(kind, kind)
                told[reverse].append({"project_id": project.id, "issue_id": first})
        return told

    def related(self, kind: str, other: Item) -> Json:
        return {
            "id": other.id,
            "project_id": other.project,
            "sequence_id": other.sequence,
            "relation_type": kind,
            "name": other.name,
            "state_id": other.state,
            "priority": other.priority,
            "created_by": other.created_by,
            "created_at": moment(other.created_at),
            "updated_at": moment(other.updated_at),
            "updated_by": other.created_by,
        }

    def expanded(self, answer: Json, names: str) -> Json:
        """Put objects in the place of ids, for the names that this fake knows."""
        wanted = set(names.split(","))
        if "actor" in wanted and answer.get("actor") in self._state.users:
            answer = answer | {"actor": self.user(self._state.users[answer["actor"]])}
        if "state" in wanted and "state" in answer:
            answer = answer | {"state": self._state_lite(answer["project"], answer["state"])}
        return answer

    def _state_lite(self, project: str, state: str) -> Json:
        column = self._state.projects[project].columns[state]
        return {"id": column.id, "name": column.name, "color": COLOR, "group": column.group}

    # ------------------------------------------------------------------------------------------ hooks

    def hook(self, hook: Hook) -> Json | None:
        """Return a hook's body as of now; None where what it tells of is gone."""
        data = self._hook_data(hook)
        if data is None:
            return None
        change = hook.change
        return {
            "event": hook.event,
            "action": hook.action,
            "webhook_id": hook.webhook.id,
            "workspace_id": self._state.workspace,
            "data": data,
            "activity": {
                "field": None if change is None else change.field,
                "new_value": None if change is None else change.new,
                "old_value": None if change is None else change.old,
                "actor": self.user(self._state.users[hook.actor]),
                "old_identifier": None,
                "new_identifier": None,
            },
        }

    def _hook_data(self, hook: Hook) -> Mapping[str, Any] | None:
        for project in self._state.projects.values():
            item, comment = project.items.get(hook.about), project.comments.get(hook.about)
            if item is not None and item.deleted_at is None:
                return {
                    "id": item.id,
                    "labels": [],
                    "assignees": [],
                    "state": self._state_lite(project.id, item.state),
                    "description": {},
                    "description_json": {},
                    "description_stripped": re.sub(r"<[^>]*>", "", item.description_html),
                    **self._common(item),
                    "estimate_point": None,
                    "type": None,
                }
            if comment is not None:
                return self.comment(comment)
        return None
