"""Counting over all tables.

Owns: ``census``. Rule: each count reads an index of what is live, queued, open or pending: what has ended costs nothing.
"""

from orch.adapters.store.tables import Tables
from orch.core.ids import ProjectName
from orch.core.model import Census


class CensusRows(Tables):
    def census(self) -> Census:
        tasks = self._rows(
            "SELECT project, stage, park_reason IS NOT NULL AS parked, count(*) AS n FROM task"
            " WHERE stage NOT IN ('done', 'cancelled') GROUP BY project, stage, parked"
        )
        runs = self._rows("SELECT project, kind, count(*) AS n FROM run WHERE outcome IS NULL GROUP BY project, kind")
        jobs = self._rows("SELECT state, count(*) AS n FROM job WHERE state IN ('queued', 'running') GROUP BY state")
        outbox = self._rows(
            "SELECT target, state, count(*) AS n FROM outbox WHERE state IN ('pending', 'parked') GROUP BY target, state"
        )
        inbox = self._row("SELECT count(*) AS n FROM inbox WHERE state = 'pending'")
        return Census(
            tasks={(ProjectName(row["project"]), str(row["stage"]), bool(row["parked"])): int(row["n"]) for row in tasks},
            runs={(ProjectName(row["project"]), str(row["kind"])): int(row["n"]) for row in runs},
            jobs={str(row["state"]): int(row["n"]) for row in jobs},
            outbox={(str(row["target"]), str(row["state"])): int(row["n"]) for row in outbox},
            inbox=int(inbox["n"]) if inbox is not None else 0,
        )
