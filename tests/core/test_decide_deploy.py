"""Deploys: what is asked before one, what every end means, what a STOP does to it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orch.core import decide_deploy, decide_person
from orch.core.decide_deploy import TRIES_MAX
from orch.core.deploy_agent import agent_ended, read_verdict
from orch.core.deploy_plan import Void
from orch.core.effects import Alert, CancelRun, Comment, KeepSurvivors, QueueJob, RecordVerdict
from orch.core.gates import Artefact
from orch.core.ids import RunId, TaskRow, WorkItemId
from orch.core.messages import DeployEnding, RunEnded
from orch.core.model import AgentResult, Awaiting, Deploy, DeployQuestion, DeployState, Outcome, ParkReason, Task, VerdictValue
from orch.core.stages import Role, Stage
from orch.core.statuses import Status
from orch.core.stopping import is_deploying
from orch.core.turn import Decided
from tests.builders import NOW, effects_of, later, make_context, make_deploy, make_project, sha
from tests.core.deploy_samples import (
    ASKS,
    DEPLOY,
    FAILED,
    FREEZE,
    GOES_ON,
    GOING,
    LEFT,
    RUNNING,
    STOP,
    at,
    causes,
    ends,
    good,
    kept,
    parked,
    statuses,
)

# ------------------------------------------------------------------------------------------------ before it


QUESTION = DeployQuestion(work_item=WorkItemId("DEMO-1"), sha=sha(1), carries=("DEMO-1 Greet",), diff=" a.py | 2 +-")


def test_a_person_is_asked_once_for_exactly_what_landed() -> None:
    result = decide_deploy.asked(ASKS, at(1, Awaiting.GATE, shown=None), QUESTION)
    assert (result.task.awaiting, result.task.shown) == (Awaiting.CONFIRM, sha(1))
    [comment] = effects_of(result, Comment)
    assert (comment.role, "DEMO-1 Greet" in comment.text, sha(1) in comment.text) == (Role.DEPLOYER, True, True)
    assert [alert.kind for alert in effects_of(result, Alert)] == ["confirm-deploy"]
    assert statuses(result) == [Status.AWAITING_DEPLOY]
    for task in (result.task, at(1), parked(1), replace(at(1, Awaiting.GATE), landed=sha(2))):
        assert not decide_deploy.asked(ASKS, task, QUESTION).changed


def test_a_freeze_voids_the_confirm_of_a_deploy_that_was_not_started() -> None:
    result = decide_deploy.voided(ASKS, at(1), Void(task=TaskRow(1), freeze=FREEZE))
    assert (result.task.awaiting, result.task.shown, causes(result)) == (Awaiting.CONFIRM, sha(1), ["confirm-voided"])
    [comment] = effects_of(result, Comment)
    assert "release day" in comment.text
    assert not decide_deploy.voided(ASKS, at(1, Awaiting.DEPLOYING), Void(task=TaskRow(1), freeze=FREEZE)).changed


def test_after_a_failure_it_is_asked_anew() -> None:
    result = decide_deploy.voided(GOES_ON, at(1), Void(task=TaskRow(1)))
    assert (result.task.awaiting, causes(result)) == (Awaiting.GATE, ["confirm-voided"])
    asked = decide_deploy.asked(GOES_ON, result.task, replace(QUESTION, after=FAILED))
    [comment] = effects_of(asked, Comment)
    assert FAILED.sha[:12] in comment.text


def test_the_intent_makes_the_deploy_a_critical_window() -> None:
    result = decide_deploy.started(ASKS, at(1), RUNNING)
    assert is_deploying(result.task)
    assert (causes(result), statuses(result)) == (["deploy-started"], [Status.DEPLOYING])
    assert not effects_of(result, QueueJob)


def test_a_deployer_is_queued_with_the_commit_that_it_deploys() -> None:
    [job] = effects_of(decide_deploy.started(ASKS, at(1), make_deploy(at(1)), agent=True), QueueJob)
    assert (job.stage, job.role, sha(1) in job.feedback.text) == (Stage.DEPLOY, Role.DEPLOYER, True)


# ------------------------------------------------------------------------------------------------ after it


def test_G15_a_good_deploy_completes_the_task_with_a_verdict_bound_to_its_SHA() -> None:
    result = ends()
    assert (result.task.stage, result.task.deployed, result.task.finished_at) == (Stage.DONE, True, later(60))
    assert (kept(result).state, kept(result).ended_at, statuses(result)) == (DeployState.SUCCEEDED, later(60), [Status.DONE])
    [record] = effects_of(result, RecordVerdict)
    assert (record.verdict.value, record.verdict.code_head, record.verdict.stage) == (VerdictValue.SUCCESS, sha(1), Stage.DEPLOY)


def test_a_bad_probe_right_after_a_good_deploy_is_told_and_fails_nothing() -> None:
    result = ends(healthy=False, health="503 from /healthz")
    assert (result.task.stage, kept(result).detail) == (Stage.DONE, "503 from /healthz")
    [record] = effects_of(result, RecordVerdict)
    assert (record.verdict.value, record.verdict.findings[0].detail) == (VerdictValue.SUCCESS, "503 from /healthz")
    assert any("503" in comment.text for comment in effects_of(result, Comment))


ENDS: list[tuple[str, dict[str, Any], DeployState, str]] = [
    ("failed", {"code": 1}, DeployState.FAILED, "exit 1"),
    ("killed from outside", {"code": -9}, DeployState.FAILED, "exit -9"),
    ("rolled back", {"code": 3}, DeployState.ROLLED_BACK, "rolled back"),
    ("lost", {"code": None}, DeployState.NO_RESULT, "No result"),
    ("timed out", {"code": None, "ending": DeployEnding.TIMED_OUT}, DeployState.NO_RESULT, "No result"),
    ("never started", {"code": None, "ending": DeployEnding.UNSTARTED}, DeployState.FAILED, "could not be started"),
    ("its last try", {"code": 75, "deploy": replace(DEPLOY, tries=TRIES_MAX)}, DeployState.FAILED, "10 times"),
    ("no time for another try", {"code": 75, "deploy": replace(DEPLOY, deadline_at=later(61))}, DeployState.FAILED, "1 times"),
]


@pytest.mark.parametrize(("name", "fields", "state", "told"), ENDS, ids=[name for name, *_ in ENDS])
def test_G15_any_other_end_parks_with_an_alert_and_is_never_guessed_about(
    name: str, fields: dict[str, Any], state: DeployState, told: str
) -> None:
    result = ends(**fields)
    park = result.task.park
    assert park is not None
    assert (result.task.stage, park.reason, result.task.deployed, kept(result).state) == (
        Stage.DEPLOY,
        ParkReason.DEPLOY_FAILED,
        False,
        state,
    )
    assert told in park.evidence
    assert [alert.kind for alert in effects_of(result, Alert)] == ["parked"]
    verdicts = [effect.verdict.value for effect in effects_of(result, RecordVerdict)]
    assert verdicts == ([] if state is DeployState.NO_RESULT else [VerdictValue.FAIL])


@pytest.mark.parametrize("tries", range(1, TRIES_MAX))
def test_exit_75_is_tried_again_later_within_its_bounds(tries: int) -> None:
    result = ends(75, deploy=replace(DEPLOY, tries=tries))
    again = kept(result)
    assert (again.state, again.tries, again.ended_at) == (DeployState.RUNNING, tries, None)
    assert again.due_at is not None
    assert timedelta() < again.due_at - later(60) <= timedelta(seconds=60)
    assert is_deploying(result.task)
    assert statuses(result) == []


def test_a_survivor_keeps_the_slot_is_told_once_and_frees_it_when_it_is_gone() -> None:
    held = ends(None, ending=DeployEnding.TIMED_OUT, survivors=LEFT)
    assert (kept(held).state, kept(held).ended_at) == (DeployState.RUNNING, None)
    assert held.task.park is not None
    assert "worker" in held.task.park.evidence
    assert [effect.survivors for effect in effects_of(held, KeepSurvivors)] == [LEFT]
    assert [alert.kind for alert in effects_of(held, Alert)] == ["parked"]
    again = ends(None, ending=DeployEnding.TIMED_OUT, survivors=LEFT, task=held.task, deploy=kept(held))
    assert not again.changed
    gone = ends(None, ending=DeployEnding.TIMED_OUT, task=held.task, deploy=kept(held))
    assert (kept(gone).state, gone.task.park) == (DeployState.NO_RESULT, held.task.park)
    assert not effects_of(gone, Alert)


def test_what_another_deploy_delivered_is_done_and_says_with_whom() -> None:
    for task in (at(1), at(1, Awaiting.CONFIRM), parked(1), parked(1, ParkReason.DEPLOY_DECLINED)):
        result = decide_deploy.delivered(ASKS, task, good(2), WorkItemId("DEMO-2"))
        assert (result.task.stage, result.task.deployed, result.task.park) == (Stage.DONE, True, None)
        assert any("delivered with DEMO-2" in comment.text for comment in effects_of(result, Comment))
        [record] = effects_of(result, RecordVerdict)
        assert record.verdict.code_head == sha(2)
        assert not decide_deploy.delivered(ASKS, result.task, good(2), WorkItemId("DEMO-2")).changed


def test_what_was_stopped_after_its_landing_and_is_delivered_stays_stopped() -> None:
    stopped = replace(at(1), stage=Stage.CANCELLED, awaiting=Awaiting.NOTHING)
    result = decide_deploy.delivered(ASKS, stopped, good(2), WorkItemId("DEMO-2"))
    assert (result.task.stage, result.task.deployed, causes(result)) == (Stage.CANCELLED, True, ["delivered-with"])
    assert statuses(result) == []


def test_a_deploy_that_nothing_is_known_of_any_more_is_never_guessed_about() -> None:
    result = decide_deploy.unaccounted(ASKS, GOING)
    assert result.task.park is not None
    assert "no result" in result.task.park.evidence
    assert not decide_deploy.unaccounted(ASKS, at(1)).changed


def test_a_project_that_has_no_deploy_any_more_holds_nobody() -> None:
    none = make_context(make_project())
    for awaiting in (Awaiting.GATE, Awaiting.CONFIRM, Awaiting.DEPLOY_TURN):
        assert decide_deploy.passed(none, at(1, awaiting)).task.stage is Stage.DONE
        assert not decide_deploy.passed(ASKS, at(1, awaiting)).changed
    assert not decide_deploy.passed(none, parked(1)).changed


# ------------------------------------------------------------------------------------------------ STOP


def stops(task: Task, deploy: Deploy | None = None, *, queued: bool = False) -> Decided:
    return decide_person.decided(ASKS, task, STOP, active=False, deploy=deploy, queued=queued)


@pytest.mark.parametrize("awaiting", [Awaiting.GATE, Awaiting.CONFIRM, Awaiting.DEPLOY_TURN])
def test_G6_before_the_intent_STOP_acts_at_once_and_says_where_the_code_is(awaiting: Awaiting) -> None:
    result = stops(at(1, awaiting))
    assert (result.task.stage, result.task.landed) == (Stage.CANCELLED, sha(1))
    assert result.answer is not None
    assert f"in main at `{sha(1)}`, not deployed; the next deploy carries it" in result.answer.text


AFTERWARDS = [
    (DeployState.FAILED, "its deploy failed"),
    (DeployState.ROLLED_BACK, "rolled back"),
    (DeployState.NO_RESULT, "not known"),
    (DeployState.RUNNING, "not known"),
    (DeployState.WITHDRAWN, "not deployed"),
]


@pytest.mark.parametrize(("state", "told"), AFTERWARDS)
def test_G6_after_a_deploy_that_did_not_succeed_STOP_says_how_that_ended(state: DeployState, told: str) -> None:
    result = stops(parked(1), replace(DEPLOY, state=state))
    assert result.task.stage is Stage.CANCELLED
    assert result.answer is not None
    assert told in result.answer.text


@pytest.mark.parametrize(("deploy", "queued"), [(replace(DEPLOY, due_at=later(90)), False), (DEPLOY, True)])
def test_G6_between_two_tries_STOP_acts_at_once_and_frees_the_slot(deploy: Deploy, queued: bool) -> None:
    result = stops(GOING, deploy, queued=queued)
    assert (result.task.stage, kept(result).state, kept(result).ended_at) == (Stage.CANCELLED, DeployState.WITHDRAWN, later(60))
    assert result.answer is not None
    assert "not deployed" in result.answer.text


def test_G6_during_a_try_STOP_is_deferred_and_names_the_deadline() -> None:
    result = stops(GOING, DEPLOY)
    assert (result.task.stage, result.task.cancel_requested_at) == (Stage.DEPLOY, later(60))
    assert not effects_of(result, CancelRun)
    assert result.answer is not None
    assert "09:30" in result.answer.text


@pytest.mark.parametrize(("name", "fields", "state", "told"), ENDS, ids=[name for name, *_ in ENDS])
def test_G6_a_deferred_STOP_tells_how_the_deploy_really_ended(
    name: str, fields: dict[str, Any], state: DeployState, told: str
) -> None:
    waiting = replace(GOING, cancel_requested_at=NOW)
    result = ends(**({"task": waiting} | fields))
    assert (result.task.stage, result.task.park, result.task.landed) == (Stage.CANCELLED, None, sha(1))
    said = " ".join(comment.text for comment in effects_of(result, Comment))
    words = {DeployState.FAILED: "its deploy failed", DeployState.ROLLED_BACK: "rolled back", DeployState.NO_RESULT: "not known"}
    assert words[state] in said
    assert "not deployed" not in said, "that would be a guess"
    assert [alert.kind for alert in effects_of(result, Alert)] == ["deploy-failed"]


def test_G6_a_deferred_STOP_of_a_deploy_that_succeeded_changes_nothing_and_says_so() -> None:
    result = ends(task=replace(GOING, cancel_requested_at=NOW))
    assert result.task.stage is Stage.DONE
    assert any("STOP" in comment.text and "succeeded" in comment.text for comment in effects_of(result, Comment))


def test_G6_a_deferred_STOP_ends_a_deploy_that_asks_for_another_try() -> None:
    result = ends(75, task=replace(GOING, cancel_requested_at=NOW))
    assert (result.task.stage, kept(result).state) == (Stage.CANCELLED, DeployState.WITHDRAWN)
    assert any("not deployed" in comment.text for comment in effects_of(result, Comment))


# ------------------------------------------------------------------------------------------------ the deployer's agent


SAYS = "---\nverdict: {}\nfindings: []\n---\nDone.\n"
VERDICTS = [
    (SAYS.format("success"), VerdictValue.SUCCESS),
    (SAYS.format("fail"), VerdictValue.FAIL),
    (SAYS.format('"success"'), VerdictValue.SUCCESS),
    ("\n  " + SAYS.format("success"), VerdictValue.SUCCESS),
    (SAYS.format("successful"), None),
    (SAYS.format("success").replace("---\nDone", "verdict: fail\n---\nDone"), None),
    ("verdict: success", None),
    ("It went well.\n" + SAYS.format("success"), None),
    ("", None),
]


@pytest.mark.parametrize(("text", "value"), VERDICTS)
def test_only_a_readable_verdict_of_the_deployer_counts(text: str, value: VerdictValue | None) -> None:
    assert read_verdict(text, {}) is value


def test_a_verdict_file_goes_before_the_last_message() -> None:
    for word, value in (("fail", VerdictValue.FAIL), ("maybe", None)):
        file = Artefact(name="10-deploy.md", blob="b", front={"verdict": word})
        assert read_verdict(SAYS.format("success"), {"10-deploy.md": file}) is value


AGENT_ENDS = [
    (Outcome.SUCCEEDED, SAYS.format("success"), Stage.DONE, DeployState.SUCCEEDED),
    (Outcome.SUCCEEDED, SAYS.format("fail"), Stage.DEPLOY, DeployState.FAILED),
    (Outcome.SUCCEEDED, "All good!", Stage.DEPLOY, DeployState.NO_RESULT),
    (Outcome.FAILED, SAYS.format("success"), Stage.DEPLOY, DeployState.NO_RESULT),
    (Outcome.TIMED_OUT, "", Stage.DEPLOY, DeployState.NO_RESULT),
    (Outcome.RATE_LIMITED, "", Stage.DEPLOY, DeployState.NO_RESULT),
]


@pytest.mark.parametrize(("outcome", "text", "stage", "state"), AGENT_ENDS)
def test_the_deployer_runs_once_whatever_ends_it(outcome: Outcome, text: str, stage: Stage, state: DeployState) -> None:
    deploy = replace(DEPLOY, tries=0)
    ended = RunEnded(run=RunId(12), attempt=GOING.attempt, result=AgentResult(outcome=outcome, text=text))
    result = agent_ended(ASKS, GOING, deploy, ended)
    assert (result.task.stage, kept(result).state, kept(result).run) == (stage, state, RunId(12))
    assert (result.task.park is None) is (stage is Stage.DONE)
    assert not effects_of(result, QueueJob)
