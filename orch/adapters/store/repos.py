"""Projects' runtime state: pause, freeze, board columns, dependencies, leases, intents.

Owns: ``repo``, ``freeze``, ``board_state``, ``dependency``, ``intent``. Rule: a landing or deploy is recorded only under the
current lease epoch; declaring a dependency and looking for its cycle are one transaction.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from orch.adapters.store.tables import Tables
from orch.adapters.store.values import Row, dump_candidate, from_us, from_us_or_none, load_candidate, to_us, to_us_or_none
from orch.core.errors import LeaseLost
from orch.core.ids import Epoch, IntentId, IssueId, ProjectName, Sha, TaskRow
from orch.core.model import Candidate, Freeze, FreezeCause, Intent, IntentKind, IntentState, MergeLease, Repo, Task
from orch.core.statuses import BoardState

BOARD = "board"
"""The source of a dependency that was read from the board's relations; one that was declared here is ``db``."""


class RepoRows(Tables):
    def load_repo(self, project: ProjectName) -> Repo:
        row = self._row("SELECT * FROM repo WHERE project = ?", (project,))
        freeze = self._row("SELECT * FROM freeze WHERE project = ?", (project,))
        return Repo(
            project=project,
            paused=bool(row["paused"]) if row else False,
            freeze=None if freeze is None else _freeze(freeze),
            main=None if row is None or row["main"] is None else Sha(row["main"]),
            baseline_at=from_us_or_none(row["baseline_at"]) if row else None,
            polled_at=from_us_or_none(row["polled_at"]) if row else None,
        )

    def save_repo(self, repo: Repo) -> None:
        self._run(
            """
            INSERT INTO repo (project, paused, main, baseline_at, polled_at) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (project) DO UPDATE SET paused = excluded.paused, main = excluded.main,
            baseline_at = excluded.baseline_at, polled_at = excluded.polled_at
            """,
            (repo.project, repo.paused, repo.main, to_us_or_none(repo.baseline_at), to_us_or_none(repo.polled_at)),
        )

    def set_freeze(self, freeze: Freeze) -> None:
        """Freeze the repo. A person's freeze stays when a machine's cause comes on top: only a person lifts it."""
        self._run(
            """
            INSERT INTO freeze (project, cause, since, by, detail) VALUES (?, ?, ?, ?, ?) ON CONFLICT (project) DO UPDATE SET
            cause = excluded.cause, since = excluded.since, by = excluded.by, detail = excluded.detail
            WHERE freeze.cause <> 'person' OR excluded.cause = 'person'
            """,
            (freeze.project, freeze.cause, to_us(freeze.since), freeze.by, freeze.detail),
        )

    def lift_freeze(self, project: ProjectName) -> None:
        self._run("DELETE FROM freeze WHERE project = ?", (project,))

    def load_states(self, project: ProjectName) -> list[BoardState]:
        rows = self._rows("SELECT id, name, grp FROM board_state WHERE project = ? ORDER BY position", (project,))
        return [BoardState(id=row["id"], name=row["name"], group=row["grp"]) for row in rows]

    def save_states(self, project: ProjectName, states: Sequence[BoardState]) -> None:
        self._run("DELETE FROM board_state WHERE project = ?", (project,))
        for position, state in enumerate(states):
            self._run(
                "INSERT INTO board_state (project, position, id, name, grp) VALUES (?, ?, ?, ?, ?)",
                (project, position, state.id, state.name, state.group),
            )

    # ------------------------------------------------------------------------------------------------ dependencies

    def add_dependency(self, project: ProjectName, issue: IssueId, on: IssueId, at: datetime) -> list[IssueId] | None:
        """Declare it, or return the cycle that it would close: *issue*, *on*, …, *issue*."""
        path = self._path(project, on, issue)
        if path is not None:
            return [issue, *path]
        self._run(
            """
            INSERT INTO dependency (project, issue, on_issue, created_at) VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET source = 'db'
            """,
            (project, issue, on, to_us(at)),
        )
        self._refresh_blocked(project, issue)
        return None

    def _path(self, project: ProjectName, start: IssueId, goal: IssueId) -> list[IssueId] | None:
        """Return a chain of dependencies from *start* to *goal*, both named, or None."""
        came_from: dict[IssueId, IssueId | None] = {start: None}
        open_ends = [start]
        while open_ends:
            here = open_ends.pop()
            if here == goal:
                path: list[IssueId] = []
                step: IssueId | None = here
                while step is not None:
                    path.append(step)
                    step = came_from[step]
                return path[::-1]
            for ahead in self.dependencies(project, here):
                if ahead not in came_from:
                    came_from[ahead] = here
                    open_ends.append(ahead)
        return None

    def remove_dependency(self, project: ProjectName, issue: IssueId, on: IssueId) -> bool:
        sql = "DELETE FROM dependency WHERE project = ? AND issue = ? AND on_issue = ? AND source = 'db'"
        removed = self._run(sql, (project, issue, on)).rowcount == 1
        self._refresh_blocked(project, issue)
        return removed

    def dependencies(self, project: ProjectName, issue: IssueId) -> list[IssueId]:
        sql = "SELECT on_issue FROM dependency WHERE project = ? AND issue = ? ORDER BY created_at, on_issue"
        return [IssueId(row["on_issue"]) for row in self._rows(sql, (project, issue))]

    def dependents(self, project: ProjectName, issue: IssueId) -> list[IssueId]:
        sql = "SELECT issue FROM dependency WHERE project = ? AND on_issue = ? ORDER BY created_at, issue"
        return [IssueId(row["issue"]) for row in self._rows(sql, (project, issue))]

    def open_dependencies(self, project: ProjectName, issue: IssueId) -> list[IssueId]:
        sql = "SELECT on_issue FROM open_dependency WHERE project = ? AND issue = ? ORDER BY on_issue"
        return [IssueId(row["on_issue"]) for row in self._rows(sql, (project, issue))]

    # ------------------------------------------------------------------------------------------------ the board's relations

    def set_relations(self, project: ProjectName, issue: IssueId, on: Mapping[IssueId, bool], at: datetime) -> bool:
        sql = "SELECT on_issue, source, closed FROM dependency WHERE project = ? AND issue = ?"
        known = {IssueId(row["on_issue"]): row for row in self._rows(sql, (project, issue))}
        gone = [each for each, row in known.items() if row["source"] == BOARD and each not in on]
        news = {each: closed for each, closed in on.items() if each not in known or bool(known[each]["closed"]) is not closed}
        for each in gone:
            self._run("DELETE FROM dependency WHERE project = ? AND issue = ? AND on_issue = ?", (project, issue, each))
        for each, closed in news.items():
            self._run(
                """
                INSERT INTO dependency (project, issue, on_issue, created_at, source, closed) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET closed = excluded.closed
                """,
                (project, issue, each, to_us(at), BOARD, closed),
            )
        if gone or news:
            self._refresh_blocked(project, issue)
        return bool(gone or news)

    def relations(self, project: ProjectName, issue: IssueId) -> list[IssueId]:
        sql = "SELECT on_issue FROM dependency WHERE project = ? AND issue = ? AND source = ? ORDER BY created_at, on_issue"
        return [IssueId(row["on_issue"]) for row in self._rows(sql, (project, issue, BOARD))]

    def drop_relations(self, project: ProjectName) -> bool:
        sql = "DELETE FROM dependency WHERE project = ? AND source = ? RETURNING issue"
        freed = {IssueId(row["issue"]) for row in self._rows(sql, (project, BOARD))}
        for issue in freed:
            self._refresh_blocked(project, issue)
        return bool(freed)

    def note_closed(self, project: ProjectName, issue: IssueId, *, closed: bool) -> bool:
        sql = "UPDATE dependency SET closed = ? WHERE project = ? AND on_issue = ? AND closed <> ?"
        changed = self._run(sql, (closed, project, issue, closed)).rowcount > 0
        if changed:
            self._refresh_blocked(project, issue)
        return changed

    def open_edges(self, project: ProjectName) -> dict[IssueId, list[IssueId]]:
        edges: dict[IssueId, list[IssueId]] = {}
        sql = "SELECT issue, on_issue FROM open_dependency WHERE project = ? ORDER BY issue, on_issue"
        for row in self._rows(sql, (project,)):
            edges.setdefault(IssueId(row["issue"]), []).append(IssueId(row["on_issue"]))
        return edges

    def awaiting_entry(self, project: ProjectName) -> list[IssueId]:
        sql = """
            SELECT issue FROM task
            WHERE project = :project AND stage NOT IN ('done', 'cancelled') AND (entered = 0 OR issue_base IN (
                SELECT open.issue FROM open_dependency AS open JOIN dependency AS known USING (project, issue, on_issue)
                WHERE open.project = :project AND known.source = :source
            )) ORDER BY row
        """
        return [IssueId(row["issue"]) for row in self._rows(sql, {"project": project, "source": BOARD})]

    # ------------------------------------------------------------------------------------------------ lease and intents

    def take_lease(self, project: ProjectName, holder: str) -> MergeLease:
        row = self._row(
            """
            INSERT INTO repo (project, lease_holder, lease_epoch) VALUES (?, ?, 1) ON CONFLICT (project) DO UPDATE SET
            lease_holder = excluded.lease_holder, lease_epoch = repo.lease_epoch + 1 RETURNING lease_epoch
            """,
            (project, holder),
        )
        return MergeLease(project=project, holder=holder, epoch=Epoch(row["lease_epoch"] if row else 0))

    def check_lease(self, lease: MergeLease) -> None:
        row = self._row("SELECT lease_holder, lease_epoch FROM repo WHERE project = ?", (lease.project,))
        if row is None or (row["lease_holder"], row["lease_epoch"]) != (lease.holder, lease.epoch):
            now = "nobody" if row is None else f"{row['lease_holder']} at epoch {row['lease_epoch']}"
            raise LeaseLost(f"the lease of {lease.project} is no longer {lease.holder}'s (epoch {lease.epoch}); it is {now}")

    def add_intent(
        self, kind: IntentKind, lease: MergeLease, *, candidate: Candidate | None, task: TaskRow | None, at: datetime
    ) -> Intent:
        """Record what is about to be done; raises LeaseLost unless *lease* is the current one."""
        self.check_lease(lease)
        row = self._insert(
            "intent",
            {
                "kind": kind,
                "project": lease.project,
                "state": IntentState.OPEN,
                "epoch": lease.epoch,
                "task": task,
                "at": to_us(at),
                "candidate": dump_candidate(candidate),
            },
        )
        return Intent(
            id=IntentId(row),
            kind=kind,
            project=lease.project,
            state=IntentState.OPEN,
            epoch=lease.epoch,
            candidate=candidate,
            task=task,
            at=at,
        )

    def end_intent(self, intent: IntentId, state: IntentState) -> None:
        """Settle an open intent; a settled one stays as it is."""
        self._run("UPDATE intent SET state = ? WHERE id = ? AND state = 'open'", (state, intent))

    def open_intents(self, project: ProjectName | None = None) -> list[Intent]:
        terms = "state = 'open'" if project is None else "state = 'open' AND project = :project"
        return [_intent(row) for row in self._rows(f"SELECT * FROM intent WHERE {terms} ORDER BY id", {"project": project})]

    def landing_of(self, task: Task) -> Candidate | None:
        """Search the settled landings for the one that gave the task its place in main. Asked seldom: without an index."""
        sql = """
            SELECT * FROM intent WHERE project = ? AND kind = 'land' AND state = 'done' AND instr(candidate, ?) > 0
            ORDER BY id DESC
        """
        for row in self._rows(sql, (task.project, task.landed or "-")):
            candidate = _intent(row).candidate
            if candidate is not None and candidate.landed.get(task.row) == task.landed:
                return candidate
        return None


def _freeze(row: Row) -> Freeze:
    """Read a freeze. One for a cause that this program does not know holds all the same, until a person lifts it."""
    known = row["cause"] in tuple(FreezeCause)
    return Freeze(
        project=ProjectName(row["project"]),
        cause=FreezeCause(row["cause"]) if known else FreezeCause.PERSON,
        since=from_us(row["since"]),
        by=row["by"],
        detail=row["detail"],
    )


def _intent(row: Row) -> Intent:
    project = ProjectName(row["project"])
    return Intent(
        id=IntentId(row["id"]),
        kind=IntentKind(row["kind"]),
        project=project,
        state=IntentState(row["state"]),
        epoch=Epoch(row["epoch"]),
        candidate=load_candidate(row["candidate"], project),
        task=None if row["task"] is None else TaskRow(row["task"]),
        at=from_us(row["at"]),
    )
