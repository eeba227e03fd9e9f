"""Who may enter the line now: freezes, and the facts that the serial gate is decided by.

Owns: the reads behind ``orch.core.serial_gate``. Rule: the freeze is asked first, and where it cannot be read nothing is claimed;
where the gate cannot be evaluated it opens, and that is logged. Only what can decide is read: the first task that waits at the
gate alone stands for all those behind it, so that ten thousand waiting tasks cost as much as one.
"""

import sqlite3
from dataclasses import dataclass
from typing import final

from orch.adapters.store.tables import Tables
from orch.adapters.store.values import Row
from orch.core.ids import ProjectName, TaskRow
from orch.core.model import Limits
from orch.core.serial_gate import Standing, admitted
from orch.logs import get_logger

LIVE = "stage NOT IN ('done', 'cancelled')"

_ENTERED = f"""
    SELECT row, issue_base, exempt, 1 AS entered FROM task INDEXED BY task_entered WHERE project = ? AND entered = 1 AND {LIVE}
"""
_ASIDE = f"""
    SELECT row, issue_base, exempt, 0 AS entered FROM task INDEXED BY task_aside
    WHERE project = ? AND entered = 0 AND {LIVE} AND (exempt = 1 OR park_reason IS NOT NULL)
"""
_QUEUED = """
    SELECT task.row, task.issue_base, task.exempt, 0 AS entered FROM job INDEXED BY job_entry
    CROSS JOIN task ON task.row = job.task
    WHERE job.project = ? AND job.blocked = ? AND job.state = 'queued' AND job.entry = 1 ORDER BY job.task
"""
_ONE = f"SELECT row, issue_base, exempt, entered FROM task WHERE row = ? AND {LIVE}"
_OPEN = f"""
    SELECT (
        SELECT task.row FROM task WHERE task.project = open.project AND task.issue = open.on_issue AND task.{LIVE}
    ) AS row
    FROM open_dependency AS open WHERE open.project = ? AND open.issue = ?
"""
_log = get_logger("store")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The *shut* projects let none of their new tasks enter but the *admitted* ones."""

    shut: tuple[ProjectName, ...]
    admitted: tuple[TaskRow, ...]


class GateRows(Tables):
    def load_standings(self, project: ProjectName, limits: Limits) -> list[Standing]:
        """Return the live tasks that decide who may enter *project* now.

        These are: whoever has entered and whomever those wait for, fixes and parked tasks, and the first of those in the queue
        that waits for no dependency: it holds all behind it.
        """
        found: dict[TaskRow, Standing] = {}
        for sql in (_ENTERED, _ASIDE):
            for row in self._rows(sql, (project,)):
                found[TaskRow(row["row"])] = self._standing(project, row, limits)
        wanted = [on for standing in found.values() if standing.entered for on in standing.waits_on]
        while wanted:
            task = wanted.pop()
            one = self._row(_ONE, (task,)) if task not in found else None
            if one is not None:
                found[task] = self._standing(project, one, limits)
                wanted.extend(found[task].waits_on)
        for blocked in (0,) if limits.task_deps_enabled else (0, 1):
            for row in self._run(_QUEUED, (project, blocked)):
                standing = self._standing(project, row, limits)
                if not standing.waits:
                    found[standing.row] = standing
                    break
        return [found[task] for task in sorted(found)]

    def _standing(self, project: ProjectName, row: Row, limits: Limits) -> Standing:
        waits = self._rows(_OPEN, (project, row["issue_base"])) if limits.task_deps_enabled else []
        return Standing(
            row=TaskRow(row["row"]),
            entered=bool(row["entered"]),
            exempt=bool(row["exempt"]),
            waits=bool(waits),
            waits_on=frozenset(TaskRow(on["row"]) for on in waits if on["row"] is not None),
        )

    def _doors(self, limits: Limits) -> Doors:
        """Say which projects are shut to new tasks now, by a freeze or by the gate, and who passes all the same."""
        frozen = [ProjectName(row["project"]) for row in self._rows("SELECT project FROM freeze ORDER BY project")]
        shut = list(frozen)
        passing = [TaskRow(row["row"]) for name in frozen for row in self._rows(_ASIDE, (name,)) if row["exempt"]]
        for project in sorted(limits.serial_gate.difference(frozen)):
            if (entering := self._entering(project, limits)) is not None:
                shut.append(project)
                passing.extend(entering)
        return Doors(shut=tuple(shut), admitted=tuple(passing))

    def _entering(self, project: ProjectName, limits: Limits) -> list[TaskRow] | None:
        """Return the tasks that the serial gate lets in, or None where it stands open."""
        try:
            standings = self.load_standings(project, limits)
        except sqlite3.Error as error:
            _log.error("serial gate opened", repo=project, error=f"it could not be evaluated: {error}")
            return None
        return sorted(admitted(standings))
