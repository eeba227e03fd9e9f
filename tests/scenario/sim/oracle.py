"""The oracle: sees what the outside world saw and what the store says, and judges every guarantee at each step and at the end.

Owns: when what is judged, and the list of what is judged elsewhere. The guarantees themselves: ``seen`` (at each thing seen
outside), ``stored`` (after each commit), ``ends`` (when all is quiet). Rule: it knows nothing of the product's own reasons.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import final

from orch.core.ids import IssueId
from tests.scenario.sim import ends, seen, stored
from tests.scenario.sim.look import Look, connection_of, look
from tests.scenario.sim.seen import Seen
from tests.scenario.sim.stored import Commit
from tests.scenario.sim.trace import Note
from tests.scenario.sim.world import SimGround

ELSEWHERE = {
    "G5 within grace + 1 s, no descendants": "no process is real here: tests/integration, tests/scenario/test_stop.py",
    "G13 Secrets stay home": "no text is real here: tests/integration (canaries), tests/scenario/test_sandbox.py",
    "G14 A switch that is off": "one fate per switch would hide the others: tests/actors and tests/scenario told per switch",
    "G16 Money is bounded": "fake agents stream no turns: tests/core and tests/actors of the budget",
    "S9": "MERGE.md has no S9; the name is used here for the pull requests' ends",
    "L2, L4 of the train": "order and waste are figures: tests/core/train_*.py and tests/bench/bench_train.py",
    "R2, R7 torn files, EIO": "the store is in memory here: tests/integration of the store",
}
"""What cannot be judged here, and where it is."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A guarantee that did not hold, and how."""

    guarantee: str
    told: str
    at: float

    def __str__(self) -> str:
        return f"{self.guarantee}: {self.told} (at {self.at:.2f} s)"


@final
class Oracle:
    """See the module's docstring. *counts* are how often each guarantee had something to judge."""

    def __init__(self, ground: SimGround) -> None:
        self._ground = ground
        self._commit = Commit(Seen(ground))
        self._last_step = 0
        self._changes = -1
        self._stops: set[int] = set()
        self.faults: list[Fault] = []
        self.judged: Counter[str] = Counter()
        ground.trace.watch, ground.committed = self.note, self.commit

    def found(self, guarantee: str, told: str) -> None:
        """Take a fault in, once."""
        at = self._ground.trace.notes[-1].at if self._ground.trace.notes else 0.0
        if not any(fault.guarantee == guarantee and fault.told == told for fault in self.faults):
            self.faults.append(Fault(guarantee=guarantee, told=told, at=at))

    def note(self, note: Note) -> None:
        """Judge one thing that the outside world saw."""
        for guarantee in seen.AT_EACH_NOTE:
            for told in guarantee(self._commit.seen, note):
                self.found(guarantee.__name__, told)
        self._commit.seen.remember(note)
        if note.by == "person" and self._says_stop(note):
            self._remember_stop(note.what[0])

    def _says_stop(self, note: Note) -> bool:
        return note.kind == "moves" and note.what[1] == "stop"

    def _remember_stop(self, issue: str) -> None:
        """A person is about to move the card to STOP: whoever is live then must end, if the card was not there already."""
        found = self._ground.store._inner._tx.load_issue(IssueId(issue))
        if found is not None and found.state_id != "stop" and not found.archived:
            self._stops |= {task.row for task in self.now.of_issue(issue) if not task.over}

    @property
    def now(self) -> Look:
        return self._commit.after

    def commit(self) -> None:
        """Judge what the daemon's newest commit has made of the store."""
        changes = connection_of(self._ground).total_changes
        if changes == self._changes:
            return
        self._changes = changes
        commit = self._commit
        commit.before, commit.after = commit.after, look(self._ground, self._last_step)
        self._last_step = max((step.number for step in commit.after.steps), default=self._last_step)
        commit.seen.now = commit.after
        for guarantee in stored.AT_EACH_COMMIT:
            for told in guarantee(commit):
                self.found(guarantee.__name__, told)
        commit.remember()
        self.judged["commits"] += 1

    def rests(self) -> bool:
        """Say whether nothing moves any more."""
        self.commit()
        sql = connection_of(self._ground)
        waiting = sql.execute("SELECT count(*) FROM outbox WHERE state = 'pending'").fetchone()[0]
        waiting += sql.execute("SELECT count(*) FROM inbox WHERE state = 'pending'").fetchone()[0]
        waiting += sql.execute("SELECT count(*) FROM watch WHERE state = 'watching'").fetchone()[0]
        waiting += sql.execute("SELECT count(*) FROM task WHERE stage IN ('done', 'cancelled') AND swept = 0").fetchone()[0]
        tasks = self.now.tasks.values()
        return not waiting and not self.now.intents and not any(ends.resting(self._commit.seen, self.now, task) for task in tasks)

    def end(self, calm_at: datetime) -> None:
        """Judge what there is when all is quiet."""
        end = ends.End(self._commit.seen, self.now, calm_at, frozenset(self._stops))
        for guarantee in ends.AT_THE_END:
            for told in guarantee(end):
                self.found(guarantee.__name__, told)
