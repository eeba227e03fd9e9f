"""Mailboxes: bounded queues of typed messages, and the one-shot reply of an ``ask``.

Owns: how a message gets from one actor to another. Rule: a sender never waits. A full or closed mailbox drops a hint (the
receiver looks at the store anyway); a command is refused with MailboxFull or ActorDied, which is the sender's to handle.
Whoever makes a mailbox closes it.
"""

from typing import Generic, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from orch.core.errors import ActorDied, MailboxFull, TransientError

M = TypeVar("M")
A = TypeVar("A")

SIZE = 1024


class Mailbox(Generic[M]):
    """One actor's queue. It outlives a restart of its actor, so that only the message that crashed it is lost."""

    def __init__(self, name: str, *, size: int = SIZE, hints: tuple[type, ...] = ()) -> None:
        self.name = name
        self.dropped = 0
        self._hints = hints
        send: MemoryObjectSendStream[M]
        receive: MemoryObjectReceiveStream[M]
        send, receive = anyio.create_memory_object_stream(size)
        self._send, self._receive = send, receive

    def tell(self, message: M) -> None:
        """Put *message* in. Raises MailboxFull for a command when full, ActorDied after ``close``."""
        try:
            self._send.send_nowait(message)
        except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            if isinstance(message, self._hints):
                self.dropped += 1
            elif isinstance(error, anyio.WouldBlock):
                raise MailboxFull(f"{self.name}: {type(message).__name__} refused, the mailbox is full") from None
            else:
                raise ActorDied(f"{self.name} has ended") from None

    async def receive(self) -> M:
        """Wait for the next message."""
        return await self._receive.receive()

    def pending(self) -> int:
        """Return how many messages wait."""
        return self._send.statistics().current_buffer_used

    def close(self) -> None:
        """End it; what still waits in it is lost."""
        self._send.close()
        self._receive.close()


class OneReply(Generic[A]):
    """The place for one answer. A second answer, or one after the asker has gone, changes nothing."""

    def __init__(self) -> None:
        self._event = anyio.Event()
        self._value: A | None = None

    def answer(self, value: A) -> None:
        if not self._event.is_set():
            self._value = value
            self._event.set()

    async def wait(self, seconds: float, what: str) -> A:
        """Return the answer; raises TransientError after *seconds*."""
        with anyio.move_on_after(seconds):
            await self._event.wait()
        if self._value is None:
            raise TransientError("orch", what, f"no answer within {seconds:g} s")
        return self._value
