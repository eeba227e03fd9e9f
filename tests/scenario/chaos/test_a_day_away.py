"""Board or forge (its git with it) away for a whole day: it is shown, hardly asked, and caught up as soon as it is back."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from orch.core.errors import TransientError
from orch.core.model import Awaiting, CiSource, ParkReason, RowState
from orch.core.stages import Stage
from orch.rehearsal.faults import Faults
from tests.actors.test_reconciler import add, move_unheard, start
from tests.builders import DEMO, make_limits, make_project
from tests.fakes.line import Ground, Line, running, tx_task
from tests.fakes.virtual_time import backend_options

PERIOD_S = 60.0
DAY_S = 24 * 3600.0
CALL_S = 30.0
"""A service that is away is asked no more than once in so long, on the whole."""
BOARD = frozenset({"board"})
GITEA = frozenset(
    {"forge", *(f"mirror.{call}" for call in ("fetch", "remote_tip", "push_candidate", "push_branch", "delete_branch"))}
)
"""The forge's API, and what git says to its host; the mirror itself lies beside the daemon."""
PROJECT = make_project(board="plane", forge="gitea", ci=CiSource.LOCAL)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """A day is long: one backend."""
    return backend_options("asyncio")


class Away(Faults):
    """Services, or calls of them, that do not answer; *asked* counts what they were asked all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.out: frozenset[str] = frozenset()
        self.asked = Counter[str]()

    @asynccontextmanager
    async def at(self, name: str) -> AsyncIterator[None]:
        service = name.partition(".")[0]
        if self.out & {service, name}:
            self.asked[name] += 1
            await anyio.lowlevel.checkpoint()
            raise TransientError(service, name, "HTTP 502")
        async with super().at(name):
            yield


@asynccontextmanager
async def day() -> AsyncIterator[tuple[Line, Away]]:
    away = Away()
    async with Ground(PROJECT, limits=make_limits(reconcile_interval_s=PERIOD_S), faults=away) as ground, running(ground) as it:
        yield it, away


def shown(it: Line) -> str:
    """Return what ``/queue`` says of the last look at the services."""
    return str(it.supervisor.vitals().polls[DEMO]["error"])


async def a_day_without(it: Line, away: Away, services: frozenset[str]) -> None:
    away.out = services
    await it.settle(2 * PERIOD_S)
    assert "HTTP 502" in shown(it), "it is shown within two periods"
    await it.settle(DAY_S - 2 * PERIOD_S)
    assert sum(away.asked.values()) <= DAY_S / CALL_S, away.asked
    away.out = frozenset()


async def every_word_once(it: Line, name: str) -> None:
    texts = [comment.text for comment in await it.comments(name)]
    assert len(texts) == len(set(texts))


async def test_R4_a_board_that_was_away_for_a_day_is_caught_up_within_a_period() -> None:
    async with day() as (it, away):
        waiting, fresh = await start(it), await add(it)
        await it.until(lambda tx: tx_task(tx, waiting).awaiting is Awaiting.APPROVAL)
        await it.settle(PERIOD_S + 1)
        away.out = BOARD
        await move_unheard(it, waiting, "approved")
        await move_unheard(it, fresh, "to_analyse")
        await a_day_without(it, away, BOARD)
        assert (await it.task(waiting)).stage is Stage.ANALYSIS
        await it.until(lambda tx: tx_task(tx, waiting).stage is not Stage.ANALYSIS, within_s=PERIOD_S + 5)
        await it.until(lambda tx: tx_task(tx, fresh).stage is Stage.ANALYSIS, within_s=5)
        await it.approve(fresh)
        for name in (waiting, fresh):
            await it.until_stage(name, Stage.DONE, within_s=600)
            await every_word_once(it, name)


async def test_R4_while_the_board_is_away_for_a_day_the_line_goes_on_and_the_board_hears_of_it_afterwards() -> None:
    async with day() as (it, away):
        name = await start(it)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        await it.approve(name)
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.ARCHITECTURE)
        await a_day_without(it, away, BOARD)
        assert (await it.task(name)).stage is Stage.DONE
        await it.until(lambda tx: not tx.list_outbox(state=RowState.PENDING), within_s=PERIOD_S + 5)
        assert await it.column(name) == "done"
        await every_word_once(it, name)


async def test_R4_a_forge_that_was_away_for_a_day_costs_no_task_its_tries_and_each_lands_once() -> None:
    async with day() as (it, away):
        name = await start(it)
        await it.approve(name)
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.REVIEW)
        await a_day_without(it, away, GITEA)
        task = await it.task(name)
        assert task.park is None or task.park.reason is ParkReason.INFRASTRUCTURE, task.park
        assert task.counters.failed == 0
        await it.until_stage(name, Stage.DONE, within_s=2 * PERIOD_S)
        merged = [what for kind, what in away.writes if kind == "merged"]
        assert len(merged) == 1
        assert len(away.written("pull request")) == 1
