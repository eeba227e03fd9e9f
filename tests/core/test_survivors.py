"""Processes that could not be ended: they park a task that goes on, and a STOP that left one says so."""

from dataclasses import replace

import pytest

from orch.core.decide_evidence import command_finished
from orch.core.decide_person import decided
from orch.core.decide_run import run_ended
from orch.core.effects import Alert, Comment, KeepSurvivors, QueueJob, RecordTransition
from orch.core.ids import Attempt, RunId
from orch.core.messages import CommandFinished, CommandReport, CommandVerdict, Decide, Decision, RunEnded, Verb
from orch.core.model import AgentResult, Awaiting, CiState, Feedback, Outcome, ParkReason, RunKind, RunMode, Survivor
from orch.core.stages import Role, Stage
from orch.core.survivors import left_behind
from tests.builders import effects_of, make_context, make_job, make_park, make_run, make_task, sha

LEFT = (Survivor(pid=4711, started=99, name="sleep"),)
CODING = make_task(stage=Stage.DEVELOPMENT, attempt=Attempt(3), head=sha("a"), code_head=sha("a"))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_agent_that_leaves_a_process_parks_its_task_with_id_and_start_time(outcome: Outcome) -> None:
    ended = RunEnded(run=RunId(1), attempt=Attempt(3), result=AgentResult(outcome=outcome), survivors=LEFT)
    result = run_ended(make_context(), CODING, make_job(CODING), make_run(CODING, role=Role.DEVELOPER), ended)
    assert result.task.park is not None
    assert result.task.park.reason is ParkReason.SURVIVOR
    assert all(told in result.task.park.evidence for told in ("4711", "99", "sleep"))
    assert effects_of(result, KeepSurvivors) == [KeepSurvivors(survivors=LEFT)]
    assert [alert.kind for alert in effects_of(result, Alert)] == ["parked"]
    assert result.task.counters == CODING.counters, "it is not held against the task"


@pytest.mark.parametrize("verdict", list(CommandVerdict))
def test_a_command_that_leaves_a_process_parks_its_task_whatever_it_said(verdict: CommandVerdict) -> None:
    task = replace(CODING, awaiting=Awaiting.GATE)
    report = CommandReport(verdict=verdict, exit_code=0, survivors=LEFT)
    finished = CommandFinished(run=RunId(1), attempt=Attempt(3), sha=sha("a"), report=report)
    result = command_finished(make_context(), task, make_run(task, kind=RunKind.CI), finished)
    assert result.task.park is not None
    assert (result.task.park.reason, result.task.ci) == (ParkReason.SURVIVOR, None)


def test_a_resume_is_refused_while_the_process_lives_and_says_so() -> None:
    parked = replace(CODING, park=make_park(ParkReason.SURVIVOR))
    command = Decide(decision=Decision.RESUME, by="anna")
    refused = decided(make_context(), parked, command, active=False, survivors=LEFT)
    assert refused.answer is not None
    assert (refused.answer.verb, "4711" in refused.answer.text, refused.changed) == (Verb.REFUSED, True, False)
    stopped = decided(make_context(), parked, Decide(decision=Decision.STOP, by="anna"), active=False, survivors=LEFT)
    assert stopped.task.stage is Stage.CANCELLED, "STOP is for every task"


def test_after_it_is_gone_the_archived_work_is_continued() -> None:
    parked = replace(CODING, ci=CiState.FAILURE, park=make_park(ParkReason.SURVIVOR))
    told = make_job(parked, role=Role.DEVELOPER, feedback=Feedback(kind="review", text="mend it"))
    result = decided(make_context(), parked, Decide(decision=Decision.RESUME, by="anna"), active=False, job=told)
    assert [(job.mode, job.feedback) for job in effects_of(result, QueueJob)] == [(RunMode.CONTINUATION, told.feedback)]


def test_G6_a_STOP_that_left_a_process_says_so_once() -> None:
    task = make_task(stage=Stage.CANCELLED)
    told = left_behind(make_context(), task, LEFT, known=True)
    (comment,), (alert,) = effects_of(told, Comment), effects_of(told, Alert)
    assert all("4711" in text and "cancelled" in text for text in (comment.text, alert.text))
    history = [effect.transition for effect in effects_of(told, RecordTransition)]
    assert not left_behind(make_context(), task, LEFT, known=True, history=history).changed
    more = (*LEFT, Survivor(pid=4712, started=1))
    assert left_behind(make_context(), task, more, known=True, history=history).changed, "another one is news"
    gone = left_behind(make_context(), task, (), known=True, history=history)
    assert gone.effects == (KeepSurvivors(survivors=()),)
    assert not left_behind(make_context(), task, (), known=False).changed


def test_a_task_that_is_done_is_not_called_cancelled() -> None:
    (comment,) = effects_of(left_behind(make_context(), make_task(stage=Stage.DONE), LEFT, known=False), Comment)
    assert ("4711" in comment.text, "cancelled" in comment.text) == (True, False)
