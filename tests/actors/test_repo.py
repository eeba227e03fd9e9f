"""The repo actor: cards become tasks once, a board that is down only delays, each entry is handled once."""

import pytest

from orch.core.errors import StoreError, TransientError
from orch.core.ids import IssueId
from orch.core.messages import IssueChanged
from orch.core.model import Awaiting, RowState
from orch.core.stages import Stage
from orch.core.statuses import BoardState
from tests.builders import DEMO, make_project
from tests.fakes.line import line, tx_task


async def test_G2_racing_hints_about_one_card_make_one_task() -> None:
    async with line() as it:
        name = await it.start()
        for _ in range(20):
            it.supervisor.repo(DEMO).tell(IssueChanged(issue=IssueId(name)))
        await it.settle(30)
        assert len(await it.read(lambda tx: tx.list_tasks())) == 1
        assert len(it.processes.started) == 1


async def test_G1_a_move_made_while_the_card_is_read_is_not_lost() -> None:
    """The column is read before the move and the activity after it: the entry must not be handled as a stray one."""
    async with line() as it:
        name = await it.add()
        await it.settle(1)
        gate = it.faults.hold_next("board.fetch_activities")
        it.supervisor.repo(DEMO).tell(IssueChanged(issue=IssueId(name)))
        await gate.reached.wait()
        await it.move(name, "to_analyse")
        gate.open()
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=5)


@pytest.mark.parametrize("call", ["board.fetch_issue", "board.fetch_activities", "board.fetch_comments", "board.fetch_states"])
async def test_G1_a_move_made_at_any_moment_of_the_reading_starts_the_task(call: str) -> None:
    async with line() as it:
        name = await it.add()
        await it.settle(61)  # by then the columns are read anew
        gate = it.faults.hold_next(call)
        it.supervisor.repo(DEMO).tell(IssueChanged(issue=IssueId(name)))
        await gate.reached.wait()
        await it.move(name, "to_analyse")
        gate.open()
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=5)


async def test_G9_a_move_that_no_hook_tells_of_is_seen_by_the_reading_that_is_under_way() -> None:
    """The newest entry that was read does not explain the column: the entries are read again at once, not at the next poll."""
    async with line() as it:
        name = await it.add()
        await it.settle(1)
        gate = it.faults.hold_next("board.fetch_issue")
        it.supervisor.repo(DEMO).tell(IssueChanged(issue=IssueId(name)))
        await gate.reached.wait()
        await it.world.desk.move_issue(IssueId(name), "to_analyse", by="anna")  # the intake is not told
        gate.open()
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=2)


async def test_G9_a_board_that_is_down_is_read_again_later_and_the_event_is_kept() -> None:
    async with line() as it:
        it.faults.fail_always("board.fetch_issue", TransientError("board", "issue", "502"))
        name = await it.start()
        await it.settle(100)
        assert len(await it.read(lambda tx: tx.pending_inbox())) == 2
        assert it.faults.calls["board.fetch_issue"] <= 6
        it.faults.heal("board.fetch_issue")
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=200)
        await it.settle(5)
        assert await it.read(lambda tx: tx.pending_inbox()) == []


async def test_a_board_that_names_a_time_is_left_alone_until_then() -> None:
    async with line() as it:
        it.faults.fail_next("board.fetch_issue", TransientError("board", "issue", "429", retry_after=40), times=1)
        name = await it.start()
        await it.settle(35)
        assert it.faults.calls["board.fetch_issue"] == 1
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=10)


async def test_a_store_that_fails_while_a_card_is_read_crashes_nobody() -> None:
    async with line() as it:
        it.faults.fail_next("board.fetch_comments", StoreError("locked"), times=2)
        name = await it.start()
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=60)


async def test_a_card_that_is_too_thin_is_refused_once_with_every_problem_and_its_limit() -> None:
    async with line() as it:
        name = await it.add("Hm", body="short")
        await it.move(name, "to_analyse")
        await it.settle(5)
        told = await it.comments(name)
        assert len(told) == 1
        assert "5" in told[0].text
        assert "20" in told[0].text
        assert await it.column(name) == "blocked"
        assert await it.read(lambda tx: tx.list_tasks()) == []
        await it.settle(600)
        assert len(await it.comments(name)) == 1


async def test_a_refused_card_that_was_mended_enters_at_the_next_move() -> None:
    async with line() as it:
        name = await it.add("Hm", body="short")
        await it.move(name, "to_analyse")
        await it.settle(5)
        from dataclasses import replace

        def mend(tx):  # type: ignore[no-untyped-def]
            card = tx.load_issue(IssueId(name))
            tx._run("UPDATE local_issue SET title = ?, text = ? WHERE id = ?", ("A longer title", "x" * 40, name))
            return replace(card, title="A longer title")

        await it.write(mend)
        await it.move(name, "to_analyse")
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=5)


async def test_creating_a_card_starts_nothing() -> None:
    async with line() as it:
        await it.add()
        await it.settle(60)
        assert await it.read(lambda tx: tx.list_tasks()) == []


@pytest.mark.parametrize("status", ["approved", "rejected", "confirm_deploy", "stop"])
async def test_G8_a_trigger_without_a_task_starts_nothing(status: str) -> None:
    async with line() as it:
        name = await it.add()
        await it.move(name, status)
        await it.settle(60)
        assert await it.read(lambda tx: tx.list_tasks()) == []
        assert len(await it.comments(name)) == (0 if status == "stop" else 1)


async def test_G8_each_entry_is_handled_once_whatever_comes_after() -> None:
    async with line() as it:
        name = await it.start()
        await it.approve(name)
        await it.until_stage(name, Stage.DONE)
        await it.settle(5)
        for _ in range(3):
            it.supervisor.repo(DEMO).tell(IssueChanged(issue=IssueId(name)))
            await it.settle(5)
        assert len(await it.read(lambda tx: tx.list_tasks())) == 1


async def test_to_analyse_on_a_task_that_is_done_gets_one_comment() -> None:
    async with line() as it:
        name = await it.start()
        await it.approve(name)
        await it.until_stage(name, Stage.DONE)
        await it.settle(5)
        told = len(await it.comments(name))
        await it.move(name, "to_analyse")
        await it.settle(60)
        assert len(await it.comments(name)) == told + 1
        assert len(await it.read(lambda tx: tx.list_tasks())) == 1


async def test_a_card_of_another_project_is_not_funnelled_into_this_one() -> None:
    async with line(make_project(), make_project(name="shop", prefix="SHOP")) as it:
        name = await it.add(project=DEMO)
        it.supervisor.repo("shop").tell(IssueChanged(issue=IssueId(name)))  # type: ignore[arg-type]
        await it.move(name, "to_analyse")
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS)
        await it.settle(5)
        assert [task.project for task in await it.read(lambda tx: tx.list_tasks())] == [DEMO]


async def test_a_column_that_was_created_later_works_without_a_restart() -> None:
    """The board first lacks To Analyse (In Progress stands for it); the operator adds it while the daemon runs."""
    from orch.adapters.local_board import STATES

    async with line() as it:
        it.board.states = [state for state in STATES if state.id != "to_analyse"]
        first = await it.add()
        await it.move(first, "in_progress")
        await it.until(lambda tx: tx_task(tx, first).stage is Stage.ANALYSIS)
        it.board.states = [*STATES, BoardState(id="x", name="Something new")]
        second = await it.start("Another issue")
        await it.until(lambda tx: tx_task(tx, second).stage is Stage.ANALYSIS)


async def test_a_dependency_waits_and_starts_from_its_predecessors_code() -> None:
    from orch.core.messages import AddDependency, Verb

    async with line() as it:
        first, second = await it.add("The first"), await it.add("The second")
        assert (await it.ask(AddDependency(issue=second, on=first, by="anna"))).verb is Verb.DONE
        await it.move(second, "to_analyse")
        await it.settle(60)
        assert await it.runs(second) == []
        await it.move(first, "to_analyse")
        await it.approve(first)
        landed = (await it.until_stage(first, Stage.DONE)).landed
        await it.until(lambda tx: tx_task(tx, second).awaiting is Awaiting.APPROVAL, within_s=5)
        assert (await it.task(second)).base == landed


async def test_quarantined_void_and_done_rows_leave_the_inbox() -> None:
    async with line() as it:
        rows = [
            (b"not json", "local-board", RowState.PARKED),
            (b"[]", "local-board", RowState.PARKED),
            (b'{"project": "demo"}', "local-board", RowState.PARKED),
            (b'{"project": 7, "issue": "X-1"}', "local-board", RowState.PARKED),
            (b"{}", "carrier-pigeon", RowState.PARKED),
            (b'{"project": "nobody", "issue": "X-1"}', "local-board", RowState.VOID),
            (b'{"project": "demo", "issue": "DEMO-99"}', "local-board", RowState.DONE),
            (b"[" * 100_000, "local-board", RowState.PARKED),
        ]

        def fill(tx):  # type: ignore[no-untyped-def]
            return [tx.add_inbox(source, body, it.g.clock.now()) for body, source, _ in rows]

        await it.write(fill)
        await it.settle(30)

        def states(tx):  # type: ignore[no-untyped-def]
            return [row["state"] for row in tx._rows("SELECT state FROM inbox ORDER BY id")]

        assert await it.read(states) == [state for _, _, state in rows]
        assert await it.read(lambda tx: tx.pending_inbox()) == []


async def test_G1_accepted_events_are_replayed_at_the_start() -> None:
    """They were stored while no daemon ran."""
    from tests.fakes.line import Ground, running

    async with Ground() as ground:
        async with running(ground) as it:
            name = await it.add()
            await it.settle(5)
        await it.world.desk.move_issue(IssueId(name), "to_analyse", by="anna")
        async with running(ground) as it:
            await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=5)
            await it.settle(1)
            assert await it.read(lambda tx: tx.pending_inbox()) == []
