"""The Plane adapter on a real server, named by ORCH_LIVE_PLANE_URL, ORCH_LIVE_PLANE_TOKEN, ORCH_LIVE_PLANE_WORKSPACE and
ORCH_LIVE_PLANE_PROJECT (a uuid).

Skipped without them. The token belongs to a member of the project. Everything happens on work items of the test's own, which are
deleted at the end; the project needs two states and loses none. A run makes about 60 calls: where the server's limit is not
raised, the bucket spreads them over a minute or two (ORCH_LIVE_PLANE_CALLS_PER_MIN says how many a minute it may make).
"""

import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import anyio
import pytest
from pydantic import SecretStr

from orch.adapters.plane import PlaneAccounts, PlaneBoard, make_plane_accounts, make_plane_board
from orch.config.settings import Settings
from orch.core.errors import PermanentError
from orch.core.ids import IssueId, ProjectName
from orch.core.model import Absence, Activity, BoardIssue, Project
from orch.core.stages import Role

URL = os.environ.get("ORCH_LIVE_PLANE_URL", "")
TOKEN = os.environ.get("ORCH_LIVE_PLANE_TOKEN", "")
WORKSPACE = os.environ.get("ORCH_LIVE_PLANE_WORKSPACE", "")
PROJECT = os.environ.get("ORCH_LIVE_PLANE_PROJECT", "")
CALLS_PER_MIN = int(os.environ.get("ORCH_LIVE_PLANE_CALLS_PER_MIN", "50"))
LOG_S = 60.0
"""How long the server's worker may take to write an entry."""

pytestmark = [
    pytest.mark.skipif(
        not (URL and TOKEN and WORKSPACE and PROJECT), reason="no real Plane (ORCH_LIVE_PLANE_URL, _TOKEN, _WORKSPACE, _PROJECT)"
    ),
    pytest.mark.timeout(300),
]


@dataclass
class Live:
    """The adapter, and what the test has made."""

    accounts: PlaneAccounts
    board: PlaneBoard
    mark: str
    made: list[IssueId] = field(default_factory=list)

    def path(self, *parts: str) -> str:
        return self.accounts.shared.path("projects", PROJECT, "work-items", *parts)

    async def create(self, name: str = "try", text: str = "A test made this.") -> BoardIssue:
        issue = await self.board.create_issue(title=f"orch live {self.mark} {name}", text=text, key=f"live/{self.mark}/{name}")
        if issue.id not in self.made:
            self.made.append(issue.id)
        return issue

    async def other_state(self, issue: BoardIssue) -> str:
        return next(state.id for state in await self.board.fetch_states() if state.id != issue.state_id)

    async def entries(self, issue: IssueId, count: int) -> list[Activity]:
        """Wait until the log has so many entries about the state."""
        with anyio.fail_after(LOG_S):  # another process writes it, in its own time and tells nobody here
            while len(found := await self.board.fetch_activities(issue)) < count:  # noqa: ASYNC110
                await anyio.sleep(1.0)
        return found


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    settings = Settings(plane_url=URL, plane_workspace=WORKSPACE, plane_token=SecretStr(TOKEN), plane_calls_per_min=CALLS_PER_MIN)
    project = Project(name=ProjectName("live"), prefix="LIVE", board="plane", board_project=PROJECT, repo="none")
    async with make_plane_accounts(settings) as accounts:
        made = Live(accounts=accounts, board=make_plane_board(project, accounts), mark=secrets.token_hex(4))
        try:
            yield made
        finally:
            for issue in made.made:
                await accounts.shared.send("DELETE", made.path(issue), expect={404})


async def test_an_issue_is_made_once_and_read_whole(live: Live) -> None:
    issue = await live.create(text="One **bold** word.\n\n- a\n- b")
    assert await live.create(text="another text") == await live.board.fetch_issue(issue.id)
    found = await live.board.fetch_issue(issue.id)
    assert found is not None
    assert (found.title, found.text) == (issue.title, "One bold word.\n\n- a\n- b")
    assert issue.id in [each.id for each in await live.board.fetch_changed(issue.updated_at - timedelta(minutes=5))]
    assert await live.board.fetch_blocked_by(issue.id) == []


async def test_a_state_is_written_read_back_and_logged_as_ours(live: Live) -> None:
    issue = await live.create()
    target = await live.other_state(issue)
    for _ in range(2):
        await live.board.set_state(issue.id, target)
    found = await live.board.fetch_issue(issue.id)
    assert found is not None
    assert found.state_id == target
    created, moved = await live.entries(issue.id, 2)
    assert (created.source, created.ours) == (None, True)
    assert (moved.source, moved.target, moved.ours) == (issue.state_id, target, True)
    assert await live.board.fetch_activities(issue.id, since=moved.created_at) == [created, moved]
    with pytest.raises(PermanentError):
        await live.board.set_state(issue.id, "00000000-0000-4000-8000-000000000000")


async def test_a_comment_is_one_comment(live: Live) -> None:
    issue = await live.create()
    for text in ("Started `x`.", "Started again."):
        await live.board.add_comment(issue.id, role=Role.STREAM, text=text, key="run-1")
    await live.board.add_comment(issue.id, role=Role.TESTER, text="Done.", key="run-1")
    comments = await live.board.fetch_comments(issue.id)
    assert [(comment.text, comment.role, comment.ours) for comment in comments] == [
        ("Started `x`.", Role.STREAM, True),
        ("Tester\n\nDone.", Role.TESTER, True),
    ]


async def test_a_relation_is_read_from_both_sides(live: Live) -> None:
    one, two = await live.create("one"), await live.create("two")
    body = {"relation_type": "blocked_by", "issues": [two.id]}
    await live.accounts.shared.send("POST", live.path(one.id, "relations"), body=body)
    assert await live.board.fetch_blocked_by(one.id) == [two.id]
    assert await live.board.fetch_blocked_by(two.id) == []


async def test_what_changed_comes_newest_first_and_reaches_back_as_far_as_is_asked(live: Live) -> None:
    one, two = await live.create("first"), await live.create("second")
    await live.board.add_comment(one.id, role=Role.STREAM, text="It moves to the top.", key="top")
    mine = [each.id for each in await live.board.fetch_changed(one.updated_at) if each.id in (one.id, two.id)]
    assert mine == [one.id, two.id]
    latest = (await live.board.fetch_changed(one.updated_at))[0].updated_at
    assert two.id not in [each.id for each in await live.board.fetch_changed(latest)]


async def test_the_states_of_the_project_have_names_and_groups(live: Live) -> None:
    states = await live.board.fetch_states()
    assert len(states) >= 2
    assert {state.group for state in states} <= {"backlog", "unstarted", "started", "completed", "cancelled"}
    assert len(await live.accounts.own_users()) == 1


async def test_a_deleted_issue_is_told_from_one_that_never_was(live: Live) -> None:
    issue = await live.create()
    await live.accounts.shared.send("DELETE", live.path(issue.id))
    assert await live.board.fetch_issue(issue.id) is None
    with anyio.fail_after(LOG_S):  # the entry is written in the server's own time
        while await live.board.fetch_absence(issue.id) is not Absence.DELETED:  # noqa: ASYNC110
            await anyio.sleep(1.0)
    never = IssueId("00000000-0000-4000-8000-000000000000")
    assert await live.board.fetch_absence(never) is Absence.UNKNOWN
    for call in (
        live.board.set_state(issue.id, issue.state_id),
        live.board.add_comment(issue.id, role=Role.STREAM, text="x", key="k"),
    ):
        with pytest.raises(PermanentError):
            await call
