"""A tiny harness: rows of figures with their baseline, the machine that made them, one table, one JSON file.

Rule: a figure is worth its ratio to a baseline measured in the same run; no figure gates a test.
"""

import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

OUT = Path(".bench")


@dataclass(frozen=True, slots=True)
class Row:
    """*baseline* is the same figure of what it is compared with; *ratio* is how many times as good we are, None without one.

    A *value* of None is one that could not be measured; the name says why.
    """

    name: str
    value: float | None
    unit: str
    baseline: float | None = None
    ratio: float | None = None


@dataclass(slots=True)
class Bench:
    """Collects rows; ``finish`` prints and writes them."""

    name: str
    rows: list[Row] = field(default_factory=list)

    def add(
        self, name: str, value: float | None, unit: str, *, baseline: float | None = None, lower_is_better: bool = False
    ) -> None:
        ratio = None
        if baseline and value:
            ratio = baseline / value if lower_is_better else value / baseline
        self.rows.append(Row(name, value and round(value, 3), unit, baseline and round(baseline, 3), ratio and round(ratio, 2)))

    def finish(self) -> Path:
        return report(self.name, self.rows)


def report(name: str, rows: Sequence[Row]) -> Path:
    """Print *rows* under the machine that made them and write them to ``.bench/<name>.json``."""
    print(f"{name} on {machine()}")
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        versus = "" if row.baseline is None else f"   baseline {row.baseline:>12,.2f}"
        ratio = "" if row.ratio is None else f"   ratio {row.ratio:.2f}"
        value = "–" if row.value is None else f"{row.value:,.2f}"
        print(f"  {row.name:<{width}} {value:>12} {row.unit:<8}{versus}{ratio}")
    OUT.mkdir(exist_ok=True)
    target = OUT / f"{name}.json"
    made = {
        "bench": name,
        "machine": machine(),
        "at": time.strftime("%Y-%m-%d", time.gmtime()),
        "load": round(os.getloadavg()[0], 1),
    }
    target.write_text(json.dumps(made | {"rows": [asdict(row) for row in rows]}, indent=2) + "\n")
    return target


def machine() -> str:
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()} ({sys.implementation.name}), "
        f"{platform.system()} {platform.release()}, SQLite {sqlite3.sqlite_version}"
    )


@contextmanager
def disk_dir() -> Iterator[Path]:
    """Give a temporary directory that is on a disk: a file system in memory would make every fsync free."""
    base = Path(".bench").absolute()
    base.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base) as name:
        yield Path(name)


class Stopwatch:
    """``with Stopwatch() as watch: …`` then ``watch.seconds``; used again it adds up."""

    seconds = 0.0

    def __enter__(self) -> "Stopwatch":
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._begun
