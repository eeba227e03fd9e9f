"""The two ways to reach an actor, and the answer that a person gets."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar, final

M_contra = TypeVar("M_contra", contravariant=True)
A_contra = TypeVar("A_contra", contravariant=True)


class Handle(Protocol[M_contra]):
    """The sending end of a mailbox."""

    def tell(self, message: M_contra) -> None:
        """Put *message* into the mailbox at once; raises MailboxFull for a command when it is full, drops a hint."""


class Reply(Protocol[A_contra]):
    """Where an answer to an ``ask`` goes; answering twice or after the asker left changes nothing."""

    def answer(self, value: A_contra) -> None: ...


# ------------------------------------------------------------------------------------------------ answers for people


class Verb(StrEnum):
    """What became of a person's command."""

    DONE = "done"
    NOTHING = "nothing"
    """Understood, and there is nothing to do (already so)."""
    REFUSED = "refused"
    """Not possible now; the text says why (HTTP 409)."""
    UNKNOWN = "unknown"
    """No such task, issue or project (HTTP 404)."""
    UNAVAILABLE = "unavailable"
    """Not possible for a while, whatever is asked (no room, a store that cannot write): try again later (HTTP 503)."""
    INVALID = "invalid"
    """The input is wrong; the text says how (HTTP 422)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The reply to a person's command. *id* names what was made or meant, where there is one."""

    verb: Verb
    text: str
    id: str = ""
