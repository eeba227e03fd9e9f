"""What is kept for a while only, and goes: archives and logs of tasks that ended long ago, old rows, old objects.

Owns: one round of it. Does not own: when (``caretaker``), what a task keeps for ever (its documents, rows and history).
Desired properties: nothing of a live task goes; a round that is cut off is finished by the next one; one project's trouble is
its own. Design: refs first, then folders, then the mark in the task's row: whatever is done twice finds nothing. A batch at a
time, so that the first round after a long time is no longer than any other.
Races we accept: a log that somebody is reading is gone with the next request.
"""

from collections.abc import Sequence
from datetime import timedelta

from actors.world import World
from orch.core.errors import ExternalError
from orch.core.ids import ProjectName, Sha
from orch.core.landing import kept_candidates
from orch.logs import get_logger
from orch.ports import Retirable, Tx

BATCH = 100
_log = get_logger("retention")


async def tidy(world: World) -> bool:
    """Hold one round; say whether there is more of the same to do. Raises StoreError."""
    days = world.limits.archive_days
    before = world.clock.now() - timedelta(days=days)
    found = await world.store.read(lambda tx: tx.retirable(before, BATCH))
    rows = await world.store.transact(lambda tx: tx.forget_old_rows(before))
    gone = 0
    for name in world.services:
        mine = [each for each in found if each.project == name]
        try:
            gone += await _retire(world, name, mine, days)
        except (ExternalError, OSError) as error:
            _log.warning("not tidied", repo=name, error=str(error))
    orphaned = [each for each in found if each.project not in world.services]
    await _forget(world, orphaned)
    if found or rows or gone:
        _log.info("tidied", tasks=len(found), rows=rows, refs=gone)
    return len(found) == BATCH


async def _retire(world: World, name: ProjectName, mine: Sequence[Retirable], days: int) -> int:
    """Let everything go that *mine* kept, and what the mirror needs no more; return how many refs went."""

    def kept(tx: Tx) -> frozenset[Sha]:
        return kept_candidates(tx.list_checks(name, running=True), tx.open_intents(name))

    gone = await world.services[name].mirror.retire(mine, kept=await world.store.read(kept), days=days)
    await _forget(world, mine)
    return gone


async def _forget(world: World, mine: Sequence[Retirable]) -> None:
    """Remove the folders, then mark the tasks. A project that is configured no more has its mirror left as it is."""
    if not mine:
        return
    await world.shelves.remove([run for each in mine for run in each.runs], [each for one in mine for each in one.deploys])

    def work(tx: Tx) -> None:
        for each in mine:
            tx.retire(each.task)

    await world.store.transact(work)
