"""Reminders: which moment each belongs to, and that they end."""

from dataclasses import replace

import pytest

from orch.core.model import Awaiting, Task
from orch.core.reminders import QUESTIONS, TIMES_MAX, due_reminder
from orch.core.stages import Stage
from tests.builders import NOW, later, make_park, make_task

HOUR = 3600.0
ASKED = make_task(awaiting=Awaiting.APPROVAL)


@pytest.mark.parametrize("awaiting", QUESTIONS)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_each_reminder_belongs_to_one_moment(awaiting: Awaiting, language: str) -> None:
    task = replace(ASKED, awaiting=awaiting)
    assert due_reminder(task, later(4 * HOUR - 1), 4, language) is None
    moments = set()
    for seconds in (4 * HOUR, 4 * HOUR + 1, 8 * HOUR - 1):
        reminder = due_reminder(task, later(seconds), 4, language)
        assert reminder is not None
        assert reminder.alert.kind == f"reminder-{awaiting}"
        assert "DEMO\\-1" in reminder.alert.text or "DEMO-1" in reminder.alert.text
        moments.add(reminder.at)
    assert moments == {later(4 * HOUR)}
    second = due_reminder(task, later(8 * HOUR), 4, language)
    assert second is not None
    assert second.at == later(8 * HOUR)


def test_they_end_although_nobody_answers() -> None:
    told = {r.at for h in range(10_000) if (r := due_reminder(ASKED, later(h * HOUR), 4, "en")) is not None}
    assert len(told) == TIMES_MAX


@pytest.mark.parametrize(
    "task",
    [
        *(replace(ASKED, awaiting=each) for each in Awaiting if each not in QUESTIONS),
        replace(ASKED, park=make_park()),
        replace(ASKED, stage=Stage.DONE),
        replace(ASKED, cancel_requested_at=NOW),
    ],
)
def test_who_waits_for_nobody_is_not_reminded_of(task: Task) -> None:
    assert due_reminder(task, later(4 * HOUR), 4, "en") is None
