"""A run's log, live: ``WS /ws/runs/{n}``.

Owns: the protocol of a followed log. Does not own: files and lines (``logtail``), sockets (``live``).
Desired properties: a viewer sees the end of the log, then what comes, in order, each line once, then how the run ended; one that
is too slow misses lines and is told how much, and one that takes nothing is dropped; nobody holds the run, which knows of no
viewer.
Design: the file is the buffer. Each viewer reads it at its own pace; whoever fell too far behind is taken to its end.
Race we accept: the end of the run is read from the store before the file is read for the last time, never after.
"""

from pathlib import Path
from typing import final

from anyio import sleep, to_thread
from quart import Response

from orch.core.errors import OrchError
from orch.core.ids import RunId
from orch.core.model import Run
from orch.core.views import run_view
from orch.ports import Tx
from orch.web.deps import WebDeps
from orch.web.live import Hub, Line
from orch.web.logtail import Follower, LogText, Reading
from orch.web.problems import ProblemError
from orch.web.routes import Route

NORMAL = 1000
QUIET, SLOWER_MAX = 40, 4
"""A log that stays silent is looked at less and less often: after so many looks half as often, a quarter at least."""


@final
class LogViews:
    """The handler of the socket."""

    def __init__(self, deps: WebDeps, hub: Hub) -> None:
        self._deps = deps
        self._hub = hub

    def routes(self) -> list[Route]:
        summary = "A run's log: its end, then line by line what comes, then how the run ended"
        return [Route(method="GET", path="/ws/runs/{n}", handler=self.follow, summary=summary, socket=True)]

    async def follow(self, n: int) -> Response:
        run = await self._load(n)
        if run is None:
            raise ProblemError(404, f"There is no run {n}.")
        return await self._hub.serve(_Viewing(self._deps, run).serve)

    async def _load(self, number: int) -> Run | None:
        return await self._deps.store.read(lambda tx: tx.load_run(RunId(number))) if number < 2**63 else None


@final
class _Viewing:
    """One viewer of one run."""

    def __init__(self, deps: WebDeps, run: Run) -> None:
        self._deps = deps
        self._run = run
        self._text = LogText()
        self._follower: Follower | None = None

    async def serve(self, line: Line) -> int:
        """Follow the log until the run has ended and all is told."""
        try:
            await line.send({"type": "start", "run": self._view()})
            quiet = 0
            while True:
                run = await self._deps.store.read(self._reload)
                ended = run is None or run.outcome is not None
                self._run = run or self._run
                quiet = 0 if await self._tell(line) else quiet + 1
                if ended:
                    await self._lines(line, self._text.finish())
                    await line.send({"type": "end", "outcome": self._run.outcome, "run": self._view()})
                    return NORMAL
                await sleep(self._deps.log_look_s * min(1 + quiet / QUIET, SLOWER_MAX))
        finally:
            if self._follower is not None:
                self._follower.close()

    def _reload(self, tx: Tx) -> Run | None:
        return tx.load_run(self._run.id)

    def _view(self) -> dict[str, object]:
        return run_view(self._run, 0, self._deps.clock.now())

    async def _tell(self, line: Line) -> bool:
        """Send everything that the file holds now, and the next one where the run has gone on to that; say if there was any."""
        told = False
        while True:
            reading = await self._look()
            if reading is None and self._moved():
                await self._lines(line, self._text.finish())
                continue
            if reading is None:
                return told
            told = True
            if reading.anew or reading.skipped:
                self._text = LogText(partial=reading.broken)
            if reading.anew or (reading.skipped and not reading.first):
                await line.send({"type": "gap", "anew": reading.anew, "skipped": reading.skipped})
            elif reading.first:
                await line.send({"type": "begin", "skipped": reading.skipped})
            await self._lines(line, self._text.feed(reading.data))

    async def _look(self) -> Reading | None:
        if self._follower is None:
            path = self._path()
            if path is None:
                return None
            self._follower = Follower(path)
        try:
            reading = await to_thread.run_sync(self._follower.look)
        except OSError as error:
            raise UnreadableError(f"the log cannot be read: {error.strerror}") from error
        return reading if reading.data or reading.first or reading.anew else None

    def _moved(self) -> bool:
        """Go on to another file where the run names one: each try of a deploy has its own."""
        path = self._path()
        if self._follower is None or path is None or path == self._follower.path:
            return False
        self._follower.close()
        self._follower = Follower(path)
        return True

    def _path(self) -> Path | None:
        if self._run.log_path:
            return Path(self._run.log_path)
        return self._deps.run_log(self._run.id) if self._deps.run_log is not None else None

    async def _lines(self, line: Line, lines: list[str]) -> None:
        if lines:
            await line.send({"type": "lines", "lines": lines})


class UnreadableError(OrchError):
    """The disk does not give the log. Never leaves ``orch.web``."""
