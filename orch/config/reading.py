"""Reading: a TOML file and the environment become checked settings and projects.

Owns: where a value comes from, and what is an error, a warning, or a fall-back.
Rule: the file is written with care, so whatever is wrong in it is an error that names the place and the nearest known
name; the environment is shared with others, so whatever is wrong there is a warning and counts as not set. The
environment wins. Secrets come from the environment or from ``ORCH_<NAME>_FILE``, never from the file.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from orch.config.registry import ProjectEntry, Refused, check_unique, make_project, split_startable
from orch.config.settings import ENV_PREFIX, LOOPBACK, SECRET_NAMES, Settings, is_secret, strict_table
from orch.core.errors import ConfigError
from orch.core.model import Project

M = TypeVar("M", bound=BaseModel)

_TABLE = strict_table()
FILE_MAX = 4_000_000
SECRET_MAX = 65_536
OTHER_VARIABLES = ("ORCH_RUN_", "ORCH_FAILPOINT", "ORCH_CONFIG")
"""Variables of ours that are no settings: what a run is told about itself, and switches of the tests."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a file and an environment came to. *warnings* are one line each, for the caller to log."""

    settings: Settings
    projects: tuple[Project, ...]
    refused: tuple[Refused, ...] = ()
    warnings: tuple[str, ...] = ()


def load(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read the file (if any) and the environment; raise ConfigError with one line that says what to do."""
    table = {} if path is None else read_file(path)
    where = "" if path is None else f"{path}: "
    entries = table.pop("projects", [])
    warnings: list[str] = []
    settings = _settings(table, environ, where, warnings)
    projects = _projects(entries, settings, where)
    check_services(settings, projects)
    if path is not None:
        warnings += _unknown_repos(settings, projects)
    start, refused = split_startable(projects)
    return Loaded(settings=settings, projects=start, refused=refused, warnings=tuple(warnings))


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings alone, as the commands need them that talk to a daemon; projects and services are not judged."""
    table = {} if path is None else read_file(path)
    table.pop("projects", None)
    return _settings(table, os.environ if environ is None else environ, "" if path is None else f"{path}: ", [])


def judge_table(table: Mapping[str, Any], where: str) -> tuple[Project, ...]:
    """Return the projects of a file's table, those too that lack something to be started; raise ConfigError as ``load`` does.

    The environment is not asked, nor what services need.
    """
    rest = {key: value for key, value in table.items() if key != "projects"}
    return _projects(table.get("projects", []), _settings(rest, {}, where, []), where)


def _settings(table: Mapping[str, Any], environ: Mapping[str, str], where: str, warnings: list[str]) -> Settings:
    _refuse_secrets(table, where)
    _checked(table, _TABLE, where)
    return _build(table, _variables(environ, warnings), warnings)


def read_file(path: Path) -> dict[str, Any]:
    """Return the file's table; raise ConfigError where it cannot be read or is no TOML."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a readable file with --config") from None
    if len(raw) > FILE_MAX:
        raise ConfigError(f"{path}: is larger than {FILE_MAX} bytes; a configuration is a small TOML file")
    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        first = (str(error).splitlines() or ["nested too deeply"])[0]
        raise ConfigError(f"{path}: is not TOML: {first}; correct that place") from None


# ------------------------------------------------------------------------------------------------ the file


def _refuse_secrets(table: Mapping[str, Any], where: str) -> None:
    secret = next((key for key in table if key in SECRET_NAMES), None)
    if secret is not None:
        variable = f"{ENV_PREFIX}{secret.upper()}"
        raise ConfigError(
            f"{where}{secret}: a secret does not belong in the file; set {variable}, or {variable}_FILE to the path of a file"
        )


def _checked(table: Mapping[str, Any], model: type[M], where: str) -> M:
    """Return a part of the file, checked strictly: there a number is a number and a word is no switch."""
    try:
        return model.model_validate_json(json.dumps(table, default=str), strict=True)
    except ValidationError as error:
        raise ConfigError(where + _say(error.errors(include_url=False)[0], model)) from None


def _projects(entries: object, settings: Settings, where: str) -> tuple[Project, ...]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{where}projects: write each project as a table of its own under [[projects]]")
    checked = [_checked(entry, ProjectEntry, f"{where}projects[{index}].") for index, entry in enumerate(entries)]
    projects = tuple(make_project(entry, settings) for entry in checked)
    try:
        check_unique(projects)
    except ConfigError as error:
        raise ConfigError(f"{where}{error}") from None
    return projects


def _say(error: ErrorDetails, model: type[BaseModel]) -> str:
    """Return a validation error as one line: the place, what is wrong, and the nearest known name."""
    loc = [part for part in error["loc"] if part != "[key]"]
    place = _place(loc)
    if error["type"] == "extra_forbidden":
        return f"{place}: {_unknown(str(loc[-1]), _known_keys(model, loc[:-1]))}"
    if error["type"] == "enum" and error["loc"][-1] == "[key]":
        expected = re.findall(r"'([^']+)'", error["ctx"]["expected"])
        return f"{place}: {_unknown(str(loc[-1]), expected)}"
    if error["type"] == "missing":
        return f"{place}: is missing; add it"
    text = error["msg"].removeprefix("Value error, ")
    return f"{place}: {text[:1].lower()}{text[1:]}" if place else text


def _unknown(key: str, known: Sequence[str]) -> str:
    return f"unknown key; the nearest known one is {get_close_matches(key, known, n=1, cutoff=0.0)[0]!r}"


def _place(loc: list[str | int]) -> str:
    text = ""
    for part in loc:
        key = str(part) if str(part).isprintable() else ascii(part)
        text += f"[{part}]" if isinstance(part, int) else f".{key[:80]}" if text else key[:80]
    return text


def _known_keys(model: type[BaseModel], loc: list[str | int]) -> list[str]:
    """Return the keys that are known where *loc* leads from *model*."""
    here = model
    for part in loc:
        field = here.model_fields.get(str(part))
        if field is not None:
            inner = _model_in(field.annotation)
            here = here if inner is None else inner
    names = list(here.model_fields)
    return [name for name in names if not is_secret(name)] + (["projects"] if here is _TABLE else [])


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


# ------------------------------------------------------------------------------------------------ the environment


def _variables(environ: Mapping[str, str], warnings: list[str]) -> dict[str, Any]:
    """Return the settings that the environment names, unchecked, as pydantic-settings finds them."""
    ours = {name: value for name, value in environ.items() if name.startswith(ENV_PREFIX)}
    ours = _with_secret_files(ours, warnings)
    known = {f"{ENV_PREFIX}{name}".upper(): name for name in Settings.model_fields}
    for name in sorted(ours):
        if name not in known and not name.startswith(OTHER_VARIABLES):
            nearest = get_close_matches(name.upper(), known, n=1, cutoff=0.0)[0]
            warnings.append(f"{name}: no such setting, ignored; the nearest known one is {nearest}")
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in ours.items() if name in known}
    return source()


def _with_secret_files(environ: Mapping[str, str], warnings: list[str]) -> dict[str, str]:
    """Replace each ``ORCH_<SECRET>_FILE`` by the secret that the file holds."""
    values = {name: value for name, value in environ.items() if not _names_secret_file(name)}
    for name in environ:
        if not _names_secret_file(name):
            continue
        variable = name[: -len("_FILE")]
        if values.get(variable):
            warnings.append(f"{name}: ignored, because {variable} is set too; unset one of them")
            continue
        secret, problem = _read_secret(Path(environ[name]))
        if problem:
            warnings.append(f"{name}: {problem}; the secret counts as not set")
        else:
            values[variable] = secret
    for variable in [name for name, value in values.items() if _setting_of(name) in SECRET_NAMES and not value.strip()]:
        del values[variable]
    return values


def secret_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files that secrets are read from."""
    return tuple(Path(path) for name, path in sorted(environ.items()) if path and _names_secret_file(name))


def _names_secret_file(variable: str) -> bool:
    return variable.endswith("_FILE") and _setting_of(variable)[: -len("_file")] in SECRET_NAMES


def _setting_of(variable: str) -> str:
    return variable[len(ENV_PREFIX) :].lower()


def _read_secret(path: Path) -> tuple[str, str]:
    """Return the secret in a file and no problem, or nothing and what the problem is (never the content)."""
    try:
        with path.open("rb") as file:
            raw = file.read(SECRET_MAX + 1)
        text = raw.decode().strip()
    except OSError as error:
        return "", f"{path} cannot be read ({error.strerror})"
    except (UnicodeDecodeError, ValueError):
        return "", f"{path} does not hold text"
    if not text or len(raw) > SECRET_MAX or any(not char.isprintable() for char in text):
        return "", f"{path} does not hold one line of text"
    return text, ""


def _build(table: Mapping[str, Any], variables: Mapping[str, Any], warnings: list[str]) -> Settings:
    """Lay the environment over the file; a malformed variable is dropped with a warning and its default holds."""
    given = dict(variables)
    file = {name: value for name, value in table.items() if name not in given}
    try:
        settings = Settings(**{**file, **given})
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            name = str(problem["loc"][0])
            if given.pop(name, None) is not None:
                text = problem["msg"].removeprefix("Value error, ")
                default = (
                    "not set" if is_secret(name) else _shown(Settings.model_fields[name].get_default(call_default_factory=True))
                )
                warnings.append(f"{ENV_PREFIX}{name.upper()}: {text[:1].lower()}{text[1:]}; the default holds ({default})")
        settings = Settings(**{**file, **given})
    if settings.qg0_title_min > settings.qg0_title_max:
        warnings.append("qg0_title_min is greater than qg0_title_max: no title can pass")
    return settings


def _shown(default: object) -> str:
    return "none" if default in (None, "", (), {}) else str(default)


# ------------------------------------------------------------------------------------------------ what starting needs


def _unknown_repos(settings: Settings, projects: Sequence[Project]) -> list[str]:
    known = {str(project.name) for project in projects} | {"*"}
    chosen = {"serial_gate_repos": settings.serial_gate_repos, "merge_gate_repos": settings.merge_gate_repos}
    return [
        f"{setting}: there is no project {name!r}"
        for setting, names in chosen.items()
        for name in (part.strip() for part in names.split(","))
        if name and name not in known
    ]


def check_services(settings: Settings, projects: tuple[Project, ...]) -> None:
    """Raise ConfigError where a service that is configured lacks what it needs: a daemon must not run half guarded."""
    if settings.host not in LOOPBACK and settings.admin_token is None:
        raise ConfigError(
            f"host = {settings.host!r} is not loopback: set ORCH_ADMIN_TOKEN (or ORCH_ADMIN_TOKEN_FILE), or bind 127.0.0.1"
        )
    needs: list[tuple[str, bool, tuple[str, ...]]] = [
        (
            "Plane",
            bool(settings.plane_url) or any(project.board == "plane" for project in projects),
            ("plane_url", "plane_workspace", "plane_token", "plane_webhook_secret"),
        ),
        (
            "Gitea",
            bool(settings.gitea_url) or any(project.forge == "gitea" for project in projects),
            ("gitea_url", "gitea_token", "gitea_webhook_secret"),
        ),
        (
            "Telegram",
            settings.telegram_token is not None or bool(settings.telegram_chat_id),
            ("telegram_token", "telegram_chat_id"),
        ),
    ]
    for service, used, names in needs:
        missing = [f"{ENV_PREFIX}{name.upper()}" for name in names if not getattr(settings, name)]
        if used and missing:
            raise ConfigError(f"{service} is configured but something is missing: set {', '.join(missing)}")
