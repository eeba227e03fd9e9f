"""Ready-made values for tests of the core: one task, run and job, each field to be changed by keyword."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orch.core.ids import Attempt, Branch, IssueId, JobId, ProjectName, RunId, Sha, TaskRow, WorkItemId
from orch.core.model import Feedback, Job, JobState, Outcome, Run, RunKind, RunMode, Task, Usage
from orch.core.stages import Role, Stage

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SHA_A = Sha("a" * 40)
SHA_B = Sha("b" * 40)


def ago(**spans: float) -> datetime:
    return NOW - timedelta(**spans)


def make_task(**changes: Any) -> Task:
    task = Task(
        row=TaskRow(1),
        project=ProjectName("shop"),
        issue=IssueId("SHOP-12"),
        work_item=WorkItemId("SHOP-12"),
        title="Add a basket",
        description="Customers want to keep what they chose.",
        branch=Branch("feature/SHOP-12-add-a-basket"),
        created_at=ago(hours=2),
        updated_at=ago(minutes=5),
    )
    return replace(task, **changes)


def make_run(**changes: Any) -> Run:
    run = Run(
        id=RunId(7),
        job=JobId(3),
        task=TaskRow(1),
        project=ProjectName("shop"),
        kind=RunKind.AGENT,
        stage=Stage.ANALYSIS,
        role=Role.ANALYST,
        attempt=Attempt(1),
        agent="claude",
        model="opus",
        outcome=Outcome.SUCCEEDED,
        usage=Usage(input=1_000, output=500, cache_read=10_000, cache_creation=300),
        cost_usd=0.25,
        started_at=ago(minutes=10),
        ended_at=ago(minutes=8),
    )
    return replace(run, **changes)


def make_job(**changes: Any) -> Job:
    job = Job(
        id=JobId(3),
        task=TaskRow(1),
        project=ProjectName("shop"),
        stage=Stage.ANALYSIS,
        role=Role.ANALYST,
        mode=RunMode.NEW_ATTEMPT,
        priority=0,
        state=JobState.QUEUED,
        not_before=None,
        feedback=Feedback(),
        created_at=ago(minutes=4),
        updated_at=ago(minutes=4),
    )
    return replace(job, **changes)
