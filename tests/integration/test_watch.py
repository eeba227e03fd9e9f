"""``orch watch`` for real: a process of its own in a pseudo-terminal, against a running app with a feed that a test drives."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from orch.cli.watch import LiveState
from orch.web.server import write_daemon_file
from tests.integration.web_world import TOKEN, World, running

ORCH = """
import sys
from pathlib import Path
from orch.adapters.http import connect_api
from orch.cli.app import build_cli
from orch.cli.options import CliDeps

def not_here(options):
    raise AssertionError("only the watch is tried here")

def connect(data_dir, url):
    return connect_api(data_dir or Path(".orch"), url)

build_cli(CliDeps(serve=not_here, demo=not_here, doctor=not_here, connect=connect, version="9.9.9"))()
"""
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def task(name: str, **changes: Any) -> dict[str, Any]:
    row = {
        "id": name,
        "title": f"Title of {name}",
        "project": "shop",
        "stage": "analysis",
        "status": "analysis",
        "parked": None,
        "waiting": "the analyst works",
        "runs": 1,
        "cost_usd": 0.5,
        "tokens_in": 1_500,
        "tokens_out": 20,
        "tokens_cached": 0,
    }
    return {**row, **changes}


class Terminal:
    """The master side of the terminal that a program runs in."""

    def __init__(self, master: int, process: "subprocess.Popen[bytes]") -> None:
        self.master = master
        self.process = process
        self.raw = ""

    async def until(self, pattern: str) -> None:
        """Read until *pattern* is on what came since the last match."""
        with anyio.move_on_after(20) as waiting:
            while (match := re.search(pattern, CODES.sub("", self.raw), re.DOTALL)) is None:
                await anyio.wait_readable(self.master)
                self.raw += os.read(self.master, 65_536).decode("utf-8", "replace")
        assert not waiting.cancelled_caught, f"{pattern!r} did not come; what came: {self.raw!r}"
        assert match is not None
        self.seen, self.raw = match[0], ""

    async def end(self) -> int:
        """Press Ctrl-C and return the exit code."""
        os.write(self.master, b"\x03")
        return await anyio.to_thread.run_sync(lambda: self.process.wait(20))


@contextmanager
def terminal(data_dir: Path, *words: str) -> Iterator[Terminal]:
    """Run ``orch watch`` in a terminal of 150 columns."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", ORCH, "watch", "--data-dir", str(data_dir), *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**plain, "TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def announce(folder: Path, world: World) -> None:
    write_daemon_file(folder, world.url)
    (folder / "token").write_text(TOKEN)


async def test_the_watch_shows_the_snapshot_and_then_every_change(tmp_path: Path) -> None:
    async with running(tmp_path, require_token_for_reading=True) as world:
        world.feed.snapshot["tasks"] = [task("SHOP-1")]
        announce(tmp_path, world)
        with terminal(tmp_path) as screen:
            await screen.until(r"live.*SHOP-1.*Title of SHOP-1.*analysis.*1\.5k.*\$0\.50")
            world.feed.say({"type": "change", "seq": 2, "tasks": [task("SHOP-1", stage="review", status="code_review")]})
            await screen.until(r"SHOP-1.*review.*code_review")
            world.feed.say({"type": "change", "seq": 3, "tasks": [task("SHOP-2", title="\x1b[2J\x1b]0;owned\x07evil")]})
            await screen.until(r"SHOP-2\s+evil")
            assert "owned" not in screen.seen
            assert await screen.end() == 0
        assert "Traceback" not in screen.raw


async def test_the_watch_comes_back_when_the_daemon_restarts_on_another_port(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.feed.snapshot["tasks"] = [task("SHOP-1")]
        announce(tmp_path, world)
        with ExitStack() as stack:
            screen = stack.enter_context(terminal(tmp_path))
            await screen.until("live.*SHOP-1")
            keep = stack.pop_all()
    with keep:
        await screen.until("connection lost, trying again")
        async with running(tmp_path) as second:
            second.feed.snapshot["tasks"] = [task("SHOP-7")]
            announce(tmp_path, second)
            await screen.until("live.*SHOP-7")
            assert await screen.end() == 0


async def test_the_watch_asks_for_a_snapshot_again_when_a_change_is_missing(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.feed.snapshot["tasks"] = [task("SHOP-1")]
        announce(tmp_path, world)
        with terminal(tmp_path) as screen:
            await screen.until("live.*SHOP-1")
            world.feed.snapshot = {"type": "snapshot", "seq": 9, "tasks": [task("SHOP-9")]}
            world.feed.say({"type": "change", "seq": 5, "tasks": [task("SHOP-5")]})
            await screen.until("live.*SHOP-9")
            assert "SHOP-5" not in screen.seen


async def test_the_watch_waits_for_a_daemon_that_is_not_there_yet(tmp_path: Path) -> None:
    with terminal(tmp_path) as screen:
        await screen.until("no daemon runs with the data directory")
        async with running(tmp_path) as world:
            world.feed.snapshot["tasks"] = [task("SHOP-1")]
            announce(tmp_path, world)
            await screen.until("live.*SHOP-1")
            screen.process.send_signal(signal.SIGINT)
            assert await anyio.to_thread.run_sync(lambda: screen.process.wait(20)) == 0


async def test_once_prints_one_frame_and_exits(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.feed.snapshot["tasks"] = [task("SHOP-1")]
        announce(tmp_path, world)
        with terminal(tmp_path, "--once") as screen:
            await screen.until(r"live.*SHOP-1.*in all")
            assert await anyio.to_thread.run_sync(lambda: screen.process.wait(20)) == 0


async def test_once_without_a_daemon_fails_with_one_line(tmp_path: Path) -> None:
    write_daemon_file(tmp_path, "http://127.0.0.1:9")
    with terminal(tmp_path, "--once") as screen:
        await screen.until(r"orch: no daemon answers at http://127\.0\.0\.1:9: start one with")
        assert await anyio.to_thread.run_sync(lambda: screen.process.wait(20)) == 1


async def test_once_with_a_wrong_token_says_that_it_was_refused(tmp_path: Path) -> None:
    async with running(tmp_path, require_token_for_reading=True) as world:
        announce(tmp_path, world)
        (tmp_path / "token").write_text("some-other-token-altogether")
        with terminal(tmp_path, "--once") as screen:
            await screen.until(r"orch: the daemon at .* refused the live view \(401\)")
            assert await anyio.to_thread.run_sync(lambda: screen.process.wait(20)) == 1


CHANGES = [
    ({"type": "change", "seq": 2, "tasks": [{"id": "A", "stage": "x"}]}, True, [{"id": "A", "stage": "x"}]),
    ({"type": "change", "seq": 2, "tasks": [{"id": "B"}]}, True, [{"id": "A"}, {"id": "B"}]),
    ({"type": "change", "seq": 2, "task": {"id": "A", "stage": "y"}}, True, [{"id": "A", "stage": "y"}]),
    ({"type": "change", "seq": 3, "tasks": [{"id": "B"}]}, False, [{"id": "A"}]),
    ({"type": "heartbeat", "seq": 1}, True, [{"id": "A"}]),
    ({"type": "heartbeat", "seq": 2}, False, [{"id": "A"}]),
    ({"type": "snapshot", "seq": 7, "tasks": [{"id": "C"}]}, True, [{"id": "C"}]),
]


@pytest.mark.parametrize(("message", "good", "tasks"), CHANGES)
def test_the_state_follows_the_numbers(message: dict[str, Any], good: bool, tasks: list[dict[str, Any]]) -> None:
    state = LiveState()
    assert state.apply({"type": "snapshot", "seq": 1, "tasks": [{"id": "A"}]})
    assert (state.apply(message), state.snapshot["tasks"]) == (good, tasks)
