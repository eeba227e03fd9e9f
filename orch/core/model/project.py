"""Registry entries and the settings that decisions need, checked and as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from orch.core.ids import (
    ProjectName,
)
from orch.core.stages import Role, Stage


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """How a role's agent is run; None means the default of the adapter or of the settings."""

    agent: str = "scripted"
    command: tuple[str, ...] = ()
    model: str = ""
    fallback_model: str = ""
    tools: tuple[str, ...] = ()
    max_turns: int | None = None
    max_budget_usd: float | None = None
    run_timeout_s: float | None = None
    script: str = ""
    """For the scripted agent: a JSON file of what each role does."""


class CiSource(StrEnum):
    FORGE = "forge"
    LOCAL = "local"
    OFF = "off"


class LandStyle(StrEnum):
    REBASE = "rebase"
    SQUASH = "squash"
    MERGE = "merge"


class Launcher(StrEnum):
    """What starts a deploy, so that it outlives the daemon."""

    PLAIN = "plain"
    SYSTEMD_RUN = "systemd-run"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeploySettings:
    staging_command: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    rollback_command: tuple[str, ...] = ()
    confirm: bool = True
    timeout_s: float = 1800.0
    agent: bool = False
    """The deployer's agent deploys instead of *command*."""
    launcher: Launcher = Launcher.PLAIN


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSettings:
    """How a deployed SHA is watched: exactly one of *url* and *command* is probed; *fail_after* bad ones in a row degrade it."""

    url: str = ""
    command: tuple[str, ...] = ()
    window_s: float = 600.0
    interval_s: float = 15.0
    fail_after: int = 3


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A registry entry, checked: one board project and one repo."""

    name: ProjectName
    prefix: str
    board: str = "local"
    board_project: str = ""
    forge: str = "local"
    repo: str
    default_branch: str = "main"
    self_hosting: bool = False
    setup_command: tuple[str, ...] = ()
    test_command: tuple[str, ...] = ()
    test_timeout_s: float = 1800.0
    ci: CiSource = CiSource.LOCAL
    ci_contexts: tuple[str, ...] = ()
    land_style: LandStyle = LandStyle.REBASE
    language: str = "en"
    approvers: tuple[str, ...] = ()
    deployers: tuple[str, ...] = ()
    statuses: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[Role, RoleSettings] = field(default_factory=dict)
    sandbox_read: tuple[str, ...] = ()
    """Paths that this project's agents and commands may read although the sandbox hides what lies around them."""
    deploy: DeploySettings = DeploySettings()
    monitor: MonitorSettings | None = None
    merge_gate: bool = True

    def agents(self) -> Mapping[Role, RoleSettings]:
        """Return the roles whose agents run here: the deployer's only where it deploys instead of a command."""
        return {role: settings for role, settings in self.roles.items() if role is not Role.DEPLOYER or self.deploy.agent}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The settings that decisions need, as values."""

    max_concurrency: int = 2
    max_concurrency_per_repo: int = 2
    test_slots: int = 1
    run_timeout_s: float = 3600.0
    tool_timeout_s: float = 1800.0
    stall_timeout_s: float = 300.0
    stop_grace_s: float = 5.0
    shutdown_grace_s: float = 30.0
    max_developer_retries: int = 3
    ci_appear_s: float = 600.0
    qg0_title_min: int = 5
    qg0_title_max: int = 200
    qg0_description_min: int = 20
    min_free_memory_mb: int = 512
    min_free_disk_mb: int = 200
    task_deps_enabled: bool = True
    task_deps_from_board: bool = False
    """Whether a board's own relations count as dependencies, beside those that were declared here."""
    deps_block_on_cancelled: bool = False
    """Whether a cancelled dependency parks who waits for it, instead of releasing it with a word."""
    serial_gate: frozenset[ProjectName] = frozenset()
    """The projects whose tasks enter analysis one after the other."""
    stop_status_enabled: bool = True
    remind_h: float = 4.0
    archive_days: int = 30
    budget_task_usd: float | None = None
    budget_day_usd: float | None = None
    """What all runs that begin on one UTC day may cost; None for no limit."""
    premerge_rebase_always: bool = True
    """Off: a branch that contains what it is to be put onto lands as it is, whatever the land style."""
    serial_gate_freeze_enabled: bool = True
    """Whether a bad deploy and a red main freeze their repo by themselves."""
    reconcile_interval_s: float = 60.0
    reconcile_enabled: bool = True
    reconcile_board_enabled: bool = True
    grace_s: Mapping[Stage, float] = field(default_factory=dict)
    """How long a task of each stage may stand still before the reconciler looks at it."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What configuration says now, as one value: a reload replaces it whole."""

    limits: Limits
    projects: Mapping[ProjectName, Project]
