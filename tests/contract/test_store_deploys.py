"""Deploys in the store: one slot per project, fenced ends, what production has, and what waits for it."""

from dataclasses import replace

import pytest

from orch.core.ids import DeployId, ProjectName, RunId, Sha
from orch.core.model import Deploy, DeployState, RunKind, Task
from orch.core.stages import Stage
from orch.ports import Store
from tests.builders import DEMO, NOW, add_task, later, make_deploy, sha

OVER = [state for state in DeployState if state is not DeployState.RUNNING]


async def begin(store: Store, task: Task, **fields: object) -> Deploy | None:
    """Begin a deploy of *task*, with a run of its own."""
    run = await store.transact(lambda tx: tx.start_run(task, kind=RunKind.DEPLOY, job=None, role=None, at=NOW))
    deploy = make_deploy(task, id=DeployId(0), run=run.id, sha=sha("d"), **fields)
    return await store.transact(lambda tx: tx.begin_deploy(deploy))


async def begun(store: Store, task: Task, **fields: object) -> Deploy:
    deploy = await begin(store, task, **fields)
    assert deploy is not None
    return deploy


async def end(store: Store, deploy: Deploy, state: DeployState, **fields: object) -> bool:
    ended = replace(deploy, state=state, ended_at=later(60), **fields)  # type: ignore[arg-type]
    return await store.transact(lambda tx: tx.save_deploy(ended))


async def test_a_deploy_is_kept_as_it_was_begun_and_as_it_goes_on(store: Store) -> None:
    task = await add_task(store, 1)
    deploy = await begun(store, task, tries=1, due_at=None)
    assert await store.read(lambda tx: tx.load_deploy(deploy.id)) == deploy
    assert (deploy.sha, deploy.task, deploy.state) == (sha("d"), task.row, DeployState.RUNNING)
    again = replace(deploy, tries=2, due_at=later(5), exit_code=75, detail="busy")
    assert await store.transact(lambda tx: tx.save_deploy(again))
    assert await store.read(lambda tx: tx.load_deploy(deploy.id)) == again
    assert await store.read(lambda tx: tx.load_deploy(DeployId(99))) is None


async def test_a_project_has_one_slot_and_each_end_of_its_holder_frees_it(store: Store) -> None:
    first, second = await add_task(store, 1), await add_task(store, 2)
    for state in OVER:
        holder = await begun(store, first)
        assert await begin(store, second) is None
        assert await store.read(lambda tx: tx.running_deploys(DEMO)) == [holder]
        assert await end(store, holder, state)
        assert await store.read(lambda tx: tx.running_deploys()) == []
    assert (await begun(store, second)).task == second.row


async def test_another_projects_slot_is_its_own(store: Store) -> None:
    here, there = await add_task(store, 1), await add_task(store, 2, project=ProjectName("other"))
    one, two = await begun(store, here), await begun(store, there)
    assert await store.read(lambda tx: tx.running_deploys()) == [one, two]
    assert await store.read(lambda tx: tx.running_deploys(ProjectName("other"))) == [two]


@pytest.mark.parametrize("state", OVER)
async def test_what_has_ended_stays_as_it_ended(store: Store, state: DeployState) -> None:
    deploy = await begun(store, await add_task(store, 1))
    assert await end(store, deploy, state, exit_code=3)
    for late in (DeployState.RUNNING, DeployState.SUCCEEDED, DeployState.FAILED):
        assert not await end(store, deploy, late)
    kept = await store.read(lambda tx: tx.load_deploy(deploy.id))
    assert kept is not None
    assert (kept.state, kept.exit_code, kept.ended_at) == (state, 3, later(60))


async def test_the_last_deployed_is_the_newest_that_succeeded(store: Store) -> None:
    task = await add_task(store, 1)
    assert await store.read(lambda tx: tx.last_deployed(DEMO)) is None
    ids = []
    for state in (DeployState.SUCCEEDED, DeployState.SUCCEEDED, DeployState.FAILED, DeployState.WITHDRAWN):
        deploy = await begun(store, task)
        ids.append(deploy.id)
        await end(store, deploy, state)
    last = await store.read(lambda tx: tx.last_deployed(DEMO))
    assert last is not None
    assert last.id == ids[1]
    assert await store.read(lambda tx: tx.last_deployed(ProjectName("other"))) is None
    assert [deploy.id for deploy in await store.read(lambda tx: tx.list_deploys(project=DEMO))] == ids[::-1]
    assert [deploy.id for deploy in await store.read(lambda tx: tx.list_deploys(task=task.row, limit=2))] == ids[:1:-1]


async def test_the_undeployed_are_those_at_deploy_and_those_stopped_after_their_landing(store: Store) -> None:
    def landed(number: int, stage: Stage, **fields: object) -> Task:
        return replace(tasks[number], stage=stage, landed=Sha(f"{number:040x}"), **fields)  # type: ignore[arg-type]

    tasks = {number: await add_task(store, number) for number in range(1, 7)}
    other = await add_task(store, 7, project=ProjectName("other"))
    rows = [
        landed(1, Stage.DEPLOY),
        landed(2, Stage.DEPLOY, deployed=True),
        landed(3, Stage.CANCELLED),
        landed(4, Stage.DONE),
        replace(tasks[5], stage=Stage.CANCELLED),
        replace(other, stage=Stage.DEPLOY, landed=sha("e")),
    ]
    for row in rows:
        await store.transact(lambda tx, row=row: tx.save_task(row))  # type: ignore[misc]
    found = await store.read(lambda tx: tx.undeployed(DEMO))
    assert [task.row for task in found] == [tasks[1].row, tasks[3].row]


async def test_a_deploys_run_is_the_one_it_names(store: Store) -> None:
    task = await add_task(store, 1)
    deploy = await begun(store, task)
    other = await store.transact(lambda tx: tx.start_run(task, kind=RunKind.AGENT, job=None, role=None, at=NOW))
    assert await store.transact(lambda tx: tx.save_deploy(replace(deploy, run=other.id)))
    kept = await store.read(lambda tx: tx.load_deploy(deploy.id))
    assert kept is not None
    assert (kept.run, deploy.run) == (other.id, RunId(other.id - 1))
