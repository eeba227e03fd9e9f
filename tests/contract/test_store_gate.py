"""Who may enter, by the real claim: row by row, every small batch, and anything that people can do, in any order.

The machine asks the store for everything that it holds, works out by the plain rule which job must come next, and the claim,
which reads only what can decide, must give exactly that one.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from orch.adapters.store.schema import open_writer
from orch.adapters.store.transaction import SqlTx, make_tx
from orch.core.ids import Attempt, IssueId, ProjectName, TaskRow
from orch.core.model import Freeze, FreezeCause, Job, JobState, Outcome, Park, ParkReason, Repo, RunKind, Task
from orch.core.serial_gate import Standing, admitted, holders
from orch.core.stages import Role, Stage, is_terminal
from orch.ports import Claimed, NothingToClaim, Store, Tx
from tests.builders import DEMO, NOW, ManualClock, add_job, add_task, later, make_limits, make_new_job, make_new_task, make_park
from tests.core.test_serial_gate import graphs, subsets

OTHER = ProjectName("other")
GATED = frozenset({DEMO})
Arrange = Callable[[Tx, Task], None]


async def claim(store: Store, **limits: Any) -> Claimed | NothingToClaim:
    limits = {"max_concurrency_per_repo": 99, "serial_gate": GATED, **limits}
    return await store.transact(lambda tx: tx.claim_job(NOW, make_limits(**limits)))


async def rows(store: Store, **limits: Any) -> list[int]:
    """Claim until nothing is left and return the tasks in order."""
    found = []
    while isinstance(claimed := await claim(store, **limits), Claimed):
        found.append(int(claimed.task.row))
    return found


async def batch(store: Store, count: int, **fields: Any) -> list[Task]:
    """Make *count* tasks with their first job."""
    tasks = [await add_task(store, number, **fields) for number in range(1, count + 1)]
    for task in tasks:
        await add_job(store, task)
    return tasks


async def save(store: Store, row: int, **fields: Any) -> None:
    def work(tx: Tx) -> None:
        task = tx.load_task(TaskRow(row))
        assert task is not None
        tx.save_task(replace(task, **fields))

    await store.transact(work)


def freeze(project: ProjectName = DEMO, cause: FreezeCause = FreezeCause.PERSON) -> Freeze:
    return Freeze(project=project, cause=cause, since=NOW, by="anna", detail="release day")


# ------------------------------------------------------------------------------------------------ rows

FIRST: dict[str, tuple[bool, Arrange]] = {
    "not entered": (False, lambda tx, first: None),
    "parked before it entered": (False, lambda tx, first: _park(tx, first)),
    "a fix": (False, lambda tx, first: tx.save_task(replace(first, exempt=True))),
    "at testing": (False, lambda tx, first: tx.save_task(replace(first, stage=Stage.TESTING))),
    "landed, and not deployed": (False, lambda tx, first: tx.save_task(replace(first, stage=Stage.DEPLOY))),
    "done": (True, lambda tx, first: _end(tx, first, Stage.DONE)),
    "cancelled": (True, lambda tx, first: _end(tx, first, Stage.CANCELLED)),
    "not entered, waiting for a card": (True, lambda tx, first: _depend(tx, first, "DEMO-9")),
    "not entered, waiting for the second": (True, lambda tx, first: _depend(tx, first, "DEMO-2")),
    "at testing, waiting for a card": (False, lambda tx, first: _inside(tx, first, "DEMO-9")),
    "at testing, waiting for the second": (True, lambda tx, first: _inside(tx, first, "DEMO-2")),
}
"""What the first task is like, and whether the second may enter then."""


def _park(tx: Tx, task: Task) -> None:
    tx.cancel_jobs(task.row, NOW)
    tx.save_task(replace(task, park=make_park()))


def _end(tx: Tx, task: Task, stage: Stage) -> None:
    tx.cancel_jobs(task.row, NOW)
    tx.save_task(replace(task, stage=stage))


def _depend(tx: Tx, task: Task, on: str) -> None:
    assert tx.add_dependency(task.project, task.issue, IssueId(on), NOW) is None


def _inside(tx: Tx, task: Task, on: str) -> None:
    tx.save_task(replace(task, stage=Stage.TESTING))
    _depend(tx, task, on)


@pytest.mark.parametrize(("enters", "arrange"), FIRST.values(), ids=FIRST.keys())
async def test_the_second_of_two_enters_only_where_the_first_does_not_hold_it(
    store: Store, enters: bool, arrange: Arrange
) -> None:
    first, second = await batch(store, 2)
    await store.transact(lambda tx: arrange(tx, first))
    assert (int(second.row) in await rows(store)) is enters


async def test_what_one_inside_waits_for_through_others_goes_before_those_that_wait_for_their_turn(store: Store) -> None:
    first, _, third, fourth = await batch(store, 4)
    await store.transact(lambda tx: _inside(tx, first, third.issue))
    await store.transact(lambda tx: _depend(tx, third, fourth.issue))
    assert await rows(store) == [4]
    await save(store, 4, stage=Stage.DONE)
    assert await rows(store) == [3]
    await save(store, 3, stage=Stage.CANCELLED)
    assert await rows(store) == [1]
    await save(store, 1, stage=Stage.DONE)
    assert await rows(store) == [2]


async def test_a_batch_enters_one_after_the_other_and_the_gate_is_asked_before_analysis_only(store: Store) -> None:
    await batch(store, 3)
    assert await rows(store) == [1]
    await store.transact(lambda tx: tx.requeue_job(tx.list_jobs()[0].id, mode=tx.list_jobs()[0].mode, not_before=None, at=NOW))
    assert await rows(store) == [1], "what has entered is never held again"
    await save(store, 1, stage=Stage.DONE)
    assert await rows(store) == [2]
    await save(store, 2, stage=Stage.CANCELLED)
    assert await rows(store) == [3]


async def test_a_task_that_was_put_back_before_any_run_of_it_began_has_entered(store: Store) -> None:
    await batch(store, 2)
    assert await rows(store) == [1]
    await save(store, 2, exempt=True)
    assert await rows(store) == [2]
    await store.transact(lambda tx: tx.cancel_jobs(TaskRow(1), NOW))
    first = await store.read(lambda tx: tx.load_task(TaskRow(1)))
    assert first is not None
    await add_job(store, first)
    assert await rows(store) == [1], "a relaunched analyst passes no gate"


async def test_G14_the_gate_is_asked_only_where_it_is_on(store: Store) -> None:
    await batch(store, 3)
    for number in (1, 2):
        await add_job(store, await add_task(store, number, project=OTHER, prefix="OTH"))
    assert await rows(store) == [1, 4, 5]
    assert await rows(store, serial_gate=frozenset()) == [2, 3]


async def test_G14_dependencies_that_are_only_shown_let_nobody_pass(store: Store) -> None:
    first, _ = await batch(store, 2)
    await store.transact(lambda tx: _depend(tx, first, "DEMO-2"))
    assert await rows(store, task_deps_enabled=False) == [1]


FREEZES: dict[str, tuple[bool, dict[str, Any]]] = {
    "not entered": (False, {}),
    "a fix": (True, {"exempt": True}),
    "at testing": (True, {"stage": Stage.TESTING}),
}


@pytest.mark.parametrize("cause", FreezeCause)
@pytest.mark.parametrize(("admitted", "fields"), FREEZES.values(), ids=FREEZES.keys())
@pytest.mark.parametrize("gate", [GATED, frozenset[ProjectName]()], ids=["gate", "no gate"])
async def test_a_freeze_stops_entry_and_nothing_else(
    store: Store, cause: FreezeCause, admitted: bool, fields: dict[str, Any], gate: frozenset[ProjectName]
) -> None:
    await batch(store, 1)
    await save(store, 1, **fields)
    await store.transact(lambda tx: tx.set_freeze(freeze(cause=cause)))
    assert await rows(store, serial_gate=gate) == ([1] if admitted else [])
    await store.transact(lambda tx: tx.lift_freeze(DEMO))
    assert await rows(store, serial_gate=gate) == ([] if admitted else [1])


async def test_an_analyst_that_is_asked_again_goes_on_under_a_freeze(store: Store) -> None:
    await batch(store, 1)
    found = await claim(store)
    assert isinstance(found, Claimed)
    await store.transact(lambda tx: tx.set_freeze(freeze()))
    await store.transact(lambda tx: tx.requeue_job(found.job.id, mode=found.job.mode, not_before=None, at=NOW))
    assert await rows(store) == [1]


async def test_the_freeze_of_one_repo_is_not_that_of_another(store: Store) -> None:
    await batch(store, 1)
    await store.transact(lambda tx: tx.set_freeze(freeze(OTHER)))
    assert await rows(store) == [1]


async def test_a_persons_freeze_stays_when_a_machines_cause_comes_on_top(store: Store) -> None:
    await store.transact(lambda tx: tx.set_freeze(freeze()))
    await store.transact(lambda tx: tx.set_freeze(freeze(cause=FreezeCause.DEPLOY)))
    repo = await store.read(lambda tx: tx.load_repo(DEMO))
    assert repo.freeze is not None
    assert repo.freeze.cause is FreezeCause.PERSON


async def test_a_pause_stops_every_new_claim(store: Store) -> None:
    await batch(store, 2)
    await save(store, 1, stage=Stage.REVIEW)
    await store.transact(lambda tx: tx.save_repo(Repo(project=DEMO, paused=True)))
    assert await rows(store) == []
    await store.transact(lambda tx: tx.save_repo(Repo(project=DEMO)))
    assert await rows(store) == [1]


async def test_only_the_first_that_waits_at_the_gate_is_read(store: Store) -> None:
    await batch(store, 6)
    await save(store, 3, exempt=True)
    limits = make_limits(serial_gate=GATED)
    standings = await store.read(lambda tx: tx.load_standings(DEMO, limits))
    assert [int(standing.row) for standing in standings] == [1, 3]
    assert admitted(standings) == {1, 3}


async def test_a_queued_job_is_given_a_fixs_priority(store: Store) -> None:
    tasks = await batch(store, 3)
    await store.transact(lambda tx: tx.expedite_job(tasks[2].row, 1))
    await store.transact(lambda tx: tx.expedite_job(tasks[2].row, 0))
    assert await rows(store, serial_gate=frozenset()) == [3, 1, 2]


# ------------------------------------------------------------------------------------------------ what cannot be read


class Ground:
    """The tables on a connection in memory, in the tests' hands; ``fresh`` begins a story on empty tables."""

    def __init__(self) -> None:
        self.connection: sqlite3.Connection = open_writer(None)
        self.tx: SqlTx = make_tx(self.connection, ManualClock().now)

    def fresh(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        self.connection.execute("BEGIN")

    def task(self, number: int, project: ProjectName = DEMO, *, exempt: bool = False) -> Task | None:
        """Make a task with its first job; None where the issue has a live one."""
        prefix = project.upper()
        new = make_new_task(
            number, project=project, prefix=prefix, issue=IssueId(f"{prefix}-{number}"), exempt=exempt, slug=f"s{number}"
        )
        task = self.tx.insert_task(new)
        if task is not None:
            self.tx.add_job(make_new_job(task))
        return task


def test_where_the_gate_cannot_be_evaluated_it_opens() -> None:
    ground = Ground()
    for number in (1, 2):
        ground.task(number)
    limits = make_limits(serial_gate=GATED, task_deps_enabled=False)
    ground.connection.execute("DROP INDEX task_entered")  # the gate's own read fails now, the claim's does not
    assert [isinstance(ground.tx.claim_job(NOW, limits), Claimed) for _ in range(3)] == [True, True, False]


def test_where_a_freeze_cannot_be_read_it_holds() -> None:
    ground = Ground()
    ground.task(1)
    ground.tx.set_freeze(freeze())
    ground.connection.execute("UPDATE freeze SET cause = 'by a newer program'")
    assert isinstance(ground.tx.claim_job(NOW, make_limits()), NothingToClaim)
    repo = ground.tx.load_repo(DEMO)
    assert repo.freeze is not None
    assert repo.freeze.cause is FreezeCause.PERSON, "a person looks at it"
    ground.connection.execute("DROP TABLE freeze")
    with pytest.raises(sqlite3.Error):
        ground.tx.claim_job(NOW, make_limits())


# ------------------------------------------------------------------------------------------------ every small batch


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_small_batch_goes_through_by_the_claim_alone(count: int) -> None:
    """Every graph, freeze on or off, every set of fixes: one inside at a time but fixes, and in the end nobody waits."""
    limits = make_limits(max_concurrency_per_repo=99, serial_gate=GATED)
    ground = Ground()
    for edges, fixes, frozen in product(graphs(count), subsets(range(1, count + 1)), (False, True)):
        ground.fresh()
        for number in range(1, count + 1):
            assert ground.task(number, exempt=number in fixes) is not None
        for waiting, on in edges:
            assert ground.tx.add_dependency(DEMO, IssueId(f"DEMO-{waiting}"), IssueId(f"DEMO-{on}"), NOW) is None
        if frozen:
            ground.tx.set_freeze(freeze())
            assert all(row in fixes for row in _all_that_enter(ground, limits))
            ground.tx.lift_freeze(DEMO)
        entered = _all_that_enter(ground, limits)
        ended = [task.row for task in ground.tx.list_tasks() if task.stage is Stage.DONE]
        assert len(ended) == count, f"{edges} {fixes} {frozen}: {entered} entered, only {ended} are through"


def _all_that_enter(ground: Ground, limits: Any) -> list[int]:
    """Claim, and finish what was claimed, one after the other, until nothing is left; return the tasks in order."""
    order = []
    while isinstance(found := ground.tx.claim_job(NOW, limits), Claimed):
        beside = ground.tx.claim_job(NOW, limits)
        for each in (found, beside):
            if isinstance(each, Claimed):
                order.append(int(each.task.row))
        others = [each.task for each in (found, beside) if isinstance(each, Claimed)]
        assert sum(not task.exempt for task in others) <= 1, f"two inside at once: {others}"
        for each in (found, beside):
            if isinstance(each, Claimed):
                ground.tx.end_job(each.job.id, JobState.DONE)
                ground.tx.save_task(replace(each.task, stage=Stage.DONE))
    return order


# ------------------------------------------------------------------------------------------------ anything, in any order

NUMBERS = st.integers(1, 5)
PROJECTS = st.sampled_from([DEMO, OTHER])


class Entry(RuleBasedStateMachine):
    """See the module's docstring."""

    ground = Ground()

    @initialize(gate=st.sampled_from([frozenset[ProjectName](), GATED, frozenset({DEMO, OTHER})]), deps=st.booleans())
    def begin(self, gate: frozenset[ProjectName], deps: bool) -> None:
        self.ground.fresh()
        self.tx = self.ground.tx
        self.limits = make_limits(serial_gate=gate, task_deps_enabled=deps, max_concurrency_per_repo=99)

    def teardown(self) -> None:
        """Whatever was done: thawed, resumed, every card that is waited for started: all go through, one after the other."""
        if not hasattr(self, "tx"):
            return
        for project in (DEMO, OTHER):
            self.tx.lift_freeze(project)
            self.tx.save_repo(Repo(project=project))
        for task in self._live():
            self._back_in_line(task)
        for project, number in product((DEMO, OTHER), range(1, 6)):
            self.ground.task(number, project)
        while (job := self._next()) is not None:
            found = self._claimed(job)
            self.tx.end_job(found.job.id, JobState.DONE)
            self._end(found.task, Stage.DONE)
        assert self._live() == [], "somebody waits for ever"

    # -------------------------------------------------------------------------------------------- what people do

    @rule(number=NUMBERS, project=PROJECTS, exempt=st.booleans())
    def a_task_is_made(self, number: int, project: ProjectName, exempt: bool) -> None:
        self.ground.task(number, project, exempt=exempt)

    @rule(number=NUMBERS, on=NUMBERS, project=PROJECTS)
    def a_dependency_is_declared(self, number: int, on: int, project: ProjectName) -> None:
        prefix = project.upper()
        self.tx.add_dependency(project, IssueId(f"{prefix}-{number}"), IssueId(f"{prefix}-{on}"), NOW)

    @rule(number=NUMBERS, on=NUMBERS, project=PROJECTS)
    def a_dependency_is_taken_back(self, number: int, on: int, project: ProjectName) -> None:
        prefix = project.upper()
        self.tx.remove_dependency(project, IssueId(f"{prefix}-{number}"), IssueId(f"{prefix}-{on}"))

    @rule(project=PROJECTS, cause=st.sampled_from(FreezeCause))
    def a_repo_is_frozen(self, project: ProjectName, cause: FreezeCause) -> None:
        self.tx.set_freeze(freeze(project, cause))

    @rule(project=PROJECTS)
    def a_repo_is_thawed(self, project: ProjectName) -> None:
        self.tx.lift_freeze(project)

    @rule(project=PROJECTS, paused=st.booleans())
    def a_repo_is_paused_or_not(self, project: ProjectName, paused: bool) -> None:
        self.tx.save_repo(replace(self.tx.load_repo(project), paused=paused))

    @rule(gate=st.sampled_from([frozenset[ProjectName](), GATED, frozenset({DEMO, OTHER})]))
    def the_gate_is_switched(self, gate: frozenset[ProjectName]) -> None:
        self.limits = replace(self.limits, serial_gate=gate)

    @precondition(lambda self: self._live())
    @rule(data=st.data())
    def a_task_is_made_a_fix(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self._live()))
        self.tx.save_task(replace(task, exempt=True))
        self.tx.expedite_job(task.row, 1)

    @precondition(lambda self: self._live())
    @rule(data=st.data(), stage=st.sampled_from([Stage.DONE, Stage.CANCELLED]))
    def a_task_ends(self, data: st.DataObject, stage: Stage) -> None:
        self._end(data.draw(st.sampled_from(self._live())), stage)

    @precondition(lambda self: self._live())
    @rule(data=st.data())
    def a_task_is_parked(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(self._live()))
        self.tx.cancel_jobs(task.row, NOW)
        self._end_runs(task)
        self.tx.save_task(replace(task, park=Park(reason=ParkReason.ISSUE_GONE, since=NOW, evidence="")))

    @precondition(lambda self: self._live())
    @rule(data=st.data())
    def a_task_is_resumed_or_sent_back(self, data: st.DataObject) -> None:
        self._back_in_line(data.draw(st.sampled_from(self._live())))

    # -------------------------------------------------------------------------------------------- what the daemon does

    @rule()
    def a_slot_claims(self) -> None:
        job = self._next()
        if job is None:
            assert isinstance(self.tx.claim_job(NOW, self.limits), NothingToClaim)
        else:
            self._claimed(job)

    @precondition(lambda self: self.tx.list_jobs(state=JobState.RUNNING))
    @rule(data=st.data(), stage=st.sampled_from([Stage.ANALYSIS, Stage.DEVELOPMENT, Stage.TESTING]))
    def a_run_ends_and_the_task_goes_on(self, data: st.DataObject, stage: Stage) -> None:
        job = data.draw(st.sampled_from(self.tx.list_jobs(state=JobState.RUNNING)))
        task = self.tx.load_task(job.task)
        assert task is not None
        self.tx.end_job(job.id, JobState.DONE)
        self._end_runs(task)
        task = replace(task, stage=stage)
        self.tx.save_task(task)
        self.tx.add_job(make_new_job(task, role=Role.ANALYST))

    # -------------------------------------------------------------------------------------------- the plain rule

    def _live(self) -> list[Task]:
        return [task for task in self.tx.list_tasks() if not is_terminal(task.stage)]

    def _has_entered(self, task: Task) -> bool:
        return task.stage is not Stage.ANALYSIS or any(run.kind is RunKind.AGENT for run in self.tx.list_runs(task=task.row))

    def _open(self, task: Task) -> list[IssueId]:
        return self.tx.open_dependencies(task.project, task.issue) if self.limits.task_deps_enabled else []

    def _standings(self, project: ProjectName) -> list[Standing]:
        """Everybody who is live, as plain as can be."""
        live = {task.issue: task for task in self._live() if task.project == project}
        return [
            Standing(
                row=task.row,
                entered=self._has_entered(task),
                exempt=task.exempt,
                waits=bool(self._open(task)),
                waits_on=frozenset(live[on].row for on in self._open(task) if on in live),
            )
            for task in live.values()
        ]

    def _may_run(self, job: Job) -> bool:
        task = self.tx.load_task(job.task)
        assert task is not None
        repo = self.tx.load_repo(task.project)
        if repo.paused or task.park is not None or is_terminal(task.stage) or self._open(task):
            return False
        if self._has_entered(task) or task.exempt:
            return True
        gated = task.project in self.limits.serial_gate
        return repo.freeze is None and not (gated and holders(task.row, self._standings(task.project)))

    def _next(self) -> Job | None:
        queued = sorted(self.tx.list_jobs(state=JobState.QUEUED), key=lambda job: (-job.priority, job.id))
        return next((job for job in queued if self._may_run(job)), None)

    def _claimed(self, job: Job) -> Claimed:
        found = self.tx.claim_job(NOW, self.limits)
        assert isinstance(found, Claimed), f"job {job.id} of task {job.task} should have been claimed"
        assert found.job.id == job.id
        return found

    def _end_runs(self, task: Task) -> None:
        for run in self.tx.list_runs(task=task.row, running=True):
            assert self.tx.save_run(replace(run, outcome=Outcome.SUCCEEDED, ended_at=later(1)))

    def _end(self, task: Task, stage: Stage) -> None:
        self.tx.cancel_jobs(task.row, NOW)
        self._end_runs(task)
        self.tx.save_task(replace(task, stage=stage, park=None))
        self.tx.end_sweep(task.row)

    def _back_in_line(self, task: Task) -> None:
        self.tx.cancel_jobs(task.row, NOW)
        self._end_runs(task)
        task = replace(task, park=None, attempt=Attempt(task.attempt + 1))
        self.tx.save_task(task)
        self.tx.add_job(make_new_job(task, role=Role.ANALYST, priority=1 if task.exempt else 0))


TestEntry = Entry.TestCase
TestEntry.settings = settings(stateful_step_count=40)
