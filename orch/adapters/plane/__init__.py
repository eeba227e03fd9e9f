"""The board on Plane: the ``Board`` port over its API, and its hooks as values.

Owns: how settings become the daemon's users on Plane (``make_plane_accounts`` once) and a project its board
(``make_plane_board`` per project).
"""

from uuid import UUID

from orch.adapters.plane.accounts import PlaneAccounts
from orch.adapters.plane.board import PlaneBoard
from orch.adapters.plane.door import PlaneDoor
from orch.adapters.plane.hooks import HookKind, PlaneHook, Poison, parse_hook, verify_signature
from orch.config.settings import Settings
from orch.core.errors import ConfigError
from orch.core.model import Project
from orch.core.stages import Role

__all__ = [
    "HookKind",
    "PlaneAccounts",
    "PlaneBoard",
    "PlaneDoor",
    "PlaneHook",
    "Poison",
    "make_plane_accounts",
    "make_plane_board",
    "parse_hook",
    "verify_signature",
]


def make_plane_accounts(settings: Settings) -> PlaneAccounts:
    """Return the connections that every project on Plane shares; whoever calls this closes them.

    Raises ConfigError where a setting is missing or a token is none.
    """
    if not settings.plane_url or not settings.plane_workspace or settings.plane_token is None:
        raise ConfigError(
            "a project is on Plane: set plane_url and plane_workspace, and the daemon's own token as ORCH_PLANE_TOKEN"
        )
    tokens = {
        role: _checked(own.get_secret_value(), f"ORCH_PLANE_TOKEN_{role.upper()}")
        for role in Role
        if (own := getattr(settings, f"plane_token_{role}")) is not None
    }
    return PlaneAccounts(
        settings.plane_url,
        settings.plane_workspace,
        _checked(settings.plane_token.get_secret_value(), "ORCH_PLANE_TOKEN"),
        tokens,
        per_minute=settings.plane_calls_per_min,
    )


def make_plane_board(project: Project, accounts: PlaneAccounts) -> PlaneBoard:
    """Return the board of one project; raises ConfigError where its ``board_project`` is no uuid."""
    try:
        board_project = UUID(project.board_project)
    except ValueError as error:
        raise ConfigError(
            f"project {project.name}: board_project = {project.board_project[:80]!r} is no id of a project on Plane: "
            "take the uuid from the address of its page (…/projects/<uuid>/issues)"
        ) from error
    return PlaneBoard(accounts, project.name, board_project, language=project.language)


def _checked(token: str, name: str) -> str:
    stripped = token.strip()
    if not stripped or not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise ConfigError(f"{name} is no token: it is one word of letters and digits (plane_api_…)")
    return stripped
