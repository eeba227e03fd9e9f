"""A deploy that is watched, a bad one, and what is read of it."""

from dataclasses import replace
from typing import Any

from orch.core.ids import DeployId, Sha
from orch.core.messages import LandingHint
from orch.core.model import Deploy, DeploySettings, DeployState, Freeze, MonitorSettings, Outcome, Run, RunKind, Task, Watch
from orch.core.stages import Stage
from orch.ports import Tx
from tests.builders import DEMO, add_task, make_project
from tests.fakes.line import Line
from tests.fakes.probe import BAD

MONITOR = MonitorSettings(url="https://shop.example/healthz", window_s=600, interval_s=15, fail_after=3)
DEPLOY = DeploySettings(command=("deploy",), rollback_command=("rollback",))
WATCHED = make_project(monitor=MONITOR, deploy=DEPLOY)
HOUR_S = 3600
DAY_S = 24 * HOUR_S


async def deployed(
    it: Line, number: int = 1, *, state: DeployState = DeployState.SUCCEEDED, tell: bool = True, **fields: Any
) -> Task:
    """Record a deploy of a task that is done with it, and let the repo's actor look."""
    now, sha = it.g.clock.now(), it.repository.main
    task = await add_task(
        it.g.store, number, at=now, stage=Stage.DONE, landed=sha, deployed=True, finished_at=now, swept=True, **fields
    )
    await it.write(lambda tx: record_deploy(tx, it, task, sha, state))
    if tell:
        it.supervisor.repo(DEMO).tell(LandingHint())
        await it.settle()
    return task


def record_deploy(tx: Tx, it: Line, task: Task, sha: Sha, state: DeployState) -> None:
    now = it.g.clock.now()
    run = tx.start_run(task, kind=RunKind.DEPLOY, job=None, role=None, at=now)
    tx.save_run(replace(run, outcome=Outcome.SUCCEEDED, ended_at=now))
    begun = tx.begin_deploy(
        Deploy(id=DeployId(0), project=DEMO, task=task.row, run=run.id, sha=sha, deadline_at=now, started_at=now)
    )
    assert begun is not None
    if state is not DeployState.RUNNING:
        tx.save_deploy(replace(begun, state=state, ended_at=now))


async def watch_of(it: Line, task: Task) -> Watch:
    watch = await it.read(lambda tx: tx.watch_of(task.row))
    assert watch is not None
    return watch


async def now_as(it: Line, task: Task) -> Task:
    found = await it.read(lambda tx: tx.load_task(task.row))
    assert found is not None
    return found


async def causes(it: Line, task: Task) -> list[str]:
    return [row.cause for row in await it.read(lambda tx: tx.list_transitions(task.row))]


async def freeze_of(it: Line) -> Freeze | None:
    return (await it.read(lambda tx: tx.load_repo(DEMO))).freeze


async def rollbacks(it: Line, task: Task) -> list[Run]:
    return [run for run in await it.read(lambda tx: tx.list_runs(task=task.row)) if run.kind is RunKind.ROLLBACK]


def alerts(it: Line) -> list[str]:
    return [alert.kind for alert in it.g.notifier.alerts]


async def degraded(it: Line, number: int = 1, **fields: Any) -> Task:
    it.g.probe.answers.extend([BAD, BAD, BAD])
    task = await deployed(it, number, **fields)
    await it.settle(46)
    return task
