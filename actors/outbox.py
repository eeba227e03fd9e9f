"""The outbox actor: what the line has decided to tell the world is told, in order, until it has been heard.

Owns: the delivery of outbox rows to board, forge and chat: ordered per task and target, retried with backoff, parked
visibly when a service refuses for good. Does not own what is said.
Rule: a delivery never raises into the line. Every write is idempotent (a marker or a key), so that doing it twice is harmless.
A status is written over nothing that a person set and nobody handled (``board_write``).
Races we accept: a crash after the write and before the mark repeats the write; no board can set a column on a condition, so a
person may be written over between our look and our write: our own entry tells, and the person's is handled all the same.
"""

from datetime import timedelta
from typing import assert_never

import anyio

from actors.actor import Actor
from actors.alerting import deliver_alert
from actors.columns import Columns
from actors.mailbox import Mailbox
from actors.persist import Hints, apply, send_hints
from actors.world import Router, Services, World
from orch.core.board_write import Card, Hold, Void, Write, decide_write, is_obsolete, overwrote
from orch.core.decide_evidence import pull_request_opened
from orch.core.effects import (
    Alert,
    Comment,
    EditPullRequest,
    KeepPrComment,
    MarkMerged,
    OpenPullRequest,
    PostCommitStatus,
    PushBranch,
    ReopenPullRequest,
    SetStatus,
)
from orch.core.errors import ExternalError, PermanentError, StoreError
from orch.core.ids import IssueId, OutboxId, ProjectName, TaskRow
from orch.core.messages import DeliveryEnded, IssueChanged, OutboxHint, OutboxMessage, PullRequestOpened, TaskHint
from orch.core.model import Activity, OutboxRow, PullRequestState, RowState, Target
from orch.core.outbox import read_row
from orch.core.retry import backoff
from orch.core.statuses import BoardState, Status
from orch.failpoints import hit
from orch.logs import get_logger, redact_values
from orch.ports import PushResult, Tx

POLL_S = 10.0
AT_ONCE = 8
HELD_S = 0.5
HELD_MAX_S = 30.0
WRITE_S = 120.0
"""How long one write may take: a service that never answers must not hold the others' places."""
GIVE_UP_AFTER = timedelta(days=7)
MARKER = "orch:status"
_log = get_logger("outbox")


class OutboxActor(Actor[OutboxMessage]):
    """See the module's docstring."""

    idle_s = POLL_S

    def __init__(self, mailbox: Mailbox[OutboxMessage], world: World, router: Router) -> None:
        super().__init__(mailbox)
        self._world = world
        self._router = router
        self._going: set[OutboxId] = set()
        self._alerting: OutboxId | None = None
        self._columns: dict[ProjectName, Columns] = {}
        self._identity = ""
        """The store's, in front of what makes a comment one: row ids of another store may be the same."""
        self._timer: anyio.CancelScope | None = None

    async def idle(self) -> None:
        await self._deliver_due()

    async def started(self) -> None:
        self._identity = await self._world.store.read(lambda tx: tx.identity())
        await self._deliver_due()

    async def handle(self, message: OutboxMessage) -> None:
        match message:
            case OutboxHint():
                pass
            case DeliveryEnded():
                await self._record(message)
            case _:
                assert_never(message)
        await self._deliver_due()

    async def _deliver_due(self) -> None:
        now = self._world.clock.now()
        but = Target.CHAT if self._alerting is not None else None
        due, later = await self._world.store.read(lambda tx: (tx.due_outbox(now, but=but), tx.next_outbox_due()))
        for row in due:
            if row.id in self._going or len(self._going) >= AT_ONCE:
                continue
            if row.target is Target.CHAT:  # one at a time: a chat that hangs holds no place of the board's and the forge's
                if self._alerting is not None:
                    continue
                self._alerting = row.id
            self._going.add(row.id)
            self.children.start_soon(self._deliver, row)
        if later is not None and later > now:
            self._wake_at((later - now).total_seconds())

    def _wake_at(self, seconds: float) -> None:
        """Look again when the next row falls due; one timer, the newest wins."""
        if self._timer is not None:
            self._timer.cancel()
        scope = self._timer = anyio.CancelScope()

        async def wait() -> None:
            with scope:
                await self._world.clock.sleep(max(seconds, 0.01))
                self.mailbox.tell(OutboxHint())

        self.children.start_soon(wait)

    async def _deliver(self, row: OutboxRow) -> None:
        services = self._world.services.get(row.project)
        if services is None:
            told = f"the project {row.project} is not configured now"
            self.mailbox.tell(DeliveryEnded(row=row.id, error=told, retry_s=self._later(row, backoff(row.tries + 1))))
            return
        try:
            hit("outbox.due")
            with anyio.fail_after(WRITE_S):
                held = await self._write(row, services)
        except PermanentError as error:
            self.mailbox.tell(DeliveryEnded(row=row.id, error=str(error)))
        except (ExternalError, StoreError, TimeoutError) as error:
            retry_s = (error.retry_after if isinstance(error, ExternalError) else None) or backoff(row.tries + 1)
            told = str(error) or f"no answer within {WRITE_S:g} s"
            _log.warning("not delivered", **_named(row), outcome="again", error=told, tries=row.tries + 1)
            self.mailbox.tell(DeliveryEnded(row=row.id, error=told, retry_s=self._later(row, retry_s)))
        else:
            hit("outbox.written")
            wait_s = min(HELD_S * 2.0 ** min(row.tries, 10), HELD_MAX_S)
            _log.debug("delivered", **_named(row), outcome="held" if held else "delivered")
            self.mailbox.tell(DeliveryEnded(row=row.id, error=held or "", retry_s=wait_s if held else None))

    def _later(self, row: OutboxRow, seconds: float) -> float | None:
        """Return when to try again, or None for a row that has been tried for too long: it is parked."""
        return None if self._world.clock.now() - row.created_at > GIVE_UP_AFTER else seconds

    async def _record(self, ended: DeliveryEnded) -> None:
        now = self._world.clock.now()
        if not ended.error:
            await self._world.store.transact(lambda tx: tx.end_outbox(ended.row, RowState.DONE))
            hit("outbox.done")
        elif ended.retry_s is not None:
            due, error = now + timedelta(seconds=ended.retry_s), ended.error
            await self._world.store.transact(lambda tx: tx.retry_outbox(ended.row, due, error))
        else:
            _log.error("parked", row=int(ended.row), action="deliver", outcome="parked", error=ended.error)
            await self._world.store.transact(lambda tx: tx.end_outbox(ended.row, RowState.PARKED, ended.error))
        self._going.discard(ended.row)
        if self._alerting == ended.row:
            self._alerting = None

    # -------------------------------------------------------------------------------------------- one write

    async def _write(self, row: OutboxRow, services: Services) -> str | None:
        """Carry one row out; a returned sentence says why it is held for a moment."""
        try:
            effect = read_row(row.kind, redact_values(row.payload))
        except (ValueError, KeyError, TypeError) as error:
            raise PermanentError("outbox", row.kind, f"unreadable row: {error}") from error
        issue = IssueId(str(row.payload.get("issue", "")))
        match effect:
            case SetStatus():
                return await self._set_status(services, row, issue, effect.status)
            case Comment():
                await services.board.add_comment(issue, role=effect.role, text=effect.text, key=f"{self._identity}:{row.key}")
                hit("comment.posted")
            case OpenPullRequest():
                pull = await services.forge.open_pull_request(effect.branch, title=effect.title, body=effect.body)
                hit("pull.opened")
                if row.task is not None:
                    await self._record_pull_request(row.task, PullRequestOpened(number=pull.number, url=pull.url))
                    hit("pull.recorded")
            case EditPullRequest():
                state = PullRequestState.CLOSED if effect.close else None
                await services.forge.edit_pull_request(effect.number, title=effect.title, body=effect.body, state=state)
                hit("pull.edited")
            case ReopenPullRequest():
                await services.forge.edit_pull_request(effect.number, state=PullRequestState.OPEN)
            case PushBranch():
                pushed = await services.mirror.push_branch(effect.branch, effect.sha, expected=None)
                if pushed.result is not PushResult.PUSHED:
                    _log.info("branch stands", branch=effect.branch, outcome=pushed.result.value, detail=pushed.detail)
            case KeepPrComment():
                await services.forge.keep_comment(effect.number, marker=MARKER, text=effect.text)
                hit("pull.commented")
            case PostCommitStatus():
                await services.forge.post_status(effect.status)
                hit("ci-status.posted")
            case MarkMerged():
                await self._mark_merged(services, effect)
            case Alert():
                await deliver_alert(self._world, services, row, effect)
            case _:
                assert_never(effect)
        return None

    async def _record_pull_request(self, row: TaskRow, opened: PullRequestOpened) -> None:
        """Give the task its pull request before the row counts as delivered: a message could be lost with the daemon."""

        def work(tx: Tx) -> Hints | None:
            task = tx.load_task(row)
            if task is None:
                return None
            context = self._world.context(task.project)
            decided = pull_request_opened(context, task, opened)
            return apply(tx, decided, at=context.now)[1] if decided.task != task or decided.changed else None

        hints = await self._world.store.transact(work)
        if hints is not None:
            send_hints(self._router, hints)
            self._router.task(row).tell(TaskHint())

    async def _set_status(self, services: Services, row: OutboxRow, issue: IssueId, status: Status) -> str | None:
        """Set a column, but never over a person's command that nobody has handled yet."""
        columns = self._columns.setdefault(services.project.name, Columns(self._world, services))
        target = columns.map(await self._states(services, columns)).state_for(status)
        if target is None:
            return None
        card = await self._card(services, row, issue)
        decided = Void(why="a newer task of the issue has its say") if card is None else decide_write(card, target)
        match decided:
            case Void():
                _log.debug("void", row=int(row.id), issue=issue, detail=decided.why)
            case Hold():
                pass
            case Write():
                assert card is not None
                if not await self._show(services, card, decided, target, columns):
                    return "the column that stood for it is gone"
            case _:
                assert_never(decided)
        if not isinstance(decided, Write) and decided.read:
            self._router.repo(services.project.name).tell(IssueChanged(issue=issue))
        return decided.why if isinstance(decided, Hold) else None

    async def _card(self, services: Services, row: OutboxRow, issue: IssueId) -> Card | None:
        """Read the column, then what the log says of it; None where the row is not the issue's newest task's any more."""
        project = services.project.name
        found = await services.board.fetch_issue(issue)
        entries: list[Activity] = [] if found is None else await services.board.fetch_activities(issue)

        def work(tx: Tx) -> Card | None:
            if is_obsolete(row.task, tx.newest_task(project, issue)):
                return None
            unhandled = tx.unhandled(project, [entry.id for entry in entries])
            return Card(issue=found, entries=entries, unhandled=unhandled, seen=tx.load_unexplained(project, issue))

        return await self._world.store.read(work)

    async def _show(self, services: Services, card: Card, write: Write, target: str, columns: Columns) -> bool:
        """Set the column, and look at our own entry: whom it names as written over may have been faster than we knew.

        False: the board has no such column any more; which it has is known now.
        """
        assert card.issue is not None
        project, issue = services.project.name, card.issue.id
        try:
            await services.board.set_state(issue, target)
        except PermanentError:
            if target in {state.id for state in await columns.read(fresh=True)}:
                raise
            return False
        hit("status.shown")
        if card.seen is not None:
            await self._world.store.transact(lambda tx: tx.drop_unexplained(project, issue))
        if overwrote(write, target, card.entries, await services.board.fetch_activities(issue)):
            _log.info("written over", repo=project, issue=issue)
            self._router.repo(project).tell(IssueChanged(issue=issue))
        return True

    async def _states(self, services: Services, columns: Columns) -> list[BoardState]:
        """Return the columns as they are known: the reading of cards keeps them fresh."""
        known = await self._world.store.read(lambda tx: tx.load_states(services.project.name))
        return known or await columns.read()

    async def _mark_merged(self, services: Services, effect: MarkMerged) -> None:
        """Mark and read back first; only then delete the branch, at the landed head only."""
        pull = await services.forge.mark_merged(effect.number, effect.sha)
        if pull.state is not PullRequestState.MERGED:
            raise PermanentError("forge", "mark merged", f"pull request {effect.number} is still {pull.state}")
        hit("pull.merged")
        deleted = await services.mirror.delete_branch(effect.branch, expected=effect.head)
        hit("branch.deleted")
        if deleted.result is not PushResult.PUSHED:
            _log.warning("branch kept", branch=effect.branch, outcome=deleted.result.value, detail=deleted.detail)


def _named(row: OutboxRow) -> dict[str, object]:
    """Return what the log says of every row; it knows a task by its row alone."""
    return {"repo": row.project, "task_row": row.task, "action": f"{row.target}: {row.kind}", "row": int(row.id)}
