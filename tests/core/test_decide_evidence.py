"""Evidence that no agent makes: pull requests, CI, the daemon's own commands, landings, and the windows that STOP waits for."""

from dataclasses import replace
from typing import Any

import pytest

from orch.core.decide_evidence import (
    actor_failed,
    ci_reported,
    command_finished,
    landed,
    landing_refused,
    pull_request_opened,
    wants,
)
from orch.core.decide_landing import push_failed
from orch.core.decide_person import decided as person_decided
from orch.core.effects import (
    Alert,
    CancelJobs,
    CancelRun,
    Comment,
    EditPullRequest,
    EnterTrain,
    MarkMerged,
    PostCommitStatus,
    QueueJob,
    RecordTransition,
    RecordVerdict,
    SetStatus,
    WakeRepo,
)
from orch.core.ids import Attempt, RunId
from orch.core.messages import (
    CiReported,
    CommandFinished,
    CommandReport,
    CommandVerdict,
    Decide,
    Decision,
    LandingRefused,
    PullRequestOpened,
    Verb,
)
from orch.core.model import (
    Awaiting,
    CiSource,
    CiState,
    Counters,
    DeploySettings,
    ParkReason,
    RunKind,
    RunMode,
    Task,
    VerdictValue,
)
from orch.core.stages import ORDER, Role, Stage, is_terminal
from orch.core.statuses import Status
from orch.core.turn import Context, Decided, Turn
from tests.builders import NOW, effects_of, make_context, make_park, make_project, make_run, make_task, sha

HEAD, CODE, LANDED, OTHER = sha("a"), sha("c"), sha("d"), sha("f")
FORGE = make_context(make_project(ci=CiSource.FORGE))
LOCAL = make_context()
FULL = make_context(make_project(deploy=DeploySettings(staging_command=("stage",), command=("deploy",))))
UNASKED = make_context(make_project(deploy=DeploySettings(command=("deploy",), confirm=False)))
BASE: dict[str, Any] = {"attempt": Attempt(5), "head": HEAD, "code_head": CODE, "pr_number": 4}


def at_gate(**changes: Any) -> Task:
    """In development with code pushed, waiting for what no agent makes."""
    return make_task(**(BASE | {"stage": Stage.DEVELOPMENT, "awaiting": Awaiting.GATE} | changes))


def staging(**changes: Any) -> Task:
    known = {"stage": Stage.DEPLOY_STAGING, "awaiting": Awaiting.GATE, "ci": CiState.SUCCESS}
    return make_task(**(BASE | known | changes))


def queued(**changes: Any) -> Task:
    """In the landing queue."""
    return staging(**({"awaiting": Awaiting.LANDING, "train_seq": 3} | changes))


def deploying(**changes: Any) -> Task:
    known = {"awaiting": Awaiting.DEPLOYING, "landed": LANDED, "shown": LANDED}
    return make_task(stage=Stage.DEPLOY, **(BASE | known | changes))


def finish(context: Context, task: Task, kind: RunKind, verdict: CommandVerdict, **changes: Any) -> Decided:
    wanted = wants(task, context)
    report = CommandReport(verdict=verdict, tail="the end of the output", exit_code=0, seconds=1.0)
    message = CommandFinished(run=RunId(7), attempt=task.attempt, sha=wanted[1] if wanted else OTHER, report=report)
    run = make_run(task, id=RunId(7), kind=kind, role=None)
    return command_finished(context, task, run, replace(message, **changes))


def statuses(decided: Decided) -> list[Status]:
    return [effect.status for effect in effects_of(decided, SetStatus)]


# ------------------------------------------------------------------------------------------------ what is wanted

WANTED: list[tuple[Context, Task, tuple[RunKind, str] | None]] = [
    (LOCAL, at_gate(), (RunKind.CI, CODE)),
    (LOCAL, at_gate(ci=CiState.PENDING), (RunKind.CI, CODE)),
    (LOCAL, at_gate(pr_number=None), (RunKind.CI, CODE)),
    (LOCAL, at_gate(ci=CiState.SUCCESS), None),
    (LOCAL, at_gate(ci=CiState.FAILURE), None),
    (LOCAL, at_gate(code_head=None), None),
    (LOCAL, at_gate(awaiting=Awaiting.AGENT), None),
    (FORGE, at_gate(), None),
    (FULL, staging(), (RunKind.STAGING, HEAD)),
    (LOCAL, staging(), None),
    (FULL, queued(), None),
    (FULL, deploying(), None),
    (FULL, deploying(awaiting=Awaiting.DEPLOY_TURN), None),
]


@pytest.mark.parametrize(("context", "task", "wanted"), WANTED)
def test_what_is_wanted_is_read_off_the_task(context: Context, task: Task, wanted: tuple[RunKind, str] | None) -> None:
    assert wants(task, context) == wanted


@pytest.mark.parametrize(("context", "task", "wanted"), WANTED)
def test_G5_nothing_is_wanted_for_what_is_parked_or_over(context: Context, task: Task, wanted: object) -> None:
    assert wants(replace(task, park=make_park()), context) is None
    for stage in (Stage.DONE, Stage.CANCELLED):
        assert wants(replace(task, stage=stage), context) is None


@pytest.mark.parametrize(("context", "task", "wanted"), WANTED)
def test_G6_a_pending_STOP_leaves_only_a_deploy_under_way(context: Context, task: Task, wanted: object) -> None:
    left = wanted if task.stage is Stage.DEPLOY else None
    assert wants(replace(task, cancel_requested_at=NOW), context) == left


# ------------------------------------------------------------------------------------------------ the pull request


def test_the_pull_request_opens_the_gate_that_waited_for_it() -> None:
    task = at_gate(pr_number=None, ci=CiState.SUCCESS)
    decided = pull_request_opened(LOCAL, task, PullRequestOpened(number=4, url="http://forge/4"))
    assert (decided.task.pr_number, decided.task.stage) == (4, Stage.REVIEW)
    assert [job.role for job in effects_of(decided, QueueJob)] == [Role.REVIEWER]


@pytest.mark.parametrize(
    "task",
    [
        at_gate(pr_number=None),
        at_gate(pr_number=None, ci=CiState.SUCCESS, awaiting=Awaiting.AGENT),
        at_gate(pr_number=None, ci=CiState.SUCCESS, awaiting=Awaiting.NOTHING, park=make_park()),
    ],
)
def test_a_pull_request_is_noted_and_moves_nothing_that_waits_for_more(task: Task) -> None:
    decided = pull_request_opened(LOCAL, task, PullRequestOpened(number=4, url=""))
    assert decided.task == replace(task, pr_number=4, updated_at=NOW)
    assert [type(effect) for effect in decided.effects] == [RecordTransition]


def test_G1_the_same_pull_request_twice_is_nothing() -> None:
    task = at_gate()
    assert pull_request_opened(LOCAL, task, PullRequestOpened(number=4, url="")) == Decided(task=task)
    done = replace(task, stage=Stage.DONE, pr_number=None)
    assert pull_request_opened(LOCAL, done, PullRequestOpened(number=4, url="")) == Decided(task=done)


def test_G5_a_pull_request_that_opens_after_the_STOP_is_closed() -> None:
    task = at_gate(stage=Stage.CANCELLED, awaiting=Awaiting.NOTHING, pr_number=None)
    decided = pull_request_opened(LOCAL, task, PullRequestOpened(number=4, url=""))
    assert decided.task.stage is Stage.CANCELLED
    [edit] = decided.effects
    assert isinstance(edit, EditPullRequest)
    assert (edit.number, edit.close) == (4, True)
    assert pull_request_opened(LOCAL, decided.task, PullRequestOpened(number=4, url="")) == Decided(task=decided.task)


# ------------------------------------------------------------------------------------------------ CI


def test_a_green_CI_of_the_forge_takes_the_task_to_review() -> None:
    decided = ci_reported(FORGE, at_gate(), CiReported(sha=CODE, state="success"))
    assert decided.task.stage is Stage.REVIEW


@pytest.mark.parametrize("state", ["failure", "error"])
def test_a_red_CI_goes_back_with_its_log(state: str) -> None:
    decided = ci_reported(FORGE, at_gate(), CiReported(sha=CODE, state=state, tail="E  assert 1 == 2"))
    assert (decided.task.stage, decided.task.awaiting) == (Stage.DEVELOPMENT, Awaiting.AGENT)
    assert decided.task.counters == Counters(ci_red=1)
    [job] = effects_of(decided, QueueJob)
    assert job.feedback.kind == "ci_red"
    assert "assert 1 == 2" in job.feedback.text
    assert job.mode is RunMode.NEW_ATTEMPT


def test_a_red_CI_needs_no_pull_request_to_be_believed() -> None:
    """The log would be gone by the time the pull request is there."""
    decided = finish(LOCAL, at_gate(pr_number=None), RunKind.CI, CommandVerdict.RED)
    [job] = effects_of(decided, QueueJob)
    assert "the end of the output" in job.feedback.text


def test_a_pending_CI_is_waited_for() -> None:
    decided = ci_reported(FORGE, at_gate(), CiReported(sha=CODE, state="pending"))
    assert (decided.task.ci, decided.task.awaiting, decided.task.stage) == (CiState.PENDING, Awaiting.GATE, Stage.DEVELOPMENT)
    assert not effects_of(decided, QueueJob)


@pytest.mark.parametrize("state", list(CiState))
@pytest.mark.parametrize(
    ("context", "task", "reported"),
    [
        (FORGE, at_gate(), OTHER),
        (FORGE, at_gate(), HEAD),
        (FORGE, at_gate(code_head=None), OTHER),
        (FORGE, at_gate(park=make_park(), awaiting=Awaiting.NOTHING), CODE),
        (FORGE, at_gate(stage=Stage.REVIEW, ci=CiState.SUCCESS, awaiting=Awaiting.AGENT), CODE),
        (FORGE, at_gate(stage=Stage.CANCELLED, awaiting=Awaiting.NOTHING), CODE),
        (LOCAL, at_gate(), CODE),
        (make_context(make_project(ci=CiSource.OFF)), at_gate(), CODE),
    ],
)
def test_a_CI_report_about_anything_else_changes_nothing(context: Context, task: Task, reported: Any, state: CiState) -> None:
    assert ci_reported(context, task, CiReported(sha=reported, state=state.value)) == Decided(task=task)


@pytest.mark.parametrize("state", list(CiState))
def test_G1_the_same_CI_report_twice_takes_effect_once(state: CiState) -> None:
    message = CiReported(sha=CODE, state=state.value)
    first = ci_reported(FORGE, at_gate(), message)
    assert first.changed
    again = ci_reported(FORGE, first.task, message)
    assert again == Decided(task=first.task)


@pytest.mark.parametrize(("verdict", "state"), [(CommandVerdict.GREEN, CiState.SUCCESS), (CommandVerdict.RED, CiState.FAILURE)])
def test_the_test_command_is_the_CI_and_posts_its_status(verdict: CommandVerdict, state: CiState) -> None:
    decided = finish(LOCAL, at_gate(counters=Counters(infrastructure=2)), RunKind.CI, verdict)
    [posted] = effects_of(decided, PostCommitStatus)
    assert (posted.status.sha, posted.status.state, posted.status.context) == (CODE, state, "orch/ci")
    assert decided.task.ci is state
    assert decided.task.stage is (Stage.REVIEW if state is CiState.SUCCESS else Stage.DEVELOPMENT)
    assert decided.task.counters.infrastructure == 0


# ------------------------------------------------------------------------------------------------ staging and deploy


def test_a_green_staging_enters_the_train() -> None:
    decided = finish(FULL, staging(), RunKind.STAGING, CommandVerdict.GREEN)
    assert decided.task.awaiting is Awaiting.LANDING
    assert effects_of(decided, EnterTrain)
    [record] = effects_of(decided, RecordVerdict)
    assert (record.verdict.stage, record.verdict.value, record.verdict.code_head) == (Stage.DEPLOY_STAGING, VerdictValue.OK, HEAD)


def test_a_red_staging_goes_back_to_the_developer() -> None:
    decided = finish(FULL, staging(), RunKind.STAGING, CommandVerdict.RED)
    assert (decided.task.stage, decided.task.counters) == (Stage.DEVELOPMENT, Counters(staging=1))
    [job] = effects_of(decided, QueueJob)
    assert (job.role, job.feedback.kind) == (Role.DEVELOPER, "staging")
    assert "the end of the output" in job.feedback.text


COMMANDS = [
    (LOCAL, at_gate(), RunKind.CI),
    (FULL, staging(), RunKind.STAGING),
]


@pytest.mark.parametrize(("context", "task", "kind"), COMMANDS)
@pytest.mark.parametrize("verdict", [CommandVerdict.TIMEOUT, CommandVerdict.INFRA])
def test_G12_a_command_without_verdict_is_tried_again_up_to_a_bound(
    context: Context, task: Task, kind: RunKind, verdict: CommandVerdict
) -> None:
    for count in (1, 2, 3):
        before, task = task, finish(context, task, kind, verdict).task
        assert task == replace(before, counters=Counters(infrastructure=count), updated_at=NOW)
        assert wants(task, context) == wants(before, context)
    decided = finish(context, task, kind, verdict)
    assert decided.task.park is not None
    assert decided.task.park.reason is ParkReason.INFRASTRUCTURE
    assert decided.task.counters.returns() == 0


@pytest.mark.parametrize(("context", "task", "kind"), COMMANDS)
def test_G11_an_interrupted_command_is_charged_to_nobody(context: Context, task: Task, kind: RunKind) -> None:
    decided = finish(context, task, kind, CommandVerdict.INTERRUPTED)
    assert replace(decided.task, updated_at=task.updated_at) == task


@pytest.mark.parametrize(("context", "task", "kind"), COMMANDS)
@pytest.mark.parametrize("verdict", list(CommandVerdict))
def test_G5_a_late_command_changes_nothing(context: Context, task: Task, kind: RunKind, verdict: CommandVerdict) -> None:
    for changes in ({"attempt": Attempt(4)}, {"attempt": Attempt(6)}, {"sha": OTHER}):
        assert finish(context, task, kind, verdict, **changes) == Decided(task=task)
    wrong = {RunKind.CI: RunKind.STAGING, RunKind.STAGING: RunKind.CI}[kind]
    assert finish(context, task, wrong, verdict) == Decided(task=task)
    for stopped in (replace(task, stage=Stage.CANCELLED), replace(task, park=make_park())):
        assert finish(context, stopped, kind, verdict, sha=task.code_head) == Decided(task=stopped)


def test_G11_a_park_for_infrastructure_in_development_is_resumed_at_the_CI_not_at_the_developer() -> None:
    task = at_gate(counters=Counters(infrastructure=3))
    parked = finish(LOCAL, task, RunKind.CI, CommandVerdict.TIMEOUT).task
    decided = person_decided(LOCAL, parked, Decide(decision=Decision.RESUME, by="anna"), active=False)
    assert not effects_of(decided, QueueJob), "the developer would have nothing to do"
    assert (decided.task.awaiting, decided.task.counters) == (Awaiting.GATE, Counters())
    assert wants(decided.task, LOCAL) == (RunKind.CI, CODE)


# ------------------------------------------------------------------------------------------------ landing


def test_a_landing_without_deploy_is_the_end_of_the_line() -> None:
    decided = landed(LOCAL, queued(), LANDED)
    assert (decided.task.stage, decided.task.landed, decided.task.train_seq) == (Stage.DONE, LANDED, None)
    assert statuses(decided) == [Status.DONE]
    assert effects_of(decided, MarkMerged) == [MarkMerged(number=4, sha=LANDED, branch=queued().branch, head=HEAD)]
    lines = [effect.transition for effect in effects_of(decided, RecordTransition)]
    assert [(line.source, line.target) for line in lines] == [
        (Stage.DEPLOY_STAGING, Stage.DEPLOY),
        (Stage.DEPLOY, Stage.DONE),
    ]
    assert lines[-1].detail == "no deploy command is configured"


AGENT = make_context(make_project(deploy=DeploySettings(agent=True)))


@pytest.mark.parametrize("context", [FULL, AGENT])
def test_G15_a_landing_where_there_is_a_deploy_completes_nothing_and_wakes_its_repo(context: Context) -> None:
    decided = landed(context, queued(), LANDED)
    assert (decided.task.stage, decided.task.awaiting, decided.task.deployed) == (Stage.DEPLOY, Awaiting.GATE, False)
    assert effects_of(decided, WakeRepo)
    assert not effects_of(decided, Alert), "a person is asked when it is known what the deploy would change"
    assert wants(decided.task, context) is None


def test_without_confirm_the_deploy_has_its_turn_at_once() -> None:
    decided = landed(UNASKED, queued(), LANDED)
    assert decided.task.awaiting is Awaiting.DEPLOY_TURN
    assert effects_of(decided, WakeRepo)
    assert statuses(decided) == [Status.AWAITING_DEPLOY]


@pytest.mark.parametrize("stage", [Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING])
def test_content_that_is_in_the_default_branch_ends_the_task_s_run(stage: Stage) -> None:
    task = at_gate(stage=stage, awaiting=Awaiting.AGENT)
    decided = landed(FULL, task, LANDED)
    assert (decided.task.stage, decided.task.landed) == (Stage.DEPLOY, LANDED)
    assert effects_of(decided, CancelJobs)
    assert effects_of(decided, CancelRun)


def test_G10_a_landing_recorded_twice_takes_effect_once() -> None:
    for context in (LOCAL, FULL, UNASKED):
        once = landed(context, queued(), LANDED).task
        assert landed(context, once, LANDED) == Decided(task=once)


def test_a_parked_task_that_landed_all_the_same_stays_parked_at_the_deploy() -> None:
    task = queued(park=make_park(), awaiting=Awaiting.NOTHING, train_seq=None)
    decided = landed(FULL, task, LANDED)
    assert (decided.task.stage, decided.task.park) == (Stage.DEPLOY, task.park)
    assert wants(decided.task, FULL) is None
    confirm = Decide(decision=Decision.CONFIRM_DEPLOY, by="anna", shown=LANDED)
    refused = person_decided(FULL, decided.task, confirm, active=False)
    assert refused.answer is not None
    assert (refused.answer.verb, refused.effects) == (Verb.REFUSED, ())
    resumed = person_decided(FULL, decided.task, Decide(decision=Decision.RESUME, by="anna"), active=False).task
    assert (resumed.park, resumed.stage, resumed.awaiting) == (None, Stage.DEPLOY, Awaiting.GATE)


@pytest.mark.parametrize("kind", ["conflict", "land_red"])
def test_a_refused_landing_goes_back_with_the_evidence(kind: str) -> None:
    refused = LandingRefused(kind=kind, head=HEAD, base=sha("b"), evidence="both changed a.py")
    decided = landing_refused(LOCAL, queued(), refused)
    assert (decided.task.stage, decided.task.train_seq, decided.task.counters) == (
        Stage.DEVELOPMENT,
        None,
        Counters(**{kind: 1}),
    )
    [job] = effects_of(decided, QueueJob)
    assert (job.feedback.kind, "both changed a.py" in job.feedback.text, refused.base in job.feedback.text) == (kind, True, True)
    assert decided.task.merge_main, "its next attempt begins with the default branch merged in"
    last = landing_refused(LOCAL, queued(counters=Counters(**{kind: 3})), refused)
    assert last.task.park is not None
    assert last.task.park.reason is ParkReason.RETRIES_EXHAUSTED


@pytest.mark.parametrize(
    "task",
    [
        queued(head=OTHER),
        queued(awaiting=Awaiting.GATE),
        at_gate(),
        queued(park=make_park(), awaiting=Awaiting.NOTHING),
        queued(stage=Stage.CANCELLED, awaiting=Awaiting.NOTHING),
    ],
)
def test_a_refusal_of_another_head_or_of_a_task_that_left_the_queue_is_stale(task: Task) -> None:
    refused = LandingRefused(kind="conflict", head=HEAD, base=sha("b"), evidence="x")
    assert landing_refused(LOCAL, task, refused) == Decided(task=task)


# ------------------------------------------------------------------------------------------------ STOP inside a window

STOP = Decide(decision=Decision.STOP, by="anna")


def test_G6_a_STOP_during_a_landing_is_recorded_and_the_landing_has_its_real_result() -> None:
    asked = person_decided(FULL, queued(), STOP, active=False, landing=True)
    assert asked.answer is not None
    assert asked.answer.verb is Verb.DONE
    assert "landing under way ends first" in asked.answer.text
    assert (asked.task.stage, asked.task.cancel_requested_at) == (Stage.DEPLOY_STAGING, NOW)
    assert not effects_of(asked, CancelRun)
    assert effects_of(asked, Comment), "the board is told at once"

    ended = landed(FULL, asked.task, LANDED)
    assert (ended.task.stage, ended.task.landed, ended.task.park) == (Stage.CANCELLED, LANDED, None)
    assert statuses(ended) == [Status.CANCELLED]
    assert any("in main at" in comment.text for comment in effects_of(ended, Comment))
    assert effects_of(ended, MarkMerged)
    assert not any(edit.close for edit in effects_of(ended, EditPullRequest))
    assert not effects_of(ended, Alert), "nobody is asked to confirm what is stopped"


def test_G6_a_STOP_during_the_last_landing_finds_the_task_done() -> None:
    asked = person_decided(LOCAL, queued(), STOP, active=False, landing=True)
    ended = landed(LOCAL, asked.task, LANDED)
    assert ended.task.stage is Stage.DONE


def test_G6_a_STOP_during_a_landing_that_came_to_nothing_is_carried_out() -> None:
    asked = person_decided(LOCAL, queued(), STOP, active=False, landing=True)
    ended = push_failed(LOCAL, asked.task)
    assert (ended.task.stage, ended.task.landed) == (Stage.CANCELLED, None)
    assert [edit.close for edit in effects_of(ended, EditPullRequest)] == [True]
    assert push_failed(LOCAL, ended.task) == Decided(task=ended.task)


def test_G6_a_landing_found_after_the_STOP_is_told_truthfully() -> None:
    """Whichever committed first decides; if git says otherwise, git is right."""
    stopped = person_decided(FULL, queued(), STOP, active=False).task
    decided = landed(FULL, stopped, LANDED)
    assert (decided.task.stage, decided.task.landed) == (Stage.CANCELLED, LANDED)
    [comment] = effects_of(decided, Comment)
    assert "in main at" in comment.text
    assert not effects_of(decided, QueueJob)


# ------------------------------------------------------------------------------------------------ a crashing actor


def test_an_actor_that_crashed_too_often_leaves_a_deploy_to_its_repo() -> None:
    assert actor_failed(FULL, deploying(), "KeyError: 'x'") == Decided(task=deploying())


def test_G11_an_actor_that_crashed_too_often_parks_its_task() -> None:
    decided = actor_failed(LOCAL, at_gate(), "KeyError: 'x'")
    assert decided.task.park is not None
    assert decided.task.park.reason is ParkReason.ACTOR_FAILED
    assert statuses(decided) == [Status.BLOCKED]


@pytest.mark.parametrize("stage", ORDER)
def test_a_park_keeps_its_first_cause_and_what_is_over_is_not_parked(stage: Stage) -> None:
    park = make_park(ParkReason.BUDGET)
    task = at_gate(stage=stage, park=None if is_terminal(stage) else park)
    assert actor_failed(LOCAL, task, "KeyError") == Decided(task=task)
    turn = Turn(LOCAL, task)
    turn.park(ParkReason.INFRASTRUCTURE, "the forge refuses the push")
    assert turn.end() == Decided(task=task)
