"""The shape of every actor, and the one guard around each.

Owns: the loop receive → handle, child tasks, retirement when idle, patience with the store, and what an exception becomes.

Desired properties: one actor's failure never reaches another; a message that crashes its actor is dead-lettered, not
retried for ever; a store that cannot write for a while stops nothing that runs; an idle actor retires and loses no message.
Design: the guard is the only ``except Exception`` of the project. It turns a failure into a value; the supervisor decides.
Retirement is safe because nothing is awaited between looking into the mailbox and leaving the registry.
Races we accept: children of a crashed actor are cancelled; what they were doing is found again in the store. A handler that
was cut short by the store is begun again from its start, so every handler may run twice.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, final

import anyio
from anyio.abc import TaskGroup

from actors.mailbox import Mailbox
from orch.core.errors import StoreError
from orch.logs import get_logger

M = TypeVar("M")

STORE_WAIT_MAX_S = 30.0


def store_wait_s(failures: int) -> float:
    """Return how long to wait for the store after its n-th failure in a row."""
    return min(2.0 ** min(failures - 1, 10), STORE_WAIT_MAX_S)


class Actor(ABC, Generic[M]):
    """Receives, decides, persists; whatever is slower than the store is a child task that reports by message."""

    idle_s: float | None = None
    """After this long without a message: ``idle`` is called, or the actor retires; None: never."""
    retires = False
    patient = True
    """Whether a message waits for a store that cannot write; otherwise ``handle`` answers for that itself."""

    def __init__(self, mailbox: Mailbox[M]) -> None:
        self.mailbox = mailbox
        self.handling: M | None = None
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

    def ended(self) -> None:
        """However it ended, its children are gone: close what was its own, answer who waits for it."""

    async def run(self, on_retire: Callable[[], None]) -> None:
        """Work until cancelled or retired."""
        try:
            async with anyio.create_task_group() as children:
                self.children = children
                await self._patiently(self.started)
                while True:
                    message = await self._next()
                    if message is not None:
                        self.handling = message
                        await self._patiently(self._handle_it)
                        self.handling = None
                    elif not self.retires:
                        await self._patiently(self.idle)
                    elif self.may_retire() and self.mailbox.pending() == 0:
                        on_retire()
                        children.cancel_scope.cancel()
                        return
        finally:
            self.ended()

    async def _handle_it(self) -> None:
        assert self.handling is not None
        await self.handle(self.handling)

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do *work*, again and again while the store fails: a full disk is nobody's bug and loses nobody's message."""
        failures = 0
        while True:
            try:
                return await work()
            except StoreError as error:
                if not self.patient:
                    raise
                failures += 1
                get_logger("actor").warning("waiting for the store", actor=self.name, error=str(error), failures=failures)
            await anyio.sleep(store_wait_s(failures))

    async def _next(self) -> M | None:
        if self.idle_s is None:
            return await self.mailbox.receive()
        with anyio.move_on_after(self.idle_s):
            return await self.mailbox.receive()
        return None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an actor ended: the error in one line, and the message that it was handling (None: none)."""

    error: str
    letter: object | None

    @property
    def message(self) -> str:
        """The letter's type, for people."""
        return "" if self.letter is None else type(self.letter).__name__


async def guard(
    make: Callable[[], Actor[M]], name: str, on_retire: Callable[[], None], *, strict: bool = False
) -> Failure | None:
    """Make and run an actor to its end: None when it retired, a Failure when it crashed. *strict* re-raises (tests)."""
    actor: Actor[M] | None = None
    try:
        actor = make()
        await actor.run(on_retire)
    except Exception as error:
        letter = None if actor is None else actor.handling
        get_logger("actor").error("crashed", actor=name, message=type(letter).__name__, exc_info=error)
        if strict:
            raise
        return Failure(error=_one_line(error), letter=letter)
    return None


def _one_line(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:500]
