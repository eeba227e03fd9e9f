"""A deploy outlives the daemon: what the next one makes of it."""

from dataclasses import replace

from orch.core.model import Awaiting
from orch.core.stages import Stage
from tests.actors.deploying import ASKS, asked, confirm
from tests.builders import make_project
from tests.fakes.line import Ground, running, tx_task


async def begun(ground: Ground) -> str:
    async with running(ground) as it:
        name = await asked(it)
        await confirm(it, name)
        await it.until(lambda _: bool(it.deploys.tries))
    return name


async def test_G10_a_deploy_outlives_the_daemon_and_the_next_one_reads_its_result() -> None:
    async with Ground(ASKS) as ground:
        ground.deploys.seconds = 30
        name = await begun(ground)
        async with running(ground) as it:
            await it.settle(5)
            assert await it.column(name) == "deploying"
            assert (await it.until_stage(name, Stage.DONE)).deployed
            assert len(it.deploys.launched) == 1


async def test_G10_a_result_that_came_while_there_was_no_daemon_is_read() -> None:
    async with Ground(ASKS) as ground:
        ground.deploys.seconds, ground.deploys.codes = 30, type(ground.deploys.codes)([3])
        name = await begun(ground)
        await ground.clock.sleep(60)
        async with running(ground) as it:
            task = await it.until_parked(name)
            assert task.park is not None
            assert "rolled back" in task.park.evidence


async def test_G10_a_process_that_is_gone_without_a_result_is_never_guessed_about() -> None:
    async with Ground(ASKS) as ground:
        ground.deploys.seconds = 30
        name = await begun(ground)
        for each in ground.deploys.tries.values():
            each.killed = True
        async with running(ground) as it:
            task = await it.until_parked(name)
            assert task.park is not None
            assert "No result" in task.park.evidence
            await it.settle(120)
            assert len(it.deploys.launched) == 1


async def test_G10_an_intent_that_nobody_has_started_is_started() -> None:
    async with Ground(ASKS) as ground:
        async with running(ground) as it:
            name = await asked(it)
            gate = it.faults.hold_next("deploys.launch")
            await confirm(it, name)
            await gate.reached.wait()
        assert ground.deploys.launched == []
        async with running(ground) as it:
            await it.until_stage(name, Stage.DONE)
            assert len(it.deploys.launched) == 1


async def test_G10_the_next_try_is_made_by_whoever_lives_then() -> None:
    async with Ground(ASKS) as ground:
        ground.deploys.codes.extend([75, 0])
        async with running(ground) as it:
            name = await asked(it)
            await confirm(it, name)
            await it.until(lambda tx: any(deploy.due_at for deploy in tx.running_deploys()))
        async with running(ground) as it:
            await it.until_stage(name, Stage.DONE)
            assert [order.number for order in it.deploys.launched] == [1, 2]


async def test_a_task_that_an_older_version_was_deploying_is_parked() -> None:
    async with Ground(ASKS) as ground:
        async with running(ground) as it:
            name = await asked(it)
        await ground.store.transact(lambda tx: tx.save_task(replace(tx_task(tx, name), awaiting=Awaiting.DEPLOYING)))
        async with running(ground) as it:
            task = await it.until_parked(name)
            assert task.park is not None
            assert "no result" in task.park.evidence


async def test_a_project_that_has_no_deploy_any_more_holds_nobody_up() -> None:
    async with Ground(ASKS) as ground:
        async with running(ground) as it:
            name = await asked(it)
        ground.projects = (make_project(),)
        async with running(ground) as it:
            await it.until_stage(name, Stage.DONE)
            assert it.deploys.launched == []
