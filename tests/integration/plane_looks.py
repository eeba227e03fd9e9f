"""What the tests of the board on Plane read of the server and of the board."""

from orch.adapters.plane import PlaneBoard
from orch.core.ids import IssueId
from orch.rehearsal.plane import FakePlane

BACKLOG, TO_ANALYSE, IN_PROGRESS, STOP, DONE = "Backlog", "To Analyse", "In Progress", "STOP", "Done"


def state(plane: FakePlane, name: str) -> str:
    return plane.project.column(name).id


def calls(plane: FakePlane) -> list[str]:
    return [path for _, path in plane.seen]


async def moves(board: PlaneBoard, issue: IssueId) -> list[tuple[str | None, str | None, bool]]:
    return [(entry.source, entry.target, entry.ours) for entry in await board.fetch_activities(issue)]
