"""Kills the daemon at random, many times: ``python -m tests.scenario.crash --crashes 1000``.

Owns: the loop of stories, the progress line, and the table at the end. Rule: a run is repeated by its seed as far as the
machine's timing allows; the folder of a story with a fault stays, every other one goes.
"""

import argparse
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import final

from tests.reliability.proofs import keep
from tests.scenario.crash.daemon import make_place
from tests.scenario.crash.plans import RANDOM_NAMES, random_lives, random_person
from tests.scenario.crash.story import Report, play


@final
@dataclass(slots=True)
class Tally:
    """What all stories came to."""

    wanted: int
    stories: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    ready_s: list[float] = field(default_factory=list)
    unanswered: int = 0
    faults: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def crashes(self) -> int:
        return self.deaths.total()

    def add(self, number: int, report: Report | str, folder: Path) -> None:
        """Count one story; say where it lies if anything is wrong with it."""
        with self.lock:
            self.stories += 1
            wrong = [report] if isinstance(report, str) else report.faults
            self.faults += [f"story {number}: {fault} ({folder})" for fault in wrong]
            for fault in wrong:
                sys.stdout.write(f"\nFAULT in story {number}, kept in {folder}: {fault}\n")
            if isinstance(report, Report):
                self.deaths.update(death.partition(":")[0].partition(" after")[0] for death in report.deaths)
                self.ready_s += report.ready_s
                self.unanswered += report.unanswered
            passed = time.monotonic() - self.began
            sys.stdout.write(f"\r{self.crashes}/{self.wanted} crashes, {self.stories} stories, {passed:.0f} s ")
            sys.stdout.write(f"{len(self.faults)} faults")
            sys.stdout.flush()

    def figures(self) -> dict[str, object]:
        """Return what the page of faults tells of the run."""
        ready = sorted(self.ready_s) or [0.0]
        return {
            "crashes": self.crashes,
            "stories": self.stories,
            "failpoints": f"{len(set(RANDOM_NAMES) & self.deaths.keys())} of {len(RANDOM_NAMES)}",
            "ready_s_median": round(ready[len(ready) // 2], 2),
            "faults": len(self.faults),
        }

    def table(self) -> str:
        ready = sorted(self.ready_s) or [0.0]
        lines = ["", "", "died at                    times", "-" * 32]
        lines += [f"{name:<26} {times:>5}" for name, times in sorted(self.deaths.items())]
        lines += [
            "-" * 32,
            f"{self.crashes} crashes in {self.stories} stories, {time.monotonic() - self.began:.0f} s",
            f"failpoints died at: {len(set(RANDOM_NAMES) & self.deaths.keys())} of {len(RANDOM_NAMES)}",
            f"ready after a start: median {ready[len(ready) // 2]:.2f} s, "
            f"99 % {ready[int(len(ready) * 0.99)]:.2f} s, most {ready[-1]:.2f} s",
            f"requests without an answer: {self.unanswered}",
            f"faults: {len(self.faults)}",
            *self.faults,
        ]
        return "\n".join(lines)


def tell_story(tally: Tally, seed: int, number: int, most: int) -> None:
    """Play one story with lives of its own; whatever is wrong with it is counted."""
    if tally.crashes >= tally.wanted:
        return
    folder = Path(tempfile.mkdtemp(prefix="orch-crash-"))
    report: Report | str
    try:
        random = Random(f"{seed}/{number}")
        person = random_person(random)
        report = play(make_place(folder), random_lives(random, most), person=person)
    except AssertionError as error:
        report = f"{error}"
    tally.add(number, report, folder)
    if isinstance(report, Report) and not report.faults:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.scenario.crash", description=__doc__)
    parser.add_argument("--crashes", type=int, default=1000, help="how often the daemon is to die, at least")
    parser.add_argument("--lives", type=int, default=16, help="how often it dies in one story, at most")
    parser.add_argument("--workers", type=int, default=2, help="stories at the same time")
    parser.add_argument("--seed", type=int, default=None, help="what the lives are drawn with")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else Random().randrange(1_000_000)
    sys.stdout.write(f"seed {seed}\n")
    tally, number = Tally(wanted=options.crashes), 0
    try:
        with ThreadPoolExecutor(options.workers) as pool:
            while tally.crashes < options.crashes:
                batch = range(number, number + options.workers * 4)
                number = batch.stop
                list(pool.map(lambda each: tell_story(tally, seed, each, options.lives), batch))
    except KeyboardInterrupt:
        sys.stdout.write("\nstopped: the stories under way were told to their end")
    sys.stdout.write(tally.table() + "\n")
    keep("crash", "make crash", tally.figures(), good=not tally.faults)
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
