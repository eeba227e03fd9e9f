"""The board on Plane and a server that refuses, limits, is away or talks nonsense."""

from dataclasses import replace

import pytest

from orch.adapters.plane import PlaneBoard, make_plane_board
from orch.core.errors import CredentialRefused, PermanentError, TransientError
from orch.rehearsal.plane import FakePlane, Refused
from tests.builders import make_project
from tests.fakes.plane_connection import open_accounts, open_board
from tests.integration.plane_looks import STOP, calls, moves, state


async def test_a_bad_key_and_a_missing_right_are_told_apart(plane: FakePlane) -> None:
    issue = plane.person.create("Greet")
    async with open_board(plane, plane_workspace="elsewhere") as board:
        with pytest.raises(PermanentError, match="no workspace 'elsewhere': make the user a member"):
            await board.fetch_issue(issue)
    async with open_board(plane) as board:
        plane.revoke(plane.key)
        with pytest.raises(CredentialRefused, match=r"wrong, expired or withdrawn: .* give it as ORCH_PLANE_TOKEN$") as raised:
            await board.fetch_issue(issue)
        assert plane.key not in str(raised.value)


async def test_R4_a_key_over_its_limit_is_left_alone_for_as_long_as_asked(plane: FakePlane) -> None:
    plane.limit.per_minute = 3
    issue = plane.person.create("Greet")
    async with open_board(plane) as board:
        for _ in range(3):
            await board.fetch_issue(issue)
        for _ in range(3):
            with pytest.raises(TransientError) as raised:
                await board.fetch_issue(issue)
            assert raised.value.retry_after == pytest.approx(60, abs=2)
    assert len(calls(plane)) == 4


async def test_R4_projects_on_one_key_share_one_bucket_and_one_limit(plane: FakePlane) -> None:
    other = plane.state.add_project("Other", "OTH", {"Backlog": "backlog"})
    async with open_accounts(plane) as accounts:
        boards = [
            make_plane_board(replace(make_project(), board="plane", board_project=project.id), accounts)
            for project in (plane.project, other)
        ]
        plane.faults.fail_next("states.list", Refused(429, {"error_code": 5900}, {"Retry-After": "30"}))
        for board in boards:
            with pytest.raises(TransientError, match="429"):
                await board.fetch_states()
    assert len(calls(plane)) == 1


async def test_R4_a_server_that_was_away_is_caught_up_with(plane: FakePlane, board: PlaneBoard) -> None:
    issue = plane.person.create("Greet")
    since = plane.time.present
    await plane.go_down()
    with pytest.raises(TransientError, match="no answer"):
        await board.fetch_changed(since)
    plane.person.move(issue, STOP)
    await plane.come_back()
    assert [each.id for each in await board.fetch_changed(since)] == [issue]
    assert (await moves(board, issue))[-1][1] == state(plane, STOP)


@pytest.mark.parametrize(
    "answer",
    [
        Refused(200, []),
        Refused(200, {}),
        Refused(200, {"results": None}),
        Refused(200, {"results": [{"id": "x"}], "next_page_results": False}),
        Refused(200, {"results": [{"id": None, "sequence_id": "1"}]}),
        Refused(200, "<html>Hello</html>"),
        Refused(200, "null"),
    ],
    ids=repr,
)
async def test_garbage_is_a_failure_of_the_service_never_an_empty_board(
    plane: FakePlane, board: PlaneBoard, answer: Refused
) -> None:
    issue = plane.person.create("Greet")
    plane.faults.fail_next("items.get", answer)
    with pytest.raises(TransientError):
        await board.fetch_issue(issue)
    if answer.body != []:
        plane.faults.fail_next("items.list", answer)
        with pytest.raises(TransientError):
            await board.fetch_changed(None)


@pytest.mark.parametrize(
    "fields",
    [
        {"sequence_id": 2**63},
        {"sequence_id": True},
        {"sequence_id": None},
        {"name": None},
        {"name": ["x"]},
        {"updated_at": "yesterday"},
        {"updated_at": None},
        {"created_at": 5},
        {"id": "None"},
    ],
    ids=repr,
)
async def test_a_field_that_is_not_as_documented_is_named(plane: FakePlane, board: PlaneBoard, fields: dict[str, object]) -> None:
    issue = plane.person.create("Greet")
    whole = plane.answers.item(plane.project.items[issue])
    plane.faults.fail_next("items.get", Refused(200, whole | fields))
    with pytest.raises(TransientError, match=f"{next(iter(fields))}|isoformat"):
        await board.fetch_issue(issue)


async def test_a_cursor_that_leads_nowhere_ends(plane: FakePlane, board: PlaneBoard) -> None:
    endless = {"results": [], "next_page_results": True, "next_cursor": "100:0:0", "total_results": 5}
    plane.faults.fail_next("states.list", Refused(200, endless))
    assert await board.fetch_states() == []
