"""The desk: people's commands from web, CLI and chat, one at a time, each with its answer.

Owns: finding what a command names, and handing it to whom it concerns. Does not own what a decision means.
Rule: what changes the local board is committed with an inbox row before anybody is told.
"""

from dataclasses import replace
from typing import assert_never

from actors import money
from actors.actor import Actor
from actors.controls import Controls
from actors.mailbox import Mailbox
from actors.world import Router, World
from orch.core.errors import DomainError, StoreError
from orch.core.ids import IssueId, ProjectName, Sha, parse_sha
from orch.core.messages import (
    AddDependency,
    AdoptIssue,
    Answer,
    ArchiveIssue,
    Asked,
    BoardTouched,
    ChangeBudget,
    CommentIssue,
    CreateIssue,
    Decide,
    DecideTask,
    DeskMessage,
    FreezeRepo,
    InboxHint,
    JobsWaiting,
    LiftPause,
    MoveIssue,
    PauseRepos,
    RemoveDependency,
    RevertTask,
    SendBack,
    SendTaskBack,
    SetBudget,
    TaskTouched,
    UnfreezeRepo,
    UnpauseRepos,
    Verb,
)
from orch.core.model import BoardIssue
from orch.core.room import Resource, Shortage
from orch.core.statuses import DEFAULT_NAMES, Status, fold
from orch.logs import get_logger
from orch.ports import Tx

_log = get_logger("desk")


class DeskActor(Actor[DeskMessage]):
    """See the module's docstring."""

    patient = False
    """Who asked has gone by the time a full disk has room again; a command carried out then would come as a surprise."""

    def __init__(self, mailbox: Mailbox[DeskMessage], world: World, router: Router) -> None:
        super().__init__(mailbox)
        self._world = world
        self._router = router
        self._controls = Controls(world, router)

    async def handle(self, message: Asked) -> None:
        try:
            answer = await self._carry_out(message)
        except StoreError as error:
            answer = Answer(verb=Verb.UNAVAILABLE, text=f"Nothing was done, try again later: {error}")
        if answer is not None:
            message.reply.answer(answer)

    async def _carry_out(self, message: Asked) -> Answer | None:
        command = message.command
        answer: Answer | None
        if isinstance(command, CreateIssue | AdoptIssue | RevertTask) and (full := self._disk_shortage()) is not None:
            return Answer(verb=Verb.UNAVAILABLE, text=f"No new work is taken on now: {full}")
        match command:
            case SetBudget(task=""):
                answer = await self._set_day(command)
            case DecideTask() | SendTaskBack() | SetBudget():
                answer = await self._decide(command, message)
            case CreateIssue():
                answer = await self._create(command)
            case MoveIssue():
                answer = await self._move(command)
            case ArchiveIssue():
                answer = await self._archive(command)
            case CommentIssue():
                answer = await self._comment(command)
            case AddDependency():
                answer = await self._add_dependency(command)
            case RemoveDependency():
                answer = await self._remove_dependency(command)
            case LiftPause():
                answer = await self._lift(command)
            case AdoptIssue() | RevertTask() | FreezeRepo() | UnfreezeRepo() | PauseRepos() | UnpauseRepos():
                answer = await self._controls.carry_out(command, message.reply)
            case _:
                assert_never(command)
        return answer

    async def _lift(self, command: LiftPause) -> Answer:
        """End an account's pause; what it was paused for counts no more."""
        name = command.account

        def work(tx: Tx) -> bool:
            account = tx.load_account(name)
            if account.pause is None:
                return False
            tx.save_account(replace(account, pause=None))
            tx.forget_failures(name)
            return True

        if not await self._world.store.transact(work):
            return Answer(verb=Verb.NOTHING, text=f"account {name[:80]!r} is not paused")
        _log.warning("the pause is lifted", account=name, by=command.by)
        self._router.slots.tell(JobsWaiting())
        return Answer(verb=Verb.DONE, text=f"account {name}: its pause is lifted")

    async def _set_day(self, command: SetBudget) -> Answer:
        """Raise or lift the budget of the present day: what waits for it begins at once."""
        now, limits = self._world.clock.now(), self._world.limits
        answer = await self._world.store.transact(lambda tx: money.set_day(tx, limits, command, now))
        if answer.verb is Verb.DONE:
            self._router.slots.tell(JobsWaiting())
        return answer

    def _disk_shortage(self) -> Shortage | None:
        """While the disk is all but full nothing new is begun; what is there may be decided, moved and stopped."""
        return next((each for each in self._world.health.shortages if each.resource is Resource.DISK), None)

    # -------------------------------------------------------------------------------------------- decisions

    async def _decide(self, command: DecideTask | SendTaskBack | SetBudget, message: Asked) -> Answer | None:
        """Hand a decision to the task's actor, which answers itself."""
        task = await self._world.store.read(lambda tx: tx.find_task(command.task))
        if task is None:
            return _unknown(f"no task is called {command.task[:80]!r}")
        if isinstance(command, SendTaskBack):
            back = SendBack(
                stage=command.stage, by=command.by, reason=command.reason, findings=command.findings, reply=message.reply
            )
            self._router.task(task.row).tell(back)
            return None
        if isinstance(command, SetBudget):
            change = ChangeBudget(
                by=command.by, raise_usd=command.raise_usd, lift=command.lift, shown_usd=command.shown_usd, reply=message.reply
            )
            self._router.task(task.row).tell(change)
            return None
        shown: Sha | None = None
        if command.shown:
            try:
                shown = parse_sha(command.shown.strip().lower())
            except ValueError as error:
                return Answer(verb=Verb.INVALID, text=f"'shown': {error}")
        self._router.task(task.row).tell(
            Decide(decision=command.decision, by=command.by, shown=shown, reason=command.reason, reply=message.reply)
        )
        return None

    # -------------------------------------------------------------------------------------------- the local board

    async def _create(self, command: CreateIssue) -> Answer:
        local = [name for name, it in self._world.services.items() if it.project.board == "local"]
        wanted = command.project.strip()
        project = next((name for name in local if name == wanted), None)
        if not wanted and len(local) == 1:
            project = local[0]
        if project is None:
            return _unknown(f"name a project of the local board: {', '.join(local) or 'there is none'}")
        status = _status(command.status) if command.status else None
        if isinstance(status, Answer):
            return status
        try:
            issue = await self._world.desk.create_issue(project, title=command.title, body=command.body, by=command.by)
            if status is not None:
                await self._world.desk.move_issue(issue.id, status.value, by=command.by)
        except DomainError as error:
            return Answer(verb=Verb.INVALID, text=str(error))
        self._board_changed(issue.id)
        return Answer(verb=Verb.DONE, text=f"{issue.id} was made", id=issue.id)

    def _board_changed(self, issue: IssueId) -> None:
        """What a person did to a card is in the inbox; whoever looks at the board sees it at once."""
        self._router.intake.tell(InboxHint())
        self._router.publisher.tell(BoardTouched(issue=issue))

    async def _move(self, command: MoveIssue) -> Answer:
        status = _status(command.status)
        if isinstance(status, Answer):
            return status
        issue = await self._issue(command.issue)
        if issue is None:
            return _unknown(f"no issue of the local board is called {command.issue[:80]!r}")
        try:
            await self._world.desk.move_issue(issue.id, status.value, by=command.by)
        except DomainError as error:
            return Answer(verb=Verb.INVALID, text=str(error))
        self._board_changed(issue.id)
        return Answer(verb=Verb.DONE, text=f"{issue.id} is in {DEFAULT_NAMES[status]}", id=issue.id)

    async def _archive(self, command: ArchiveIssue) -> Answer:
        issue = await self._issue(command.issue)
        if issue is None:
            return _unknown(f"no issue of the local board is called {command.issue[:80]!r}")
        if issue.archived is command.archived:
            there = "in the archive" if issue.archived else "on the board"
            return Answer(verb=Verb.NOTHING, text=f"{issue.id} is {there} already", id=issue.id)
        await self._world.desk.archive_issue(issue.id, by=command.by, archived=command.archived)
        self._board_changed(issue.id)
        done = "was archived; a task of it is parked and asks" if command.archived else "is on the board again"
        return Answer(verb=Verb.DONE, text=f"{issue.id} {done}", id=issue.id)

    async def _comment(self, command: CommentIssue) -> Answer:
        issue = await self._issue(command.issue)
        if issue is None:
            return _unknown(f"no issue of the local board is called {command.issue[:80]!r}")
        try:
            await self._world.desk.comment(issue.id, command.text, by=command.by)
        except DomainError as error:
            return Answer(verb=Verb.INVALID, text=str(error))
        return Answer(verb=Verb.DONE, text=f"commented on {issue.id}", id=issue.id)

    async def _issue(self, name: str) -> BoardIssue | None:
        """Find an issue of the local board by its key or by its task's work item id."""

        def work(tx: Tx) -> BoardIssue | None:
            task = tx.find_task(name)
            return tx.load_issue(IssueId(name)) or (tx.load_issue(task.issue) if task is not None else None)

        return await self._world.store.read(work)

    # -------------------------------------------------------------------------------------------- dependencies

    async def _pair(self, issue: str, on: str) -> tuple[ProjectName, IssueId, IssueId] | Answer:
        def work(tx: Tx) -> tuple[ProjectName, IssueId, IssueId] | Answer:
            found: list[tuple[ProjectName, IssueId]] = []
            for name in (issue, on):
                task, card = tx.find_task(name), tx.load_issue(IssueId(name))
                if task is not None:
                    found.append((task.project, task.issue))
                elif card is not None:
                    found.append((card.project, card.id))
                else:
                    return _unknown(f"no issue or task is called {name[:80]!r}")
            if found[0][0] != found[1][0]:
                return Answer(verb=Verb.INVALID, text=f"{issue} and {on} belong to different projects")
            return found[0][0], found[0][1], found[1][1]

        return await self._world.store.read(work)

    async def _add_dependency(self, command: AddDependency) -> Answer:
        pair = await self._pair(command.issue, command.on)
        if isinstance(pair, Answer):
            return pair
        project, issue, on = pair
        now = self._world.clock.now()
        cycle = await self._world.store.transact(lambda tx: tx.add_dependency(project, issue, on, now))
        if cycle is not None:
            return Answer(verb=Verb.REFUSED, text=f"that would close a cycle: {' → '.join(cycle)}")
        self._router.slots.tell(JobsWaiting())  # who waits for a dependency holds nobody at the serial gate
        await self._touch(project, issue)
        return Answer(verb=Verb.DONE, text=f"{issue} waits for {on}", id=issue)

    async def _remove_dependency(self, command: RemoveDependency) -> Answer:
        pair = await self._pair(command.issue, command.on)
        if isinstance(pair, Answer):
            return pair
        project, issue, on = pair
        removed = await self._world.store.transact(lambda tx: tx.remove_dependency(project, issue, on))
        if not removed and on in await self._world.store.read(lambda tx: tx.relations(project, issue)):
            return Answer(verb=Verb.REFUSED, text=f"that {issue} waits for {on} is a relation on the board: take it back there")
        if not removed:
            return Answer(verb=Verb.NOTHING, text=f"{issue} did not wait for {on}", id=issue)
        self._router.slots.tell(JobsWaiting())
        await self._touch(project, issue)
        return Answer(verb=Verb.DONE, text=f"{issue} no longer waits for {on}", id=issue)

    async def _touch(self, project: ProjectName, issue: IssueId) -> None:
        live = await self._world.store.read(lambda tx: tx.live_task(project, issue))
        if live is not None:
            self._router.publisher.tell(TaskTouched(task=live.row))


def _unknown(text: str) -> Answer:
    return Answer(verb=Verb.UNKNOWN, text=text)


def _status(name: str) -> Status | Answer:
    """Find a status by its logical key or by its column's name."""
    wanted = fold(name)
    for status in Status:
        if wanted in (status.value, fold(DEFAULT_NAMES[status])):
            return status
    return Answer(verb=Verb.INVALID, text=f"no status is called {name[:80]!r}; there are: {', '.join(Status)}")
