"""The watch in the repo's actor, on virtual time: hours of probes, jumps of the clock, restarts, rollbacks, thaws."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import anyio
import pytest

from actors.component import Args, Room
from actors.mailbox import Mailbox
from actors.monitor import Monitor
from orch.core.ids import ProjectName, TaskRow
from orch.core.messages import LandingHint, Probed, RepoMessage
from orch.core.model import RowState, WatchSign, WatchState
from orch.core.statuses import Status
from orch.core.task_facts import status_of
from tests.actors.watched import DAY_S, DEPLOY, HOUR_S, MONITOR, WATCHED, alerts, causes, deployed, freeze_of, now_as, watch_of
from tests.builders import DEMO, add_task, make_project
from tests.fakes.line import Ground, line, running
from tests.fakes.probe import BAD, GOOD

# ------------------------------------------------------------------------------------------------ probes


async def test_a_watch_probes_every_interval_until_its_window_is_over_and_then_never_again() -> None:
    async with line(WATCHED) as it:
        task = await deployed(it)
        assert status_of(await now_as(it, task)) is Status.MONITORING
        await it.settle(599)
        assert (await watch_of(it, task)).state is WatchState.WATCHING
        await it.settle(2)
        watch = await watch_of(it, task)
        assert (watch.state, watch.probes) == (WatchState.HEALTHY, 40)
        assert it.g.probe.gaps() == [15.0] * 39
        assert status_of(await now_as(it, task)) is Status.DONE
        await it.settle(HOUR_S)
        assert len(it.g.probe.looks) == 40
        assert (alerts(it), await freeze_of(it)) == ([], None)


class Nobody:
    """A router to actors that do not run."""

    def __init__(self) -> None:
        self.slots = self.commands = self.outbox = self.intake = self.reconciler = self.publisher = self

    def task(self, row: TaskRow) -> "Nobody":
        return self

    def repo(self, project: ProjectName) -> "Nobody":
        return self

    def tell(self, message: object) -> None:
        del message


async def test_a_day_of_probes_is_a_day_of_probes() -> None:
    """The component alone, so that nothing but its probes costs anything."""
    project = replace(WATCHED, monitor=replace(MONITOR, window_s=DAY_S, interval_s=60))
    async with Ground(project) as ground:
        async with running(ground) as it:
            task = await deployed(it, tell=False)
        world, mailbox = ground.world(), Mailbox[RepoMessage]("repo", hints=(Probed,))
        async with anyio.create_task_group() as group:

            def spawn(work: Callable[[*Args], Coroutine[Any, Any, None]], *args: *Args) -> None:
                group.start_soon(work, *args)

            room = Room(name=DEMO, world=world, router=Nobody(), services=world.services[DEMO], mailbox=mailbox, spawn=spawn)
            monitor = Monitor(room)
            await monitor.started()
            await monitor.plan()
            while (await watch_of(it, task)).state is WatchState.WATCHING:
                probed = await mailbox.receive()
                assert isinstance(probed, Probed)
                await monitor.handle(probed)
        mailbox.close()
        assert (await watch_of(it, task)).state is WatchState.HEALTHY
        assert ground.probe.gaps() == [60.0] * (24 * 60 - 1)


async def test_a_report_that_is_lost_makes_way_for_another_probe_and_a_late_one_counts_for_nothing() -> None:
    async with line(WATCHED) as it:
        task = await deployed(it)
        await it.settle(16)
        first = Probed(deploy=(await watch_of(it, task)).deploy, number=0, ok=False, detail="late")
        for _ in range(5):
            it.supervisor.repo(DEMO).tell(first)
        await it.settle(1)
        watch = await watch_of(it, task)
        assert (watch.probes, watch.bad) == (1, 0)


async def test_a_probe_that_takes_its_time_holds_up_nothing_else() -> None:
    async with line(WATCHED) as it:
        await deployed(it)
        gate = it.faults.hold_next("board.fetch_issue")
        await it.add("Something else")
        await gate.reached.wait()
        gate.open()
        await it.settle(60)
        assert len(it.g.probe.looks) == 4


@pytest.mark.parametrize("jump", [-DAY_S, -30, 30, DAY_S])
async def test_a_jump_of_the_wall_clock_neither_ends_a_watch_nor_bunches_its_probes(jump: float) -> None:
    async with line(WATCHED) as it:
        task = await deployed(it)
        await it.settle(100)
        it.g.clock.jump(jump)
        await it.settle(499)
        assert (await watch_of(it, task)).state is WatchState.WATCHING
        await it.settle(2)
        assert (await watch_of(it, task)).state is WatchState.HEALTHY
        assert it.g.probe.gaps() == [15.0] * 39


async def test_a_watch_goes_on_after_a_restart_with_what_is_left_of_it() -> None:
    async with Ground(WATCHED) as ground:
        async with running(ground) as it:
            task = await deployed(it)
            await it.settle(300)
        async with running(ground) as it:
            await it.settle(299)
            assert (await watch_of(it, task)).state is WatchState.WATCHING
            await it.settle(2)
            assert (await watch_of(it, task)).state is WatchState.HEALTHY
        assert set(ground.probe.gaps()) <= {15.0}


async def test_after_a_long_downtime_one_good_probe_ends_the_watch_and_a_jump_back_does_not_lengthen_it() -> None:
    async with Ground(WATCHED) as ground:
        async with running(ground) as it:
            task = await deployed(it)
            await it.settle(60)
        ground.clock.jump(DAY_S)
        before = len(ground.probe.looks)
        async with running(ground) as it:
            await it.settle(1)
            assert (await watch_of(it, task)).state is WatchState.HEALTHY
            assert len(ground.probe.looks) == before + 1
            second = await deployed(it, 2)
            await it.settle(60)
        ground.clock.jump(-DAY_S)
        async with running(ground) as it:
            await it.settle(601)
            assert (await watch_of(it, second)).state is WatchState.HEALTHY


async def test_a_deploy_that_was_recorded_while_nobody_looked_is_watched_after_the_restart() -> None:
    async with Ground(WATCHED) as ground:
        async with running(ground) as it:
            task = await deployed(it, tell=False)
        async with running(ground) as it:
            await it.settle(1)
            assert (await watch_of(it, task)).state is WatchState.WATCHING
            assert (await now_as(it, task)).watch is WatchSign.WATCHING


async def test_without_a_monitor_a_good_deploy_is_followed_by_nothing_and_the_history_says_so() -> None:
    async with line(make_project(deploy=DEPLOY)) as it:
        task = await deployed(it)
        await it.settle(HOUR_S)
        assert it.g.probe.looks == []
        assert await causes(it, task) == ["not-watched"]
        assert status_of(await now_as(it, task)) is Status.DONE


async def test_a_monitor_that_is_taken_out_of_the_configuration_ends_its_watch() -> None:
    async with Ground(WATCHED) as ground, running(ground) as it:
        task = await deployed(it)
        await it.settle(30)
        ground.projects = (replace(WATCHED, monitor=None),)
        it.supervisor.repo(DEMO).tell(LandingHint())
        await it.settle(1)
        assert (await watch_of(it, task)).state is WatchState.ENDED
        assert status_of(await now_as(it, task)) is Status.DONE
        looks = len(ground.probe.looks)
        await it.settle(600)
        assert len(ground.probe.looks) == looks


# ------------------------------------------------------------------------------------------------ the card


async def test_what_a_watch_shows_goes_to_the_board_in_its_order() -> None:
    async with line(WATCHED) as it:
        issue = await it.add("A card")
        task = await deployed(it, 1)
        assert task.issue == issue
        await it.settle(30)
        assert await it.column(issue) == "monitoring"
        await it.settle(600)
        assert await it.column(issue) == "done"
        assert any("does well" in comment.text for comment in await it.comments(issue))
        assert await it.outbox(RowState.PARKED) == []


async def test_a_card_that_has_a_new_task_is_left_to_that_one() -> None:
    async with line(WATCHED) as it:
        issue = await it.add("A card")
        it.g.probe.answers.extend([GOOD, BAD, BAD, BAD])
        await deployed(it, 1)
        await it.settle(20)
        await add_task(it.g.store, 2, issue=issue, sequence=2)
        await it.settle(60)
        assert await freeze_of(it) is not None
        assert await it.column(issue) != "blocked"
