"""The command line's root: the commands, ``--version``, and what an error becomes.

Owns: ``build_cli``. Rule: exit 0 is good, 1 is failed (no daemon answers, a refusal), 2 is usage or configuration;
an error is one line on standard error, never a traceback.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from orch.cli.backup import register_backup
from orch.cli.board import register_board
from orch.cli.budget import register_budget
from orch.cli.controls import register_controls
from orch.cli.doctor import register_doctor
from orch.cli.init import register_init
from orch.cli.options import CliDeps
from orch.cli.serve import register_serve
from orch.cli.tables import plain
from orch.cli.tasks import deps_of, register_tasks
from orch.cli.watch import register_watch
from orch.core.errors import ConfigError, ExternalError, OrchError


class _Root(TyperGroup):
    """The group that turns errors into exit codes for every command below it."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            typer.echo(f"orch: {plain(error, 2000)}", err=True)
            raise typer.Exit(2) from error
        except ExternalError as error:
            typer.echo(f"orch: {plain(error.detail, 2000)}", err=True)
            raise typer.Exit(1) from error
        except OrchError as error:
            typer.echo(f"orch: {plain(error, 2000)}", err=True)
            raise typer.Exit(1) from error


def build_cli(deps: CliDeps) -> typer.Typer:
    """Build the command line on what the composition root injects."""
    app = typer.Typer(
        name="orch",
        cls=_Root,
        help="From a card on a task board to deployed code, through a line of AI coding agents.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"obj": deps, "help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    register_serve(app)
    register_init(app)
    register_doctor(app)
    register_tasks(app)
    register_board(app)
    register_backup(app)
    register_controls(app)
    register_budget(app)
    register_watch(app)
    return app


def _print_version(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        typer.echo(f"orch {deps_of(ctx).version}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Make the group a group, also with one command; the version was printed before this runs."""
