"""The ``Board`` port on Plane.

Owns: which calls read or write what, and how a write is made safe to repeat. Does not own what an entry or a comment means.

Desired properties: a write that was answered with a failure and stored all the same is one write; nothing that a person set is
taken for ours; a card that is gone is told from one that cannot be seen.
Design: whatever we make carries an external id, which Plane keeps once per project (a second one is a 409 that names the
first). A state is written under the name ``state``, since ``state_id`` is answered with 200 and changes nothing; it is read back.
Races we accept: Plane has no conditional write, and a write saves every field as it was read: two at once may undo each other.
The log then does not explain the column, which is the caller's to notice.
"""

from collections.abc import Awaitable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar, final
from uuid import UUID

from orch.adapters.local_board import TITLE_MAX, repair
from orch.adapters.plane.accounts import PlaneAccounts
from orch.adapters.plane.api import SERVICE, Row, garbage, row_of
from orch.adapters.plane.parse import (
    SOURCE,
    comment_key,
    external_id,
    parse_activity,
    parse_comment,
    parse_moment,
    parse_state,
    parse_uuid,
)
from orch.adapters.plane.project import PlaneProject, read
from orch.adapters.plane.text import write_html
from orch.core.errors import ExternalError, PermanentError, TransientError
from orch.core.ids import IssueId, ProjectName
from orch.core.model import Absence, Activity, BoardComment, BoardIssue
from orch.core.render.catalogue import say
from orch.core.stages import Role
from orch.core.statuses import BoardState

BEHIND = timedelta(minutes=10)
"""How far a look at the log reaches behind the newest entry that was handled: entries may be written late."""
COMMENT_PAGES = 20
LISTED = "id,sequence_id,name,state,created_at,updated_at,archived_at"
"""What a poll reads of each issue: descriptions would make it many times larger."""
LOGGED = "id,verb,field,old_identifier,new_identifier,actor,created_at"

T = TypeVar("T")


@final
class PlaneBoard:
    """One project of Plane. *board_project* is its uuid there; *language* is that of the names of roles."""

    def __init__(self, accounts: PlaneAccounts, project: ProjectName, board_project: UUID, *, language: str = "en") -> None:
        self._accounts = accounts
        self._api = accounts.shared
        self._here = PlaneProject(accounts.shared, project, board_project, accounts.url)
        self._language = language

    # ------------------------------------------------------------------------------------------ reading

    async def fetch_states(self) -> list[BoardState]:
        rows = await self._api.rows(self._here.path("states"))
        states = [read(parse_state, row, "read the states") for row in rows]
        return [state for state in states if state is not None]

    async def fetch_issue(self, issue: IssueId) -> BoardIssue | None:
        row = await self._here.row(issue)
        found = None if row is None or row.get("deleted_at") is not None else self._here.parse(row)
        return None if found is None or found.archived else found

    async def fetch_absence(self, issue: IssueId) -> Absence:
        return await self._here.absence(issue)

    async def fetch_activities(self, issue: IssueId, *, since: datetime | None = None) -> list[Activity]:
        operation = "read the activities"
        path, own = self._here.item_path(issue, "activities", operation=operation), await self._accounts.own_users()
        query = {"order_by": "-created_at", "fields": LOGGED, "expand": "actor"}

        def reaches_back(row: Row) -> bool:
            return since is not None and _moment(row, "created_at", operation) < since - BEHIND

        rows = await self._api.rows(path, query, enough=reaches_back)
        entries = [read(partial(parse_activity, issue=issue, own=own), row, operation) for row in reversed(rows)]
        return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.created_at)

    async def fetch_comments(self, issue: IssueId) -> list[BoardComment]:
        operation = "read the comments"
        path, own = self._here.item_path(issue, "comments", operation=operation), await self._accounts.own_users()
        rows = await self._api.rows(path, {"expand": "actor"}, pages=COMMENT_PAGES)
        comments = [read(partial(parse_comment, issue=issue, own=own), row, operation) for row in reversed(rows)]
        return sorted((comment for comment in comments if comment is not None), key=lambda comment: comment.created_at)

    async def fetch_changed(self, since: datetime | None) -> list[BoardIssue]:
        def is_older(row: Row) -> bool:
            return since is not None and _moment(row, "updated_at", "read what changed") < since

        query = {"order_by": "-updated_at", "fields": LISTED}
        rows = await self._api.rows(self._here.path("work-items"), query, enough=is_older)
        issues = [self._here.parse(row) for row in rows if not is_older(row)]
        return sorted((each for each in issues if not each.archived), key=lambda each: each.updated_at, reverse=True)

    async def fetch_blocked_by(self, issue: IssueId) -> list[IssueId]:
        operation = "read the relations"
        reply = await self._api.send("GET", self._here.item_path(issue, "relations", operation=operation), expect={404})
        if reply.status == 404:
            raise PermanentError(SERVICE, operation, "this Plane tells no relations: that takes version 1.3.0 or later")
        listed = row_of(reply, operation).get("blocked_by")
        if not isinstance(listed, list):
            raise garbage(operation, "a table of relations")
        found = [parse_uuid(row.get("issue_id")) for row in listed if isinstance(row, dict)]
        return [IssueId(other) for other in dict.fromkeys(found) if other is not None]

    # ------------------------------------------------------------------------------------------ writing

    async def set_state(self, issue: IssueId, state_id: str) -> None:
        """Show *state_id* and read it back; nothing is written when the card stands there already.

        Raises TransientError when it then stands elsewhere: the write was lost, or a person was faster, and whoever wants to
        write again has to look first.
        """
        operation = "set the state"
        wanted = parse_uuid(state_id)
        if wanted is None:
            raise PermanentError(SERVICE, operation, f"there is no state {state_id[:80]!r}")
        if await self._here.column(issue, operation) == wanted:
            return
        path = self._here.item_path(issue, operation=operation)
        reply = await self._api.send("PATCH", path, body={"state": wanted}, expect={404})
        if reply.status == 404:
            raise await self._here.gone(issue, operation)
        stands = await self._here.column(issue, operation)
        if stands != wanted:
            raise TransientError(SERVICE, operation, f"the card stands in {stands or 'no state'} after it was put into {wanted}")

    async def add_comment(self, issue: IssueId, *, role: Role, text: str, key: str) -> None:
        """Say *text* in *role*'s voice, once per *key*. An archived card is told too: it may come back."""
        path, mark = self._here.item_path(issue, "comments", operation="comment"), comment_key(role, issue, key)
        # A comment on a deleted card is answered with 201, and seen by nobody.
        if await self._here.row(issue, fields="id") is None and await self.fetch_absence(issue) is not Absence.ARCHIVED:
            raise await self._here.gone(issue, "comment")
        if await self._is_said(path, mark):
            return
        api, own = self._accounts.voice(role)
        named = "" if own or role is Role.STREAM else say(self._language, f"role.{role}")
        body = {"comment_html": write_html(text, voice=named), "external_source": SOURCE, "external_id": mark}
        try:
            await api.send("POST", path, body=body, expect={409})
        except TransientError:
            if not await _found(self._is_said(path, mark)):
                raise

    async def _is_said(self, path: str, mark: str) -> bool:
        """Look for a comment of ours; one that is not among the newest is found by the 409 of a second one."""
        rows = await self._api.rows(path, {}, pages=1)
        return any((row.get("external_source"), row.get("external_id")) == (SOURCE, mark) for row in rows)

    async def create_issue(self, *, title: str, text: str, key: str) -> BoardIssue:
        operation, mark = "create an issue", external_id(key)
        name = " ".join(repair(title).split())[:TITLE_MAX]
        body = {"name": name, "description_html": write_html(text), "external_source": SOURCE, "external_id": mark}
        try:
            reply = await self._api.send("POST", self._here.path("work-items"), body=body, expect={409})
        except TransientError:
            made = await _found(self._here.made_for(mark))
            if made is None:
                raise
            return made
        if reply.status != 409:
            return self._here.parse(row_of(reply, operation))
        first = parse_uuid(row_of(reply, operation).get("id"))
        made = await self._here.made_for(mark) if first is None else await self.fetch_issue(IssueId(first))
        if made is None:
            raise PermanentError(SERVICE, operation, f"the issue that was made for {mark[:80]!r} is archived or deleted")
        return made


async def _found(search: Awaitable[T]) -> T | None:
    """Return what is there after a write that was answered with a failure; None where that cannot be told now."""
    try:
        return await search
    except ExternalError:
        return None


def _moment(row: Row, name: str, operation: str) -> datetime:
    return read(lambda it: parse_moment(it.get(name), name), row, operation)
