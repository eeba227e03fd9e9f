"""These stories run on virtual time; those of ``test_line`` on both backends."""

from typing import Any

import pytest

from orch import logs
from tests.fakes.virtual_time import BACKENDS, backend_options


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Make a backend with a clock of its own for each test; ``backend`` names it where a test has one."""
    name = request.getfixturevalue("backend") if "backend" in request.fixturenames else BACKENDS[0]
    return backend_options(name)


@pytest.fixture(autouse=True)
def quiet_logs() -> None:
    logs.configure("critical")
