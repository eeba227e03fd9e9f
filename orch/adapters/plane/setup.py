"""The first hour on Plane: the workspace's projects, and the states that a project lacks.

Owns: ``PlaneSetup``. Does not own which states are wanted (``orch.core.first_hour``). Rule: a state is created and nothing else:
none is renamed, moved or deleted; an answer that was lost is found out by looking again.
"""

from typing import final
from uuid import UUID

from orch.adapters.plane.accounts import PlaneAccounts
from orch.adapters.plane.api import SERVICE, row_of
from orch.adapters.plane.parse import parse_state, parse_uuid
from orch.adapters.plane.project import read
from orch.core.errors import ConfigError, PermanentError
from orch.core.statuses import BoardState
from orch.ports.setup import BoardProject

COLOURS = {"backlog": "#60646C", "unstarted": "#60646C", "started": "#F59E0B", "completed": "#46A758", "cancelled": "#9AA4BC"}
"""Plane wants a colour; these are those of its own states."""
TEXT_MAX = 120


@final
class PlaneSetup:
    """One workspace, under the daemon's own key."""

    def __init__(self, accounts: PlaneAccounts) -> None:
        self._api = accounts.shared

    async def whoami(self) -> str:
        me = await self._api.me()
        return _text(me.get("display_name")) or _text(me.get("email")) or _text(me.get("id"))

    async def list_projects(self) -> list[BoardProject]:
        rows = await self._api.rows(self._api.path("projects"))
        found = [(parse_uuid(row.get("id")), row) for row in rows if row.get("archived_at") is None]
        return [
            BoardProject(id=known, name=_text(row.get("name")), identifier=_text(row.get("identifier")))
            for known, row in found
            if known is not None
        ]

    async def fetch_states(self, project: str) -> list[BoardState]:
        states = [read(parse_state, row, "read the states") for row in await self._api.rows(self._path(project))]
        return [state for state in states if state is not None]

    async def create_state(self, project: str, *, name: str, group: str) -> bool:
        body = {"name": name, "group": group, "color": COLOURS.get(group, COLOURS["started"])}
        reply = await self._api.send("POST", self._path(project), body=body, expect={400, 409})
        if reply.status == 400:
            raise PermanentError(SERVICE, "create a state", f"HTTP 400 {reply.said}")
        if reply.status != 409:
            row_of(reply, "create a state")
        return reply.status != 409

    def _path(self, project: str) -> str:
        try:
            return self._api.path("projects", str(UUID(project)), "states")
        except ValueError as error:
            raise ConfigError(
                f"{project[:80]!r} is no id of a project on Plane: take the uuid from its page's address"
            ) from error


def _text(value: object) -> str:
    """Return a name that somebody chose, on one line and not too long."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(char if char.isprintable() else " " for char in value).split())[:TEXT_MAX]
