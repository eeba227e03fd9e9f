"""The line as one table of data: stages, who works in each, and where each may go.

Owns: the stage table and ``step()``. Nothing about stages lives elsewhere; ``docs/stages.md`` and its
diagram are generated from here.
Rule: a transition that the table does not list raises IllegalTransition and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import final

from orch.core.errors import IllegalTransition


class Role(StrEnum):
    """Who speaks and works. ``stream`` is the daemon's own voice and runs no agent."""

    ANALYST = "analyst"
    ARCHITECT = "architect"
    DEVELOPER = "developer"
    REVIEWER = "reviewer"
    TESTER = "tester"
    DEPLOYER = "deployer"
    STREAM = "stream"


class Stage(StrEnum):
    """A task's persisted position."""

    ANALYSIS = "analysis"
    ARCHITECTURE = "architecture"
    DEVELOPMENT = "development"
    REVIEW = "review"
    TESTING = "testing"
    DEPLOY_STAGING = "deploy-staging"
    DEPLOY = "deploy"
    DONE = "done"
    CANCELLED = "cancelled"


class Move(StrEnum):
    """Why a task leaves its stage; with the stage it names exactly one row of the table."""

    PASSED = "passed"
    RETURNED = "returned"
    SENT_BACK = "sent-back"
    MERGED_OUTSIDE = "merged-outside"
    STOPPED = "stopped"
    BRANCH_MOVED = "branch-moved"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """One row: *gates* are the checks to pass, in order; *moves* says where each move leads.

    ``SENT_BACK`` may name any earlier stage and is not listed: ``may_send_back`` decides it.
    """

    stage: Stage
    role: Role | None
    gates: tuple[str, ...]
    moves: Mapping[Move, Stage]
    artefacts: tuple[str, ...] = ()


def _row(
    stage: Stage,
    role: Role | None,
    gates: tuple[str, ...],
    moves: Mapping[Move, Stage],
    artefacts: tuple[str, ...] = (),
) -> StageRow:
    return StageRow(stage=stage, role=role, gates=gates, moves=moves, artefacts=artefacts)


_DEV, _STOP, _MERGED = Stage.DEVELOPMENT, {Move.STOPPED: Stage.CANCELLED}, {Move.MERGED_OUTSIDE: Stage.DEPLOY}
_MOVED = {Move.BRANCH_MOVED: _DEV}

TABLE: Mapping[Stage, StageRow] = {
    row.stage: row
    for row in (
        _row(
            Stage.ANALYSIS,
            Role.ANALYST,
            ("analysis_artifacts", "approved"),
            {Move.PASSED: Stage.ARCHITECTURE, Move.RETURNED: Stage.ANALYSIS, **_STOP, **_MERGED},
            ("01-brd.md", "02-acceptance.md", "questions.md"),
        ),
        _row(
            Stage.ARCHITECTURE,
            Role.ARCHITECT,
            ("architecture_artifacts",),
            {Move.PASSED: _DEV, **_STOP, **_MERGED},
            ("06-adr/ADR-NNN-*.md",),
        ),
        _row(
            Stage.DEVELOPMENT,
            Role.DEVELOPER,
            ("branch_pushed", "pull_request_open", "ci_green"),
            {Move.PASSED: Stage.REVIEW, **_STOP, **_MERGED, **_MOVED},
        ),
        _row(
            Stage.REVIEW,
            Role.REVIEWER,
            ("review_verdict",),
            {Move.PASSED: Stage.TESTING, Move.RETURNED: _DEV, **_STOP, **_MERGED, **_MOVED},
            ("07-review.md",),
        ),
        _row(
            Stage.TESTING,
            Role.TESTER,
            ("test_verdict",),
            {Move.PASSED: Stage.DEPLOY_STAGING, Move.RETURNED: _DEV, **_STOP, **_MERGED, **_MOVED},
            ("08-test-report.md",),
        ),
        _row(
            Stage.DEPLOY_STAGING,
            Role.DEPLOYER,
            ("staging_status", "branch_mergeable"),
            {Move.PASSED: Stage.DEPLOY, Move.RETURNED: _DEV, **_STOP, **_MERGED, **_MOVED},
            ("09-staging.md",),
        ),
        _row(Stage.DEPLOY, Role.DEPLOYER, ("deploy_status",), {Move.PASSED: Stage.DONE, **_STOP}),
        _row(Stage.DONE, None, (), {}),
        _row(Stage.CANCELLED, None, (), {}),
    )
}

ORDER: tuple[Stage, ...] = tuple(TABLE)
TERMINAL: frozenset[Stage] = frozenset({Stage.DONE, Stage.CANCELLED})


def is_terminal(stage: Stage) -> bool:
    """Say whether nothing more happens to a task in *stage*. The one predicate for gate, dependencies, claim and sweep."""
    return stage in TERMINAL


def is_landed(stage: Stage) -> bool:
    """Say whether a task in *stage* is in the default branch by the line's own work."""
    return stage in {Stage.DEPLOY, Stage.DONE}


def step(stage: Stage, move: Move) -> Stage:
    """Return where *move* leads from *stage*; raise IllegalTransition where the table has no such row."""
    target = TABLE[stage].moves.get(move)
    if target is None:
        raise IllegalTransition(f"{stage} has no transition for {move}")
    return target


def may_send_back(stage: Stage, target: Stage) -> bool:
    """Say whether a person may send an unlanded task in *stage* back to *target* (an earlier or the same stage)."""
    if is_terminal(stage) or is_landed(stage) or is_terminal(target):
        return False
    return ORDER.index(target) <= ORDER.index(stage)
