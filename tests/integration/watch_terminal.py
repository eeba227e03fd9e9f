"""``orch watch`` in a pseudo-terminal, and the screen that a person sees in it.

Rule: nothing sleeps: whoever waits reads what the program writes until the screen is as wanted.
"""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pyte

ORCH = """
import dataclasses
from pathlib import Path
from orch.adapters.http import connect_api
from orch.cli.app import build_cli
from orch.cli.options import CliDeps

def not_here(*options):
    raise AssertionError("only reading is tried here")

def connect(data_dir, url):
    return connect_api(data_dir or Path(".orch"), url)

parts = {field.name: not_here for field in dataclasses.fields(CliDeps)}
build_cli(CliDeps(**{**parts, "connect": connect, "version": "9.9.9"}))(prog_name="orch")
"""
WITHIN_S = 60.0
UP, DOWN, PAGE_DOWN, BACK_TAB, END = "\x1b[A", "\x1b[B", "\x1b[6~", "\x1b[Z", "\x1b[F"
OWN_SCREEN, SHELLS_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
CURSOR_HIDDEN, CURSOR_SHOWN = "\x1b[?25l", "\x1b[?25h"


class Terminal:
    """The master side of the terminal that a program runs in."""

    def __init__(self, master: int, slave: int, process: "subprocess.Popen[bytes]", size: tuple[int, int]) -> None:
        self.master, self.slave, self.process = master, slave, process
        self.raw = ""
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)

    @property
    def text(self) -> str:
        """The screen as it is now."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    async def until(self, wanted: str | Callable[[str], bool]) -> str:
        """Read until the screen matches *wanted*, a pattern or a predicate, and return it."""
        with anyio.move_on_after(WITHIN_S) as waiting:
            while not (wanted(self.text) if callable(wanted) else re.search(wanted, self.text, re.DOTALL)):
                await anyio.wait_readable(self.master)
                assert self._take(), f"it ended, and {wanted!r} did not come; the screen: {self.text}"
        assert not waiting.cancelled_caught, f"{wanted!r} did not come; the screen: {self.text}"
        return self.text

    def _take(self) -> bool:
        try:
            data = os.read(self.master, 65_536)
        except OSError:
            return False
        self.raw += data.decode("utf-8", "replace")
        self._stream.feed(data)
        return bool(data)

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def ended(self) -> int:
        """Read to the end and return the exit code: a terminal that nobody reads is soon full, and its program waits to write."""
        async with anyio.create_task_group() as reading:
            reading.start_soon(self._read_on)
            code = await anyio.to_thread.run_sync(lambda: self.process.wait(WITHIN_S))
            reading.cancel_scope.cancel()
        os.set_blocking(self.master, False)
        while self._take():
            pass
        return code

    async def _read_on(self) -> None:
        while True:
            await anyio.wait_readable(self.master)
            self._take()

    def is_clean(self) -> bool:
        """Say whether shell, screen, cursor and modes are as they were before."""
        modes = termios.tcgetattr(self.slave)[3]
        shown = self.raw.rfind(CURSOR_SHOWN) > self.raw.rfind(CURSOR_HIDDEN)
        own = self.raw.rfind(SHELLS_SCREEN) > self.raw.rfind(OWN_SCREEN) > -1
        return shown and own and bool(modes & termios.ECHO) and bool(modes & termios.ICANON)


def _take_terminal() -> None:
    """Make it the program's own, as a shell would; Ctrl-C counts there, whoever started the tests in the background."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def terminal(
    data_dir: Path, *words: str, size: tuple[int, int] = (80, 24), environ: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run ``orch <words>`` (``watch`` where none are given) in a terminal of *size* (columns, rows)."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    ours = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", ORCH, *(words or ("watch",)), "--data-dir", str(data_dir)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**ours, "TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path), **(environ or {})},
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    try:
        yield Terminal(master, slave, process, size)
    finally:
        process.kill()
        process.wait()
        os.close(slave)
        os.close(master)


def task(name: str, **changes: Any) -> dict[str, Any]:
    """Return a task as the feed tells of it."""
    row = {
        "id": name,
        "title": f"Title of {name}",
        "project": "shop",
        "stage": "analysis",
        "status": "analysis",
        "parked": None,
        "waiting": "the analyst works",
        "awaiting": "agent",
        "runs": 1,
        "cost_usd": 0.5,
        "tokens_in": 1_500,
        "tokens_out": 20,
        "tokens_cached": 0,
    }
    return {**row, **changes}
