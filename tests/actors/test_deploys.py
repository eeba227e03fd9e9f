"""Deploys of a repo on virtual time: order, tries, freezes, what a new life of the daemon goes on with, STOP in every state."""

from dataclasses import replace

import pytest

from orch.core.commands import FreezeRepo, UnfreezeRepo
from orch.core.messages import Decision
from orch.core.model import Awaiting, DeployState, JobState, MonitorSettings, Outcome, ParkReason, RunKind, Survivor
from orch.core.stages import Role, Stage
from tests.actors.deploying import AGENT, ASKS, GOES_ON, SAYS, asked, confirm, deploys, running_one, said
from tests.builders import make_limits
from tests.fakes.agents import Step
from tests.fakes.line import Ground, line, running, tx_task
from tests.fakes.probe import BAD

# ------------------------------------------------------------------------------------------------ one deploy


async def test_a_person_is_asked_with_everything_and_a_confirm_deploys_exactly_what_landed() -> None:
    async with line(ASKS) as it:
        name = await asked(it)
        await it.settle(1)
        question = await said(it, name)
        for words in (
            it.repository.main,
            "This deploy carries:",
            f"{name} Add a greeting",
            "What changes:",
            "Tested before it landed",
        ):
            assert words in question
        assert any(alert.kind == "confirm-deploy" for alert in it.g.notifier.alerts)
        assert await it.column(name) == "awaiting_deploy"
        await confirm(it, name)
        task = await it.until_stage(name, Stage.DONE)
        assert (task.deployed, [order.sha for order in it.deploys.launched]) == (True, [it.repository.main])
        [deploy] = await deploys(it)
        assert (deploy.state, deploy.exit_code, deploy.sha) == (DeployState.SUCCEEDED, 0, it.repository.main)
        [run] = [run for run in await it.runs(name) if run.kind is RunKind.DEPLOY]
        assert (run.outcome, run.id, run.log_path) == (Outcome.SUCCEEDED, deploy.run, "/nonexistent/deploys/1-1/output.log")
        assert it.mirror.exported
        await it.settle(1)
        assert await it.column(name) == "done"
        assert "is deployed" in await said(it, name)
        assert deploy.id in it.deploys.cleared


async def test_what_a_deploy_has_completed_is_cleaned_up_after_without_another_message() -> None:
    async with line(ASKS) as it:
        name = await asked(it)
        await it.settle(120)  # its actor has nothing to do any more, and retires
        await confirm(it, name)
        await it.until_stage(name, Stage.DONE)
        await it.settle(1)
        assert (await it.task(name)).swept


async def test_while_a_deploy_runs_the_board_shows_it() -> None:
    async with line(GOES_ON) as it:
        it.deploys.seconds = 60
        name = await it.start()
        await it.approve(name)
        await running_one(it)
        await it.settle(5)
        assert await it.column(name) == "deploying"
        assert (await it.until_stage(name, Stage.DONE)).deployed


async def test_exit_75_is_tried_again_in_a_folder_of_its_own_until_it_succeeds() -> None:
    async with line(GOES_ON) as it:
        it.deploys.codes.extend([75, 75, 0])
        name = await it.start()
        await it.approve(name)
        await it.until_stage(name, Stage.DONE)
        assert [(order.deploy, order.number) for order in it.deploys.launched] == [(1, 1), (1, 2), (1, 3)]
        [deploy] = await deploys(it)
        assert (deploy.state, deploy.tries) == (DeployState.SUCCEEDED, 3)
        assert [line.cause for line in await it.history(name)].count("deploy-again") == 2


async def test_a_deploy_that_never_stops_asking_is_given_up_within_its_bounds() -> None:
    async with line(GOES_ON) as it:
        it.deploys.codes.extend([75] * 50)
        name = await it.start()
        await it.approve(name)
        task = await it.until_parked(name)
        assert task.park is not None
        assert (task.park.reason, len(it.deploys.launched) <= 10) == (ParkReason.DEPLOY_FAILED, True)
        assert "exit 75" in task.park.evidence


@pytest.mark.parametrize(
    ("code", "state"), [(1, DeployState.FAILED), (3, DeployState.ROLLED_BACK), (None, DeployState.NO_RESULT)]
)
async def test_after_a_deploy_that_did_not_succeed_only_a_later_confirm_deploys(code: int | None, state: DeployState) -> None:
    async with line(GOES_ON) as it:
        it.deploys.codes.append(code)
        first = await it.start()
        await it.approve(first)
        task = await it.until_parked(first)
        assert task.park is not None
        assert task.park.reason is ParkReason.DEPLOY_FAILED
        assert [deploy.state for deploy in await deploys(it)] == [state]
        second = await asked(it, "Add a farewell")
        await it.settle(120)
        assert len(it.deploys.launched) == 1, "it needs a confirm now, although the project asks for none"
        assert f"{first} Add a greeting (parked)" in await said(it, second)
        await confirm(it, second)
        await it.until_stage(second, Stage.DONE)
        done = await it.until_stage(first, Stage.DONE)
        assert done.deployed
        assert f"delivered with {second}" in await said(it, first)
        third = await it.start("Add a song")
        await it.approve(third)
        await it.until_stage(third, Stage.DONE)
        assert [deploy.state for deploy in await deploys(it)] == [state, DeployState.SUCCEEDED, DeployState.SUCCEEDED]


async def test_a_resume_is_no_confirm() -> None:
    async with line(GOES_ON) as it:
        it.deploys.codes.append(1)
        name = await it.start()
        await it.approve(name)
        await it.until_parked(name)
        await it.decide(name, Decision.RESUME)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.CONFIRM)
        await it.settle(120)
        assert len(it.deploys.launched) == 1
        await confirm(it, name)
        await it.until_stage(name, Stage.DONE)


async def test_a_probe_that_is_bad_right_after_the_deploy_fails_nothing() -> None:
    monitor = MonitorSettings(url="http://shop.example/healthz", interval_s=60, window_s=120, fail_after=3)
    async with line(replace(GOES_ON, monitor=monitor)) as it:
        it.g.probe.answers.append(BAD)
        name = await it.start()
        await it.approve(name)
        assert (await it.until_stage(name, Stage.DONE)).deployed
        [deploy] = await deploys(it)
        assert (deploy.state, deploy.detail) == (DeployState.SUCCEEDED, BAD.detail)
        await it.settle(1)
        assert "A probe right after it was bad: HTTP 500" in await said(it, name)


# ------------------------------------------------------------------------------------------------ order


async def test_one_at_a_time_in_landing_order_whatever_the_order_of_the_confirms() -> None:
    async with line(ASKS) as it:
        names = [await asked(it, f"Card number {n}") for n in range(3)]
        it.deploys.held = True
        await confirm(it, names[0])
        await running_one(it)
        for name in (names[2], names[1]):
            await confirm(it, name)
        await it.settle(30)
        assert len(it.deploys.launched) == 1
        for name in names[1:]:
            assert (await it.task(name)).awaiting is Awaiting.DEPLOY_TURN
        it.deploys.held = False
        for name in names:
            await it.until_stage(name, Stage.DONE)
        landed = [(await it.task(name)).landed for name in names]
        assert [order.sha for order in it.deploys.launched] == landed


async def test_the_later_one_confirmed_first_delivers_the_earlier_one() -> None:
    async with line(ASKS) as it:
        first, second = await asked(it), await asked(it, "Add a farewell")
        await it.settle(1)
        assert f"- {first} Add a greeting\n- {second} Add a farewell" in await said(it, second)
        await confirm(it, second)
        await it.until_stage(second, Stage.DONE)
        done = await it.until_stage(first, Stage.DONE)
        await it.settle(1)
        assert (done.deployed, f"delivered with {second}" in await said(it, first)) == (True, True)
        assert len(it.deploys.launched) == 1
        assert await it.column(first) == "done"


async def test_a_declined_one_is_delivered_with_the_next() -> None:
    async with line(ASKS) as it:
        first = await asked(it)
        await it.decide(first, Decision.REJECT)
        second = await asked(it, "Add a farewell")
        await confirm(it, second)
        assert (await it.until_stage(first, Stage.DONE)).park is None


async def test_a_git_that_does_not_answer_delays_a_deploy_and_loses_nothing() -> None:
    from orch.core.errors import TransientError

    async with line(ASKS) as it:
        first = await asked(it)
        await confirm(it, first)
        await it.until_stage(first, Stage.DONE)
        for _ in range(3):
            it.faults.fail_next("mirror.contains", TransientError("git", "merge-base", "no memory"))
        second = await asked(it, "Add a farewell")
        await confirm(it, second)
        await it.until_stage(second, Stage.DONE, within_s=600)


# ------------------------------------------------------------------------------------------------ freezes


async def test_a_freeze_voids_a_waiting_confirm_and_the_deploy_under_way_ends() -> None:
    async with line(ASKS) as it:
        first, second = await asked(it), await asked(it, "Add a farewell")
        it.deploys.held = True
        await confirm(it, first)
        await running_one(it)
        await confirm(it, second)
        await it.ask(FreezeRepo(by="anna", reason="release day"))
        await it.until(lambda tx: tx_task(tx, second).awaiting is Awaiting.CONFIRM)
        await it.settle(1)
        assert "release day" in await said(it, second)
        it.deploys.held = False
        await it.until_stage(first, Stage.DONE)
        await it.ask(UnfreezeRepo(by="anna"))
        await it.settle(120)
        assert len(it.deploys.launched) == 1
        await confirm(it, second)
        await it.until_stage(second, Stage.DONE)


@pytest.mark.parametrize("asks", [True, False])
async def test_a_freeze_between_two_tries_gives_the_slot_back(asks: bool) -> None:
    async with line(replace(ASKS, deploy=replace(ASKS.deploy, confirm=asks))) as it:
        it.deploys.codes.extend([75] * 4)
        name = await it.start()
        await it.approve(name)
        if asks:
            await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.CONFIRM)
            await confirm(it, name)
        await it.until(lambda tx: any(d.tries == 3 and d.due_at for d in tx.running_deploys()))
        await it.ask(FreezeRepo(by="anna"))
        await it.settle(60)
        assert [deploy.state for deploy in await deploys(it)] == [DeployState.WITHDRAWN]
        assert (await it.task(name)).awaiting is (Awaiting.CONFIRM if asks else Awaiting.DEPLOY_TURN)
        assert len(it.deploys.launched) == 3
        await it.ask(UnfreezeRepo(by="anna"))
        if asks:
            await confirm(it, name)
        await it.until_stage(name, Stage.DONE)


# ------------------------------------------------------------------------------------------------ the process


async def test_a_process_that_never_claims_is_started_again_and_given_up_at_the_deadline() -> None:
    async with line(GOES_ON) as it:
        it.deploys.claims = False
        name = await it.start()
        await it.approve(name)
        task = await it.until_parked(name)
        assert task.park is not None
        assert "could not be started" in task.park.evidence
        assert len(it.deploys.launched) > 2
        [deploy] = await deploys(it)
        assert deploy.state is DeployState.FAILED
        look = await it.deploys.look(deploy.id, 1)
        assert look.phase.value == "lost", "it was claimed for nobody: a late process cannot begin"


async def test_a_launch_that_fails_is_tried_again() -> None:
    async with line(GOES_ON) as it:
        it.faults.fail_next("deploys.launch", OSError("no space left on device"))
        name = await it.start()
        await it.approve(name)
        await it.until_stage(name, Stage.DONE)


async def test_at_the_deadline_there_is_no_result_and_a_survivor_keeps_the_slot_until_it_is_gone() -> None:
    async with line(ASKS) as it:
        first, second = await asked(it), await asked(it, "Add a farewell")
        it.deploys.held, it.deploys.survivors = True, (Survivor(pid=7, started=1, name="worker"),)
        await confirm(it, first)
        task = await it.until_parked(first)
        assert task.park is not None
        assert "worker" in task.park.evidence
        assert "No result" in task.park.evidence
        parked_alerts = [alert for alert in it.g.notifier.alerts if alert.kind == "parked"]
        await confirm(it, second)
        await it.settle(120)
        assert len(it.deploys.launched) == 1, "the slot is not free while a process of it lives"
        assert [alert for alert in it.g.notifier.alerts if alert.kind == "parked"] == parked_alerts
        it.deploys.held, it.deploys.survivors = False, ()
        await it.until(lambda tx: not tx.running_deploys())
        await it.until(lambda tx: tx_task(tx, second).awaiting is Awaiting.CONFIRM)
        await confirm(it, second)
        await it.until_stage(second, Stage.DONE)
        await it.until_stage(first, Stage.DONE)


# ------------------------------------------------------------------------------------------------ the deployer's agent


def deployer(text: str, **fields: object) -> Step:
    from orch.core.model import AgentResult

    return Step(result=AgentResult(outcome=Outcome.SUCCEEDED, text=text), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(("step", "stage"), [(deployer(SAYS.format("success")), Stage.DONE), (deployer("Well."), Stage.DEPLOY)])
async def test_the_deployers_agent_deploys_once_and_its_verdict_counts(step: Step, stage: Stage) -> None:
    async with line(AGENT) as it:
        it.agent.script("DEMO-1", Role.DEPLOYER, step)
        name = await asked(it)
        await confirm(it, name)
        await it.until(lambda tx: bool(tx.list_deploys()) and not tx.running_deploys())
        task = await it.task(name)
        assert (task.stage, task.deployed) == (stage, stage is Stage.DONE)
        assert len(it.agent.visits(Role.DEPLOYER)) == 1
        [spec] = [spec for spec in it.workspace.specs if spec.role is Role.DEPLOYER]
        assert spec.head == task.landed, "it works on exactly what has landed"
        assert it.deploys.launched == []
        await it.settle(60)
        assert await it.read(lambda tx: tx.list_runs(running=True)) == []


async def test_a_verdict_in_the_deployers_folder_counts_too() -> None:
    async with line(AGENT) as it:
        it.agent.script("DEMO-1", Role.DEPLOYER, Step(artefacts={"10-deploy.md": SAYS.format("fail")}))
        name = await asked(it)
        await confirm(it, name)
        await it.until_parked(name)
        assert [deploy.state for deploy in await deploys(it)] == [DeployState.NO_RESULT], "the fakes' archive holds no folder"


async def test_a_deployer_that_was_cut_off_is_no_result_and_is_not_run_again() -> None:
    async with Ground(AGENT) as ground:
        ground.agent.script("DEMO-1", Role.DEPLOYER, Step(hang=True))
        async with running(ground) as it:
            name = await asked(it)
            await confirm(it, name)
            await it.until(lambda tx: any(run.job and run.start_head for run in tx.list_runs(running=True)))
            await it.settle(5)
        async with running(ground) as it:
            task = await it.until_parked(name)
            assert task.park is not None
            assert "No result" in task.park.evidence
            await it.settle(120)
            assert len(it.agent.visits(Role.DEPLOYER)) == 1
            assert all(job.state is not JobState.QUEUED for job in await it.jobs(name))


# ------------------------------------------------------------------------------------------------ reminders


async def test_a_question_that_waits_is_reminded_of_now_and_then_and_a_restart_repeats_nothing() -> None:
    async with Ground(ASKS, limits=make_limits(remind_h=0.05)) as ground:

        def reminded() -> int:
            return sum(alert.kind == "reminder-confirm" for alert in ground.notifier.alerts)

        async with running(ground) as it:
            name = await asked(it)
            await it.settle(210)
            assert reminded() == 1
        async with running(ground) as it:
            await it.settle(60)
            assert reminded() == 1
            await it.settle(120)
            assert reminded() == 2
            assert any(name in alert.text for alert in ground.notifier.alerts if alert.kind == "reminder-confirm")
            await confirm(it, name)
            await it.until_stage(name, Stage.DONE)
            await it.settle(400)
            assert reminded() == 2
