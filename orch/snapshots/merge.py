"""The merge train as people see it: who stands in it, what is being tested, who is held by whom, and how it does.

Rule: read from the rows that the train itself works with; nothing is counted here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import final

from orch.core.ids import TaskRow
from orch.core.landing import percentiles, recall
from orch.core.model import CheckRow, Intent, IntentKind, Limits, Repo, Task, TrainRow
from orch.core.render.quote import plain
from orch.ports import Tx
from orch.snapshots.reader import Block, Present, Reader

ROWS_MAX = 200
ENDED_MAX = 10
"""Of so many checks that ended last the verdict is shown."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReader:
    """Reads the trains in one transaction. *name* says what people call the task in a row."""

    tx: Tx
    reader: Reader
    limits: Limits
    present: Present
    now: datetime
    name: Callable[[TaskRow], str | None]

    def block(self, repos: Sequence[Repo], intents: Sequence[Intent]) -> Block:
        """Return each project's train, and the landings between intent and record."""
        landing = [self._landing(intent) for intent in intents if intent.kind is IntentKind.LAND]
        return {"enabled": True, "queues": [self._train(repo) for repo in repos], "landing": landing}

    def _train(self, repo: Repo) -> Block:
        row, held = self.tx.load_train(repo.project), dict(self.tx.load_train(repo.project).held)
        project = self.present.projects.get(repo.project)
        queue = self.reader.queue(repo.project)[:ROWS_MAX]
        running = self.tx.list_checks(repo.project, running=True)
        ended = [check for check in self.tx.list_checks(repo.project, limit=ENDED_MAX) if check.verdict is not None]
        return {
            "project": repo.project,
            "main": repo.main,
            "merge_gate": project is None or project.merge_gate,
            "frozen": repo.freeze is not None,
            "red_main": row.red_main is not None,
            "suspect": self.name(row.suspect) if row.suspect is not None else None,
            "slots": self.limits.test_slots,
            "width": recall(row, self.limits.test_slots).width,
            "members": [self._member(task, place, held.get(task.row, "")) for place, task in enumerate(queue, start=1)],
            "checks": [self._check(check) for check in running],
            "ended": [self._check(check) for check in reversed(ended)],
            **self._figures(row),
        }

    def _member(self, task: Task, place: int, held: str) -> Block:
        return {
            "id": task.work_item,
            "position": place,
            "exempt": task.exempt,
            "head": task.head,
            "since": task.updated_at.isoformat(),
            "note": plain(task.note, 300),
            "held": plain(held, 300),
        }

    def _check(self, check: CheckRow) -> Block:
        """Return one run of the test command; without members it is a control run of the default branch itself."""
        seconds = check.seconds if check.verdict is not None else (self.now - check.started_at).total_seconds()
        return {
            "id": int(check.id),
            "members": [self.name(member.task) for member in check.members],
            "base": check.base,
            "sha": check.sha,
            "tree": check.tree,
            "verdict": check.verdict,
            "seconds": round(max(0.0, seconds), 3),
            "started_at": check.started_at.isoformat(),
        }

    def _figures(self, row: TrainRow) -> Block:
        spread, decided = percentiles(row.waits), row.landed + row.ejected
        frozen_s = row.frozen_s + ((self.now - row.frozen_since).total_seconds() if row.frozen_since is not None else 0.0)
        return {
            "landings": row.landings,
            "landed": row.landed,
            "ejected": row.ejected,
            "red_share": round(row.ejected / decided, 4) if decided else None,
            "runs": row.checks,
            "runs_per_landed": round(row.checks / row.landed, 3) if row.landed else None,
            "wasted": row.wasted,
            "lost_swaps": row.lost_swaps,
            "wait_s": None if spread is None else {"p50": round(spread[0], 3), "p95": round(spread[1], 3)},
            "frozen_s": round(max(0.0, frozen_s), 3),
        }

    def _landing(self, intent: Intent) -> Block:
        candidate = intent.candidate
        members = [self.name(member.task) for member in candidate.members] if candidate is not None else []
        return {
            "project": intent.project,
            "since": intent.at.isoformat(),
            "sha": candidate.sha if candidate is not None else None,
            "base": candidate.base if candidate is not None else None,
            "members": members,
        }
