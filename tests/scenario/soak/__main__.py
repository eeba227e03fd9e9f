"""``python -m tests.scenario.soak --tasks 2000 --real 60``: a long life, and what grew in it."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic

import anyio

from tests.reliability.proofs import keep
from tests.scenario.soak import real, virtual
from tests.scenario.soak.samples import Bound, Sample, faults, growth


def table(samples: Sequence[Sample], bounds: Sequence[Bound]) -> str:
    rows = [f"{'':<18}{'first':>12}{'last':>12}{'growth':>12}"]
    for bound in bounds:
        first, last = samples[0].figures[bound.figure], samples[-1].figures[bound.figure]
        rows.append(f"{bound.figure:<18}{first:>12,.0f}{last:>12,.0f}{growth(samples, bound.figure):>12,.0f}")
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scenario.soak", description=__doc__)
    parser.add_argument("--tasks", type=int, default=2000, help="through the actors on virtual time")
    parser.add_argument("--real", type=int, default=60, help="through a real daemon")
    given, began = parser.parse_args(), monotonic()

    def progress(tasks: int, sample: Sample) -> None:
        sys.stdout.write(f"\r{sample.tasks}/{tasks} tasks, {sample.tasks // virtual.BATCH} days, {monotonic() - began:.0f} s ")
        sys.stdout.flush()

    told = virtual.soak(given.tasks, progress)
    wrong = faults(told, virtual.BOUNDS)
    sys.stdout.write(f"\n{table(told, virtual.BOUNDS)}\n")
    with tempfile.TemporaryDirectory(prefix="orch-soak-") as folder:
        lived = anyio.run(partial(real.soak, Path(folder), given.real))
    wrong += faults(lived, real.BOUNDS)
    sys.stdout.write(f"{given.real} tasks through a real daemon\n{table(lived, real.BOUNDS)}\n")
    for fault in wrong:
        sys.stdout.write(f"FAULT {fault}\n")
    days, memory = given.tasks // virtual.BATCH, growth(lived, "memory, KiB")
    figures = {
        "tasks": given.tasks,
        "days": days,
        "real tasks": given.real,
        "memory growth, KiB": round(memory),
        "faults": len(wrong),
    }
    keep("soak", "make soak", figures, good=not wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
