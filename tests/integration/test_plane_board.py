"""The board on Plane over a real socket: how it reads, and what it makes of a server that is late, limited, wrong or away."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from orch.adapters.plane import PlaneBoard, make_plane_accounts, make_plane_board
from orch.adapters.plane.api import PAGE
from orch.core.errors import ConfigError, CredentialRefused, PermanentError, TransientError
from orch.core.ids import IssueId
from orch.core.model import Absence
from orch.core.stages import Role
from orch.rehearsal.plane import FakePlane, Refused
from orch.rehearsal.plane.access import went_wrong
from tests.builders import DEMO, make_project
from tests.fakes.plane_connection import open_accounts, open_board, plane_settings

BACKLOG, TO_ANALYSE, IN_PROGRESS, STOP, DONE = "Backlog", "To Analyse", "In Progress", "STOP", "Done"


@pytest.fixture
async def plane() -> AsyncIterator[FakePlane]:
    async with FakePlane(rate=6000) as server:
        yield server
        server.faults.assert_used()


@pytest.fixture
async def board(plane: FakePlane) -> AsyncIterator[PlaneBoard]:
    async with open_board(plane) as made:
        yield made


def state(plane: FakePlane, name: str) -> str:
    return plane.project.column(name).id


def calls(plane: FakePlane) -> list[str]:
    return [path for _, path in plane.seen]


async def moves(board: PlaneBoard, issue: IssueId) -> list[tuple[str | None, str | None, bool]]:
    return [(entry.source, entry.target, entry.ours) for entry in await board.fetch_activities(issue)]


# ------------------------------------------------------------------------------------------------ reading


async def test_columns_come_with_their_groups_and_without_the_hidden_one(plane: FakePlane, board: PlaneBoard) -> None:
    plane.state.add_column(plane.project, "Triage", "triage")
    states = {each.name: each.group for each in await board.fetch_states()}
    assert (states[BACKLOG], states[TO_ANALYSE], states[DONE], states[STOP]) == ("backlog", "unstarted", "completed", "started")
    assert "Triage" not in states


async def test_an_issue_is_whole_with_a_link_for_people(plane: FakePlane, board: PlaneBoard) -> None:
    issue = plane.person.create("  Two\n lines ", "<p>One</p><ul><li>two</li></ul><script>x</script>")
    found = await board.fetch_issue(IssueId(issue.upper()))
    assert found is not None
    assert (found.id, found.project, found.sequence) == (issue, DEMO, 1)
    assert (found.title, found.slug, found.text) == ("Two lines", "two-lines", "One\n\n- two")
    assert found.url == f"{plane.url}/acme/projects/{plane.project.id}/issues/{issue}"
    plane.person.edit(issue, html="<p>Another one.</p>")
    again = await board.fetch_issue(issue)
    assert again is not None
    assert again.text == "Another one."


@pytest.mark.parametrize("issue", ["", "DEMO-1", "../../users/me", "None", "0" * 400, "a/../b"])
async def test_what_is_no_uuid_never_stands_in_a_path(plane: FakePlane, board: PlaneBoard, issue: str) -> None:
    assert await board.fetch_issue(IssueId(issue)) is None
    assert await board.fetch_absence(IssueId(issue)) is Absence.UNKNOWN
    for call in (board.fetch_activities, board.fetch_comments, board.fetch_blocked_by):
        with pytest.raises(PermanentError, match="has no issue"):
            await call(IssueId(issue))
    assert calls(plane) == []


async def test_every_path_ends_with_a_slash(plane: FakePlane, board: PlaneBoard) -> None:
    issue = plane.person.create("Greet")
    await board.fetch_states()
    await board.fetch_changed(None)
    await board.set_state(issue, state(plane, IN_PROGRESS))
    await board.add_comment(issue, role=Role.STREAM, text="x", key="k")
    await board.fetch_blocked_by(issue)
    assert {path.partition("?")[0][-1] for path in calls(plane)} == {"/"}


async def test_all_pages_are_read_each_row_once_though_rows_move_meanwhile(plane: FakePlane, board: PlaneBoard) -> None:
    made = [plane.person.create(f"Issue {number}") for number in range(2 * PAGE + 5)]
    began = plane.time.present
    first, second = plane.faults.hold_next("items.list"), plane.faults.hold_next("items.list")
    found: list[IssueId] = []

    async def read() -> None:
        found.extend(issue.id for issue in await board.fetch_changed(None))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await first.reached.wait()
        first.open()
        await second.reached.wait()
        plane.person.edit(made[0], title="Moved to the top of the first page")
        second.open()
    assert sorted(found) == sorted(set(made[1:])), "the row that moved pushed another one onto a page twice"
    assert len(calls(plane)) == 3
    assert [issue.id for issue in await board.fetch_changed(began)] == [made[0]], "and is itself found by the next poll"


async def test_a_list_that_shrinks_while_it_is_read_is_read_again(plane: FakePlane, board: PlaneBoard) -> None:
    made = [plane.person.create(f"Issue {number}") for number in range(2 * PAGE)]
    plane.faults.hold_next("items.list").open()
    second = plane.faults.hold_next("items.list")
    found: list[IssueId] = []

    async def read() -> None:
        found.extend(issue.id for issue in await board.fetch_changed(None))

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await second.reached.wait()
        plane.somebody(plane.alice).delete(made[-1])
        second.open()
    assert sorted(found) == sorted(made[:-1]), "without a second reading the first row of the second page is missing"


async def test_a_poll_reads_no_further_than_it_has_to(plane: FakePlane, board: PlaneBoard) -> None:
    for number in range(3 * PAGE):
        plane.person.create(f"Issue {number}")
    since = plane.time.tick(60)
    moved = plane.person.create("The newest")
    assert [issue.id for issue in await board.fetch_changed(since)] == [moved]
    assert len(calls(plane)) == 1
    assert "description" not in calls(plane)[0]


# ------------------------------------------------------------------------------------------------ the activity log


async def test_G8_entries_come_in_the_order_of_their_making_whatever_the_server_lists_first(
    plane: FakePlane, board: PlaneBoard
) -> None:
    issue = plane.person.create("Greet")
    for name in (TO_ANALYSE, STOP, TO_ANALYSE):
        plane.person.move(issue, name)
    plane.person.edit(issue, title="Greet them")
    entries = await board.fetch_activities(issue)
    targets = [entry.target for entry in entries[1:]]
    assert targets == [state(plane, TO_ANALYSE), state(plane, STOP), state(plane, TO_ANALYSE)]
    assert {(entry.actor, entry.actor_name, entry.ours) for entry in entries} == {(plane.carol.id, "carol", False)}


async def test_G8_our_own_users_are_echoes_every_one_of_them(plane: FakePlane) -> None:
    _, tester = plane.add_bot("tester")
    issue = plane.person.create("Greet")
    async with open_board(plane, {Role.TESTER: tester}) as board:
        await board.set_state(issue, state(plane, TO_ANALYSE))
        tester_user = plane.state.users[plane.state.keys[tester]]
        plane.somebody(tester_user).move(issue, IN_PROGRESS)
        plane.person.move(issue, STOP)
        assert [entry.ours for entry in await board.fetch_activities(issue)] == [False, True, True, False]
        before = len([path for path in calls(plane) if path.endswith("/users/me/")])
        await board.fetch_activities(issue)
        assert before == len([path for path in calls(plane) if path.endswith("/users/me/")]) == 2


async def test_a_phantom_or_an_automations_entry_has_no_old_column(plane: FakePlane, board: PlaneBoard) -> None:
    issue = plane.person.create("Greet")
    stop = state(plane, STOP)
    plane.state.patch(plane.project.items[issue], plane.carol.id, {"closed_to": stop})
    assert await moves(board, issue) == [(None, None, False), (None, stop, False)]
    found = await board.fetch_issue(issue)
    assert found is not None
    assert found.state_id == state(plane, BACKLOG)


async def test_G8_a_late_log_is_read_as_it_is_and_again(plane: FakePlane, board: PlaneBoard) -> None:
    issue = plane.person.create("Greet")
    plane.worker.lag_reads = 2
    plane.person.move(issue, STOP)
    seen = [len(await board.fetch_activities(issue)) for _ in range(3)]
    assert seen == [1, 1, 2]
    plane.worker.lag_reads, plane.worker.lag_s = 0, 14.0
    plane.person.move(issue, TO_ANALYSE)
    late = plane.time.tick(13)
    assert len(await board.fetch_activities(issue)) == 2
    plane.time.tick(2)
    entries = await board.fetch_activities(issue)
    assert len(entries) == 3
    assert entries[-1].created_at > late, "when it was written, not when the card was moved"
    found = await board.fetch_issue(issue)
    assert found is not None
    assert found.updated_at > late, "a late entry brings a newer updated_at, by which the next poll finds it"


async def test_the_log_is_read_ten_minutes_behind_the_newest_handled_entry(plane: FakePlane, board: PlaneBoard) -> None:
    issue = plane.person.create("Greet")
    for _ in range(PAGE):
        plane.person.move(issue, TO_ANALYSE)
        plane.person.move(issue, IN_PROGRESS)
    handled = plane.time.tick(599)
    plane.person.move(issue, STOP)
    plane.seen.clear()
    everything = await board.fetch_activities(issue)
    assert len(everything) == 2 * PAGE + 2
    assert len(calls(plane)) == 4
    plane.seen.clear()
    assert await board.fetch_activities(issue, since=handled) == everything, "the older ones lie within ten minutes"
    plane.time.tick(600)
    plane.person.move(issue, TO_ANALYSE)
    plane.seen.clear()
    newest = await board.fetch_activities(issue, since=handled + timedelta(seconds=600))
    assert newest[-1].target == state(plane, TO_ANALYSE)
    assert len(calls(plane)) == 1
    assert newest == (await board.fetch_activities(issue))[-PAGE:]


async def test_while_our_users_are_not_known_no_entry_is_judged(plane: FakePlane, board: PlaneBoard) -> None:
    issue = plane.person.create("Greet")
    plane.faults.fail_next("users.me", went_wrong())
    with pytest.raises(TransientError):
        await board.fetch_activities(issue)
    assert len(await board.fetch_activities(issue)) == 1


async def test_a_roles_key_that_was_withdrawn_holds_up_nobody(plane: FakePlane) -> None:
    _, tester = plane.add_bot("tester")
    plane.revoke(tester)
    issue = plane.person.create("Greet")
    async with open_board(plane, {Role.TESTER: tester}) as board:
        assert len(await board.fetch_activities(issue)) == 1
        await board.set_state(issue, state(plane, DONE))
        with pytest.raises(CredentialRefused, match="give it as ORCH_PLANE_TOKEN_TESTER"):
            await board.add_comment(issue, role=Role.TESTER, text="x", key="k")


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


# ------------------------------------------------------------------------------------------------ issues and relations


@pytest.mark.parametrize("stored", [True, False])
async def test_an_issue_that_was_answered_with_500_is_one_issue(plane: FakePlane, board: PlaneBoard, stored: bool) -> None:
    if stored:
        plane.faults.fail_after("items.post", went_wrong())
        made = await board.create_issue(title="Revert", text="x", key="k")
    else:
        plane.faults.fail_next("items.post", went_wrong())
        with pytest.raises(TransientError):
            await board.create_issue(title="Revert", text="x", key="k")
        made = await board.create_issue(title="Revert", text="x", key="k")
    assert await board.create_issue(title="Revert", text="x", key="k") == made
    assert [item.name for item in plane.project.items.values()] == ["Revert"]


async def test_an_issue_of_ours_that_a_person_put_away_is_not_made_again(plane: FakePlane, board: PlaneBoard) -> None:
    made = await board.create_issue(title="Revert", text="x", key="k")
    plane.person.move(made.id, DONE)
    plane.person.archive(made.id)
    with pytest.raises(PermanentError, match="archived or deleted"):
        await board.create_issue(title="Revert", text="x", key="k")


async def test_what_an_issue_waits_for_is_read_from_its_relations(plane: FakePlane, board: PlaneBoard) -> None:
    one, two, three = (plane.person.create(title) for title in ("One", "Two", "Three"))
    plane.person.block(one, by=two)
    plane.person.block(one, by=three)
    assert await board.fetch_blocked_by(one) == [two, three]
    assert await board.fetch_blocked_by(two) == []
    plane.has_relations = False
    with pytest.raises(PermanentError, match="takes version"):
        await board.fetch_blocked_by(one)


# ------------------------------------------------------------------------------------------------ a sick server


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


# ------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize("missing", [{"plane_url": ""}, {"plane_workspace": ""}, {"plane_token": None}])
async def test_what_is_missing_is_named_before_anything_is_sent(plane: FakePlane, missing: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="ORCH_PLANE_TOKEN"):
        make_plane_accounts(plane_settings(plane, None, **missing))


@pytest.mark.parametrize("token", [" ", "a b", "ключ", "a\nb"])
async def test_a_token_that_is_none_is_refused_by_its_name(plane: FakePlane, token: str) -> None:
    with pytest.raises(ConfigError, match="ORCH_PLANE_TOKEN_TESTER is no token"):
        make_plane_accounts(plane_settings(plane, {Role.TESTER: token}))


async def test_a_board_project_that_is_no_uuid_is_refused(plane: FakePlane) -> None:
    async with open_accounts(plane) as accounts:
        with pytest.raises(ConfigError, match="board_project = 'shop' is no id"):
            make_plane_board(replace(make_project(), board="plane", board_project="shop"), accounts)
