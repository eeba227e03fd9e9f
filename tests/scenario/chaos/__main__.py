"""``python -m tests.scenario.chaos --seeds 10000``: tell the story in as many ways, and name the seeds that end otherwise."""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from time import monotonic

from tests.reliability.proofs import keep
from tests.scenario.chaos.story import CALM, STORMS, TEN, THREE, Cast, differences, tell


def judge(seed: int, calm: dict[str, object], cast: Cast) -> list[str]:
    """Return what is different in the end of one telling, or the error that ended it."""
    try:
        return differences(calm, tell(seed, STORMS[seed % len(STORMS)], cast))
    except Exception as error:  # noqa: BLE001 - a telling that fails is a finding, and the next seed is told
        return [f"{type(error).__name__}: {error}"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scenario.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed; a failing one is told again with --seeds 1")
    parser.add_argument("--cards", type=int, default=TEN.cards, choices=(THREE.cards, TEN.cards), help="how long the story is")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    cast = TEN if given.cards == TEN.cards else THREE
    calm, began, bad = dict(tell(0, CALM, cast)), monotonic(), 0
    with ProcessPoolExecutor(given.workers) as pool:
        for seed, found in zip(seeds, pool.map(partial(judge, calm=calm, cast=cast), seeds, chunksize=8), strict=True):
            bad += bool(found)
            for line in found:
                sys.stdout.write(f"seed {seed}: {line}\n")
    sys.stdout.write(f"{len(seeds)} seeds, {bad} with another end, {monotonic() - began:.0f} s\n")
    keep("chaos", "make chaos", {"seeds": len(seeds), "with another end": bad}, good=not bad)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
