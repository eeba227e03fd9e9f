"""Inbox, handled activity, outbox.

Owns: ``inbox``, ``handled``, ``outbox``. Rule: rows of one task and target leave in the order they were added; a row
that was made void is not brought back by a late answer.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from orch.adapters.store.tables import Tables, query
from orch.adapters.store.values import Row, SqlValue, dump, from_us, from_us_or_none, load_payload, to_us
from orch.core.ids import ActivityId, InboxId, OutboxId, ProjectName, TaskRow
from orch.core.model import InboxRow, NewOutbox, OutboxRow, RowState, Target

SET_STATUS = "SetStatus"


class QueueRows(Tables):
    def add_inbox(self, source: str, body: bytes, at: datetime) -> InboxId:
        values: dict[str, SqlValue] = {
            "source": source,
            "state": RowState.PENDING,
            "error": "",
            "created_at": to_us(at),
            "body": body,
        }
        return InboxId(self._insert("inbox", values))

    def pending_inbox(self, limit: int = 500) -> list[InboxRow]:
        rows = self._rows("SELECT * FROM inbox WHERE state = 'pending' ORDER BY id LIMIT ?", (limit,))
        return [
            InboxRow(
                id=row["id"],
                source=row["source"],
                body=row["body"],
                state=RowState(row["state"]),
                error=row["error"],
                created_at=from_us(row["created_at"]),
            )
            for row in rows
        ]

    def mark_inbox(self, row: InboxId, state: RowState, error: str = "") -> None:
        self._run("UPDATE inbox SET state = ?, error = ? WHERE id = ?", (state, error, row))

    def unhandled(self, project: ProjectName, entries: Iterable[ActivityId]) -> set[ActivityId]:
        sql = """
            SELECT value AS entry FROM json_each(?)
            WHERE NOT EXISTS (SELECT 1 FROM handled WHERE handled.project = ? AND handled.activity = value)
        """
        return {ActivityId(row["entry"]) for row in self._rows(sql, (dump(list(entries)), project))}

    def mark_handled(self, project: ProjectName, entries: Iterable[ActivityId], at: datetime) -> None:
        self._run(
            "INSERT INTO handled (project, activity, at) SELECT ?, value, ? FROM json_each(?) WHERE true ON CONFLICT DO NOTHING",
            (project, to_us(at), dump(list(entries))),
        )

    def add_outbox(self, new: NewOutbox) -> OutboxId | None:
        row = self._row(
            """
            INSERT INTO outbox (project, task, target, kind, key, state, due_at, created_at, payload)
            VALUES (:project, :task, :target, :kind, :key, 'pending', :at, :at, :payload)
            ON CONFLICT (key) DO NOTHING RETURNING id
            """,
            {
                "project": new.project,
                "task": new.task,
                "target": new.target,
                "kind": new.kind,
                "key": new.key,
                "at": to_us(new.at),
                "payload": dump(dict(new.payload)),
            },
        )
        if row is None:
            again = new.kind == SET_STATUS and self._superseded(new.key)  # the same status, set anew within one tick of the clock
            return self.add_outbox(replace(new, key=f"{new.key}+")) if again else None
        if new.kind == SET_STATUS and new.task is not None:
            self._run(
                "UPDATE outbox SET state = 'void' WHERE task = ? AND kind = ? AND state = 'pending' AND id < ?",
                (new.task, SET_STATUS, row["id"]),
            )
        return OutboxId(row["id"])

    def _superseded(self, key: str) -> bool:
        """Say whether another status of the same task was to be shown after the one of that key."""
        sql = """
            SELECT 1 AS found FROM outbox AS old
            JOIN outbox AS later ON later.task = old.task AND later.kind = old.kind AND later.id > old.id
            WHERE old.key = ? LIMIT 1
        """
        return self._row(sql, (key,)) is not None

    def due_outbox(self, now: datetime, limit: int = 50, *, but: Target | None = None) -> list[OutboxRow]:
        sql = f"""
            SELECT outbox.* FROM ({query("outbox_heads")}) AS head CROSS JOIN outbox ON outbox.id = head.id
            WHERE head.due_at <= ? AND outbox.target IS NOT ? ORDER BY head.due_at, head.id LIMIT ?
        """
        return [_outbox(row) for row in self._rows(sql, (to_us(now), but, limit))]

    def next_outbox_due(self) -> datetime | None:
        row = self._row(f"SELECT min(due_at) AS due FROM ({query('outbox_heads')})")
        return from_us_or_none(row["due"] if row else None)

    def end_outbox(self, row: OutboxId, state: RowState, error: str = "") -> None:
        """Settle a row. One that became void while it was being delivered can still turn out done, nothing else."""
        self._run(
            """
            UPDATE outbox SET state = :state, error = :error
            WHERE id = :id AND (state IN ('pending', 'parked') OR (state = 'void' AND :state = 'done'))
            """,
            {"state": state, "error": error, "id": row},
        )

    def retry_outbox(self, row: OutboxId, due_at: datetime, error: str) -> None:
        self._run(
            "UPDATE outbox SET tries = tries + 1, due_at = ?, error = ? WHERE id = ? AND state = 'pending'",
            (to_us(due_at), error, row),
        )

    def list_outbox(self, *, state: RowState | None = None, task: TaskRow | None = None, limit: int = 200) -> list[OutboxRow]:
        terms = ["1"]
        if state is not None:
            terms.append("state = :state")
        if task is not None:
            terms.append("task = :task")
        sql = f"SELECT * FROM outbox WHERE {' AND '.join(terms)} ORDER BY id LIMIT :limit"
        return [_outbox(row) for row in self._rows(sql, {"state": state, "task": task, "limit": limit})]


def _outbox(row: Row) -> OutboxRow:
    return OutboxRow(
        id=OutboxId(row["id"]),
        project=ProjectName(row["project"]),
        task=None if row["task"] is None else TaskRow(row["task"]),
        target=Target(row["target"]),
        kind=row["kind"],
        payload=load_payload(row["payload"]),
        key=row["key"],
        state=RowState(row["state"]),
        tries=row["tries"],
        due_at=from_us(row["due_at"]),
        error=row["error"],
        created_at=from_us(row["created_at"]),
    )
