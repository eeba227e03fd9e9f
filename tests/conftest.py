"""What every test stands on: the backend, reproducible examples, and no process left behind."""

import os
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import HealthCheck, settings

from orch import logs

settings.register_profile(
    "steady",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, as the daemon does; a module that wants trio's virtual clock has its own."""
    return "asyncio"


@pytest.fixture(autouse=True)
def no_secret_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test registers as a secret is struck out of no other test's output."""
    monkeypatch.setattr(logs, "_needles", logs._needles)


@pytest.fixture(autouse=True)
def no_process_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a child process: every run must end with its whole tree. Pure tests start none."""
    if "core" in request.path.parts:
        yield
        return
    before = {child.pid for child in _children()}
    yield
    left = [line for child in _children() if child.pid not in before and (line := _living(child))]
    assert not left, f"the test left processes behind: {left}"


def _children() -> list[psutil.Process]:
    """Return this process's children; to ask the kernel whether there is any costs a thousandth of looking through /proc."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    return psutil.Process().children()


def _living(process: psutil.Process) -> str:
    """Return a line about a process, or nothing when it is gone or only waits to be reaped."""
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{process.pid} {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return ""
