"""The command that takes a backup of a running daemon.

Owns: ``orch backup``. Rule: the daemon writes it; this only asks, and waits for the end. Restoring is putting the folder back.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from orch.cli.api import AsJson, DataDir, Url, checked, print_json
from orch.cli.tables import plain, working
from orch.cli.tasks import deps_of
from orch.core.errors import DomainError

POLL_S = 0.5


def register_backup(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("backup")(backup)


def backup(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder on the daemon's machine.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Write a backup of the running daemon: its database and its mirrors."""
    api = deps_of(ctx).connect(data_dir, url)
    target = str(folder.expanduser().absolute())
    with working("writing the backup"):
        state = checked(api.post("/backup", {"dir": target}))
        while state.get("state") == "running":
            time.sleep(POLL_S)
            state = checked(api.get("/backup"))
    if state.get("state") != "done" or state.get("dir") != target:
        raise DomainError(f"the backup failed: {state.get('detail') or 'the daemon began another one'}")
    if as_json:
        print_json(state)
    else:
        typer.echo(f"The backup is written: {plain(target)} ({_told(state)}). To restore it, see docs/operations.md.")


def _told(state: Mapping[str, Any]) -> str:
    projects = state["manifest"]["projects"]
    return ", ".join(f"{plain(name)}: {found['refs']} refs" for name, found in sorted(projects.items()))
