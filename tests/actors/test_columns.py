"""A project's columns as the daemon knows them: how often they are asked for, and what counts while the board does not answer."""

import pytest

from actors.columns import Columns
from orch.adapters.local_board import STATES
from orch.core.errors import TransientError
from orch.core.statuses import BoardState
from tests.fakes.line import Line, line

CALL, DOWN = "board.fetch_states", TransientError("board", "read the states", "HTTP 502")


def columns(it: Line) -> Columns:
    return Columns(it.world, it.world.services[it.g.projects[0].name])


async def test_they_are_asked_for_once_a_minute_and_once_more_for_one_that_is_unknown() -> None:
    async with line() as it:
        await it.settle(61)
        here, before = columns(it), it.faults.calls[CALL]
        for _ in range(3):
            await here.read(["done"])
        assert it.faults.calls[CALL] == before + 1
        it.board.states = [*STATES, BoardState(id="new", name="Something new")]
        assert "new" in {state.id for state in await here.read(["new"])}
        for _ in range(3):
            await here.read(["nobody's"])
        assert it.faults.calls[CALL] == before + 2
        await it.settle(60)
        await here.read()
        assert it.faults.calls[CALL] == before + 3


async def test_a_renamed_column_counts_within_a_minute() -> None:
    async with line() as it:
        here = columns(it)
        await here.read()
        it.board.states = [BoardState(id=each.id, name="Halt" if each.id == "stop" else each.name) for each in STATES]
        await it.settle(61)
        mapped = here.map(await here.read())
        assert mapped.status_of("stop") is None
        assert mapped.status_of("done") is not None


async def test_while_the_board_does_not_answer_the_last_good_list_counts_but_not_for_an_unknown_column() -> None:
    async with line() as it:
        here = columns(it)
        known = await here.read()
        await it.settle(61)
        it.faults.fail_always(CALL, DOWN)
        assert await here.read(["done"]) == known
        with pytest.raises(TransientError):
            await here.read(["new"])
        assert it.world.health.vitals().not_ready == {}
        it.faults.heal(CALL)


async def test_a_board_whose_columns_were_never_read_keeps_its_events_and_says_so_until_they_are() -> None:
    async with line() as it:
        it.faults.fail_always(CALL, DOWN)
        name = await it.start()
        await it.settle(5)
        assert "never read" in str(it.world.health.vitals().not_ready)
        assert len(await it.read(lambda tx: tx.pending_inbox())) == 2
        it.faults.heal(CALL)
        await it.approve(name)
        assert it.world.health.vitals().not_ready == {}


async def test_an_empty_list_is_no_list() -> None:
    async with line() as it:
        here = columns(it)
        known = await here.read()
        it.board.states = []
        await it.settle(61)
        assert await here.read() == known
