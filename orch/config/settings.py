"""The settings: one flat name space, every default, and what each one means.

Owns: ``Settings``. The name ``qg0_title_max`` in the file is ``ORCH_QG0_TITLE_MAX`` in the environment.
Does not own: where values come from (``reading``), the registry of projects (``registry``).
Rule: a setting has a default under which the daemon works; ``docs/configuration.md`` lists every one, and a test
holds it to that.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, create_model
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from orch.core.model import Limits, Project
from orch.core.stages import TERMINAL, Stage

ENV_PREFIX = "ORCH_"
GRACE_DEFAULT_S = 120.0
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _split_commas(value: object) -> object:
    """Let a list be written as ``a, b`` in the environment."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(value) if isinstance(value, list) else value


def _number_to_text(value: object) -> object:
    """Let ids that are numbers be written without quotes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _numbers_to_text(value: object) -> object:
    split = _split_commas(value)
    return tuple(_number_to_text(item) for item in split) if isinstance(split, list | tuple) else split


def _off_is_none(value: object) -> object:
    """Let a limit be switched off by the word ``off`` (or nothing at all)."""
    if isinstance(value, str) and value.strip().casefold() in {"", "off", "none"}:
        return None
    return value


def _split_grace(value: object) -> object:
    """Let the grace per stage be written as ``development=900, review=60`` in the environment."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    return {name.strip(): seconds.strip() for name, _, seconds in pairs}


def _fill_grace(value: dict[Stage, float]) -> dict[Stage, float]:
    if ended := TERMINAL & value.keys():
        raise ValueError(f"{min(ended)} is the end of the line and has no grace")
    return {stage: value.get(stage, GRACE_DEFAULT_S) for stage in Stage if stage not in TERMINAL}


def _check_url(value: str) -> str:
    """Accept an empty text or an http(s) URL that carries no credentials; drop the slash at its end."""
    if not value:
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a URL begins with http:// or https:// and names a host")
    if parts.username or parts.password:
        raise ValueError("a URL must not carry a user or password; tokens have settings of their own")
    return value.rstrip("/")


def _not_empty(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise ValueError("must not be empty")
    return value


def _check_name(value: str) -> str:
    if not value.strip() or any(not char.isprintable() for char in value):
        raise ValueError("must not be empty or hold control characters")
    return value.strip()


def check_absolute(value: str) -> str:
    """Return *value* where it is an absolute path or begins with ``~``; raise ValueError otherwise."""
    if not value.startswith(("/", "~")) or "\0" in value:
        raise ValueError(f"not an absolute path: {value[:80]!r}")
    return value


Url = Annotated[str, AfterValidator(_check_url)]
Name = Annotated[str, AfterValidator(_check_name)]
Folder = Annotated[Path, BeforeValidator(_not_empty)]
Seconds = Annotated[float, Field(gt=0, le=31_536_000)]
Count = Annotated[int, Field(ge=1, le=10_000)]
Retries = Annotated[int, Field(ge=0, le=1000)]
Megabytes = Annotated[int, Field(ge=0, le=1_000_000_000)]
Length = Annotated[int, Field(ge=0, le=1_000_000)]
Usd = Annotated[Annotated[float, Field(gt=0, le=1_000_000_000)] | None, BeforeValidator(_off_is_none), NoDecode]
AbsolutePath = Annotated[str, AfterValidator(check_absolute)]
AbsolutePaths = Annotated[tuple[AbsolutePath, ...], BeforeValidator(_split_commas), NoDecode]
Id = Annotated[str, BeforeValidator(_number_to_text)]
Ids = Annotated[tuple[str, ...], BeforeValidator(_numbers_to_text), NoDecode]
Secret = SecretStr | None
Grace = Annotated[
    dict[Stage, Annotated[float, Field(ge=0, le=31_536_000)]],
    BeforeValidator(_split_grace),
    AfterValidator(_fill_grace),
    NoDecode,
]


class Settings(BaseSettings):
    """Every setting of the daemon. Secrets never come from the file; ``reading`` sees to that."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, hide_input_in_errors=True
    )

    # server
    host: Name = "127.0.0.1"
    port: int = Field(default=8780, ge=0, le=65_535)
    public_url: Url = ""
    data_dir: Folder = Path(".orch")
    prompts_dir: Folder | None = None
    admin_token: Secret = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    # limits
    max_concurrency: Count = 2
    max_concurrency_per_repo: Count = 2
    test_slots: Count = 1
    min_free_memory_mb: Megabytes = 512
    min_free_disk_mb: Megabytes = 200
    run_timeout_s: Seconds = 3600.0
    tool_timeout_s: Seconds = 1800.0
    stall_timeout_s: Seconds = 300.0
    stop_grace_s: float = Field(default=5.0, ge=0, le=3600)
    shutdown_grace_s: Seconds = 30.0
    max_developer_retries: Retries = 3
    budget_task_usd: Usd = None
    budget_day_usd: Usd = None
    archive_days: Count = 30
    remind_h: float = Field(default=4.0, gt=0, le=8760)
    sandbox: Literal["auto", "off", "require"] = "auto"
    sandbox_read: AbsolutePaths = ()
    sandbox_hide: AbsolutePaths = ()

    # entry
    qg0_title_min: Length = 5
    qg0_title_max: Length = 200
    qg0_description_min: Length = 20

    # switches
    stop_status_enabled: bool = True
    serial_gate_enabled: bool = True
    serial_gate_freeze_enabled: bool = True
    merge_gate_enabled: bool = True
    premerge_rebase_always: bool = True
    task_deps_enabled: bool = True
    reconcile_enabled: bool = True
    reconcile_plane_enabled: bool = True
    serial_gate_repos: str = ""
    merge_gate_repos: str = "*"
    task_deps_source: Literal["db", "plane"] = "db"
    deps_on_cancelled: Literal["release", "block"] = "release"
    reconcile_interval_s: Seconds = 60.0
    grace_s: Grace = Field(default_factory=lambda: _fill_grace({}))
    ci_appear_s: Seconds = 600.0

    # services
    plane_url: Url = ""
    plane_workspace: str = ""
    plane_token: Secret = None
    plane_token_analyst: Secret = None
    plane_token_architect: Secret = None
    plane_token_developer: Secret = None
    plane_token_reviewer: Secret = None
    plane_token_tester: Secret = None
    plane_token_deployer: Secret = None
    plane_token_stream: Secret = None
    plane_webhook_secret: Secret = None
    plane_calls_per_min: int = Field(default=50, ge=2, le=1_000_000)
    gitea_url: Url = ""
    gitea_public_url: Url = ""
    gitea_token: Secret = None
    gitea_webhook_secret: Secret = None
    telegram_token: Secret = None
    telegram_chat_id: Id = ""
    telegram_allowed_users: Ids = ()
    telegram_api_url: Url = "https://api.telegram.org"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from ``reading`` alone: it turns a malformed variable into a warning, which no source does."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    def limits(self, projects: Iterable[Project] = ()) -> Limits:
        """Return what the core's decisions need, as a value of the core; *projects* are those that may have the serial gate."""
        gated = {
            project.name
            for project in projects
            if self.serial_gate_enabled and in_repos(self.serial_gate_repos, project.name, self_hosting=project.self_hosting)
        }
        return Limits(
            max_concurrency=self.max_concurrency,
            max_concurrency_per_repo=self.max_concurrency_per_repo,
            test_slots=self.test_slots,
            run_timeout_s=self.run_timeout_s,
            tool_timeout_s=self.tool_timeout_s,
            stall_timeout_s=self.stall_timeout_s,
            stop_grace_s=self.stop_grace_s,
            shutdown_grace_s=self.shutdown_grace_s,
            max_developer_retries=self.max_developer_retries,
            ci_appear_s=self.ci_appear_s,
            remind_h=self.remind_h,
            archive_days=self.archive_days,
            budget_task_usd=self.budget_task_usd,
            budget_day_usd=self.budget_day_usd,
            qg0_title_min=self.qg0_title_min,
            qg0_title_max=self.qg0_title_max,
            qg0_description_min=self.qg0_description_min,
            min_free_memory_mb=self.min_free_memory_mb,
            min_free_disk_mb=self.min_free_disk_mb,
            task_deps_enabled=self.task_deps_enabled,
            task_deps_from_board=self.task_deps_source == "plane",
            deps_block_on_cancelled=self.deps_on_cancelled == "block",
            serial_gate=frozenset(gated),
            stop_status_enabled=self.stop_status_enabled,
            serial_gate_freeze_enabled=self.serial_gate_freeze_enabled,
            premerge_rebase_always=self.premerge_rebase_always,
            reconcile_interval_s=self.reconcile_interval_s,
            reconcile_enabled=self.reconcile_enabled,
            reconcile_board_enabled=self.reconcile_plane_enabled,
            grace_s=self.grace_s,
        )

    def secrets(self) -> tuple[str, ...]:
        """Return every secret that is set, to be registered for redaction."""
        values = (getattr(self, name) for name in SECRET_NAMES)
        return tuple(value.get_secret_value() for value in values if isinstance(value, SecretStr))


def strict_table() -> type[BaseModel]:
    """Return the same fields as a model of the file: no source, and able to check strictly, which a BaseSettings is not."""
    fields: dict[str, Any] = {name: (info.annotation, info) for name, info in Settings.model_fields.items()}
    config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)
    return create_model("SettingsTable", __config__=config, **fields)


def is_secret(name: str) -> bool:
    """Say whether a setting may come from the environment only."""
    return "_token" in name or name.endswith("_secret")


SECRET_NAMES: tuple[str, ...] = tuple(name for name in Settings.model_fields if is_secret(name))


def in_repos(selection: str, project: str, *, self_hosting: bool) -> bool:
    """Say whether a ``*_repos`` setting means *project*: ``""`` self-hosting ones only, ``"*"`` all, else names by comma."""
    names = {name.strip() for name in selection.split(",") if name.strip()}
    return self_hosting if not names else "*" in names or project in names
