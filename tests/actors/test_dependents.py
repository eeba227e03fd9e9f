"""A task that waits for one that is cancelled: released with a word on its card, or parked, as the setting says."""

from orch.core.commands import AddDependency
from orch.core.messages import Decision
from orch.core.model import Awaiting, ParkReason
from orch.core.stages import Stage
from tests.builders import make_limits
from tests.fakes.line import Line, line


async def waiting_pair(it: Line) -> tuple[str, str]:
    """Return a task at its question, and one that waits for it."""
    first = await it.start("The first of two")
    await it.until(lambda tx: (task := tx.find_task(first)) is not None and task.awaiting is Awaiting.APPROVAL)
    second = await it.add("The second of two")
    await it.ask(AddDependency(issue=second, on=first, by="anna"))
    await it.move(second, "to_analyse")
    await it.until(lambda tx: tx.find_task(second) is not None)
    await it.settle(5)
    assert await it.runs(second) == []
    return first, second


async def said(it: Line, issue: str) -> list[str]:
    return [comment.text for comment in await it.comments(issue) if "cancelled" in comment.text]


async def test_a_cancelled_predecessor_releases_who_waits_and_says_so_once() -> None:
    async with line() as it:
        first, second = await waiting_pair(it)
        await it.decide(first, Decision.STOP)
        await it.until(lambda tx: (task := tx.find_task(second)) is not None and task.awaiting is Awaiting.APPROVAL)
        told = await said(it, second)
        assert len(told) == 1
        assert first in told[0]


async def test_where_the_setting_says_block_it_is_parked_before_any_agent_begins() -> None:
    async with line(limits=make_limits(deps_block_on_cancelled=True)) as it:
        first, second = await waiting_pair(it)
        await it.decide(first, Decision.STOP)
        task = await it.until_parked(second)
        assert task.park is not None
        assert (task.park.reason, first in task.park.evidence) == (ParkReason.DEPENDENCY_CANCELLED, True)
        await it.settle(60)
        assert await it.runs(second) == []
        await it.decide(second, Decision.RESUME)
        await it.until(lambda tx: (it_ := tx.find_task(second)) is not None and it_.awaiting is Awaiting.APPROVAL)


async def test_a_finished_predecessor_and_switched_off_dependencies_tell_nobody() -> None:
    async with line(limits=make_limits(deps_block_on_cancelled=True)) as it:
        first, second = await waiting_pair(it)
        await it.approve(first)
        await it.until_stage(first, Stage.DONE)
        await it.until(lambda tx: (task := tx.find_task(second)) is not None and task.awaiting is Awaiting.APPROVAL)
        assert await said(it, second) == []
    async with line(limits=make_limits(deps_block_on_cancelled=True, task_deps_enabled=False)) as it:
        first, second = await it.start("The first of two"), await it.add("The second of two")
        await it.ask(AddDependency(issue=second, on=first, by="anna"))
        await it.move(second, "to_analyse")
        await it.until(lambda tx: (task := tx.find_task(second)) is not None and task.awaiting is Awaiting.APPROVAL)
        await it.decide(first, Decision.STOP)
        await it.settle(10)
        assert (await it.task(second)).park is None
        assert await said(it, second) == []
