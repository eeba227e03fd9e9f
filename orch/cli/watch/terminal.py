"""The terminal: the alternate screen, keys one by one, and everything as it was at the end.

Owns: the mode of the terminal and the signals that end or stop the program. Desired property: however the program ends (a key, an
exception, Ctrl-C, SIGTERM, SIGHUP, Ctrl-Z for a while), the shell finds its own screen, cursor and modes again. Race we accept:
SIGKILL leaves the terminal as it is; ``reset`` mends it.
"""

import os
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import trio
from rich.console import Console, RenderableType
from rich.live import Live

from orch.cli.watch.keys import Key, read_keys

ENDING = (signal.SIGTERM, signal.SIGHUP)
READ_MAX = 4096
ESCAPE_S = 0.05
"""So long the rest of a key that is several bytes may take."""


def is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


@final
class Terminal:
    """The terminal while it is ours."""

    def __init__(self, console: Console, live: Live, modes: list[Any]) -> None:
        self._console = console
        self._live = live
        self._modes = modes
        self.ended_by: signal.Signals | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Return columns and rows."""
        return self._console.width, self._console.height

    def show(self, frame: RenderableType) -> None:
        self._live.update(frame, refresh=True)

    async def keys(self) -> AsyncIterator[Key]:
        """Yield the keys that are pressed; ends when the terminal goes away."""
        fd, rest = sys.stdin.fileno(), b""
        while True:
            with trio.move_on_after(ESCAPE_S if rest else float("inf")) as waiting:
                await trio.lowlevel.wait_readable(fd)
            if waiting.cancelled_caught:
                rest = b""
                continue
            try:
                data = os.read(fd, READ_MAX)
            except OSError:
                return
            if not data:
                return
            found, rest = read_keys(rest + data)
            for key in found:
                yield key

    def suspend(self) -> None:
        """Give the terminal back, stop as Ctrl-Z asks, and take it again when the shell lets us go on."""
        self._console.set_alt_screen(False)
        self._console.show_cursor(True)
        with _default(signal.SIGTSTP):
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._modes)
            os.kill(os.getpid(), signal.SIGTSTP)
            tty.setcbreak(sys.stdin, termios.TCSADRAIN)
        self._console.set_alt_screen(True)
        self._console.show_cursor(False)
        self._live.refresh()


@contextmanager
def _default(number: signal.Signals) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def full_screen(console: Console) -> Iterator[Terminal]:
    """Take the terminal until the block ends, however it ends."""
    modes = termios.tcgetattr(sys.stdin)
    live = Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop", redirect_stdout=False)
    try:
        tty.setcbreak(sys.stdin, termios.TCSADRAIN)
        with live:
            yield Terminal(console, live, modes)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)


async def obey_signals(terminal: Terminal, scope: trio.CancelScope, redraw: Callable[[], None]) -> None:
    """End *scope* at a signal that ends the program; redraw at a new size; stop and go on at Ctrl-Z."""
    with trio.open_signal_receiver(*ENDING, signal.SIGWINCH, signal.SIGTSTP) as signals:
        async for number in signals:
            if number in ENDING:
                terminal.ended_by = signal.Signals(number)
                scope.cancel()
            elif number == signal.SIGTSTP:
                terminal.suspend()
            redraw()
