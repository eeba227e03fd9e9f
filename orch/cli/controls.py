"""Commands that steer a repo or a task out of its turn.

Owns: freeze, unfreeze, pause, unpause, lift, fix, revert, adopt, send-back. Rule: each is one request; what became of it is the
daemon's own sentence.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from orch.cli.api import AsJson, DataDir, TaskId, Url, checked, segment
from orch.cli.options import CliDeps
from orch.cli.tasks import decide, deps_of, person, say
from orch.core.errors import ConfigError
from orch.core.stages import ORDER, is_landed, is_terminal

BACK_TO = tuple(stage.value for stage in ORDER if not is_landed(stage) and not is_terminal(stage))

Project = Annotated[str, typer.Argument(metavar="PROJECT", help="The project; may be left out where there is only one.")]
AnyProject = Annotated[str, typer.Argument(metavar="PROJECT", help="The project; all of them where it is left out.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; people are shown it.")]


def register_controls(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command("freeze")(freeze)
    app.command("unfreeze")(unfreeze)
    app.command("pause")(pause)
    app.command("unpause")(unpause)
    app.command("lift")(lift)
    app.command("fix")(fix)
    app.command("revert")(revert)
    app.command("adopt")(adopt)
    app.command("send-back")(send_back)


def freeze(
    ctx: typer.Context,
    project: Project = "",
    reason: Reason = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Stop entry, landing and deploy of a project until a person lifts it; tests go on."""
    _post(deps_of(ctx), (data_dir, url), "/serial-gate/freeze", {"project": project, "reason": reason}, as_json)


def unfreeze(
    ctx: typer.Context,
    project: Project = "",
    reason: Reason = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Lift a project's freeze, whatever caused it."""
    _post(deps_of(ctx), (data_dir, url), "/serial-gate/unfreeze", {"project": project, "reason": reason}, as_json)


def pause(
    ctx: typer.Context, project: AnyProject = "", as_json: AsJson = False, data_dir: DataDir = None, url: Url = None
) -> None:
    """Start nothing new and let runs finish, for maintenance and upgrades."""
    _post(deps_of(ctx), (data_dir, url), "/pause", {"project": project}, as_json)


def unpause(
    ctx: typer.Context, project: AnyProject = "", as_json: AsJson = False, data_dir: DataDir = None, url: Url = None
) -> None:
    """Start new work again after a pause."""
    _post(deps_of(ctx), (data_dir, url), "/unpause", {"project": project}, as_json)


def lift(
    ctx: typer.Context,
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="As `orch why` and /queue name it, such as claude.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """End the pause of an account that agents run under, without waiting for the next try."""
    _post(deps_of(ctx), (data_dir, url), f"/accounts/{segment(account)}/lift", {}, as_json)


def fix(ctx: typer.Context, task: TaskId, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None) -> None:
    """Make a task a fix: exempt from freeze and serial gate, first in the landing queue."""
    decide(deps_of(ctx).connect(data_dir, url), task, "fix", as_json=as_json)


def revert(ctx: typer.Context, task: TaskId, as_json: AsJson = False, data_dir: DataDir = None, url: Url = None) -> None:
    """Take back what a landed task brought: a task of its own does that, a fix, through the line as any other."""
    _post(deps_of(ctx), (data_dir, url), f"/tasks/{segment(task)}/revert", {}, as_json)


def adopt(
    ctx: typer.Context,
    issue: Annotated[str, typer.Argument(metavar="ISSUE", help="A work item id, an issue's key, or the board's own id.")],
    project: Annotated[str, typer.Option("--project", help="Its project, for an issue that the daemon has never seen.")] = "",
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Start the line for an issue, also one that was there before the daemon, or that is done."""
    _post(deps_of(ctx), (data_dir, url), f"/tasks/{segment(issue)}/adopt", {"project": project}, as_json)


def send_back(
    ctx: typer.Context,
    task: TaskId,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help=f"One of {', '.join(BACK_TO)}: an earlier one, or its own.")],
    reason: Annotated[str, typer.Option("--reason", help="What is to be mended; whoever works on it next reads it.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    url: Url = None,
) -> None:
    """Send a task that has not landed back to a stage, with what is to be mended."""
    if stage not in BACK_TO:
        raise ConfigError(f"{stage!r} is no stage to go back to; there are: {', '.join(BACK_TO)}")
    _post(deps_of(ctx), (data_dir, url), f"/tasks/{segment(task)}/send-back", {"stage": stage, "reason": reason}, as_json)


def _post(deps: CliDeps, where: tuple[Any, Any], path: str, fields: Mapping[str, str], as_json: bool) -> None:
    """Send what is filled in, and say what became of it."""
    body = {key: value for key, value in {"by": person(), **fields}.items() if value}
    say(checked(deps.connect(*where).post(path, body)), as_json)
