"""What the repo actor is made of: components that share its mailbox, its children and its loop.

Owns: what a component is given (``Room``) and what is asked of it (``Component``). Does not own any concern of a repo.
Rule: a component's ``started``, ``plan`` and ``handle`` are called by the repo actor's loop alone, one at a time; they await
nothing slower than the store, whatever is slower is a child that reports by message. A call too many costs a look at the store.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVarTuple, final

from actors.mailbox import Mailbox
from actors.world import Router, Services, World
from orch.core.ids import ProjectName
from orch.core.messages import RepoMessage
from orch.core.model import Project

Args = TypeVarTuple("Args")


class Spawn(Protocol):
    def __call__(self, work: Callable[[*Args], Coroutine[Any, Any, None]], *args: *Args) -> object:
        """Start a child task of the repo actor."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What every component of one repo's actor is given."""

    name: ProjectName
    world: World
    router: Router
    services: Services
    mailbox: Mailbox[RepoMessage]
    spawn: Spawn

    @property
    def project(self) -> Project:
        """The project as configuration has it now."""
        return self.services.project


class Component(Protocol):
    """One concern of a repo. Its own messages come by ``handle``, typed as its part of ``RepoMessage``."""

    async def started(self) -> None:
        """Look at the store before the first message, after a restart of the daemon or of the actor."""

    async def plan(self) -> None:
        """Something may have changed (a hint, a quiet while): look at the store and begin what is due."""
