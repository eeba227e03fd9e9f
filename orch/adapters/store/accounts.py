"""Accounts, their pauses and the failures that may turn out to be theirs; and the store's own probe.

Owns: ``account``, ``account_failure``. Rule: values in, values out; when an account is paused is decided in
``orch.core.accounts``.
"""

from datetime import datetime

from orch.adapters.store.tables import Tables
from orch.adapters.store.values import Row, from_us, to_us
from orch.core.ids import RunId, TaskRow
from orch.core.model import Account, AccountPause, Outcome


class AccountRows(Tables):
    def load_account(self, name: str) -> Account:
        row = self._row("SELECT * FROM account WHERE name = ?", (name,))
        return Account(name=name) if row is None else _account(row)

    def paused_accounts(self) -> list[Account]:
        return [_account(row) for row in self._rows("SELECT * FROM account WHERE cause IS NOT NULL ORDER BY name")]

    def save_account(self, account: Account) -> None:
        pause = account.pause
        self._run(
            """
            INSERT INTO account (name, cause, since, until, renewals, trial, detail)
            VALUES (:name, :cause, :since, :until, :renewals, :trial, :detail)
            ON CONFLICT (name) DO UPDATE SET cause = excluded.cause, since = excluded.since, until = excluded.until,
            renewals = excluded.renewals, trial = excluded.trial, detail = excluded.detail
            """,
            {
                "name": account.name,
                "cause": None if pause is None else pause.cause,
                "since": None if pause is None else to_us(pause.since),
                "until": None if pause is None else to_us(pause.until),
                "renewals": 0 if pause is None else pause.renewals,
                "trial": None if pause is None else pause.trial,
                "detail": "" if pause is None else pause.detail,
            },
        )

    def note_failure(self, account: str, kind: str, task: TaskRow, at: datetime) -> None:
        self._run(
            """
            INSERT INTO account_failure (account, class, task, at) VALUES (?, ?, ?, ?)
            ON CONFLICT (account, class, task) DO UPDATE SET at = excluded.at
            """,
            (account, kind, task, to_us(at)),
        )

    def failing_tasks(self, account: str, kind: str, since: datetime) -> list[TaskRow]:
        sql = "SELECT task FROM account_failure WHERE account = ? AND class = ? AND at >= ? ORDER BY at, task"
        return [TaskRow(row["task"]) for row in self._rows(sql, (account, kind, to_us(since)))]

    def forget_failures(self, account: str, before: datetime | None = None) -> None:
        at = None if before is None else to_us(before)
        self._run("DELETE FROM account_failure WHERE account = ?1 AND (?2 IS NULL OR at < ?2)", (account, at))

    def identity(self) -> str:
        row = self._row("SELECT value FROM meta WHERE key = 'identity'")
        assert row is not None
        return str(row["value"])

    def probe(self, at: datetime) -> None:
        self._run(
            "INSERT INTO meta (key, value) VALUES ('probe', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (at.isoformat(),),
        )


def _account(row: Row) -> Account:
    if row["cause"] is None:
        return Account(name=row["name"])
    pause = AccountPause(
        cause=Outcome(row["cause"]),
        since=from_us(row["since"]),
        until=from_us(row["until"]),
        renewals=row["renewals"],
        trial=None if row["trial"] is None else RunId(row["trial"]),
        detail=row["detail"],
    )
    return Account(name=row["name"], pause=pause)
