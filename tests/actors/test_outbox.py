"""The outbox: in order per task and target, again until it has been heard, and never into the line."""

import itertools
from datetime import timedelta

import anyio
import pytest

from actors.outbox import HELD_MAX_S, WRITE_S
from actors.task import TaskActor
from orch.core.effects import Alert, Comment, SetStatus
from orch.core.errors import PermanentError, TransientError
from orch.core.ids import IssueId
from orch.core.messages import OutboxHint
from orch.core.model import Awaiting, NewOutbox, ParkReason, PullRequestState, RowState, Target
from orch.core.outbox import write_row
from orch.core.stages import Role, Stage
from orch.core.statuses import Status
from tests.builders import DEMO, make_project
from tests.fakes.line import Ground, Line, line, running, tx_task

SHOP = make_project(name="shop", prefix="SHOP")


async def planned(it: Line, title: str = "Add a greeting") -> str:
    """Return a task whose plan waits for approval, with everything said."""
    name = await it.start(title)
    await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
    await it.settle(5)
    return name


async def tell(it: Line, name: str, *effects: Comment | SetStatus | Alert) -> None:
    """Let the task say something, all in one transaction."""
    task, at = await it.task(name), it.g.clock.now()

    def work(tx):  # type: ignore[no-untyped-def]
        for number, effect in enumerate(effects):
            later = at + timedelta(microseconds=number)
            tx.add_outbox(write_row(effect, project=task.project, task=task.row, issue=task.issue, at=later))

    await it.write(work)
    it.supervisor.outbox.tell(OutboxHint())


def comment(text: str) -> Comment:
    return Comment(role=Role.STREAM, text=text, key=text)


async def test_what_one_task_says_is_heard_in_its_order_through_every_fault() -> None:
    async with line() as it:
        name = await planned(it)
        it.faults.fail_next("board.add_comment", TransientError("board", "comment", "502"), times=3)
        await tell(it, name, *[comment(f"line {number}") for number in range(5)])
        await it.settle(200)
        assert it.faults.written("comment")[-5:] == [f"line {number}" for number in range(5)]
        assert await it.outbox() == []


async def test_G11_a_board_that_is_down_holds_up_neither_forge_nor_chat() -> None:
    async with line() as it:
        it.faults.fail_always("board.add_comment", TransientError("board", "comment", "down"))
        it.faults.fail_always("board.set_state", TransientError("board", "set state", "down"))
        name = await it.start()
        await it.approve(name)
        task = await it.until_stage(name, Stage.DONE)
        await it.settle(5)
        pull = await it.read(lambda tx: tx.load_pull_request(DEMO, task.pr_number or 0))
        assert pull is not None
        assert pull.state is PullRequestState.MERGED
        assert [alert.kind for alert in it.g.notifier.alerts] == ["approval"]
        it.faults.heal("board.add_comment")
        it.faults.heal("board.set_state")
        await it.settle(1000)
        assert await it.column(name) == "done"
        assert await it.outbox() == []


async def test_G11_services_of_one_project_that_never_answer_do_not_hold_up_the_other_project() -> None:
    async with line(make_project(), SHOP) as it:
        names = [await planned(it, f"Issue number {number}") for number in range(8)]
        other = await it.start("In the other repo", project=SHOP.name)
        await it.until(lambda tx: tx_task(tx, other).awaiting is Awaiting.APPROVAL)
        await it.settle(5)
        for name in names:
            it.faults.hold_next("board.add_comment")
            await tell(it, name, comment(f"{name} says something"))
            await it.settle()
        await tell(it, other, comment("the other project says something"))
        await it.settle(WRITE_S + 10)
        assert "the other project says something" in it.faults.written("comment")
        await it.settle(60)
        assert {f"{name} says something" for name in names} <= set(it.faults.written("comment"))


async def test_retries_wait_longer_and_longer_and_obey_retry_after() -> None:
    async with line() as it:
        name = await planned(it)
        it.faults.calls.clear()
        errors = [TransientError("board", "comment", "502")] * 3 + [TransientError("board", "comment", "429", retry_after=77)]
        for error in errors:
            it.faults.fail_next("board.add_comment", error)
        started = it.g.clock.now()
        await tell(it, name, comment("at last"))
        moments: list[float] = []
        for _ in range(2000):
            if it.faults.calls["board.add_comment"] > len(moments):
                moments.append((it.g.clock.now() - started).total_seconds())
            await it.settle(0.1)
        pauses = [b - a for a, b in itertools.pairwise(moments)]
        assert pauses == pytest.approx([10, 20, 40, 77], abs=0.7)
        assert it.faults.written("comment")[-1] == "at last"


async def test_only_the_newest_status_of_a_task_is_ever_written() -> None:
    async with line() as it:
        name = await planned(it)
        it.faults.fail_next("board.set_state", TransientError("board", "set state", "502"))
        await tell(it, name, SetStatus(status=Status.ANALYSIS))
        await it.settle(1)
        await tell(it, name, SetStatus(status=Status.TESTING), SetStatus(status=Status.CODE_REVIEW))
        before = len(it.faults.written("state"))
        await it.settle(100)
        assert it.faults.written("state")[before:] == [f"{name} code_review"]


async def test_what_a_service_refuses_for_good_is_parked_visibly_and_the_next_row_goes() -> None:
    async with line() as it:
        name = await planned(it)
        it.faults.fail_next("board.add_comment", PermanentError("board", "comment", "413 too large"))
        await tell(it, name, comment("too large"), comment("the next one"))
        await it.settle(5)
        (row,) = await it.outbox(RowState.PARKED)
        assert (row.kind, "413 too large" in row.error) == ("Comment", True)
        assert it.faults.written("comment")[-1] == "the next one"


async def test_a_row_that_a_newer_version_wrote_is_parked_and_not_tried_for_ever() -> None:
    async with line() as it:
        name = await planned(it)
        task = await it.task(name)

        def work(tx):  # type: ignore[no-untyped-def]
            tx.add_outbox(
                NewOutbox(
                    project=DEMO,
                    task=task.row,
                    target=Target.BOARD,
                    kind="SingASong",
                    payload={"issue": name},
                    key="song",
                    at=it.g.clock.now(),
                )
            )

        await it.write(work)
        await it.settle(30)
        (row,) = await it.outbox(RowState.PARKED)
        assert "SingASong" in row.error


async def test_a_row_that_was_tried_for_a_week_is_parked() -> None:
    async with line() as it:
        name = await planned(it)
        it.faults.fail_always("board.add_comment", TransientError("board", "comment", "down"))
        await tell(it, name, comment("nobody hears me"))
        await it.settle(1)
        it.g.clock.jump(8 * 24 * 3600)
        await it.settle(1000)
        (row,) = await it.outbox(RowState.PARKED)
        assert "down" in row.error


async def test_G8_a_persons_unhandled_move_holds_the_status_write_and_goes_first() -> None:
    """The person moves the card to STOP; our own status was about to be written over it."""
    async with line() as it:
        name = await planned(it)
        held = it.faults.hold_next("board.fetch_activities")  # the outbox looks before it writes
        await tell(it, name, SetStatus(status=Status.IN_REVIEW))
        await held.reached.wait()
        await it.world.desk.move_issue(IssueId(name), "stop", by="anna")  # nobody is told: no hook came
        held.open()
        await it.until_stage(name, Stage.CANCELLED, within_s=10)
        await it.settle(60)
        assert await it.column(name) == "cancelled"


async def test_G8_a_write_that_is_held_is_looked_at_less_and_less_often() -> None:
    async with line() as it:
        name = await planned(it)
        it.faults.fail_always("board.fetch_issue", TransientError("board", "issue", "down"))
        await it.world.desk.move_issue(IssueId(name), "rejected", by="anna")
        it.faults.calls.clear()
        await tell(it, name, SetStatus(status=Status.IN_REVIEW))
        await it.settle(600)
        assert it.faults.calls["board.fetch_activities"] < 80
        assert await it.column(name) == "rejected"
        it.faults.heal("board.fetch_issue")
        await it.until(lambda tx: len(tx.list_runs()) == 2, within_s=300 + HELD_MAX_S)


async def test_a_column_that_the_board_lacks_is_not_written_and_holds_up_nothing() -> None:
    from orch.adapters.local_board import STATES

    async with line() as it:
        it.board.states = [state for state in STATES if state.id not in ("analysis", "in_progress")]
        name = await planned(it)
        assert await it.column(name) == "in_review"
        assert await it.outbox() == []


async def test_G10_a_pull_request_whose_answer_was_lost_with_the_daemon_is_not_forgotten() -> None:
    """The forge opened it, and the daemon died before its task had heard: the gate opens all the same."""
    async with Ground() as ground:
        async with running(ground) as it:
            gate = it.faults.hold_next("forge.open_pull_request")
            name = await it.start()
            await it.approve(name)
            await gate.reached.wait()
            await it.until(lambda tx: tx_task(tx, name).ci == "success")
            it.supervisor._group.cancel_scope.cancel()
        async with running(ground) as it:
            await it.until_stage(name, Stage.DONE)
            assert len(it.faults.written("pull request")) == 1


async def test_G10_a_pull_request_is_the_tasks_before_its_row_counts_as_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its actor is deaf from now on, as one whose daemon dies: what it has to know is in the store already."""
    async with line() as it:
        gate = it.faults.hold_next("forge.open_pull_request")
        name = await it.start()
        await it.approve(name)
        await gate.reached.wait()

        async def deaf(self: TaskActor, message: object) -> None:
            await anyio.sleep_forever()

        monkeypatch.setattr(TaskActor, "handle", deaf)
        gate.open()
        await it.until(lambda tx: any(row.kind == "OpenPullRequest" for row in tx.list_outbox(state=RowState.DONE)))
        assert (await it.task(name)).pr_number is not None


async def test_a_branch_that_moved_after_the_merge_is_kept() -> None:
    async with line() as it:
        gate = it.faults.hold_next("forge.mark_merged")
        name = await it.start()
        await it.approve(name)
        await gate.reached.wait()
        task = await it.task(name)
        assert task.head is not None
        it.repository.branches[task.branch] = it.repository.change(task.head, {"late.py": "x\n"}, "a person's late push")
        gate.open()
        await it.settle(60)
        assert task.branch in it.repository.branches
        assert await it.outbox() == []
        assert await it.outbox(RowState.PARKED) == []


async def test_a_crash_after_the_write_and_before_the_mark_repeats_it_harmlessly() -> None:
    async with line() as it:
        name = await planned(it)
        it.faults.fail_after("board.add_comment", TransientError("board", "comment", "connection reset"))
        await tell(it, name, comment("once"))
        await it.settle(60)
        assert [said.text for said in await it.comments(name)].count("once") == 1


async def test_a_disk_that_is_full_while_something_is_said_loses_nothing() -> None:
    async with line() as it:
        name = await planned(it)
        gate = it.faults.hold_next("notifier.alert")
        await tell(it, name, Alert(kind="test", text="hear me"))
        await gate.reached.wait()
        it.g.store.full = True
        gate.open()
        await it.settle(60)
        it.g.store.full = False
        await it.settle(60)
        assert await it.outbox() == []
        assert it.supervisor.ready() == {}


# ------------------------------------------------------------------------------------------------ a late log, a raced column


async def stop_unheard(it: Line, name: str) -> None:
    """A person's move of which no hook tells."""
    await it.world.desk.move_issue(IssueId(name), "stop", by="anna")


async def test_G8_a_column_whose_entry_is_late_holds_the_write_until_the_entry_comes() -> None:
    async with line() as it:
        name = await planned(it)
        it.board.lag()
        await it.world.desk.move_issue(IssueId(name), "rejected", by="anna")
        await tell(it, name, SetStatus(status=Status.ANALYSIS))
        await it.settle(5)
        assert await it.column(name) == "rejected", "nothing says yet who put it there"
        it.board.catch_up()
        await it.until(lambda tx: len(tx.list_runs()) == 2)
        assert (await it.history(name))[-1].cause in ("rejected", "returned")


async def test_G8_an_unknown_person_s_STOP_is_obeyed_though_the_log_never_tells_of_it() -> None:
    async with line() as it:
        name = await planned(it)
        it.board.lag()
        await stop_unheard(it, name)
        await tell(it, name, SetStatus(status=Status.ANALYSIS))
        await it.until_stage(name, Stage.CANCELLED, within_s=60)
        await it.settle(60)
        assert await it.column(name) == "cancelled"


async def test_an_unknown_person_s_other_move_gets_one_comment_and_the_derived_status() -> None:
    async with line() as it:
        name = await planned(it)
        it.board.lag()
        await it.world.desk.move_issue(IssueId(name), "approved", by="anna")
        await tell(it, name, SetStatus(status=Status.IN_REVIEW))
        await it.settle(120)
        assert await it.column(name) == "in_review"
        assert (await it.task(name)).awaiting is Awaiting.APPROVAL
        told = [said.text for said in await it.comments(name) if "does not tell by whom" in said.text]
        assert len(told) == 1
        it.board.catch_up()
        await it.move(name, "backlog")
        await it.move(name, "approved")
        await it.until_stage(name, Stage.DONE)


async def test_G10_a_column_that_is_being_looked_at_is_looked_at_by_the_next_daemon() -> None:
    async with Ground() as ground:
        async with running(ground) as it:
            name = await planned(it)
            it.board.lag()
            await it.move(name, "stop")
            await it.settle(3)
        async with running(ground) as it:
            await it.until_stage(name, Stage.CANCELLED, within_s=60)


async def test_G8_a_person_who_was_faster_than_our_write_is_heard() -> None:
    """She moves the card between our look and our write: our own entry names the column that it replaced."""
    async with line() as it:
        name = await planned(it)
        gate = it.faults.hold_next("board.set_state")
        await tell(it, name, SetStatus(status=Status.ANALYSIS))
        await gate.reached.wait()
        await stop_unheard(it, name)
        gate.open()
        await it.until_stage(name, Stage.CANCELLED, within_s=10)
        await it.settle(60)
        assert await it.column(name) == "cancelled"


async def test_G8_a_person_s_move_and_the_write_over_it_that_both_come_late_are_handled_in_their_order() -> None:
    async with line() as it:
        name = await planned(it)
        gate = it.faults.hold_next("board.set_state")
        await tell(it, name, SetStatus(status=Status.ANALYSIS))
        await gate.reached.wait()
        it.board.lag()
        await it.move(name, "approved")
        gate.open()
        await it.settle(5)
        it.board.catch_up()
        await it.until_stage(name, Stage.DONE)


async def test_a_status_for_a_card_that_is_gone_is_not_tried_again() -> None:
    async with line() as it:
        name = await planned(it)
        it.board.gone.add(IssueId(name))
        await tell(it, name, SetStatus(status=Status.ANALYSIS))
        await it.settle(5)
        assert [row for row in await it.outbox() if row.kind == "SetStatus"] == []
        task = await it.until_parked(name)
        assert task.park is not None
        assert task.park.reason is ParkReason.ISSUE_GONE
