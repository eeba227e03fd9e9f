"""People's controls over a repo and a task, and the serial gate, with every actor running."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import anyio
import pytest

from orch.adapters.local_board import LocalDeskAdapter
from orch.core.errors import TransientError
from orch.core.ids import IssueId
from orch.core.messages import (
    AddDependency,
    AdoptIssue,
    Answer,
    Decision,
    FreezeRepo,
    PauseRepos,
    PersonCommand,
    SendTaskBack,
    UnfreezeRepo,
    UnpauseRepos,
    Verb,
)
from orch.core.model import Awaiting, DeploySettings, Feedback, Finding, Freeze, FreezeCause, Project, RunKind
from orch.core.stages import Role, Stage, is_terminal
from orch.ports import Tx
from tests.builders import DEMO, make_limits, make_project
from tests.fakes.agents import Step
from tests.fakes.line import BODY, Ground, Line, line, running, tx_task

SHOP = make_project(name="shop", prefix="SHOP")
DEPLOYED = make_project(deploy=DeploySettings(command=("deploy",)))
GATED = make_limits(serial_gate=frozenset({DEMO}), max_concurrency=8, max_concurrency_per_repo=8)


async def freeze(it: Line, reason: str = "release day") -> Answer:
    return await it.ask(FreezeRepo(by="anna", reason=reason))


async def thaw(it: Line) -> Answer:
    return await it.ask(UnfreezeRepo(by="anna"))


async def all_done(it: Line, *names: str, within_s: float = 600) -> None:
    await it.until(lambda tx: all(is_terminal(tx_task(tx, name).stage) for name in names), within_s=within_s)


# ------------------------------------------------------------------------------------------------ the serial gate


async def test_a_batch_that_was_made_together_goes_strictly_one_after_the_other() -> None:
    """In the wrong order on top of it: the first waits for the last. Nobody waits for ever, and nobody overtakes."""
    async with line(limits=GATED) as it:
        names = [await it.add(f"Card number {number}") for number in range(1, 5)]
        await it.ask(AddDependency(issue=names[0], on=names[3], by="anna"))
        for name in names:
            await it.move(name, "to_analyse")
        for name in (names[1], names[2], names[3], names[0]):
            await it.approve(name, within_s=20)
            await it.until_stage(name, Stage.DONE, within_s=300)
        spans = await it.read(spans_of)
        assert [name for _, _, name in spans] == [names[1], names[2], names[3], names[0]]
        assert all(ended <= begun for (_, ended, _), (begun, _, _) in pairwise(spans))


def spans_of(tx: Tx) -> list[tuple[Any, Any, str]]:
    """Return of each task when its first agent began and when it was done, in that order."""
    return sorted(
        (min(run.started_at for run in tx.list_runs(task=task.row)), task.finished_at, task.work_item) for task in tx.list_tasks()
    )


async def test_one_that_is_stopped_lets_the_next_one_in_at_once() -> None:
    async with line(limits=GATED) as it:
        first, second = [await it.start(f"Card number {number}") for number in (1, 2)]
        await it.until(lambda tx: tx_task(tx, first).awaiting is Awaiting.APPROVAL)
        await it.settle(60)
        assert await it.runs(second) == []
        await it.decide(first, Decision.STOP)
        await it.until(lambda tx: bool(tx.list_runs(task=tx_task(tx, second).row)), within_s=5)


async def test_a_fix_passes_the_gate_and_the_freeze_and_lands_first() -> None:
    async with line(limits=GATED) as it:
        first = await it.start("Card number 1")
        await it.approve(first)
        await it.until_stage(first, Stage.DEVELOPMENT)
        assert (await freeze(it)).verb is Verb.DONE
        second, third = [await it.start(f"Card number {number}") for number in (2, 3)]
        await it.until(lambda tx: tx_task(tx, first).awaiting is Awaiting.LANDING, within_s=120)
        await it.settle(60)
        assert await it.runs(third) == []
        assert (await it.decide(third, Decision.FIX)).verb is Verb.DONE
        await it.approve(third, within_s=20)
        await it.until_stage(third, Stage.DONE)
        assert (await it.task(first)).stage is Stage.DEPLOY_STAGING
        assert await it.runs(second) == []
        [made] = [each for each in await it.history(third) if each.cause == "fix"]
        assert made.by == "anna"
        await thaw(it)
        await it.until_stage(first, Stage.DONE, within_s=30)
        await it.approve(second, within_s=20)
        await all_done(it, second)


async def test_a_dependency_that_is_declared_on_the_first_lets_the_next_one_in_at_once() -> None:
    async with line(limits=GATED) as it:
        hold = it.faults.hold_next("processes.run")
        names = [await it.start(f"Card number {number}") for number in (1, 2, 3)]
        await hold.reached.wait()
        await it.ask(AddDependency(issue=names[1], on=names[2], by="anna"))
        hold.open()
        await it.approve(names[0])
        await it.approve(names[2], within_s=120)
        await all_done(it, names[0], names[2])
        await it.approve(names[1])
        await all_done(it, names[1])


# ------------------------------------------------------------------------------------------------ freeze


async def test_a_freeze_stops_entry_and_landing_but_not_what_lies_between_and_a_thaw_wakes_both_at_once() -> None:
    async with line() as it:
        first = await it.start("Card number 1")
        await it.until(lambda tx: tx_task(tx, first).awaiting is Awaiting.APPROVAL)
        await freeze(it)
        second = await it.start("Card number 2")
        await it.approve(first)
        await it.until(lambda tx: tx_task(tx, first).awaiting is Awaiting.LANDING)
        await it.settle(120)
        assert (await it.task(first)).stage is Stage.DEPLOY_STAGING
        assert await it.runs(second) == []
        assert [alert.kind for alert in it.g.notifier.alerts if "release day" in alert.text] == ["freeze"]
        assert (await thaw(it)).verb is Verb.DONE
        await it.until(lambda tx: bool(tx.list_runs(task=tx_task(tx, second).row)), within_s=5)
        await it.until_stage(first, Stage.DONE, within_s=10)


async def test_a_person_takes_a_machines_freeze_over_and_only_the_first_persons_stands() -> None:
    async with line() as it:
        machine = Freeze(project=DEMO, cause=FreezeCause.RED_MAIN, since=it.g.clock.now(), by="orch")
        await it.write(lambda tx: tx.set_freeze(machine))
        assert (await freeze(it, "first")).verb is Verb.DONE
        again = await it.ask(FreezeRepo(by="bob", reason="second"))
        assert (again.verb, "anna" in again.text) == (Verb.NOTHING, True)
        repo = await it.read(lambda tx: tx.load_repo(DEMO))
        assert repo.freeze is not None
        assert (repo.freeze.cause, repo.freeze.by, repo.freeze.detail) == (FreezeCause.PERSON, "anna", "first")
        assert (await thaw(it)).verb is Verb.DONE
        assert (await thaw(it)).verb is Verb.NOTHING


async def confirmed(it: Line, name: str) -> Answer:
    await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.CONFIRM, within_s=300)
    return await it.decide(name, Decision.CONFIRM_DEPLOY)


async def test_a_confirm_under_a_freeze_deploys_nothing_and_counts_after_the_thaw_only_when_given_again() -> None:
    async with line(DEPLOYED) as it:
        name = await it.start()
        await it.approve(name)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.CONFIRM)
        await freeze(it)
        answer = await confirmed(it, name)
        assert answer.verb is Verb.REFUSED
        assert "release day" in answer.text
        await it.settle(1)
        await it.move(name, "confirm_deploy")
        await it.settle(60)
        assert any("release day" in comment.text for comment in await it.comments(name))
        assert await it.column(name) == "awaiting_deploy"
        await thaw(it)
        await it.settle(60)
        assert [run for run in await it.runs(name) if run.kind is RunKind.DEPLOY] == []
        assert (await confirmed(it, name)).verb is Verb.DONE
        await it.until_stage(name, Stage.DONE)


@pytest.mark.parametrize("asks", [True, False])
async def test_G10_a_freeze_that_came_before_a_deploy_was_started_keeps_it_from_starting(asks: bool) -> None:
    """The daemon died between the confirm and the start; a person froze the repo at the next start."""
    project = replace(DEPLOYED, deploy=replace(DEPLOYED.deploy, confirm=asks))
    async with Ground(replace(project, deploy=replace(project.deploy, confirm=True))) as ground:
        async with running(ground) as it:
            name = await it.start()
            await it.approve(name)
            await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.CONFIRM)

        def cut_off(tx: Tx) -> None:
            task = tx_task(tx, name)
            tx.save_task(replace(task, awaiting=Awaiting.DEPLOY_TURN))
            tx.set_freeze(Freeze(project=DEMO, cause=FreezeCause.PERSON, since=ground.clock.now(), by="anna"))

        await ground.store.transact(cut_off)
        ground.projects = (project,)
        async with running(ground) as it:
            await it.settle(120)
            assert not [run for run in await it.runs(name) if run.kind is RunKind.DEPLOY]
            assert (await it.task(name)).awaiting is (Awaiting.CONFIRM if asks else Awaiting.DEPLOY_TURN)
            await it.ask(UnfreezeRepo(by="anna"))
            await it.settle(5)
            if asks:
                assert (await it.decide(name, Decision.CONFIRM_DEPLOY)).verb is Verb.DONE
            await it.until_stage(name, Stage.DONE, within_s=10)


async def test_a_STOP_of_a_deploy_that_a_freeze_keeps_from_starting_is_carried_out_at_once() -> None:
    async with line(replace(DEPLOYED, deploy=replace(DEPLOYED.deploy, confirm=False))) as it:
        name = await it.start()
        await it.approve(name)
        hold = it.faults.hold_next("mirror.push_candidate")
        await hold.reached.wait()
        await freeze(it)
        hold.open()
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.DEPLOY_TURN)
        await it.settle(60)
        assert (await it.task(name)).stage is Stage.DEPLOY
        await it.decide(name, Decision.STOP)
        await it.until_stage(name, Stage.CANCELLED, within_s=5)


# ------------------------------------------------------------------------------------------------ pause


async def test_a_pause_lets_runs_finish_and_starts_nothing_new_until_it_is_over() -> None:
    async with line(make_project(), SHOP) as it:
        gate = it.faults.hold_next("processes.run")
        first = await it.start("Card number 1")
        await gate.reached.wait()
        assert (await it.ask(PauseRepos(by="anna"))).verb is Verb.DONE
        assert (await it.ask(PauseRepos(by="anna"))).verb is Verb.NOTHING
        other = await it.start("A card elsewhere", project=SHOP.name)
        gate.open()
        await it.approve(first)
        await it.settle(120)
        assert [run.role for run in await it.runs(first)] == [Role.ANALYST]
        assert await it.runs(other) == []
        assert (await it.ask(UnpauseRepos(by="anna", project="shop"))).verb is Verb.DONE
        await it.until(lambda tx: tx_task(tx, other).awaiting is Awaiting.APPROVAL, within_s=5)
        assert len(await it.runs(first)) == 1
        assert (await it.ask(UnpauseRepos(by="anna"))).verb is Verb.DONE
        await it.until_stage(first, Stage.DONE)


NAMES: dict[str, tuple[PersonCommand, Verb, str]] = {
    "a project that is not there": (FreezeRepo(by="anna", project="nobody"), Verb.UNKNOWN, "demo, shop"),
    "no project where there are two": (FreezeRepo(by="anna"), Verb.UNKNOWN, "demo, shop"),
    "a thaw of nothing": (UnfreezeRepo(by="anna", project="shop"), Verb.NOTHING, "not frozen"),
    "a thaw of a project that is not there": (UnfreezeRepo(by="anna", project="x"), Verb.UNKNOWN, "demo, shop"),
    "a pause of a project that is not there": (PauseRepos(by="anna", project="x"), Verb.UNKNOWN, "demo, shop"),
    "an end of no pause": (UnpauseRepos(by="anna"), Verb.NOTHING, "not paused already"),
    "a pause of all": (PauseRepos(by="anna"), Verb.DONE, "demo, shop"),
    "sending nothing back": (SendTaskBack(task="DEMO-9", stage=Stage.REVIEW, by="anna", reason="x"), Verb.UNKNOWN, "DEMO-9"),
    "adopting nothing": (AdoptIssue(issue="DEMO-9", by="anna", project="demo"), Verb.UNKNOWN, "no issue 'DEMO-9'"),
    "adopting from no project": (AdoptIssue(issue="DEMO-9", by="anna"), Verb.UNKNOWN, "demo, shop"),
    "adopting from another project": (AdoptIssue(issue="DEMO-1", by="anna", project="shop"), Verb.INVALID, "belongs to demo"),
}


@pytest.mark.parametrize(("command", "verb", "words"), NAMES.values(), ids=NAMES.keys())
async def test_what_a_command_names_is_found_or_said(command: PersonCommand, verb: Verb, words: str) -> None:
    async with line(make_project(), SHOP) as it:
        await it.add("A first card")
        answer = await it.ask(command)
        assert (answer.verb, words in answer.text) == (verb, True), answer


# ------------------------------------------------------------------------------------------------ first contact, adoption

OLDER = make_project(board="plane", board_project="p-1")


async def old_card(ground: Ground, *columns: str) -> IssueId:
    """A card that was moved to *columns* before the daemon ever met its board."""
    desk = LocalDeskAdapter(ground.store, ground.clock, {DEMO: "DEMO"})
    card = await desk.create_issue(DEMO, title="A card from before", body=BODY, by="anna")
    for column in columns:
        await desk.move_issue(card.id, column, by="anna")
    await anyio.sleep(60)
    return card.id


@pytest.mark.parametrize(("project", "starts"), [(OLDER, False), (make_project(), True)], ids=["a board of its own", "local"])
async def test_what_stood_on_a_board_before_the_first_contact_starts_nothing(project: Project, starts: bool) -> None:
    """The built-in board begins with the store: what stands on it was set with us there, whoever was not running."""
    async with Ground(project) as ground:
        card = await old_card(ground, "to_analyse")
        async with running(ground) as it:
            await it.settle(120)
            assert bool(await it.read(lambda tx: tx.list_tasks())) is starts
            assert await it.read(lambda tx: tx.pending_inbox()) == []
            if not starts:
                await it.move(card, "backlog")
                await it.move(card, "to_analyse")
            await it.until(lambda tx: tx_task(tx, card).awaiting is Awaiting.APPROVAL, within_s=20)


async def test_the_baseline_is_taken_once() -> None:
    async with Ground(OLDER) as ground:
        moments = []
        for _ in range(2):
            async with running(ground) as it:
                await it.settle(60)
                moments.append((await it.read(lambda tx: tx.load_repo(DEMO))).baseline_at)
        assert moments[0] is not None
        assert moments[0] == moments[1]


async def test_an_old_STOP_that_stands_on_a_live_task_is_obeyed() -> None:
    async with Ground(make_project()) as ground:
        async with running(ground) as it:
            name = await it.start()
            await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
            await it.settle(5)
        desk = LocalDeskAdapter(ground.store, ground.clock, {DEMO: "DEMO"})
        await desk.move_issue(IssueId(name), "stop", by="anna")
        await anyio.sleep(60)
        later = ground.clock.now()
        await ground.store.transact(lambda tx: tx.save_repo(replace(tx.load_repo(DEMO), baseline_at=later)))
        async with running(ground) as it:
            await it.until_stage(name, Stage.CANCELLED, within_s=20)


async def test_a_card_from_before_is_adopted_once() -> None:
    async with Ground(OLDER) as ground:
        card = await old_card(ground, "to_analyse")
        async with running(ground) as it:
            await it.settle(5)
            answer = await it.ask(AdoptIssue(issue=card, by="anna"))
            assert (answer.verb, answer.id) == (Verb.DONE, "DEMO-1")
            assert (await it.history("DEMO-1"))[0].by == "anna"
            again = await it.ask(AdoptIssue(issue=card, by="bob"))
            assert (again.verb, "in the line already" in again.text) == (Verb.REFUSED, True)
            await it.until(lambda tx: tx_task(tx, card).awaiting is Awaiting.APPROVAL)
            await it.settle(5)
            assert await it.column(card) == "in_review"


async def test_a_card_whose_task_is_done_is_adopted_under_the_next_free_id() -> None:
    async with line() as it:
        first = await it.start()
        await it.approve(first)
        await it.until_stage(first, Stage.DONE)
        await it.settle(5)
        answer = await it.ask(AdoptIssue(issue=first.lower(), by="anna"))
        assert (answer.verb, answer.id) == (Verb.DONE, "DEMO-2")
        await it.approve("DEMO-2")
        await it.until_stage("DEMO-2", Stage.DONE)
        assert (await it.task("DEMO-2")).issue == first
        assert "DEMO-2" in (await it.task(first)).work_item


async def test_a_card_whose_task_was_stopped_is_adopted_when_it_was_cleaned_up_after() -> None:
    async with line() as it:
        name = await it.start()
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        await it.decide(name, Decision.STOP)
        await it.settle(10)
        answer = await it.ask(AdoptIssue(issue=name, by="anna"))
        assert answer.verb is Verb.DONE, answer
        await it.approve(name)
        await it.until_stage(name, Stage.DONE)


async def test_a_card_that_is_too_thin_is_not_adopted_and_each_problem_is_said() -> None:
    async with line() as it:
        name = await it.add("Hm", body="short")
        answer = await it.ask(AdoptIssue(issue=name, by="anna"))
        assert answer.verb is Verb.REFUSED
        assert "title" in answer.text
        assert "description" in answer.text
        await it.settle(30)
        assert (await it.comments(name), await it.column(name)) == ([], "backlog")


async def test_a_board_that_is_down_is_said_and_nothing_is_started_later() -> None:
    async with line() as it:
        name = await it.add()
        await it.settle(5)
        it.faults.fail_next("board.fetch_issue", TransientError("board", "issue", "502"), times=1)
        answer = await it.ask(AdoptIssue(issue=name, by="anna"))
        assert (answer.verb, "502" in answer.text) == (Verb.UNAVAILABLE, True)
        await it.settle(120)
        assert await it.read(lambda tx: tx.list_tasks()) == []


# ------------------------------------------------------------------------------------------------ sending back


def back(task: str, stage: Stage, **fields: Any) -> SendTaskBack:
    return SendTaskBack(**{"task": task, "stage": stage, "by": "anna", "reason": "Name the greeting.", **fields})


async def test_a_task_that_is_sent_back_ends_what_runs_and_goes_on_with_the_findings() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.TESTER, Step(hang=True))
        name = await it.start()
        await it.approve(name)
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.TESTING and bool(tx.list_runs(running=True)))
        await it.settle(5)
        answer = await it.ask(back(name, Stage.DEVELOPMENT, findings=(Finding(title="No test"),)))
        assert answer.verb is Verb.DONE
        await it.until_stage(name, Stage.DONE)
        assert len(it.processes.killed) == 1
        told = Feedback(kind="sent-back", text="Name the greeting.", findings=(Finding(title="No test"),))
        assert it.prompts.of(Role.DEVELOPER)[-1].feedback == told
        assert [run.role for run in await it.runs(name) if run.role is Role.REVIEWER] == [Role.REVIEWER] * 2


async def test_a_plan_can_be_done_again_when_the_code_is_there() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.REVIEWER, Step(hang=True))
        name = await it.start()
        await it.approve(name)
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.REVIEW)
        assert (await it.ask(back(name, Stage.ANALYSIS))).verb is Verb.DONE
        await it.approve(name)
        await it.until_stage(name, Stage.DONE)


async def test_one_that_waits_to_be_landed_leaves_the_queue_and_its_test_run_ends() -> None:
    async with line() as it:
        name = await it.start()
        await it.approve(name)
        await it.until(lambda tx: any(run.kind is RunKind.LAND for run in tx.list_runs(running=True)))
        landed = it.repository.main
        assert (await it.ask(back(name, Stage.REVIEW))).verb is Verb.DONE
        await it.settle(2)
        assert it.repository.main == landed
        await it.until_stage(name, Stage.DONE)


async def test_while_it_is_pushed_to_main_it_is_not_sent_back() -> None:
    async with line() as it:
        name = await it.start()
        await it.approve(name)
        hold = it.faults.hold_next("mirror.push_candidate")
        await hold.reached.wait()
        answer = await it.ask(back(name, Stage.DEVELOPMENT))
        assert (answer.verb, "being landed" in answer.text) == (Verb.REFUSED, True)
        hold.open()
        await it.until_stage(name, Stage.DONE)
        answer = await it.ask(back(name, Stage.DEVELOPMENT))
        assert (answer.verb, "is done" in answer.text) == (Verb.REFUSED, True)


async def test_one_that_never_entered_keeps_waiting_for_its_turn() -> None:
    async with line(limits=GATED) as it:
        first, second = [await it.start(f"Card number {number}") for number in (1, 2)]
        await it.until(lambda tx: tx_task(tx, first).awaiting is Awaiting.APPROVAL)
        assert (await it.ask(back(second, Stage.ANALYSIS))).verb is Verb.DONE
        await it.settle(60)
        assert await it.runs(second) == []
        await it.approve(first)
        await it.approve(second, within_s=120)
        await all_done(it, first, second)
