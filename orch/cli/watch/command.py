"""The commands ``orch watch`` and ``orch log``.

Owns: their options. Rule: what they run on (trio, its WebSockets) is loaded by the commands that need it; the others
answer quickly.
"""

from functools import partial
from typing import Annotated

import typer

from orch.cli.api import AsJson, DataDir, TaskId, Url
from orch.cli.completion import task_ids
from orch.cli.tasks import deps_of

Follow = Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run has ended.")]
Run = Annotated[int | None, typer.Option("--run", metavar="N", help="The run, by its number (default: the newest).", min=1)]
Tail = Annotated[int, typer.Option("--tail", metavar="BYTES", help="So much of its end.", min=1, max=1_048_576)]
Raw = Annotated[bool, typer.Option("--raw", help="The lines as they are in the file, an agent's JSON among them.")]


def register_watch(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command("watch")(watch)
    app.command("log")(log)


def watch(
    ctx: typer.Context,
    task: Annotated[
        str, typer.Argument(metavar="[ID]", help="Only follow the log of this task's newest run.", autocompletion=task_ids)
    ] = "",
    once: Annotated[bool, typer.Option("--once", help="Print one frame and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each message of the feed as a line of JSON.")] = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Follow all tasks live, full-screen: q leaves, ? helps. With an ID: follow the log of its newest run."""
    from orch.cli.watch import running

    connect = partial(deps_of(ctx).connect, data_dir, url)
    if task:
        code = running.run(partial(running.follow_log, connect(), task, None, as_json))
    elif once:
        code = running.run(partial(running.show_once, connect(), as_json))
    elif as_json:
        code = running.run(partial(running.tell_feed, connect()))
    else:
        code = running.watch_live(connect)
    raise typer.Exit(code)


def log(
    ctx: typer.Context,
    task: TaskId,
    follow: Follow = False,
    run: Run = None,
    tail: Tail = 65_536,
    raw: Raw = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Print the log of one run of a task: of the newest one, unless --run names another."""
    from orch.cli.watch import running

    api = deps_of(ctx).connect(data_dir, url)
    if follow:
        raise typer.Exit(running.run(partial(running.follow_log, api, task, run, raw or as_json)))
    running.print_log(api, task, run or running.newest_run_now(api, task), tail, raw=raw, as_json=as_json)
