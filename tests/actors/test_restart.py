"""G10: kill the daemon at any moment; the next one finishes, and nothing is done twice."""

import random

import anyio
import pytest

from orch.core.messages import Decision
from orch.core.model import Awaiting, DeploySettings, Outcome, RowState, RunMode
from orch.core.stages import Role, Stage
from tests.builders import make_limits, make_project
from tests.fakes.agents import Step, verdict
from tests.fakes.line import Ground, Line, line, running, tx_task
from tests.fakes.train import audit

DEPLOYED = make_project(deploy=DeploySettings(command=("deploy",)))
PLAN = {"01-brd.md": "# What\n", "02-acceptance.md": "# When\n"}


async def test_an_agent_that_was_cut_off_goes_on_as_a_continuation_uncharged() -> None:
    async with Ground() as ground:
        ground.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, hang=True))
        async with running(ground) as it:
            await it.start()
            await it.settle(5)
        async with running(ground) as it:
            await it.until(lambda tx: tx_task(tx, "DEMO-1").awaiting is Awaiting.APPROVAL)
            assert [run.outcome for run in await it.runs("DEMO-1")] == [Outcome.CRASHED, Outcome.SUCCEEDED]
            assert [spec.mode for spec in it.workspace.specs] == [RunMode.NEW_ATTEMPT, RunMode.CONTINUATION]
            assert (await it.task("DEMO-1")).counters.failed == 0
            assert it.faults.written("archive") == ["1", "2"]


@pytest.mark.parametrize("call", ["commands.run", "forge.open_pull_request", "forge.mark_merged", "notifier.alert"])
async def test_a_kill_while_something_outside_is_awaited_only_delays(call: str) -> None:
    async with Ground() as ground:
        async with running(ground) as it:
            gate = it.faults.hold_next(call)
            name = await it.start()
            if call != "notifier.alert":
                await it.approve(name)
            await gate.reached.wait()
        async with running(ground) as it:
            if call == "notifier.alert":
                await it.approve(name)
            await it.until_stage(name, Stage.DONE)
            await it.settle(60)
            assert await it.outbox() == []
            assert len(it.repository.history) == 2


async def test_a_deploy_that_was_confirmed_and_never_started_is_started() -> None:
    async with Ground(DEPLOYED) as ground:
        async with running(ground) as it:
            name = await it.start()
            await it.approve(name)
            await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.CONFIRM)
        await _confirm_without_a_daemon(ground, name)
        async with running(ground) as it:
            assert (await it.until_stage(name, Stage.DONE)).deployed


async def _confirm_without_a_daemon(ground: Ground, name: str) -> None:
    """Commit a person's confirmation, and die before anything follows."""
    from actors.persist import apply
    from orch.core import decide_person
    from orch.core.messages import Decide

    context = ground.world().context(ground.projects[0].name)

    def work(tx):  # type: ignore[no-untyped-def]
        task = tx_task(tx, name)
        command = Decide(decision=Decision.CONFIRM_DEPLOY, by="anna", shown=task.shown)
        apply(tx, decide_person.decided(context, task, command, active=False), at=context.now)

    await ground.store.transact(work)


async def test_a_stop_that_was_recorded_before_the_deploy_began_is_carried_out_after_the_restart() -> None:
    from dataclasses import replace

    async with Ground(DEPLOYED) as ground:
        async with running(ground) as it:
            name = await it.start()
            await it.approve(name)
            await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.CONFIRM)
        await _confirm_without_a_daemon(ground, name)
        now = ground.clock.now()
        await ground.store.transact(lambda tx: tx.save_task(replace(tx_task(tx, name), cancel_requested_at=now)))
        async with running(ground) as it:
            await it.until_stage(name, Stage.CANCELLED)
            assert it.deploys.launched == []


async def drive(it: Line, names: list[str]) -> None:
    """The person: approve whatever waits, until all is done; stop when the daemon is gone."""
    while True:
        tasks = await it.read(lambda tx: [tx_task(tx, name) for name in names if tx.find_task(name)])
        for task in tasks:
            if task.awaiting is Awaiting.APPROVAL:
                await it.decide(task.work_item, Decision.APPROVE)
            assert task.park is None, task.park
        if len(tasks) == len(names) and all(task.stage is Stage.DONE for task in tasks):
            return
        await anyio.sleep(0.5)


def scripted(ground: Ground) -> None:
    """One takes a round through the review, and two change the same file: the later one is in conflict and gives way."""
    ground.agent.script("DEMO-1", Role.REVIEWER, Step(artefacts={"07-review.md": verdict("changes_requested", "no tests")}))
    for name, text in (("DEMO-2", "two\n"), ("DEMO-3", "three\n")):
        clash, way_out = {"shared.py": text}, {"shared.py": None, f"{name}.py": text}
        ground.agent.script(name, Role.DEVELOPER, Step(files=clash), Step(files=way_out))


@pytest.mark.parametrize("seed", range(12))
async def test_G10_killed_again_and_again_at_random_the_line_finishes_and_lands_each_task_once(seed: int) -> None:
    dice = random.Random(seed)
    async with Ground(limits=make_limits(max_concurrency=2)) as ground:
        scripted(ground)
        async with running(ground) as it:
            names = [await it.start(f"Issue number {number}") for number in range(3)]
        for _ in range(8):
            async with running(ground) as it:
                with anyio.move_on_after(dice.uniform(0.05, 9.0)):
                    await drive(it, names)
        async with running(ground) as it:
            with anyio.fail_after(3000):
                await drive(it, names)
            await it.settle(600)
            tasks = [await it.task(name) for name in names]
            landed = [task.landed for task in tasks]
            assert len(set(landed)) == len(names)
            assert set(it.repository.history[1:]) <= set(landed) <= set(it.repository.ancestors(it.repository.main))
            await audit(it)
            for name in names:
                assert [line.cause for line in await it.history(name)].count("landed") == 1
                assert await it.column(name) == "done"
            assert await it.read(lambda tx: (tx.open_intents(), tx.list_runs(running=True), tx.pending_inbox())) == ([], [], [])
            assert await it.outbox(RowState.PENDING) == []
            assert await it.outbox(RowState.PARKED) == []
            assert it.mirror.checkouts == 0


@pytest.mark.parametrize("seed", range(8))
async def test_G5_G7_stopped_at_random_nothing_of_the_task_lives_on(seed: int) -> None:
    """Whatever was going on: STOP ends it or lets its window end, and afterwards nothing of the task moves."""
    dice = random.Random(seed)
    async with line(DEPLOYED) as it:
        name = await it.start()
        with anyio.move_on_after(dice.uniform(0.1, 14.0)):
            await drive(it, [name])
        await it.until(lambda tx: tx.find_task(name) is not None)
        await it.decide(name, Decision.STOP)
        await it.settle(30)
        task = await it.task(name)
        assert task.stage in (Stage.CANCELLED, Stage.DONE)
        assert it.processes.live.total() == 0
        assert it.commands.running == 0
        assert len(it.faults.written("archive")) == len(it.processes.started)
        writes = [write for write in it.faults.writes if write[0] in ("branch", "main", "pull request")]
        await it.settle(3600)
        assert [write for write in it.faults.writes if write[0] in ("branch", "main", "pull request")] == writes
        assert (await it.task(name)) == task
        assert await it.read(lambda tx: tx.list_runs(running=True)) == []
