"""A disk that is really full, and a process that may open no more files: nothing is half-written, and it goes on by itself."""

import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from actors.health import STORE, Health, WatchedStore
from orch.adapters.room import HostRoom
from orch.adapters.store import SqliteStore
from orch.core.errors import StoreError
from orch.core.room import Resource, shortages
from tests.builders import NOW, ManualClock, make_limits
from tests.gitrepo import make_repo
from tests.integration.daemon_process import daemon, until, write

SIZE_MB = 12


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes, made for this test alone."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode(errors='replace').strip()}")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def fill(folder: Path) -> Path:
    """Take every byte that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65_536)
        except OSError:
            pass
        try:
            while True:
                file.write(b"x")
        except OSError:
            pass
    return ballast


async def fill_up(store: WatchedStore) -> None:
    """Write small things until the disk takes no more; the database's own free pages are used up first."""
    for _ in range(400):
        await store.transact(lambda tx: tx.probe(NOW))
        await store.transact(lambda tx: tx.add_inbox("plane", b"z" * 4000, NOW))


async def test_on_a_full_disk_writes_are_refused_whole_and_go_on_when_there_is_room(small_disk: Path) -> None:
    health = Health()
    async with await SqliteStore.open(small_disk / "orch.db", clock=ManualClock()) as inner:
        store = WatchedStore(inner, health)
        kept = [await store.transact(lambda tx: tx.add_inbox("plane", b"kept", NOW)) for _ in range(3)]
        ballast = fill(small_disk)
        with pytest.raises(StoreError, match="full"):
            await store.transact(lambda tx: [tx.add_inbox("plane", b"y" * 9000, NOW) for _ in range(200)])
        assert "full" in health.vitals().not_ready[STORE]
        rows = await store.read(lambda tx: tx.pending_inbox())
        assert [row.id for row in rows] == kept, "reads go on, and no half of the refused transaction is there"
        with pytest.raises(StoreError):
            await fill_up(store)
        ballast.unlink()
        await store.transact(lambda tx: tx.probe(NOW))
        await store.transact(lambda tx: tx.add_inbox("plane", b"afterwards", NOW))
        bodies = [row.body for row in await store.read(lambda tx: tx.pending_inbox(10_000))]
        assert bodies[:3] == [b"kept"] * 3
        assert bodies[-1] == b"afterwards"
    with closing(sqlite3.connect(small_disk / "orch.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_the_room_is_measured_where_the_data_is(small_disk: Path) -> None:
    room, limits = HostRoom(small_disk), make_limits(min_free_disk_mb=2, min_free_memory_mb=0)
    assert shortages(await room.measure(), limits) == ()
    ballast = fill(small_disk)
    [short] = shortages(await room.measure(), limits)
    assert (short.resource, short.free_mb) == (Resource.DISK, 0)
    ballast.unlink()
    assert shortages(await room.measure(), limits) == ()


async def test_what_cannot_be_measured_holds_nothing_up(tmp_path: Path) -> None:
    free = await HostRoom(tmp_path / "gone").measure()
    assert free.disk_mb is None
    assert shortages(free, make_limits(min_free_memory_mb=0)) == ()
    here = await HostRoom(tmp_path).measure()
    assert here.disk_mb == pytest.approx(shutil.disk_usage(tmp_path).free / 1_000_000, abs=500)


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open nothing more for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_out_of_descriptors_an_open_store_goes_on_and_a_new_one_is_refused_in_one_sentence(tmp_path: Path) -> None:
    async with await SqliteStore.open(tmp_path / "orch.db", clock=ManualClock()) as store:
        await store.transact(lambda tx: tx.add_inbox("plane", b"before", NOW))
        with no_more_files():
            await store.transact(lambda tx: tx.add_inbox("plane", b"meanwhile", NOW))
            assert len(await store.read(lambda tx: tx.pending_inbox())) == 2
            with pytest.raises(StoreError, match="cannot open the database"):
                await SqliteStore.open(tmp_path / "other.db", clock=ManualClock())
        await store.transact(lambda tx: tx.add_inbox("plane", b"after", NOW))


def test_a_daemon_whose_disk_is_all_but_full_refuses_new_work_in_time_and_resumes_by_itself(small_disk: Path) -> None:
    file, log = small_disk / "orch.toml", small_disk / "daemon.log"
    make_repo(small_disk / "shop", files={"README.md": "x\n"})
    write(file, head="min_free_disk_mb = 3\nmin_free_memory_mb = 0")
    issue = {"title": "Add a greeting", "body": "It shall greet whoever starts it.", "by": "Anna"}
    with daemon(file, log, data=small_disk / "data") as (process, api):
        first = api.post("/board/issues", issue)
        assert first.status == 200, first
        ballast = fill(small_disk)
        with ballast.open("r+b") as trimmed:
            trimmed.truncate(ballast.stat().st_size - 1_500_000)
        until(lambda: "disk" in api.get("/readyz").body["not_ready"], log)
        assert api.get("/readyz").status == 503
        refused = api.post("/board/issues", issue)
        assert (refused.status, refused.body["status"]) == (503, 503)
        assert "MB of disk are free" in str(refused.body["detail"])
        moved = api.post(f"/board/issues/{first.body['id']}/move", {"status": "to_analyse", "by": "Anna"})
        assert moved.status == 200, "what is there can be moved"
        waiting = until(lambda: "MB of disk" in str(api.get(f"/tasks/{first.body['id']}").body.get("waiting", "")), log)
        assert waiting
        assert api.get("/queue").body["agents"]["shortages"][0]["resource"] == "disk"
        ballast.unlink()
        until(lambda: api.get("/readyz").status == 200, log)
        until(lambda: api.get(f"/tasks/{first.body['id']}").body["run_count"], log)
        assert api.post("/board/issues", issue).status == 200
        assert process.poll() is None
