"""A STOP in every state of a deploy says what happens, and that happens."""

from collections.abc import Awaitable, Callable

import pytest

from orch.core.messages import Decision
from orch.core.model import Awaiting, DeployState, Survivor, Task
from orch.core.stages import Stage
from orch.ports import Tx
from tests.actors.deploying import ASKS, asked, confirm, deploys, running_one, said
from tests.fakes.line import Line, line, tx_task

Reach = Callable[[Line], Awaitable[str]]


async def being_asked(it: Line) -> str:
    name = await it.start()
    await it.approve(name)
    await it.until(lambda tx: tx_task(tx, name).stage is Stage.DEPLOY)
    return name


async def having_its_turn(it: Line) -> str:
    first = await asked(it, "Another card")
    name = await asked(it)
    it.deploys.held = True
    await confirm(it, first)
    await running_one(it)
    await confirm(it, name)
    await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.DEPLOY_TURN)
    return name


async def unclaimed(it: Line) -> str:
    name = await asked(it)
    it.deploys.claims = False
    await confirm(it, name)
    await it.until(lambda _: bool(it.deploys.launched))
    return name


async def going(it: Line) -> str:
    name = await asked(it)
    it.deploys.held = True
    await confirm(it, name)
    await it.until(lambda _: bool(it.deploys.tries))
    return name


async def between_tries(it: Line) -> str:
    it.deploys.codes.extend([75] * 20)
    name = await asked(it)
    await confirm(it, name)
    await it.until(lambda tx: any(deploy.tries == 4 and deploy.due_at for deploy in tx.running_deploys()))
    return name


async def failed(it: Line) -> str:
    it.deploys.codes.append(1)
    name = await asked(it)
    await confirm(it, name)
    await it.until_parked(name)
    return name


async def without_result(it: Line) -> str:
    it.deploys.codes.append(None)
    name = await asked(it)
    await confirm(it, name)
    await it.until_parked(name)
    return name


async def held_by_a_survivor(it: Line) -> str:
    it.deploys.held, it.deploys.survivors = True, (Survivor(pid=7, started=1, name="worker"),)
    name = await asked(it)
    await confirm(it, name)
    await it.until_parked(name)
    return name


async def declined(it: Line) -> str:
    name = await asked(it)
    await it.decide(name, Decision.REJECT)
    return name


async def done(it: Line) -> str:
    name = await asked(it)
    await confirm(it, name)
    await it.until_stage(name, Stage.DONE)
    return name


NOT_DEPLOYED = "not deployed; the next deploy carries it"
RECORDED = "STOP is recorded"
WALK: list[tuple[Reach, str, int | None, Stage, str]] = [
    (being_asked, NOT_DEPLOYED, 0, Stage.CANCELLED, NOT_DEPLOYED),
    (asked, NOT_DEPLOYED, 0, Stage.CANCELLED, NOT_DEPLOYED),
    (having_its_turn, NOT_DEPLOYED, 0, Stage.CANCELLED, NOT_DEPLOYED),
    (unclaimed, RECORDED, 0, Stage.DONE, "so the task is done"),
    (going, RECORDED, 0, Stage.DONE, "so the task is done"),
    (going, RECORDED, 1, Stage.CANCELLED, "its deploy failed"),
    (going, RECORDED, 3, Stage.CANCELLED, "rolled back"),
    (going, RECORDED, 75, Stage.CANCELLED, NOT_DEPLOYED),
    (going, RECORDED, None, Stage.CANCELLED, "not known"),
    (between_tries, NOT_DEPLOYED, 0, Stage.CANCELLED, NOT_DEPLOYED),
    (failed, "its deploy failed", 0, Stage.CANCELLED, "its deploy failed"),
    (without_result, "not known", 0, Stage.CANCELLED, "not known"),
    (held_by_a_survivor, "not known", 0, Stage.CANCELLED, "not known"),
    (declined, NOT_DEPLOYED, 0, Stage.CANCELLED, NOT_DEPLOYED),
    (done, "already", 0, Stage.DONE, "is deployed"),
]


@pytest.mark.parametrize(("reach", "answer", "code", "stage", "told"), WALK)
async def test_G6_STOP_in_every_state_of_a_deploy_tells_what_happens(
    reach: Reach, answer: str, code: int | None, stage: Stage, told: str
) -> None:
    async with line(ASKS) as it:
        name = await reach(it)
        launched = len(it.deploys.launched)
        answered = await it.decide(name, Decision.STOP)
        assert answer in answered.text
        deferred = answer == RECORDED
        before = await it.task(name)
        assert (before.stage is Stage.DEPLOY) is deferred
        it.deploys.held, it.deploys.claims, it.deploys.survivors = False, True, ()
        for each in it.deploys.tries.values():
            each.code = code
        task = await it.until_stage(name, stage)
        await it.settle(60)
        assert (task.deployed, told in await said(it, name)) == (stage is Stage.DONE, True)
        mine = [deploy for deploy in await deploys(it) if deploy.task == task.row]
        assert (DeployState.SUCCEEDED in [deploy.state for deploy in mine]) is task.deployed
        assert not any(deploy.state is DeployState.RUNNING for deploy in mine)
        assert len([order for order in it.deploys.launched if order.sha == task.landed]) <= max(launched, 2)
        assert await it.read(lambda tx: tx.list_runs(running=True)) == []
        await nothing_of_it_happens_later(it, task)


async def nothing_of_it_happens_later(it: Line, task: Task) -> None:
    orders = len(it.deploys.launched)
    await it.settle(120)
    assert len(it.deploys.launched) == orders
    assert (await it.read(lambda tx: tx.load_task(task.row))).stage is task.stage  # type: ignore[union-attr]


async def test_what_was_stopped_after_its_landing_is_carried_by_the_next_deploy_as_it_was_told() -> None:
    async with line(ASKS) as it:
        first = await asked(it)
        row = (await it.task(first)).row
        await it.decide(first, Decision.STOP)
        await it.settle(60)
        second = await asked(it, "Add a farewell")
        assert f"{first} Add a greeting (stopped)" in await said(it, second)
        await confirm(it, second)
        await it.until_stage(second, Stage.DONE)
        await it.settle(1)

        def stopped(tx: Tx) -> tuple[Stage, bool]:
            task = tx.load_task(row)
            assert task is not None
            return task.stage, task.deployed

        assert await it.read(stopped) == (Stage.CANCELLED, True)
