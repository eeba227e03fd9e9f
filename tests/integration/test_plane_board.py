"""The board on Plane over a real socket: how it reads cards, the activity log and relations, and which settings it takes."""

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from orch.adapters.plane import PlaneBoard, make_plane_accounts, make_plane_board
from orch.adapters.plane.api import PAGE
from orch.core.errors import ConfigError, CredentialRefused, PermanentError, TransientError
from orch.core.ids import IssueId
from orch.core.model import Absence
from orch.core.stages import Role
from orch.rehearsal.plane import FakePlane
from orch.rehearsal.plane.access import went_wrong
from tests.builders import DEMO, make_project
from tests.fakes.plane_connection import open_accounts, open_board, plane_settings
from tests.integration.plane_looks import BACKLOG, DONE, IN_PROGRESS, STOP, TO_ANALYSE, calls, moves, state

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
