"""A deploy that does badly: what is frozen, rolled back and told, and which later deploy ends that."""

from dataclasses import replace

import pytest

from orch.core.errors import TransientError
from orch.core.ids import TaskRow
from orch.core.messages import CommandReport, CommandVerdict, LandingHint
from orch.core.model import Awaiting, DeployState, Freeze, FreezeCause, Outcome, Project, Transition, WatchState
from orch.core.stages import Stage
from orch.core.statuses import Status
from orch.core.task_facts import status_of
from orch.ports import Tx
from tests.actors.watched import (
    DEPLOY,
    HOUR_S,
    WATCHED,
    alerts,
    causes,
    degraded,
    deployed,
    freeze_of,
    now_as,
    record_deploy,
    rollbacks,
    watch_of,
)
from tests.builders import DEMO, add_task, make_project
from tests.fakes.line import Ground, Line, line, running
from tests.fakes.probe import BAD, GOOD

# ------------------------------------------------------------------------------------------------ degraded


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
    [(replace(WATCHED, self_hosting=True), True, 0), (replace(WATCHED, deploy=replace(DEPLOY, rollback_command=())), True, 0)],
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
