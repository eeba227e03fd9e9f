"""The board on Plane, between the three files of its tests: a server of one test each, and the board on it."""

from collections.abc import AsyncIterator

import pytest

from orch.adapters.plane import PlaneBoard
from orch.rehearsal.plane import FakePlane
from tests.fakes.plane_connection import open_board


@pytest.fixture
async def plane() -> AsyncIterator[FakePlane]:
    async with FakePlane(rate=6000) as server:
        yield server
        server.faults.assert_used()


@pytest.fixture
async def board(plane: FakePlane) -> AsyncIterator[PlaneBoard]:
    async with open_board(plane) as made:
        yield made
