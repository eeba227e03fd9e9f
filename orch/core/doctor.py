"""What `orch doctor` makes of what it was shown: findings, as values.

Owns: which facts are good, which are worth a warning, and which are faults. Does not own the looking (``orch.adapters.doctor``)
or the words (``orch.core.render``). Rule: pure; a finding names what was found and, unless all is well, what to do; a fault is
what keeps work from being done or from being safe, a warning is what the operator should know of.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from orch.core.budget import UNMETERED
from orch.core.ids import ProjectName
from orch.core.model import Limits, Project
from orch.core.room import Free, Resource, shortages
from orch.core.stages import Role

GIT_MIN = (2, 39)
"""The oldest git that candidates are known to be built with: ``merge-tree --write-tree --stdin``."""


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


class Check(StrEnum):
    """What is looked at, in the order in which it is told."""

    CONFIGURATION = "configuration"
    VERSIONS = "versions"
    USER = "user"
    DATA_DIR = "data-directory"
    ROOM = "room"
    SANDBOX = "sandbox"
    PROMPTS = "prompts"
    CHAT = "chat"
    AGENTS = "agents"
    COMMANDS = "commands"
    LANDING = "landing"
    DEPLOY = "deploy"
    BOARD = "board"
    REPOSITORY = "repository"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found. *key* names its sentences (``doctor.<key>`` and, below ok, ``doctor.<key>.do``)."""

    check: Check
    level: Level
    key: str
    project: ProjectName | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """Everything that was found, to be told in *language*."""

    findings: tuple[Finding, ...]
    language: str = "en"

    @property
    def sound(self) -> bool:
        """Whether there is no fault."""
        return all(finding.level is not Level.FAULT for finding in self.findings)


def _found(check: Check, level: Level, key: str, project: ProjectName | None = None, **values: object) -> Finding:
    return Finding(
        check=check, level=level, key=key, project=project, values={name: str(value) for name, value in values.items()}
    )


# ------------------------------------------------------------------------------------------------ the installation


def judge_configuration(
    projects: Sequence[ProjectName], warnings: Iterable[str], refused: Mapping[ProjectName, str]
) -> list[Finding]:
    """*refused* are the projects that are not started, with the reason."""
    named = ", ".join(projects)
    return [
        _found(Check.CONFIGURATION, Level.OK, "configuration", projects=named),
        *(_found(Check.CONFIGURATION, Level.WARNING, "configuration.warning", detail=line) for line in warnings),
        *(_found(Check.CONFIGURATION, Level.FAULT, "configuration.refused", name, detail=why) for name, why in refused.items()),
    ]


def judge_versions(python: str, git: str | None) -> list[Finding]:
    """*git* is what ``git version`` says, None when there is none."""
    wanted = ".".join(map(str, GIT_MIN))
    if git is None:
        return [_found(Check.VERSIONS, Level.FAULT, "versions.no_git", wanted=wanted)]
    if parse_version(git) < GIT_MIN:
        return [_found(Check.VERSIONS, Level.FAULT, "versions.old_git", git=git, wanted=wanted)]
    return [_found(Check.VERSIONS, Level.OK, "versions", python=python, git=git)]


def parse_version(text: str) -> tuple[int, ...]:
    """Return the first number in *text* that has a dot, as its parts: ``git version 2.39.5 (Apple)`` is (2, 39, 5)."""
    for word in text.split():
        parts = word.split(".")
        if len(parts) > 1 and parts[0].isdigit():
            leading = [part for part in parts if part.isdigit()]
            return tuple(int(part) for part in leading)
    return ()


def judge_user(*, is_root: bool, name: str) -> list[Finding]:
    return [_found(Check.USER, Level.WARNING, "user.root") if is_root else _found(Check.USER, Level.OK, "user", name=name)]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DataDir:
    """The data directory as it is: *holder* is the process that uses it, *trouble* why it cannot be written."""

    path: str
    exists: bool = True
    trouble: str = ""
    open_to_others: bool = False
    token_open: bool = False
    holder: str = ""


def judge_data_dir(data: DataDir) -> list[Finding]:
    if data.trouble:
        return [_found(Check.DATA_DIR, Level.FAULT, "data.trouble", path=data.path, detail=data.trouble)]
    findings: list[Finding] = []
    if data.token_open:
        findings.append(_found(Check.DATA_DIR, Level.FAULT, "data.token", path=data.path))
    if data.open_to_others:
        findings.append(_found(Check.DATA_DIR, Level.WARNING, "data.open", path=data.path))
    if data.holder:
        findings.append(_found(Check.DATA_DIR, Level.OK, "data.held", path=data.path, holder=data.holder))
    elif not findings:
        findings.append(_found(Check.DATA_DIR, Level.OK, "data" if data.exists else "data.new", path=data.path))
    return findings


def judge_room(free: Free, limits: Limits) -> list[Finding]:
    short = shortages(free, limits)
    keys = {Resource.DISK: "room.disk", Resource.MEMORY: "room.memory"}
    if short:
        return [
            _found(Check.ROOM, Level.FAULT, keys[each.resource], free_mb=each.free_mb, floor_mb=each.floor_mb) for each in short
        ]
    return [_found(Check.ROOM, Level.OK, "room", disk_mb=_figure(free.disk_mb), memory_mb=_figure(free.memory_mb))]


def _figure(number: int | None) -> str:
    return "?" if number is None else str(number)


def judge_sandbox(mode: str, trouble: str | None, hidden: Sequence[str], absent: Sequence[str]) -> list[Finding]:
    """*trouble* is why it does not work; *hidden* are folders of the PATH, *absent* readable paths that do not exist."""
    if mode == "off":
        return [_found(Check.SANDBOX, Level.WARNING, "sandbox.off")]
    if trouble is not None:
        key, level = ("sandbox.required", Level.FAULT) if mode == "require" else ("sandbox.missing", Level.WARNING)
        return [_found(Check.SANDBOX, level, key, detail=trouble)]
    findings = [_found(Check.SANDBOX, Level.OK, "sandbox")]
    if hidden:
        example = ", ".join(f'"{path}"' for path in hidden)
        findings.append(_found(Check.SANDBOX, Level.WARNING, "sandbox.path", folders=", ".join(hidden), example=example))
    findings += [_found(Check.SANDBOX, Level.WARNING, "sandbox.absent", path=path) for path in absent]
    return findings


def judge_prompts(trouble: str | None) -> list[Finding]:
    if trouble is not None:
        return [_found(Check.PROMPTS, Level.FAULT, "prompts.trouble", detail=trouble)]
    return [_found(Check.PROMPTS, Level.OK, "prompts")]


def judge_rebase(*, always: bool) -> list[Finding]:
    return [] if always else [_found(Check.LANDING, Level.WARNING, "landing.no_rebase")]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFacts:
    """What Telegram answered: *trouble* why it did not, *bot* and *chat* as people know them, *users* how many may press.

    *unseen* is why the chat cannot be seen, *webhook* where the bot's updates go instead of to us.
    """

    trouble: str = ""
    bot: str = ""
    chat: str = ""
    unseen: str = ""
    webhook: str = ""
    users: int = 0


def judge_chat(facts: ChatFacts) -> list[Finding]:
    if facts.trouble:
        return [_found(Check.CHAT, Level.FAULT, "chat.trouble", detail=facts.trouble)]
    if facts.unseen:
        return [_found(Check.CHAT, Level.FAULT, "chat.unseen", bot=facts.bot, detail=facts.unseen)]
    findings = [_found(Check.CHAT, Level.OK, "chat", bot=facts.bot, chat=facts.chat, users=facts.users)]
    if not facts.users:
        findings.append(_found(Check.CHAT, Level.WARNING, "chat.nobody"))
    elif facts.webhook:
        findings.append(_found(Check.CHAT, Level.FAULT, "chat.webhook", url=facts.webhook))
    return findings


# ------------------------------------------------------------------------------------------------ a project


def judge_agents(project: Project, missing: Mapping[Role, str]) -> list[Finding]:
    """*missing* says of a role why its agent cannot be started."""
    if not missing:
        names = ", ".join(sorted({settings.agent for settings in project.agents().values()}))
        return [_found(Check.AGENTS, Level.OK, "agents", project.name, agents=names)]
    by_reason: dict[str, list[str]] = {}
    for role, why in missing.items():
        by_reason.setdefault(why, []).append(role)
    return [
        _found(Check.AGENTS, Level.FAULT, "agents.missing", project.name, roles=", ".join(roles), detail=why)
        for why, roles in by_reason.items()
    ]


def judge_budgets(project: Project, *, budgeted: bool) -> list[Finding]:
    """*budgeted* says whether a task's or a day's budget is set: an agent that reports no cost is not bounded by it."""
    roles = [role for role, settings in project.agents().items() if settings.agent in UNMETERED] if budgeted else []
    return [_found(Check.AGENTS, Level.WARNING, "agents.unmetered", project.name, roles=", ".join(roles))] if roles else []


def judge_commands(project: Project, missing: Mapping[str, str]) -> list[Finding]:
    """*missing* names, by its key in the entry, the program of a command that is not found."""
    if not missing:
        return [_found(Check.COMMANDS, Level.OK, "commands", project.name, command=" ".join(project.test_command))]
    return [
        _found(Check.COMMANDS, Level.FAULT, "commands.missing", project.name, where=where, program=program)
        for where, program in missing.items()
    ]


def judge_landing(project: Project) -> list[Finding]:
    if not project.merge_gate:
        return [_found(Check.LANDING, Level.WARNING, "landing.off", project.name, branch=project.default_branch)]
    return [_found(Check.LANDING, Level.OK, "landing", project.name, branch=project.default_branch, style=project.land_style)]


def judge_deploy(project: Project) -> list[Finding]:
    deploys = bool(project.deploy.command) or project.deploy.agent
    if project.monitor is not None and not deploys:
        return [_found(Check.DEPLOY, Level.WARNING, "deploy.monitor", project.name)]
    return [_found(Check.DEPLOY, Level.OK, "deploy" if deploys else "deploy.none", project.name)]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRepository:
    """A repository that is its own forge. *trouble* is why it cannot be used, *unwritable* why no ref can be made in it.

    *checked_out* says that the default branch stands in its working tree, *dirty* that this has uncommitted changes.
    """

    path: str
    trouble: str = ""
    tip: str = ""
    unwritable: str = ""
    checked_out: bool = False
    dirty: bool = False


def judge_repository(project: Project, found: LocalRepository) -> list[Finding]:
    path, branch = found.path, project.default_branch
    if found.trouble:
        return [_found(Check.REPOSITORY, Level.FAULT, "repository.trouble", project.name, path=path, detail=found.trouble)]
    findings: list[Finding] = []
    if found.unwritable:
        fault = _found(Check.REPOSITORY, Level.FAULT, "repository.unwritable", project.name, path=path, detail=found.unwritable)
        findings.append(fault)
    if found.dirty:
        findings.append(_found(Check.REPOSITORY, Level.WARNING, "repository.dirty", project.name, path=path, branch=branch))
    if not findings:
        key = "repository.checked_out" if found.checked_out else "repository"
        findings.append(_found(Check.REPOSITORY, Level.OK, key, project.name, path=path, branch=branch, tip=found.tip[:10]))
    return findings
