"""What people do out of turn: making a fix, sending back, and confirming a deploy under a freeze."""

from dataclasses import replace
from typing import Any

import pytest

from orch.core.decide_control import sent_back
from orch.core.decide_evidence import wants
from orch.core.decide_person import decided, triggered
from orch.core.effects import (
    CancelJobs,
    CancelRun,
    Comment,
    EditPullRequest,
    EnterTrain,
    ExpediteJob,
    QueueJob,
    RecordTransition,
    SetStatus,
    WakeRepo,
    WakeSlots,
)
from orch.core.ids import ActivityId, Attempt
from orch.core.messages import Decide, Decision, SendBack, TriggerSet, Verb
from orch.core.model import Awaiting, Counters, DeploySettings, Feedback, Finding, Freeze, FreezeCause, Task
from orch.core.stages import ORDER, TABLE, Role, Stage, is_landed, is_terminal, may_send_back
from orch.core.statuses import Status
from orch.core.turn import Context, Decided
from tests.builders import DEMO, NOW, effects_of, later, make_context, make_park, make_project, make_task, sha

FULL = make_context(make_project(deploy=DeploySettings(command=("deploy",))), now=later(60))
UNASKED = make_context(make_project(deploy=DeploySettings(command=("deploy",), confirm=False)), now=later(60))
STAGING = make_context(make_project(deploy=DeploySettings(staging_command=("stage",))), now=later(60))
HEAD, LANDED = sha("a"), sha("d")
FREEZE = Freeze(project=DEMO, cause=FreezeCause.PERSON, since=NOW, by="api:anna", detail="release day")
FINDING = Finding(title="The greeting has no test", path="app.py")


def at(stage: Stage, **fields: Any) -> Task:
    """A task in *stage*, with what it has by then."""
    landed = LANDED if is_landed(stage) else None
    base = make_task(
        stage=stage,
        attempt=Attempt(5),
        head=HEAD,
        code_head=sha("c"),
        pr_number=4,
        landed=landed,
        awaiting=Awaiting.NOTHING if is_terminal(stage) else Awaiting.AGENT,
        counters=Counters(failed=2, review=1),
    )
    return replace(base, **fields)


QUEUED = at(Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING, train_seq=3)
CONFIRM = at(Stage.DEPLOY, awaiting=Awaiting.CONFIRM, shown=LANDED)
DEPLOYING = replace(CONFIRM, awaiting=Awaiting.DEPLOYING)


def send(task: Task, stage: Stage, context: Context = FULL, *, landing: bool = False, **fields: Any) -> Decided:
    command = SendBack(**{"stage": stage, "by": "anna", "reason": "Name the greeting.", **fields})
    return sent_back(context, task, command, landing=landing)


def verb(result: Decided) -> Verb:
    assert result.answer is not None
    return result.answer.verb


# ------------------------------------------------------------------------------------------------ sending back

PAIRS = [(stage, target) for stage in Stage for target in ORDER]


@pytest.mark.parametrize(("stage", "target"), PAIRS, ids=[f"{stage} to {target}" for stage, target in PAIRS])
def test_an_unlanded_task_goes_to_any_earlier_stage_or_its_own_and_no_other_anywhere(stage: Stage, target: Stage) -> None:
    task = at(stage)
    result = send(task, target)
    if not may_send_back(stage, target):
        assert (verb(result), result.task, result.effects) == (Verb.REFUSED, task, ())
        return
    assert verb(result) is Verb.DONE
    assert (result.task.stage, result.task.attempt, result.task.counters) == (target, Attempt(6), Counters())
    assert effects_of(result, RecordTransition)[0].transition.source is stage
    assert effects_of(result, CancelJobs)
    assert effects_of(result, CancelRun)
    assert effects_of(result, WakeSlots)
    assert effects_of(result, WakeRepo)


@pytest.mark.parametrize("target", [stage for stage in ORDER if may_send_back(Stage.DEPLOY_STAGING, stage)])
def test_the_stages_role_is_queued_with_what_the_person_said(target: Stage) -> None:
    result = send(at(Stage.TESTING) if target is not Stage.DEPLOY_STAGING else QUEUED, target, findings=(FINDING,))
    if target is Stage.DEPLOY_STAGING:
        assert not effects_of(result, QueueJob), "no agent works there: it goes on by itself"
        assert effects_of(result, EnterTrain)
        return
    [job] = effects_of(result, QueueJob)
    assert (job.stage, job.role) == (target, TABLE[target].role)
    assert job.feedback == Feedback(kind="sent-back", text="Name the greeting.", findings=(FINDING,))
    assert result.task.awaiting is Awaiting.AGENT


def test_what_runs_is_fenced_before_anything_new_is_queued() -> None:
    kinds = [type(effect) for effect in send(at(Stage.TESTING), Stage.DEVELOPMENT).effects]
    assert kinds.index(CancelJobs) < kinds.index(QueueJob)
    assert kinds.index(CancelRun) < kinds.index(QueueJob)


def test_it_leaves_the_landing_queue() -> None:
    result = send(QUEUED, Stage.REVIEW)
    assert (result.task.train_seq, result.task.awaiting) == (None, Awaiting.AGENT)


def test_it_takes_a_parked_task_on() -> None:
    result = send(at(Stage.TESTING, park=make_park(), awaiting=Awaiting.NOTHING), Stage.ARCHITECTURE)
    assert result.task.park is None
    assert effects_of(result, SetStatus) == [SetStatus(status=Status.IN_PROGRESS)]


def test_its_staging_command_runs_again_where_there_is_one() -> None:
    result = send(QUEUED, Stage.DEPLOY_STAGING, STAGING)
    assert result.task.awaiting is Awaiting.GATE
    assert wants(result.task, STAGING) is not None


def test_people_read_who_sent_it_back_where_to_and_why() -> None:
    [comment] = effects_of(send(at(Stage.TESTING), Stage.DEVELOPMENT, findings=(FINDING,)), Comment)
    assert comment.role is Role.STREAM
    assert "anna" in comment.text
    assert "development" in comment.text
    assert "Name the greeting." in comment.text
    assert "The greeting has no test" in comment.text
    [line] = effects_of(send(at(Stage.TESTING), Stage.DEVELOPMENT, reason="", findings=(FINDING,)), RecordTransition)
    assert (line.transition.cause, line.transition.by, line.transition.detail) == ("sent-back", "anna", FINDING.title)


WIP = {
    (Stage.TESTING, Stage.DEVELOPMENT): True,
    (Stage.DEPLOY_STAGING, Stage.REVIEW): True,
    (Stage.DEPLOY_STAGING, Stage.TESTING): False,
    (Stage.TESTING, Stage.TESTING): False,
    (Stage.REVIEW, Stage.ANALYSIS): False,
}


@pytest.mark.parametrize(("way", "edited"), WIP.items(), ids=[f"{a} to {b}" for a, b in WIP])
def test_the_pull_request_is_work_in_progress_again_when_its_review_counts_no_more(
    way: tuple[Stage, Stage], edited: bool
) -> None:
    edits = effects_of(send(at(way[0]), way[1]), EditPullRequest)
    assert bool(edits) is edited
    assert all("WIP" in edit.title for edit in edits)


KEPT: dict[str, tuple[Task, bool, str]] = {
    "done": (at(Stage.DONE), False, "is done"),
    "cancelled": (at(Stage.CANCELLED), False, "is cancelled"),
    "landed": (CONFIRM, False, "has landed"),
    "landed and stopped": (at(Stage.TESTING, cancel_requested_at=NOW), False, "being stopped"),
    "being landed": (QUEUED, True, "is being landed"),
    "a later stage": (at(Stage.ARCHITECTURE), False, "analysis, architecture, not to development"),
}


@pytest.mark.parametrize(("task", "landing", "words"), KEPT.values(), ids=KEPT.keys())
def test_a_refusal_says_why_and_changes_nothing(task: Task, landing: bool, words: str) -> None:
    result = send(task, Stage.DEVELOPMENT, landing=landing)
    assert (result.task, result.effects) == (task, ())
    assert result.answer is not None
    assert result.answer.verb is Verb.REFUSED
    assert words in result.answer.text


# ------------------------------------------------------------------------------------------------ a fix


def fix(task: Task) -> Decided:
    return decided(FULL, task, Decide(decision=Decision.FIX, by="anna"), active=False)


@pytest.mark.parametrize("task", [at(Stage.ANALYSIS), at(Stage.TESTING), QUEUED, CONFIRM, at(Stage.REVIEW, park=make_park())])
def test_a_fix_is_exempt_and_first_and_it_is_recorded_who_made_it_one(task: Task) -> None:
    result = fix(task)
    assert result.task == replace(task, exempt=True, updated_at=FULL.now)
    assert effects_of(result, ExpediteJob) == [ExpediteJob(priority=1)]
    assert effects_of(result, WakeSlots)
    assert effects_of(result, WakeRepo)
    [line] = effects_of(result, RecordTransition)
    assert (line.transition.cause, line.transition.by) == ("fix", "anna")
    [comment] = effects_of(result, Comment)
    assert "anna" in comment.text


NO_FIX = {
    "a fix already": (at(Stage.TESTING, exempt=True), Verb.NOTHING),
    "done": (at(Stage.DONE), Verb.REFUSED),
    "cancelled": (at(Stage.CANCELLED), Verb.REFUSED),
    "being stopped": (at(Stage.TESTING, cancel_requested_at=NOW), Verb.REFUSED),
}


@pytest.mark.parametrize(("task", "answer"), NO_FIX.values(), ids=NO_FIX.keys())
def test_what_cannot_become_a_fix_is_left_as_it_is(task: Task, answer: Verb) -> None:
    result = fix(task)
    assert (verb(result), result.task, result.effects) == (answer, task, ())


def test_the_jobs_of_a_fix_come_first() -> None:
    [job] = effects_of(send(at(Stage.TESTING, exempt=True), Stage.DEVELOPMENT), QueueJob)
    assert job.priority == 1


# ------------------------------------------------------------------------------------------------ a deploy under a freeze


def confirm(task: Task, freeze: Freeze | None) -> Decided:
    command = Decide(decision=Decision.CONFIRM_DEPLOY, by="anna", shown=task.shown)
    return decided(FULL, task, command, active=False, freeze=freeze)


def test_a_confirm_under_a_freeze_is_refused_with_who_froze_it_and_why() -> None:
    result = confirm(CONFIRM, FREEZE)
    assert (verb(result), result.task, result.effects) == (Verb.REFUSED, CONFIRM, ())
    assert result.answer is not None
    for word in ("api:anna", "release day", "orch unfreeze demo", "Nothing was changed"):
        assert word in result.answer.text


def test_a_confirm_on_the_board_under_a_freeze_is_one_comment_and_the_status_again() -> None:
    trigger = TriggerSet(trigger=Status.CONFIRM_DEPLOY, entries=(ActivityId("e1"),), at=NOW, by="anna")
    result = triggered(FULL, CONFIRM, trigger, active=False, freeze=FREEZE)
    assert result.task == CONFIRM
    [comment] = effects_of(result, Comment)
    assert "release day" in comment.text
    assert effects_of(result, SetStatus) == [SetStatus(status=Status.AWAITING_DEPLOY)]


@pytest.mark.parametrize(("task", "freeze"), [(CONFIRM, None), (replace(CONFIRM, exempt=True), FREEZE)])
def test_without_a_freeze_and_for_a_fix_a_confirm_counts(task: Task, freeze: Freeze | None) -> None:
    assert confirm(task, freeze).task.awaiting is Awaiting.DEPLOY_TURN


def test_approving_and_declining_are_not_barred_by_a_freeze() -> None:
    plan = at(Stage.ANALYSIS, awaiting=Awaiting.APPROVAL, shown=HEAD)
    approve = Decide(decision=Decision.APPROVE, by="anna", shown=HEAD)
    assert verb(decided(FULL, plan, approve, active=False, freeze=FREEZE)) is Verb.DONE
    decline = Decide(decision=Decision.REJECT, by="anna", shown=LANDED)
    assert verb(decided(FULL, CONFIRM, decline, active=False, freeze=FREEZE)) is Verb.DONE
