"""The adapter under test, connected to the fake Plane as the daemon would connect it.

Owns: ``open_board``.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from pydantic import SecretStr

from orch.adapters.plane import PlaneAccounts, PlaneBoard, make_plane_accounts, make_plane_board
from orch.config.settings import Settings
from orch.core.stages import Role
from orch.rehearsal.plane.server import FakePlane
from tests.builders import make_project

CALLS_PER_MIN = 60_000
"""So many that a test never waits for the bucket."""


def plane_settings(plane: FakePlane, voices: Mapping[Role, str] | None = None, **fields: object) -> Settings:
    """Return what an operator would configure; *voices* are tokens of roles."""
    tokens = {f"plane_token_{role}": SecretStr(token) for role, token in (voices or {}).items()}
    base = {"plane_url": plane.url, "plane_workspace": plane.workspace, "plane_token": SecretStr(plane.key)}
    return Settings(**{**base, "plane_calls_per_min": CALLS_PER_MIN, **tokens, **fields})  # type: ignore[arg-type]


@asynccontextmanager
async def open_accounts(
    plane: FakePlane, voices: Mapping[Role, str] | None = None, **fields: object
) -> AsyncIterator[PlaneAccounts]:
    async with make_plane_accounts(plane_settings(plane, voices, **fields)) as accounts:
        yield accounts


@asynccontextmanager
async def open_board(
    plane: FakePlane, voices: Mapping[Role, str] | None = None, *, language: str = "en", **fields: object
) -> AsyncIterator[PlaneBoard]:
    """Give the board of the fake's first project, as the project DEMO."""
    entry = replace(make_project(), board="plane", board_project=plane.project.id, language=language)
    async with open_accounts(plane, voices, **fields) as accounts:
        yield make_plane_board(entry, accounts)
