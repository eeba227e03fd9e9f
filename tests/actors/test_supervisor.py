"""Supervision: a crash is one actor's own affair, and it is not repeated for ever."""

import anyio
import pytest

from actors.mailbox import OneReply
from actors.repo import RepoActor
from actors.supervisor import PAUSE_S
from orch.core import decide_person, decide_repo, decide_run
from orch.core.errors import MailboxFull
from orch.core.ids import TaskRow
from orch.core.messages import Asked, CommentIssue, DecideTask, Decision, IssueChanged, LandingHint, TaskHint, Verb
from orch.core.model import Awaiting, Outcome, ParkReason, RowState
from orch.core.stages import Role, Stage
from tests.builders import DEMO, make_limits, make_project
from tests.fakes.agents import Step
from tests.fakes.line import Ground, Line, line, running, tx_task

SHOP = make_project(name="shop", prefix="SHOP")


async def test_ready_names_nothing_once_every_actor_is_up() -> None:
    async with line() as it:
        assert it.supervisor.ready() == {}


async def test_before_the_actors_are_up_ready_says_so() -> None:
    async with Ground() as ground:
        it = Line(ground)
        assert it.supervisor.ready() == {"actors": "starting"}
        with anyio.CancelScope() as scope:
            scope.cancel()
            await it.supervisor.run()


async def crash_tasks_of(it: Line, work_item: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every decision about an agent's run of this task is a bug."""
    real = decide_run.run_ended

    def buggy(context, task, job, run, ended):  # type: ignore[no-untyped-def]
        if task.work_item == work_item:
            raise RuntimeError("a bug in the core")
        return real(context, task, job, run, ended)

    monkeypatch.setattr(decide_run, "run_ended", buggy)


async def test_G11_a_task_whose_actor_keeps_crashing_is_parked_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line(strict=False) as it:
        await crash_tasks_of(it, "DEMO-1", monkeypatch)
        sick, well = await it.start("The sick one"), await it.start("The well one")
        await it.approve(well)
        await it.until_stage(well, Stage.DONE)
        task = await it.until_parked(sick)
        assert task.park is not None
        assert task.park.reason is ParkReason.ACTOR_FAILED
        assert "a bug in the core" in task.park.evidence
        await it.settle(60)
        assert any(alert.kind == "parked" for alert in it.g.notifier.alerts)
        assert it.supervisor.ready() == {}


async def test_G12_a_bug_that_only_agents_meet_costs_a_bounded_number_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each crash may come minutes after the last one, so the supervisor's window never fills: the runs are counted."""
    async with line(strict=False) as it:
        await crash_tasks_of(it, "DEMO-1", monkeypatch)
        it.agent.script("DEMO-1", Role.ANALYST, *[Step(seconds=300)] * 10)
        await it.start()
        task = await it.until_parked("DEMO-1", within_s=5000)
        assert task.park is not None
        assert task.park.reason is ParkReason.ACTOR_FAILED
        assert [run.outcome for run in await it.runs("DEMO-1")] == [Outcome.CRASHED] * 4
        assert await it.read(lambda tx: tx.active_job(task.row)) is None


async def test_a_resumed_task_goes_on_when_the_bug_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line(strict=False) as it:
        with monkeypatch.context() as patch:
            await crash_tasks_of(it, "DEMO-1", patch)
            await it.start()
            await it.until_parked("DEMO-1")
        assert (await it.decide("DEMO-1", Decision.RESUME)).verb is Verb.DONE
        await it.approve("DEMO-1")
        await it.until_stage("DEMO-1", Stage.DONE)


async def test_a_trigger_that_crashes_a_task_is_buried_and_not_sent_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line(strict=False) as it:
        await it.start()
        await it.until(lambda tx: tx_task(tx, "DEMO-1").awaiting is Awaiting.APPROVAL)
        calls = []

        def buggy(*_: object, **__: object) -> None:
            calls.append(1)
            raise RuntimeError("poison")

        with monkeypatch.context() as patch:
            patch.setattr(decide_person, "triggered", buggy)
            await it.move("DEMO-1", "approved")
            await it.settle(300)
        assert calls == [1]
        assert await it.read(lambda tx: tx.pending_inbox()) == []
        await it.move("DEMO-1", "in_review")
        await it.move("DEMO-1", "approved")
        await it.until_stage("DEMO-1", Stage.DONE)


async def test_a_card_that_crashes_the_repo_actor_is_buried_and_other_cards_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    real = decide_repo.decide_trigger

    def buggy(trigger, issue, *rest):  # type: ignore[no-untyped-def]
        if issue.title == "Poison":
            raise RuntimeError("poison")
        return real(trigger, issue, *rest)

    monkeypatch.setattr("actors.entry.decide_trigger", buggy)
    async with line(strict=False) as it:
        await it.start("Poison")
        other = await it.start("A good one")
        await it.until(lambda tx: tx_task(tx, other).stage is Stage.ANALYSIS, within_s=10)
        await it.approve(other, within_s=120)
        await it.settle(200)
        assert await it.read(lambda tx: tx.find_task("DEMO-1")) is None
        assert await it.read(lambda tx: tx.pending_inbox()) == []
        await it.until_stage(other, Stage.DONE)


async def test_G11_a_repo_actor_that_keeps_crashing_is_tried_again_after_a_pause_and_named_meanwhile(
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
            issue = await it.start("In the other repo", project=SHOP.name)
            await it.approve(issue)
            await it.until_stage(issue, Stage.DONE, within_s=25)
        await it.settle(2 * PAUSE_S)
        assert it.supervisor.ready() == {}
        issue = await it.start("Here again")
        await it.approve(issue)
        await it.until_stage(issue, Stage.DONE)


async def test_an_idle_task_costs_no_actor_and_answers_when_it_is_spoken_to() -> None:
    async with line() as it:
        issue = await it.start()
        await it.until(lambda tx: tx_task(tx, issue).awaiting is Awaiting.APPROVAL)
        await it.settle(120)
        assert it.supervisor._tasks == {}
        assert (await it.decide(issue, Decision.APPROVE)).verb is Verb.DONE
        await it.until_stage(issue, Stage.DONE)


async def test_G2_hints_for_one_task_from_everywhere_start_one_actor() -> None:
    async with line() as it:
        await it.start()
        await it.until(lambda tx: tx_task(tx, "DEMO-1").awaiting is Awaiting.APPROVAL)
        await it.settle(120)
        handles = [it.supervisor.task(TaskRow(1)) for _ in range(5)]
        for handle in handles:
            handle.tell(TaskHint())
        assert len({id(handle) for handle in handles}) == 1
        await it.settle(1)


async def test_a_flood_of_cards_overflows_nothing() -> None:
    async with line() as it:
        for number in range(3000):
            it.supervisor.repo(DEMO).tell(IssueChanged(issue=f"DEMO-{number % 7}"))  # type: ignore[arg-type]
        await it.settle(1)
        issue = await it.start()
        await it.approve(issue)


async def test_a_desk_that_is_flooded_refuses_instead_of_waiting() -> None:
    async with line() as it:
        asked = Asked(command=CommentIssue(issue="X-1", text="a", by="b"), reply=OneReply())

        def flood() -> None:
            for _ in range(1000):
                it.supervisor._desk.tell(asked)

        with pytest.raises(MailboxFull, match="desk"):
            flood()
        await it.settle()
        await it.add("It works it off, and goes on")


async def test_a_project_that_was_taken_out_of_the_configuration_stops_nobody() -> None:
    """G11: tasks of a project that is gone neither crash the start nor block the slots of the others."""
    async with Ground(make_project(), SHOP, limits=make_limits(max_concurrency=1)) as both:
        async with running(both) as it:
            queued = await it.start("Queued", project=SHOP.name)
            gate = it.faults.hold_next("commands.run")
            waiting = await it.start("Waits for its CI", project=SHOP.name)
            await it.approve(queued)
            await it.approve(waiting)
            await gate.reached.wait()
        async with running(both.without(SHOP.name)) as it:
            here = await it.start("Here as ever")
            await it.approve(here)
            await it.until_stage(here, Stage.DONE)
            answer = await it.ask(DecideTask(task=waiting, decision=Decision.STOP, by="anna"))
            assert answer.verb is Verb.REFUSED
            assert "not configured" in answer.text
        async with running(both) as it:
            await it.until(lambda tx: all(tx_task(tx, name).stage is Stage.DONE for name in (queued, waiting)), within_s=2000)


async def test_nothing_is_left_pending_in_the_inbox_after_a_quiet_day() -> None:
    async with line() as it:
        issue = await it.start()
        await it.approve(issue)
        await it.until_stage(issue, Stage.DONE)
        await it.settle(3600)
        assert await it.read(lambda tx: tx.pending_inbox()) == []
        assert await it.outbox(RowState.PENDING) == []
