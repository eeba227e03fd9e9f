"""The sandbox for tests that run real processes: where bubblewrap does not work, what needs it is skipped and says why."""

from functools import cache
from pathlib import Path

import pytest

from orch.adapters.sandbox import Sandbox


@cache
def trouble() -> str | None:
    """Return why there is no sandbox on this machine, None where there is one."""
    return Sandbox(Path("/nonexistent")).trouble()


def need_sandbox() -> None:
    """Skip the test that calls it where there is no sandbox."""
    if (why := trouble()) is not None:
        pytest.skip(f"no sandbox on this machine: {why}")
