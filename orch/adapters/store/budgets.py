"""Money: what runs cost while they go on, sums over them, and the limits of days.

Owns: ``day_budget``, and the live figures in ``run``. Rule: sums count agents' runs alone, in the day in which each began. Live
figures only grow, and are facts: they are kept whatever became of the run meanwhile.
"""

from datetime import UTC, date, datetime, timedelta

from orch.adapters.store.tables import Tables
from orch.adapters.store.tasks import LIVE, task_of
from orch.adapters.store.values import from_us, money, to_us
from orch.core.accounting import SpendRow
from orch.core.budget import day_begins
from orch.core.ids import ProjectName, RunId, TaskRow
from orch.core.model import DayBudget, Figures, Limits, Task, Usage
from orch.core.stages import Stage

_DAY_S = 86_400
SPENT = "coalesce((SELECT round(sum(cost_usd), 6) FROM run WHERE run.task = task.row), 0)"


class BudgetRows(Tables):
    def keep_figures(self, run: RunId, figures: Figures) -> bool:
        usage = figures.usage
        sql = """
            UPDATE run SET
                session = coalesce(session, :session),
                session_cost_usd = CASE WHEN :total IS NULL THEN session_cost_usd ELSE :total END,
                model = CASE WHEN :model <> '' THEN :model ELSE model END,
                tokens_input = max(tokens_input, :input), tokens_output = max(tokens_output, :output),
                tokens_cache_read = max(tokens_cache_read, :cache_read),
                tokens_cache_creation = max(tokens_cache_creation, :cache_creation),
                cost_usd = max(cost_usd, :cost), turns = max(turns, :turns)
            WHERE id = :id AND (outcome IS NULL OR outcome IN ('cancelled', 'crashed'))
        """
        values = {
            "id": run,
            "session": figures.session,
            "total": None if figures.session_cost_usd is None else money(figures.session_cost_usd),
            "model": figures.model,
            "input": usage.input,
            "output": usage.output,
            "cache_read": usage.cache_read,
            "cache_creation": usage.cache_creation,
            "cost": money(figures.cost_usd),
            "turns": figures.turns,
        }
        return self._run(sql, values).rowcount == 1

    def spent_by(self, row: TaskRow) -> float:
        found = self._row("SELECT round(sum(cost_usd), 6) AS usd FROM run WHERE task = ?", (row,))
        return float((found["usd"] if found else None) or 0.0)

    def spent_on(self, day: date) -> float:
        begins = to_us(day_begins(day))
        sql = """
            SELECT round(sum(cost_usd), 6) AS usd FROM run
            WHERE kind = 'agent' AND started_at >= ? AND started_at < ?
        """
        found = self._row(sql, (begins, begins + _DAY_S * 1_000_000))
        return float((found["usd"] if found else None) or 0.0)

    def load_day_budget(self, day: date) -> DayBudget | None:
        row = self._row("SELECT * FROM day_budget WHERE day = ?", (day.isoformat(),))
        if row is None:
            return None
        return DayBudget(day=day, limit_usd=row["limit_usd"], lifted=bool(row["lifted"]), by=row["by"], at=from_us(row["at"]))

    def save_day_budget(self, budget: DayBudget) -> None:
        self._run(
            """
            INSERT INTO day_budget (day, limit_usd, lifted, at, by) VALUES (:day, :limit, :lifted, :at, :by)
            ON CONFLICT (day) DO UPDATE SET
                limit_usd = excluded.limit_usd, lifted = excluded.lifted, at = excluded.at, by = excluded.by
            """,
            {
                "day": budget.day.isoformat(),
                "limit": budget.limit_usd,
                "lifted": budget.lifted,
                "at": to_us(budget.at),
                "by": budget.by,
            },
        )

    def spent_out(self, limits: Limits) -> list[Task]:
        if limits.budget_task_usd is None:
            return []
        sql = f"""
            SELECT task.* FROM job CROSS JOIN task ON task.row = job.task
            WHERE job.state = 'queued' AND job.stage <> 'deploy' AND {LIVE.replace("stage", "task.stage")}
                AND task.park_reason IS NULL AND task.cancel_requested_at IS NULL AND task.budget_lifted = 0
                AND {SPENT} >= round(coalesce(task.budget_usd, :limit), 6)
            ORDER BY job.id
        """
        return [task_of(row) for row in self._rows(sql, {"limit": limits.budget_task_usd})]

    def list_spending(self, since: date, now: datetime) -> list[SpendRow]:
        sql = f"""
            SELECT started_at / {_DAY_S * 1_000_000} AS day, project, stage, model, count(*) AS runs,
                sum(tokens_input) AS input, sum(tokens_output) AS output, sum(tokens_cache_read) AS cache_read,
                sum(tokens_cache_creation) AS cache_creation, sum(cost_usd) AS cost,
                sum(max(coalesce(ended_at, :now) - started_at, 0)) AS us
            FROM run WHERE kind = 'agent' AND started_at >= :since GROUP BY 1, 2, 3, 4
        """
        epoch = datetime(1970, 1, 1, tzinfo=UTC).date()
        return [
            SpendRow(
                day=epoch + timedelta(days=row["day"]),
                project=ProjectName(row["project"]),
                stage=Stage(row["stage"]),
                model=row["model"],
                runs=row["runs"],
                usage=Usage(
                    input=row["input"],
                    output=row["output"],
                    cache_read=row["cache_read"],
                    cache_creation=row["cache_creation"],
                ),
                cost_usd=round(row["cost"], 6),
                seconds=row["us"] / 1_000_000,
            )
            for row in self._rows(sql, {"now": to_us(now), "since": to_us(day_begins(since))})
        ]
