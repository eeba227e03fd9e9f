"""What must stay flat, and whether it did.

Owns: the comparison of samples. Rule: the first third is for warming up; what is told is growth per task over the rest, by the
middle values of the two thirds, so that one odd sample decides nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """*figures* by name, after so many *tasks* have come to their end."""

    tasks: int
    figures: Mapping[str, float]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """*figure* may grow by so much per task; *floor* is growth in all that says nothing (an allocator's, a cache's)."""

    figure: str
    per_task: float
    floor: float = 0.0


def growth(samples: Sequence[Sample], figure: str) -> float:
    """Return by how much *figure* grew from the middle third to the last one."""
    third = max(1, len(samples) // 3)
    middle = [sample.figures[figure] for sample in samples[third : 2 * third]]
    last = [sample.figures[figure] for sample in samples[-third:]]
    return median(last) - median(middle)


def faults(samples: Sequence[Sample], bounds: Sequence[Bound]) -> list[str]:
    """Return what did not stay flat, as sentences."""
    third = max(1, len(samples) // 3)
    tasks = max(1, samples[-1].tasks - samples[third].tasks)
    found = []
    for bound in bounds:
        grown = growth(samples, bound.figure)
        if grown > bound.floor and grown / tasks > bound.per_task:
            found.append(f"{bound.figure} grew by {grown:g} over {tasks} tasks, more than {bound.per_task:g} a task")
    return found
