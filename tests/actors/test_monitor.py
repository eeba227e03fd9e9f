"""The watch in the repo's actor, on virtual time: hours of probes, jumps of the clock, restarts, rollbacks, thaws."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import anyio
import pytest

from actors.component import Args, Room
from actors.mailbox import Mailbox
from actors.monitor import Monitor
from orch.core.errors import TransientError
from orch.core.ids import DeployId, ProjectName, Sha, TaskRow
from orch.core.messages import CommandReport, CommandVerdict, LandingHint, Probed, RepoMessage
from orch.core.model import (
    Awaiting,
    Deploy,
    DeploySettings,
    DeployState,
    Freeze,
    FreezeCause,
    MonitorSettings,
    Outcome,
    Project,
    RowState,
    Run,
    RunKind,
    Task,
    Transition,
    Watch,
    WatchSign,
    WatchState,
)
from orch.core.stages import Stage
from orch.core.statuses import Status
from orch.core.views import status_of
from orch.ports import Tx
from tests.builders import DEMO, add_task, make_project
from tests.fakes.line import Ground, Line, line, running
from tests.fakes.probe import BAD, GOOD

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

            room = Room(
                name=DEMO,
                world=world,
                router=Nobody(),
                services=world.services[DEMO],
                mailbox=mailbox,
                spawn=spawn,
            )
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


# ------------------------------------------------------------------------------------------------ degraded


async def degraded(it: Line, number: int = 1, **fields: Any) -> Task:
    it.g.probe.answers.extend([BAD, BAD, BAD])
    task = await deployed(it, number, **fields)
    await it.settle(46)
    return task


async def test_bad_probes_in_a_row_freeze_alert_and_roll_back_once() -> None:
    async with line(WATCHED) as it:
        task = await degraded(it)
        watch = await watch_of(it, task)
        assert (watch.state, watch.probes, watch.bad) == (WatchState.DEGRADED, 3, 3)
        assert status_of(await now_as(it, task)) is Status.BLOCKED
        freeze = await freeze_of(it)
        assert freeze is not None
        assert (freeze.cause, "HTTP 500" in freeze.detail) == (FreezeCause.DEPLOY, True)
        await it.settle(HOUR_S)
        assert [(argv, sha) for argv, sha in it.commands.calls if argv == ("rollback",)] == [(("rollback",), watch.sha)]
        assert [run.outcome for run in await rollbacks(it, task)] == [Outcome.SUCCEEDED]
        assert alerts(it) == ["degraded", "rolled-back"]
        assert await causes(it, task) == ["watched", "degraded", "rolled-back"]
        assert len(it.g.probe.looks) == 3


async def test_a_good_probe_between_bad_ones_forgives_them() -> None:
    async with line(WATCHED) as it:
        it.g.probe.answers.extend([BAD, BAD, GOOD] * 13)
        task = await deployed(it)
        await it.settle(601)
        assert (await watch_of(it, task)).state is WatchState.HEALTHY
        assert await freeze_of(it) is None


@pytest.mark.parametrize(
    ("project", "freezes", "rolls"),
    [
        (replace(WATCHED, self_hosting=True), True, 0),
        (replace(WATCHED, deploy=replace(DEPLOY, rollback_command=())), True, 0),
    ],
    ids=["self-hosting", "no rollback command"],
)
async def test_where_nothing_may_be_rolled_back_nothing_is(project: Project, freezes: bool, rolls: int) -> None:
    async with line(project) as it:
        task = await degraded(it)
        await it.settle(600)
        assert ((await freeze_of(it)) is not None) is freezes
        assert (len(await rollbacks(it, task)), it.commands.calls) == (rolls, [])
        assert alerts(it) == ["degraded"]
        assert status_of(await now_as(it, task)) is Status.BLOCKED


async def test_with_the_switch_off_a_bad_deploy_freezes_nothing() -> None:
    async with Ground(WATCHED) as ground:
        ground.limits = replace(ground.limits, serial_gate_freeze_enabled=False)
        async with running(ground) as it:
            task = await degraded(it)
            assert (await freeze_of(it), alerts(it)[:1]) == (None, ["degraded"])
            assert status_of(await now_as(it, task)) is Status.BLOCKED


FAILURES = {
    "red": CommandReport(verdict=CommandVerdict.RED, tail="no way back", exit_code=1),
    "too slow": CommandReport(verdict=CommandVerdict.TIMEOUT, tail="still at it"),
    "not started": CommandReport(verdict=CommandVerdict.INFRA, tail="no such file"),
}


@pytest.mark.parametrize("report", FAILURES.values(), ids=FAILURES.keys())
async def test_a_rollback_that_fails_sounds_louder_and_is_not_repeated(report: CommandReport) -> None:
    async with line(WATCHED) as it:
        it.commands.reports.append(report)
        task = await degraded(it)
        await it.settle(HOUR_S)
        assert len(it.commands.calls) == 1
        assert alerts(it) == ["degraded", "rollback-failed"]
        assert "a person" in it.g.notifier.alerts[-1].text
        assert [run.outcome is Outcome.SUCCEEDED for run in await rollbacks(it, task)] == [False]


async def test_a_rollback_without_a_checkout_is_said_to_have_failed() -> None:
    async with line(WATCHED) as it:
        it.faults.fail_next("mirror.checkout", TransientError("git", "checkout", "no space"))
        task = await degraded(it)
        await it.settle(60)
        assert alerts(it) == ["degraded", "rollback-failed"]
        assert "no space" in (await rollbacks(it, task))[0].detail


async def test_G10_a_rollback_that_was_cut_off_is_begun_again_a_few_times_and_then_given_up_aloud() -> None:
    async with Ground(WATCHED) as ground:
        ground.commands.seconds = 1000.0
        async with running(ground) as it:
            task = await degraded(it)
            assert ground.commands.running == 1
        for _ in range(2):
            async with running(ground) as it:
                await it.settle(10)
                assert ground.commands.running == 1
        async with running(ground) as it:
            await it.settle(60)
            assert ground.commands.running == 0
            assert len(it.commands.calls) == 3
            assert alerts(it) == ["degraded", "rollback-failed"]
            assert "cut off several times" in ground.notifier.alerts[-1].text
        async with running(ground) as it:
            await it.settle(60)
            assert (len(it.commands.calls), alerts(it)) == (3, ["degraded", "rollback-failed"])
        assert len(await rollbacks(it, task)) == 4


async def test_G10_a_rollback_that_was_asked_for_and_not_begun_is_begun_after_the_restart() -> None:
    async with Ground(WATCHED) as ground:
        gate = ground.faults.hold_next("mirror.checkout")
        async with running(ground) as it:
            task = await degraded(it)
            await gate.reached.wait()
            assert it.commands.calls == []
        async with running(ground) as it:
            await it.settle(10)
            assert len(it.commands.calls) == 1
            assert [run.outcome for run in await rollbacks(it, task)] == [Outcome.CRASHED, Outcome.SUCCEEDED]


async def test_a_crash_of_the_repos_actor_in_a_rollback_begins_it_again_and_loses_no_watch() -> None:
    async with line(WATCHED, strict=False) as it:
        it.commands.seconds = 30.0
        task = await degraded(it)
        it.faults.fail_next("board.fetch_issue", RuntimeError("a bug"))
        await it.add("Something else")
        await it.settle(120)
        assert it.commands.cancelled == 1
        assert [run.outcome for run in await rollbacks(it, task)] == [Outcome.CANCELLED, Outcome.SUCCEEDED]
        assert alerts(it).count("rolled-back") == 1


# ------------------------------------------------------------------------------------------------ a later deploy


async def test_a_new_deploy_ends_the_running_watch_when_it_begins() -> None:
    async with line(WATCHED) as it:
        first = await deployed(it)
        await it.settle(60)
        it.g.probe.always = BAD
        await deployed(it, 2, state=DeployState.RUNNING)
        await it.settle(300)
        watch = await watch_of(it, first)
        assert (watch.state, watch.probes) == (WatchState.ENDED, 4)
        assert status_of(await now_as(it, first)) is Status.DONE
        assert await freeze_of(it) is None


async def test_a_later_good_deploy_lifts_the_freeze_clears_the_sign_and_is_watched_itself() -> None:
    async with line(WATCHED) as it:
        first = await degraded(it)
        await it.settle(60)
        second = await deployed(it, 2, exempt=True)
        await it.settle(1)
        assert await freeze_of(it) is None
        assert [status_of(await now_as(it, task)) for task in (first, second)] == [Status.DONE, Status.MONITORING]
        assert (await watch_of(it, first)).state is WatchState.DEGRADED
        assert "thaw" in alerts(it)
        await it.settle(600)
        assert (await watch_of(it, second)).state is WatchState.HEALTHY


@pytest.mark.parametrize("cause", [FreezeCause.PERSON, FreezeCause.RED_MAIN])
async def test_a_good_deploy_of_what_was_in_main_before_lifts_no_persons_freeze_and_no_red_mains(cause: FreezeCause) -> None:
    async with line(WATCHED) as it:
        freeze = Freeze(project=DEMO, cause=cause, since=it.g.clock.now(), by="x")
        await it.write(lambda tx: tx.set_freeze(freeze))
        await it.settle(60)
        await deployed(it)
        await it.settle(60)
        assert (await freeze_of(it)) == freeze


async def land(it: Line, row: TaskRow) -> None:
    def work(tx: Tx) -> None:
        task = tx.load_task(row)
        assert task is not None
        now = it.g.clock.now()
        tx.add_transition(Transition(task=row, at=now, source=Stage.DEPLOY_STAGING, target=Stage.DEPLOY, cause="landed"))
        tx.save_task(replace(task, updated_at=now))

    await it.write(work)


async def test_a_red_mains_freeze_is_lifted_by_the_good_deploy_of_what_landed_after_it() -> None:
    async with line(WATCHED) as it:
        await it.write(
            lambda tx: tx.set_freeze(Freeze(project=DEMO, cause=FreezeCause.RED_MAIN, since=it.g.clock.now(), by="orch"))
        )
        await it.settle(60)
        task = await add_task(it.g.store, 1, stage=Stage.DONE, landed=it.repository.main, exempt=True, swept=True)
        await land(it, task.row)
        it.supervisor.repo(DEMO).tell(LandingHint())
        await it.settle(60)
        assert await freeze_of(it) is not None
        await it.write(lambda tx: record_deploy(tx, it, task, it.repository.main, DeployState.SUCCEEDED))
        it.supervisor.repo(DEMO).tell(LandingHint())
        await it.settle(1)
        assert await freeze_of(it) is None


async def test_in_a_project_without_a_deploy_the_fixs_landing_is_what_lifts_a_red_mains_freeze() -> None:
    async with line(make_project()) as it:
        old = await add_task(it.g.store, 1, stage=Stage.DONE, landed=it.repository.main, swept=True)
        await land(it, old.row)
        await it.settle(60)
        await it.write(
            lambda tx: tx.set_freeze(Freeze(project=DEMO, cause=FreezeCause.RED_MAIN, since=it.g.clock.now(), by="orch"))
        )
        it.supervisor.repo(DEMO).tell(LandingHint())
        await it.settle(60)
        assert await freeze_of(it) is not None
        fix = await add_task(it.g.store, 2, stage=Stage.DONE, landed=it.repository.main, exempt=True, swept=True)
        await land(it, fix.row)
        it.supervisor.repo(DEMO).tell(LandingHint())
        await it.settle(1)
        assert await freeze_of(it) is None
        assert alerts(it) == ["thaw"]


async def test_a_rollback_that_was_cut_off_is_not_begun_again_when_a_newer_deploy_has_begun() -> None:
    async with Ground(WATCHED) as ground:
        ground.commands.seconds = 1000.0
        async with running(ground) as it:
            task = await degraded(it)
            assert ground.commands.running == 1
        newer = await add_task(ground.store, 2, stage=Stage.DEPLOY, landed=it.repository.main, exempt=True)
        await ground.store.transact(lambda tx: record_deploy(tx, it, newer, it.repository.main, DeployState.RUNNING))
        async with running(ground) as it:
            await it.settle(60)
            assert [run.outcome for run in await rollbacks(it, task)] == [Outcome.CRASHED]
            assert ("rollback",) not in [argv for argv, _ in ground.commands.calls[1:]]


async def test_no_deploy_begins_while_a_rollback_is_going() -> None:
    async with line(WATCHED) as it:
        it.commands.seconds = 100.0
        await degraded(it)
        fixed = it.repository.change(it.repository.main, {"mended.txt": "x"}, "mended")
        it.repository.set_main(fixed)
        fix = await add_task(
            it.g.store, 2, stage=Stage.DEPLOY, awaiting=Awaiting.DEPLOY_TURN, landed=fixed, exempt=True, landed_seq=2
        )
        it.supervisor.repo(DEMO).tell(LandingHint())
        await it.settle(80)
        assert it.commands.running == 1
        assert await it.read(lambda tx: tx.list_deploys(task=fix.row)) == []
        await it.settle(30)
        assert len(await it.read(lambda tx: tx.list_deploys(task=fix.row))) == 1


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
