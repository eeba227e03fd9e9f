"""Commands that run the daemon: ``orch serve`` and ``orch demo``.

Owns: their options and what can be said about them before anything is loaded. Rule: the work is the composition root's.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orch.cli.options import DemoOptions, ServeOptions
from orch.cli.tasks import deps_of
from orch.config import parse_command
from orch.core.errors import ConfigError
from orch.core.model import LandStyle


class Agent(StrEnum):
    CLAUDE = "claude"
    SCRIPTED = "scripted"
    COMMAND = "command"


def register_serve(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command("demo")(demo)
    app.command("serve")(serve)


def demo(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
    keep: Annotated[Path | None, typer.Option("--keep", metavar="DIR", help="Keep everything in this directory.")] = None,
    stay: Annotated[bool, typer.Option("--serve", help="Leave the live page up at the end.")] = False,
    port: Annotated[int | None, typer.Option("--port", help="The page's port (default: a free one).", min=0, max=65535)] = None,
    services: Annotated[
        bool, typer.Option("--services", help="With a stand-in Plane and Gitea on this machine, over webhooks and git-HTTP.")
    ] = False,
) -> None:
    """Run the whole line on a sample repository with a scripted agent; needs nothing."""
    raise typer.Exit(deps_of(ctx).demo(DemoOptions(json=as_json, keep=keep, serve=stay, port=port, services=services)))


def serve(
    ctx: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="The registry of projects (TOML).")] = None,
    repo: Annotated[Path | None, typer.Option("--repo", metavar="PATH", help="Serve this one repository.")] = None,
    test: Annotated[str | None, typer.Option("--test", metavar="CMD", help="Its test command.")] = None,
    setup: Annotated[str | None, typer.Option("--setup", metavar="CMD", help="Prepares a fresh checkout.")] = None,
    agent: Annotated[Agent | None, typer.Option("--agent", help="Who works.")] = None,
    agent_command: Annotated[str | None, typer.Option("--agent-command", metavar="CMD", help="For --agent command.")] = None,
    script: Annotated[Path | None, typer.Option("--script", metavar="FILE", help="For --agent scripted.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="The project's name (default: the folder's).")] = None,
    prefix: Annotated[str | None, typer.Option("--prefix", help="Of its work item ids, such as DEMO.")] = None,
    default_branch: Annotated[str | None, typer.Option("--default-branch", help="Where work lands.")] = None,
    land_style: Annotated[LandStyle | None, typer.Option("--land-style", help="How work lands.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Where to listen (default 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option("--port", help="The port (default 8780); 0 takes a free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where everything is kept (default .orch).")] = None,
) -> None:
    """Run the daemon, for one repository (--repo and --test) or for a registry of projects (--config)."""
    if config is not None and repo is not None:
        raise ConfigError("--config and --repo exclude each other: put the repository into the file, or leave the file out")
    options = ServeOptions(
        config=config,
        repo=repo,
        test_command=parse_option(test, "--test"),
        setup_command=parse_option(setup, "--setup"),
        agent=None if agent is None else agent.value,
        agent_command=parse_option(agent_command, "--agent-command"),
        script=script,
        name=name,
        prefix=prefix,
        default_branch=default_branch,
        land_style=None if land_style is None else land_style.value,
        host=host,
        port=port,
        data_dir=data_dir,
    )
    check_options(options)
    raise typer.Exit(deps_of(ctx).serve(options))


def check_options(options: ServeOptions) -> None:
    """Raise ConfigError for what cannot be meant."""
    if options.repo is not None and not options.test_command:
        raise ConfigError("--repo needs --test CMD: nothing lands untested, such as --test 'make test'")
    if options.repo is None and options.test_command:
        raise ConfigError("--test needs --repo PATH: a registry (--config) names each project's test_command")
    if options.agent == Agent.COMMAND and not options.agent_command:
        raise ConfigError("--agent command needs --agent-command CMD: give the agent's command line")
    if options.agent_command and options.agent not in (None, Agent.COMMAND):
        raise ConfigError(f"--agent-command is for --agent command, not for --agent {options.agent}: leave one of them out")


def parse_option(text: str | None, option: str) -> tuple[str, ...]:
    """Return an option's command line as argv; raises ConfigError for an empty or unbalanced one."""
    return () if text is None else parse_command(text, option)
