"""What people do on the fake Plane, in their browsers: never a trick, only what the pages offer.

Owns: ``Person``. A person is not limited in calls, and what a page sends is not quite what the API takes.
"""

from typing import TYPE_CHECKING

from orch.core.ids import IssueId
from orch.rehearsal.plane.state import Item, Project, User

if TYPE_CHECKING:
    from orch.rehearsal.plane.server import FakePlane


class Person:
    def __init__(self, plane: "FakePlane", user: User, project: Project) -> None:
        self._plane = plane
        self._project = project
        self.user = user

    @property
    def id(self) -> str:
        return self.user.id

    def item(self, issue: str) -> Item:
        return self._project.items[issue]

    def create(self, title: str, html: str = "", *, state: str | None = None) -> IssueId:
        fields = {"name": title, "description_html": html or "<p></p>"}
        if state is not None:
            fields["state"] = self._project.column(state).id
        return IssueId(self._plane.state.create(self._project, self.id, fields).id)

    def move(self, issue: str, state: str) -> None:
        """Put the card into the column of that name."""
        self.patch(issue, state=self._project.column(state).id)

    def edit(self, issue: str, *, title: str | None = None, html: str | None = None) -> None:
        fields = {"name": title, "description_html": html}
        self.patch(issue, **{name: value for name, value in fields.items() if value is not None})

    def patch(self, issue: str, **fields: str) -> None:
        self._plane.state.patch(self.item(issue), self.id, fields, app=True)

    def comment(self, issue: str, html: str) -> str:
        return self._plane.state.comment(self._project, issue, self.id, {"comment_html": html}).id

    def delete_comment(self, comment: str) -> None:
        self._plane.state.delete_comment(self._project.comments[comment], self.id)

    def archive(self, issue: str) -> None:
        self._plane.state.archive(self.item(issue), self.id, archived=True)

    def restore(self, issue: str) -> None:
        self._plane.state.archive(self.item(issue), self.id, archived=False)

    def delete(self, issue: str) -> None:
        self._plane.state.delete(self.item(issue), self.id)

    def block(self, issue: str, by: str) -> None:
        """Say that *issue* waits for *by*."""
        self._plane.state.relate(self._project, self.item(issue), "blocked_by", [by], self.id)

    def unblock(self, issue: str, by: str) -> None:
        """Say that *issue* does not wait for *by* any more."""
        self._plane.state.unrelate(self._project, self.item(issue), by, self.id)
