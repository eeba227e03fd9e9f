"""The built-in board: columns, issues, activity and comments as rows of the store, and the person's side of it.

Owns: what a move, a comment and a new issue are on this board, and what text it takes in. Does not own what a move means to
the line. Rule: it behaves as a board service would: our own writes are marked as ours and wake nobody, a person's move is
column + activity entry + inbox row in one transaction, and a comment never drives anything.
"""

import html
import json
import re
from collections.abc import Mapping
from datetime import datetime

from slugify import slugify

from orch.core.errors import DomainError, PermanentError
from orch.core.ids import SLUG_MAX, ActivityId, IssueId, ProjectName, UserId, make_work_item_id
from orch.core.model import Absence, Activity, BoardComment, BoardIssue
from orch.core.stages import Role
from orch.core.statuses import DEFAULT_NAMES, BoardState, Status
from orch.failpoints import hit
from orch.ports import Clock, Store, Tx

SERVICE = "local board"
SOURCE = "local-board"
"""The inbox rows' source; their body is ``{"project": …, "issue": …}``."""
OUR_USER = UserId("orch")
TITLE_MAX = 255
BODY_MAX = 1024 * 1024
_LISTED = 1_000_000

_GROUPS: Mapping[Status, str] = {
    Status.BACKLOG: "backlog",
    Status.TO_ANALYSE: "unstarted",
    Status.DONE: "completed",
    Status.CANCELLED: "cancelled",
}
STATES: tuple[BoardState, ...] = tuple(
    BoardState(id=status.value, name=DEFAULT_NAMES[status], group=_GROUPS.get(status, "started")) for status in Status
)
"""The columns of every local project; a column's id is its logical key."""
_STATE_IDS = frozenset(state.id for state in STATES)


class LocalBoard:
    """The ``Board`` port for one project of the local board."""

    def __init__(self, store: Store, project: ProjectName, clock: Clock, prefix: str = "") -> None:
        self._store = store
        self._project = project
        self._clock = clock
        self._prefix = prefix
        """What the keys of new issues begin with; without one none can be made here."""

    async def fetch_states(self) -> list[BoardState]:
        return list(STATES)

    async def fetch_issue(self, issue: IssueId) -> BoardIssue | None:
        found = await self._store.read(lambda tx: tx.load_issue(issue))
        return None if found is None or found.archived or found.project != self._project else found

    async def fetch_absence(self, issue: IssueId) -> Absence:
        found = await self._store.read(lambda tx: tx.load_issue(issue))
        return Absence.ARCHIVED if found is not None and found.archived and found.project == self._project else Absence.UNKNOWN

    async def fetch_blocked_by(self, issue: IssueId) -> list[IssueId]:
        """Return nothing: this board has no relations of its own; dependencies are declared to the daemon."""
        del issue
        return []

    async def fetch_activities(self, issue: IssueId, *, since: datetime | None = None) -> list[Activity]:
        del since
        return await self._store.read(lambda tx: tx.list_activities(issue))

    async def fetch_comments(self, issue: IssueId) -> list[BoardComment]:
        return await self._store.read(lambda tx: tx.list_comments(issue))

    async def fetch_changed(self, since: datetime | None) -> list[BoardIssue]:
        issues = await self._store.read(lambda tx: tx.list_issues(self._project, _LISTED))
        changed = [issue for issue in issues if not issue.archived and (since is None or issue.updated_at >= since)]
        return sorted(changed, key=lambda issue: issue.updated_at, reverse=True)

    async def set_state(self, issue: IssueId, state_id: str) -> None:
        """Show *state_id*; nothing is written when the issue stands there already."""
        if state_id not in _STATE_IDS:
            raise PermanentError(SERVICE, "set state", f"there is no column {state_id[:80]!r}")
        await self._store.transact(lambda tx: self._set_state(tx, issue, state_id))

    def _set_state(self, tx: Tx, issue: IssueId, state_id: str) -> None:
        found = self._mine(tx, issue, "set state")
        if found.state_id != state_id:
            _move(tx, found, state_id, actor=OUR_USER, name="Orch", ours=True, at=self._clock.now())

    async def add_comment(self, issue: IssueId, *, role: Role, text: str, key: str) -> None:
        await self._store.transact(lambda tx: self._add_comment(tx, issue, role, text, key))

    def _add_comment(self, tx: Tx, issue: IssueId, role: Role, text: str, key: str) -> None:
        found = self._mine(tx, issue, "comment")
        comment = BoardComment(
            id=_comment_id(tx, found.id),
            issue=found.id,
            author=UserId(f"{OUR_USER}-{role}"),
            author_name=role.value.capitalize(),
            ours=True,
            role=role,
            text=text,
            created_at=self._clock.now(),
        )
        tx.insert_comment(comment, key)

    async def create_issue(self, *, title: str, text: str, key: str) -> BoardIssue:
        """Make an issue in the backlog, as ours: it wakes nobody. Raises PermanentError for text that cannot be taken."""
        if not self._prefix:
            raise PermanentError(SERVICE, "create an issue", f"nothing says what a key of project {self._project} begins with")
        try:
            content = (clean_title(title), clean_text(_bounded(text, "description")), Status.BACKLOG.value)
        except DomainError as error:
            raise PermanentError(SERVICE, "create an issue", str(error)) from error
        return await self._store.transact(lambda tx: self._create(tx, content, key))

    def _create(self, tx: Tx, content: tuple[str, str, str], key: str) -> BoardIssue:
        """The entry of the creation carries the key: entries' ids are never used again."""
        entry = ActivityId(f"{self._project}/{key}")
        known = tx.issue_of_activity(entry)
        made = None if known is None else tx.load_issue(known)
        if made is not None:
            return made
        issue = _new_issue(tx, (self._project, self._prefix), content, self._clock.now())
        _move(tx, issue, issue.state_id, actor=OUR_USER, name="Orch", ours=True, at=issue.created_at, created=entry)
        return issue

    def _mine(self, tx: Tx, issue: IssueId, operation: str) -> BoardIssue:
        found = tx.load_issue(issue)
        if found is None or found.archived or found.project != self._project:
            raise PermanentError(SERVICE, operation, f"project {self._project} has no issue {issue[:80]!r}")
        return found


class LocalDeskAdapter:
    """The ``LocalDesk`` port. *prefixes* gives each local project's prefix: an issue's key is its future work item id."""

    def __init__(self, store: Store, clock: Clock, prefixes: Mapping[ProjectName, str]) -> None:
        self._store = store
        self._clock = clock
        self._prefixes = prefixes

    async def create_issue(
        self, project: ProjectName, *, title: str, body: str, by: str, state_id: str | None = None
    ) -> BoardIssue:
        """Make an issue in the backlog or in *state_id*; raises DomainError for text or a column that cannot be taken."""
        prefix = self._prefixes.get(project)
        if prefix is None:
            raise DomainError(f"there is no local project {project[:80]!r}; known are: {', '.join(sorted(self._prefixes))}")
        state = _checked_state(state_id or Status.BACKLOG)
        title, text = clean_title(title), clean_text(_bounded(body, "description"))
        issue = await self._store.transact(lambda tx: self._create(tx, (project, prefix), (title, text, state), by))
        hit("board.created")
        return issue

    def _create(self, tx: Tx, place: tuple[ProjectName, str], content: tuple[str, str, str], by: str) -> BoardIssue:
        issue = _new_issue(tx, place, content, self._clock.now())
        created = ActivityId(f"{issue.id}/1")
        _move(tx, issue, issue.state_id, actor=UserId(by), name=by, ours=False, at=issue.created_at, created=created)
        _leave_hint(tx, issue, issue.created_at)
        return issue

    async def move_issue(self, issue: IssueId, state_id: str, *, by: str) -> None:
        """Move the card; nothing happens when it stands there already."""
        state = _checked_state(state_id)
        await self._store.transact(lambda tx: self._move(tx, issue, state, by))
        hit("board.moved")

    def _move(self, tx: Tx, issue: IssueId, state: str, by: str) -> None:
        found = _known(tx, issue)
        if found.state_id != state:
            now = self._clock.now()
            _move(tx, found, state, actor=UserId(by), name=by, ours=False, at=now)
            hit("board.moving")
            _leave_hint(tx, found, now)

    async def archive_issue(self, issue: IssueId, *, by: str, archived: bool = True) -> None:  # noqa: ARG002 - no entry names who
        """Put a card away, or bring it back; nothing happens where it is so already."""
        await self._store.transact(lambda tx: self._archive(tx, issue, archived))
        hit("board.archived")

    def _archive(self, tx: Tx, issue: IssueId, archived: bool) -> None:
        found = tx.load_issue(issue)
        if found is None:
            raise DomainError(f"the local board has no issue {issue[:80]!r}")
        if found.archived is not archived:
            now = self._clock.now()
            tx.archive_issue(found.id, now, archived=archived)
            _leave_hint(tx, found, now)

    async def comment(self, issue: IssueId, text: str, *, by: str) -> None:
        kept = repair(_bounded(text, "comment")).strip()
        if not kept:
            raise DomainError("a comment needs some text")
        await self._store.transact(lambda tx: self._comment(tx, issue, kept, by))
        hit("board.commented")

    def _comment(self, tx: Tx, issue: IssueId, text: str, by: str) -> None:
        found = _known(tx, issue)
        comment = BoardComment(
            id=_comment_id(tx, found.id),
            issue=found.id,
            author=UserId(by),
            author_name=by,
            ours=False,
            role=None,
            text=text,
            created_at=self._clock.now(),
        )
        tx.insert_comment(comment, "")


# ------------------------------------------------------------------------------------------------ rows


def _new_issue(tx: Tx, place: tuple[ProjectName, str], content: tuple[str, str, str], at: datetime) -> BoardIssue:
    (project, prefix), (title, text, state) = place, content
    sequence = tx.next_issue_sequence(project)
    issue = BoardIssue(
        id=IssueId(make_work_item_id(prefix, sequence)),
        project=project,
        sequence=sequence,
        title=title,
        text=text,
        slug=make_slug(title),
        state_id=state,
        updated_at=at,
        created_at=at,
    )
    tx.insert_issue(issue)
    return issue


def _move(
    tx: Tx,
    issue: BoardIssue,
    state_id: str,
    *,
    actor: UserId,
    name: str,
    ours: bool,
    at: datetime,
    created: ActivityId | None = None,
) -> None:
    """Set the column and append the entry; *created* is the entry's id where it is that of the creation."""
    entry = Activity(
        id=created or ActivityId(f"{issue.id}/{len(tx.list_activities(issue.id)) + 1}"),
        issue=issue.id,
        actor=actor,
        actor_name=name,
        ours=ours,
        source=None if created is not None else issue.state_id,
        target=state_id,
        created_at=at,
    )
    tx.move_issue(issue.id, state_id, entry)


def _leave_hint(tx: Tx, issue: BoardIssue, at: datetime) -> None:
    tx.add_inbox(SOURCE, json.dumps({"project": issue.project, "issue": issue.id}).encode(), at)
    hit("inbox.written")


def _comment_id(tx: Tx, issue: IssueId) -> str:
    return f"{issue}/c{len(tx.list_comments(issue)) + 1}"


def _known(tx: Tx, issue: IssueId) -> BoardIssue:
    found = tx.load_issue(issue)
    if found is None or found.archived:
        raise DomainError(f"the local board has no issue {issue[:80]!r}")
    return found


def _checked_state(state_id: str) -> str:
    if state_id not in _STATE_IDS:
        raise DomainError(f"there is no column {state_id[:80]!r}; the columns are: {', '.join(state.id for state in STATES)}")
    return state_id


# ------------------------------------------------------------------------------------------------ text

_ENDLESS = re.compile(r"&#(?:[0-9]{9,}|[xX][0-9a-fA-F]{9,});?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TAG = re.compile(
    r"</?(?:a|abbr|b|blockquote|body|br|code|del|details|div|em|font|h[1-6]|head|hr|html|i|iframe|img|input|ins|kbd|li|link|meta|ol|p|"
    r"pre|s|script|span|strike|strong|style|sub|summary|sup|table|tbody|td|th|thead|tr|u|ul)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)


def repair(text: str) -> str:
    """Return *text* without control characters and lone surrogates."""
    return _CONTROL.sub("", text).encode("utf-8", "replace").decode("utf-8")


def clean_title(title: str) -> str:
    """Return *title* on one line; raises DomainError when it is empty or too long."""
    line = " ".join(repair(title).split())
    if not line:
        raise DomainError("an issue needs a title")
    if len(line) > TITLE_MAX:
        raise DomainError(f"the title has {len(line)} characters; at most {TITLE_MAX} are allowed")
    return line


def clean_text(body: str) -> str:
    """Return *body* without HTML. Markdown stays: it reads as plain text, and an agent needs its code and links whole.

    Only elements of HTML are taken for tags, so that ``list<int>`` survives; hidden comments go.
    """
    text = without_comments(repair(body))
    stripped = _TAG.sub("", text)
    if stripped != text:
        stripped = repair(unescape(stripped))
    return stripped.strip()


def unescape(text: str) -> str:
    """Return *text* with HTML's entities resolved. A number far beyond any character is none: one too long to be read at all
    would raise."""
    return html.unescape(_ENDLESS.sub("&#xFFFD;", text))


def make_slug(title: str) -> str:
    return slugify(title, max_length=SLUG_MAX, word_boundary=False)


def without_comments(text: str) -> str:
    """Cut HTML comments out; one that is never closed reaches to the end."""
    kept, at = [], 0
    while (start := text.find("<!--", at)) >= 0:
        kept.append(text[at:start])
        end = text.find("-->", start)
        if end < 0:
            return "".join(kept)
        at = end + len("-->")
    return "".join((*kept, text[at:]))


def _bounded(text: str, what: str) -> str:
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > BODY_MAX:
        raise DomainError(f"the {what} has {size:,} bytes; at most {BODY_MAX:,} are allowed")
    return text
