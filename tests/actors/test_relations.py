"""Cards that wait for other cards because their board says so: read at the entry and every ten minutes, in virtual time."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from orch.core.errors import PermanentError, TransientError
from orch.core.ids import IssueId
from orch.core.messages import AddDependency, RemoveDependency, Verb
from orch.core.model import ParkReason
from orch.core.stages import Stage
from tests.builders import DEMO, make_limits, make_project
from tests.fakes.line import BODY, Ground, Line, line, running, tx_task

REMOTE = make_project(board="plane")
LIMITS = make_limits(reconcile_interval_s=60.0, task_deps_from_board=True, max_concurrency=4, max_concurrency_per_repo=4)
NOTICE = "dependencies of demo"


async def cards(it: Line, count: int = 2) -> Sequence[IssueId]:
    return [(await it.world.desk.create_issue(DEMO, title="Add a greeting", body=BODY, by="anna")).id for _ in range(count)]


async def move(it: Line, issue: IssueId, status: str) -> None:
    await it.world.desk.move_issue(issue, status, by="anna")
    it.supervisor.accepted()


def notices(it: Line) -> str:
    return it.world.health.vitals().notices.get(NOTICE, "")


async def test_a_card_that_is_blocked_begins_when_the_other_is_done() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        first, second = await cards(it)
        it.board.blocked_by[first] = [second]
        await move(it, first, "to_analyse")
        await it.until(lambda tx: tx_task(tx, first).stage is Stage.ANALYSIS)
        await it.settle(1)
        assert await it.runs(first) == []
        await move(it, second, "to_analyse")
        await it.approve(second)
        await it.until_stage(second, Stage.DONE)
        await it.approve(first)
        assert (await it.runs(first))[0].started_at > (await it.runs(second))[-1].started_at


async def test_a_relation_made_or_taken_back_behind_everybodys_back_is_seen_within_ten_minutes() -> None:
    async with line(REMOTE, limits=replace(LIMITS, max_concurrency=1)) as it:
        busy, first, second = await cards(it, 3)
        it.board.blocked_by[first] = [second]
        await move(it, first, "to_analyse")
        await it.until(lambda tx: tx.open_dependencies(DEMO, first) == [second])
        it.board.blocked_by[first] = [busy]
        await it.until(lambda tx: tx.open_dependencies(DEMO, first) == [busy], within_s=700)
        it.board.blocked_by[first] = []
        await it.until(lambda tx: bool(tx.list_runs(task=tx_task(tx, first).row)), within_s=700)


async def test_who_has_begun_is_not_asked_about_again() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        first, second = await cards(it)
        await move(it, first, "to_analyse")
        await it.until(lambda tx: tx_task(tx, first).awaiting == "approval")
        it.board.blocked_by[first] = [second]
        await it.settle(1300)
        assert await it.read(lambda tx: tx.dependencies(DEMO, first)) == []
        await it.approve(first)
        await it.until_stage(first, Stage.DONE)


async def test_a_card_that_was_never_started_holds_until_a_person_closes_it() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        first, second = await cards(it)
        it.board.blocked_by[first] = [second]
        await move(it, first, "to_analyse")
        await it.until(lambda tx: tx.open_dependencies(DEMO, first) == [second])
        await move(it, second, "done")
        await it.until(lambda tx: bool(tx.list_runs(task=tx_task(tx, first).row)), within_s=120)


async def test_cards_that_wait_for_each_other_are_parked_once_and_go_on_when_the_board_says_otherwise() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        first, second = await cards(it)
        it.board.blocked_by[first] = [second]
        await move(it, first, "to_analyse")
        await it.until(lambda tx: tx.open_dependencies(DEMO, first) == [second])
        it.board.blocked_by[second] = [first]
        await move(it, second, "to_analyse")
        for name in (first, second):
            task = await it.until_parked(name)
            assert task.park is not None
            assert task.park.reason is ParkReason.DEPENDENCY_CYCLE
            assert first in task.park.evidence
        assert "wait for each other" in notices(it)
        said = len(await it.comments(first))
        await it.settle(3000)
        assert len(await it.comments(first)) == said
        it.board.blocked_by[second] = []
        for name in (first, second):
            answer = await it.decide(name, "resume", shown="")  # type: ignore[arg-type]
            assert answer.verb is Verb.DONE, answer
        await it.until(lambda tx: tx.open_edges(DEMO) == {first: [second]}, within_s=700)
        assert notices(it) == ""
        await it.approve(second, within_s=700)
        await it.until_stage(second, Stage.DONE)


async def test_a_cycle_of_which_a_person_resumed_without_a_change_asks_again_at_the_next_reading() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        (first,) = await cards(it, 1)
        it.board.blocked_by[first] = [first]
        await move(it, first, "to_analyse")
        await it.until_parked(first)
        await it.decide(first, "resume", shown="")  # type: ignore[arg-type]
        await it.until(lambda tx: tx_task(tx, first).park is None)
        await it.until_parked(first, within_s=700)
        assert await it.runs(first) == []


async def test_a_card_of_another_project_is_not_waited_for_and_that_is_said() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        (first,) = await cards(it, 1)
        it.board.blocked_by[first] = [IssueId("ELSEWHERE-1")]
        await move(it, first, "to_analyse")
        await it.until(lambda tx: tx_task(tx, first).awaiting == "approval")
        assert "1 cards that this project does not have" in notices(it)


@pytest.mark.parametrize("error", [PermanentError("plane", "read the relations", "it tells no relations")])
async def test_where_a_board_tells_no_relations_nothing_is_waited_for_and_that_is_said(error: PermanentError) -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        (first,) = await cards(it, 1)
        it.faults.fail_next("board.fetch_blocked_by", error)
        await move(it, first, "to_analyse")
        await it.until(lambda tx: tx_task(tx, first).awaiting == "approval")
        assert "it tells no relations" in notices(it)


async def test_while_the_relations_cannot_be_read_the_card_does_not_begin() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        first, second = await cards(it)
        it.board.blocked_by[first] = [second]
        it.faults.fail_next("board.fetch_blocked_by", TransientError("plane", "read the relations", "HTTP 502"))
        await move(it, first, "to_analyse")
        await it.until(lambda tx: tx.open_dependencies(DEMO, first) == [second])
        assert await it.runs(first) == []


async def test_what_was_declared_here_stays_and_what_the_board_says_is_taken_back_there() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        first, second, third = await cards(it, 3)
        it.board.blocked_by[first] = [second]
        await move(it, first, "to_analyse")
        await it.until(lambda tx: tx.open_dependencies(DEMO, first) == [second])
        assert (await it.ask(AddDependency(issue=first, on=third, by="anna"))).verb is Verb.DONE
        refused = await it.ask(RemoveDependency(issue=first, on=second, by="anna"))
        assert (refused.verb, "on the board" in refused.text) == (Verb.REFUSED, True)
        it.board.blocked_by[first] = []
        await it.until(lambda tx: tx.dependencies(DEMO, first) == [third], within_s=700)


async def test_where_only_declared_ones_count_the_board_is_not_asked_and_what_it_once_said_holds_nobody() -> None:
    async with Ground(REMOTE, limits=LIMITS) as ground:
        async with running(ground) as it:
            first, second = await cards(it)
            it.board.blocked_by[first] = [second]
            await move(it, first, "to_analyse")
            await it.until(lambda tx: tx.open_dependencies(DEMO, first) == [second])
        ground.limits = replace(LIMITS, task_deps_from_board=False)
        async with running(ground) as it:
            await it.until(lambda tx: tx_task(tx, first).awaiting == "approval")
            assert await it.read(lambda tx: tx.dependencies(DEMO, first)) == []
