"""A process that nothing ends: its task is parked, its working copy is nobody's while it lives, and STOP tells of it."""

import pytest

from orch.core.messages import CommandReport, CommandVerdict, Decision, Verb
from orch.core.model import Limits, ParkReason, RunMode, Survivor
from orch.core.stages import Role, Stage
from orch.snapshots.queue import load_queue
from tests.fakes.agents import Step
from tests.fakes.line import line

LEFT = Survivor(pid=4711, started=99, name="sleep")
PLAN = {"01-brd.md": "# What\n", "02-acceptance.md": "# When\n"}


async def test_a_task_whose_agent_left_a_process_waits_until_that_is_gone_and_goes_on_with_its_work() -> None:
    async with line() as it:
        it.processes.survivors["1"] = (LEFT,)
        name = await it.start()
        task = await it.until_parked(name)
        assert task.park is not None
        assert (task.park.reason, "4711" in task.park.evidence) == (ParkReason.SURVIVOR, True)
        refused = await it.decide(name, Decision.RESUME)
        assert (refused.verb, "4711" in refused.text) == (Verb.REFUSED, True)
        assert len(await it.runs(name)) == 1
        it.processes.dead.add(LEFT.pid)
        assert (await it.decide(name, Decision.RESUME)).verb is Verb.DONE
        await it.approve(name)
        await it.until_stage(name, Stage.DONE)
        assert [job.mode for job in (await it.jobs(name))[:2]] == [RunMode.NEW_ATTEMPT] * 2  # no agent had begun
        assert await it.read(lambda tx: tx.list_survivors()) == {}


async def test_no_run_begins_in_a_working_copy_that_a_process_of_a_cancelled_run_may_write_into() -> None:
    """The run was fenced by a person who sent the task back: nobody heard of the survivor from the run itself."""
    from orch.core.messages import SendTaskBack

    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, hang=True))
        name = await it.start()
        await it.settle(5)
        it.processes.survivors["1"] = (LEFT,)
        await it.ask(SendTaskBack(task=name, stage=Stage.ANALYSIS, by="anna", reason="again"))
        task = await it.until_parked(name)
        assert task.park is not None
        assert task.park.reason is ParkReason.SURVIVOR
        assert [int(run) for run in it.processes.started] == [1]


async def test_a_test_run_that_left_a_process_parks_its_task_and_is_run_again_after_it() -> None:
    async with line() as it:
        it.commands.reports.append(CommandReport(verdict=CommandVerdict.GREEN, exit_code=0, survivors=(LEFT,)))
        name = await it.start()
        await it.approve(name)
        task = await it.until_parked(name)
        assert task.park is not None
        assert (task.park.reason, task.stage, task.ci) == (ParkReason.SURVIVOR, Stage.DEVELOPMENT, None)
        it.processes.dead.add(LEFT.pid)
        assert (await it.decide(name, Decision.RESUME)).verb is Verb.DONE
        await it.until_stage(name, Stage.DONE)


@pytest.mark.parametrize("known", [True, False], ids=["parked-for-it", "running"])
async def test_G6_STOP_is_told_truthfully_and_the_working_copy_stays_until_the_process_is_gone(known: bool) -> None:
    async with line() as it:
        if not known:
            it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, hang=True))
        if known:
            it.processes.survivors["1"] = (LEFT,)
        name = await it.start()
        await it.settle(5)
        it.processes.survivors["1"] = (LEFT,)
        row = (await it.task(name)).row
        await it.decide(name, Decision.STOP)
        await it.until_stage(name, Stage.CANCELLED)
        await it.settle(30)
        task = await it.read(lambda tx: tx.load_task(row))
        assert task is not None
        assert not task.swept
        assert it.faults.written("remove") == []
        told = [said.text for said in await it.comments(name) if "4711" in said.text and "cancelled" in said.text]
        alerts = [alert.kind for alert in it.g.notifier.alerts if "4711" in alert.text]
        assert (len(told), alerts) == (1, ["parked", "survivor"] if known else ["survivor"])
        queue = await it.read(lambda tx: load_queue(tx, it.g.clock.now(), Limits()))
        assert queue["stop"]["survivors"][0]["pid"] == 4711  # type: ignore[index]
        it.processes.dead.add(LEFT.pid)
        await it.until(lambda tx: bool(tx.load_task(row).swept), within_s=400)  # type: ignore[union-attr]
        assert it.faults.written("remove") == [str(int(row))]
        assert (await it.read(lambda tx: tx.list_survivors())) == {}
