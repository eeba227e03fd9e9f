"""Reloading: what a new reading of the configuration may change in a daemon that runs, and what it may not.

Owns: the lists of both. Rule: what cannot be changed keeps its old value whole and is named in one line; the rest of the new
reading holds from the next decision on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orch.config.settings import Settings
from orch.core.ids import ProjectName
from orch.core.model import Project

FIXED_SETTINGS: tuple[str, ...] = (
    "host",
    "port",
    "public_url",
    "data_dir",
    "prompts_dir",
    "admin_token",
    "sandbox",
    "sandbox_read",
    "sandbox_hide",
    *(name for name in Settings.model_fields if name.startswith(("plane_", "gitea_", "telegram_"))),
)
"""Settings that are read at the start only: they are built into the listener, the store's place and the services."""

FIXED_FIELDS: tuple[str, ...] = ("prefix", "board", "board_project", "forge", "repo", "default_branch")
"""Fields of a project that its mirror, board and tasks were made from."""


def changed_settings(old: Settings, new: Settings) -> list[str]:
    """Return the names of settings that differ and hold from the next start on only."""
    return [name for name in FIXED_SETTINGS if getattr(old, name) != getattr(new, name)]


def merge_projects(
    old: Mapping[ProjectName, Project], new: Sequence[Project]
) -> tuple[Mapping[ProjectName, Project], tuple[str, ...]]:
    """Return the projects as they are from now on, and one line for each thing that needs a restart."""
    read = {project.name: project for project in new}
    lines = [f"project {name} is new" for name in read if name not in old]
    merged = {}
    for name, before in old.items():
        after = read.get(name)
        if after is None:
            lines.append(f"project {name} is not there any more (or has no test_command)")
            merged[name] = before
            continue
        fixed = {field: getattr(before, field) for field in FIXED_FIELDS}
        lines += [f"project {name}: {field}" for field in FIXED_FIELDS if getattr(after, field) != fixed[field]]
        merged[name] = replace(after, **fixed)
    return merged, tuple(lines)
