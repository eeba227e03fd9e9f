"""Actors' tests run on both backends, on virtual time: nothing here waits for real."""

from typing import Any

import pytest

from orch import logs
from tests.fakes.virtual_time import BACKENDS, backend_options


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Make a backend with a clock of its own for each test."""
    return backend_options(request.param)


@pytest.fixture(autouse=True, scope="session")
def quiet_logs() -> None:
    """Crashes that a test provokes are logged as in production: one line each."""
    logs.configure("critical")
