"""What ``orch watch`` and ``orch log`` do, each in a process of its own on the trio backend.

Owns: how each ends. Rule: without a terminal nothing takes the screen; a machine gets lines of JSON; Ctrl-C is a good end.
"""

import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import trio
import typer
from rich.text import Text

from orch.cli.api import Api, checked, print_json, segment
from orch.cli.tables import console, plain, prose, status_view
from orch.cli.watch.app import Watch
from orch.cli.watch.lines import readable
from orch.cli.watch.runlog import newest_run, tell_run
from orch.cli.watch.screen import head
from orch.cli.watch.socket import CONNECT_S, LOST, connected, no_daemon, parse, ungrouped
from orch.cli.watch.state import LiveState
from orch.cli.watch.terminal import full_screen, is_terminal
from orch.core.errors import ConfigError, DomainError


def run(work: Callable[[], Awaitable[None]]) -> int:
    """Run *work* on trio and return the exit code."""

    async def flat() -> None:
        with ungrouped():
            await work()

    with suppress(KeyboardInterrupt):
        anyio.run(flat, backend="trio")
    return 0


def watch_live(connect: Callable[[], Api]) -> int:
    """Take the terminal and show the line until the person leaves; return the exit code."""
    if not is_terminal():
        raise ConfigError("the live view needs a terminal: use --once for one frame, or --json for the feed line by line")
    with full_screen(console()) as terminal:
        run(Watch(connect, terminal).run)
    return 0 if terminal.ended_by is None else 128 + terminal.ended_by


async def show_once(api: Api, as_json: bool) -> None:
    """Print one frame; raises TransientError when no daemon answers, DomainError when it refuses."""
    state = LiveState()
    try:
        with ungrouped(), trio.fail_after(CONNECT_S):
            async with connected(api) as socket:
                while not state.snapshot:
                    message = parse(await socket.get_message())
                    state.apply(message)
    except LOST as error:
        raise no_daemon(api, error) from error
    if as_json:
        print_json(message)
        return
    state.connected = True
    out = console()
    out.print(head(state))
    out.print(Text(""))
    out.print(status_view(state.snapshot, out.width))


async def tell_feed(api: Api) -> None:
    """Print every message of the feed as a line of JSON, ASCII only, until the connection ends."""
    try:
        with ungrouped():
            async with connected(api) as socket:
                while True:
                    sys.stdout.write(json.dumps(parse(await socket.get_message())) + "\n")
                    sys.stdout.flush()
    except BrokenPipeError:
        raise
    except LOST as error:
        raise no_daemon(api, error) from error


# ------------------------------------------------------------------------------------------------ one run's log


async def follow_log(api: Api, task: str, number: int | None, raw: bool) -> None:
    """Print the log of a run and go on until it has ended."""
    number = number or await newest_run(api, task)
    try:
        with ungrouped():
            outcome = await tell_run(api, number, _print, raw=raw)
    except BrokenPipeError:
        raise
    except LOST as error:
        if getattr(error, "status_code", None) == 404:
            raise DomainError(f"there is no run {number}") from error
        raise no_daemon(api, error) from error
    typer.echo(f"run {number} of {plain(task)}: {plain(outcome)}", err=True)


def newest_run_now(api: Api, task: str) -> int:
    return anyio.run(newest_run, api, task, backend="trio")


def print_log(api: Api, task: str, number: int, tail: int, *, raw: bool, as_json: bool) -> None:
    """Print the last *tail* bytes of a run's log."""
    reply = api.get(f"/tasks/{segment(task)}/runs/{number}/log?tail={tail}")
    checked(reply)
    if as_json:
        print_json({"task": task, "run": number, "log": reply.text})
    else:
        _print([told for each in reply.text.splitlines() for told in ([each] if raw else readable(each))])


def _print(lines: list[str]) -> None:
    for each in lines:
        sys.stdout.write(prose(each) + "\n")
    sys.stdout.flush()
