"""One project of Plane and its work items: where they are, how one is read, what it means that one is not there.

Owns: ``PlaneProject``. Does not own the port (``board``). Rule: an id from outside stands in a path only after it was read as a
uuid; Plane answers 404 to what is archived as to what is deleted, and the activity log outlives both.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar, final
from uuid import UUID

from orch.adapters.plane.api import SERVICE, PlaneApi, Row, garbage, row_of
from orch.adapters.plane.parse import SOURCE, parse_absence, parse_issue, parse_uuid
from orch.core.errors import PermanentError
from orch.core.ids import IssueId, ProjectName
from orch.core.model import Absence, BoardIssue

T = TypeVar("T")


@final
class PlaneProject:
    """*id* is the project's uuid on Plane, *name* its name here, *url* the server's address for people."""

    def __init__(self, api: PlaneApi, name: ProjectName, id: UUID, url: str) -> None:  # noqa: A002 - as on Plane
        self.api = api
        self.name = name
        self.id = str(id)
        self._web = f"{url}/{api.workspace}/projects/{self.id}/issues/{{id}}"

    def path(self, *parts: str) -> str:
        return self.api.path("projects", self.id, *parts)

    def item_path(self, issue: IssueId, *parts: str, operation: str) -> str:
        """Return the path of something of an issue; raises PermanentError for whatever is no uuid: it is no issue here."""
        known = parse_uuid(issue)
        if known is None:
            raise PermanentError(SERVICE, operation, f"project {self.name} has no issue {issue[:80]!r}")
        return self.path("work-items", known, *parts)

    def parse(self, row: Row) -> BoardIssue:
        return read(partial(parse_issue, project=self.name, url_of=self._web), row, "read an issue")

    async def row(self, issue: IssueId, *, fields: str = "") -> Row | None:
        """Fetch one issue, or those *fields* of it; None where it is not to be found."""
        if parse_uuid(issue) is None:
            return None
        path = self.item_path(issue, operation="read an issue")
        reply = await self.api.send("GET", path, query={"fields": fields} if fields else None, expect={404})
        return None if reply.status == 404 else row_of(reply, "read an issue")

    async def column(self, issue: IssueId, operation: str) -> str:
        """Return the id of the state in which the card stands, empty for none; raises PermanentError where it is gone."""
        row = await self.row(issue, fields="id,state")
        if row is None:
            raise await self.gone(issue, operation)
        return parse_uuid(row.get("state")) or ""

    async def made_for(self, mark: str) -> BoardIssue | None:
        """Return the issue that has *mark* as its external id among those that we made."""
        query = {"external_source": SOURCE, "external_id": mark}
        reply = await self.api.send("GET", self.path("work-items"), query=query, expect={404})
        return None if reply.status == 404 else self.parse(row_of(reply, "find an issue"))

    async def absence(self, issue: IssueId) -> Absence:
        """Say why an issue is not to be found, by its activity log, which a deleted one keeps."""
        if parse_uuid(issue) is None:
            return Absence.UNKNOWN
        path = self.item_path(issue, "activities", operation="read the activities")
        return parse_absence(await self.api.rows(path, {"order_by": "-created_at"}, pages=1))

    async def gone(self, issue: IssueId, operation: str) -> PermanentError:
        absence = await self.absence(issue)
        told = f"it is {absence}" if absence is not Absence.UNKNOWN else "it is not in this project"
        return PermanentError(SERVICE, operation, f"project {self.name} has no issue {issue[:80]!r}: {told}")


def read(parse: Callable[[Row], T], row: Row, operation: str) -> T:
    """Return what *parse* makes of a row; raises TransientError where it is not as documented."""
    try:
        return parse(row)
    except ValueError as error:
        raise garbage(operation, f"what is documented ({error})") from error
