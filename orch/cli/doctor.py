"""The command that examines an installation: ``orch doctor``.

Owns: its options and how findings are printed. Rule: exit 0 when there is no fault, 1 when there is one, 2 when the configuration
cannot be used at all; it needs no daemon and does not mind one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orch.cli.api import AsJson, print_json
from orch.cli.options import ServeOptions
from orch.cli.serve import Agent, check_options, parse_option
from orch.cli.tables import console, plain, working
from orch.cli.tasks import deps_of
from orch.core.doctor import Examination, Finding, Level
from orch.core.render import render_diagnosis
from orch.core.render.catalogue import say

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.FAULT: "bold red"}


def register_doctor(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("doctor")(doctor)


def doctor(
    ctx: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The registry of projects (TOML).")] = None,
    repo: Annotated[Path | None, typer.Option("--repo", metavar="PATH", help="Examine what serves this one repository.")] = None,
    test: Annotated[str | None, typer.Option("--test", metavar="CMD", help="Its test command.")] = None,
    agent: Annotated[Agent | None, typer.Option("--agent", help="Who works.")] = None,
    agent_command: Annotated[str | None, typer.Option("--agent-command", metavar="CMD", help="For --agent command.")] = None,
    default_branch: Annotated[str | None, typer.Option("--default-branch", help="Where work lands.")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where everything is kept (default .orch).")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the machine and every project, and say what to do about each fault; options as for `orch serve`."""
    options = ServeOptions(
        config=config,
        repo=repo,
        test_command=parse_option(test, "--test"),
        agent=None if agent is None else agent.value,
        agent_command=parse_option(agent_command, "--agent-command"),
        default_branch=default_branch,
        data_dir=data_dir,
    )
    check_options(options)
    with working("looking at the machine and every project"):
        found = deps_of(ctx).doctor(options)
    if as_json:
        print_json({"ok": found.sound, "findings": [finding_json(finding, found.language) for finding in found.findings]})
    else:
        console().print(examination_view(found))
    raise typer.Exit(0 if found.sound else 1)


def finding_json(finding: Finding, language: str) -> Mapping[str, Any]:
    """Return a finding as ``--json`` prints it."""
    said, remedy = render_diagnosis(finding, language)
    return {"check": finding.check, "project": finding.project, "level": finding.level, "found": said, "do": remedy}


def examination_view(found: Examination) -> RenderableType:
    """Return what ``orch doctor`` shows: the installation first, then each project."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in found.findings:
        said, remedy = render_diagnosis(finding, found.language)
        level = say(found.language, f"doctor.level.{finding.level}")
        about = f"{finding.project}: {finding.check}" if finding.project else str(finding.check)
        text = Text(plain(said, 2000))
        if remedy:
            text.append(f"\n→ {plain(remedy, 2000)}", style="bold")
        table.add_row(Text(level, style=_COLOURS[finding.level]), Text(about), text)
    faults = sum(finding.level is Level.FAULT for finding in found.findings)
    verdict = say(found.language, "doctor.sound") if found.sound else say(found.language, "doctor.unsound", count=faults)
    return Group(table, Text(""), Text(verdict, style="bold green" if found.sound else "bold red"))
