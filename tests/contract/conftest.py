"""The stores that the store's contract is run on; a test that takes ``store`` runs once on each."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orch.adapters.store import InlineStore, SqliteStore
from orch.ports import Store
from tests.builders import ManualClock

ENGINES = ("sqlite", "inline", "inline-on-trio")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Follow the store's engine where a test has one."""
    if "engine" in request.fixturenames and request.getfixturevalue("engine") == "inline-on-trio":
        return "trio"
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(engine: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    if engine == "sqlite":
        async with await SqliteStore.open(tmp_path / "orch.db", clock=clock) as durable:
            yield durable
    else:
        async with InlineStore(clock=clock) as inline:
            yield inline
