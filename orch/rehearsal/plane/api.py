"""The REST API v1 of the fake Plane.

Owns: the routes, pages and what a caller may ask for. Does not own what a write means (``State``). Rule: what a real server
ignores is ignored here, what it gets wrong is wrong here.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quart import Blueprint, request
from quart.typing import ResponseReturnValue

from orch.rehearsal.plane.access import Refused, forbidden, not_found, went_wrong
from orch.rehearsal.plane.answers import RELATIONS, Json
from orch.rehearsal.plane.state import GROUPS, GUEST, Comment, Item, Project

if TYPE_CHECKING:
    from orch.rehearsal.plane.server import FakePlane

PER_PAGE_MAX = 1000
_CURSOR = re.compile(r"(\d+):(-?\d+):([01])")
_ORDERS = {"created_at", "updated_at", "sequence_id", "epoch", "name"}


def page_of(rows: list[Json], page_max: int) -> Json:
    """Return one page as the query asks for it; a cursor is an offset."""
    asked = request.args.get("per_page", str(page_max))
    if not asked.isdigit() or int(asked) < 1:
        raise Refused(400, {"detail": "Invalid per_page parameter."})
    if int(asked) > page_max:
        raise Refused(400, {"detail": f"Invalid per_page value. Cannot exceed {page_max}."})
    cursor = _CURSOR.fullmatch(request.args.get("cursor", f"{asked}:0:0"))
    if cursor is None:
        raise Refused(400, {"detail": "Invalid cursor parameter."})
    size, page = int(asked), max(int(cursor[2]), 0)
    shown = rows[page * size : (page + 1) * size]
    more = len(rows) > (page + 1) * size
    return {
        "grouped_by": None,
        "sub_grouped_by": None,
        "total_count": len(rows),
        "next_cursor": f"{size}:{page + 1}:0",
        "prev_cursor": f"{size}:{page - 1}:1",
        "next_page_results": more,
        "prev_page_results": page > 0,
        "count": len(shown),
        "total_pages": -(-len(rows) // size),
        "total_results": len(rows),
        "extra_stats": None,
        "results": shown,
    }


def plane_routes(plane: "FakePlane") -> Blueprint:
    routes = Blueprint("plane", __name__)
    base = "/api/v1/workspaces/<slug>/projects/<pid>/"
    items = f"{base}work-items/"
    state, answers = plane.state, plane.answers

    def project(slug: str, pid: str) -> Project:
        if slug != plane.workspace:
            raise forbidden()
        if pid not in state.projects:
            raise not_found()
        return state.projects[pid]

    def item(slug: str, pid: str, iid: str) -> Item:
        """Return an item that is to be seen; what is archived is not there."""
        found = project(slug, pid).items.get(iid)
        if found is None or found.deleted_at is not None or found.archived_at is not None:
            raise not_found()
        return found

    def shown(answer: Json) -> Json:
        answer = answers.expanded(answer, request.args.get("expand", ""))
        fields = request.args.get("fields", "")
        return {name: answer[name] for name in fields.split(",") if name in answer} if fields else answer

    def paged(found: Iterable[Json]) -> Json:
        return page_of([shown(answer) for answer in found], plane.page_max)

    def ordered(rows: list[Any], default: str, key: Callable[[Any, str], Any]) -> list[Any]:
        order = request.args.get("order_by", default)
        if order.lstrip("-") not in _ORDERS:
            raise went_wrong()
        return sorted(rows, key=lambda row: key(row, order.lstrip("-")), reverse=order.startswith("-"))

    async def body() -> Json:
        sent = await request.get_json(force=True, silent=True)
        return sent if isinstance(sent, dict) else {}

    def stored(answer: Json, status: int) -> ResponseReturnValue:
        """Answer a write; with the broker down it is stored all the same."""
        if not plane.worker.broker:
            raise went_wrong()
        return answer, status

    @routes.get("/api/v1/users/me/")
    async def me() -> ResponseReturnValue:
        async with plane.faults.at("users.me"):
            return answers.user(plane.caller())

    @routes.get("/api/v1/workspaces/<slug>/projects/")
    async def projects(slug: str) -> ResponseReturnValue:
        async with plane.faults.at("projects.list"):
            if slug != plane.workspace:
                raise forbidden()
            return paged(answers.project(each) for each in state.projects.values())

    @routes.get(f"{base}states/")
    async def states(slug: str, pid: str) -> ResponseReturnValue:
        async with plane.faults.at("states.list"):
            here = project(slug, pid)
            return paged(answers.column(here, column) for column in here.columns.values())

    @routes.post(f"{base}states/")
    async def make_state(slug: str, pid: str) -> ResponseReturnValue:
        async with plane.faults.at("states.post"):
            here, sent = project(slug, pid), await body()
            name, group = str(sent.get("name", "")), sent.get("group") or "backlog"
            if plane.caller().role <= GUEST:
                raise forbidden()
            if "color" not in sent:
                raise Refused(400, {"color": ["This field is required."]})
            if group == "triage" or group not in GROUPS:
                raise Refused(400, {"error": "Cannot create triage state"} if group == "triage" else {"group": ["not a choice"]})
            for column in here.columns.values():
                if column.name == name:
                    said = "State with the same name already exists in the project"
                    raise Refused(409, {"error": said, "id": column.id})
                if column.name == name.strip():
                    raise went_wrong()
            return answers.column(here, state.add_column(here, name, group)), 200

    @routes.get(items)
    async def list_items(slug: str, pid: str) -> ResponseReturnValue:
        async with plane.faults.at("items.list"):
            here = project(slug, pid)
            source, external = request.args.get("external_source"), request.args.get("external_id")
            if source and external:
                for each in here.visible():
                    if (each.external_source, each.external_id) == (source, external):
                        return shown(answers.item(each))
                raise not_found()
            attributes = {"sequence_id": "sequence"}
            found = ordered(here.visible(), "-created_at", lambda row, name: getattr(row, attributes.get(name, name)))
            return paged(answers.item(each) for each in found)

    @routes.post(items)
    async def make_item(slug: str, pid: str) -> ResponseReturnValue:
        async with plane.faults.at("items.post"):
            made = state.create(project(slug, pid), plane.caller().id, await body())
            return stored(answers.item(made), 201)

    @routes.get("/api/v1/workspaces/<slug>/work-items/<key>/")
    async def item_by_key(slug: str, key: str) -> ResponseReturnValue:
        async with plane.faults.at("items.get"):
            identifier, _, number = key.rpartition("-")
            for here in state.projects.values():
                for each in here.visible() if here.identifier == identifier and slug == plane.workspace else ():
                    if str(each.sequence) == number:
                        return shown(answers.item(each))
            raise not_found()

    @routes.get(f"{items}<iid>/")
    async def get_item(slug: str, pid: str, iid: str) -> ResponseReturnValue:
        async with plane.faults.at("items.get"):
            return shown(answers.item(item(slug, pid, iid)))

    @routes.patch(f"{items}<iid>/")
    async def patch_item(slug: str, pid: str, iid: str) -> ResponseReturnValue:
        here, sent = project(slug, pid), await body()
        found = here.items.get(iid)
        if found is None or found.deleted_at is not None:
            raise not_found()
        read = replace(found)  # the row as this request read it: whatever changes while it is held is written over
        async with plane.faults.at("items.patch"):
            state.patch(found, plane.caller().id, sent, read=read)
            return stored(answers.item(found), 200)

    @routes.delete(f"{items}<iid>/")
    async def delete_item(slug: str, pid: str, iid: str) -> ResponseReturnValue:
        async with plane.faults.at("items.delete"):
            state.delete(item(slug, pid, iid), plane.caller().id)
            return "", 204

    @routes.get(f"{items}<iid>/activities/")
    async def activities(slug: str, pid: str, iid: str) -> ResponseReturnValue:
        async with plane.faults.at("activities.list"):
            project(slug, pid)
            entries = [entry for entry in plane.worker.read(iid) if entry.created_at is not None]
            return paged(answers.entry(each) for each in ordered(entries, "created_at", getattr))

    @routes.get(f"{items}<iid>/comments/")
    async def comments(slug: str, pid: str, iid: str) -> ResponseReturnValue:
        async with plane.faults.at("comments.list"):
            found = [each for each in project(slug, pid).comments.values() if each.issue == iid]
            return paged(answers.comment(each) for each in sorted(found, key=lambda each: each.created_at, reverse=True))

    @routes.post(f"{items}<iid>/comments/")
    async def make_comment(slug: str, pid: str, iid: str) -> ResponseReturnValue:
        async with plane.faults.at("comments.post"):
            made = state.comment(project(slug, pid), iid, plane.caller().id, await body())
            return stored(answers.comment(made), 201)

    def known_comment(slug: str, pid: str, cid: str) -> Comment:
        found = project(slug, pid).comments.get(cid)
        if found is None:
            raise not_found()
        return found

    @routes.patch(f"{items}<iid>/comments/<cid>/")
    async def patch_comment(slug: str, pid: str, iid: str, cid: str) -> ResponseReturnValue:
        async with plane.faults.at("comments.patch"):
            found, sent = known_comment(slug, pid, cid), await body()
            state.edit_comment(found, plane.caller().id, sent.get("comment_html", found.html))
            return stored(answers.comment(found), 200)

    @routes.delete(f"{items}<iid>/comments/<cid>/")
    async def delete_comment(slug: str, pid: str, iid: str, cid: str) -> ResponseReturnValue:
        async with plane.faults.at("comments.delete"):
            state.delete_comment(known_comment(slug, pid, cid), plane.caller().id)
            return "", 204

    @routes.get(f"{items}<iid>/relations/")
    async def relations(slug: str, pid: str, iid: str) -> ResponseReturnValue:
        async with plane.faults.at("relations.list"):
            if not plane.has_relations:
                raise Refused(404, {"error": "Page not found."})
            return answers.relations(project(slug, pid), iid)

    @routes.post(f"{items}<iid>/relations/")
    async def relate(slug: str, pid: str, iid: str) -> ResponseReturnValue:
        async with plane.faults.at("relations.post"):
            sent = await body()
            kind = sent.get("relation_type", "")
            if kind not in RELATIONS:
                raise Refused(400, {"relation_type": [f'"{kind}" is not a valid choice.']})
            others = state.relate(project(slug, pid), item(slug, pid, iid), kind, sent.get("issues", []), plane.caller().id)
            return [answers.related(kind, other) for other in others], 201

    return routes
