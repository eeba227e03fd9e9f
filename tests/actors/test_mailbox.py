"""Mailboxes: bounded, nobody waits to send; replies: one answer."""

import gc

import anyio
import pytest

from actors.mailbox import Mailbox, OneReply
from orch.core.errors import ActorDied, MailboxFull, TransientError


class Hint:
    pass


class Command:
    pass


def make(size: int = 2) -> Mailbox[Hint | Command]:
    return Mailbox("box", size=size, hints=(Hint,))


async def test_what_was_told_is_received_in_its_order() -> None:
    box: Mailbox[int] = Mailbox("box")
    for number in range(3):
        box.tell(number)
    assert [await box.receive() for _ in range(3)] == [0, 1, 2]
    box.close()


async def test_a_full_mailbox_drops_hints_and_counts_them() -> None:
    box = make()
    for _ in range(5):
        box.tell(Hint())
    assert (box.pending(), box.dropped) == (2, 3)
    box.close()


async def test_a_full_mailbox_refuses_a_command_naming_itself_and_the_command() -> None:
    box = make(1)
    box.tell(Command())
    with pytest.raises(MailboxFull, match="box: Command refused"):
        box.tell(Command())
    box.close()


async def test_a_closed_mailbox_drops_hints_and_refuses_commands() -> None:
    box = make()
    box.close()
    box.tell(Hint())
    with pytest.raises(ActorDied, match="box has ended"):
        box.tell(Command())
    assert box.dropped == 1


async def test_closing_twice_changes_nothing_and_leaves_nothing_open() -> None:
    box = make()
    box.close()
    box.close()
    del box
    gc.collect()  # an unclosed stream would warn, and a warning is an error


async def test_a_receiver_that_gives_up_loses_no_message() -> None:
    box: Mailbox[int] = Mailbox("box")
    got: list[int] = []

    async def impatient() -> None:
        for _ in range(20):
            with anyio.move_on_after(1):
                got.append(await box.receive())

    async with anyio.create_task_group() as group:
        group.start_soon(impatient)
        for number in range(10):
            await anyio.sleep(1)  # exactly when the receiver's patience ends
            box.tell(number)
    assert got == list(range(10))
    box.close()


async def test_a_reply_takes_the_first_answer() -> None:
    reply: OneReply[str] = OneReply()
    reply.answer("first")
    reply.answer("second")
    assert await reply.wait(1, "Ask") == "first"


async def test_an_ask_without_an_answer_ends_in_time_and_says_what_was_asked() -> None:
    reply: OneReply[str] = OneReply()
    before = anyio.current_time()
    with pytest.raises(TransientError, match="Ask: no answer within 10 s"):
        await reply.wait(10, "Ask")
    assert anyio.current_time() - before == pytest.approx(10)
    reply.answer("too late")
