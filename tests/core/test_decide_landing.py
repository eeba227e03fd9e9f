"""What the train means for a task that it does not land."""

from dataclasses import replace
from typing import Any

import pytest

from orch.core.decide_landing import disturbed, gate_switched, push_failed
from orch.core.effects import Alert, EnterTrain, WakeRepo
from orch.core.model import Awaiting, Counters, ParkReason, Task
from orch.core.stages import Stage
from orch.core.turn import Decided
from tests.builders import NOW, effects_of, make_context, make_park, make_project, make_task, sha

CONTEXT = make_context()


def queued(**fields: Any) -> Task:
    known: dict[str, Any] = {"stage": Stage.DEPLOY_STAGING, "awaiting": Awaiting.LANDING, "train_seq": 3, "head": sha("a")}
    return make_task(**{**known, **fields})


def test_G11_what_gives_no_verdict_parks_the_task_until_that_is_mended_and_charges_it_nothing() -> None:
    decided = disturbed(CONTEXT, queued(), "it hangs")
    task = decided.task
    assert task.park is not None
    assert (task.park.reason, task.park.evidence, task.train_seq) == (ParkReason.INFRASTRUCTURE, "it hangs", None)
    assert replace(task.counters, infrastructure=0) == Counters()
    assert effects_of(decided, WakeRepo), "the train goes on without it"
    assert disturbed(CONTEXT, task, "again") == Decided(task=task)
    left = queued(stage=Stage.DEVELOPMENT, awaiting=Awaiting.AGENT, train_seq=None)
    assert disturbed(CONTEXT, left, "late") == Decided(task=left)


def test_a_push_that_is_refused_for_good_parks_once_and_tells_once() -> None:
    decided = push_failed(CONTEXT, queued(), refused="protected")
    assert decided.task.park is not None
    assert (decided.task.park.reason, len(effects_of(decided, Alert))) == (ParkReason.INFRASTRUCTURE, 1)
    assert push_failed(CONTEXT, decided.task, refused="protected") == Decided(task=decided.task)


def test_a_push_that_has_to_wait_says_so_and_keeps_its_place() -> None:
    waiting = push_failed(CONTEXT, queued(), note="dirty").task
    assert (waiting.note, waiting.train_seq, waiting.park) == ("dirty", 3, None)
    assert push_failed(CONTEXT, waiting, note="dirty") == Decided(task=waiting)
    assert push_failed(CONTEXT, waiting).task.note == ""


def test_a_landing_that_came_to_nothing_leaves_a_task_alone_that_nobody_stopped() -> None:
    assert push_failed(CONTEXT, queued()) == Decided(task=queued())


@pytest.mark.parametrize("how", [{}, {"refused": "protected"}, {"note": "dirty"}])
def test_G6_a_STOP_that_waited_for_the_push_is_carried_out_whatever_the_push_came_to(how: dict[str, str]) -> None:
    task = queued(cancel_requested_at=NOW)
    assert push_failed(CONTEXT, task, **how).task.stage is Stage.CANCELLED


def test_the_merge_gate_switched_off_and_on_again_changes_for_whom_a_task_waits() -> None:
    off = make_context(project=make_project(merge_gate=False))
    by_hand = gate_switched(off, queued())
    assert (by_hand.task.awaiting, by_hand.task.train_seq) == (Awaiting.MERGE, None)
    assert gate_switched(off, by_hand.task) == Decided(task=by_hand.task)
    back = gate_switched(CONTEXT, by_hand.task)
    assert back.task.awaiting is Awaiting.LANDING
    assert effects_of(back, EnterTrain)
    assert gate_switched(CONTEXT, queued()) == Decided(task=queued())


@pytest.mark.parametrize(
    "task",
    [
        queued(park=make_park()),
        queued(cancel_requested_at=NOW),
        queued(awaiting=Awaiting.GATE),
        queued(stage=Stage.DEPLOY, awaiting=Awaiting.CONFIRM),
    ],
)
def test_the_merge_gate_concerns_only_what_waits_at_the_end_of_staging(task: Task) -> None:
    off = make_context(project=make_project(merge_gate=False))
    assert gate_switched(off, task) == Decided(task=task)
