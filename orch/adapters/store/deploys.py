"""Deploys and watches.

Owns: ``deploy``, ``watch``. Rule: values in, values out; the unique index over a project's running deploy is its slot.
"""

from orch.adapters.store.tables import Tables
from orch.adapters.store.values import Row, SqlValue, from_us, from_us_or_none, to_us, to_us_or_none
from orch.core.ids import DeployId, ProjectName, RunId, Sha, TaskRow
from orch.core.model import Deploy, DeployState, Watch, WatchState


class DeployRows(Tables):
    def begin_deploy(self, deploy: Deploy) -> Deploy | None:
        if self.running_deploys(deploy.project):
            return None
        return self.load_deploy(DeployId(self._insert("deploy", _deploy_columns(deploy))))

    def load_deploy(self, deploy: DeployId) -> Deploy | None:
        row = self._row("SELECT * FROM deploy WHERE id = ?", (deploy,))
        return None if row is None else _deploy(row)

    def save_deploy(self, deploy: Deploy) -> bool:
        done = self._run(
            """
            UPDATE deploy SET state = :state, tries = :tries, due_at = :due_at, deadline_at = :deadline_at, ended_at = :ended_at,
            exit_code = :exit_code, detail = :detail, run = :run WHERE id = :id AND state = 'running'
            """,
            {**_deploy_columns(deploy), "id": deploy.id},
        )
        return done.rowcount == 1

    def running_deploys(self, project: ProjectName | None = None) -> list[Deploy]:
        sql = "SELECT * FROM deploy WHERE state = 'running' AND (?1 IS NULL OR project = ?1) ORDER BY id"
        return [_deploy(row) for row in self._rows(sql, (project,))]

    def last_deployed(self, project: ProjectName) -> Deploy | None:
        row = self._row("SELECT * FROM deploy WHERE project = ? AND state = 'succeeded' ORDER BY id DESC LIMIT 1", (project,))
        return None if row is None else _deploy(row)

    def list_deploys(self, *, project: ProjectName | None = None, task: TaskRow | None = None, limit: int = 100) -> list[Deploy]:
        sql = """
            SELECT * FROM deploy WHERE (?1 IS NULL OR project = ?1) AND (?2 IS NULL OR task = ?2) ORDER BY id DESC LIMIT ?3
        """
        return [_deploy(row) for row in self._rows(sql, (project, task, limit))]

    def save_watch(self, watch: Watch) -> None:
        self._run(
            """
            INSERT INTO watch (deploy, project, task, sha, state, bad, probes, since, until, next_at, ended_at, detail)
            VALUES (:deploy, :project, :task, :sha, :state, :bad, :probes, :since, :until, :next_at, :ended_at, :detail)
            ON CONFLICT (deploy) DO UPDATE SET state = excluded.state, bad = excluded.bad, probes = excluded.probes,
            until = excluded.until, next_at = excluded.next_at, ended_at = excluded.ended_at, detail = excluded.detail
            """,
            {
                "deploy": watch.deploy,
                "project": watch.project,
                "task": watch.task,
                "sha": watch.sha,
                "state": watch.state,
                "bad": watch.bad,
                "probes": watch.probes,
                "since": to_us(watch.since),
                "until": to_us(watch.until),
                "next_at": to_us(watch.next_at),
                "ended_at": to_us_or_none(watch.ended_at),
                "detail": watch.detail,
            },
        )

    def load_watch(self, project: ProjectName) -> Watch | None:
        row = self._row("SELECT * FROM watch WHERE project = ? ORDER BY deploy DESC LIMIT 1", (project,))
        return None if row is None else _watch(row)

    def watch_of(self, row: TaskRow) -> Watch | None:
        sql = """
            SELECT watch.* FROM deploy JOIN watch ON watch.deploy = deploy.id WHERE deploy.task = ?
            ORDER BY deploy.id DESC LIMIT 1
        """
        found = self._row(sql, (row,))
        return None if found is None else _watch(found)


def _deploy_columns(deploy: Deploy) -> dict[str, SqlValue]:
    return {
        "project": deploy.project,
        "task": deploy.task,
        "run": deploy.run,
        "sha": deploy.sha,
        "state": deploy.state,
        "tries": deploy.tries,
        "due_at": to_us_or_none(deploy.due_at),
        "deadline_at": to_us(deploy.deadline_at),
        "started_at": to_us(deploy.started_at),
        "ended_at": to_us_or_none(deploy.ended_at),
        "exit_code": deploy.exit_code,
        "detail": deploy.detail,
    }


def _deploy(row: Row) -> Deploy:
    return Deploy(
        id=DeployId(row["id"]),
        project=ProjectName(row["project"]),
        task=TaskRow(row["task"]),
        run=RunId(row["run"]),
        sha=Sha(row["sha"]),
        state=DeployState(row["state"]),
        tries=row["tries"],
        due_at=from_us_or_none(row["due_at"]),
        deadline_at=from_us(row["deadline_at"]),
        started_at=from_us(row["started_at"]),
        ended_at=from_us_or_none(row["ended_at"]),
        exit_code=row["exit_code"],
        detail=row["detail"],
    )


def _watch(row: Row) -> Watch:
    return Watch(
        deploy=DeployId(row["deploy"]),
        project=ProjectName(row["project"]),
        task=TaskRow(row["task"]),
        sha=Sha(row["sha"]),
        state=WatchState(row["state"]),
        bad=row["bad"],
        probes=row["probes"],
        detail=row["detail"],
        since=from_us(row["since"]),
        until=from_us(row["until"]),
        next_at=from_us(row["next_at"]),
        ended_at=from_us_or_none(row["ended_at"]),
    )
