"""The command that leads through the first hour: ``orch init``.

Owns: its options, and how steps are printed. Rule: exit 0 when nothing failed and `orch doctor` finds no fault, 1 otherwise, 2
for usage or a file that cannot be read; with --json standard output is one object.
"""

import json
import os
import shlex
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer
from rich.text import Text

from orch.cli.answers import Nobody, Person
from orch.cli.api import AsJson
from orch.cli.doctor import examination_view, finding_json
from orch.cli.first_hour import FirstHour, FirstHourDeps, Report
from orch.cli.options import InitOptions
from orch.cli.serve import Agent, parse_option
from orch.cli.tables import console, plain
from orch.cli.tasks import deps_of
from orch.core.errors import ConfigError
from orch.core.first_hour import Extent, Outcome, Step
from orch.core.render import render_step
from orch.core.render.catalogue import say

CONFIG = Path("config/orch.toml")
_COLOURS = {
    Outcome.DONE: "green",
    Outcome.ALREADY: "green",
    Outcome.SKIPPED: "dim",
    Outcome.MANUAL: "yellow",
    Outcome.FAILED: "bold red",
}
_WIDTH = 14


def register_init(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("init")(init)


def init(
    ctx: typer.Context,
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE", help="The registry of projects, made or added to.")
    ] = CONFIG,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the options and the defaults.")] = False,
    as_json: AsJson = False,
    repo: Annotated[str, typer.Option("--repo", help="A path, or owner/name on Gitea.")] = "",
    forge: Annotated[str, typer.Option("--forge", help="local or gitea.")] = "",
    board: Annotated[str, typer.Option("--board", help="local or plane.")] = "",
    name: Annotated[str, typer.Option("--name", help="The project's name (default: the repository's).")] = "",
    prefix: Annotated[str, typer.Option("--prefix", help="Of its task ids (default: the board's, or the repository's).")] = "",
    default_branch: Annotated[str, typer.Option("--default-branch", help="Where work lands (default: the repository's).")] = "",
    test: Annotated[str | None, typer.Option("--test", metavar="CMD", help="Its test command (default: as it looks).")] = None,
    setup: Annotated[str | None, typer.Option("--setup", metavar="CMD", help="Prepares a fresh checkout.")] = None,
    ci: Annotated[str, typer.Option("--ci", help="forge, local or off.")] = "",
    plane_url: Annotated[str, typer.Option("--plane-url", help="Where Plane is.")] = "",
    plane_workspace: Annotated[str, typer.Option("--plane-workspace", help="The workspace's slug.")] = "",
    board_project: Annotated[str, typer.Option("--board-project", metavar="UUID", help="The project on Plane.")] = "",
    gitea_url: Annotated[str, typer.Option("--gitea-url", help="Where Gitea is.")] = "",
    public_url: Annotated[str, typer.Option("--public-url", help="Where the services reach the daemon.")] = "",
    statuses: Annotated[Extent | None, typer.Option("--statuses", help="Which missing statuses are created (needed).")] = None,
    protect: Annotated[bool | None, typer.Option("--protect/--no-protect", help="Protect the default branch on Gitea.")] = None,
    agent: Annotated[Agent | None, typer.Option("--agent", help="Who works (default: claude).")] = None,
    agent_command: Annotated[str | None, typer.Option("--agent-command", metavar="CMD", help="For --agent command.")] = None,
    script: Annotated[Path | None, typer.Option("--script", metavar="FILE", help="For --agent scripted.")] = None,
    language: Annotated[str, typer.Option("--language", help="Of comments, prompts and this: en or ru.")] = "en",
) -> None:
    """Set a project up: its entry, the board's statuses, Gitea's webhook and protection, and a look at the whole."""
    if as_json and not yes:
        raise ConfigError("--json needs --yes: an answer that programs read has no questions in it")
    options = InitOptions(
        config=config,
        repo=repo,
        forge=forge,
        board=board,
        name=name,
        prefix=prefix,
        default_branch=default_branch,
        test_command=parse_option(test, "--test"),
        setup_command=parse_option(setup, "--setup"),
        ci=ci,
        plane_url=plane_url,
        plane_workspace=plane_workspace,
        board_project=board_project,
        gitea_url=gitea_url,
        public_url=public_url,
        columns=statuses,
        protect=protect,
        agent="" if agent is None else agent.value,
        agent_command=parse_option(agent_command, "--agent-command"),
        script="" if script is None else str(script.absolute()),
        language=language,
    )
    deps = deps_of(ctx)
    told = partial(_print_step, language) if not as_json else lambda _: None
    hour = FirstHourDeps(setup=deps.setup, doctor=deps.doctor, environ=os.environ, told=told)
    try:
        report = anyio.run(FirstHour(options, Nobody() if yes else Person(language), hour).run)
    except (KeyboardInterrupt, typer.Abort):  # what was done has been told, step by step
        typer.echo(plain(say(language, "init.unwell"), 2000), err=True)
        raise typer.Exit(1) from None
    if as_json:
        sys.stdout.write(json.dumps(report_json(report, options)) + "\n")
    else:
        _print_end(report, options)
    raise typer.Exit(0 if report.well else 1)


def report_json(report: Report, options: InitOptions) -> Mapping[str, Any]:
    language = options.language
    steps = []
    for each in report.steps:
        said, left = render_step(each, language)
        steps.append({"step": each.name, "outcome": each.outcome, "said": said, "do": left})
    found = report.examination
    findings = None if found is None else [finding_json(finding, language) for finding in found.findings]
    return {"ok": report.well, "config": str(options.config), "project": report.project, "steps": steps, "findings": findings}


def step_view(ended: Step, language: str) -> Text:
    """Return a step as it is printed: how it ended, what it was, what it came to, what is left."""
    said, left = render_step(ended, language)
    text = Text(f"{say(language, f'init.outcome.{ended.outcome}'):{_WIDTH}}", style=_COLOURS[ended.outcome])
    text.append(f"{say(language, f'init.title.{ended.name}'):{_WIDTH}}", style="bold")
    text.append(plain(said, 2000), style="default")
    if left:
        text.append(f"\n→ {plain(left, 2000)}", style="bold")
    return text


def _print_step(language: str, ended: Step) -> None:
    console().print(step_view(ended, language))


def _print_end(report: Report, options: InitOptions) -> None:
    out = console()
    if report.examination is not None:
        out.print(Text(""), examination_view(report.examination))
    key = "well" if report.well else "unwell"
    command = f"orch serve --config {shlex.quote(str(options.config))}"
    out.print(Text(plain(say(options.language, f"init.{key}", command=command), 2000), style="bold"))
