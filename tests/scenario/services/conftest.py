"""The world of these stories, with hooks that are shuffled but neither lost nor doubled."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenario.services.world import World, services


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with services(tmp_path) as made:
        yield made
