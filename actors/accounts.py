"""The accounts' part inside the transactions of a claim and of a run's end.

Owns: what is loaded and saved around ``orch.core.accounts``. Rule: called inside ``store.transact``: a pause, its try and its
end are rows before anybody acts on them.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from actors.persist import tell_world
from orch.core import accounts
from orch.core.accounts import WINDOW, AccountDecision, Ended, Gate
from orch.core.effects import Alert
from orch.core.ids import IssueId, RunId, TaskRow
from orch.core.messages import RunEnded
from orch.core.model import Project, Run, Task
from orch.core.render import render_account_paused
from orch.core.stages import is_terminal
from orch.core.turn import Context
from orch.logs import get_logger
from orch.ports import Tx

_log = get_logger("accounts")


def look(tx: Tx, projects: Iterable[Project], now: datetime) -> Gate:
    """Return which roles' jobs wait for their account now, and which accounts let one run through as a try."""
    paused = tx.paused_accounts()
    trials = [account.pause.trial for account in paused if account.pause is not None and account.pause.trial is not None]
    going = [trial for trial in trials if _is_going(tx, trial)]
    return accounts.gate(paused, list(projects), going, now)


def _is_going(tx: Tx, run: RunId) -> bool:
    stored = tx.load_run(run)
    return stored is not None and stored.outcome is None


def begin_try(tx: Tx, name: str, run: RunId) -> None:
    """Remember that *run* is the try of the account's pause."""
    account = tx.load_account(name)
    if account.pause is not None:
        tx.save_account(replace(account, pause=replace(account.pause, trial=run)))
        _log.info("one run is let through as a try", account=name, run=int(run))


def after_run(tx: Tx, context: Context, task: Task, run: Run, ended: RunEnded) -> RunEnded:
    """Record what the end of *run* means for its account; the message says afterwards until when the account is at fault."""
    if not run.agent or ended.infrastructure or ended.setup:
        return ended  # no agent was reached: it says nothing about the account
    result, now = ended.result, context.now
    kind, failing = accounts.failure_class(result.outcome), list[TaskRow]()
    if kind:
        tx.forget_failures(run.agent, before=now - WINDOW)
        tx.note_failure(run.agent, kind, task.row, now)
        failing = tx.failing_tasks(run.agent, kind, now - WINDOW)
    what = Ended(run=run.id, outcome=result.outcome, at=now, until=result.until, detail=result.detail[:500])
    before = tx.load_account(run.agent)
    decision = accounts.run_ended(before, what, len(failing))
    if decision.account != before:
        tx.save_account(decision.account)
    if decision.lifted or decision.began:
        tx.forget_failures(run.agent)
    if decision.began:
        _began(tx, context, task, decision, failing)
    if decision.lifted:
        _log.info("the pause is lifted", account=run.agent, run=int(run.id), outcome=result.outcome.value)
    pause = decision.account.pause
    return replace(ended, account_until=pause.until if decision.at_fault and pause is not None else None)


def _began(tx: Tx, context: Context, task: Task, decision: AccountDecision, failing: list[TaskRow]) -> None:
    """Say so once; and what the account did to other tasks is taken off their counters."""
    name, pause = decision.account.name, decision.account.pause
    assert pause is not None
    text = render_account_paused(name, pause, context.project.language)
    tell_world(tx, Alert(kind="account-paused", text=text), project=task.project, task=None, issue=IssueId(name), at=context.now)
    _log.error("paused", account=name, cause=pause.cause.value, until=pause.until.isoformat())
    for row in failing:
        other = tx.load_task(row) if row != task.row else None
        if other is not None and other.park is None and not is_terminal(other.stage):
            tx.save_task(replace(other, counters=accounts.uncharged(other.counters, pause.cause)))
