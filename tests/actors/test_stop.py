"""STOP stops, and STOP tells the truth."""

import pytest

from orch.core.ids import IssueId
from orch.core.messages import Decision, Verb
from orch.core.model import Awaiting, DeploySettings, JobState, Outcome, ParkReason, PullRequestState
from orch.core.stages import Role, Stage
from tests.builders import DEMO, make_limits, make_project
from tests.fakes.agents import KILL_S, Step
from tests.fakes.line import Ground, Line, line, running, tx_task

PLAN = {"01-brd.md": "# What\n", "02-acceptance.md": "# When\n"}
DEPLOYED = make_project(deploy=DeploySettings(command=("deploy",)))


async def stop_by_board(it: Line, name: str) -> None:
    await it.move(name, "stop")
    await it.settle(1)


async def stop_by_command(it: Line, name: str) -> None:
    assert (await it.decide(name, Decision.STOP)).verb is Verb.DONE


DOORS = pytest.mark.parametrize("stop", [stop_by_board, stop_by_command])


@DOORS
async def test_G5_stop_ends_the_agent_cancels_its_job_and_its_work_is_archived(stop) -> None:  # type: ignore[no-untyped-def]
    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, hang=True))
        name = await it.start()
        await it.settle(5)
        assert it.processes.live.total() == 1
        await stop(it, name)
        await it.settle(KILL_S + 1)
        assert it.processes.live.total() == 0
        assert it.faults.written("archive") == ["1"]
        task = await it.task(name)
        assert (task.stage, task.train_seq) == (Stage.CANCELLED, None)
        assert [job.state for job in await it.jobs(name)] == [JobState.CANCELLED]
        assert [run.outcome for run in await it.runs(name)] == [Outcome.CANCELLED]
        assert await it.column(name) == "cancelled"
        await it.settle(3600)
        assert len(it.processes.started) == 1


@DOORS
async def test_G5_a_job_that_only_waits_is_never_claimed_after_stop(stop) -> None:  # type: ignore[no-untyped-def]
    async with line(limits=make_limits(max_concurrency=1)) as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, seconds=50))
        await it.start("The one that has the slot")
        waits = await it.start("The one that waits")
        await it.settle(5)
        await stop(it, waits)
        await it.settle(600)
        assert [request.work_item for request in it.agent.visits(Role.ANALYST)] == ["DEMO-1"]


async def test_G5_a_result_that_comes_after_stop_changes_nothing() -> None:
    """The agent has ended well and its branch is being collected when STOP comes: nothing of it is pushed."""
    async with line() as it:
        name = await it.start()
        gate = it.faults.hold_next("workspace.collect")
        await gate.reached.wait()
        await stop_by_command(it, name)
        gate.open()
        await it.settle(60)
        task = await it.task(name)
        assert (task.stage, task.head) == (Stage.CANCELLED, None)
        assert it.faults.written("branch") == []


async def test_G5_stop_in_the_test_of_a_landing_leaves_the_queue_and_the_next_one_lands() -> None:
    async with line(limits=make_limits(test_slots=1)) as it:
        first, second = await it.start("The first one"), await it.start("The second one")
        await it.approve(first)
        await it.approve(second)
        await it.until(lambda tx: any(run.kind == "land" for run in tx.list_runs(running=True)))
        landing = await it.read(lambda tx: next(run.task for run in tx.list_runs(running=True) if run.kind == "land"))
        stopped, other = (first, second) if (await it.task(first)).row == landing else (second, first)
        await stop_by_command(it, stopped)
        await it.until_stage(other, Stage.DONE)
        assert it.commands.cancelled == 1
        assert (await it.task(stopped)).landed is None
        assert it.repository.history[1:] == [(await it.task(other)).landed]
        assert await it.read(lambda tx: tx.list_runs(running=True)) == []


async def test_stop_closes_the_pull_request() -> None:
    async with line() as it:
        gate = it.faults.hold_next("commands.run")
        name = await it.start()
        await it.approve(name)
        await gate.reached.wait()
        await it.until(lambda tx: tx_task(tx, name).pr_number is not None)
        await stop_by_command(it, name)
        await it.settle(5)
        pull = await it.read(lambda tx: tx.load_pull_request(DEMO, 1))
        assert pull is not None
        assert pull.state is PullRequestState.CLOSED
        assert it.commands.cancelled == 1


async def test_a_pull_request_that_was_asked_for_before_stop_and_opened_after_it_is_closed() -> None:
    async with line() as it:
        gate = it.faults.hold_next("forge.open_pull_request")
        name = await it.start()
        await it.approve(name)
        await gate.reached.wait()
        await stop_by_command(it, name)
        gate.open()
        await it.settle(30)
        pull = await it.read(lambda tx: tx.load_pull_request(DEMO, 1))
        assert pull is not None
        assert pull.state is PullRequestState.CLOSED


@DOORS
async def test_G6_stop_during_the_push_waits_for_its_result_and_tells_it(stop) -> None:  # type: ignore[no-untyped-def]
    """Between the intent and the record: it has landed, and a project without a deploy is done. That is what is said."""
    async with line() as it:
        gate = it.faults.hold_next("mirror.push_candidate")
        name = await it.start()
        await it.approve(name)
        await gate.reached.wait()
        await stop(it, name)
        task = await it.task(name)
        assert (task.stage, task.cancel_requested_at is not None) == (Stage.DEPLOY_STAGING, True)
        gate.open()
        task = await it.until_stage(name, Stage.DONE)
        assert task.landed == it.repository.main
        await it.settle(60)
        assert (await it.task(name)).stage is Stage.DONE
        assert await it.read(lambda tx: tx.open_intents()) == []


async def test_G6_stop_during_the_push_of_a_project_with_a_deploy_cancels_with_the_landed_sha() -> None:
    async with line(DEPLOYED) as it:
        gate = it.faults.hold_next("mirror.push_candidate")
        name = await it.start()
        await it.approve(name)
        await gate.reached.wait()
        await stop_by_command(it, name)
        gate.open()
        task = await it.until_stage(name, Stage.CANCELLED)
        assert task.landed == it.repository.main
        assert [argv for argv, _ in it.commands.calls] == [("true",), ("true",)]
        await it.settle(5)
        assert any(task.landed[:7] in comment.text for comment in await it.comments(name))


async def test_G6_stop_during_a_push_that_is_refused_is_carried_out_then() -> None:
    async with line() as it:
        gate = it.faults.hold_next("mirror.push_candidate")
        name = await it.start()
        await it.approve(name)
        await gate.reached.wait()
        it.repository.push_elsewhere({"other.py": "theirs\n"})
        await stop_by_command(it, name)
        gate.open()
        task = await it.until_stage(name, Stage.CANCELLED)
        await it.settle(60)
        assert task.landed is None
        assert len(it.repository.history) == 2
        assert await it.read(lambda tx: tx.open_intents()) == []


async def test_G6_stop_before_the_intent_wins_over_a_green_candidate() -> None:
    async with line() as it:
        name = await it.start()
        await it.approve(name)
        await it.until(lambda tx: any(run.kind == "land" for run in tx.list_runs(running=True)))
        await stop_by_command(it, name)
        await it.settle(60)
        assert it.faults.written("main") == []
        assert (await it.task(name)).stage is Stage.CANCELLED


async def deploying(it: Line) -> str:
    """Take a task into its deploy command."""
    name = await it.start()
    await it.approve(name)
    await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.CONFIRM)
    assert (await it.decide(name, Decision.CONFIRM_DEPLOY)).verb is Verb.DONE
    await it.until(lambda tx: any(run.kind == "deploy" for run in tx.list_runs(running=True)))
    return name


async def test_G6_stop_during_the_deploy_does_not_cut_it_in_half() -> None:
    async with line(DEPLOYED) as it:
        name = await deploying(it)
        await stop_by_command(it, name)
        task = await it.until_stage(name, Stage.DONE)
        assert task.deployed
        assert any("the task is done" in comment.text for comment in await it.comments(name))


async def test_G6_stop_during_a_deploy_that_fails_cancels_and_says_where_the_code_is() -> None:
    async with line(DEPLOYED) as it:
        it.deploys.codes.append(1)
        name = await deploying(it)
        await stop_by_command(it, name)
        task = await it.until_stage(name, Stage.CANCELLED)
        assert task.landed == it.repository.main
        assert not task.deployed


async def test_stop_of_a_task_that_awaits_its_deploy_says_that_it_is_in_main() -> None:
    async with line(DEPLOYED) as it:
        name = await it.start()
        await it.approve(name)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.CONFIRM)
        answer = await it.decide(name, Decision.STOP)
        assert it.repository.main[:7] in answer.text
        assert (await it.task(name)).stage is Stage.CANCELLED


async def test_to_analyse_after_a_stop_starts_a_fresh_task_on_another_branch() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, hang=True))
        name = await it.start()
        await it.settle(5)
        old = await it.task(name)
        await stop_by_board(it, name)
        await it.move(name, "to_analyse")
        await it.approve(name)
        new = await it.until_stage(name, Stage.DONE)
        assert new.row != old.row
        assert new.work_item == old.work_item
        assert new.branch != old.branch
        await it.settle(60)
        assert await it.column(name) == "done"


async def test_to_analyse_right_behind_a_stop_is_kept_and_handled_after_it() -> None:
    """Both moves are made before anybody has read either."""
    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, hang=True))
        name = await it.start()
        await it.settle(5)
        old = await it.task(name)
        gate = it.faults.hold_next("board.fetch_activities")
        await it.move(name, "stop")
        await gate.reached.wait()
        await it.move(name, "to_analyse")
        gate.open()
        await it.until(lambda tx: tx_task(tx, name).row != old.row)
        await it.approve(name)
        await it.until_stage(name, Stage.DONE)
        assert (await it.read(lambda tx: tx.load_task(old.row))).stage is Stage.CANCELLED  # type: ignore[union-attr]


async def test_G10_a_move_that_was_kept_for_after_the_stop_survives_a_kill_right_after_the_clean_up() -> None:
    """The clean-up is over and its card is about to be looked at again, when the daemon dies: only the disk remembers."""
    async with Ground() as ground:
        async with running(ground) as it:
            it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, hang=True))
            name = await it.start()
            await it.settle(5)
            sweeping = it.faults.hold_next("mirror.keep_branch")
            await it.move(name, "stop")
            await sweeping.reached.wait()
            await it.move(name, "to_analyse")
            await it.settle(2)
            looked_at = it.faults.hold_next("board.fetch_activities")
            sweeping.open()
            await looked_at.reached.wait()
            old = await it.read(lambda tx: tx.newest_task(DEMO, IssueId(name)))
            assert old is not None
            assert (old.stage, old.swept) == (Stage.CANCELLED, True)
        async with running(ground) as it:
            await it.until(lambda tx: tx_task(tx, name).row != old.row)


async def test_signs_of_a_stopped_task_are_not_shown_over_its_successor() -> None:
    """The board is down while the task is stopped and started anew: only the new one's status is written."""
    from orch.core.errors import TransientError

    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=PLAN, hang=True))
        name = await it.start()
        await it.settle(5)
        it.faults.fail_always("board.set_state", TransientError("board", "set state", "down"))
        await stop_by_command(it, name)
        await it.settle(1)
        await it.move(name, "to_analyse")
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        it.faults.heal("board.set_state")
        await it.settle(600)
        assert it.faults.written("state")[-1] == f"{name} in_review"
        assert f"{name} cancelled" not in it.faults.written("state")


async def test_stopping_twice_says_that_it_is_stopped() -> None:
    async with line() as it:
        name = await it.start()
        await it.settle(1)
        await stop_by_command(it, name)
        assert (await it.decide(name, Decision.STOP)).verb is Verb.NOTHING


async def test_G10_a_kill_between_stop_and_the_end_of_the_push_still_ends_in_the_truth() -> None:
    async with Ground(DEPLOYED) as ground:
        async with running(ground) as it:
            gate = it.faults.hold_next("mirror.push_candidate")
            name = await it.start()
            await it.approve(name)
            await gate.reached.wait()
            await stop_by_command(it, name)
            # The push went through, and the daemon died before it heard of it.
            intent = (await it.read(lambda tx: tx.open_intents()))[0]
            assert intent.candidate is not None
            it.repository.set_main(intent.candidate.sha)
            it.mirror.answers.clear()
        async with running(ground) as it:
            task = await it.until_stage(name, Stage.CANCELLED)
            assert task.landed == it.repository.main
            assert len(it.repository.history) == 2


async def test_a_park_is_no_obstacle_to_stop() -> None:
    async with line() as it:
        it.agent.missing = "no agent"
        name = await it.start()
        task = await it.until_parked(name)
        assert task.park is not None
        assert task.park.reason is ParkReason.PERMISSION_DENIED
        await stop_by_command(it, name)
        assert (await it.task(name)).stage is Stage.CANCELLED
