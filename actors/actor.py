"""The shape of every actor, and the one guard around each.

Owns: the loop receive → handle, child tasks, retirement when idle, and what an exception becomes.

Desired properties: one actor's failure never reaches another; a message that crashes its actor is dead-lettered, not
retried for ever; an idle actor is retired without losing a message.
Design: the guard is the only ``except Exception`` of the project. It turns a failure into a value; the supervisor decides.
Retirement is safe because nothing is awaited between looking into the mailbox and leaving the registry.
Races we accept: children of a crashed actor are cancelled; what they were doing is found again in the store.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, final

import anyio
from anyio.abc import TaskGroup

from actors.mailbox import Mailbox
from orch.logs import get_logger

M = TypeVar("M")


class Actor(ABC, Generic[M]):
    """Receives, decides, persists; whatever is slower than the store is a child task that reports by message."""

    idle_s: float | None = None
    """After this long without a message: ``idle`` is called, or the actor retires; None: never."""
    retires = False

    def __init__(self, mailbox: Mailbox[M]) -> None:
        self.mailbox = mailbox
        self.handling = ""
        self.children: TaskGroup

    @property
    def name(self) -> str:
        return self.mailbox.name

    async def started(self) -> None:
        """Look at the store before the first message."""

    @abstractmethod
    async def handle(self, message: M) -> None: ...

    async def idle(self) -> None:
        """Nothing came for ``idle_s``: a look at the store, for the hint that was lost."""

    def may_retire(self) -> bool:
        """Say whether nothing is under way here."""
        return True

    async def run(self, on_retire: Callable[[], None]) -> None:
        """Work until cancelled or retired."""
        async with anyio.create_task_group() as children:
            self.children = children
            await self.started()
            while True:
                message = await self._next()
                if message is not None:
                    self.handling = type(message).__name__
                    await self.handle(message)
                    self.handling = ""
                elif not self.retires:
                    await self.idle()
                elif self.may_retire() and self.mailbox.pending() == 0:
                    on_retire()
                    children.cancel_scope.cancel()
                    return

    async def _next(self) -> M | None:
        if self.idle_s is None:
            return await self.mailbox.receive()
        with anyio.move_on_after(self.idle_s):
            return await self.mailbox.receive()
        return None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an actor ended: the error in one line, and the type of the message that it was handling."""

    error: str
    message: str


async def guard(actor: Actor[M], on_retire: Callable[[], None], *, strict: bool = False) -> Failure | None:
    """Run *actor* to its end: None when it retired, a Failure when it crashed. *strict* re-raises (tests)."""
    try:
        await actor.run(on_retire)
    except Exception as error:
        get_logger("actor").error("crashed", actor=actor.name, message=actor.handling, exc_info=error)
        if strict:
            raise
        return Failure(error=_one_line(error), message=actor.handling)
    return None


def _one_line(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:500]
