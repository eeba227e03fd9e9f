"""The merge train's rows: one run of the test command on a candidate, and what the planner remembers."""

from dataclasses import dataclass
from datetime import datetime
from typing import final

from orch.core.ids import CheckId, ProjectName, RunId, Sha, TaskRow
from orch.core.model.repo import Member


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One run of the test command on *tree*, as candidate *sha* of *members* on *base* (no members: a control run).

    *verdict* is None while it runs; otherwise ``green, red, timeout, infra, interrupted``, or ``cancelled`` where nobody needed
    it any more. *environment* is a fingerprint of what the verdict depends on beside the tree: commands and toolchain.
    *run* is the row of the run that executed it, under the last member's task.
    """

    id: CheckId
    project: ProjectName
    base: Sha
    sha: Sha
    tree: Sha
    members: tuple[Member, ...]
    environment: str
    run: RunId | None = None
    verdict: str | None = None
    tail: str = ""
    log_path: str = ""
    seconds: float = 0.0
    started_at: datetime
    ended_at: datetime | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRow:
    """What a project's planner remembers, and what people are told: *held* is why a task outside the chain waits.

    The counters are over the train's whole life: *landings* pushes of the default branch, *landed* tasks in them, *ejected* tasks
    sent back by a red pair, *checks* runs of the test command begun.
    """

    project: ProjectName
    width: int | None = None
    """None: the planner has seen nothing yet."""
    suspect: TaskRow | None = None
    spent: CheckId | None = None
    doubt: int = 0
    red_main: Sha | None = None
    """The tree of a default branch that is red where no machine may freeze: over it nothing but fixes is tested or landed."""
    held: tuple[tuple[TaskRow, str], ...] = ()
    landings: int = 0
    landed: int = 0
    ejected: int = 0
    checks: int = 0
    wasted: int = 0
    """Checks that were cancelled or whose verdict nobody used."""
    lost_swaps: int = 0
    """Pushes of the default branch that found it moved."""
    waits: tuple[float, ...] = ()
    """Of the last tasks that landed: how many seconds each was at deploy-staging."""
    frozen_s: float = 0.0
    frozen_since: datetime | None = None
    """Since when the freeze stands that is not yet counted in *frozen_s*."""
