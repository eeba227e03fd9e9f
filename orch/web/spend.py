"""Money over HTTP: what was spent, and people's changes of a budget.

Owns: ``/spend``, ``/budget``, ``/tasks/{id}/budget``. Rule: as for tasks: reads are snapshots, acts are handed to the actors.
"""

from typing import final

from quart import Response, jsonify

from orch.core.messages import SetBudget
from orch.snapshots import load_spend
from orch.snapshots.spend import DAYS_MAX
from orch.web.api import by, query_number
from orch.web.bodies import BudgetBody, read_body
from orch.web.deps import WebDeps
from orch.web.problems import answer_response
from orch.web.routes import Route, act, read

DAYS_DEFAULT = 30


@final
class SpendViews:
    """Handlers of the addresses about money."""

    def __init__(self, deps: WebDeps) -> None:
        self._deps = deps

    def routes(self) -> list[Route]:
        return [
            read("/spend", self.spend, "What was spent, by UTC day, project, stage and model", query=("days",)),
            act("POST", "/budget", self.day, "Raise or lift the present UTC day's budget", BudgetBody),
            act("POST", "/tasks/{id}/budget", self.task, "Raise or lift a task's budget; it goes on where it asked", BudgetBody),
        ]

    async def spend(self) -> Response:
        now, limits, days = self._deps.clock.now(), self._deps.limits, query_number("days", DAYS_DEFAULT, DAYS_MAX)
        return jsonify(await self._deps.store.read(lambda tx: load_spend(tx, now, limits, days=days)))

    async def day(self) -> Response:
        return await self._set("")

    async def task(self, id: str) -> Response:  # noqa: A002
        return await self._set(id)

    async def _set(self, task: str) -> Response:
        body = await read_body(BudgetBody)
        command = SetBudget(task=task, by=by(body), raise_usd=body.raise_usd, lift=body.lift, shown_usd=body.shown_usd)
        return answer_response(await self._deps.control.ask(command))
