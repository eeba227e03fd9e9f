"""What the line's control keeps beside tasks and runs: unexplained columns, processes that could not be ended.

Owns: ``unexplained``, ``survivor``. Rule: values in, values out; saying the same twice changes nothing.
"""

from collections.abc import Iterable

from orch.adapters.store.tables import Tables
from orch.adapters.store.values import Row, from_us, to_us
from orch.core.ids import IssueId, ProjectName, TaskRow
from orch.core.model import Survivor, Unexplained


class ControlRows(Tables):
    def load_unexplained(self, project: ProjectName, issue: IssueId) -> Unexplained | None:
        row = self._row("SELECT * FROM unexplained WHERE project = ? AND issue = ?", (project, issue))
        return None if row is None else _unexplained(row)

    def list_unexplained(self, project: ProjectName) -> list[Unexplained]:
        rows = self._rows("SELECT * FROM unexplained WHERE project = ? ORDER BY issue", (project,))
        return [_unexplained(row) for row in rows]

    def save_unexplained(self, seen: Unexplained) -> None:
        self._run(
            """
            INSERT INTO unexplained (project, issue, column_id, looks, at) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (project, issue) DO UPDATE SET
            column_id = excluded.column_id, looks = excluded.looks, at = excluded.at
            """,
            (seen.project, seen.issue, seen.column, seen.looks, to_us(seen.at)),
        )

    def drop_unexplained(self, project: ProjectName, issue: IssueId) -> None:
        self._run("DELETE FROM unexplained WHERE project = ? AND issue = ?", (project, issue))

    def save_survivors(self, row: TaskRow, survivors: Iterable[Survivor]) -> None:
        kept = list(survivors)
        self._run("DELETE FROM survivor WHERE task = ?", (row,))
        for each in kept:
            self._run(
                "INSERT INTO survivor (task, pid, started, name) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (row, each.pid, each.started, each.name),
            )

    def list_survivors(self, row: TaskRow | None = None) -> dict[TaskRow, list[Survivor]]:
        found: dict[TaskRow, list[Survivor]] = {}
        sql = "SELECT * FROM survivor WHERE ?1 IS NULL OR task = ?1 ORDER BY task, pid, started"
        for each in self._rows(sql, (row,)):
            one = Survivor(pid=each["pid"], started=each["started"], name=each["name"])
            found.setdefault(TaskRow(each["task"]), []).append(one)
        return found


def _unexplained(row: Row) -> Unexplained:
    return Unexplained(
        project=ProjectName(row["project"]),
        issue=IssueId(row["issue"]),
        column=row["column_id"],
        looks=row["looks"],
        at=from_us(row["at"]),
    )
