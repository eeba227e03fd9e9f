"""Slots: how much runs at once, in which order, and when."""

from typing import Any

import anyio
import pytest

from actors.slots import POLL_S
from actors.supervisor import Supervisor
from actors.task import TaskActor
from orch.core.errors import PermanentError, TransientError
from orch.core.messages import CommandReport, CommandVerdict
from orch.core.model import Awaiting, JobState, Outcome, RoleSettings
from orch.core.stages import Role, Stage
from tests.builders import DEMO, make_limits, make_new_job, make_project
from tests.fakes.agents import Step
from tests.fakes.line import Line, line, tx_task

SHOP = make_project(name="shop", prefix="SHOP")


async def analysts_of(it: Line, count: int, seconds: float) -> list[str]:
    """Start *count* issues whose analysts take *seconds*; return their keys."""
    names = [f"DEMO-{number + 1}" for number in range(count)]
    plan = {"01-brd.md": "# What\n", "02-acceptance.md": "# When\n"}
    for name in names:
        it.agent.script(name, Role.ANALYST, Step(artefacts=plan, seconds=seconds))
    for name in names:
        assert await it.start(f"Issue of {name}") == name
    return names


@pytest.mark.parametrize(("slots", "per_repo", "peak"), [(1, 9, 1), (2, 9, 2), (3, 9, 3), (3, 2, 2), (3, 1, 1)])
async def test_no_more_agents_run_than_the_limits_allow(slots: int, per_repo: int, peak: int) -> None:
    limits = make_limits(max_concurrency=slots, max_concurrency_per_repo=per_repo)
    async with line(limits=limits) as it:
        names = await analysts_of(it, 6, 100)
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in names), within_s=1000)
        assert it.processes.peak == peak


async def test_a_full_repo_leaves_the_free_slots_to_the_others() -> None:
    limits = make_limits(max_concurrency=3, max_concurrency_per_repo=1)
    async with line(make_project(), SHOP, limits=limits) as it:
        await analysts_of(it, 3, 100)
        other = await it.start("In the other repo", project=SHOP.name)
        await it.until(lambda tx: tx_task(tx, other).awaiting is Awaiting.APPROVAL, within_s=10)


async def test_jobs_are_claimed_in_the_order_they_were_queued() -> None:
    async with line(limits=make_limits(max_concurrency=1)) as it:
        names = await analysts_of(it, 4, 10)
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in names))
        assert [request.work_item for request in it.agent.visits(Role.ANALYST)] == names


async def test_a_higher_priority_goes_first_among_those_that_wait() -> None:
    async with line(limits=make_limits(max_concurrency=1)) as it:
        names = await analysts_of(it, 3, 10)
        await it.until(lambda tx: tx_task(tx, names[2]).awaiting is Awaiting.AGENT)

        def hurry(tx):  # type: ignore[no-untyped-def]
            task = tx_task(tx, names[2])
            tx.cancel_jobs(task.row, it.g.clock.now())
            tx.add_job(make_new_job(task, priority=1, at=it.g.clock.now()))

        await it.write(hurry)
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in names))
        assert [request.work_item for request in it.agent.visits(Role.ANALYST)] == [names[0], names[2], names[1]]


async def test_a_delayed_job_is_claimed_when_it_falls_due_and_not_before() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(outcome=Outcome.FAILED, seconds=0))
        await it.start()
        await it.until(lambda tx: len(tx.list_runs()) == 2)
        first, second = await it.runs("DEMO-1")
        assert first.ended_at is not None
        assert (second.started_at - first.ended_at).total_seconds() == pytest.approx(10, abs=0.5)


async def test_a_lost_hint_only_delays_to_the_next_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line() as it:
        monkeypatch.setattr(it.supervisor.slots, "tell", lambda _: None)
        await it.start()
        await it.until(lambda tx: tx_task(tx, "DEMO-1").awaiting is Awaiting.APPROVAL, within_s=POLL_S + 5)


async def test_a_place_that_falls_free_is_taken_at_once_although_the_ended_run_queued_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the repo's limit at one the next job is admitted when the ended run is recorded, after the slot was given back."""
    real = TaskActor._decide

    async def slow(self: TaskActor, decide: Any) -> Any:
        await anyio.sleep(1)
        return await real(self, decide)

    async with line(limits=make_limits(max_concurrency_per_repo=1)) as it:
        first, second = await analysts_of(it, 2, 10)
        monkeypatch.setattr(TaskActor, "_decide", slow)
        await it.until(lambda tx: tx_task(tx, first).awaiting is Awaiting.APPROVAL, within_s=13)
        await it.until(lambda tx: tx_task(tx, second).awaiting is Awaiting.APPROVAL, within_s=13)


async def test_a_slot_is_free_again_when_the_tasks_actor_has_crashed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line(limits=make_limits(max_concurrency=1), strict=False) as it:
        it.agent.script("DEMO-1", Role.ANALYST, *[Step(error=RuntimeError("the process fake broke"))] * 9)
        await it.start("The one that crashes")
        await it.until_parked("DEMO-1")
        other = await it.start("Another one")
        await it.until(lambda tx: tx_task(tx, other).awaiting is Awaiting.APPROVAL, within_s=POLL_S + 5)


async def test_a_disk_that_is_full_stops_claiming_and_keeps_what_runs() -> None:
    async with line() as it:
        first = (await analysts_of(it, 1, 100))[0]
        await it.settle(5)
        it.g.store.full = True
        await it.settle(200)
        assert it.g.store.refused > 3
        assert it.processes.killed == []
        it.g.store.full = False
        await it.until(lambda tx: tx_task(tx, first).awaiting is Awaiting.APPROVAL, within_s=60)
        assert len(await it.runs(first)) == 1
        assert (await it.task(first)).park is None


async def test_a_run_folder_that_cannot_be_made_stops_claiming_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(roles={Role.ANALYST: RoleSettings(agent="scripted", model="m")})
    async with line(project) as it:
        real = it.g.run_dir
        fails = [OSError(28, "No space left on device")] * 3

        def run_dir(run):  # type: ignore[no-untyped-def]
            if fails:
                raise fails.pop()
            return real(run)

        object.__setattr__(it.world, "run_dir", run_dir)
        await it.start()
        await it.until(lambda tx: tx_task(tx, "DEMO-1").awaiting is Awaiting.APPROVAL, within_s=120)
        assert not fails
        assert it.supervisor.ready() == {}


async def test_after_a_crash_of_the_slots_no_more_agents_run_than_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line(limits=make_limits(max_concurrency=2, max_concurrency_per_repo=9), strict=False) as it:
        names = await analysts_of(it, 4, 100)
        await it.settle(5)
        assert it.processes.live.total() == 2
        _crash(it.supervisor, monkeypatch)
        await it.settle(50)
        assert it.processes.peak == 2
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in names), within_s=600)
        assert it.processes.peak == 2


def _crash(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the slots' actor crash once, now."""
    from actors.slots import AgentSlots
    from orch.core.messages import JobsWaiting

    real = AgentSlots.handle
    crashes = [RuntimeError("a bug")]

    async def buggy(self: AgentSlots, message: JobsWaiting) -> None:
        if crashes:
            raise crashes.pop()
        await real(self, message)

    monkeypatch.setattr(AgentSlots, "handle", buggy)
    supervisor.slots.tell(JobsWaiting())


# ---------------------------------------------------------------------------------------------- the projects' own commands


async def to_ci(it: Line, count: int) -> list[str]:
    names = [await it.start(f"Issue number {number}") for number in range(count)]
    for name in names:
        await it.approve(name, within_s=200)
    return names


@pytest.mark.parametrize("slots", [1, 2, 3])
async def test_no_more_commands_run_than_there_are_test_slots(slots: int) -> None:
    async with line(limits=make_limits(test_slots=slots, max_concurrency=5, max_concurrency_per_repo=5)) as it:
        it.commands.seconds = 50
        names = await to_ci(it, 4)
        await it.until(lambda tx: all(tx_task(tx, name).stage is Stage.DONE for name in names), within_s=5000)
        assert it.commands.peak == slots
        assert it.mirror.checkouts == 0


async def test_G11_a_crash_of_the_command_slots_is_answered_and_the_commands_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from actors.slots import CommandSlots

    async with line(strict=False, limits=make_limits(test_slots=1)) as it:
        gate = it.faults.hold_next("commands.run")
        names = await to_ci(it, 2)
        await gate.reached.wait()
        await it.settle(30)
        real = CommandSlots._run
        crashes = [RuntimeError("a bug")]

        async def buggy(self, message):  # type: ignore[no-untyped-def]
            if crashes:
                raise crashes.pop()
            return await real(self, message)

        monkeypatch.setattr(CommandSlots, "_run", buggy)
        gate.open()
        await it.until(lambda tx: all(tx_task(tx, name).stage is Stage.DONE for name in names), within_s=600)
        assert not crashes
        assert it.mirror.checkouts == 0


async def test_a_checkout_that_fails_is_infrastructure_and_never_red() -> None:
    async with line() as it:
        it.faults.fail_next("mirror.checkout", TransientError("git", "checkout", "no disk"), times=2)
        names = await to_ci(it, 1)
        task = await it.until_stage(names[0], Stage.DONE)
        assert task.counters.ci_red == 0


async def test_G12_a_command_that_never_gives_a_verdict_parks_its_task_after_a_bounded_number_of_tries() -> None:
    async with line() as it:
        for _ in range(9):
            it.commands.reports.append(CommandReport(verdict=CommandVerdict.INFRA, tail="killed from outside"))
        names = await to_ci(it, 1)
        task = await it.until_parked(names[0])
        assert task.park is not None
        assert "killed from outside" in task.park.evidence
        assert len(it.commands.calls) == 4


async def test_a_setup_command_runs_first_and_its_failure_is_the_answer() -> None:
    project = make_project(setup_command=("make", "ready"), test_command=("make", "test"))
    async with line(project) as it:
        it.commands.reports.append(CommandReport(verdict=CommandVerdict.INFRA, tail="no network"))
        names = await to_ci(it, 1)
        await it.until_stage(names[0], Stage.DONE)
        assert [argv[1] for argv, _ in it.commands.calls[:3]] == ["ready", "ready", "test"]


async def test_jobs_of_a_paused_project_are_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    async with line() as it:
        await it.write(lambda tx: tx.save_repo(replace(tx.load_repo(DEMO), paused=True)))
        await it.start()
        await it.settle(100)
        assert [job.state for job in await it.jobs("DEMO-1")] == [JobState.QUEUED]
        await it.write(lambda tx: tx.save_repo(replace(tx.load_repo(DEMO), paused=False)))
        await it.until(lambda tx: tx_task(tx, "DEMO-1").awaiting is Awaiting.APPROVAL, within_s=POLL_S + 5)


async def test_G12_a_setup_command_that_fails_parks_at_once_and_pays_no_agent() -> None:
    async with line() as it:
        it.faults.fail_always("workspace.prepare", PermanentError("setup", "make", "exit code 2"))
        await it.start()
        task = await it.until_parked("DEMO-1", within_s=2000)
        assert task.park is not None
        assert "exit code 2" in task.park.evidence
        assert it.processes.started == []
