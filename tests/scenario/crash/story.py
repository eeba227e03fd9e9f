"""The crash story: one board, one repository, as many lives of the daemon as its plan has, and one more that finishes.

Owns: the loop of lives. Rule: the plan says how each life is to end; a life that reaches the end of the story is the last.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import final

from tests.scenario.crash.daemon import POLL_S, Daemon, Place, StoryError
from tests.scenario.crash.judge import Judge
from tests.scenario.crash.person import Person

STORY_S = 200.0
"""Some 5 s on an idle machine."""
KILLED = -9


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How one life is to end: at a failpoint, killed after some time, or stopped in good order at a stage (*stop_at*)."""

    failpoint: str = ""
    kill_after_s: float | None = None
    stop_at: str = ""

    def __str__(self) -> str:
        stop = f" stopped at {self.stop_at}" if self.stop_at else ""
        return (self.failpoint or (f"SIGKILL after {self.kill_after_s:.2f} s" if self.kill_after_s else "lives on")) + stop


@final
@dataclass(slots=True)
class Report:
    """What came of it. *ready_s* is how long each start took to be ready, *reached* which lives ended as planned."""

    deaths: list[str] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)
    reached: list[bool] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    unanswered: int = 0
    seconds: float = 0.0


def play(place: Place, lives: Iterator[Life], *, person: Person | None = None, deaths: int = 0, restored: bool = False) -> Report:
    """Play the story over *lives*, then judge it. Raises StoryError where it does not come to its end.

    *person* goes on where they were, after *deaths* earlier ones; *restored*: on a backup that was put back.
    """
    person, report, began = person or Person(), Report(), time.monotonic()
    while True:
        life = next(lives, Life())
        daemon = Daemon(place, failpoint=life.failpoint)
        try:
            finished = _live(daemon, life, person, report, began)
        except BaseException:
            daemon.kill()
            daemon.end()
            raise
        if finished:
            break
    report.unanswered, report.seconds = person.unanswered, time.monotonic() - began
    report.faults = Judge(place, person, deaths=deaths + len(report.deaths), restored=restored).faults()
    return report


def _live(daemon: Daemon, life: Life, person: Person, report: Report, began: float) -> bool:
    """Live one life; True when the story is finished and the daemon has ended in good order."""
    ready = daemon.wait_ready()
    if ready:
        assert daemon.ready_s is not None
        report.ready_s.append(daemon.ready_s)
    kill_at = None if life.kill_after_s is None else daemon.began + life.kill_after_s
    stopping = False
    while daemon.code() is None:
        now = time.monotonic()
        if now - began > STORY_S:
            raise StoryError(f"the story did not end within {STORY_S:g} s, at {person.stages}:\n{daemon.tail()}")
        if kill_at is not None and now >= kill_at:
            daemon.kill()
            break
        if not stopping and person.step(daemon):
            daemon.ask_to_stop()
            return _ended(daemon, life, report, finished=True)
        if not stopping and life.stop_at and life.stop_at in person.stages.values():
            daemon.ask_to_stop()
            stopping = True
        time.sleep(POLL_S)
    return _ended(daemon, life, report, finished=False)


def _ended(daemon: Daemon, life: Life, report: Report, *, finished: bool) -> bool:
    """Read the exit code: a death must have been asked for, and a good end is one only where somebody asked to stop."""
    code = daemon.end()
    planned = bool(life.failpoint or life.kill_after_s is not None)
    if code == KILLED and planned:
        report.deaths.append(str(life))
        report.reached.append(True)
        return False
    if code == 0 and (finished or life.stop_at):
        if planned:
            report.reached.append(False)
        return finished
    raise StoryError(f"the daemon ended with {code} ({life}):\n{daemon.tail()}")
