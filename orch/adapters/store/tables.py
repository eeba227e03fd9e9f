"""What every group of tables stands on: one connection, one way to run a statement, statements from files.

Owns: execution of SQL inside a transaction that somebody else has begun. Does not own transactions: nothing here commits.
Rule: a value reaches SQL only as a bound parameter; names of tables and columns are literals of this package.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files

from orch.adapters.store.values import Row, SqlValue, storable, to_us
from orch.core.ids import IssueId, ProjectName

Values = Sequence[SqlValue] | Mapping[str, SqlValue]


@cache
def query(name: str) -> str:
    """Return the text of ``sql/<name>.sql``."""
    return files("orch.adapters.store").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")


class Tables:
    """Base of the table groups that ``SqlTx`` is composed of."""

    def __init__(self, connection: sqlite3.Connection, now: Callable[[], datetime]) -> None:
        self._connection = connection
        self._now = now

    def _run(self, sql: str, values: Values = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except (UnicodeEncodeError, OverflowError):
            # Lone surrogates, or an integer beyond 64 bits: hostile text must not be able to stop a write.
            if isinstance(values, Mapping):
                return self._connection.execute(sql, {name: storable(value) for name, value in values.items()})
            return self._connection.execute(sql, [storable(value) for value in values])

    def _row(self, sql: str, values: Values = ()) -> Row | None:
        row: Row | None = self._run(sql, values).fetchone()
        return row

    def _rows(self, sql: str, values: Values = ()) -> list[Row]:
        return self._run(sql, values).fetchall()

    def _insert(self, table: str, values: Mapping[str, SqlValue]) -> int:
        """Insert one row and return its rowid."""
        return int(self._run(_insert_sql(table, tuple(values)), values).lastrowid or 0)

    def _now_us(self) -> int:
        return to_us(self._now())

    def _refresh_blocked(self, project: ProjectName, issue: IssueId) -> None:
        """Tell the jobs of *issue*, and those that wait for it, whether a dependency still holds them."""
        self._run(query("refresh_blocked"), {"project": project, "issue": base_name(issue)})


@cache
def _insert_sql(table: str, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(':' + column for column in columns)})"


def base_name(name: str) -> str:
    """Return an issue id, work item id or branch without the suffix that a cancelled task's may carry."""
    return name.partition("#cancelled-")[0]
