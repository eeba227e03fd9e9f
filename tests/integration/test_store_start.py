"""A start after an end of any kind: one daemon per data directory, and interrupted work that goes on."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from orch.adapters.store import INTERRUPTED, InlineStore, hold_data_dir, recover
from orch.adapters.store.jobs import CLAIM
from orch.adapters.store.tables import query
from orch.core.errors import ConfigError
from orch.core.ids import Attempt, IssueId, Sha
from orch.core.model import JobState, Outcome, RunKind, RunMode, Task
from orch.core.stages import Role, Stage
from orch.ports import Claimed, NothingToClaim, Tx
from tests.builders import DEMO, NOW, ManualClock, add_job, add_task, later, make_limits, make_new_job, make_new_task

# ------------------------------------------------------------------------------------------------ the lock


def test_a_second_daemon_on_one_directory_is_told_who_holds_it(tmp_path: Path) -> None:
    script = "import sys, pathlib\nfrom orch.adapters.store import hold_data_dir\n"
    script += "with hold_data_dir(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    data_dir = tmp_path / "data"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(data_dir)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=rf"in use by process {first.pid}: stop it first"), hold_data_dir(data_dir):
            pytest.fail("two daemons hold one directory")
        first.kill()
        first.wait()
        with hold_data_dir(data_dir):
            assert (data_dir / "lock").read_text().strip().isdigit()
    assert data_dir.stat().st_mode & 0o077 == 0


def test_the_lock_is_free_again_after_its_block(tmp_path: Path) -> None:
    for _ in range(2):
        with hold_data_dir(tmp_path), pytest.raises(ConfigError), hold_data_dir(tmp_path):
            pytest.fail("held twice")


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot use the data directory"), hold_data_dir(tmp_path / "file"):
        pytest.fail("a file is no directory")


# ------------------------------------------------------------------------------------------------ recovery


async def test_G10_interrupted_runs_end_uncharged_and_their_jobs_go_on_in_their_place() -> None:
    async with InlineStore(clock=ManualClock()) as store:
        for number in (1, 2, 3):
            await add_job(store, await add_task(store, number), role=Role.ANALYST)
        cut = [await claim_and_begin(store) for _ in range(2)]

        recovered = await store.transact(lambda tx: recover(tx, later(5)))

        assert [int(run) for run in recovered.runs] == [1, 2]
        assert [int(job) for job in recovered.requeued] == [1, 2]
        assert recovered.cancelled == ()
        for found in cut:
            await check_interrupted(store, found)
        again = await store.transact(lambda tx: tx.claim_job(later(6), make_limits()))
        assert isinstance(again, Claimed)
        assert (again.job.id, again.job.mode, again.run.attempt) == (1, RunMode.CONTINUATION, 2)


async def test_G10_a_run_that_never_had_a_working_copy_is_not_continued() -> None:
    async with InlineStore(clock=ManualClock()) as store:
        await add_job(store, await add_task(store), role=Role.REVIEWER)
        found = await store.transact(lambda tx: tx.claim_job(NOW, make_limits()))
        assert isinstance(found, Claimed)

        recovered = await store.transact(lambda tx: recover(tx, later(5)))

        assert ([int(run) for run in recovered.runs], [int(job) for job in recovered.requeued]) == ([1], [1])
        again = await store.transact(lambda tx: tx.claim_job(later(6), make_limits()))
        assert isinstance(again, Claimed)
        assert (again.job.id, again.job.mode, again.run.attempt) == (1, RunMode.NEW_ATTEMPT, 2)


async def claim_and_begin(store: InlineStore) -> Claimed:
    """Claim the next job and record what its run starts from, as an attempt does once its working copy is there."""
    found = await store.transact(lambda tx: tx.claim_job(NOW, make_limits()))
    assert isinstance(found, Claimed)
    begun = replace(found, run=replace(found.run, start_head=Sha("a" * 40)))
    assert await store.transact(lambda tx: tx.save_run(begun.run))
    return begun


async def check_interrupted(store: InlineStore, found: Claimed) -> None:
    run = await store.read(lambda tx: tx.load_run(found.run.id))
    assert run == replace(found.run, outcome=Outcome.CRASHED, detail=INTERRUPTED, ended_at=later(5))
    assert await store.read(lambda tx: tx.load_task(found.task.row)) == found.task, "nothing is charged"
    late = replace(found.run, outcome=Outcome.SUCCEEDED, ended_at=later(6))
    assert not await store.transact(lambda tx: tx.save_run(late)), "a late write is refused"


async def save(store: InlineStore, task: Task) -> None:
    await store.transact(lambda tx: tx.save_task(task))


async def test_G5_a_restart_does_not_bring_a_stopped_task_back() -> None:
    async with InlineStore(clock=ManualClock()) as store:
        for number in (1, 2):
            await add_job(store, await add_task(store, number))
        for _ in range(2):
            found = await store.transact(lambda tx: tx.claim_job(NOW, make_limits()))
            assert isinstance(found, Claimed)
            stopped = replace(found.task, cancel_requested_at=NOW)
            if found.task.row == 2:
                stopped = replace(stopped, stage=Stage.CANCELLED)
            await save(store, stopped)

        recovered = await store.transact(lambda tx: recover(tx, later(5)))

        assert ([int(job) for job in recovered.requeued], [int(job) for job in recovered.cancelled]) == ([1], [2])
        assert await store.transact(lambda tx: tx.claim_job(later(9), make_limits())) == NothingToClaim(due_at=None)
        second = await store.read(lambda tx: tx.list_jobs(state=JobState.CANCELLED))
        assert [int(job.task) for job in second] == [2]


async def test_G10_a_deploy_goes_on_without_its_daemon() -> None:
    """Its process outlives the daemon: the run stays open until its result is read."""
    async with InlineStore(clock=ManualClock()) as store:
        task = await add_task(store, stage=Stage.DEPLOY)
        run = await store.transact(lambda tx: tx.start_run(task, kind=RunKind.DEPLOY, job=None, role=None, at=NOW))
        assert (await store.transact(lambda tx: recover(tx, later(5)))).runs == ()
        assert [each.id for each in await store.read(lambda tx: tx.list_runs(running=True))] == [run.id]


@pytest.mark.parametrize("kind", [kind for kind in RunKind if kind not in (RunKind.AGENT, RunKind.DEPLOY)])
async def test_G10_an_interrupted_command_is_ended_too(kind: RunKind) -> None:
    async with InlineStore(clock=ManualClock()) as store:
        task = await add_task(store, stage=Stage.DEVELOPMENT)
        await store.transact(lambda tx: tx.start_run(task, kind=kind, job=None, role=None, at=NOW))
        recovered = await store.transact(lambda tx: recover(tx, later(5)))
        assert (len(recovered.runs), recovered.requeued) == (1, ())
        assert await store.read(lambda tx: tx.list_runs(running=True)) == []
        assert (await store.transact(lambda tx: recover(tx, later(6)))).runs == (), "a second start finds nothing"


# ------------------------------------------------------------------------------------------------ behind the first fence

# What another version of the program, or a fault of ours, could leave in the file: the rule itself is asked once more.


async def test_G5_an_open_run_of_an_older_attempt_writes_nothing() -> None:
    async with InlineStore(clock=ManualClock()) as store:
        await add_job(store, await add_task(store))
        found = await store.transact(lambda tx: tx.claim_job(NOW, make_limits()))
        assert isinstance(found, Claimed)
        ended = replace(found.run, outcome=Outcome.SUCCEEDED, ended_at=NOW)
        assert not await store.transact(lambda tx: tx.save_run(replace(ended, attempt=Attempt(2))))
        assert store._connection is not None
        store._connection.execute("UPDATE task SET attempt = 2")
        assert not await store.transact(lambda tx: tx.save_run(ended))
        store._connection.execute("UPDATE task SET attempt = 1")
        assert await store.transact(lambda tx: tx.save_run(ended))


async def test_a_wrong_flag_claims_nothing_too_early_and_a_start_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "orch.db"
    async with InlineStore(clock=ManualClock(), path=path) as store:
        await add_job(store, await add_task(store, 1))
        await add_job(store, await add_task(store, 2))
        await store.transact(lambda tx: tx.add_dependency(DEMO, IssueId("DEMO-1"), IssueId("DEMO-2"), NOW))
        assert store._connection is not None
        store._connection.execute("UPDATE job SET blocked = 1 - blocked")
        assert isinstance(await store.transact(lambda tx: tx.claim_job(NOW, make_limits())), NothingToClaim)
    async with InlineStore(clock=ManualClock(), path=path) as store:
        found = await store.transact(lambda tx: tx.claim_job(NOW, make_limits()))
        assert isinstance(found, Claimed)
        assert found.task.work_item == "DEMO-2"


async def test_a_start_that_finds_everything_right_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "orch.db"
    async with InlineStore(clock=ManualClock(), path=path) as store:
        await add_job(store, await add_task(store, 1))
        await add_job(store, await add_task(store, 2))
        await store.transact(lambda tx: tx.add_dependency(DEMO, IssueId("DEMO-1"), IssueId("DEMO-2"), NOW))
    async with InlineStore(clock=ManualClock(), path=path) as store:
        assert store._connection is not None
        assert store._connection.total_changes == 0


# ------------------------------------------------------------------------------------------------ size

MANY = 10_000


def fill(tx: Tx) -> None:
    """Make many live tasks, all of them queued and all but the last waiting for one that is never done."""
    for number in range(1, MANY + 1):
        task = tx.insert_task(make_new_task(number))
        assert task is not None
        if number < MANY:
            tx.add_dependency(DEMO, task.issue, IssueId("DEMO-0"), NOW)
        tx.add_job(make_new_job(task))


async def test_a_claim_does_not_walk_through_the_jobs_that_wait() -> None:
    """Counted in SQLite's own steps, so that a slow machine changes nothing."""
    async with InlineStore(clock=ManualClock()) as store:
        await store.transact(fill)
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        raw = store._connection
        assert raw is not None
        raw.set_progress_handler(count, 1)
        found = await store.transact(lambda tx: tx.claim_job(NOW, make_limits()))
        raw.set_progress_handler(None, 1)
        assert isinstance(found, Claimed)
        assert found.task.row == MANY
        assert steps < 2_000, "a walk through ten thousand jobs takes ten times that and more"


@pytest.mark.parametrize("deps", [True, False])
async def test_the_claim_and_the_outbox_use_their_indexes(deps: bool) -> None:
    async with InlineStore(clock=ManualClock()) as store:
        assert store._connection is not None

        def plan(sql: str, **values: object) -> str:
            assert store._connection is not None
            return "\n".join(row[3] for row in store._connection.execute(f"EXPLAIN QUERY PLAN {sql}", values))

        claim = plan(CLAIM[deps], now=0, per_repo=1)
        assert f"SCAN job USING COVERING INDEX {'job_ready' if deps else 'job_queued'}" in claim
        assert "TEMP B-TREE FOR ORDER BY" not in claim
        assert "SCAN dependency" not in claim
        assert "COVERING INDEX outbox_heads" in plan(query("outbox_heads"))
        refresh = plan(query("refresh_blocked"), project="demo", issue="DEMO-1")
        assert "SCAN" not in refresh.replace("SCAN 1 ", "")
