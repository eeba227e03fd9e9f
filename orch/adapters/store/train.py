"""The merge train's checks, and what its planner remembers.

Owns: ``train_check``, ``train``, and the numbering of landings. Rule: values in, values out; a check gets its verdict once.
"""

import json
from collections.abc import Collection

from orch.adapters.store.tables import Tables
from orch.adapters.store.values import Row, SqlValue, dump, from_us, from_us_or_none, to_us, to_us_or_none
from orch.core.ids import CheckId, ProjectName, RunId, Sha, TaskRow
from orch.core.model import CheckRow, Member, TrainRow


class TrainRows(Tables):
    def add_check(self, check: CheckRow) -> CheckRow:
        row = self._insert("train_check", _columns(check))
        found = self._row("SELECT * FROM train_check WHERE id = ?", (row,))
        assert found is not None
        return _check(found)

    def end_check(self, check: CheckRow) -> bool:
        done = self._run(
            """
            UPDATE train_check SET verdict = ?, tail = ?, log_path = ?, seconds = ?, ended_at = ?
            WHERE id = ? AND verdict IS NULL
            """,
            (check.verdict, check.tail, check.log_path, check.seconds, to_us_or_none(check.ended_at), check.id),
        )
        return done.rowcount == 1

    def list_checks(
        self, project: ProjectName, *, trees: Collection[Sha] | None = None, running: bool = False, limit: int = 1000
    ) -> list[CheckRow]:
        wanted = dump(sorted(trees)) if trees is not None else None
        if wanted is None and not running:
            sql = "SELECT * FROM train_check WHERE project = ? ORDER BY id DESC LIMIT ?"
            return [_check(row) for row in reversed(self._rows(sql, (project, limit)))]
        rows = self._rows(
            """
            SELECT * FROM train_check WHERE project = ?1 AND (
                (?2 IS NOT NULL AND tree IN (SELECT value FROM json_each(?2))) OR (?3 AND verdict IS NULL)
            ) ORDER BY id DESC LIMIT ?4
            """,
            (project, wanted, running, limit),
        )
        return [_check(row) for row in reversed(rows)]

    def load_train(self, project: ProjectName) -> TrainRow:
        row = self._row("SELECT * FROM train WHERE project = ?", (project,))
        if row is None:
            return TrainRow(project=project)
        return TrainRow(
            project=project,
            width=row["width"],
            suspect=None if row["suspect"] is None else TaskRow(row["suspect"]),
            spent=None if row["spent"] is None else CheckId(row["spent"]),
            doubt=row["doubt"],
            red_main=None if row["red_main"] is None else Sha(row["red_main"]),
            held=tuple((TaskRow(task), str(why)) for task, why in json.loads(row["held"])),
            landings=row["landings"],
            landed=row["landed"],
            ejected=row["ejected"],
            checks=row["checks"],
            wasted=row["wasted"],
            lost_swaps=row["lost_swaps"],
            waits=tuple(float(seconds) for seconds in json.loads(row["waits"])),
            frozen_s=row["frozen_s"],
            frozen_since=from_us_or_none(row["frozen_since"]),
        )

    def save_train(self, train: TrainRow) -> None:
        values = _train_columns(train)
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        update = ", ".join(f"{name} = excluded.{name}" for name in values if name != "project")
        self._run(
            f"INSERT INTO train ({names}) VALUES ({marks}) ON CONFLICT (project) DO UPDATE SET {update}",
            values,
        )

    def next_landed_seq(self, project: ProjectName) -> int:
        row = self._row("SELECT max(landed_seq) AS last FROM task WHERE project = ? AND landed_seq IS NOT NULL", (project,))
        return 1 + int((row["last"] if row is not None else 0) or 0)


def _train_columns(train: TrainRow) -> dict[str, SqlValue]:
    return {
        "project": train.project,
        "width": train.width,
        "suspect": train.suspect,
        "spent": train.spent,
        "doubt": train.doubt,
        "red_main": train.red_main,
        "landings": train.landings,
        "landed": train.landed,
        "ejected": train.ejected,
        "checks": train.checks,
        "wasted": train.wasted,
        "lost_swaps": train.lost_swaps,
        "frozen_s": train.frozen_s,
        "frozen_since": to_us_or_none(train.frozen_since),
        "held": dump([[int(task), why] for task, why in train.held]),
        "waits": dump(list(train.waits)),
    }


def _columns(check: CheckRow) -> dict[str, SqlValue]:
    return {
        "project": check.project,
        "base": check.base,
        "sha": check.sha,
        "tree": check.tree,
        "environment": check.environment,
        "run": check.run,
        "verdict": check.verdict,
        "seconds": check.seconds,
        "log_path": check.log_path,
        "started_at": to_us(check.started_at),
        "ended_at": to_us_or_none(check.ended_at),
        "members": dump([[member.task, member.head] for member in check.members]),
        "tail": check.tail,
    }


def _check(row: Row) -> CheckRow:
    return CheckRow(
        id=CheckId(row["id"]),
        project=ProjectName(row["project"]),
        base=Sha(row["base"]),
        sha=Sha(row["sha"]),
        tree=Sha(row["tree"]),
        members=tuple(Member(task=TaskRow(task), head=Sha(head)) for task, head in json.loads(row["members"])),
        environment=row["environment"],
        run=None if row["run"] is None else RunId(row["run"]),
        verdict=row["verdict"],
        tail=row["tail"],
        log_path=row["log_path"],
        seconds=row["seconds"],
        started_at=from_us(row["started_at"]),
        ended_at=from_us_or_none(row["ended_at"]),
    )
