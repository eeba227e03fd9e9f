"""The figures of the whole line, for the metrics: the census, each repo and its train, paused accounts.

Rule: counts and the rows that the train itself works with; no task is loaded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import final

from orch.core.ids import ProjectName
from orch.core.landing import percentiles, recall
from orch.core.model import Census, Limits, Repo, TrainRow
from orch.ports import Tx


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RepoFigures:
    """One repo and its train. *members* stand in the train, *checks* are candidates under test; *wait_s* is median and 95th
    percentile of the last tasks' time at landing, None before any landed."""

    repo: Repo
    train: TrainRow
    members: int
    checks: int
    width: int
    wait_s: tuple[float, float] | None
    frozen_s: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LineFigures:
    census: Census = field(default_factory=Census)
    repos: Mapping[ProjectName, RepoFigures] = field(default_factory=dict)
    accounts: tuple[str, ...] = ()
    slots: int = 0
    test_slots: int = 0


def load_figures(tx: Tx, now: datetime, limits: Limits, projects: Iterable[ProjectName]) -> LineFigures:
    """Return the figures of everything, those of *projects* also where no task of them lives."""
    census = tx.census()
    known = {*projects, *(project for project, _, _ in census.tasks)}
    return LineFigures(
        census=census,
        repos={project: _repo_figures(tx, project, now, limits) for project in sorted(known)},
        accounts=tuple(sorted(account.name for account in tx.paused_accounts() if account.pause is not None)),
        slots=limits.max_concurrency,
        test_slots=limits.test_slots,
    )


def _repo_figures(tx: Tx, project: ProjectName, now: datetime, limits: Limits) -> RepoFigures:
    train = tx.load_train(project)
    since = (now - train.frozen_since).total_seconds() if train.frozen_since is not None else 0.0
    return RepoFigures(
        repo=tx.load_repo(project),
        train=train,
        members=len(tx.landing_queue(project)),
        checks=len(tx.list_checks(project, running=True)),
        width=recall(train, limits.test_slots).width,
        wait_s=percentiles(train.waits),
        frozen_s=max(0.0, train.frozen_s + since),
    )
