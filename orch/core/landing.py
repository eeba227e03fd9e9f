"""What the train's shell needs as values: candidates out of a chain, the queue and the checks as the planner sees them.

Owns: what a verdict depends on beside the tree (``environment_of``), the way between the planner's memory and its row, which
tasks are in the chain. Does not own: the planner (``train``), the membership check (``decide_repo``), what follows for a task
(``decide_landing``). Rule: pure.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import quantiles

from orch.core.ids import ProjectName, Sha, TaskRow
from orch.core.messages import CommandVerdict
from orch.core.model import Candidate, CheckRow, Intent, IntentKind, Project, Repo, Task, TrainRow, Transition
from orch.core.train import Chain, Check, Train, Waiting, initial, landed

CANCELLED = "cancelled"
"""The verdict of a check that nobody needed any more."""
WAITS_MAX = 100
"""Of so many landed tasks it is remembered how long they were in the train."""


def make_candidate(project: ProjectName, chain: Chain, position: int) -> Candidate:
    """Return the candidate of the chain's first *position* members."""
    links = chain.links[:position]
    return Candidate(
        project=project,
        base=chain.base,
        sha=chain.sha(position),
        tree=chain.tree(position),
        members=tuple(link.member for link in links),
        landed={link.member.task: link.sha for link in links},
    )


def environment_of(project: Project, toolchain: str) -> str:
    """Return a fingerprint of all that a verdict depends on beside the tree: a verdict of another one says nothing.

    The commands and the time they have, what the sandbox shows, and *toolchain*: the host, its search path, and the programs
    that the commands name.
    """
    parts = [project.test_command, project.setup_command, project.test_timeout_s, project.sandbox_read, toolchain]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


# ------------------------------------------------------------------------------------------------ the planner's view


def landing_members(intents: Iterable[Intent]) -> frozenset[TaskRow]:
    """Return the tasks that an open intent is about to land."""
    found = [intent.candidate for intent in intents if intent.kind is IntentKind.LAND and intent.candidate is not None]
    return frozenset(member.task for candidate in found for member in candidate.members)


def kept_candidates(running: Iterable[CheckRow], intents: Iterable[Intent]) -> frozenset[Sha]:
    """Return the candidates that are being tested or about to land: their commits must stay where they are."""
    about = {intent.candidate.sha for intent in intents if intent.candidate is not None}
    return frozenset(about | {check.sha for check in running})


def waiting(queue: Sequence[Task], landing: Collection[TaskRow]) -> list[Waiting]:
    """Return the queue as the planner sees it, in the order of entry.

    A task that shall be stopped stays while an intent is about to land it: what is tested behind it counts on that.
    """
    in_order = sorted(queue, key=lambda task: task.train_seq or 0)
    return [
        Waiting(task=task.row, head=task.head, exempt=task.exempt)
        for task in in_order
        if task.head is not None and (task.cancel_requested_at is None or task.row in landing)
    ]


def checks_of(rows: Sequence[CheckRow], environment: str) -> list[Check]:
    """Return the checks that say something: of this *environment*, not cancelled."""
    return [
        Check(id=row.id, tree=row.tree, verdict=None if row.verdict is None else CommandVerdict(row.verdict))
        for row in rows
        if row.environment == environment and row.verdict != CANCELLED
    ]


# ------------------------------------------------------------------------------------------------ the planner's memory


def recall(row: TrainRow, slots: int) -> Train:
    """Return what the planner remembers."""
    if row.width is None:
        return initial(slots)
    return Train(width=row.width, suspect=row.suspect, spent=row.spent, doubt=row.doubt)


def remember(row: TrainRow, train: Train) -> TrainRow:
    return replace(row, width=train.width, suspect=train.suspect, spent=train.spent, doubt=train.doubt)


def after_landing(row: TrainRow, waits: Sequence[float], slots: int) -> TrainRow:
    """Return the train's row after a candidate has landed: *waits* is how long each member of it was at its last stage."""
    row = remember(row, landed(recall(row, slots), len(waits), slots))
    return replace(row, landings=row.landings + 1, landed=row.landed + len(waits), waits=(*row.waits, *waits)[-WAITS_MAX:])


def wait_of(history: Sequence[Transition], now: datetime) -> float:
    """Return for how many seconds the task has been at its stage."""
    entered = next((line.at for line in reversed(history) if line.source is not line.target), now)
    return max(0.0, (now - entered).total_seconds())


def heed_freeze(row: TrainRow, repo: Repo, now: datetime) -> TrainRow:
    """Count the time under a freeze. A person who lifts one wants a red main to be tested again."""
    if repo.freeze is not None:
        return row if row.frozen_since is not None else replace(row, frozen_since=repo.freeze.since)
    if row.frozen_since is None:
        return row
    passed = (now - row.frozen_since).total_seconds()
    return replace(row, frozen_since=None, frozen_s=row.frozen_s + max(0.0, passed), red_main=None)


def percentiles(seconds: Sequence[float]) -> tuple[float, float] | None:
    """Return the median and the 95th percentile, None of nothing."""
    if not seconds:
        return None
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    cuts = quantiles(seconds, n=20, method="inclusive")
    return cuts[9], cuts[18]
