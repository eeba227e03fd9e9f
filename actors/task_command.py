"""The daemon's own command on a task, CI or staging: which one the store calls for, its run, and the staging report.

Owns: what is looked up and written for it. Does not own: the one that is under way and its cancelling (``task``), carrying it out
(``slots``), whether it is wanted (``decide_evidence``). Rule: what is wanted is read from the store, never remembered.
"""

from dataclasses import dataclass, replace
from typing import assert_never, final

from actors.mailbox import Mailbox
from actors.world import World
from orch.core import decide_evidence
from orch.core.errors import ExternalError, StoreError
from orch.core.ids import RunId, Sha, TaskRow
from orch.core.messages import CommandFinished, CommandVerdict, RunCommand, TaskMessage
from orch.core.model import Project, Run, RunKind, Task
from orch.core.render import render_staging_report
from orch.core.stages import is_terminal
from orch.logs import get_logger
from orch.ports import Tx


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """The daemon's own command that the task has running."""

    kind: RunKind
    sha: Sha
    run: RunId

    @classmethod
    def of(cls, run: Run) -> "UnderWay":
        assert run.start_head is not None, "a command's run names what it runs on"
        return cls(kind=run.kind, sha=run.start_head, run=run.id)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the store says of the task: the command it calls for, and those of the given attempts that are over.

    *ended* is the task itself where it is terminal and not cleaned up after.
    """

    wanted: tuple[RunKind, Sha] | None
    over: tuple[RunId, ...]
    ended: Task | None = None


def look_at(tx: Tx, world: World, row: TaskRow, attempts: tuple[RunId, ...]) -> Look:
    """Read what the store says of the task and of those *attempts* at it."""
    task = tx.load_task(row)
    runs = {run: tx.load_run(run) for run in attempts}
    over = tuple(run for run, stored in runs.items() if stored is None or stored.outcome is not None)
    if task is None or task.project not in world.services:
        return Look(wanted=None, over=over)
    ended = task if is_terminal(task.stage) and not task.swept else None
    return Look(wanted=decide_evidence.wants(task, world.context(task.project)), over=over, ended=ended)


def start_command(tx: Tx, world: World, row: TaskRow) -> Run | None:
    """Inside the transaction: make the run of what is wanted now."""
    task = tx.load_task(row)
    if task is None:
        return None
    context = world.context(task.project)
    wanted = decide_evidence.wants(task, context)
    if wanted is None:
        return None
    kind, sha = wanted
    run = replace(tx.start_run(task, kind=kind, job=None, role=None, at=context.now), start_head=sha)
    tx.save_run(run)
    return run


def run_command(run: Run, sha: Sha, project: Project, reply: Mailbox[TaskMessage]) -> RunCommand:
    """Return what the command slots are asked for; the result comes to *reply*."""
    match run.kind:
        case RunKind.CI:
            command, timeout_s = project.test_command, project.test_timeout_s
        case RunKind.STAGING:
            command, timeout_s = project.deploy.staging_command, project.deploy.timeout_s
        case RunKind.AGENT | RunKind.LAND | RunKind.DEPLOY | RunKind.ROLLBACK:
            raise ValueError(f"{run.kind} is no command of a task")
        case _:
            assert_never(run.kind)
    return RunCommand(
        run=run.id,
        attempt=run.attempt,
        project=run.project,
        task=run.task,
        sha=sha,
        command=command,
        prepare=run.kind is RunKind.CI,
        timeout_s=timeout_s,
        reply=reply,
        tell_tree=run.kind is RunKind.CI,
    )


async def report_staging(world: World, row: TaskRow, finished: CommandFinished) -> CommandFinished:
    """Write ``09-staging.md`` onto the branch and return the result with its commit; a branch that has moved goes without."""
    task = await world.store.read(lambda tx: tx.load_task(row))
    head: Sha | None = None
    if task is not None and task.head == finished.sha:
        services = world.services[task.project]
        ok = finished.report.verdict is CommandVerdict.GREEN
        text = render_staging_report(finished.sha, finished.report.tail, services.project.language, ok=ok)
        try:
            head = await services.mirror.write_artefact(
                task.branch, finished.sha, task.work_item, name="09-staging.md", text=text
            )
        except (ExternalError, StoreError) as error:
            get_logger("task").warning("staging report not written", task=task.work_item, error=str(error))
    return replace(finished, head=head or finished.sha)
