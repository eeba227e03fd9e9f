"""The running live view: what it reads, what keys do, when it draws.

Owns: ``Watch``. Desired properties: it comes back by itself when the daemon restarts, also on another port; a dead connection is
noticed within seconds although nothing changes; a flood of changes costs ten frames a second at most; leaving is at once,
whatever is being read. Design: one nursery; the feed, the reader of what the feed does not carry, the keys, the signals, the
clock and the one who draws are tasks of it, and talk through the state and two events. Race we accept: a frame may be one change
behind.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, final

import trio

from orch.cli.api import Api, segment
from orch.cli.watch.keys import Key
from orch.cli.watch.lines import readable
from orch.cli.watch.runlog import newest_run, tell_run
from orch.cli.watch.screen import FRAME_ROWS, frame, text_of
from orch.cli.watch.socket import LOST, connected, keep_alive, lost_note, parse, ungrouped
from orch.cli.watch.state import LiveState, Pane, Screen, View
from orch.cli.watch.terminal import Terminal, obey_signals
from orch.core.errors import OrchError

RETRY_S = (0.2, 0.5, 1.0, 2.0)
FRAME_S = 0.1
READ_S = 0.5
"""The queue is read at most so often while things change, and every STALE_S although nothing does."""
STALE_S = 5.0
SPEND_S = 30.0
TAILS_MAX = 8
TAIL_BYTES = 4096


@final
class Watch:
    """One person's live view. *connect* finds the daemon, again and again."""

    def __init__(self, connect: Callable[[], Api], terminal: Terminal) -> None:
        self.state = LiveState()
        self.view = View()
        self._connect = connect
        self._terminal = terminal
        self._dirty = trio.Event()
        self._wanted = trio.Event()
        self._log_scope = trio.CancelScope()
        self._spend_at = -SPEND_S

    async def run(self) -> None:
        """Draw until the person leaves or a signal ends it."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._draw)
            nursery.start_soon(self._tick)
            nursery.start_soon(obey_signals, self._terminal, nursery.cancel_scope, self.redraw)
            nursery.start_soon(self._follow)
            nursery.start_soon(self._read)
            async for key in self._terminal.keys():
                if self.press(key):
                    break
            nursery.cancel_scope.cancel()

    def redraw(self) -> None:
        self._dirty.set()

    async def _draw(self) -> None:
        while True:
            self._dirty = trio.Event()
            self._terminal.show(frame(self.state, self.view, self._terminal.size, trio.current_time()))
            await trio.sleep(FRAME_S)
            await self._dirty.wait()

    async def _tick(self) -> None:
        """Let the times that go on go on."""
        while True:
            await trio.sleep(1.0 - time.time() % 1.0)
            self.redraw()

    # -------------------------------------------------------------------------------------------- what the daemon says

    async def _follow(self) -> None:
        """Follow the feed, connecting again whenever the connection is lost."""
        failures = 0
        while True:
            try:
                with ungrouped():
                    await self._follow_one(self._connect())
                failures, self.state.note = 0, "connecting again …"
            except LOST as error:
                failures = 0 if self.state.connected else failures + 1
                self.state.note = lost_note(error)
            except OrchError as error:
                failures += 1
                self.state.note = getattr(error, "detail", str(error))
            self.state.connected = False
            self.redraw()
            await trio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])

    async def _follow_one(self, api: Api) -> None:
        """Follow one connection to its end; returns when a change was missed or a ping was not answered."""
        async with connected(api) as socket, trio.open_nursery() as nursery:
            nursery.start_soon(keep_alive, socket, nursery.cancel_scope)
            while self.state.apply(parse(await socket.get_message())):
                if not self.state.connected or self.view.selected is None:
                    self.view.move(self.state.tasks(), 0)
                self.state.connected = True
                self._wanted.set()
                self.redraw()
            nursery.cancel_scope.cancel()

    async def _read(self) -> None:
        """Read what the feed does not carry: the queue, the ends of logs, what was spent, the task that is looked at."""
        while True:
            with trio.move_on_after(STALE_S):
                await self._wanted.wait()
            self._wanted = trio.Event()
            if self.state.connected:
                with suppress(OrchError):  # the feed says that the daemon is gone
                    await self._read_once(self._connect())
                self.redraw()
            await trio.sleep(READ_S)

    async def _read_once(self, api: Api) -> None:
        if self.view.screen is Screen.TASK and self.view.selected:
            self.view.detail = await _get(api, f"/tasks/{segment(self.view.selected)}") or self.view.detail
            return
        queue = await _get(api, "/queue")
        if queue is not None:
            self.state.queue, self.state.queue_at = queue, trio.current_time()
        if trio.current_time() - self._spend_at >= SPEND_S or self.view.pane is Pane.SPEND:
            self._spend_at = trio.current_time()
            self.state.spend = await _get(api, "/spend?days=1") or self.state.spend
        await self._read_tails(api)

    async def _read_tails(self, api: Api) -> None:
        runs = [run for run in self.state.agents() if run.get("task") and isinstance(run.get("n"), int)][:TAILS_MAX]
        tails = {}
        for run in runs:
            path = f"/tasks/{segment(str(run['task']))}/runs/{run['n']}/log?tail={TAIL_BYTES}"
            reply = await trio.to_thread.run_sync(api.get, path, abandon_on_cancel=True)
            lines = [told for each in reply.text.splitlines() for told in readable(each)] if reply.status == 200 else []
            tails[run["n"]] = next((each for each in reversed(lines) if each.strip()), "")
        self.state.tails = tails

    # -------------------------------------------------------------------------------------------- what the person does

    def press(self, key: Key) -> bool:
        """Do what *key* means on the present screen; True means to leave."""
        self.redraw()
        view = self.view
        match key:
            case Key.QUIT | Key.ESCAPE:
                if view.screen is Screen.LINE:
                    return key is Key.QUIT
                self._open(Screen.LINE)
            case Key.HELP:
                self._open(Screen.HELP)
            case Key.LOG if view.selected and view.screen in (Screen.LINE, Screen.TASK):
                self._open(Screen.LOG)
                self._nursery.start_soon(self._tell_log, view.selected)
            case Key.ENTER if view.selected and view.screen is Screen.LINE:
                self._open(Screen.TASK)
                self._wanted.set()
            case Key.TAB | Key.BACK_TAB if view.screen is Screen.LINE:
                view.turn(1 if key is Key.TAB else -1)
                self._wanted.set()
            case _:
                self._move(key)
        return False

    def _open(self, screen: Screen) -> None:
        self._log_scope.cancel()
        view = self.view
        view.screen, view.top = screen, None if screen is Screen.LOG else 0
        view.detail, view.log, view.log_note = {}, [], ""

    def _move(self, key: Key) -> None:
        width, height = self._terminal.size
        page = max(height - FRAME_ROWS - 1, 1)
        on_line = self.view.screen is Screen.LINE
        leap = max(page // 2, 1) if on_line else page
        steps = {Key.UP: -1, Key.DOWN: 1, Key.PAGE_UP: -leap, Key.PAGE_DOWN: leap, Key.HOME: -(10**6), Key.END: 10**6}
        if (step := steps.get(key)) is None:
            return
        if on_line:
            self.view.move(self.state.tasks(), step)
        else:
            self.view.scroll(step, len(text_of(self.view, width)), page)

    async def _tell_log(self, task: str) -> None:
        """Follow the newest run of *task* until the screen is left; connect again as the feed does."""
        view = self.view
        with trio.CancelScope() as self._log_scope:
            while True:
                try:
                    api = self._connect()
                    view.run = await newest_run(api, task)
                    view.log_note = f"{task}, run {view.run}"
                    view.log.clear()
                    with ungrouped():
                        ended = await tell_run(api, view.run, partial(self._say_log, view))
                    view.log_note = f"{task}, run {view.run}: {ended}"
                    self.redraw()
                    return
                except LOST as error:
                    view.log_note = lost_note(error)
                except OrchError as error:
                    view.log_note = getattr(error, "detail", str(error))
                self.redraw()
                await trio.sleep(RETRY_S[-1])

    def _say_log(self, view: View, lines: list[str]) -> None:
        view.say(lines)
        self.redraw()


async def _get(api: Api, path: str) -> Mapping[str, Any] | None:
    """Return the body of a good answer; None for anything else, an address that the daemon does not have among them."""
    reply = await trio.to_thread.run_sync(api.get, path, abandon_on_cancel=True)
    return reply.body if reply.status == 200 else None
