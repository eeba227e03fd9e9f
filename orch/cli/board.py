"""Commands about the local board and about dependencies between issues.

Owns: ``orch board …`` and ``orch deps …``. Rule: as for tasks, everything goes over HTTP.
"""

from typing import Annotated
from urllib.parse import urlencode

import typer

from orch.cli.api import AsJson, DataDir, TaskId, Url, checked, print_json, segment
from orch.cli.tables import console, dependency_table, issue_table, issue_view, plain
from orch.cli.tasks import deps_of, person, say

On = Annotated[str, typer.Option("--on", help="The issue that is waited for.")]


def register_board(app: typer.Typer) -> None:
    """Add the two groups to *app*."""
    board = typer.Typer(name="board", help="The local board: add, move, archive, comment, list, show.", no_args_is_help=True)
    board.command("add")(add)
    board.command("move")(move)
    board.command("archive")(archive)
    board.command("comment")(comment)
    board.command("list")(list_issues)
    board.command("show")(show)
    deps = typer.Typer(name="deps", help="Dependencies: which issue waits for which.", no_args_is_help=True)
    deps.command("add")(add_dependency)
    deps.command("remove")(remove_dependency)
    deps.command("list")(list_dependencies)
    app.add_typer(board)
    app.add_typer(deps)


def add(
    ctx: typer.Context,
    title: Annotated[str, typer.Argument(help="The card's title.")],
    body: Annotated[str, typer.Option("--body", help="What is wanted, in full.")] = "",
    project: Annotated[str, typer.Option("--project", help="The project; not needed where there is one.")] = "",
    status: Annotated[str, typer.Option("--status", help="The column to put it into (default: backlog).")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Add a card to the local board; nothing starts until it is moved to to_analyse."""
    given = {"title": title, "body": body, "project": project, "status": status, "by": person()}
    api = deps_of(ctx).connect(data_dir, url)
    answer = checked(api.post("/board/issues", {key: value for key, value in given.items() if value or key == "title"}))
    if as_json:
        print_json(answer.get("issue") or {"id": answer.get("id")})
    else:
        typer.echo(plain(answer.get("text")))


def move(
    ctx: typer.Context,
    issue: TaskId,
    status: Annotated[str, typer.Argument(help="A column: a logical key such as to_analyse, or its name.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Put a card into a column; to_analyse starts the line."""
    api = deps_of(ctx).connect(data_dir, url)
    say(checked(api.post(f"/board/issues/{segment(issue)}/move", {"status": status, "by": person()})), as_json)


def archive(
    ctx: typer.Context,
    issue: TaskId,
    restore: Annotated[bool, typer.Option("--restore", help="Bring it back instead.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Put a card away; a task of it that is not finished is parked and asks."""
    api = deps_of(ctx).connect(data_dir, url)
    given = {"archived": not restore, "by": person()}
    say(checked(api.post(f"/board/issues/{segment(issue)}/archive", given)), as_json)


def comment(
    ctx: typer.Context,
    issue: TaskId,
    text: Annotated[str, typer.Argument(help="The comment.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Comment on a card; comments never drive the line, the next run reads them."""
    api = deps_of(ctx).connect(data_dir, url)
    say(checked(api.post(f"/board/issues/{segment(issue)}/comments", {"text": text, "by": person()})), as_json)


def list_issues(
    ctx: typer.Context,
    project: Annotated[str, typer.Option("--project", help="Only this project's.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """List the local board's cards."""
    query = f"?{urlencode({'project': project})}" if project else ""
    body = checked(deps_of(ctx).connect(data_dir, url).get(f"/board/issues{query}"))
    if as_json:
        print_json(body)
    else:
        console().print(issue_table(body.get("issues") or []))


def show(ctx: typer.Context, issue: TaskId, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None) -> None:
    """Show a card with its comments."""
    body = checked(deps_of(ctx).connect(data_dir, url).get(f"/board/issues/{segment(issue)}"))
    if as_json:
        print_json(body)
    else:
        console().print(issue_view(body))


def add_dependency(
    ctx: typer.Context, issue: TaskId, on: On, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None
) -> None:
    """Let an issue wait for another one; a cycle is refused and named."""
    api = deps_of(ctx).connect(data_dir, url)
    say(checked(api.post("/deps", {"issue": issue, "on": on, "by": person()})), as_json)


def remove_dependency(
    ctx: typer.Context, issue: TaskId, on: On, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None
) -> None:
    """Take a dependency back."""
    api = deps_of(ctx).connect(data_dir, url)
    say(checked(api.delete("/deps", {"issue": issue, "on": on, "by": person()})), as_json)


def list_dependencies(ctx: typer.Context, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None) -> None:
    """List which issue waits for which."""
    body = checked(deps_of(ctx).connect(data_dir, url).get("/deps"))
    if as_json:
        print_json(body)
    else:
        console().print(dependency_table(body.get("deps") or []))
