"""Buttons under a chat's messages: what each one carries, which a task has now, and whether a press still means anything.

Owns: ``Press`` and its encoding (at most 64 bytes), the buttons per state, the judgement of a press. Does not own: who may
press, how an answer is shown, what a decision means (``decide_person``).
Rule: pure. A button names the task's row, its stage and exactly what was shown; pressed later it changes nothing. STOP alone
counts at any stage of the same task.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from typing import final

from orch.core.commands import DecideTask, Decision
from orch.core.ids import TaskRow
from orch.core.model import Awaiting, ParkReason, Task
from orch.core.stages import ORDER, Stage, is_terminal

DATA_MAX = 64
NO_TASK = TaskRow(0)
"""The row in a button that is about no task, but about the day's budget."""


class Verb(StrEnum):
    """What a button does; the value is its letter in the button's data."""

    APPROVE = "a"
    REJECT = "r"
    CONFIRM = "c"
    STOP = "s"
    RESUME = "u"
    RAISE = "b"
    LIFT = "l"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One button: *what* is the SHA that was shown, or the name of the park that asks; empty where neither matters."""

    verb: Verb
    task: TaskRow
    stage: Stage
    what: str = ""

    def data(self) -> str:
        """Return what the button carries; ``read_press`` takes it back."""
        return f"{self.verb.value}{_LETTERS[self.stage]}{int(self.task)}.{self.what}"


Keyboard = tuple[tuple[Press, ...], ...]
"""Rows of buttons."""

_LETTERS: Mapping[Stage, str] = {stage: chr(ord("A") + number) for number, stage in enumerate(ORDER)}
_STAGES: Mapping[str, Stage] = {letter: stage for stage, letter in _LETTERS.items()}


def read_press(data: str) -> Press | None:
    """Return what a button carried, None for anything that we did not make."""
    head, dot, what = data.partition(".")
    if not dot or len(data) > DATA_MAX or len(head) < 3 or not (head[2:].isascii() and head[2:].isdigit()):
        return None
    stage = _STAGES.get(head[1])
    if head[0] not in set(Verb) or stage is None or (not what.isalnum() and what):
        return None
    return Press(verb=Verb(head[0]), task=TaskRow(int(head[2:])), stage=stage, what=what)


def park_name(task: Task) -> str:
    """Name the present park of a task: another one has another name."""
    if task.park is None:
        return ""
    return sha256(f"{task.park.reason}:{task.park.since.isoformat()}".encode()).hexdigest()[:12]


def name_day(day: date, limit_usd: float) -> str:
    """Name the question about one limit of one day's budget: it is answered once."""
    return f"{day:%Y%m%d}x{round(limit_usd * 100)}"


def day_buttons(asked: str) -> Keyboard:
    """Return the answers to the question about the day's budget that *asked* names."""
    made = [Press(verb=verb, task=NO_TASK, stage=Stage.ANALYSIS, what=asked) for verb in (Verb.RAISE, Verb.LIFT)]
    return (tuple(made),)


def day_limit(press: Press, today: date) -> float | None:
    """Return the limit that a press about today's budget was shown, None for any other press."""
    day, mark, cents = press.what.partition("x")
    about = press.task == NO_TASK and press.verb in (Verb.RAISE, Verb.LIFT) and mark and day == f"{today:%Y%m%d}"
    return int(cents) / 100 if about and cents.isascii() and cents.isdigit() else None


def buttons_for(task: Task) -> Keyboard:
    """Return what a person can do about *task* in its present state."""
    if is_terminal(task.stage) or task.cancel_requested_at is not None:
        return ()
    stop = _press(Verb.STOP, task)
    if task.park is not None:
        asked = park_name(task)
        if task.park.reason is ParkReason.BUDGET:
            return ((_press(Verb.RAISE, task, asked), _press(Verb.LIFT, task, asked)), (stop,))
        return ((_press(Verb.RESUME, task, asked), stop),)
    shown = str(task.shown or "")
    if _asks(task, Verb.APPROVE) and shown:
        return ((_press(Verb.APPROVE, task, shown), _press(Verb.REJECT, task, shown)), (stop,))
    if _asks(task, Verb.CONFIRM) and shown:
        return ((_press(Verb.CONFIRM, task, shown), _press(Verb.REJECT, task, shown)), (stop,))
    return ((stop,),)


def _press(verb: Verb, task: Task, what: str = "") -> Press:
    return Press(verb=verb, task=task.row, stage=task.stage, what=what)


def _asks(task: Task, verb: Verb) -> bool:
    plan = task.stage is Stage.ANALYSIS and task.awaiting is Awaiting.APPROVAL
    deploy = task.stage is Stage.DEPLOY and task.awaiting is Awaiting.CONFIRM
    return {Verb.APPROVE: plan, Verb.CONFIRM: deploy}.get(verb, plan or deploy)


def is_stale(press: Press, task: Task | None) -> bool:
    """Say whether the task is not, or no longer, as it was shown when the button was made."""
    if task is None or is_terminal(task.stage):
        return True
    if press.verb is Verb.STOP:
        return False
    if task.stage is not press.stage or task.cancel_requested_at is not None:
        return True
    if not press.what or press.what != asked_about(task):
        return True
    if press.verb in (Verb.RESUME, Verb.RAISE, Verb.LIFT):
        return task.park is None
    return task.park is not None or not _asks(task, press.verb)


_DECISIONS: Mapping[Verb, Decision] = {
    Verb.APPROVE: Decision.APPROVE,
    Verb.REJECT: Decision.REJECT,
    Verb.CONFIRM: Decision.CONFIRM_DEPLOY,
    Verb.STOP: Decision.STOP,
    Verb.RESUME: Decision.RESUME,
}


def decide(press: Press, task: Task, by: str, reason: str = "") -> DecideTask:
    """Return a press that is not stale, and not about money, as the command that it is."""
    shown = press.what if press.verb in (Verb.APPROVE, Verb.REJECT, Verb.CONFIRM) else ""
    return DecideTask(task=task.work_item, decision=_DECISIONS[press.verb], by=by, shown=shown, reason=reason)


def asked_about(task: Task) -> str:
    """Return what a person is asked about now: the SHA that is shown, or the name of the park; empty where nothing is asked."""
    if task.park is not None:
        return park_name(task)
    return str(task.shown or "") if _asks(task, Verb.APPROVE) or _asks(task, Verb.CONFIRM) else ""
