"""Room: how much memory and disk is free, and whether that is enough to begin a run.

Owns: the floors ``min_free_memory_mb`` and ``min_free_disk_mb``. Rule: pure; what cannot be measured holds nothing up; a floor
of 0 is never asked.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from orch.core.model import Limits


class Resource(StrEnum):
    DISK = "disk"
    MEMORY = "memory"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """What is free, in megabytes; None where it cannot be told."""

    memory_mb: int | None = None
    disk_mb: int | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Less than the floor is free: nothing new begins."""

    resource: Resource
    free_mb: int
    floor_mb: int

    def __str__(self) -> str:
        return f"{self.free_mb} MB of {self.resource} are free, below the floor of {self.floor_mb} MB: nothing new is started"


def shortages(free: Free, limits: Limits) -> tuple[Shortage, ...]:
    """Return what there is too little of."""
    asked = ((Resource.DISK, free.disk_mb, limits.min_free_disk_mb), (Resource.MEMORY, free.memory_mb, limits.min_free_memory_mb))
    return tuple(
        Shortage(resource=resource, free_mb=measured, floor_mb=floor)
        for resource, measured, floor in asked
        if measured is not None and measured < floor
    )
