"""People's decisions: every row of the table of triggers, the SHA a decision is bound to, and who may decide."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from orch.core.decide_person import decided, triggered
from orch.core.effects import (
    CancelJobs,
    CancelRun,
    Comment,
    EditPullRequest,
    EnterTrain,
    QueueJob,
    RecordTransition,
    SetStatus,
    WakeRepo,
)
from orch.core.ids import ActivityId, Attempt, Sha
from orch.core.messages import Decide, Decision, TriggerSet, Verb
from orch.core.model import (
    Awaiting,
    CiSource,
    CiState,
    Counters,
    DeploySettings,
    Feedback,
    ParkReason,
    RunMode,
    Task,
)
from orch.core.stages import TABLE, Role, Stage
from orch.core.statuses import TRIGGERS, Status
from orch.core.task_facts import status_of
from orch.core.turn import Context, Decided
from tests.builders import NOW, effects_of, later, make_context, make_park, make_project, make_task, sha

HEAD, LANDED, OTHER = sha("a"), sha("d"), sha("f")
PLAIN = make_context(now=later(60))
FULL = make_context(make_project(deploy=DeploySettings(staging_command=("stage",), command=("deploy",))), now=later(60))
COMMON: dict[str, Any] = {"attempt": Attempt(5), "head": HEAD}

PLAN = make_task(awaiting=Awaiting.APPROVAL, shown=HEAD, **COMMON)
"""In analysis, its artefacts shown."""
ASKING = make_task(awaiting=Awaiting.INPUT, shown=HEAD, **COMMON)
ANALYSING = make_task(**COMMON)
CODING = make_task(stage=Stage.DEVELOPMENT, code_head=sha("c"), pr_number=4, **COMMON)
QUEUED = make_task(stage=Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING, train_seq=3, pr_number=4, **COMMON)
CONFIRM = make_task(stage=Stage.DEPLOY, awaiting=Awaiting.CONFIRM, landed=LANDED, shown=LANDED, pr_number=4, **COMMON)
TURN = replace(CONFIRM, awaiting=Awaiting.DEPLOY_TURN)
DEPLOYING = replace(CONFIRM, awaiting=Awaiting.DEPLOYING)
DONE = replace(CONFIRM, stage=Stage.DONE, awaiting=Awaiting.NOTHING, finished_at=NOW)
CANCELLED = replace(CODING, stage=Stage.CANCELLED, awaiting=Awaiting.NOTHING, finished_at=NOW)


def parked(task: Task, reason: ParkReason = ParkReason.RETRIES_EXHAUSTED, **changes: Any) -> Task:
    return replace(task, park=make_park(reason), awaiting=Awaiting.NOTHING, train_seq=None, **changes)


EVERY = [
    PLAN,
    ASKING,
    ANALYSING,
    CODING,
    QUEUED,
    CONFIRM,
    TURN,
    DEPLOYING,
    DONE,
    CANCELLED,
    parked(PLAN),
    parked(CODING),
    parked(CONFIRM),
]


def is_active(task: Task) -> bool:
    return task.awaiting is Awaiting.AGENT


def says(task: Task, decision: Decision, context: Context = FULL, *, shown: Sha | None = None, **command: Any) -> Decided:
    """A decision by page, CLI or chat about what is shown, unless *shown* says otherwise."""
    message = Decide(**({"decision": decision, "by": "anna", "shown": shown or task.shown} | command))
    return decided(context, task, message, active=is_active(task))


def sets(task: Task, trigger: Status, context: Context = FULL, *, by: str = "anna", reason: str = "", entry: int = 1) -> Decided:
    """A person set a trigger status on the board."""
    message = TriggerSet(trigger=trigger, entries=(ActivityId(f"e{entry}"),), at=NOW, by=by, reason=reason)
    return triggered(context, task, message, active=is_active(task))


def verb(result: Decided) -> Verb:
    assert result.answer is not None
    return result.answer.verb


def causes(result: Decided) -> list[str]:
    return [effect.transition.cause for effect in effects_of(result, RecordTransition)]


def assert_useless(task: Task, result: Decided) -> None:
    """Nothing but one comment and the derived status, so that the trigger can be set anew."""
    assert result.task == task
    assert [type(effect) for effect in result.effects] == [Comment, SetStatus]
    assert effects_of(result, SetStatus) == [SetStatus(status=status_of(task))]
    [comment] = effects_of(result, Comment)
    assert comment.role is Role.STREAM
    assert comment.text


# ------------------------------------------------------------------------------------------------ to_analyse


@pytest.mark.parametrize(
    "task",
    [ASKING, PLAN, parked(ANALYSING), parked(PLAN, ParkReason.PERMISSION_DENIED), replace(ASKING, counters=Counters(failed=2))],
)
def test_to_analyse_relaunches_the_analyst_where_it_is_not_at_work(task: Task) -> None:
    result = sets(task, Status.TO_ANALYSE)
    [job] = effects_of(result, QueueJob)
    assert (job.stage, job.role, job.mode) == (Stage.ANALYSIS, Role.ANALYST, RunMode.NEW_ATTEMPT)
    assert job.feedback.kind == "relaunched"
    assert (result.task.stage, result.task.awaiting, result.task.park) == (Stage.ANALYSIS, Awaiting.AGENT, None)
    assert effects_of(result, SetStatus) == [SetStatus(status=Status.ANALYSIS)]
    assert result.task.counters == (Counters() if task.park else task.counters)


@pytest.mark.parametrize("task", [ANALYSING, CODING])
def test_G2_to_analyse_launches_nothing_beside_an_active_job(task: Task) -> None:
    result = sets(task, Status.TO_ANALYSE)
    assert result.task == task
    assert result.effects == (SetStatus(status=status_of(task)),)


@pytest.mark.parametrize("task", [QUEUED, CONFIRM, DEPLOYING, parked(CODING), DONE, CANCELLED])
def test_to_analyse_at_a_later_stage_is_one_comment(task: Task) -> None:
    assert_useless(task, sets(task, Status.TO_ANALYSE))


# ------------------------------------------------------------------------------------------------ approved, rejected


def test_approved_advances_and_sets_no_status_but_the_next_stage_s_own() -> None:
    result = sets(PLAN, Status.APPROVED)
    assert result.task.stage is Stage.ARCHITECTURE
    assert [job.role for job in effects_of(result, QueueJob)] == [Role.ARCHITECT]
    assert effects_of(result, SetStatus) == [SetStatus(status=Status.IN_PROGRESS)]
    assert [effect.transition.by for effect in effects_of(result, RecordTransition)] == ["anna", ""]
    assert causes(result) == ["approved", "passed"]


@pytest.mark.parametrize("task", [task for task in EVERY if task is not PLAN])
def test_approved_anywhere_else_is_one_comment_and_never_deploys(task: Task) -> None:
    assert_useless(task, sets(task, Status.APPROVED))


def test_rejected_relaunches_the_analyst_with_the_reason() -> None:
    result = sets(PLAN, Status.REJECTED, reason="Too big.")
    assert (result.task.stage, result.task.awaiting) == (Stage.ANALYSIS, Awaiting.AGENT)
    [job] = effects_of(result, QueueJob)
    assert (job.role, job.feedback) == (Role.ANALYST, Feedback(kind="rejected", text="Too big."))
    assert causes(result) == ["rejected"]


@pytest.mark.parametrize("reason", ["", "  \n "])
def test_rejected_without_a_reason_has_a_fixed_note(reason: str) -> None:
    [job] = effects_of(sets(PLAN, Status.REJECTED, reason=reason), QueueJob)
    assert job.feedback.text.strip()


def test_rejected_at_the_deploy_declines_it() -> None:
    result = sets(CONFIRM, Status.REJECTED, reason="Not on a Friday.")
    assert result.task.stage is Stage.DEPLOY
    assert result.task.park is not None
    assert result.task.park.reason is ParkReason.DEPLOY_DECLINED
    assert result.task.park.evidence == "declined by anna: Not on a Friday."
    assert effects_of(result, SetStatus) == [SetStatus(status=Status.BLOCKED)]
    assert not effects_of(result, QueueJob)


@pytest.mark.parametrize("task", [task for task in EVERY if task not in (PLAN, CONFIRM)])
def test_rejected_anywhere_else_is_one_comment(task: Task) -> None:
    assert_useless(task, sets(task, Status.REJECTED))


# ------------------------------------------------------------------------------------------------ confirm_deploy


def test_confirm_deploy_gives_the_deploy_its_turn() -> None:
    result = sets(CONFIRM, Status.CONFIRM_DEPLOY)
    assert (result.task.stage, result.task.awaiting) == (Stage.DEPLOY, Awaiting.DEPLOY_TURN)
    assert effects_of(result, SetStatus) == [SetStatus(status=Status.AWAITING_DEPLOY)]
    assert effects_of(result, WakeRepo)
    assert causes(result) == ["deploy-confirmed"]


@pytest.mark.parametrize("task", [task for task in EVERY if task is not CONFIRM])
def test_confirm_deploy_anywhere_else_is_one_comment(task: Task) -> None:
    assert_useless(task, sets(task, Status.CONFIRM_DEPLOY))


# ------------------------------------------------------------------------------------------------ stop

STOPPABLE = [PLAN, ASKING, ANALYSING, CODING, QUEUED, CONFIRM, TURN, parked(PLAN), parked(CODING), parked(CONFIRM)]


@pytest.mark.parametrize("task", STOPPABLE)
@pytest.mark.parametrize("door", ["board", "api"])
def test_G5_STOP_fences_and_cancels_whatever_the_task_does(task: Task, door: str) -> None:
    result = sets(task, Status.STOP) if door == "board" else says(task, Decision.STOP)
    after = result.task
    assert (after.stage, after.attempt, after.cancel_requested_at) == (Stage.CANCELLED, Attempt(6), later(60))
    assert (after.train_seq, after.park, after.finished_at) == (None, None, later(60))
    assert effects_of(result, CancelJobs)
    assert effects_of(result, CancelRun)
    assert not effects_of(result, QueueJob)
    assert not effects_of(result, EnterTrain)
    assert effects_of(result, SetStatus) == [SetStatus(status=Status.CANCELLED)]
    closes = [edit.close for edit in effects_of(result, EditPullRequest)]
    assert closes == ([True] if task.pr_number is not None and task.landed is None else [])


def test_G6_STOP_after_the_landing_says_where_the_code_is() -> None:
    result = says(CONFIRM, Decision.STOP)
    assert result.answer is not None
    assert LANDED in result.answer.text
    assert "not deployed" in result.answer.text
    assert result.task.landed == LANDED


@pytest.mark.parametrize("task", [DONE, CANCELLED])
def test_G6_STOP_of_what_is_over_changes_nothing_and_says_so(task: Task) -> None:
    assert_useless(task, sets(task, Status.STOP))
    result = says(task, Decision.STOP)
    assert (verb(result), result.task, result.effects) == (Verb.NOTHING, task, ())


def test_G6_a_STOP_on_the_board_during_a_deploy_is_acknowledged_and_deferred() -> None:
    result = sets(DEPLOYING, Status.STOP)
    assert result.task.stage is Stage.DEPLOY
    assert result.task.cancel_requested_at == later(60)
    assert len(effects_of(result, Comment)) == 1
    assert effects_of(result, SetStatus) == [SetStatus(status=Status.DEPLOYING)]


# ------------------------------------------------------------------------------------------------ all triggers


@pytest.mark.parametrize(("task", "trigger"), list(product(EVERY, sorted(TRIGGERS))))
def test_every_trigger_in_every_state_answers_with_the_status(task: Task, trigger: Status) -> None:
    result = sets(task, trigger)
    assert effects_of(result, SetStatus) == [SetStatus(status=status_of(result.task))]
    if result.task == task:
        assert len(effects_of(result, Comment)) == (0 if trigger is Status.TO_ANALYSE and is_active(task) else 1)


@pytest.mark.parametrize(("task", "trigger"), list(product(EVERY, sorted(TRIGGERS))))
def test_G1_a_trigger_repeated_has_no_further_effect(task: Task, trigger: Status) -> None:
    """A second entry of the same kind finds the decision taken: one comment at most, no second job, no further stage."""
    once = sets(task, trigger).task
    twice = sets(once, trigger, entry=2)
    assert twice.task == once
    assert not effects_of(twice, QueueJob)


def test_a_status_that_is_no_trigger_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no trigger"):
        sets(PLAN, Status.IN_REVIEW)


def test_useless_triggers_have_a_comment_each() -> None:
    keys = [effects_of(sets(CODING, Status.APPROVED, entry=n), Comment)[0].key for n in (1, 2)]
    assert keys[0] != keys[1]


# ------------------------------------------------------------------------------------------------ bound to what was shown

DECISIONS = [(PLAN, Decision.APPROVE), (PLAN, Decision.REJECT), (CONFIRM, Decision.CONFIRM_DEPLOY), (CONFIRM, Decision.REJECT)]


@pytest.mark.parametrize(("task", "decision"), DECISIONS)
def test_a_decision_about_another_SHA_is_refused(task: Task, decision: Decision) -> None:
    result = says(task, decision, shown=OTHER)
    assert (verb(result), result.task, result.effects) == (Verb.REFUSED, task, ())


@pytest.mark.parametrize(("task", "decision"), DECISIONS)
def test_a_decision_about_no_SHA_is_told_which_is_shown(task: Task, decision: Decision) -> None:
    message = Decide(decision=decision, by="anna", shown=None)
    result = decided(FULL, task, message, active=False)
    assert (verb(result), result.task, result.effects) == (Verb.INVALID, task, ())
    assert result.answer is not None
    assert task.shown is not None
    assert task.shown in result.answer.text


@pytest.mark.parametrize(("task", "decision"), DECISIONS)
def test_a_decision_about_the_SHA_shown_is_carried_out_and_recorded(task: Task, decision: Decision) -> None:
    result = says(task, decision)
    assert verb(result) is Verb.DONE
    assert result.task != task
    assert causes(result)


@pytest.mark.parametrize(("task", "first"), DECISIONS)
@pytest.mark.parametrize("second", [Decision.APPROVE, Decision.REJECT, Decision.CONFIRM_DEPLOY])
def test_the_first_decision_wins(task: Task, first: Decision, second: Decision) -> None:
    after = says(task, first).task
    result = says(after, second, shown=task.shown)
    assert (verb(result), result.task, result.effects) == (Verb.REFUSED, after, ())
    board = {Decision.APPROVE: Status.APPROVED, Decision.REJECT: Status.REJECTED, Decision.CONFIRM_DEPLOY: Status.CONFIRM_DEPLOY}
    assert_useless(after, sets(after, board[second]))


@pytest.mark.parametrize(
    ("task", "decision"),
    [
        *((task, Decision.APPROVE) for task in EVERY if task is not PLAN),
        *((task, Decision.REJECT) for task in EVERY if task not in (PLAN, CONFIRM)),
        *((task, Decision.CONFIRM_DEPLOY) for task in EVERY if task is not CONFIRM),
    ],
)
def test_a_decision_that_nothing_waits_for_is_refused(task: Task, decision: Decision) -> None:
    result = says(task, decision)
    assert (verb(result), result.task, result.effects) == (Verb.REFUSED, task, ())


# ------------------------------------------------------------------------------------------------ who may

GUARDED = make_context(
    make_project(deploy=DeploySettings(command=("deploy",)), approvers=("ann",), deployers=("dan",)), now=later(60)
)


@pytest.mark.parametrize(
    ("task", "decision", "may"),
    [
        (PLAN, Decision.APPROVE, "ann"),
        (PLAN, Decision.REJECT, "ann"),
        (CONFIRM, Decision.CONFIRM_DEPLOY, "dan"),
        (CONFIRM, Decision.REJECT, "dan"),
    ],
)
def test_approvers_and_deployers_are_kept_apart(task: Task, decision: Decision, may: str) -> None:
    trigger = {Decision.APPROVE: Status.APPROVED, Decision.REJECT: Status.REJECTED}.get(decision, Status.CONFIRM_DEPLOY)
    for by in ("ann", "dan", "eve", ""):
        result, on_board = says(task, decision, GUARDED, by=by), sets(task, trigger, GUARDED, by=by)
        if by == may:
            assert verb(result) is Verb.DONE
            assert on_board.task != task
            assert by in {line.transition.by for line in effects_of(result, RecordTransition)} or result.task.park is not None
        else:
            assert (verb(result), result.task, result.effects) == (Verb.REFUSED, task, ())
            assert_useless(task, on_board)


def test_anybody_may_stop() -> None:
    assert says(CODING, Decision.STOP, GUARDED, by="eve").task.stage is Stage.CANCELLED


# ------------------------------------------------------------------------------------------------ resume

USED = Counters(failed=4, review=4, gate_red=2, infrastructure=3)


@pytest.mark.parametrize("stage", [Stage.ANALYSIS, Stage.ARCHITECTURE, Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING])
def test_G12_resume_takes_a_parked_task_on_at_its_stage_with_fresh_counters(stage: Stage) -> None:
    task = parked(replace(CODING, stage=stage), counters=USED, note="old")
    result = says(task, Decision.RESUME)
    assert verb(result) is Verb.DONE
    assert (result.task.stage, result.task.park, result.task.counters) == (stage, None, Counters())
    assert (result.task.awaiting, result.task.note) == (Awaiting.AGENT, "")
    [job] = effects_of(result, QueueJob)
    assert (job.stage, job.role) == (stage, TABLE[stage].role)
    assert job.feedback == Feedback(kind="resumed", text="it failed three times")
    assert effects_of(result, SetStatus) == [SetStatus(status=status_of(result.task))]
    assert causes(result) == ["resumed"]


def test_resume_before_the_landing_goes_through_staging_again() -> None:
    task = parked(QUEUED, counters=USED)
    assert says(task, Decision.RESUME).task.awaiting is Awaiting.GATE
    result = says(task, Decision.RESUME, PLAIN)
    assert (result.task.awaiting, result.task.counters) == (Awaiting.LANDING, Counters())
    assert effects_of(result, EnterTrain)


@pytest.mark.parametrize("reason", [ParkReason.DEPLOY_FAILED, ParkReason.DEPLOY_DECLINED])
def test_resume_at_the_deploy_asks_for_a_confirm_first(reason: ParkReason) -> None:
    result = says(parked(CONFIRM, reason), Decision.RESUME)
    assert (result.task.stage, result.task.awaiting) == (Stage.DEPLOY, Awaiting.GATE)
    assert effects_of(result, WakeRepo), "its repo asks anew"


@pytest.mark.parametrize("reason", list(ParkReason))
@pytest.mark.parametrize("ci", [None, *CiState])
def test_resume_in_development_goes_to_the_CI_only_where_it_alone_was_lacking(reason: ParkReason, ci: CiState | None) -> None:
    lacking = {ParkReason.INFRASTRUCTURE, ParkReason.NO_CI, ParkReason.ACTOR_FAILED, ParkReason.SURVIVOR, ParkReason.ISSUE_GONE}
    lacking |= {ParkReason.PR_CLOSED, ParkReason.BRANCH_FORCED}
    unjudged = reason in lacking and ci in (None, CiState.PENDING)
    result = says(parked(CODING, reason, ci=ci), Decision.RESUME)
    assert result.task.awaiting is (Awaiting.GATE if unjudged else Awaiting.AGENT)
    assert bool(effects_of(result, QueueJob)) is not unjudged
    assert result.task.stage is Stage.DEVELOPMENT
    off = make_context(make_project(ci=CiSource.OFF))
    assert effects_of(says(parked(CODING, reason, ci=ci), Decision.RESUME, off), QueueJob), "findings are not skipped"


@pytest.mark.parametrize("task", [task for task in EVERY if task.park is None])
def test_resume_of_what_is_not_parked_is_refused(task: Task) -> None:
    result = says(task, Decision.RESUME)
    assert (verb(result), result.task, result.effects) == (Verb.REFUSED, task, ())


def test_G2_resume_queues_nothing_beside_an_active_job() -> None:
    task = parked(CODING)
    result = decided(FULL, task, Decide(decision=Decision.RESUME, by="anna"), active=True)
    assert not effects_of(result, QueueJob)
    assert result.task.awaiting is Awaiting.AGENT


def test_a_comment_on_a_useless_trigger_does_not_shift_the_time_of_what_is_shown() -> None:
    """A rejection's reason is a comment newer than the plan; a useless trigger in between must not make it old."""
    assert sets(PLAN, Status.CONFIRM_DEPLOY).task.updated_at == PLAN.updated_at
