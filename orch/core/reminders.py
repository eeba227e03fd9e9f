"""Reminders: a person was asked something and has not answered for a while.

Owns: which questions are reminded of, when, and how often. Does not own: the question itself, the look at the clock (caretaker).
Rule: pure. The n-th reminder belongs to one moment, *since* + n × ``remind_h``; that moment names its row, so that it is
sent once, however often it is looked for and whatever was restarted. One that nobody looked for in time is left out.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import final

from orch.core.effects import Alert
from orch.core.model import Awaiting, Task
from orch.core.presses import asked_about
from orch.core.render import render_reminder
from orch.core.stages import is_terminal

QUESTIONS = (Awaiting.APPROVAL, Awaiting.INPUT, Awaiting.CONFIRM)
TIMES_MAX = 12
"""How often one question is reminded of; after that whoever is asked knows."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """An alert that belongs to the moment *at*."""

    alert: Alert
    at: datetime


def due_reminder(task: Task, now: datetime, remind_h: float, language: str) -> Reminder | None:
    """Return the reminder of the task's open question that is due now, or None."""
    if task.awaiting not in QUESTIONS or task.park is not None or is_terminal(task.stage):
        return None
    if task.cancel_requested_at is not None or remind_h <= 0:
        return None
    period = timedelta(hours=remind_h)
    number = int((now - task.updated_at) / period)
    if not 1 <= number <= TIMES_MAX:
        return None
    text = render_reminder(task, (now - task.updated_at).total_seconds(), language)
    alert = Alert(kind=f"reminder-{task.awaiting}", text=text, shown=asked_about(task))
    return Reminder(alert=alert, at=task.updated_at + number * period)
