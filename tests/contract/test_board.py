"""The ``Board`` port: one suite for every board. A further board joins with one more ``BoardWorld``."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol

import pytest

from orch.adapters.local_board import BODY_MAX, LocalBoard, LocalDeskAdapter, clean_text
from orch.adapters.store import InlineStore
from orch.core.errors import DomainError, PermanentError
from orch.core.ids import IssueId, ProjectName
from orch.core.model import Absence
from orch.core.stages import Role
from orch.core.statuses import DEFAULT_NAMES, Status, map_states
from orch.ports import Board
from orch.rehearsal.plane import FakePlane
from tests.builders import DEMO, NOW, ManualClock
from tests.fakes.plane_connection import open_board


class BoardWorld(Protocol):
    """A board with a person in front of it."""

    board: Board

    async def create(self, title: str, body: str) -> IssueId: ...

    async def person_moves(self, issue: IssueId, status: Status) -> None: ...

    async def person_comments(self, issue: IssueId, text: str) -> None: ...

    async def person_archives(self, issue: IssueId) -> None: ...

    def tick(self, seconds: float) -> datetime: ...


class LocalWorld:
    def __init__(self, store: InlineStore, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.board: Board = LocalBoard(store, DEMO, clock, "DEMO")
        self.desk = LocalDeskAdapter(store, clock, {DEMO: "DEMO", ProjectName("other"): "OTH"})

    async def create(self, title: str, body: str) -> IssueId:
        return (await self.desk.create_issue(DEMO, title=title, body=body, by="anna")).id

    async def person_moves(self, issue: IssueId, status: Status) -> None:
        await self.desk.move_issue(issue, status.value, by="anna")

    async def person_comments(self, issue: IssueId, text: str) -> None:
        await self.desk.comment(issue, text, by="anna")

    async def person_archives(self, issue: IssueId) -> None:
        await self.desk.archive_issue(issue, by="anna")

    def tick(self, seconds: float) -> datetime:
        return self.clock.tick(seconds)


@pytest.fixture
async def local() -> AsyncIterator[LocalWorld]:
    clock = ManualClock()
    async with InlineStore(clock=clock) as store:
        yield LocalWorld(store, clock)


class PlaneWorld:
    """The adapter over HTTP on a fake Plane; its person sits at the browser."""

    def __init__(self, plane: FakePlane, board: Board) -> None:
        self.plane = plane
        self.board = board

    async def create(self, title: str, body: str) -> IssueId:
        return self.plane.person.create(title, f"<p>{body}</p>")

    async def person_moves(self, issue: IssueId, status: Status) -> None:
        self.plane.person.move(issue, DEFAULT_NAMES[status])

    async def person_comments(self, issue: IssueId, text: str) -> None:
        self.plane.person.comment(issue, f"<p>{text}</p>")

    async def person_archives(self, issue: IssueId) -> None:
        self.plane.person.move(issue, DEFAULT_NAMES[Status.CANCELLED])
        self.plane.person.archive(issue)

    def tick(self, seconds: float) -> datetime:
        return self.plane.time.tick(seconds)


@pytest.fixture
async def plane() -> AsyncIterator[PlaneWorld]:
    async with FakePlane(rate=600) as plane:
        _, analyst = plane.add_bot("analyst")
        async with open_board(plane, {Role.ANALYST: analyst}) as board:
            yield PlaneWorld(plane, board)


@pytest.fixture(params=["local", "plane"])
def world(request: pytest.FixtureRequest) -> BoardWorld:
    found: BoardWorld = request.getfixturevalue(request.param)
    return found


async def state_id(world: BoardWorld, status: Status) -> str:
    return map_states(await world.board.fetch_states()).ids[status]


# ------------------------------------------------------------------------------------------------ every board


async def test_every_required_status_has_a_column(world: BoardWorld) -> None:
    assert map_states(await world.board.fetch_states()).missing() == frozenset()


async def test_an_issue_is_read_as_a_person_wrote_it(world: BoardWorld) -> None:
    key = await world.create("Grüße, Welt", "Say **hello** in <b>every</b> language.")
    issue = await world.board.fetch_issue(key)
    assert issue is not None
    assert (issue.id, issue.project, issue.title, issue.slug) == (key, DEMO, "Grüße, Welt", "grusse-welt")
    assert "<b>" not in issue.text
    assert "every language" in issue.text
    assert await world.board.fetch_issue(IssueId("DEMO-999")) is None


async def test_G8_a_persons_move_is_an_entry_of_the_activity_log(world: BoardWorld) -> None:
    key = await world.create("Greet", "Say hello.")
    world.tick(1)
    await world.person_moves(key, Status.TO_ANALYSE)
    created, moved = await world.board.fetch_activities(key)
    assert created.source is None, "a creation triggers nothing"
    backlog, to_analyse = await state_id(world, Status.BACKLOG), await state_id(world, Status.TO_ANALYSE)
    assert (moved.source, moved.target, moved.ours) == (backlog, to_analyse, False)
    assert moved.id != created.id
    assert moved.created_at > created.created_at
    issue = await world.board.fetch_issue(key)
    assert issue is not None
    assert issue.state_id == to_analyse


async def test_G8_our_own_move_is_marked_as_ours_and_written_once(world: BoardWorld) -> None:
    key = await world.create("Greet", "Say hello.")
    target = await state_id(world, Status.ANALYSIS)
    for _ in range(2):
        await world.board.set_state(key, target)
    entries = await world.board.fetch_activities(key)
    assert [(entry.target, entry.ours) for entry in entries[1:]] == [(target, True)]


async def test_a_comment_is_one_comment_per_key(world: BoardWorld) -> None:
    key = await world.create("Greet", "Say hello.")
    for text in ("started", "started again"):
        await world.board.add_comment(key, role=Role.ANALYST, text=text, key="run-1")
    await world.person_comments(key, "Please hurry.")
    await world.board.add_comment(key, role=Role.STREAM, text="done", key="run-2")
    comments = await world.board.fetch_comments(key)
    assert [(comment.text, comment.ours, comment.role) for comment in comments] == [
        ("started", True, Role.ANALYST),
        ("Please hurry.", False, None),
        ("done", True, Role.STREAM),
    ]
    assert len({comment.id for comment in comments}) == 3


async def test_what_changed_is_listed_newest_first(world: BoardWorld) -> None:
    keys = []
    for title in ("First", "Second", "Third"):
        keys.append(await world.create(f"{title} issue", "Say hello."))
        world.tick(10)
    at = world.tick(10)
    await world.person_moves(keys[0], Status.TO_ANALYSE)
    assert [issue.id for issue in await world.board.fetch_changed(None)] == [keys[0], keys[2], keys[1]]
    assert [issue.id for issue in await world.board.fetch_changed(at)] == [keys[0]]


async def test_what_cannot_be_written_says_so_for_good(world: BoardWorld) -> None:
    key = await world.create("Greet", "Say hello.")
    with pytest.raises(PermanentError):
        await world.board.set_state(key, "no-such-column")
    with pytest.raises(PermanentError):
        await world.board.set_state(IssueId("DEMO-999"), await state_id(world, Status.DONE))
    with pytest.raises(PermanentError):
        await world.board.add_comment(IssueId("DEMO-999"), role=Role.STREAM, text="x", key="k")


async def test_an_issue_of_ours_is_made_once_per_key_and_triggers_nothing(world: BoardWorld) -> None:
    made = await world.board.create_issue(title="Revert  DEMO-1", text="It broke **main**.", key="revert:7")
    again = await world.board.create_issue(title="Revert it all", text="", key="revert:7")
    other = await world.board.create_issue(title="Fix DEMO-1", text="It broke main.", key="fix:7")
    assert (again.id, again.title) == (made.id, "Revert DEMO-1")
    assert other.id != made.id
    found = await world.board.fetch_issue(made.id)
    assert found is not None
    assert (found.title, found.state_id) == ("Revert DEMO-1", await state_id(world, Status.BACKLOG))
    assert "It broke" in found.text
    [created] = await world.board.fetch_activities(made.id)
    assert (created.source, created.ours) == (None, True)


async def test_an_issue_that_is_put_away_is_told_from_one_that_never_was(world: BoardWorld) -> None:
    key = await world.create("Greet", "Say hello.")
    assert await world.board.fetch_blocked_by(key) == []
    await world.person_archives(key)
    assert await world.board.fetch_issue(key) is None
    assert key not in [issue.id for issue in await world.board.fetch_changed(None)]
    assert await world.board.fetch_absence(key) is Absence.ARCHIVED
    assert await world.board.fetch_absence(IssueId("DEMO-999")) is Absence.UNKNOWN


# ------------------------------------------------------------------------------------------------ the local board's desk


async def inbox(world: LocalWorld) -> list[tuple[str, object]]:
    return [(row.source, json.loads(row.body)) for row in await world.store.read(lambda tx: tx.pending_inbox())]


async def test_an_issues_key_is_its_future_work_item_id(local: LocalWorld) -> None:
    other = await local.desk.create_issue(ProjectName("other"), title="Elsewhere", body="", by="anna")
    keys = [await local.create("Greet", "Say hello.") for _ in range(2)]
    assert (keys, other.id) == (["DEMO-1", "DEMO-2"], "OTH-1")
    assert await local.board.fetch_issue(IssueId("OTH-1")) is None, "another project's issue is not on this board"
    found = await local.board.fetch_issue(IssueId("demo-1"))
    assert found is not None
    assert found.id == "DEMO-1"


async def test_G1_a_persons_move_leaves_an_inbox_row_in_the_same_transaction(local: LocalWorld) -> None:
    key = await local.create("Greet", "Say hello.")
    hint = ("local-board", {"project": "demo", "issue": "DEMO-1"})
    assert await inbox(local) == [hint]
    await local.desk.move_issue(IssueId("demo-1"), "to_analyse", by="anna")
    assert await inbox(local) == [hint, hint]
    await local.desk.move_issue(key, "to_analyse", by="bert")
    await local.board.set_state(key, "analysis")
    await local.desk.comment(key, "approved!", by="anna")
    assert await inbox(local) == [hint, hint], "neither standing still, nor our own write, nor a comment drives the line"


@pytest.mark.parametrize(
    ("title", "body", "says"),
    [
        ("  \n\t ", "x", "needs a title"),
        ("x" * 256, "x", "the title has 256 characters; at most 255 are allowed"),
        ("Greet", "ü" * (BODY_MAX // 2 + 1), "the description has 1,048,578 bytes; at most 1,048,576"),
    ],
)
async def test_text_that_cannot_be_taken_is_refused_with_the_limit(local: LocalWorld, title: str, body: str, says: str) -> None:
    with pytest.raises(DomainError, match=says):
        await local.desk.create_issue(DEMO, title=title, body=body, by="anna")
    assert await inbox(local) == []


async def test_a_title_is_one_line_without_control_characters(local: LocalWorld) -> None:
    issue = await local.desk.create_issue(DEMO, title=" a\x1b[31m\n red\ud800  title ", body="x" * BODY_MAX, by="anna")
    assert issue.title == "a[31m red? title"
    issue = await local.desk.create_issue(DEMO, title="日本語のタイトルはとても長いものです、それでも短く", body="", by="anna")
    assert issue.slug.isascii()
    assert 0 < len(issue.slug) <= 30


async def test_what_does_not_exist_is_named(local: LocalWorld) -> None:
    key = await local.create("Greet", "Say hello.")
    with pytest.raises(DomainError, match="no column 'nowhere'; the columns are: backlog, to_analyse"):
        await local.desk.move_issue(key, "nowhere", by="anna")
    with pytest.raises(DomainError, match="no issue 'DEMO-9'"):
        await local.desk.move_issue(IssueId("DEMO-9"), "done", by="anna")
    with pytest.raises(DomainError, match="no local project 'shop'; known are: demo, other"):
        await local.desk.create_issue(ProjectName("shop"), title="Greet", body="", by="anna")
    with pytest.raises(DomainError, match="needs some text"):
        await local.desk.comment(key, " \x00 ", by="anna")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("plain", "plain"),
        ("<p>a &amp; b</p>", "a & b"),
        ("a &amp; b", "a &amp; b"),
        ("use `list<int>` and a < b > c", "use `list<int>` and a < b > c"),
        ('<a href="x" onclick="y">link</a><br/>', "link"),
        ("<!-- do as I say -->seen<!-- and -->!", "seen!"),
        ("seen <!-- never closed", "seen"),
        ("<p" * 5, "<p" * 5),
        ("", ""),
        (f"<p>&#{'9' * 5000};</p>", "\ufffd"),
    ],
)
def test_html_goes_and_markdown_stays(body: str, text: str) -> None:
    assert clean_text(body) == text


@pytest.mark.parametrize("piece", ["<p ", "<!--", "<a href=", "</p>", "<!-- -->", "&lt;"])
def test_R8_a_megabyte_of_markup_is_read_in_one_pass(piece: str) -> None:
    """A reader with backtracking would not come back from these within the test's time limit."""
    assert len(clean_text(piece * (BODY_MAX // len(piece)))) <= BODY_MAX


def test_the_builders_day_is_aware() -> None:
    assert NOW.tzinfo is not None
