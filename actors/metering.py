"""The meter of one run: what it costs is on record while it goes on, and it is ended when a budget is spent.

Owns: looking at a running agent's figures, and the scope in which its process runs. Does not own: the limits
(``orch.core.budget``), what follows for the task (``decide_run``), the kill (the process port, when its scope is cancelled).

Desired properties: a daemon that dies loses at most ``LOOK_S`` of what a run told; figures never hold the run up; a run is ended
within ``LOOK_S`` of the moment at which its own figures, another run's, or a lowered setting leave its budget spent.
Design: a child beside the process looks every ``LOOK_S`` and writes only what has changed. A store in trouble is asked again.
Races we accept: a run that ends in the moment in which it is to be ended has ended by itself.
"""

from collections.abc import Awaitable, Callable
from typing import final

import anyio

from actors.money import load_budgets
from actors.world import World
from orch.core.budget import Budgets, BudgetScope
from orch.core.errors import AgentError, ExternalError, StoreError
from orch.core.model import AgentResult, Figures, Outcome, Run, Task
from orch.core.stages import Stage
from orch.logs import get_logger
from orch.ports import AgentReader, ProcessEnd, Tx

LOOK_S = 2.0
LAST_S = 5.0
"""How long the last figures of a run that is cut off may take to be written."""
_log = get_logger("meter")


@final
class Meter:
    """See the module's docstring. *touched* is called after figures were written."""

    def __init__(self, world: World, run: Run, task: Task, touched: Callable[[], None]) -> None:
        self._world = world
        self._run = run
        self._task = task
        self._touched = touched
        self._kept = Figures()
        self._may_end = run.stage is not Stage.DEPLOY
        """A deploy under way is a critical window: its deployer is counted, and never ended for money."""
        self.stopped_by: BudgetScope | None = None

    async def cap(self, role_usd: float | None) -> float | None:
        """Return what the run may cost at its start."""
        if not self._may_end:
            return role_usd
        return await self._world.store.read(lambda tx: self._budgets(tx).cap(role_usd))

    async def run(self, process: Callable[[], Awaitable[ProcessEnd]], reader: AgentReader) -> ProcessEnd | None:
        """Run *process* under the meter; None where a budget ended it. Raises what the process raises."""
        end: ProcessEnd | None = None
        failure: Exception | None = None
        try:
            async with anyio.create_task_group() as group:
                with anyio.CancelScope() as scope:
                    group.start_soon(self._follow, reader, scope)
                    try:
                        end = await process()
                    except (AgentError, ExternalError, StoreError, OSError) as error:
                        failure = error
                group.cancel_scope.cancel()
        finally:
            await self._keep_last(reader)
        if failure is not None:
            raise failure
        return end

    def result(self, reader: AgentReader) -> AgentResult:
        """Return what a run that was ended for money came to."""
        last = reader.figures
        return AgentResult(
            outcome=Outcome.BUDGET_EXHAUSTED,
            detail=f"ended: the {self.stopped_by} budget is spent",
            session=last.session,
            usage=last.usage,
            cost_usd=last.cost_usd,
            measured=True,
            model=last.model,
            turns=last.turns,
        )

    async def _follow(self, reader: AgentReader, scope: anyio.CancelScope) -> None:
        while True:
            await self._world.clock.sleep(LOOK_S)
            try:
                if await self._look(reader.figures):
                    scope.cancel()
                    return
            except (StoreError, OSError) as error:
                _log.warning("figures are not written", run=int(self._run.id), error=str(error))

    async def _look(self, figures: Figures) -> bool:
        """Write what is new and say whether a budget is spent."""
        if figures != self._kept:
            await self._keep(figures)
            self._touched()
        limits = self._world.limits
        if not self._may_end or (limits.budget_task_usd is None and limits.budget_day_usd is None):
            return False
        over = await self._world.store.read(lambda tx: self._budgets(tx).overrun())
        if over is None:
            return False
        self.stopped_by = over.scope
        _log.warning(
            "ended for its budget", task=self._task.work_item, run=int(self._run.id), scope=over.scope.value, spent=over.spent_usd
        )
        return True

    def _budgets(self, tx: Tx) -> Budgets:
        task = tx.load_task(self._task.row) or self._task
        return load_budgets(tx, self._world.limits, task, self._run.started_at)

    async def _keep(self, figures: Figures) -> None:
        await self._world.store.transact(lambda tx: tx.keep_figures(self._run.id, figures))
        self._kept = figures

    async def _keep_last(self, reader: AgentReader) -> None:
        """Whatever ends the run: what it has told is not lost. A run with a report of its own writes that itself, afterwards."""
        figures = reader.figures
        if figures == self._kept:
            return
        with anyio.move_on_after(LAST_S, shield=True):
            try:
                await self._keep(figures)
            except (StoreError, OSError) as error:
                _log.warning("the last figures are lost", run=int(self._run.id), error=str(error))
