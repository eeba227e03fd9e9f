"""Configuration: a TOML file and ``ORCH_*`` variables become checked values.

Owns: every setting and its default (``settings``), the registry of projects (``registry``), where values come from
(``reading``), and a project made of command line options (``repository``).
Rule: nothing here is kept or changed after it was read; a reload reads again and replaces the whole.
"""

from orch.config.reading import OTHER_VARIABLES, Loaded, check_services, judge_table, load, load_settings, read_file, secret_files
from orch.config.registry import AGENT_ROLES, ProjectEntry, Refused, default_roles, make_project
from orch.config.repository import ProjectOptions, Repository, open_repository, parse_command, project_from_options
from orch.config.settings import ENV_PREFIX, Settings, in_repos, is_secret

__all__ = [
    "AGENT_ROLES",
    "ENV_PREFIX",
    "OTHER_VARIABLES",
    "Loaded",
    "ProjectEntry",
    "ProjectOptions",
    "Refused",
    "Repository",
    "Settings",
    "check_services",
    "default_roles",
    "in_repos",
    "is_secret",
    "judge_table",
    "load",
    "load_settings",
    "make_project",
    "open_repository",
    "parse_command",
    "project_from_options",
    "read_file",
    "secret_files",
]
