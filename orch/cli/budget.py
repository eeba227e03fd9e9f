"""Commands about money.

Owns: ``budget``. Rule: without a change it shows; a change is one request, and what became of it is the daemon's own sentence.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from orch.cli.api import Api, AsJson, DataDir, Url, checked, print_json, segment
from orch.cli.tables import dollars
from orch.cli.tasks import deps_of, person, say
from orch.core.budget import RAISE_MAX_USD, check_raise
from orch.core.errors import ConfigError

Id = Annotated[str, typer.Argument(metavar="ID", help="A work item id or an issue's key; the present UTC day without one.")]
Raise = Annotated[float | None, typer.Option("--raise", metavar="USD", help=f"By how much, at most {RAISE_MAX_USD:,.0f}.")]
Lift = Annotated[bool, typer.Option("--lift", help="No limit any more: the task's, or that of the present UTC day.")]


def register_budget(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("budget")(budget)


def budget(
    ctx: typer.Context,
    task: Id = "",
    raise_usd: Raise = None,
    lift: Lift = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Show what is spent of the budgets; raise or lift a task's (it goes on where it asked), or today's."""
    api = deps_of(ctx).connect(data_dir, url)
    if raise_usd is None and not lift:
        _show(api, task, as_json)
        return
    if fault := check_raise(raise_usd, lift=lift):
        raise ConfigError(fault)
    change: dict[str, Any] = {"lift": True} if lift else {"raise_usd": raise_usd}
    body = {**change, **({"by": person()} if person() else {})}
    say(checked(api.post(f"/tasks/{segment(task)}/budget" if task else "/budget", body)), as_json)


def _show(api: Api, task: str, as_json: bool) -> None:
    if task:
        body: Mapping[str, Any] = checked(api.get(f"/tasks/{segment(task)}"))["budget"]
        lines = [_line(task, body["task_usd"], body["spent_usd"], asked=bool(body["asked"]))]
    else:
        body = checked(api.get("/queue"))["budget"]
        day = body["day"]
        lines = [_line("today (UTC)", day["limit_usd"], day["spent_usd"], asked=not day["open"])]
        lines += [_line(each["id"], each["limit_usd"], each["spent_usd"], asked=each["asked"]) for each in body["tasks"]]
    if as_json:
        print_json(body)
    else:
        typer.echo("\n".join(lines))


def _line(name: str, limit: float | None, spent: float, *, asked: bool) -> str:
    of = f"of {dollars(limit)}" if limit is not None else "and no limit"
    return f"{name}: {dollars(spent)} {of}" + (": spent, raise or lift it" if asked else "")
