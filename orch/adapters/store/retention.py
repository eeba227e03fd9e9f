"""What is old enough to go.

Owns: which ended tasks still have things that are kept for a while only, and the removal of rows that nothing asks for any more.
Rule: rows of tasks, runs and history stay for ever (they are what was done and spent); what goes is bodies and caches.
"""

from datetime import datetime

from orch.adapters.store.tables import Tables, base_name
from orch.adapters.store.values import to_us
from orch.core.ids import Branch, DeployId, ProjectName, RunId, TaskRow
from orch.ports.retention import Retirable

_OLD_OUTBOX = """
    DELETE FROM outbox WHERE state IN ('done', 'void') AND created_at < ?
    AND (task IS NULL OR task IN (SELECT row FROM task WHERE retired = 1))
"""


class RetentionRows(Tables):
    def retirable(self, before: datetime, limit: int) -> list[Retirable]:
        sql = """
            SELECT row, project, branch FROM task WHERE swept = 1 AND retired = 0 AND finished_at < ?
            ORDER BY finished_at, row LIMIT ?
        """
        found = []
        for each in self._rows(sql, (to_us(before), limit)):
            runs = self._rows("SELECT id FROM run WHERE task = ? ORDER BY id", (each["row"],))
            deploys = self._rows("SELECT id FROM deploy WHERE task = ? AND state <> 'running' ORDER BY id", (each["row"],))
            found.append(
                Retirable(
                    task=TaskRow(each["row"]),
                    project=ProjectName(each["project"]),
                    branch=Branch(base_name(each["branch"])),
                    runs=tuple(RunId(run["id"]) for run in runs),
                    deploys=tuple(DeployId(deploy["id"]) for deploy in deploys),
                )
            )
        return found

    def retire(self, row: TaskRow) -> None:
        self._run("UPDATE task SET retired = 1 WHERE row = ? AND swept = 1", (row,))

    def forget_old_rows(self, before: datetime) -> int:
        moment = to_us(before)
        gone = self._run("DELETE FROM inbox WHERE state <> 'pending' AND created_at < ?", (moment,)).rowcount
        gone += self._run("DELETE FROM train_check WHERE verdict IS NOT NULL AND ended_at < ?", (moment,)).rowcount
        return gone + self._run(_OLD_OUTBOX, (moment,)).rowcount
