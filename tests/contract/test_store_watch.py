"""Watches in the store, and what brought a task to the default branch."""

from dataclasses import replace
from datetime import timedelta

from orch.core.ids import DeployId, ProjectName
from orch.core.model import DeployState, IntentKind, IntentState, Member, RunKind, Task, Watch, WatchState
from orch.ports import Store, Tx
from tests.builders import DEMO, NOW, add_task, later, make_candidate, make_deploy, make_watch, sha


async def deployed(store: Store, number: int, project: ProjectName = DEMO) -> tuple[Task, DeployId]:
    """A task and a deploy of it that succeeded."""
    task = await add_task(store, number, landed=sha(number), project=project)

    def work(tx: Tx) -> DeployId:
        run = tx.start_run(task, kind=RunKind.DEPLOY, job=None, role=None, at=NOW)
        begun = tx.begin_deploy(make_deploy(task, run=run.id))
        assert begun is not None
        tx.save_deploy(replace(begun, state=DeployState.SUCCEEDED, ended_at=NOW))
        return begun.id

    return task, await store.transact(work)


def watch_for(task: Task, deploy: DeployId) -> Watch:
    return make_watch(deploy=deploy, project=task.project, task=task.row, sha=task.landed)


async def test_a_watch_comes_back_as_it_was_written_and_written_again(store: Store) -> None:
    task, deploy = await deployed(store, 1)
    assert await store.read(lambda tx: tx.load_watch(DEMO)) is None
    watch = watch_for(task, deploy)
    await store.transact(lambda tx: tx.save_watch(watch))
    assert await store.read(lambda tx: tx.load_watch(DEMO)) == watch
    judged = replace(
        watch,
        state=WatchState.DEGRADED,
        bad=3,
        probes=7,
        detail="HTTP 500",
        next_at=NOW + timedelta(microseconds=1),
        ended_at=later(1),
    )
    await store.transact(lambda tx: tx.save_watch(judged))
    assert await store.read(lambda tx: tx.load_watch(DEMO)) == judged


async def test_a_projects_newest_watch_and_each_tasks_own_are_told_apart(store: Store) -> None:
    first, one = await deployed(store, 1)
    second, two = await deployed(store, 2)
    other, three = await deployed(store, 3, ProjectName("other"))
    unwatched = await add_task(store, 4)
    watches = [watch_for(first, one), watch_for(second, two), watch_for(other, three)]

    def work(tx: Tx) -> None:
        for watch in watches:
            tx.save_watch(watch)

    await store.transact(work)
    assert await store.read(lambda tx: tx.load_watch(DEMO)) == watches[1]
    assert await store.read(lambda tx: [tx.watch_of(task.row) for task in (first, second, other, unwatched)]) == [*watches, None]


async def test_a_task_knows_the_landing_that_brought_it_and_none_that_was_not_done(store: Store) -> None:
    tasks = [await add_task(store, number, landed=sha(number)) for number in (1, 2)]
    members = tuple(Member(task=task.row, head=sha("e")) for task in tasks)
    together = make_candidate(*members, landed={task.row: sha(number) for number, task in enumerate(tasks, start=1)})
    before = make_candidate(members[1], sha=sha("9"), landed={tasks[1].row: sha("9")})

    def work(tx: Tx) -> None:
        lease = tx.take_lease(DEMO, "x")
        for candidate, state in ((before, IntentState.CLEARED), (together, IntentState.DONE), (together, None)):
            intent = tx.add_intent(IntentKind.LAND, lease, candidate=candidate, task=None, at=NOW)
            if state is not None:
                tx.end_intent(intent.id, state)

    await store.transact(work)
    assert await store.read(lambda tx: [tx.landing_of(task) for task in tasks]) == [together, together]
    assert [together.begins_after(task.row) for task in tasks] == [together.base, sha(1)]
    elsewhere = [replace(tasks[1], landed=sha("9")), replace(tasks[1], landed=sha("8")), replace(tasks[1], landed=None)]
    assert await store.read(lambda tx: [tx.landing_of(task) for task in elsewhere]) == [None, None, None]
    assert together.begins_after(type(tasks[0].row)(99)) is None
