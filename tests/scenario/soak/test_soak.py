"""A short long life: what the product holds in memory and keeps in its tables stays flat, and a leak would be seen."""

from pathlib import Path

import pytest

from tests.scenario.soak import real, virtual
from tests.scenario.soak.samples import Bound, Sample, faults

TASKS = 9 * virtual.BATCH


@pytest.mark.timeout(600)
def test_nothing_grows_with_the_tasks_that_have_ended() -> None:
    assert faults(virtual.soak(TASKS), virtual.BOUNDS) == []


@pytest.mark.timeout(600)
async def test_a_real_daemon_keeps_no_file_process_or_working_copy(tmp_path: Path) -> None:
    samples = await real.soak(tmp_path, 3 * real.BATCH)
    assert faults(samples, real.BOUNDS) == []
    assert samples[-1].figures["working copies"] == 0
    assert samples[-1].figures["processes"] == 0


def test_a_leak_is_seen() -> None:
    leaking = [Sample(tasks=10 * n, figures={"x": 100 + 10 * n}) for n in range(1, 10)]
    flat = [Sample(tasks=10 * n, figures={"x": 100 + n % 2}) for n in range(1, 10)]
    bound = Bound(figure="x", per_task=0.0, floor=5)
    assert len(faults(leaking, [bound])) == 1
    assert faults(flat, [bound]) == []
