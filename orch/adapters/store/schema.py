"""Opening a database: settings, damage check, migrations, and which versions may use the file.

Owns: connections' settings and the numbered files ``sql/NNNN_*.sql``. Rule: a migration only adds; its first line
``-- oldest: N`` names the oldest schema version whose program can still use the file, so that a rolled-back program starts.
A damaged or foreign file is refused in one sentence and never repaired in silence.
"""

import os
import re
import sqlite3
from contextlib import closing
from functools import cache
from importlib.resources import files
from pathlib import Path

from orch.adapters.store.tables import query
from orch.core.errors import StoreError

APPLICATION_ID = 0x4F524348
"""``ORCH`` in the file's header: another program's database is told apart from ours."""

_MIGRATION = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_OLDEST = re.compile(r"-- oldest: (\d+)\n")
_SQLITE_MIN = (3, 38, 0)


def migrations() -> dict[int, str]:
    """Return the scripts by version, in order."""
    found = {}
    for entry in files("orch.adapters.store").joinpath("sql").iterdir():
        if match := _MIGRATION.fullmatch(entry.name):
            found[int(match[1])] = entry.read_text(encoding="utf-8")
    return dict(sorted(found.items()))


def open_writer(path: Path | None) -> sqlite3.Connection:
    """Open (or make) the database at *path*, in memory when None, checked and migrated. Raises StoreError."""
    if sqlite3.sqlite_version_info < _SQLITE_MIN:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; 3.38 or newer is needed")
    name = ":memory:" if path is None else str(path)
    try:
        if path is not None:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = _connect(name)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot open the database {name}: {error}") from error
    try:
        if path is None:
            connection.deserialize(_fresh())
        else:
            _prepare(connection, name)
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"cannot use the database {name}: {error}; restore it from a backup") from error
    except StoreError:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a second connection that can only read. Raises StoreError."""
    try:
        connection = _connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        connection.execute("PRAGMA query_only = ON")
        # The first read opens the WAL: done now, a process that is out of descriptors later can still read.
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"cannot open the database {path} for reading: {error}") from error
    return connection


def back_up(connection: sqlite3.Connection, target: Path) -> None:
    """Copy the whole database to *target*, which must not exist yet, as one consistent state. Raises StoreError."""
    if target.exists():
        raise StoreError(f"{target} exists already; name a new file for the backup")
    try:
        with closing(sqlite3.connect(target)) as copy:
            connection.backup(copy)
    except sqlite3.Error as error:
        raise StoreError(f"cannot write the backup {target}: {error}") from error
    target.chmod(0o600)


def _connect(name: str, *, uri: bool = False) -> sqlite3.Connection:
    # check_same_thread: made and used on one worker thread; the exception is an interpreter that closes it while it exits.
    connection = sqlite3.connect(name, uri=uri, isolation_level=None, check_same_thread=False, cached_statements=512)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@cache
def _fresh() -> bytes:
    """Make a new database's content: those in memory begin with a copy, which takes a tenth of their migration."""
    with closing(_connect(":memory:")) as connection:
        _prepare(connection, ":memory:")
        return connection.serialize()


def _prepare(connection: sqlite3.Connection, name: str) -> None:
    damage = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
    if damage != ["ok"]:
        raise StoreError(f"the database {name} is damaged ({' '.join(str(damage[0]).split())}); restore it from a backup")
    version = _number(connection, "user_version")
    scripts = migrations()
    newest = max(scripts)
    _refuse_foreign(connection, name, version, newest)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    for number, script in scripts.items():
        if number > version:
            _migrate(connection, number, script)
    # A program of another version may have written last; a wrong flag would hide a job from the claim for ever.
    connection.execute(query("refresh_blocked"), {"project": None, "issue": None})
    connection.executescript(query("refresh_entered"))


def _refuse_foreign(connection: sqlite3.Connection, name: str, version: int, newest: int) -> None:
    if version == 0:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise StoreError(f"{name} is not a database of this program; name another file")
        return
    if _number(connection, "application_id") != APPLICATION_ID:
        raise StoreError(f"{name} is not a database of this program; name another file")
    oldest = int(connection.execute("SELECT value FROM meta WHERE key = 'oldest'").fetchone()[0])
    if newest < oldest:
        raise StoreError(
            f"the database {name} has schema {version}, which needs a program that knows schema {oldest}; "
            f"this one knows {newest}: install the newer version or restore the backup from before the upgrade"
        )


def _migrate(connection: sqlite3.Connection, number: int, script: str) -> None:
    """Run one script and its bookkeeping as one transaction."""
    header = _OLDEST.match(script)
    if header is None:
        raise StoreError(f"migration {number} does not begin with '-- oldest: N'")
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script}\n"
            f"INSERT INTO meta (key, value) VALUES ('oldest', '{int(header[1])}')"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value;\n"
            f"PRAGMA user_version = {number};\nPRAGMA application_id = {APPLICATION_ID};\nCOMMIT;"
        )
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
