"""The world of these stories, with hooks that are shuffled but neither lost nor doubled."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors import landing
from orch.adapters import http, throttle
from orch.core import retry
from tests.scenario.services.world import World, services


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with services(tmp_path) as made:
        yield made


@pytest.fixture
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again within two seconds instead of half a minute: that it waits, and how long, is told elsewhere."""
    monkeypatch.setattr(retry, "BACKOFF_FIRST_S", 0.5)
    monkeypatch.setattr(retry, "BACKOFF_CAP_S", 2.0)
    monkeypatch.setattr(throttle, "REST_S", 2.0)
    monkeypatch.setattr(http, "REFUSED_S", 2.0)
    monkeypatch.setattr(landing, "RETRY_S", 0.5)
