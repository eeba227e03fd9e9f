"""What the train rules about a task or about main, with the evidence that people and the next attempt are given.

Owns: gathering that evidence from checks and git, and the transaction of each ruling. Does not own: the plan, or what a
ruling means for the task (``decide_evidence``, ``decide_landing``). Rule: the verdicts are rows before anything follows from
them; a task that has moved on meanwhile ignores the ruling.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import final

from actors import freezing
from actors.component import Room
from actors.landing import decide_members
from actors.persist import Hints, send_hints, tell_world
from orch.core import decide_evidence
from orch.core.decide_landing import disturbed
from orch.core.effects import Alert
from orch.core.errors import ExternalError
from orch.core.ids import CheckId, IssueId, Sha, TaskRow, WorkItemId
from orch.core.messages import LandingRefused
from orch.core.model import CheckRow, FreezeCause, Task
from orch.core.render import render_no_verdict, render_red_main, render_unbuildable
from orch.core.train import Chain, Disturbed, Eject, MainRed
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import LeftOut, Tx

LANDED_MAX = 20
"""Of so many tasks that landed last it is looked up which files they changed."""
_log = get_logger("landing")


@final
class Rulings:
    """Carries out the rulings of one repo's train."""

    def __init__(self, room: Room) -> None:
        self._room = room

    # -------------------------------------------------------------------------------------------- about a task

    async def refuse(self, left_out: Sequence[LeftOut], base: Sha) -> None:
        """Members that conflict with the default branch go back; what cannot be built at all waits until that is mended."""
        for each in left_out:
            if each.broken:
                told = render_unbuildable(each.detail, self._room.project.language)
                await self._decide(each.task, told=told)
                continue
            task = await self._room.world.store.read(lambda tx, row=each.task: tx.load_task(row))  # type: ignore[misc]
            culprits = await self._culprits(task, each.files) if task is not None else ()
            refused = LandingRefused(
                kind="conflict", head=each.head, base=base, evidence=each.detail, files=each.files, culprits=culprits
            )
            await self._decide(each.task, refused=refused)

    async def eject(self, ruling: Eject, base: Sha) -> None:
        """The minimal pair: the task is red on what is now main, and main without it is green."""
        task, red = await self._room.world.store.read(lambda tx: (tx.load_task(ruling.task), self._check(tx, ruling.red)))
        if task is None or red is None or task.head is None:
            return
        mine = await self._files_of(task)
        touched = [(other.work_item, await self._files_of(other)) for other in await self._landed_since(task)]
        files, culprits = decide_evidence.name_culprits(mine, touched)
        refused = LandingRefused(kind="land_red", head=task.head, base=base, evidence=red.tail, files=files, culprits=culprits)
        await self._decide(ruling.task, refused=refused)

    async def disturbed(self, ruling: Disturbed) -> None:
        """Its candidate gives no verdict, however often: not its fault, and it holds up nobody."""
        row = await self._room.world.store.read(lambda tx: self._check(tx, ruling.check))
        verdict, tail = (row.verdict or "", row.tail) if row is not None else ("", "")
        await self._decide(ruling.task, told=render_no_verdict(verdict, tail, self._room.project.language))

    async def _decide(self, row: TaskRow, *, refused: LandingRefused | None = None, told: str = "") -> None:
        def work(tx: Tx) -> list[Hints]:
            if refused is not None:
                if refused.kind == "land_red":
                    train = tx.load_train(self._room.name)
                    tx.save_train(replace(train, ejected=train.ejected + 1))
                return decide_members(
                    tx, self._room, [row], lambda context, task: decide_evidence.landing_refused(context, task, refused)
                )
            return decide_members(tx, self._room, [row], lambda context, task: disturbed(context, task, told))

        hints = await self._room.world.store.transact(work)
        hit("landing.ruled")
        _log.info("ruled", task=int(row), kind=refused.kind if refused is not None else "disturbed", repo=self._room.name)
        for each in hints:
            send_hints(self._room.router, each)

    # -------------------------------------------------------------------------------------------- about main

    async def main_red(self, ruling: MainRed, chain: Chain) -> None:
        """The default branch itself is red: nobody is blamed. Where no machine may freeze, only fixes go on over it."""

        def work(tx: Tx) -> None:
            red, context = self._check(tx, ruling.check), self._room.world.context(self._room.name)
            told = render_red_main(chain.base, red.tail if red is not None else "", context.project.language)
            if context.limits.serial_gate_freeze_enabled:
                freezing.freeze_repo(tx, context, FreezeCause.RED_MAIN, detail=told)
                return
            train = tx.load_train(self._room.name)
            if train.red_main != chain.base_tree:
                tx.save_train(replace(train, red_main=chain.base_tree))
                alert = Alert(kind="red-main", text=told)
                tell_world(tx, alert, project=self._room.name, task=None, issue=IssueId(""), at=context.now)

        await self._room.world.store.transact(work)
        _log.error("the default branch is red", repo=self._room.name, sha=chain.base[:12])
        freezing.look_again(self._room.router, self._room.name)

    # -------------------------------------------------------------------------------------------- evidence

    def _check(self, tx: Tx, check: CheckId) -> CheckRow | None:
        return next((row for row in tx.list_checks(self._room.name) if row.id == check), None)

    async def _files_of(self, task: Task) -> tuple[str, ...]:
        """Return the files that the task's branch changed; nothing where git cannot tell: evidence must hold up no ruling."""
        if task.base is None or task.head is None:
            return ()
        try:
            return await self._room.services.mirror.changed_files(task.base, task.head)
        except ExternalError as error:
            _log.warning("files unknown", task=task.work_item, error=str(error))
            return ()

    async def _landed_since(self, task: Task) -> list[Task]:
        """Return the tasks that landed since *task*'s branch was cut (or took main in), in the order of landing."""

        def work(tx: Tx) -> list[Task]:
            found = tx.list_tasks(project=task.project, live=None, limit=10 * LANDED_MAX, newest_first=True)
            landed = [other for other in found if other.landed is not None and other.landed_seq is not None]
            return sorted(landed, key=lambda other: other.landed_seq or 0)[-LANDED_MAX:]

        landed = await self._room.world.store.read(work)
        if task.head is None:
            return []
        inside = await self._room.services.mirror.contained([each.landed for each in landed if each.landed], task.head)
        return [each for each in landed if each.landed not in inside]

    async def _culprits(self, task: Task, files: Collection[str]) -> tuple[WorkItemId, ...]:
        """Return who landed since the branch was cut and changed one of *files*."""
        found = [(other.work_item, await self._files_of(other)) for other in await self._landed_since(task)]
        return tuple(name for name, theirs in found if set(files) & set(theirs))
