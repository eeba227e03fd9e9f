"""Commands about tasks: reading them, and deciding.

Owns: status, why, approve, reject, confirm-deploy, stop, resume, link. Rule: a decision names the SHA that was shown;
where the person names none, it is the one that the daemon shows at that moment.
"""

import getpass
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from orch.cli.api import Api, AsJson, DataDir, TaskId, Url, checked, print_json, segment
from orch.cli.options import CliDeps
from orch.cli.tables import console, plain, prose, status_view

Shown = Annotated[str | None, typer.Option("--shown", help="The full SHA that was shown; default: what is shown now.")]


def deps_of(ctx: typer.Context) -> CliDeps:
    """Return what the composition root injected."""
    found = ctx.find_object(CliDeps)
    assert found is not None, "build_cli sets it"
    return found


def person() -> str:
    """Return the name of the user who runs the command, for the record."""
    try:
        return getpass.getuser()[:60]
    except (OSError, KeyError):
        return ""


def say(body: Mapping[str, Any], as_json: bool) -> None:
    """Print an answer to a person's command."""
    if as_json:
        print_json(body)
    else:
        typer.echo(prose(body.get("text")))


def register_tasks(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command("status")(status)
    app.command("why")(why)
    app.command("approve")(approve)
    app.command("reject")(reject)
    app.command("confirm-deploy")(confirm_deploy)
    app.command("stop")(stop)
    app.command("resume")(resume)
    app.command("link")(link)


def status(ctx: typer.Context, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None) -> None:
    """Show all tasks: stage, status, what each waits for, runs, tokens, cost."""
    body = checked(deps_of(ctx).connect(data_dir, url).get("/tasks"))
    if as_json:
        print_json(body)
    else:
        out = console()
        out.print(status_view(body, out.width))


def why(ctx: typer.Context, task: TaskId, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None) -> None:
    """Say what a task waits for, and what would move it on."""
    body = checked(deps_of(ctx).connect(data_dir, url).get(f"/tasks/{segment(task)}/why"))
    if as_json:
        print_json(body)
    else:
        typer.echo(prose(body.get("why")))


def approve(
    ctx: typer.Context, task: TaskId, shown: Shown = None, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None
) -> None:
    """Approve the plan of a task that is in review."""
    api = deps_of(ctx).connect(data_dir, url)
    decide(api, task, "approve", shown=shown or shown_now(api, task), as_json=as_json)


def reject(
    ctx: typer.Context,
    task: TaskId,
    reason: Annotated[str, typer.Option("--reason", help="What is to be changed; the analyst reads it.")],
    shown: Shown = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Send a plan back with a reason, or decline a deploy."""
    api = deps_of(ctx).connect(data_dir, url)
    decide(api, task, "reject", shown=shown or shown_now(api, task), reason=reason, as_json=as_json)


def confirm_deploy(
    ctx: typer.Context, task: TaskId, shown: Shown = None, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None
) -> None:
    """Let the landed commit of a task be deployed."""
    api = deps_of(ctx).connect(data_dir, url)
    decide(api, task, "confirm-deploy", shown=shown or shown_now(api, task), as_json=as_json)


def stop(ctx: typer.Context, task: TaskId, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None) -> None:
    """Stop a task: its processes end, its work is archived."""
    decide(deps_of(ctx).connect(data_dir, url), task, "stop", as_json=as_json)


def resume(ctx: typer.Context, task: TaskId, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None) -> None:
    """Take a parked task on at its stage, with its counters reset."""
    decide(deps_of(ctx).connect(data_dir, url), task, "resume", as_json=as_json)


def link(ctx: typer.Context, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None) -> None:
    """Print a link that opens the page in a browser, once, within ten minutes."""
    body = checked(deps_of(ctx).connect(data_dir, url).post("/login/links", {}))
    if as_json:
        print_json(body)
    else:
        typer.echo(plain(body.get("url")))


def shown_now(api: Api, task: str) -> str:
    """Return the SHA that the daemon shows for *task* now, empty where nothing was shown yet."""
    return str(checked(api.get(f"/tasks/{segment(task)}")).get("shown") or "")


def decide(api: Api, task: str, decision: str, *, shown: str = "", reason: str = "", as_json: bool) -> None:
    """Send a decision and print what became of it."""
    body = {key: value for key, value in {"by": person(), "shown": shown, "reason": reason}.items() if value}
    say(checked(api.post(f"/tasks/{segment(task)}/{decision}", body)), as_json)
