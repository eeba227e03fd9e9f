"""``python -m tests.scenario.sim --seeds 1000``: tell so many fates, judge each, shrink what fails, and say what occurred.

``--seed N`` tells one, prints its trace with ``--verbose``, and shrinks it if it fails.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from time import monotonic, process_time

from tests.reliability.proofs import keep
from tests.scenario.sim.fate import make_plan
from tests.scenario.sim.play import Told, tell
from tests.scenario.sim.shrink import Shrinker, story

SAY_S = 10.0
DAY_S = 86400.0
CHUNK = 4


def judge(seed: int) -> tuple[Told, float]:
    """Tell one seed; the trace is left behind unless something is wrong."""
    began = process_time()
    told = tell(make_plan(seed))
    return told if told.faults else told.without_notes(), process_time() - began


def main() -> int:
    given = _arguments()
    if os.environ.get("PYTHONHASHSEED") != "0":  # an order that hangs on the hash of a text is told the same way each time
        arguments = [sys.executable, "-m", "tests.scenario.sim", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, "PYTHONHASHSEED": "0"})
    if given.seed is not None:
        return _one(given.seed, verbose=given.verbose, shrink=not given.whole)
    return _many(given)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.scenario.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="tell this one alone")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so long; 0: when all are told")
    parser.add_argument("--verbose", action="store_true", help="with --seed: print the whole trace")
    parser.add_argument("--whole", action="store_true", help="do not shrink what fails")
    return parser.parse_args()


def _one(seed: int, *, verbose: bool, shrink: bool) -> int:
    told = tell(make_plan(seed))
    if verbose:
        sys.stdout.write("".join(f"{note}\n" for note in told.notes))
    if told.faults and shrink:
        smaller = Shrinker(told.faults[0].guarantee).shrink(told.plan)
        sys.stdout.write(f"{story(tell(smaller))}\n\nwhole, it was:\n")
    sys.stdout.write("".join(f"  BROKEN {fault}\n" for fault in told.faults))
    sys.stdout.write(f"seed {seed}: trace {told.digest}, {told.seconds / 3600:.1f} h, {len(told.faults)} faults\n")
    return 1 if told.faults else 0


def _many(given: argparse.Namespace) -> int:
    began, counts, bad, days, number = monotonic(), Counter[str](), list[Told](), 0.0, 0
    seeds = range(given.first, given.first + given.seeds)
    said = began
    with ProcessPoolExecutor(given.workers) as pool:
        for told, _ in _results(pool, seeds, given.minutes * 60):
            number, days = number + 1, days + told.seconds / DAY_S
            counts += told.counts
            if told.faults:
                bad.append(told)
                sys.stdout.write(f"\nseed {told.plan.seed}: {told.faults[0]}\n")
            if monotonic() - said > SAY_S:
                said = monotonic()
                sys.stdout.write(f"\r{number} of {len(seeds)} fates, {len(bad)} broken, {days / (said - began):.4f} days/s ")
                sys.stdout.flush()
    seconds = monotonic() - began
    _table(counts)
    if bad and not given.whole:
        smaller = Shrinker(bad[0].faults[0].guarantee).shrink(bad[0].plan)
        sys.stdout.write(f"\n{story(tell(smaller))}\n")
    sys.stdout.write(
        f"\n{number} fates, {len(bad)} broken, {days:.1f} simulated days in {seconds:.0f} s: {days / seconds:.4f} days/s\n"
    )
    keep(
        "sim", "make sim", {"fates": number, "broken": len(bad), "simulated days": round(days, 1), **_proof(counts)}, good=not bad
    )
    if bad:
        sys.stdout.write(f"broken seeds: {' '.join(str(told.plan.seed) for told in bad)}\n")
    return 1 if bad else 0


def _proof(counts: Counter[str]) -> dict[str, int]:
    """Return the few counts that show what was survived."""
    kinds = ("crash", "main moves", "agent starts", "deploy", "hook lost", "task done", "task cancelled")
    return {kind: counts[kind] for kind in kinds}


def _results(pool: ProcessPoolExecutor, seeds: range, seconds: float) -> Iterator[tuple[Told, float]]:
    """Yield results in the order of their seeds, until the time is over."""
    began = monotonic()
    for start in range(0, len(seeds), 100):
        if seconds and monotonic() - began > seconds:
            return
        yield from pool.map(judge, seeds[start : start + 100], chunksize=CHUNK)


def _table(counts: Counter[str]) -> None:
    sys.stdout.write("\n\nwhat occurred:\n")
    for kind, number in sorted(counts.items(), key=lambda item: -item[1]):
        sys.stdout.write(f"  {number:9,}  {kind}\n")


if __name__ == "__main__":
    sys.exit(main())
