"""Ports of the first hour: what `orch init` looks at and makes on a board and a forge before any daemon runs.

Rule: every call is safe to repeat and says what it found rather than doing it twice; nothing is renamed or deleted; what the
token's user may not do is a ``PermanentError``, the rest of the failures as for every service.
"""

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, final

from orch.core.statuses import BoardState


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BoardProject:
    """A project of a board, as people choose it."""

    id: str
    name: str
    identifier: str = ""


class BoardSetup(Protocol):
    """One workspace of a board."""

    async def whoami(self) -> str:
        """Return the name of the token's user."""

    async def list_projects(self) -> list[BoardProject]:
        """Return the projects that the token's user sees."""

    async def fetch_states(self, project: str) -> list[BoardState]: ...

    async def create_state(self, project: str, *, name: str, group: str) -> bool:
        """Create a column at the end of its group; False where one of exactly that name is there already."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RepoFacts:
    """*names* are those in the first folder of the default branch, *texts* the contents of those that were asked for."""

    default_branch: str
    names: Collection[str] = ()
    texts: Mapping[str, str] | None = None
    administered: bool = True
    """Whether the token's user may change the repository's settings."""


class RepoSetup(Protocol):
    """One repository."""

    async def look(self, branch: str, read: Collection[str]) -> RepoFacts:
        """Return what the repository holds on *branch*, on its own default branch where that is empty."""


class Change(StrEnum):
    """What came of making sure of something."""

    MADE = "made"
    MENDED = "mended"
    FOUND = "found"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ensured:
    """*trouble* names what stands against the line and is left to people; *dropped* what the server did not take."""

    change: Change
    trouble: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


class ForgeSetup(RepoSetup, Protocol):
    """One repository of a forge."""

    async def missing_scopes(self) -> tuple[str, ...]:
        """Return what the token may not do and has to, by the forge's own names; changes nothing."""

    async def ensure_marking(self) -> Ensured:
        """Let pull requests be marked as merged, and none be taken for merged by itself."""

    async def ensure_protection(self, branch: str) -> Ensured:
        """Have the server refuse forced pushes of *branch* and let the token's user push it."""

    async def ensure_hook(self, url: str, secret: str) -> Ensured:
        """Have exactly one active webhook to *url*, signed with *secret*."""


class SetupDesk(Protocol):
    """Where the first hour finds its services. Both raise ConfigError where an address or a token is none."""

    def board(self) -> AbstractAsyncContextManager[BoardSetup]: ...

    def forge(self, repo: str) -> AbstractAsyncContextManager[ForgeSetup]: ...

    def repository(self, path: str) -> RepoSetup: ...
