"""What is left to do when a task has ended: verified dead, archived, and gone.

Owns: the order of the clean-up after done and cancelled. It is a child of the task's actor, begun when nothing of the task
runs any more. Rule: nothing goes before it is kept (artefact folder for ever, commits and dirty tree in the archive); a remote
branch goes only at the SHA that was kept. Each step may be repeated; a restart in the middle begins again.
Races we accept: somebody pushes to the branch between our look and the deletion: the lease refuses it, and we look again.
"""

from actors.attempt import process_labels
from actors.intake import look_again
from actors.persist import Hints, apply, send_hints
from actors.world import Router, Services, World
from orch.core.errors import TransientError
from orch.core.model import Run, Survivor, Task
from orch.core.stages import Stage
from orch.core.survivors import left_behind
from orch.logs import get_logger
from orch.ports import PushResult, Tx

_log = get_logger("sweep")
LOOKS = 3


async def sweep(world: World, router: Router, services: Services, task: Task) -> None:
    """Clean up after *task*; raises ExternalError or StoreError when it is to be tried again."""
    runs = await world.store.read(lambda tx: tx.list_runs(task=task.row))
    killed = await world.processes.kill_orphans(process_labels(runs))
    if killed:
        _log.warning("processes found after the end", task=task.work_item, pids=killed)
    await _tell_survivors(world, router, task, runs)
    await services.workspace.remove(task.row)
    if task.stage is Stage.CANCELLED and task.landed is None:
        await _delete_branch(services, task, runs)

    def work(tx: Tx) -> None:
        tx.end_sweep(task.row)
        if task.stage is Stage.CANCELLED:  # a person may have moved the card on meanwhile: that was kept for now
            look_again(tx, task.project, task.issue, world.clock.now())

    await world.store.transact(work)
    _log.info("swept", repo=task.project, task=task.work_item)


async def _tell_survivors(world: World, router: Router, task: Task, runs: list[Run]) -> None:
    """Say, once, what could not be ended; raises TransientError while it lives: nothing of the task is removed under it."""
    left: tuple[Survivor, ...] = ()

    def work(tx: Tx) -> Hints | None:
        nonlocal left
        known = tx.list_survivors(task.row).get(task.row, [])
        left = world.processes.living(process_labels(runs), known)
        context = world.context(task.project)
        history = tx.list_transitions(task.row)
        decided = left_behind(context, tx.load_task(task.row) or task, left, known=bool(known), history=history)
        return apply(tx, decided, at=context.now)[1] if decided.changed else None

    hints = await world.store.transact(work)
    if hints is not None:
        send_hints(router, hints)
    if left:
        raise TransientError("processes", "end", ", ".join(f"{each.pid} ({each.name})" for each in left))


async def _delete_branch(services: Services, task: Task, runs: list[Run]) -> None:
    """Delete the remote branch of a stopped task at the very SHA that is in the archive."""
    for _ in range(LOOKS):
        ids = [run.id for run in runs]
        kept = await services.mirror.keep_branch(task.branch, task=task.row, runs=ids, head=task.head)
        if kept is None:
            return
        deleted = await services.mirror.delete_branch(task.branch, expected=kept)
        if deleted.result is PushResult.PUSHED:
            return
        if deleted.result is not PushResult.MOVED:
            _log.error("branch kept", task=task.work_item, branch=task.branch, detail=deleted.detail)
            return
    raise TransientError("git", "delete branch", f"{task.branch} keeps moving")
