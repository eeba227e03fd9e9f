"""The shape of every actor: the guard, patience with the store, idling and retirement."""

from collections.abc import Callable

import anyio
import pytest

from actors.actor import Actor, Failure, guard
from actors.mailbox import Mailbox
from orch.core.errors import StoreError


class Probe(Actor[str]):
    """Does what its messages say and keeps what happened."""

    def __init__(self, mailbox: Mailbox[str], log: list[str], *, retires: bool = False) -> None:
        super().__init__(mailbox)
        self.idle_s = 30.0
        self.retires = retires
        self.log = log
        self.busy = False
        self.store_fails = 0

    async def handle(self, message: str) -> None:
        if message == "crash":
            raise ValueError("a bug")
        if message == "crash a child":
            self.children.start_soon(self.crash)
        elif message == "store" and self.store_fails:
            self.store_fails -= 1
            raise StoreError("the disk is full")
        self.log.append(message)

    async def crash(self) -> None:
        await anyio.sleep(1)
        raise KeyError("child")

    async def idle(self) -> None:
        self.log.append("idle")

    def may_retire(self) -> bool:
        return not self.busy

    def ended(self) -> None:
        self.log.append("ended")


async def run(probe: Probe, *messages: str) -> Failure | None:
    for message in messages:
        probe.mailbox.tell(message)
    failure = await guard(lambda: probe, "probe", lambda: probe.log.append("retired"))
    probe.mailbox.close()
    return failure


async def test_a_crash_becomes_a_value_that_names_the_error_and_holds_the_message() -> None:
    log: list[str] = []
    failure = await run(Probe(Mailbox("probe"), log), "one", "crash", "two")
    assert failure == Failure(error="ValueError: a bug", letter="crash")
    assert log == ["one", "ended"]


async def test_what_came_before_the_crash_stays_in_the_mailbox_for_the_next_life() -> None:
    box: Mailbox[str] = Mailbox("probe")
    log: list[str] = []
    for message in ("crash", "one", "two"):
        box.tell(message)
    await guard(lambda: Probe(box, log), "probe", lambda: None)
    assert [await box.receive(), await box.receive()] == ["one", "two"]
    box.close()


async def test_a_child_that_crashes_ends_its_actor_and_blames_no_message() -> None:
    failure = await run(Probe(Mailbox("probe"), []), "crash a child")
    assert failure == Failure(error="KeyError: 'child'", letter=None)


async def test_an_actor_that_cannot_be_made_is_a_failure_too() -> None:
    def make() -> Probe:
        raise KeyError("no such project")

    failure = await guard(make, "probe", lambda: None)
    assert failure == Failure(error="KeyError: 'no such project'", letter=None)


async def test_strict_tests_see_the_crash_itself() -> None:
    box: Mailbox[str] = Mailbox("probe")
    box.tell("crash")
    with pytest.raises(ExceptionGroup) as caught:
        await guard(lambda: Probe(box, []), "probe", lambda: None, strict=True)
    assert caught.group_contains(ValueError, match="a bug")
    box.close()


async def test_cancellation_passes_through_the_guard() -> None:
    box: Mailbox[str] = Mailbox("probe")
    log: list[str] = []
    with anyio.move_on_after(1) as scope:
        await guard(lambda: Probe(box, log), "probe", lambda: None)
    assert scope.cancelled_caught
    assert log == ["ended"]
    box.close()


async def test_a_message_waits_for_a_store_that_cannot_write_and_is_not_lost() -> None:
    log: list[str] = []
    probe = Probe(Mailbox("probe"), log, retires=True)
    probe.store_fails = 3
    before = anyio.current_time()
    assert await run(probe, "store", "after") is None
    assert log == ["store", "after", "retired", "ended"]
    assert anyio.current_time() - before == pytest.approx(1 + 2 + 4 + 30)


async def test_an_impatient_actor_fails_at_once() -> None:
    probe = Probe(Mailbox("probe"), [])
    probe.patient, probe.store_fails = False, 1
    failure = await run(probe, "store")
    assert failure is not None
    assert failure.error == "StoreError: the disk is full"


async def test_an_actor_that_does_not_retire_looks_round_when_nothing_comes() -> None:
    box: Mailbox[str] = Mailbox("probe")
    log: list[str] = []
    with anyio.move_on_after(95):
        await guard(lambda: Probe(box, log), "probe", lambda: None)
    assert log == ["idle", "idle", "idle", "ended"]
    box.close()


async def test_a_busy_actor_does_not_retire() -> None:
    log: list[str] = []
    probe = Probe(Mailbox("probe"), log, retires=True)
    probe.busy = True
    before = anyio.current_time()

    async def finish() -> None:
        await anyio.sleep(100)
        probe.busy = False

    async with anyio.create_task_group() as group:
        group.start_soon(finish)
        assert await run(probe) is None
    assert anyio.current_time() - before == pytest.approx(120)


@pytest.mark.parametrize("offset", [-0.001, 0.0, 0.001])
async def test_no_message_is_lost_in_the_moment_of_retirement(offset: float) -> None:
    """Whoever tells a retired actor something starts it anew: either life handles the message."""
    log: list[str] = []
    boxes: list[Mailbox[str]] = []

    async with anyio.create_task_group() as group:

        def start() -> Mailbox[str]:
            box: Mailbox[str] = Mailbox(f"probe-{len(boxes)}")
            boxes.append(box)
            probe = Probe(box, log, retires=True)

            def retire() -> None:
                boxes.remove(box)
                box.close()

            group.start_soon(guarded, probe, retire)
            return box

        async def guarded(probe: Probe, retire: Callable[[], None]) -> None:
            await guard(lambda: probe, "probe", retire)

        def tell(message: str) -> None:
            (boxes[0] if boxes else start()).tell(message)

        tell("first")
        await anyio.sleep(30 + offset)
        tell("second")
    assert [message for message in log if message != "ended"] == ["first", "second"]
