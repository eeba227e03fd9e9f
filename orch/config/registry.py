"""The registry: ``[[projects]]`` entries, checked and turned into the core's ``Project``.

Owns: the shape of an entry in the file, and what may not be the same in two of them.
Rule: an entry that is wrong is an error that names the place; one that is merely without a test command is kept apart
with the reason, and the other projects start.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from orch.config.settings import AbsolutePath, Seconds, Settings, Url, in_repos
from orch.core.errors import ConfigError
from orch.core.ids import ProjectName, parse_prefix, parse_project_name
from orch.core.model import CiSource, DeploySettings, LandStyle, Launcher, MonitorSettings, Project, RoleSettings
from orch.core.stages import Role
from orch.core.statuses import Status

K = TypeVar("K")

AGENT_ROLES: tuple[Role, ...] = tuple(role for role in Role if role is not Role.STREAM)
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}")
_FORGE_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")


def check_branch(text: str) -> str:
    """Return *text* as the name of a branch; raise ValueError where it is none or is not safe to hand to git."""
    broken = ".." in text or "//" in text or "/." in text or text.endswith(("/", ".", ".lock")) or ".lock/" in text
    if broken or text == "HEAD" or not _BRANCH.fullmatch(text):
        raise ValueError(f"not a plain branch name: {text[:80]!r}")
    return text


def check_argv(value: tuple[str, ...]) -> tuple[str, ...]:
    if value and not value[0].strip():
        raise ValueError("the first word of a command is the program and must not be empty")
    if any("\0" in word for word in value):
        raise ValueError("a command must not hold a NUL character")
    return value


def _check_language(text: str) -> str:
    if not _LANGUAGE.fullmatch(text):
        raise ValueError("a language is a code such as en or ru")
    return text


Argv = Annotated[tuple[str, ...], AfterValidator(check_argv)]
Text = Annotated[str, Field(min_length=1, max_length=4096)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class RoleEntry(_Table):
    """``roles.<role>``."""

    agent: Literal["claude", "command", "scripted"] = "claude"
    command: Argv = ()
    model: str = ""
    fallback_model: str = ""
    tools: tuple[str, ...] = ()
    max_turns: int | None = Field(default=None, ge=1)
    max_budget_usd: float | None = Field(default=None, gt=0)
    run_timeout_s: Seconds | None = None
    script: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.agent == "command" and not self.command:
            raise ValueError('agent = "command" needs command = ["program", "argument", …]')
        if self.agent != "command" and self.command:
            raise ValueError(f'command is only for agent = "command", not for {self.agent!r}')
        return self


class DeployEntry(_Table):
    """``deploy``."""

    staging_command: Argv = ()
    command: Argv = ()
    rollback_command: Argv = ()
    confirm: bool = True
    timeout_s: Seconds = 1800.0
    agent: bool = False
    launcher: Launcher = Launcher.PLAIN


class MonitorEntry(_Table):
    """``monitor``."""

    url: Url = ""
    command: Argv = ()
    window_s: Seconds = 600.0
    interval_s: Seconds = 15.0
    fail_after: int = Field(default=3, ge=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.url) == bool(self.command):
            raise ValueError("exactly one of url and command says what is probed")
        return self


class ProjectEntry(_Table):
    """One ``[[projects]]`` entry as it stands in the file."""

    name: Annotated[str, AfterValidator(parse_project_name)]
    prefix: Annotated[str, AfterValidator(parse_prefix)]
    board: Literal["plane", "local"] = "local"
    board_project: str = ""
    forge: Literal["gitea", "local"] = "local"
    repo: Text
    default_branch: Annotated[str, AfterValidator(check_branch)] = "main"
    self_hosting: bool = False
    setup_command: Argv = ()
    test_command: Argv = ()
    test_timeout_s: Seconds = 1800.0
    ci: CiSource | None = None
    ci_contexts: tuple[Text, ...] = ()
    land_style: LandStyle = LandStyle.REBASE
    language: Annotated[str, AfterValidator(_check_language)] = "en"
    approvers: tuple[Text, ...] = ()
    deployers: tuple[Text, ...] = ()
    statuses: dict[Status, Text] = Field(default_factory=dict)
    roles: dict[Role, RoleEntry] = Field(default_factory=dict)
    sandbox_read: tuple[AbsolutePath, ...] = ()
    deploy: DeployEntry = DeployEntry()
    monitor: MonitorEntry | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.board == "plane" and not self.board_project:
            raise ValueError('board = "plane" needs board_project, the id of the project on the board')
        if self.forge == "gitea" and not _FORGE_REPO.fullmatch(self.repo):
            raise ValueError('forge = "gitea" needs repo = "owner/name"')
        if self.forge == "local" and self.ci is CiSource.FORGE:
            raise ValueError('ci = "forge" needs a forge that reports statuses; on forge = "local" use "local" or "off"')
        if self.deploy.agent and self.self_hosting:
            raise ValueError(
                "deploy.agent is not for self_hosting: the agent would end with the daemon that it replaces; set deploy.command"
            )
        if Role.STREAM in self.roles:
            raise ValueError("roles.stream is the daemon's own voice and runs no agent")
        return self


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A project that is not started, and why (one line that says what to do)."""

    project: Project
    reason: str


def make_project(entry: ProjectEntry, settings: Settings) -> Project:
    """Return the registry's entry as the value that the core decides with; every agent role has its settings."""
    roles = {role: RoleSettings(**_fields(entry.roles.get(role, RoleEntry()))) for role in AGENT_ROLES}
    own = in_repos(settings.merge_gate_repos, entry.name, self_hosting=entry.self_hosting)
    fields = _fields(entry) | {
        "name": ProjectName(entry.name),
        "repo": str(Path(entry.repo).expanduser().absolute()) if entry.forge == "local" else entry.repo,
        "ci": entry.ci or (CiSource.FORGE if entry.forge == "gitea" else CiSource.LOCAL),
        "roles": roles,
        "deploy": DeploySettings(**_fields(entry.deploy)),
        "monitor": None if entry.monitor is None else MonitorSettings(**_fields(entry.monitor)),
        "merge_gate": settings.merge_gate_enabled and own,
    }
    return Project(**fields)


def _fields(table: BaseModel) -> dict[str, Any]:
    return {name: getattr(table, name) for name in type(table).model_fields}


def check_unique(projects: Iterable[Project]) -> None:
    """Raise ConfigError where two projects share what must be their own."""
    known = list(projects)
    _no_two_share(known, "name", lambda project: project.name)
    _no_two_share(known, "prefix", lambda project: project.prefix)
    _no_two_share(
        known, "repo", lambda project: (project.forge, project.repo.casefold() if project.forge == "gitea" else project.repo)
    )
    boards = [project for project in known if project.board_project]
    _no_two_share(boards, "board_project", lambda project: (project.board, project.board_project))


def _no_two_share(projects: Iterable[Project], key: str, value_of: Callable[[Project], K]) -> None:
    seen: dict[K, int] = {}
    for index, project in enumerate(projects):
        first = seen.setdefault(value_of(project), index)
        if first != index:
            shown = getattr(project, key)
            raise ConfigError(
                f"projects[{index}].{key}: {shown!r} is already that of projects[{first}]; give each project its own"
            )


def split_startable(projects: Iterable[Project]) -> tuple[tuple[Project, ...], tuple[Refused, ...]]:
    """Part the projects that can be started from those that cannot."""
    start: list[Project] = []
    refused: list[Refused] = []
    for project in projects:
        if project.test_command:
            start.append(project)
        else:
            reason = (
                f"project {project.name!r} is not started: it has no test_command, so nothing could be landed; "
                'add test_command = ["program", "argument", …] to its entry'
            )
            refused.append(Refused(project=project, reason=reason))
    return tuple(start), tuple(refused)


def default_roles(settings: RoleSettings) -> Mapping[Role, RoleSettings]:
    """Return the same agent for every role."""
    return dict.fromkeys(AGENT_ROLES, settings)
