"""Builders of the nouns for tests: a valid value by default, and the one field that a test is about by keyword.

Rule: nothing random and no clock; two calls with the same arguments give equal values.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import anyio

from orch.core.gates import Artefact, BranchFacts
from orch.core.ids import (
    ActivityId,
    Attempt,
    Branch,
    DeployId,
    IssueId,
    JobId,
    ProjectName,
    RunId,
    Sha,
    TaskRow,
    UserId,
    WorkItemId,
)
from orch.core.model import (
    Activity,
    BoardComment,
    BoardIssue,
    Candidate,
    Deploy,
    Feedback,
    Job,
    JobState,
    Limits,
    Member,
    NewJob,
    NewOutbox,
    NewTask,
    Park,
    ParkReason,
    Project,
    Run,
    RunKind,
    RunMode,
    Target,
    Task,
    Transition,
    Verdict,
    VerdictValue,
    Watch,
)
from orch.core.stages import Role, Stage
from orch.core.turn import Context, Decided
from orch.ports import Store, Tx

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
DEMO = ProjectName("demo")


def sha(seed: int | str) -> Sha:
    """Return a full object id that is easy to tell apart: ``sha("a")`` is forty times ``a``."""
    text = f"{seed:x}" if isinstance(seed, int) else seed
    return Sha((text * 40)[:40])


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class ManualClock:
    """The ``Clock`` port in a test's hands: wall time stands still until ``tick``; waiting follows the backend's own clock."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    def tick(self, seconds: float) -> datetime:
        self._now += timedelta(seconds=seconds)
        self._elapsed += seconds
        return self._now

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


def make_project(**fields: Any) -> Project:
    base = Project(name=DEMO, prefix="DEMO", repo="demo.git", test_command=("true",))
    return replace(base, **fields)


def make_limits(**fields: Any) -> Limits:
    return replace(Limits(), **fields)


def make_task(number: int = 1, **fields: Any) -> Task:
    base = Task(
        row=TaskRow(number),
        project=DEMO,
        issue=IssueId(f"DEMO-{number}"),
        work_item=WorkItemId(f"DEMO-{number}"),
        title="Add a greeting",
        description="The program should greet whoever starts it.",
        branch=Branch(f"feature/DEMO-{number}-add-a-greeting"),
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(base, **fields)


def make_park(reason: ParkReason = ParkReason.RETRIES_EXHAUSTED, **fields: Any) -> Park:
    return replace(Park(reason=reason, since=NOW, evidence="it failed three times"), **fields)


def make_new_task(number: int = 1, **fields: Any) -> NewTask:
    base = NewTask(
        project=DEMO,
        issue=IssueId(f"DEMO-{number}"),
        prefix="DEMO",
        sequence=number,
        title="Add a greeting",
        description="The program should greet whoever starts it.",
        slug="add-a-greeting",
        url="",
        at=NOW,
    )
    return replace(base, **fields)


def make_new_job(task: Task, **fields: Any) -> NewJob:
    base = NewJob(task=task.row, project=task.project, stage=task.stage, role=Role.ANALYST, at=NOW)
    return replace(base, **fields)


def make_job(task: Task | None = None, **fields: Any) -> Job:
    task = task or make_task()
    base = Job(
        id=JobId(1),
        task=task.row,
        project=task.project,
        stage=task.stage,
        role=Role.ANALYST,
        mode=RunMode.NEW_ATTEMPT,
        priority=0,
        state=JobState.RUNNING,
        not_before=None,
        feedback=Feedback(),
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(base, **fields)


def make_run(task: Task | None = None, **fields: Any) -> Run:
    task = task or make_task()
    base = Run(
        id=RunId(1),
        job=JobId(1),
        task=task.row,
        project=task.project,
        kind=RunKind.AGENT,
        stage=task.stage,
        role=Role.ANALYST,
        attempt=task.attempt,
        started_at=NOW,
    )
    return replace(base, **fields)


def make_deploy(task: Task | None = None, **fields: Any) -> Deploy:
    """A running deploy of the task's landing, in its first try."""
    of = task or make_task(landed=sha("d"))
    base = Deploy(
        id=DeployId(1),
        project=of.project,
        task=of.row,
        run=RunId(9),
        sha=of.landed or sha("d"),
        tries=1,
        deadline_at=later(1800),
        started_at=NOW,
    )
    return replace(base, **fields)


def make_watch(**fields: Any) -> Watch:
    """A watch of ten minutes that has begun just now."""
    base = Watch(
        deploy=DeployId(1),
        project=DEMO,
        task=TaskRow(1),
        sha=sha("c"),
        since=NOW,
        until=later(600),
        next_at=later(15),
    )
    return replace(base, **fields)


def make_verdict(task: Task, **fields: Any) -> Verdict:
    base = Verdict(
        task=task.row,
        stage=Stage.REVIEW,
        run=None,
        attempt=Attempt(task.attempt),
        value=VerdictValue.APPROVED,
        code_head=sha("c"),
        at=NOW,
    )
    return replace(base, **fields)


def make_transition(task: Task, **fields: Any) -> Transition:
    base = Transition(task=task.row, at=NOW, source=None, target=task.stage, cause="started", by="anna")
    return replace(base, **fields)


def make_new_outbox(task: Task | None = None, **fields: Any) -> NewOutbox:
    base = NewOutbox(
        project=DEMO,
        task=None if task is None else task.row,
        target=Target.BOARD,
        kind="Comment",
        payload={"text": "hello"},
        key="comment-1",
        at=NOW,
    )
    return replace(base, **fields)


def make_candidate(*members: Member, **fields: Any) -> Candidate:
    base = Candidate(
        project=DEMO,
        base=sha("b"),
        sha=sha("c"),
        tree=sha("d"),
        members=members,
        landed={member.task: sha("c") for member in members},
    )
    return replace(base, **fields)


def make_issue(number: int = 1, **fields: Any) -> BoardIssue:
    base = BoardIssue(
        id=IssueId(f"DEMO-{number}"),
        project=DEMO,
        sequence=number,
        title="Add a greeting",
        text="The program should greet whoever starts it.",
        slug="add-a-greeting",
        state_id="backlog",
        updated_at=NOW,
        created_at=NOW,
    )
    return replace(base, **fields)


def make_activity(issue: IssueId | str = "DEMO-1", number: int = 1, **fields: Any) -> Activity:
    base = Activity(
        id=ActivityId(f"{issue}/{number}"),
        issue=IssueId(issue),
        actor=UserId("anna"),
        actor_name="Anna",
        ours=False,
        source="backlog",
        target="to_analyse",
        created_at=NOW,
    )
    return replace(base, **fields)


def make_comment(issue: IssueId | str = "DEMO-1", number: int = 1, **fields: Any) -> BoardComment:
    base = BoardComment(
        id=f"{issue}/c{number}",
        issue=IssueId(issue),
        author=UserId("anna"),
        author_name="Anna",
        ours=False,
        role=None,
        text="Looks good to me.",
        created_at=NOW,
    )
    return replace(base, **fields)


def make_context(project: Project | None = None, *, now: datetime = NOW, **limits: Any) -> Context:
    """Return what a decision is given; keywords beyond these are settings of ``Limits``."""
    return Context(now=now, project=project or make_project(), limits=make_limits(**limits))


def make_artefact(name: str, text: str = "It says something.", **fields: Any) -> Artefact:
    return replace(Artefact(name=name, blob=sha("e"), text=text), **fields)


def make_facts(*artefacts: Artefact, **fields: Any) -> BranchFacts:
    """Return a branch with the given artefacts and no code; name ``code_head`` for one with code."""
    base = BranchFacts(head=sha("a"), code_head=None, artefacts={artefact.name: artefact for artefact in artefacts})
    return replace(base, **fields)


E = TypeVar("E")


def effects_of(decided: Decided, kind: type[E]) -> list[E]:
    """Return the effects of one kind, in order."""
    return [effect for effect in decided.effects if isinstance(effect, kind)]


async def add_task(store: Store, number: int = 1, **fields: Any) -> Task:
    """Make a task in *store*; *fields* beyond those of ``NewTask`` are saved onto it."""
    own = {name: fields.pop(name) for name in tuple(fields) if name in NewTask.__slots__}

    def work(tx: Tx) -> Task:
        task = tx.insert_task(make_new_task(number, **own))
        assert task is not None, "the issue has a live task"
        if fields:
            task = replace(task, **fields)
            tx.save_task(task)
        return task

    return await store.transact(work)


async def add_job(store: Store, task: Task, **fields: Any) -> Job:
    job = await store.transact(lambda tx: tx.add_job(make_new_job(task, **fields)))
    assert job is not None, "the task has an active job"
    return job
