"""The live feed: a snapshot, then numbered changes; nobody waits for a viewer."""

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from actors.publisher import BEHIND_MAX
from orch.core.errors import StoreError
from orch.core.ids import ProjectName, TaskRow
from orch.core.messages import ArchiveIssue, CreateIssue, RepoTouched, TaskTouched
from orch.core.model import Awaiting
from orch.core.stages import Stage
from orch.ports import Subscription
from tests.fakes.line import BODY, Line, line, tx_task


async def next_of(viewer: Subscription, within_s: float = 5) -> Mapping[str, Any]:
    with anyio.fail_after(within_s):
        return await viewer.receive()


def touch(it: Line, row: int = 1) -> None:
    it.supervisor.publisher.tell(TaskTouched(task=TaskRow(row)))


async def planned(it: Line) -> str:
    name = await it.start()
    await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
    await it.settle(1)
    return name


async def test_a_viewer_gets_a_snapshot_first_and_then_every_change_with_its_number() -> None:
    async with line() as it:
        await planned(it)
        async with it.supervisor.feed.subscribe() as viewer:
            first = await next_of(viewer)
            assert first["type"] == "snapshot"
            assert [task["id"] for task in first["tasks"]] == ["DEMO-1"]
            for number in range(1, 4):
                touch(it)
                change = await next_of(viewer)
                assert (change["type"], change["seq"]) == ("change", first["seq"] + number)
                assert [task["id"] for task in change["tasks"]] == ["DEMO-1"]


async def test_what_happens_to_a_task_is_seen() -> None:
    async with line() as it:
        name = await planned(it)
        async with it.supervisor.feed.subscribe() as viewer:
            await next_of(viewer)
            await it.approve(name)
            seen: list[str] = []
            while "done" not in seen:
                change = await next_of(viewer, 60)
                seen += [task["stage"] for task in change["tasks"]]
        order = list(dict.fromkeys(seen))
        assert order[-4:] == ["review", "testing", "deploy-staging", "done"]


async def test_touches_that_come_together_are_one_change() -> None:
    async with line() as it:
        await planned(it)
        async with it.supervisor.feed.subscribe() as viewer:
            first = await next_of(viewer)
            for _ in range(50):
                touch(it)
            change = await next_of(viewer)
            assert change["seq"] == first["seq"] + 1
            with anyio.move_on_after(5) as scope:
                await viewer.receive()
            assert scope.cancelled_caught


async def test_a_viewer_that_is_too_slow_gets_a_snapshot_again_and_is_up_to_date_then() -> None:
    async with line() as it:
        await planned(it)
        async with it.supervisor.feed.subscribe() as slow, it.supervisor.feed.subscribe() as quick:
            await next_of(slow)
            await next_of(quick)
            last = 0
            for _ in range(BEHIND_MAX + 1):
                touch(it)
                last = (await next_of(quick))["seq"]
            again = await next_of(slow)
            assert (again["type"], again["seq"]) == ("snapshot", last)
            touch(it)
            assert (await next_of(slow))["seq"] == last + 1


async def test_nobody_waits_for_a_viewer_that_never_reads() -> None:
    async with line() as it:
        name = await planned(it)
        async with it.supervisor.feed.subscribe():
            await it.approve(name)
            await it.until_stage(name, Stage.DONE, within_s=60)


async def test_changes_made_while_the_snapshot_is_read_come_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line() as it:
        await planned(it)
        real = it.g.store.read
        reading, go = anyio.Event(), anyio.Event()

        async def slow_read(work):  # type: ignore[no-untyped-def]
            found = await real(work)
            if isinstance(found, dict) and not reading.is_set():
                reading.set()
                await go.wait()
            return found

        monkeypatch.setattr(it.g.store, "read", slow_read)
        got: list[Mapping[str, Any]] = []
        async with it.supervisor.feed.subscribe() as viewer, anyio.create_task_group() as group:

            async def view() -> None:
                got.append(await viewer.receive())
                got.append(await viewer.receive())

            group.start_soon(view)
            await reading.wait()
            touch(it)
            await it.settle(1)
            go.set()
        assert [message["type"] for message in got] == ["snapshot", "change"]
        assert got[1]["seq"] == got[0]["seq"] + 1


async def test_a_snapshot_that_could_not_be_read_is_given_at_the_next_receive(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line() as it:
        await planned(it)
        real = it.g.store.read
        errors = [StoreError("the database is locked")]

        async def failing_read(work):  # type: ignore[no-untyped-def]
            if errors:
                raise errors.pop()
            return await real(work)

        async with it.supervisor.feed.subscribe() as viewer:
            monkeypatch.setattr(it.g.store, "read", failing_read)
            with pytest.raises(StoreError):
                await viewer.receive()
            assert (await next_of(viewer))["type"] == "snapshot"


async def test_a_change_that_could_not_be_read_is_published_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line() as it:
        await planned(it)
        real = it.g.store.read
        async with it.supervisor.feed.subscribe() as viewer:
            await next_of(viewer)
            errors = [StoreError("the database is locked")]

            async def failing_read(work):  # type: ignore[no-untyped-def]
                if errors:
                    raise errors.pop()
                return await real(work)

            monkeypatch.setattr(it.g.store, "read", failing_read)
            touch(it)
            change = await next_of(viewer, 30)
            assert [task["id"] for task in change["tasks"]] == ["DEMO-1"]


async def test_a_viewer_that_left_is_forgotten() -> None:
    async with line() as it:
        await planned(it)
        async with it.supervisor.feed.subscribe() as viewer:
            await next_of(viewer)
        touch(it)
        await it.settle(1)
        assert it.supervisor._publisher._viewers == set()


async def test_viewers_of_the_same_state_are_given_one_snapshot_and_a_later_one_is_new() -> None:
    async with line() as it:
        await planned(it)
        async with it.supervisor.feed.subscribe() as first, it.supervisor.feed.subscribe() as second:
            shared = await next_of(first)
            assert await next_of(second) is shared
            touch(it)
            await next_of(first)
            async with it.supervisor.feed.subscribe() as third:
                later = await next_of(third)
                assert later["seq"] == shared["seq"] + 1


async def test_a_snapshot_is_not_given_after_the_repo_changed() -> None:
    async with line() as it:
        await planned(it)
        async with it.supervisor.feed.subscribe() as viewer:
            before = await next_of(viewer)
            it.supervisor.publisher.tell(RepoTouched(project=ProjectName("demo")))
            after = await next_of(viewer)
            assert after["type"] == "snapshot"
            assert after is not before


async def test_a_new_card_that_starts_nothing_reaches_every_viewer() -> None:
    async with line() as it, it.supervisor.feed.subscribe() as viewer:
        assert (await next_of(viewer))["issues"] == []
        made = await it.ask(CreateIssue(title="Add a greeting", body=BODY, by="anna", project="demo"))
        shown = await next_of(viewer)
        assert (shown["type"], [issue["id"] for issue in shown["issues"]]) == ("snapshot", [made.id])
        await it.ask(ArchiveIssue(issue=str(made.id), by="anna"))
        assert (await next_of(viewer))["issues"] == []
