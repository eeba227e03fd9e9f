"""The store on a real file: settings, damage, versions, and what a crash leaves."""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from orch.adapters.store import InlineStore, SqliteStore
from orch.core.errors import StoreError
from tests.builders import NOW, ManualClock, add_task


async def count_inbox(path: Path) -> int:
    async with await SqliteStore.open(path, clock=ManualClock()) as store:
        return len(await store.read(lambda tx: tx.pending_inbox(10_000)))


async def accept(store: SqliteStore, body: bytes) -> None:
    await store.transact(lambda tx: tx.add_inbox("plane", body, NOW))


def files(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode for file in sorted(folder.iterdir())}


def scalar(path: Path, sql: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchone()[0]


async def test_a_file_is_made_private_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "orch.db"
    async with await SqliteStore.open(path, clock=ManualClock()) as store:
        task = await add_task(store)
        assert {name: mode & 0o077 for name, mode in files(tmp_path).items()} == dict.fromkeys(
            ("orch.db", "orch.db-shm", "orch.db-wal"), 0
        )
    async with await SqliteStore.open(path, clock=ManualClock()) as store:
        assert await store.read(lambda tx: tx.load_task(task.row)) == task
    assert list(files(tmp_path)) == ["orch.db"], "the log is folded in at the end"


async def test_the_file_is_in_wal_mode_with_full_sync_and_foreign_keys(tmp_path: Path) -> None:
    async with await SqliteStore.open(tmp_path / "orch.db", clock=ManualClock()) as store:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")

        def read(raw: sqlite3.Connection, _: object) -> list[object]:
            return [raw.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]

        assert await store._writer.call(read) == ["wal", 2, 1, 5000]
        assert (await store._readers[0].call(read))[2:] == [1, 5000]


async def test_R11_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "orch.db"
    async with await SqliteStore.open(path, clock=ManualClock()) as store:
        await store.transact(lambda tx: [tx.add_inbox("plane", b"x" * 2000, NOW) for _ in range(200)])
    content = bytearray(path.read_bytes())
    for page in range(80, len(content) // 4096, 7):
        content[page * 4096 : page * 4096 + 400] = b"\xa5" * 400
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged \(.*; restore it from a backup"):
        await SqliteStore.open(path, clock=ManualClock())
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"no database at all, but text " * 500), "not a database"),
        (lambda path: _run(path, "CREATE TABLE theirs (a)"), "not a database of this program"),
        (lambda path: _run(path, "CREATE TABLE theirs (a); PRAGMA user_version = 7"), "not a database of this program"),
        (lambda path: path.mkdir(), "cannot open the database"),
    ],
    ids=["text", "foreign", "foreign with a version", "folder"],
)
async def test_what_is_not_our_database_is_refused(tmp_path: Path, make: object, says: str) -> None:
    path = tmp_path / "orch.db"
    make(path)  # type: ignore[operator]
    with pytest.raises(StoreError, match=says):
        await SqliteStore.open(path, clock=ManualClock())


def _run(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


async def test_a_database_of_a_newer_program_is_refused_only_if_it_says_so(tmp_path: Path) -> None:
    """A rolled-back program starts on a schema that only grew; it refuses one that it could misread."""
    path = tmp_path / "orch.db"
    assert await count_inbox(path) == 0
    _run(path, "PRAGMA user_version = 99; ALTER TABLE task ADD COLUMN future TEXT")
    async with await SqliteStore.open(path, clock=ManualClock()) as store:
        assert (await add_task(store)).work_item == "DEMO-1"
    assert scalar(path, "PRAGMA user_version") == 99
    _run(path, "UPDATE meta SET value = '50' WHERE key = 'oldest'")
    with pytest.raises(StoreError, match=r"schema 99, which needs a program that knows schema 50; this one knows \d+: install"):
        await SqliteStore.open(path, clock=ManualClock())


async def test_a_backup_is_a_whole_database_taken_in_flight(tmp_path: Path) -> None:
    async with await SqliteStore.open(tmp_path / "orch.db", clock=ManualClock()) as store:
        task = await add_task(store)
        await store.backup(tmp_path / "copy.db")
        with pytest.raises(StoreError, match="exists already"):
            await store.backup(tmp_path / "copy.db")
    copy = InlineStore(clock=ManualClock(), path=tmp_path / "copy.db")
    assert await copy.read(lambda tx: tx.load_task(task.row)) == task
    await copy.aclose()


CRASH = """
import os, sys
from pathlib import Path
import anyio
from orch.adapters.store import SqliteStore
from tests.builders import NOW, ManualClock

async def main() -> None:
    async with await SqliteStore.open(Path(sys.argv[1]), clock=ManualClock()) as store:
        for number in range(5):
            await store.transact(lambda tx: tx.add_inbox("plane", b"kept", NOW))
            print(number, flush=True)

        def cut(tx):
            tx.add_inbox("plane", b"half", NOW)
            os.kill(os.getpid(), 9)

        await store.transact(cut)

anyio.run(main)
"""


async def test_G10_kill_9_in_a_transaction_leaves_exactly_what_was_answered(tmp_path: Path) -> None:
    path = tmp_path / "orch.db"
    root = Path(__file__).parents[2]
    with anyio.fail_after(60):
        ended = await anyio.run_process(
            [sys.executable, "-c", CRASH, str(path)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            check=False,
        )
    assert (ended.returncode, ended.stdout.split()) == (-9, [b"0", b"1", b"2", b"3", b"4"]), ended.stderr
    async with await SqliteStore.open(path, clock=ManualClock()) as store:
        rows = await store.read(lambda tx: tx.pending_inbox())
    assert [row.body for row in rows] == [b"kept"] * 5


async def test_R2_a_log_cut_anywhere_holds_a_prefix(tmp_path: Path) -> None:
    """Power loss: the write-ahead log is cut at every frame and inside one; what is left is a prefix of what was answered."""
    path, count = tmp_path / "orch.db", 6
    async with await SqliteStore.open(path, clock=ManualClock()) as store:
        for number in range(count):
            await accept(store, b"%d" % number)
        base, log = path.read_bytes(), path.with_name("orch.db-wal").read_bytes()
    header, frame = 32, 4096 + 24
    seen = set()
    for size in (*range(header, len(log) + 1, frame), len(log) - 100, header + frame // 2):
        torn = tmp_path / f"torn-{size}.db"
        torn.write_bytes(base)
        torn.with_name(f"{torn.name}-wal").write_bytes(log[:size])
        async with await SqliteStore.open(torn, clock=ManualClock()) as store:
            bodies = [row.body for row in await store.read(lambda tx: tx.pending_inbox())]
        assert bodies == [b"%d" % n for n in range(len(bodies))]
        seen.add(len(bodies))
    assert seen == set(range(count + 1))
