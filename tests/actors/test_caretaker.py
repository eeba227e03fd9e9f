"""What the daemon itself waits for: room, a store that writes, a repo that answers. It goes on by itself, and says so once."""

from dataclasses import replace

import pytest

from actors.caretaker import AGAIN_S, LOOK_S
from actors.outbox import OutboxActor
from actors.repo import RepoActor
from actors.slots import ROOM_S
from orch.core import decide_run, retry
from orch.core.errors import PermanentError, TransientError
from orch.core.messages import AddDependency, CommandReport, CommandVerdict, CreateIssue, Decision, LandingHint, OutboxHint, Verb
from orch.core.model import Awaiting, Outcome, ParkReason, RowState
from orch.core.retry import INFRASTRUCTURE_MAX
from orch.core.room import Free
from orch.core.stages import Role, Stage
from orch.snapshots import Present, load_why
from tests.builders import DEMO, make_limits, make_project
from tests.fakes.agents import Step
from tests.fakes.line import Line, line, tx_task

SHOP = make_project(name="shop", prefix="SHOP")
PLENTY = Free(memory_mb=100_000, disk_mb=100_000)
FLOORS = {
    "disk": Free(memory_mb=100_000, disk_mb=100),
    "memory": Free(memory_mb=100, disk_mb=100_000),
}


def alerts(it: Line, kind: str) -> list[str]:
    return [alert.text for alert in it.g.notifier.alerts if alert.kind == kind]


# ------------------------------------------------------------------------------------------------ floors


@pytest.mark.parametrize("what", FLOORS)
async def test_below_a_floor_nothing_begins_what_runs_goes_on_and_it_resumes_by_itself(what: str) -> None:
    async with line() as it:
        plan = {"01-brd.md": "# What\n", "02-acceptance.md": "# When\n"}
        it.agent.script("DEMO-1", Role.ANALYST, Step(artefacts=plan, seconds=100))
        first = await it.start("Begun before")
        await it.settle(5)
        it.g.room.free = FLOORS[what]
        second = await it.start("Begun after")
        await it.until(lambda tx: tx_task(tx, first).awaiting is Awaiting.APPROVAL, within_s=120)
        await it.settle(300)
        assert await it.runs(second) == []
        assert it.processes.killed == []
        assert f"of {what} are free" in it.supervisor.ready()[what]
        present = Present(shortages=it.supervisor.vitals().shortages)
        told = await it.read(lambda tx: load_why(tx, second, it.g.clock.now(), present=present))
        assert told is not None
        assert f"Only 100 MB of {what}" in told
        assert len(alerts(it, f"trouble-{what}")) == 1
        it.g.room.free = PLENTY
        await it.until(lambda tx: tx_task(tx, second).awaiting is Awaiting.APPROVAL, within_s=LOOK_S + ROOM_S + 5)
        assert it.supervisor.ready() == {}


async def test_below_the_disks_floor_new_work_is_refused_and_what_is_there_can_be_decided_and_stopped() -> None:
    async with line() as it:
        issue = await it.start()
        await it.until(lambda tx: tx_task(tx, issue).awaiting is Awaiting.APPROVAL)
        it.g.room.free = FLOORS["disk"]
        await it.settle(LOOK_S + 1)
        answer = await it.ask(CreateIssue(title="One more", body="It is refused.", by="anna"))
        assert (answer.verb, "100 MB of disk" in answer.text) == (Verb.UNAVAILABLE, True)
        assert (await it.decide(issue, Decision.APPROVE)).verb is Verb.DONE
        assert (await it.decide(issue, Decision.STOP)).verb is Verb.DONE
        await it.until_stage(issue, Stage.CANCELLED)


async def test_below_the_disks_floor_a_test_run_waits_for_room_instead_of_failing() -> None:
    async with line() as it:
        issue = await it.start()
        await it.approve(issue)
        await it.until(lambda tx: tx_task(tx, issue).stage is Stage.DEVELOPMENT)
        gate = it.faults.hold_next("workspace.collect")
        await gate.reached.wait()
        it.g.room.free = FLOORS["disk"]
        await it.settle(LOOK_S + 1)
        gate.open()
        await it.settle(200)
        assert it.commands.calls == []
        it.g.room.free = PLENTY
        task = await it.until_stage(issue, Stage.DONE, within_s=200)
        assert task.counters.infrastructure == 0


async def test_room_that_comes_and_goes_around_its_floor_is_told_of_once_an_hour_at_most() -> None:
    async with line() as it:
        for _ in range(6):
            it.g.room.free = FLOORS["disk"]
            await it.settle(2 * LOOK_S)
            it.g.room.free = PLENTY
            await it.settle(2 * LOOK_S)
        assert len(alerts(it, "trouble-disk")) == 1
        await it.settle(AGAIN_S + 60)
        it.g.room.free = FLOORS["disk"]
        await it.settle(2 * LOOK_S)
        assert len(alerts(it, "trouble-disk")) == 2


# ------------------------------------------------------------------------------------------------ a sick store


async def test_a_store_that_cannot_write_is_shown_and_told_of_at_once_and_over_when_it_writes_again() -> None:
    async with line() as it:
        issue = await it.start()
        await it.until(lambda tx: tx_task(tx, issue).awaiting is Awaiting.APPROVAL)
        it.g.store.full = True
        for command in (
            CreateIssue(title="One more", body="It cannot be stored.", by="anna"),
            AddDependency(issue=issue, on=issue, by="anna"),
        ):
            answer = await it.ask(command)
            assert answer.verb is Verb.UNAVAILABLE, answer
        assert "full" in it.supervisor.ready()["store"]
        await it.settle(1)
        assert len(alerts(it, "trouble-store")) == 1, "not through the outbox, which cannot be written"
        await it.settle(600)
        assert len(alerts(it, "trouble-store")) == 1
        it.g.store.full = False
        await it.settle(LOOK_S + 1)
        assert it.supervisor.ready() == {}
        await it.approve(issue)
        await it.until_stage(issue, Stage.DONE)
        assert [task.work_item for task in await it.read(lambda tx: tx.list_tasks())] == [issue], "nothing was half-written"


async def test_a_decision_that_cannot_be_stored_is_answered_and_does_not_come_as_a_surprise_later() -> None:
    async with line() as it:
        issue = await it.start()
        await it.until(lambda tx: tx_task(tx, issue).awaiting is Awaiting.APPROVAL)
        it.g.store.full = True
        answer = await it.decide(issue, Decision.APPROVE)
        assert (answer.verb, "nothing was done" in answer.text) == (Verb.UNAVAILABLE, True)
        it.g.store.full = False
        await it.settle(120)
        assert (await it.task(issue)).awaiting is Awaiting.APPROVAL
        assert (await it.decide(issue, Decision.APPROVE)).verb is Verb.DONE


async def test_G5_a_STOP_that_cannot_be_stored_says_so_and_is_tried_until_it_is() -> None:
    async with line() as it:
        issue = await it.start()
        await it.until(lambda tx: tx_task(tx, issue).awaiting is Awaiting.APPROVAL)
        it.g.store.full = True
        answer = await it.decide(issue, Decision.STOP)
        assert (answer.verb, "tried again" in answer.text) == (Verb.UNAVAILABLE, True)
        await it.settle(100)
        it.g.store.full = False
        await it.until_stage(issue, Stage.CANCELLED, within_s=60)


# ------------------------------------------------------------------------------------------------ parked for infrastructure


async def to_ci(it: Line) -> str:
    issue = await it.start()
    await it.approve(issue)
    return issue


async def test_a_task_parked_for_infrastructure_goes_on_by_itself_when_the_cause_is_gone() -> None:
    async with line() as it:
        it.commands.reports.extend([CommandReport(verdict=CommandVerdict.INFRA, tail="killed from outside")] * 6)
        issue = await to_ci(it)
        parked = await it.until_parked(issue)
        assert parked.park is not None
        assert parked.park.reason is ParkReason.INFRASTRUCTURE
        developers = len(it.agent.visits(Role.DEVELOPER))
        task = await it.until_stage(issue, Stage.DONE, within_s=2000)
        assert len(it.agent.visits(Role.DEVELOPER)) == developers, "the CI was what it lacked"
        assert task.counters.infrastructure == 0
        causes = [line.cause for line in await it.history(issue)]
        assert causes.count("tried-again") == 3
        assert len(alerts(it, "parked")) == 1
        comments = [comment.text for comment in await it.comments(issue)]
        assert sum("Parked" in text or "parked" in text for text in comments) == 1


async def test_while_the_repo_does_not_answer_it_stays_parked_and_nothing_is_run_for_it() -> None:
    async with line() as it:
        it.commands.reports.extend([CommandReport(verdict=CommandVerdict.INFRA, tail="no disk")] * 4)
        issue = await to_ci(it)
        await it.until_parked(issue)
        it.faults.fail_always("mirror.fetch", TransientError("git", "fetch", "no route to host"))
        calls, looks = len(it.commands.calls), it.faults.calls["mirror.fetch"]
        await it.settle(3600)
        assert (await it.task(issue)).park is not None
        assert len(it.commands.calls) == calls
        assert it.faults.calls["mirror.fetch"] - looks < 300, "each hint of the reconciler leaves tries of its own behind"
        it.faults.heal("mirror.fetch")
        await it.until_stage(issue, Stage.DONE, within_s=200)


async def test_a_person_need_not_wait_for_the_daemons_own_try() -> None:
    async with line() as it:
        it.commands.reports.extend([CommandReport(verdict=CommandVerdict.INFRA, tail="no disk")] * 4)
        issue = await to_ci(it)
        await it.until_parked(issue)
        assert (await it.decide(issue, Decision.RESUME)).verb is Verb.DONE
        await it.until_stage(issue, Stage.DONE, within_s=40)


async def test_G12_the_daemons_own_tries_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "CLEARING_MAX", 4)
    async with line() as it:
        issue = await to_ci(it)
        await it.until_stage(issue, Stage.DEVELOPMENT)
        it.faults.fail_always("mirror.checkout", TransientError("git", "checkout", "no disk"))
        await it.until_parked(issue)
        await it.settle(7200)
        task = await it.task(issue)
        assert task.park is not None
        assert task.counters.infrastructure == INFRASTRUCTURE_MAX + 1 + 4
        told = await it.read(lambda tx: load_why(tx, issue, it.g.clock.now()))
        assert told is not None
        assert "orch resume" in told
        assert len(alerts(it, "parked")) == 1
        it.faults.heal("mirror.checkout")


async def test_a_result_that_cannot_be_taken_over_is_tried_by_continuing_and_parked_before_it_costs_too_much() -> None:
    async with line() as it:
        await it.approve(await it.start())
        await it.until(lambda tx: tx_task(tx, "DEMO-1").stage is Stage.DEVELOPMENT)
        it.faults.fail_always("workspace.collect", TransientError("forge", "push", "502"))
        task = await it.until_parked("DEMO-1", within_s=5000)
        assert task.park is not None
        assert task.park.reason is ParkReason.INFRASTRUCTURE
        runs = [run for run in await it.runs("DEMO-1") if run.role is Role.DEVELOPER]
        assert len(runs) == INFRASTRUCTURE_MAX + 1
        it.faults.heal("workspace.collect")
        await it.until_stage("DEMO-1", Stage.DONE, within_s=1000)


# ------------------------------------------------------------------------------------------------ no blind repeats


async def test_G12_a_setup_command_that_fails_parks_at_once_with_the_end_of_its_output() -> None:
    async with line() as it:
        it.faults.fail_next("workspace.prepare", PermanentError("setup", "npm", "exit code 2: no such package"))
        issue = await it.start()
        task = await it.until_parked(issue)
        assert task.park is not None
        assert (task.park.reason, "no such package" in task.park.evidence) == (ParkReason.SETUP_FAILED, True)
        assert [run.outcome for run in await it.runs(issue)] == [Outcome.FAILED]
        assert task.counters.failed == 0
        assert (await it.decide(issue, Decision.RESUME)).verb is Verb.DONE
        await it.approve(issue)
        await it.until_stage(issue, Stage.DONE)


async def test_G11_git_trouble_of_any_kind_is_waited_for_and_charged_to_nobody() -> None:
    async with line() as it:
        it.faults.fail_next("workspace.prepare", PermanentError("git", "fetch", "repository not found"), times=5)
        issue = await it.start()
        await it.until(lambda tx: tx_task(tx, issue).awaiting is Awaiting.APPROVAL, within_s=2000)
        assert (await it.task(issue)).counters.failed == 0
        assert len(alerts(it, "infrastructure")) == 1


# ------------------------------------------------------------------------------------------------ supervision, shown


async def test_G11_crashes_are_counted_by_kind_of_actor_and_a_sick_task_is_parked_and_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = decide_run.run_ended

    def buggy(context, task, *rest):  # type: ignore[no-untyped-def]
        if task.work_item == "DEMO-1":
            raise RuntimeError("a bug")
        return real(context, task, *rest)

    monkeypatch.setattr(decide_run, "run_ended", buggy)
    async with line(strict=False) as it:
        sick, well = await it.start("The sick one"), await it.start("The well one")
        task = await it.until_parked(sick)
        assert task.park is not None
        assert task.park.reason is ParkReason.ACTOR_FAILED
        await it.approve(well)
        await it.until_stage(well, Stage.DONE)
        assert it.supervisor.vitals().crashes == {"task": 4}
        assert len(alerts(it, "parked")) == 1
        assert it.supervisor.ready() == {}


async def test_G11_a_repo_actor_that_keeps_crashing_is_named_and_told_of_and_the_other_repo_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with line(make_project(), SHOP, strict=False) as it:
        real = RepoActor._plan

        async def buggy(self: RepoActor) -> None:
            if self._room.name == DEMO:
                raise RuntimeError("no plan")
            await real(self)

        with monkeypatch.context() as patch:
            patch.setattr(RepoActor, "_plan", buggy)
            it.supervisor.repo(DEMO).tell(LandingHint())
            await it.settle(1)
            assert it.supervisor.ready() == {"repo-demo": "RuntimeError: no plan"}
            assert it.supervisor.vitals().crashes == {"repo": 4}
            issue = await it.start("In the other repo", project=SHOP.name)
            await it.approve(issue)
            await it.until_stage(issue, Stage.DONE)
            assert len(alerts(it, "trouble-repo-demo")) == 1
        await it.settle(120)
        assert it.supervisor.ready() == {}


async def test_G11_an_outbox_that_keeps_crashing_stops_nobody_and_delivers_when_it_is_well_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with line(strict=False) as it:
        issue = await it.start()
        await it.until(lambda tx: tx_task(tx, issue).awaiting is Awaiting.APPROVAL)

        async def buggy(self: OutboxActor, message: object) -> None:
            raise RuntimeError("no delivery")

        with monkeypatch.context() as patch:
            patch.setattr(OutboxActor, "handle", buggy)
            it.supervisor.outbox.tell(OutboxHint())
            await it.approve(issue)
            await it.until(lambda tx: tx_task(tx, issue).stage is Stage.DEVELOPMENT and tx_task(tx, issue).pr_number is None)
            for _ in range(6):
                it.supervisor.outbox.tell(OutboxHint())
            await it.settle(1)
            assert it.supervisor.ready()["outbox"] == "RuntimeError: no delivery"
            assert it.supervisor.vitals().crashes["outbox"] >= 4
            other = await it.start("Another one")
            await it.until(lambda tx: tx_task(tx, other).awaiting is Awaiting.APPROVAL)
        await it.until_stage(issue, Stage.DONE, within_s=300)
        await it.settle(120)
        assert it.supervisor.ready() == {}
        assert await it.outbox(RowState.PENDING) == []


# ------------------------------------------------------------------------------------------------ a reload


async def test_a_reload_holds_from_the_next_decision_on_and_what_runs_keeps_its_own() -> None:
    async with line(limits=make_limits(max_concurrency=1, max_concurrency_per_repo=9)) as it:
        plan = {"01-brd.md": "# What\n", "02-acceptance.md": "# When\n"}
        names = [f"DEMO-{number + 1}" for number in range(5)]
        for name in names:
            it.agent.script(name, Role.ANALYST, Step(artefacts=plan, seconds=100))
            await it.start(f"Issue of {name}")
        await it.settle(10)
        assert it.processes.live.total() == 1
        it.g.limits = replace(it.g.limits, max_concurrency=3)
        it.supervisor.configured()
        await it.settle(10)
        assert it.processes.live.total() == 3
        it.g.limits = replace(it.g.limits, max_concurrency=1)
        it.supervisor.configured()
        await it.settle(50)
        assert (it.processes.live.total(), it.processes.killed) == (3, [])
        await it.settle(60)
        assert it.processes.live.total() == 1, "those beyond the limit ended, and nothing took their place"
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in names), within_s=400)


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
async def test_a_reload_changes_how_many_commands_run_at_once(before: int, after: int) -> None:
    async with line(limits=make_limits(test_slots=before, max_concurrency=9, max_concurrency_per_repo=9)) as it:
        it.commands.seconds = 100
        names = [await it.start(f"Issue number {number}") for number in range(6)]
        for name in names:
            await it.approve(name, within_s=300)
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.GATE for name in names), within_s=90)
        assert it.commands.running == before
        it.g.limits = replace(it.g.limits, test_slots=after)
        it.supervisor.configured()
        await it.settle(110)
        assert it.commands.running == after
        await it.until(lambda tx: all(tx_task(tx, name).stage is Stage.DONE for name in names), within_s=5000)
        assert it.commands.peak == max(before, after)


async def test_a_reload_changes_a_projects_commands_for_what_begins_after_it() -> None:
    project = make_project(test_command=("make", "old"))
    async with line(project) as it:
        gate = it.faults.hold_next("commands.run")
        issue = await to_ci(it)
        await gate.reached.wait()
        it.g.projects = (replace(project, test_command=("make", "new")),)
        it.supervisor.configured()
        gate.open()
        await it.until_stage(issue, Stage.DONE)
        assert [argv[1] for argv, _ in it.commands.calls] == ["old", "new"]
