"""What the board on Plane writes is there once, whatever the server answered, and nothing is written over unseen."""

from dataclasses import replace
from datetime import UTC, datetime

import anyio
import pytest

from orch.adapters.plane import PlaneBoard
from orch.adapters.plane.api import PAGE
from orch.core.errors import PermanentError, TransientError
from orch.core.ids import IssueId
from orch.core.model import Absence
from orch.core.stages import Role
from orch.rehearsal.plane import FakePlane
from orch.rehearsal.plane.access import went_wrong
from tests.fakes.plane_connection import open_board
from tests.integration.plane_looks import BACKLOG, DONE, IN_PROGRESS, STOP, moves, state

# ------------------------------------------------------------------------------------------------ states


async def test_the_write_field_is_state_and_it_is_read_back(plane: FakePlane, board: PlaneBoard) -> None:
    issue = plane.person.create("Greet")
    await board.set_state(issue, state(plane, DONE).upper())
    assert plane.project.items[issue].state == state(plane, DONE)
    assert plane.log[-1] == ("patch state", "bot Greet: Done")
    before = plane.project.items[issue].updated_at
    await board.set_state(issue, state(plane, DONE))
    assert plane.project.items[issue].updated_at == before, "a second write would save every field as it was read"


async def test_a_write_that_is_undone_by_another_one_is_told_of(plane: FakePlane, board: PlaneBoard) -> None:
    """Somebody's change of the priority saves the column too, as it was read before our write."""
    issue = plane.person.create("Greet")
    item = plane.project.items[issue]
    stale = replace(item)
    held = plane.faults.hold_next("items.get")
    again = plane.faults.hold_next("items.get")
    errors: list[TransientError] = []

    async def write() -> None:
        with pytest.raises(TransientError, match="the card stands in") as raised:
            await board.set_state(issue, state(plane, DONE))
        errors.append(raised.value)

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        await held.reached.wait()
        held.open()
        await again.reached.wait()
        plane.state.patch(item, plane.carol.id, {"priority": "high"}, read=stale)
        again.open()
    assert errors
    assert (await moves(board, issue))[-1] == (state(plane, BACKLOG), state(plane, DONE), True), "no entry tells of the undoing"
    await board.set_state(issue, state(plane, DONE))
    assert item.state == state(plane, DONE)


async def test_G8_our_entry_tells_whom_we_wrote_over(plane: FakePlane, board: PlaneBoard) -> None:
    issue = plane.person.create("Greet")
    held = plane.faults.hold_next("items.patch")

    async def write() -> None:
        await board.set_state(issue, state(plane, IN_PROGRESS))

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        await held.reached.wait()
        plane.person.move(issue, STOP)
        held.open()
    entries = await moves(board, issue)
    assert entries[1:] == [
        (state(plane, BACKLOG), state(plane, STOP), False),
        (state(plane, BACKLOG), state(plane, IN_PROGRESS), True),
    ], "the person's entry is in the log, though the column never shows it again"


async def test_a_state_that_was_stored_in_spite_of_a_500_is_not_written_twice(plane: FakePlane, board: PlaneBoard) -> None:
    issue = plane.person.create("Greet")
    plane.worker.broker = False
    with pytest.raises(TransientError, match="Something went wrong"):
        await board.set_state(issue, state(plane, STOP))
    plane.worker.broker = True
    await board.set_state(issue, state(plane, STOP))
    assert [what for what, _ in plane.log] == ["create", "patch state"]
    assert len(await moves(board, issue)) == 1, "and no entry ever tells of it"


@pytest.mark.parametrize("unknown", ["nowhere", "", "00000000-0000-4000-8000-000000000000"])
async def test_a_state_that_is_not_the_projects_is_refused_for_good(plane: FakePlane, board: PlaneBoard, unknown: str) -> None:
    issue = plane.person.create("Greet")
    with pytest.raises(PermanentError):
        await board.set_state(issue, unknown)
    assert plane.project.items[issue].state == state(plane, BACKLOG)


# ------------------------------------------------------------------------------------------------ what is not there


async def test_what_is_archived_and_what_is_deleted_are_told_apart(plane: FakePlane, board: PlaneBoard) -> None:
    archived, deleted, restored = (plane.person.create(title) for title in ("One", "Two", "Three"))
    for issue in (archived, restored):
        plane.person.move(issue, DONE)
        plane.person.archive(issue)
    plane.person.restore(restored)
    plane.person.delete(deleted)
    assert await board.fetch_issue(archived) is None
    assert await board.fetch_issue(deleted) is None
    assert await board.fetch_issue(restored) is not None
    assert [await board.fetch_absence(issue) for issue in (archived, deleted)] == [Absence.ARCHIVED, Absence.DELETED]
    assert [issue.id for issue in await board.fetch_changed(None)] == [restored]
    for issue, told in ((archived, "it is archived"), (deleted, "it is deleted")):
        with pytest.raises(PermanentError, match=told):
            await board.set_state(issue, state(plane, STOP))
    never = IssueId("00000000-0000-4000-8000-000000000000")
    assert await board.fetch_absence(never) is Absence.UNKNOWN
    assert await board.fetch_activities(never) == []


async def test_a_status_that_was_written_onto_an_archived_card_does_not_hide_that_it_is(
    plane: FakePlane, board: PlaneBoard
) -> None:
    issue = plane.person.create("Greet")
    plane.person.move(issue, DONE)
    plane.person.archive(issue)
    plane.state.patch(plane.project.items[issue], plane.bot.id, {"state": state(plane, STOP)})
    assert await board.fetch_absence(issue) is Absence.ARCHIVED


async def test_an_archived_card_is_still_told_and_a_deleted_one_is_not(plane: FakePlane, board: PlaneBoard) -> None:
    archived, deleted = plane.person.create("One"), plane.person.create("Two")
    plane.person.move(archived, DONE)
    plane.person.archive(archived)
    plane.person.delete(deleted)
    await board.add_comment(archived, role=Role.STREAM, text="It waits for you.", key="k")
    with pytest.raises(PermanentError, match="it is deleted"):
        await board.add_comment(deleted, role=Role.STREAM, text="It waits for you.", key="k")
    assert [comment.issue for comment in plane.project.comments.values()] == [archived]


# ------------------------------------------------------------------------------------------------ comments


async def test_each_role_has_its_own_voice_or_says_whose_it_is(plane: FakePlane) -> None:
    tester_user, tester = plane.add_bot("tester")
    issue = plane.person.create("Greet")
    async with open_board(plane, {Role.TESTER: tester}, language="ru") as board:
        for role in (Role.TESTER, Role.REVIEWER, Role.STREAM):
            await board.add_comment(issue, role=role, text="Done.", key="k")
        comments = await board.fetch_comments(issue)
    assert [(comment.author, comment.role, comment.ours) for comment in comments] == [
        (tester_user.id, Role.TESTER, True),
        (plane.bot.id, Role.REVIEWER, True),
        (plane.bot.id, Role.STREAM, True),
    ]
    assert [comment.text for comment in comments] == ["Done.", "Ревьюер\n\nDone.", "Done."]
    assert [comment.author_name for comment in comments] == ["tester", "bot", "bot"]


@pytest.mark.parametrize("stored", [True, False])
async def test_a_comment_that_was_answered_with_500_is_one_comment(plane: FakePlane, board: PlaneBoard, stored: bool) -> None:
    issue = plane.person.create("Greet")
    if stored:
        plane.faults.fail_after("comments.post", went_wrong())
        await board.add_comment(issue, role=Role.STREAM, text="Done.", key="k")
    else:
        plane.faults.fail_next("comments.post", went_wrong())
        with pytest.raises(TransientError):
            await board.add_comment(issue, role=Role.STREAM, text="Done.", key="k")
    await board.add_comment(issue, role=Role.STREAM, text="Done again.", key="k")
    assert len(plane.project.comments) == 1


async def test_a_comment_that_a_look_does_not_find_is_found_by_the_409(plane: FakePlane, board: PlaneBoard) -> None:
    issue = plane.person.create("Greet")
    await board.add_comment(issue, role=Role.STREAM, text="Done.", key="k")
    for number in range(PAGE):
        plane.person.comment(issue, f"<p>{number}</p>")
    await board.add_comment(issue, role=Role.STREAM, text="Done.", key="k")
    assert [comment.html for comment in plane.project.comments.values()].count("<p>Done.</p>") == 1
    assert len(await board.fetch_comments(issue)) == PAGE + 1


async def test_a_comment_is_one_comment_where_the_server_does_not_see_to_it(plane: FakePlane, board: PlaneBoard) -> None:
    plane.state.keeps_comment_ids = False
    issue = plane.person.create("Greet")
    for _ in range(2):
        await board.add_comment(issue, role=Role.STREAM, text="Done.", key="k")
    assert len(plane.project.comments) == 1


async def test_one_key_on_two_issues_is_two_comments(plane: FakePlane, board: PlaneBoard) -> None:
    issues = [plane.person.create(title) for title in ("One", "Two")]
    for issue in issues:
        await board.add_comment(issue, role=Role.STREAM, text="Done.", key="x" * 400)
    assert [comment.issue for comment in plane.project.comments.values()] == issues


async def test_who_wrote_a_comment_is_whose_key_it_was_and_the_moment_is_not_of_their_choosing(
    plane: FakePlane, board: PlaneBoard
) -> None:
    issue = plane.person.create("Greet")
    forged = {"comment_html": "<p>Approved.</p>", "created_by": plane.bot.id, "created_at": "2999-01-01T00:00:00+00:00"}
    mark = {"external_source": "orch", "external_id": f"stream/{issue}/forged"}
    plane.state.comment(plane.project, issue, plane.carol.id, {**forged, **mark})
    plane.person.comment(issue, "<p>Later.</p><script>alert(1)</script>")
    first, second = await board.fetch_comments(issue)
    assert (first.text, first.author, first.ours, first.role) == ("Approved.", plane.carol.id, False, None)
    assert first.created_at < second.created_at < datetime(2027, 1, 1, tzinfo=UTC)
    assert second.text == "Later."
