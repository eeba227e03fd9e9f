"""Reverts: the component of a repo's actor that makes a card and a task to take back what has landed.

Owns: the way from a person's wish to that task. Does not own: when it is possible (``orch.core.decide_revert``), the commits.

Desired properties: one revert per task, whoever asks how often and whatever dies in between; who asked is answered.
Design: the board makes the card under a key, outside the actor's own loop; task, link and answer are one transaction after that.
Races we accept: the daemon dies between card and task: the card starts nothing, and the next wish finds it.
"""

from typing import assert_never, final

from actors.component import Room
from actors.entry import drop_signs, task_from
from actors.persist import Hints, apply, send_hints
from orch.core.decide_revert import already_reverting, kept_from_reverting, revert_key, revert_noted, revert_started
from orch.core.errors import DomainError, ExternalError, StoreError
from orch.core.messages import Answer, Revert, RevertCarded, Verb
from orch.core.model import BoardIssue, Candidate, Task
from orch.core.render import render_revert_text, render_revert_title
from orch.logs import get_logger
from orch.ports import Tx

TITLE_MAX = 200
ReversalMessage = Revert | RevertCarded
_log = get_logger("reverts")


@final
class Reverts:
    """See the module's docstring."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def started(self) -> None:
        """A wish is answered while it is carried out; who asked has gone with the earlier life."""

    async def plan(self) -> None:
        """Nothing waits here."""

    async def handle(self, message: ReversalMessage) -> None:
        match message:
            case Revert():
                await self._ask_for_card(message)
            case RevertCarded():
                await self._start(message)
            case _:
                assert_never(message)

    async def _ask_for_card(self, revert: Revert) -> None:
        def work(tx: Tx) -> tuple[Task | None, Candidate | None]:
            task = tx.load_task(revert.task)
            return task, None if task is None or task.landed is None else tx.landing_of(task)

        task, landing = await self._room.world.store.read(work)
        kept = _unknown(revert) if task is None else kept_from_reverting(task)
        if task is None or kept is not None:
            revert.reply.answer(kept or _unknown(revert))
            return
        self._room.spawn(self._make_card, revert, task, landing)

    async def _make_card(self, revert: Revert, task: Task, landing: Candidate | None) -> None:
        project, limits = self._room.project, self._room.world.limits
        title = render_revert_title(task, min(limits.qg0_title_max, TITLE_MAX), project.language)
        text = render_revert_text(task, landing, project.land_style, project.language)
        issue, error = None, ""
        try:
            issue = await self._room.services.board.create_issue(title=title, text=text, key=revert_key(task))
        except (ExternalError, StoreError, DomainError) as failure:
            error = str(failure)
        self._room.mailbox.tell(RevertCarded(task=task.row, issue=issue, by=revert.by, reply=revert.reply, error=error))

    async def _start(self, carded: RevertCarded) -> None:
        issue = carded.issue
        if issue is None:
            text = f"nothing was taken back, the board has no card for it, try again later: {carded.error}"
            carded.reply.answer(Answer(verb=Verb.UNAVAILABLE, text=text))
            return
        answer, hints = await self._room.world.store.transact(lambda tx: self._make_task(tx, carded, issue))
        carded.reply.answer(answer)
        if hints:
            _log.warning("reverting", repo=self._room.name, by=carded.by, fix=answer.id)
        for each in hints:
            send_hints(self._room.router, each)

    def _make_task(self, tx: Tx, carded: RevertCarded, issue: BoardIssue) -> tuple[Answer, tuple[Hints, ...]]:
        """Inside the transaction: make the fix, unless there is one already, and let both tasks know of each other."""
        context = self._room.world.context(self._room.name)
        task = tx.load_task(carded.task)
        if task is None:
            return _unknown(carded), ()
        earlier = tx.newest_task(self._room.name, issue.id)
        kept = already_reverting(task, earlier)
        if kept is not None:
            return kept, ()
        fix = tx.insert_task(task_from(issue, context.project, context.now, exempt=True))
        if fix is None:
            return Answer(verb=Verb.REFUSED, text=f"a task of {issue.id} was started meanwhile", id=issue.id), ()
        if earlier is not None:
            drop_signs(tx, earlier)
        fix, mine = apply(tx, revert_started(context, fix, task, carded.by), at=context.now)
        _, other = apply(tx, revert_noted(context, task, fix, carded.by), at=context.now)
        text = f"{fix.work_item} takes {task.work_item} back: a fix, through the line as any other"
        return Answer(verb=Verb.DONE, text=text, id=fix.work_item), (mine, other)


def _unknown(message: ReversalMessage) -> Answer:
    return Answer(verb=Verb.UNKNOWN, text=f"there is no task in row {int(message.task)}")
