"""Taking a parked task on: where it goes on, what is not judged twice, and how often the daemon tries by itself."""

from dataclasses import replace
from datetime import timedelta

import pytest

from orch.core.decide_person import decided
from orch.core.effects import Alert, Comment, QueueJob, RecordTransition
from orch.core.ids import Attempt
from orch.core.messages import Decide, Decision
from orch.core.model import (
    Awaiting,
    CiState,
    Counters,
    Feedback,
    Finding,
    ParkReason,
    RunMode,
    Task,
    Verdict,
    VerdictValue,
)
from orch.core.resuming import cause_cleared, park_for_infrastructure
from orch.core.retry import CLEARING_CAP_S, CLEARING_FIRST_S, CLEARING_MAX, INFRASTRUCTURE_MAX, clears_at
from orch.core.stages import Role, Stage
from orch.core.turn import Decided, Turn
from tests.builders import NOW, effects_of, later, make_context, make_job, make_park, make_task, make_verdict, sha

CODE = sha("c")
FINDINGS = (Finding(title="no test", path="a.py"), Finding(title="a typo"))
SENT_BACK = {
    Stage.REVIEW: (VerdictValue.CHANGES_REQUESTED, "review"),
    Stage.TESTING: (VerdictValue.FAIL, "testing"),
}
CONTEXT = make_context()


def parked_at(stage: Stage, reason: ParkReason = ParkReason.RETRIES_EXHAUSTED, **fields: object) -> Task:
    task = make_task(stage=stage, awaiting=Awaiting.NOTHING, park=make_park(reason), head=CODE, code_head=CODE)
    return replace(task, attempt=Attempt(9), counters=Counters(review=4, testing=4), **fields)  # type: ignore[arg-type]


def resumed(task: Task, last: Verdict | None = None) -> Decided:
    return decided(CONTEXT, task, Decide(decision=Decision.RESUME, by="anna"), active=False, last=last)


def verdict(task: Task, value: VerdictValue, **fields: object) -> Verdict:
    return replace(make_verdict(task, stage=task.stage, value=value, findings=FINDINGS, code_head=CODE), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("stage", SENT_BACK)
def test_G12_what_a_verdict_sent_back_too_often_goes_on_at_development_with_its_findings(stage: Stage) -> None:
    task = parked_at(stage, pr_number=4)
    value, cause = SENT_BACK[stage]
    result = resumed(task, verdict(task, value))
    assert (result.task.stage, result.task.park, result.task.counters) == (Stage.DEVELOPMENT, None, Counters())
    [job] = effects_of(result, QueueJob)
    assert job.role is Role.DEVELOPER
    assert job.feedback == Feedback(kind=cause, text="it failed three times", findings=FINDINGS)
    told = [(line.transition.cause, line.transition.target) for line in effects_of(result, RecordTransition)]
    assert told == [("resumed", stage), (cause, Stage.DEVELOPMENT)]
    assert "development" in effects_of(result, Comment)[0].text
    assert result.answer is not None
    assert "development" in result.answer.text


@pytest.mark.parametrize("stage", SENT_BACK)
@pytest.mark.parametrize("why", ["new head", "good", "none", "another park"])
def test_otherwise_its_own_role_judges(stage: Stage, why: str) -> None:
    reason = ParkReason.PERMISSION_DENIED if why == "another park" else ParkReason.RETRIES_EXHAUSTED
    task = parked_at(stage, reason)
    bad = verdict(task, SENT_BACK[stage][0])
    last = {
        "new head": replace(bad, code_head=sha("d")),
        "good": verdict(task, VerdictValue.APPROVED if stage is Stage.REVIEW else VerdictValue.PASS),
        "none": None,
        "another park": bad,
    }[why]
    result = resumed(task, last)
    assert result.task.stage is stage
    [job] = effects_of(result, QueueJob)
    assert job.stage is stage


# ------------------------------------------------------------------------------------------------ by the daemon itself


def outage(stage: Stage = Stage.DEVELOPMENT, count: int = INFRASTRUCTURE_MAX + 1, **fields: object) -> Task:
    task = parked_at(stage, ParkReason.INFRASTRUCTURE, ci=None)
    return replace(task, counters=Counters(review=2, infrastructure=count), **fields)  # type: ignore[arg-type]


def cleared(task: Task, seconds: float, **fields: object) -> Decided:
    job = make_job(task, feedback=Feedback(kind="review", text="as before"))
    return cause_cleared(make_context(now=later(seconds)), task, active=False, job=replace(job, **fields))  # type: ignore[arg-type]


def test_a_park_for_infrastructure_is_looked_at_less_and_less_often_and_about_a_day_long() -> None:
    waits = []
    for count in range(INFRASTRUCTURE_MAX + 1, INFRASTRUCTURE_MAX + 1 + CLEARING_MAX):
        at = clears_at(make_park(ParkReason.INFRASTRUCTURE), Counters(infrastructure=count))
        assert at is not None
        waits.append((at - NOW).total_seconds())
    assert waits[:7] == [60, 120, 240, 480, 960, 1920, CLEARING_CAP_S]
    assert waits[0] == CLEARING_FIRST_S
    assert waits == sorted(waits)
    assert timedelta(hours=20) < timedelta(seconds=sum(waits)) < timedelta(hours=28)
    enough = Counters(infrastructure=INFRASTRUCTURE_MAX + 1 + CLEARING_MAX)
    assert clears_at(make_park(ParkReason.INFRASTRUCTURE), enough) is None


@pytest.mark.parametrize("reason", [reason for reason in ParkReason if reason is not ParkReason.INFRASTRUCTURE])
def test_every_other_park_waits_for_a_person(reason: ParkReason) -> None:
    assert clears_at(make_park(reason), Counters()) is None
    assert cleared(parked_at(Stage.DEVELOPMENT, reason), 1e6).effects == ()


def test_it_goes_on_at_the_CI_where_that_is_what_it_lacked_and_nothing_is_reset() -> None:
    result = cleared(outage(), 60)
    assert (result.task.park, result.task.awaiting, result.task.stage) == (None, Awaiting.GATE, Stage.DEVELOPMENT)
    assert result.task.counters == Counters(review=2, infrastructure=INFRASTRUCTURE_MAX + 1)
    assert effects_of(result, QueueJob) == []
    assert [line.transition.cause for line in effects_of(result, RecordTransition)] == ["tried-again"]


def test_an_agent_that_was_at_work_continues_as_it_was_told() -> None:
    task = outage(ci=CiState.FAILURE)
    [job] = effects_of(cleared(task, 60), QueueJob)
    assert (job.mode, job.feedback.text) == (RunMode.CONTINUATION, "as before")


@pytest.mark.parametrize("task", [outage(), outage(Stage.DEPLOY)], ids=["before its time", "at the deploy"])
def test_nothing_happens_before_its_time_and_a_deploy_never_begins_by_itself(task: Task) -> None:
    result = cleared(task, 59 if task.stage is not Stage.DEPLOY else 1e6)
    assert (result.task, result.effects) == (task, ())


def test_the_park_is_said_once_however_often_it_comes_back() -> None:
    task = make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING, counters=Counters(infrastructure=INFRASTRUCTURE_MAX))
    first = Turn(CONTEXT, task)
    park_for_infrastructure(first, "no disk")
    assert [effect.kind for effect in first.effects if isinstance(effect, Alert)] == ["parked"]
    again = Turn(CONTEXT, replace(first.task, park=None, counters=Counters(infrastructure=INFRASTRUCTURE_MAX + 2)))
    park_for_infrastructure(again, "no disk")
    assert again.task.park is not None
    assert not [effect for effect in again.effects if isinstance(effect, Alert | Comment)]
