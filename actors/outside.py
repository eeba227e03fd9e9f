"""What others do to a repo's default branch and to its task branches, as a fetch shows it.

Owns: the fetch, and what is concluded from it: main moved and holds a task that we did not land; a task's branch moved.
Does not own: what that means for the task (``decide_branch``), the landing itself.

Desired properties: our own pushes are never taken for somebody else's; what was seen once is not asked of git again.
Design: tasks are read before the fetch and after it; only one whose head is the same and which has nothing running both times can
have been moved by somebody else. Whether main holds a task is asked once per head and value of main.
Races we accept: a branch moves right after the fetch: the next one shows it, and a push of ours with a lease never hides it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import final

from actors.component import Room
from actors.persist import Hints, apply, send_hints
from orch.core.decide_branch import merged_outside
from orch.core.ids import Sha, TaskRow
from orch.core.landing import landing_members
from orch.core.messages import BranchMoved, MergedOutside, TaskLanded
from orch.core.model import RunKind, Task
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import CandidateMember, ChainSpec, Tx

_log = get_logger("landing")
MERGED_MAX = 200
"""Of so many tasks at most it is looked up in one go whether somebody else has merged them."""


@final
class Outside:
    """Looks at what others did, and says where the default branch stands."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._asked: dict[TaskRow, tuple[Sha, Sha]] = {}
        """By task: for which head and which main it is known that main does not hold it."""

    async def look(self) -> Sha:
        """Fetch, record what others did, and return the default branch's tip as fetched. Raises ExternalError, StoreError.

        The store's main is another one afterwards where a landing was recorded meanwhile: then it is to be looked again.
        """
        room = self._room
        before, known = await room.world.store.read(lambda tx: (self._quiet(tx), tx.load_repo(room.name).main))
        tip = await room.services.mirror.fetch()
        hit("landing.fetched")
        merged = await self._merged(list(before.values()), tip, thorough=known != tip)
        if merged or known != tip:
            for each in await room.world.store.transact(lambda tx: self._record(tx, tip, known, merged)):
                send_hints(room.router, each)
                if each.task is not None:
                    room.router.task(each.task).tell(TaskLanded(sha=tip))
        await self._tell_moved(before)
        return tip

    def _quiet(self, tx: Tx) -> dict[TaskRow, Task]:
        """Return the live tasks that have a branch and nothing under way that could push it."""
        landing = landing_members(tx.open_intents(self._room.name))
        busy = {run.task for run in tx.list_runs(running=True) if run.kind is not RunKind.LAND}
        live = tx.list_tasks(project=self._room.name, live=True)
        return {
            task.row: task
            for task in live
            if task.head is not None and task.landed is None and task.row not in busy and task.row not in landing
        }

    # -------------------------------------------------------------------------------------------- main

    async def _merged(self, tasks: Sequence[Task], tip: Sha, *, thorough: bool) -> dict[TaskRow, Sha]:
        """Return the tasks whose code main holds, each with its head. *thorough*: a squashed merge of one is found too."""
        mirror, asked = self._room.services.mirror, []
        for task in tasks:
            changed = task.code_head is not None and task.code_head != task.base
            if changed and task.head is not None and self._asked.get(task.row) != (task.head, tip):
                asked.append(task)
        found = await mirror.contained([task.code_head for task in asked[:MERGED_MAX] if task.code_head is not None], tip)
        merged: dict[TaskRow, Sha] = {}
        for task in asked[:MERGED_MAX]:
            assert task.head is not None
            if task.code_head in found or (thorough and await self._adds_nothing(task, task.head, tip)):
                merged[task.row] = task.head
            else:
                self._asked[task.row] = (task.head, tip)
        return merged

    async def _adds_nothing(self, task: Task, head: Sha, tip: Sha) -> bool:
        member = CandidateMember(task=task.row, head=head, message="")
        style = self._room.project.land_style
        built = await self._room.services.mirror.build_chain(ChainSpec(base=tip, members=(member,), style=style))
        return bool(built.chain.links) and built.chain.tree(1) == built.chain.base_tree

    def _record(self, tx: Tx, tip: Sha, known: Sha | None, merged: Mapping[TaskRow, Sha]) -> list[Hints]:
        """Inside the transaction: remember main, and take on the tasks that it holds by somebody else's doing.

        Where a landing was recorded during the fetch (main is not *known* any more) what was fetched may be older than that.
        """
        repo, context, hints = tx.load_repo(self._room.name), self._room.world.context(self._room.name), []
        if repo.main not in (known, tip):
            return []
        if repo.main != tip:
            tx.save_repo(replace(repo, main=tip))
        landing = landing_members(tx.open_intents(self._room.name))
        for row, head in merged.items():
            task = tx.load_task(row)
            if task is None or task.head != head or task.landed is not None or row in landing:
                continue
            decided = merged_outside(context, task, MergedOutside(sha=tip))
            if decided.changed:
                numbered = replace(decided.task, landed_seq=tx.next_landed_seq(self._room.name))
                hints.append(apply(tx, replace(decided, task=numbered), at=context.now)[1])
                _log.info("merged by somebody else", task=task.work_item, sha=tip[:12])
        return hints

    # -------------------------------------------------------------------------------------------- task branches

    async def _tell_moved(self, before: Mapping[TaskRow, Task]) -> None:
        """Tell the tasks whose branch is not where we left it."""
        mirror = self._room.services.mirror
        if all(mirror.tracked(task.branch) == task.head for task in before.values()):
            return
        after = await self._room.world.store.read(self._quiet)
        for row, task in after.items():
            old, new = task.head, mirror.tracked(task.branch)
            if row not in before or before[row].head != old or old is None or new == old:
                continue
            if new is not None and await mirror.is_ours(task.branch, new):
                continue  # pushed in a life that died before it could record that: whoever pushed it does so again
            forced = new is not None and not await mirror.contains(old, new)
            code_head = None
            if new is not None and task.base is not None:
                code_head = (await mirror.read_artefacts(new, task.work_item, task.base)).code_head
            _log.warning("branch moved", task=task.work_item, old=old[:12], new=(new or "nothing")[:12], forced=forced)
            self._room.router.task(row).tell(BranchMoved(old=old, new=new, forced=forced, code_head=code_head))
