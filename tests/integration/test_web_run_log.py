"""A run's log over a real WebSocket: its end, what comes, how the run ended; who may look; what a slow viewer costs."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute
from wsproto.events import AcceptConnection, CloseConnection, RejectConnection

from orch.core.ids import RunId
from orch.core.model import Outcome, Run, RunKind
from orch.core.stages import Role
from orch.ports import Tx
from tests.integration.test_web_live import Viewer, viewing
from tests.integration.web_world import BEARER, NOW, World, running

LOOK_S = 0.01


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path, heartbeat_s=30, log_look_s=LOOK_S) as made:
        yield made


async def begin_run(world: World, log: Path | None) -> int:
    """Begin a run of SHOP-1 whose log is (or will be) at *log*; None where the run does not say."""

    def work(tx: Tx) -> int:
        task = tx.find_task("SHOP-1")
        assert task is not None
        run = tx.start_run(task, kind=RunKind.AGENT, job=None, role=Role.ANALYST, at=NOW)
        tx.save_run(replace(run, log_path=str(log or "")))
        return int(run.id)

    return await world.store.transact(work)


async def end_run(world: World, number: int, outcome: Outcome) -> None:
    def work(tx: Tx) -> None:
        run = tx.load_run(RunId(number))
        assert isinstance(run, Run)
        assert tx.save_run(replace(run, outcome=outcome, ended_at=NOW))

    await world.store.transact(work)


@asynccontextmanager
async def following(world: World, number: int, **headers: str) -> AsyncIterator[Viewer]:
    async with viewing(world, f"/ws/runs/{number}", **headers) as viewer:
        assert isinstance(await viewer.next(), AcceptConnection)
        yield viewer


async def lines_of(viewer: Viewer, count: int) -> list[str]:
    """Return the next *count* lines; whatever else comes meanwhile is dropped."""
    lines: list[str] = []
    while len(lines) < count:
        message = await viewer.next()
        lines += message.get("lines", [])
    return lines


async def until(viewer: Viewer, kind: str) -> Any:
    while True:
        message = await viewer.next()
        if not isinstance(message, dict):
            raise AssertionError(f"{message} came before {kind}")
        if message["type"] == kind:
            return message


async def test_a_run_that_has_ended_is_told_whole(world: World) -> None:
    async with following(world, 1) as viewer:
        start = await viewer.next()
        assert (start["type"], start["run"]["n"], start["run"]["outcome"]) == ("start", 1, "succeeded")
        assert await viewer.next() == {"type": "begin", "skipped": 0}
        assert await lines_of(viewer, 1000) == [f"line {number}" for number in range(1000)]
        assert (await viewer.next())["outcome"] == "succeeded"
        closed = await viewer.next()
        assert isinstance(closed, CloseConnection)
        assert closed.code == 1000


async def test_a_run_that_goes_on_is_followed_to_its_end(world: World, tmp_path: Path) -> None:
    log = tmp_path / "live.log"
    number = await begin_run(world, log)
    async with following(world, number) as viewer:
        assert (await viewer.next())["run"]["outcome"] is None
        with log.open("ab", buffering=0) as file:
            file.write(b"\x1b[1mone\x1b[0m\nhalf a ")
            assert await lines_of(viewer, 1) == ["one"]
            file.write(b"line\nno end")
            assert await lines_of(viewer, 1) == ["half a line"]
        await end_run(world, number, Outcome.FAILED)
        assert await lines_of(viewer, 1) == ["no end"]
        assert (await until(viewer, "end"))["outcome"] == "failed"


async def test_a_command_is_followed_where_its_run_does_not_say_yet_where(tmp_path: Path) -> None:
    async with running(tmp_path, log_look_s=LOOK_S, run_log=lambda run: tmp_path / f"{int(run)}.log") as world:
        number = await begin_run(world, None)
        (tmp_path / f"{number}.log").write_text("testing\n")
        async with following(world, number) as viewer:
            assert await lines_of(viewer, 1) == ["testing"]


async def test_a_second_try_has_a_log_of_its_own(world: World, tmp_path: Path) -> None:
    first, second = tmp_path / "1.log", tmp_path / "2.log"
    first.write_text("first try\nno end")
    second.write_text("second try\n")
    number = await begin_run(world, first)

    def go_on(tx: Tx) -> None:
        run = tx.load_run(RunId(number))
        assert isinstance(run, Run)
        tx.save_run(replace(run, log_path=str(second)))

    async with following(world, number) as viewer:
        assert await lines_of(viewer, 1) == ["first try"]
        await world.store.transact(go_on)
        assert await lines_of(viewer, 2) == ["no end", "second try"]


async def test_a_log_that_is_cut_or_replaced_is_told_of(world: World, tmp_path: Path) -> None:
    log = tmp_path / "live.log"
    log.write_text("one\n")
    async with following(world, await begin_run(world, log)) as viewer:
        assert await lines_of(viewer, 1) == ["one"]
        log.write_text("2\n")
        assert await until(viewer, "gap") == {"type": "gap", "anew": True, "skipped": 0}
        assert await lines_of(viewer, 1) == ["2"]
        log.rename(tmp_path / "live.log.1")
        log.write_text("three\n")
        assert await until(viewer, "gap") == {"type": "gap", "anew": True, "skipped": 0}
        assert await lines_of(viewer, 1) == ["three"]


async def test_a_slow_viewer_is_taken_to_the_end_and_told_so(world: World, tmp_path: Path) -> None:
    log = tmp_path / "live.log"
    log.write_text("one\n")
    async with following(world, await begin_run(world, log)) as viewer:
        assert await lines_of(viewer, 1) == ["one"]
        with log.open("ab", buffering=0) as file:
            file.write(b"much\n" * 800_000 + b"newest\n")
        gap = await until(viewer, "gap")
        assert not gap["anew"]
        assert gap["skipped"] > 3_000_000
        while (await lines_of(viewer, 1))[-1] != "newest":
            pass


async def test_a_viewer_that_reads_nothing_is_dropped(tmp_path: Path) -> None:
    async with running(tmp_path, viewer_send_s=0.2, log_look_s=LOOK_S) as world:
        log = tmp_path / "live.log"
        log.write_text("one\n")
        number = await begin_run(world, log)
        async with following(world, number) as stalled:
            await lines_of(stalled, 1)
            stalled.stream.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with anyio.fail_after(20):
                while await viewers(world):  # what it is sent fills every buffer on the way, then nobody waits for it
                    with log.open("ab", buffering=0) as file:
                        file.write((b"x" * 9_999 + b"\n") * 90)


async def viewers(world: World) -> int:
    async with world.client() as client:
        text = (await client.get("/metrics")).text
    return int(float(next(line for line in text.splitlines() if line.startswith("orch_viewers ")).split()[1]))


@pytest.mark.parametrize("number", [99, 2**64])
async def test_a_run_that_there_is_not(world: World, number: int) -> None:
    async with viewing(world, f"/ws/runs/{number}") as viewer:
        answer = await viewer.next()
    assert isinstance(answer, RejectConnection)
    assert answer.status_code == 404


async def test_another_sites_page_is_refused(world: World) -> None:
    async with viewing(world, "/ws/runs/1", Origin="http://evil.example") as viewer:
        answer = await viewer.next()
    assert isinstance(answer, RejectConnection)
    assert answer.status_code == 403


async def test_a_reader_needs_the_token_where_readers_do(tmp_path: Path) -> None:
    async with running(tmp_path, require_token_for_reading=True) as world:
        async with viewing(world, "/ws/runs/1") as viewer:
            answer = await viewer.next()
            assert isinstance(answer, RejectConnection)
            assert answer.status_code == 401
        async with following(world, 1, **BEARER) as viewer:
            assert await lines_of(viewer, 1)


async def test_a_viewer_is_sent_away_when_the_daemon_stops(world: World, tmp_path: Path) -> None:
    async with following(world, await begin_run(world, tmp_path / "never.log")) as viewer:
        await viewer.next()
        world.shutdown.set()
        closed = await viewer.next()
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1001
