"""The floors: below them nothing new begins."""

import pytest

from orch.core.room import Free, Resource, Shortage, shortages
from tests.builders import make_limits

LIMITS = make_limits(min_free_memory_mb=512, min_free_disk_mb=200)
DISK = Shortage(resource=Resource.DISK, free_mb=199, floor_mb=200)
MEMORY = Shortage(resource=Resource.MEMORY, free_mb=0, floor_mb=512)


@pytest.mark.parametrize(
    ("free", "found"),
    [
        (Free(memory_mb=512, disk_mb=200), ()),
        (Free(memory_mb=512, disk_mb=199), (DISK,)),
        (Free(memory_mb=0, disk_mb=200), (MEMORY,)),
        (Free(memory_mb=0, disk_mb=199), (DISK, MEMORY)),
        (Free(), ()),
    ],
    ids=["enough", "disk", "memory", "both", "it cannot be told"],
)
def test_what_is_below_its_floor_is_a_shortage(free: Free, found: tuple[Shortage, ...]) -> None:
    assert shortages(free, LIMITS) == found


def test_a_floor_of_nothing_is_never_asked() -> None:
    assert shortages(Free(memory_mb=0, disk_mb=0), make_limits(min_free_memory_mb=0, min_free_disk_mb=0)) == ()


def test_a_shortage_says_what_is_there_and_what_should_be() -> None:
    assert str(DISK) == "199 MB of disk are free, below the floor of 200 MB: nothing new is started"
