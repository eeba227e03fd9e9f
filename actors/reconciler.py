"""The reconciler: asks the services and the store what no event has told, so that a lost webhook only delays.

Owns: the regular look at each project's board and forge, the look at one branch that a hook asks for, the question whether tasks
that stand still could go on, and the notice that a hook is switched off. Does not own: what a changed card or a status means
(repo and task actors decide), the services' rate limits (their adapters keep them).

Desired properties: everything a hook could have told is found within one interval; a service that does not answer costs one
attempt per interval and holds up no other project; two looks at once do no harm.
Design: every project is polled by a child task, one at a time per project; what it finds goes on the way that hooks go. Changed
cards become rows of the inbox in the transaction that keeps the time of the poll, so that neither a full mailbox nor a death
loses what the next poll would not find again; it reaches only a little behind this one. The forge is asked about each task that
has a branch, and what it says is compared with the task: nothing about it is remembered.
Races we accept: something changes behind a poll's back: the next one sees it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import assert_never, final

from actors.actor import Actor
from actors.intake import look_again
from actors.mailbox import Mailbox
from actors.relations import read_relations
from actors.world import Router, Services, World
from orch.core.decide_card import CLOSED
from orch.core.errors import ExternalError, StoreError
from orch.core.ids import Branch, InboxId, IssueId, ProjectName, Sha
from orch.core.messages import (
    CiReported,
    CiSilent,
    EvidenceRead,
    ForgeChanged,
    InboxHint,
    IssueChanged,
    JobsWaiting,
    LandingHint,
    PollEnded,
    PollNow,
    PullRequestClosed,
    PullRequestOpened,
    ReconcilerMessage,
    RelationsRead,
)
from orch.core.model import CiSource, PullRequest, PullRequestState, RowState, Task
from orch.core.reconcile import (
    OVERLAP,
    HookSigns,
    after_hook,
    after_poll,
    combined_status,
    describe_statuses,
    is_stale,
    match_status,
    polled_until,
)
from orch.core.stages import Stage
from orch.logs import get_logger
from orch.ports import Tx

LOCAL = "local"
CARDS_PER_POLL = 5
"""How many cards of live tasks a poll asks for by name: a list of cards names neither deleted nor archived ones."""
LOOKS_MAX, LOOK_FIRST_S = 5, 2.0
"""How often a forge that does not answer is asked about one event in a row, and the first pause, which doubles."""
RELATIONS_EVERY = timedelta(minutes=10)
"""Nothing tells that a relation was made: its other end does not even count as changed."""
NEVER = datetime.min.replace(tzinfo=UTC)
_log = get_logger("reconciler")


@final
@dataclass(slots=True, kw_only=True)
class Known:
    """What is remembered of one project between polls; losing it costs a few reads."""

    seen: dict[IssueId, datetime] = field(default_factory=dict)
    """When each card in the overlap of two polls had changed."""
    asked: dict[IssueId, datetime] = field(default_factory=dict)
    """When each live task's card was last asked for by name."""
    gone: set[IssueId] = field(default_factory=set)
    """Those of them that were told to be gone."""
    related: dict[IssueId, datetime] = field(default_factory=dict)
    """When each card that has not begun was last asked for what it waits for."""
    polling: bool = False
    signs: HookSigns = HookSigns()
    polls: int = 0
    found: int = 0
    """Changes that a poll saw first."""
    error: str = ""
    at: datetime | None = None


class Reconciler(Actor[ReconcilerMessage]):
    """See the module's docstring."""

    def __init__(self, mailbox: Mailbox[ReconcilerMessage], world: World, router: Router) -> None:
        super().__init__(mailbox)
        self._world = world
        self._router = router
        self._looking: set[InboxId] = set()
        """The forge's events that are being looked into."""
        self._known: dict[ProjectName, Known] = {name: Known() for name in world.services}

    async def started(self) -> None:
        self.children.start_soon(self._tick)

    async def _tick(self) -> None:
        """Poll at the start, then every interval; a reload may change it."""
        while True:
            self.mailbox.tell(PollNow())
            await self._world.clock.sleep(self._world.limits.reconcile_interval_s)

    async def handle(self, message: ReconcilerMessage) -> None:
        match message:
            case PollNow():
                if self._world.limits.reconcile_enabled:
                    for name in [message.project] if message.project is not None else list(self._world.services):
                        self._poll_soon(name)
            case ForgeChanged():
                self.children.start_soon(self._look_until_seen, message)
            case PollEnded():
                self._poll_ended(message)
            case _:
                assert_never(message)

    # -------------------------------------------------------------------------------------------- a poll

    def _poll_soon(self, name: ProjectName) -> None:
        known = self._known.setdefault(name, Known())
        if known.polling or name not in self._world.services:
            return
        known.polling = True
        self.children.start_soon(self._poll, name, known)

    async def _poll(self, name: ProjectName, known: Known) -> None:
        """Ask board, forge and store about one project; each side goes on when another fails."""
        services, errors = self._world.services[name], []
        project = services.project
        sides: list[Callable[[Services, Known], Awaitable[None]]] = [self._poll_tasks]
        if project.board != LOCAL and self._world.limits.reconcile_board_enabled:
            sides.append(self._poll_board)
            if self._world.limits.task_deps_from_board:
                sides.append(self._poll_relations)
        if project.forge != LOCAL:
            sides.append(self._poll_forge)
        for side in sides:
            try:
                await side(services, known)
            except (ExternalError, StoreError) as error:
                errors.append(str(error))
        self.mailbox.tell(PollEnded(project=name, error="; ".join(errors)))

    def _poll_ended(self, ended: PollEnded) -> None:
        known = self._known[ended.project]
        known.polling, known.error, known.at = False, ended.error, self._world.clock.now()
        known.polls += 1
        if ended.error:
            _log.warning("poll failed", repo=ended.project, error=ended.error)
        self._world.health.notice(f"reconciler {ended.project}", ended.error)
        self._world.health.polled(ended.project, self._report(known))

    def _report(self, known: Known) -> Mapping[str, object]:
        """Return what ``/queue`` shows of a project's polls."""
        return {
            "at": known.at.isoformat() if known.at else None,
            "polls": known.polls,
            "found": known.found,
            "error": known.error,
            "hook_dead": known.signs.dead,
        }

    # -------------------------------------------------------------------------------------------- the board

    async def _poll_board(self, services: Services, known: Known) -> None:
        """Read what changed since the last poll that was read to its end; each such card is to be looked at again."""
        name, began = services.project.name, self._world.clock.now()
        repo = await self._world.store.read(lambda tx: tx.load_repo(name))
        since = repo.polled_at or repo.baseline_at
        if since is None:
            return  # the repo's actor has not met the board yet: what stands on it then counts as handled
        issues = await services.board.fetch_changed(min(since, began) - OVERLAP)
        changed = [issue for issue in issues if known.seen.get(issue.id) != issue.updated_at]
        until = polled_until(since, began, [issue.updated_at for issue in issues])

        def work(tx: Tx) -> bool:
            groups = {state.id: state.group for state in tx.load_states(name)}
            for issue in reversed(changed):
                look_again(tx, name, issue.id, began)
            freed = [tx.note_closed(name, issue.id, closed=groups.get(issue.state_id) in CLOSED) for issue in changed]
            tx.save_repo(replace(tx.load_repo(name), polled_at=until))
            return any(freed)

        if await self._world.store.transact(work):
            self._router.slots.tell(JobsWaiting())
        known.seen = {issue.id: issue.updated_at for issue in issues}
        self._router.intake.tell(InboxHint())
        if repo.polled_at is not None:
            known.found += len(changed)
            self._heed_hooks(services, known, [issue.updated_at for issue in changed], began)
        await self._look_for_cards(services, known, {issue.id for issue in issues}, began)

    async def _look_for_cards(self, services: Services, known: Known, listed: set[IssueId], now: datetime) -> None:
        """Ask for those live tasks' cards that were not asked for the longest; one that is gone goes on as a changed issue."""
        name = services.project.name
        tasks = await self._world.store.read(lambda tx: tx.list_tasks(project=name, live=True))
        live = {task.issue for task in tasks if task.park is None}
        known.asked = {issue: at for issue, at in known.asked.items() if issue in live} | dict.fromkeys(live & listed, now)
        long_ago = sorted(live - listed, key=lambda issue: known.asked.get(issue, NEVER))
        for issue in long_ago[:CARDS_PER_POLL]:
            known.asked[issue] = now
            gone = await services.board.fetch_issue(issue) is None
            if gone and issue not in known.gone:
                known.found += 1
                self._router.repo(name).tell(IssueChanged(issue=issue))
            (known.gone.add if gone else known.gone.discard)(issue)

    async def _poll_relations(self, services: Services, known: Known) -> None:
        """Ask again what those cards wait for whose tasks have not begun: the longest unasked, and few at a time."""
        name, now = services.project.name, self._world.clock.now()
        waiting = await self._world.store.read(lambda tx: tx.awaiting_entry(name))
        known.related = {issue: at for issue, at in known.related.items() if issue in set(waiting)}
        due = [issue for issue in waiting if now - known.related.get(issue, NEVER) >= RELATIONS_EVERY]
        for issue in sorted(due, key=lambda each: known.related.get(each, NEVER))[:CARDS_PER_POLL]:
            known.related[issue] = now
            read = await read_relations(services, self._world.store, issue)
            self._router.repo(name).tell(RelationsRead(relations=(read,)))

    def _heed_hooks(self, services: Services, known: Known, changes: list[datetime], now: datetime) -> None:
        """Say it, once, where polls see what no hook tells of; and that it is over when one comes again."""
        service = services.project.board
        known.signs = after_poll(after_hook(known.signs, self._world.health.heard(service)), changes, now)
        told = f"polls see changes on {service} that no webhook tells of: see whether its webhook is switched off"
        self._world.health.notice(f"{service} webhook of {services.project.name}", told if known.signs.dead else "")

    # -------------------------------------------------------------------------------------------- the forge

    async def _poll_forge(self, services: Services, _: Known) -> None:
        """Look at the pull requests and statuses of our branches; main itself is the repo actor's to fetch."""
        name = services.project.name
        tasks = await self._world.store.read(lambda tx: tx.list_tasks(project=name, live=True))
        tasks = [task for task in tasks if task.code_head is not None and task.landed is None and task.park is None]
        pulls = await services.forge.list_pull_requests(PullRequestState.OPEN) if tasks else []
        opened = {pull.branch: pull for pull in pulls}
        for task in tasks:
            await self._look_at_pull(services, task, opened.get(task.branch))
            await self._look_at_statuses(services, task)
        self._router.repo(name).tell(LandingHint())

    async def _look_at_pull(self, services: Services, task: Task, opened: PullRequest | None) -> None:
        """Tell the task what became of its pull request; one that was merged shows in the default branch."""
        if task.pr_number is None:
            if opened is not None:
                self._router.task(task.row).tell(PullRequestOpened(number=opened.number, url=opened.url))
            return
        if opened is not None and opened.number == task.pr_number:
            return
        pull = await services.forge.fetch_pull_request(task.pr_number)
        if pull is not None and pull.state is PullRequestState.CLOSED:
            self._router.task(task.row).tell(PullRequestClosed(number=pull.number))

    async def _look_at_statuses(self, services: Services, task: Task) -> None:
        """Read the CI's statuses where the task waits for them."""
        if services.project.ci is not CiSource.FORGE or task.stage is not Stage.DEVELOPMENT or task.code_head is None:
            return
        statuses = await services.forge.fetch_statuses(task.code_head)
        state = combined_status(statuses, services.project.ci_contexts)
        if state is None:
            self._router.task(task.row).tell(CiSilent(sha=task.code_head))
        elif state is not task.ci:
            told = CiReported(sha=task.code_head, state=state.value, tail=describe_statuses(statuses))
            self._router.task(task.row).tell(told)

    async def _look_until_seen(self, changed: ForgeChanged) -> None:
        """Look, and where the forge does not answer soon again; after LOOKS_MAX times it is for the intake to send it anew."""
        if changed.inbox in self._looking:
            return
        self._looking.add(changed.inbox)
        try:
            for tries in range(LOOKS_MAX):
                wait_s = await self._look_at_branch(changed)
                if wait_s is None:
                    return
                await self._world.clock.sleep(max(wait_s, LOOK_FIRST_S * 2.0**tries))
        finally:
            self._looking.discard(changed.inbox)

    async def _look_at_branch(self, changed: ForgeChanged) -> float | None:
        """A hook names a branch or a commit: look at its pull request and statuses, then the event is handled.

        Return None when that is done, else how long the forge asks to be left alone.
        """
        services = self._world.services[changed.project]
        try:
            tasks = await self._world.store.read(lambda tx: tx.list_tasks(project=changed.project, live=True))
            task = self._match(tasks, changed.branch, changed.sha)
            if task is not None:
                pull = await services.forge.find_pull_request(task.branch)
                opened = pull if pull is not None and pull.state is PullRequestState.OPEN else None
                await self._look_at_pull(services, task, opened)
                await self._look_at_statuses(services, task)
            await self._world.store.transact(partial(_mark, row=changed.inbox))
        except (ExternalError, StoreError) as error:  # the row stays
            _log.warning("branch unread", repo=changed.project, branch=changed.branch, error=str(error))
            return (error.retry_after if isinstance(error, ExternalError) else None) or 0.0
        self._router.repo(changed.project).tell(LandingHint())
        return None

    def _match(self, tasks: list[Task], branch: Branch | None, sha: Sha | None) -> Task | None:
        named = next((task for task in tasks if branch is not None and task.branch == branch), None)
        if named is not None or sha is None:
            return named
        matched = match_status(tasks, sha)
        if matched is None:
            _log.info("status of no task of ours", sha=sha[:12])
        return matched

    # -------------------------------------------------------------------------------------------- the line itself

    async def _poll_tasks(self, services: Services, _: Known) -> None:
        """Find tasks that stand still for longer than their stage's grace, and read what their gate looks at."""
        name, now, grace = services.project.name, self._world.clock.now(), self._world.limits.grace_s

        def look(tx: Tx) -> list[Task]:
            live = tx.list_tasks(project=name, live=True)
            return [task for task in live if is_stale(task, now, grace, active=tx.active_job(task.row) is not None)]

        for task in await self._world.store.read(look):
            facts = None
            if task.stage is Stage.ARCHITECTURE and task.head is not None and task.base is not None:
                facts = await services.mirror.read_artefacts(task.head, task.work_item, task.base)
            self._router.task(task.row).tell(EvidenceRead(stage=task.stage, head=task.head, facts=facts))


def _mark(tx: Tx, row: InboxId) -> None:
    tx.mark_inbox(row, RowState.DONE)
