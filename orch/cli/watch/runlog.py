"""The log of one run, as it is written: ``WS /ws/runs/{n}``.

Owns: which run is meant, and what the socket's messages mean. Rule: each line is told once, in order; a part that was left out is
said; what a line holds cannot steer the terminal.
"""

from collections.abc import Callable
from typing import Any

import trio
from trio_websocket import ConnectionClosed

from orch.cli.api import Api, checked, segment
from orch.cli.watch.lines import readable
from orch.cli.watch.socket import connected, keep_alive, parse
from orch.core.errors import DomainError

Say = Callable[[list[str]], None]
CLOSED_WELL = 1000


async def newest_run(api: Api, task: str) -> int:
    """Return the number of the newest run of *task*; raises DomainError where there is none, TransientError without a daemon."""
    body = checked(await trio.to_thread.run_sync(api.get, f"/tasks/{segment(task)}", abandon_on_cancel=True))
    runs = [run["n"] for run in body.get("runs") or [] if isinstance(run.get("n"), int)]
    if not runs:
        raise DomainError(f"{task} has not run yet")
    return int(runs[-1])


async def tell_run(api: Api, number: int, say: Say, *, raw: bool = False) -> str:
    """Tell the log of run *number* from its kept end on, until the run has ended; return how it ended. Raises one of ``LOST``."""
    outcome = ""
    async with connected(api, f"/ws/runs/{number}") as socket, trio.open_nursery() as nursery:
        nursery.start_soon(keep_alive, socket, nursery.cancel_scope)
        while True:
            try:
                message = parse(await socket.get_message())
            except ConnectionClosed as closed:
                if closed.reason is not None and closed.reason.code == CLOSED_WELL:
                    break
                raise
            match message.get("type"):
                case "lines":
                    say(_told(message.get("lines"), raw))
                case "begin" | "gap" if message.get("skipped"):
                    say([f"… {message['skipped']} bytes are left out …"])
                case "end":
                    outcome = str(message.get("outcome") or "ended")
                    break
        nursery.cancel_scope.cancel()
    return outcome or "ended"


def _told(lines: object, raw: bool) -> list[str]:
    given: list[Any] = lines if isinstance(lines, list) else []
    texts = [each for each in given if isinstance(each, str)]
    return texts if raw else [told for each in texts for told in readable(each)]
