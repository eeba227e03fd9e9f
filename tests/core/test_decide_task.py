"""The engine: what follows when an agent's run ends, told stage by stage, and what bounds it."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import pytest

from orch.core.decide_run import run_ended
from orch.core.decide_task import launched, started
from orch.core.effects import (
    Alert,
    CancelJobs,
    CancelRun,
    Comment,
    EditPullRequest,
    Effect,
    EnterTrain,
    KeepPrComment,
    OpenPullRequest,
    QueueJob,
    RecordTransition,
    RecordVerdict,
    RequeueJob,
    SetStatus,
    WakeSlots,
)
from orch.core.gates import BranchFacts
from orch.core.ids import Attempt, RunId
from orch.core.messages import Refusal, RefusalKind, RunEnded
from orch.core.model import (
    AgentResult,
    Awaiting,
    CiSource,
    CiState,
    Counters,
    DeploySettings,
    Feedback,
    Finding,
    Outcome,
    ParkReason,
    RoleSettings,
    RunMode,
    Task,
    VerdictValue,
)
from orch.core.stages import TABLE, Role, Stage
from orch.core.statuses import Status
from orch.core.task_facts import status_of
from orch.core.turn import Context, Decided
from tests.builders import (
    NOW,
    effects_of,
    later,
    make_artefact,
    make_context,
    make_facts,
    make_job,
    make_park,
    make_project,
    make_run,
    make_task,
    sha,
)

HEAD, CODE, NEWER = sha("a"), sha("c"), sha("d")
BRD, CRITERIA = make_artefact("01-brd.md"), make_artefact("02-acceptance.md")
ADR = make_artefact("06-adr/ADR-001-storage.md")
WORKING = {"awaiting": Awaiting.AGENT, "attempt": Attempt(3), "head": HEAD}


def working(stage: Stage, **changes: Any) -> Task:
    """A task whose role is at work in *stage*, with what earlier stages have left."""
    known: dict[str, Any] = dict(WORKING)
    if stage in (Stage.REVIEW, Stage.TESTING):
        known |= {"code_head": CODE, "ci": CiState.SUCCESS, "pr_number": 4}
    return make_task(stage=stage, **(known | changes))


def ended(task: Task, facts: BranchFacts | None = None, *, outcome: Outcome = Outcome.SUCCEEDED, **changes: Any) -> RunEnded:
    base = RunEnded(run=RunId(1), attempt=task.attempt, result=AgentResult(outcome=outcome), branch=facts)
    return replace(base, **changes)


def decide(task: Task, message: RunEnded, context: Context | None = None, **job: Any) -> Decided:
    role = TABLE[task.stage].role
    run = make_run(task, role=role)
    return run_ended(context or make_context(now=later(60)), task, make_job(task, role=role, **job), run, message)


def verdict(stage: Stage, word: str, *findings: dict[str, str]) -> BranchFacts:
    name = {Stage.REVIEW: "07-review.md", Stage.TESTING: "08-test-report.md"}[stage]
    front = {"verdict": word, "findings": list(findings)}
    return make_facts(make_artefact(name, front=front), head=NEWER, code_head=CODE)


def causes(decided: Decided) -> list[str]:
    return [effect.transition.cause for effect in effects_of(decided, RecordTransition)]


# ------------------------------------------------------------------------------------------------ entry


def test_a_new_task_queues_the_analyst_and_shows_it() -> None:
    decided = started(make_context(), make_task(), "anna")
    [job] = effects_of(decided, QueueJob)
    assert (job.stage, job.role, job.mode, job.priority) == (Stage.ANALYSIS, Role.ANALYST, RunMode.NEW_ATTEMPT, 0)
    [line] = effects_of(decided, RecordTransition)
    assert (line.transition.source, line.transition.target, line.transition.by) == (None, Stage.ANALYSIS, "anna")
    assert effects_of(decided, SetStatus) == [SetStatus(status=Status.ANALYSIS)]
    assert effects_of(decided, WakeSlots)


def test_a_fix_goes_before_the_others() -> None:
    [job] = effects_of(started(make_context(), make_task(exempt=True), "anna"), QueueJob)
    assert job.priority == 1


def test_a_launch_is_one_comment_in_the_role_s_own_voice() -> None:
    context = make_context(make_project(roles={Role.ANALYST: RoleSettings(agent="claude", model="opus")}))
    decided = launched(context, make_task(attempt=Attempt(2)), make_job(), make_run(id=RunId(9)))
    [comment] = effects_of(decided, Comment)
    assert (comment.role, comment.key) == (Role.ANALYST, "1:2:launched:9")
    assert "opus" in comment.text
    assert decided.effects == (comment,)


# ------------------------------------------------------------------------------------------------ the straight line


def test_the_plan_is_shown_and_waits_for_a_person() -> None:
    task = working(Stage.ANALYSIS)
    decided = decide(task, ended(task, make_facts(BRD, CRITERIA, head=NEWER)))
    assert (decided.task.stage, decided.task.awaiting, decided.task.shown) == (Stage.ANALYSIS, Awaiting.APPROVAL, NEWER)
    assert effects_of(decided, SetStatus) == [SetStatus(status=Status.IN_REVIEW)]
    assert [alert.kind for alert in effects_of(decided, Alert)] == ["approval"]
    assert not effects_of(decided, QueueJob)
    shown = effects_of(decided, Comment)[-1]
    assert shown.role is Role.ANALYST
    assert "01-brd.md" in shown.text
    assert NEWER[:8] in shown.text


def test_questions_are_asked_once_and_wait_for_an_answer() -> None:
    task = working(Stage.ANALYSIS)
    asking = make_facts(BRD, CRITERIA, make_artefact("questions.md", "Which colour?"), head=NEWER)
    decided = decide(task, ended(task, asking))
    assert decided.task.awaiting is Awaiting.INPUT
    assert effects_of(decided, SetStatus) == [SetStatus(status=Status.NEEDS_INPUT)]
    assert "Which colour?" in effects_of(decided, Comment)[-1].text
    assert [alert.kind for alert in effects_of(decided, Alert)] == ["input"]


def test_a_decision_record_takes_the_task_to_the_developer() -> None:
    task = working(Stage.ARCHITECTURE, counters=Counters(gate_red=3, failed=2, review=1))
    decided = decide(task, ended(task, make_facts(ADR)))
    assert decided.task.stage is Stage.DEVELOPMENT
    [job] = effects_of(decided, QueueJob)
    assert (job.stage, job.role) == (Stage.DEVELOPMENT, Role.DEVELOPER)
    assert decided.task.counters == Counters(review=1), "the developer starts with a clean slate of runs"


def test_the_first_code_opens_the_pull_request_and_waits_for_it() -> None:
    task = working(Stage.DEVELOPMENT)
    decided = decide(task, ended(task, make_facts(head=NEWER, code_head=CODE)))
    assert (decided.task.awaiting, decided.task.code_head, decided.task.head) == (Awaiting.GATE, CODE, NEWER)
    [opened] = effects_of(decided, OpenPullRequest)
    assert opened.title.startswith("WIP: DEMO-1")
    assert opened.branch == task.branch


def test_new_code_makes_the_old_ci_result_void() -> None:
    task = working(Stage.DEVELOPMENT, code_head=CODE, ci=CiState.SUCCESS, pr_number=4)
    decided = decide(task, ended(task, make_facts(head=NEWER, code_head=NEWER)))
    assert (decided.task.stage, decided.task.awaiting, decided.task.ci) == (Stage.DEVELOPMENT, Awaiting.GATE, None)
    assert effects_of(decided, KeepPrComment)
    assert not effects_of(decided, OpenPullRequest)


def test_without_ci_the_history_says_so() -> None:
    task = working(Stage.DEVELOPMENT, code_head=CODE, pr_number=4)
    context = make_context(make_project(ci=CiSource.OFF))
    decided = decide(task, ended(task, make_facts(head=NEWER, code_head=NEWER)), context)
    assert decided.task.stage is Stage.REVIEW
    [line] = effects_of(decided, RecordTransition)
    assert line.transition.detail == "CI is off for this project"


def test_an_approving_review_goes_to_the_tester_and_takes_the_WIP_off() -> None:
    task = working(Stage.REVIEW)
    decided = decide(task, ended(task, verdict(Stage.REVIEW, "approved")))
    assert decided.task.stage is Stage.TESTING
    assert [job.role for job in effects_of(decided, QueueJob)] == [Role.TESTER]
    [edit] = effects_of(decided, EditPullRequest)
    assert edit.title.startswith("DEMO-1")
    [record] = effects_of(decided, RecordVerdict)
    assert record.verdict.value is VerdictValue.APPROVED
    assert (record.verdict.attempt, record.verdict.code_head, record.verdict.blob) == (task.attempt, CODE, sha("e"))


def test_passed_tests_enter_the_train_where_there_is_no_staging() -> None:
    task = working(Stage.TESTING)
    decided = decide(task, ended(task, verdict(Stage.TESTING, "pass")))
    assert (decided.task.stage, decided.task.awaiting) == (Stage.DEPLOY_STAGING, Awaiting.LANDING)
    assert effects_of(decided, EnterTrain) == [EnterTrain()]
    assert not effects_of(decided, QueueJob)


def test_passed_tests_wait_for_the_staging_command_where_there_is_one() -> None:
    task = working(Stage.TESTING)
    context = make_context(make_project(deploy=DeploySettings(staging_command=("stage",))))
    decided = decide(task, ended(task, verdict(Stage.TESTING, "pass")), context)
    assert (decided.task.stage, decided.task.awaiting) == (Stage.DEPLOY_STAGING, Awaiting.GATE)
    assert not effects_of(decided, EnterTrain)


def test_G14_with_the_merge_gate_off_nothing_enters_the_train() -> None:
    task = working(Stage.TESTING)
    decided = decide(task, ended(task, verdict(Stage.TESTING, "pass")), make_context(make_project(merge_gate=False)))
    assert decided.task.awaiting is Awaiting.MERGE
    assert "merge the pull request by hand" in decided.task.note
    assert not effects_of(decided, EnterTrain)


# ------------------------------------------------------------------------------------------------ ways back


@pytest.mark.parametrize(
    ("stage", "word", "cause"), [(Stage.REVIEW, "changes_requested", "review"), (Stage.TESTING, "fail", "testing")]
)
def test_a_red_verdict_sends_the_findings_to_the_developer(stage: Stage, word: str, cause: str) -> None:
    task = working(stage, counters=Counters(gate_red=3, failed=3))
    decided = decide(task, ended(task, verdict(stage, word, {"title": "Off by one", "path": "a.py"})))
    assert decided.task.stage is Stage.DEVELOPMENT
    [job] = effects_of(decided, QueueJob)
    assert (job.role, job.mode) == (Role.DEVELOPER, RunMode.NEW_ATTEMPT)
    assert job.feedback == Feedback(kind=cause, text="", findings=(Finding(title="Off by one", path="a.py"),))
    assert decided.task.counters == Counters(**{cause: 1}), "what the reviewer's runs came to is not the developer's"
    assert effects_of(decided, EditPullRequest)[-1].title.startswith("WIP: ")
    [record] = effects_of(decided, RecordVerdict)
    assert record.verdict.findings == (Finding(title="Off by one", path="a.py"),)


@pytest.mark.parametrize(
    ("stage", "word", "cause"), [(Stage.REVIEW, "changes_requested", "review"), (Stage.TESTING, "fail", "testing")]
)
def test_G12_returned_too_often_is_parked_with_cause_and_evidence(stage: Stage, word: str, cause: str) -> None:
    task = working(stage, counters=Counters(**{cause: 3}))
    decided = decide(task, ended(task, verdict(stage, word, {"title": "Off by one"})))
    park = decided.task.park
    assert park is not None
    assert (decided.task.stage, park.reason) == (stage, ParkReason.RETRIES_EXHAUSTED)
    assert cause in park.evidence
    assert "Off by one" in park.evidence
    assert_parked(decided)


def assert_parked(decided: Decided) -> None:
    """A park cancels what is under way, queues nothing, shows ``blocked``, and asks a person."""
    assert decided.task.park is not None
    assert (decided.task.awaiting, decided.task.train_seq) == (Awaiting.NOTHING, None)
    assert effects_of(decided, CancelJobs)
    assert effects_of(decided, CancelRun)
    assert not effects_of(decided, QueueJob)
    assert not effects_of(decided, RequeueJob)
    assert effects_of(decided, SetStatus) == [SetStatus(status=Status.BLOCKED)]
    kind = "budget" if decided.task.park.reason is ParkReason.BUDGET else "parked"
    assert [alert.kind for alert in effects_of(decided, Alert)] == [kind]
    assert causes(decided)[-1] == "parked"


def test_the_limit_of_returns_is_the_setting() -> None:
    task = working(Stage.REVIEW)
    decided = decide(task, ended(task, verdict(Stage.REVIEW, "changes_requested")), make_context(max_developer_retries=0))
    assert_parked(decided)


RED_GATES = [
    (Stage.ANALYSIS, make_facts(), "01-brd.md is missing or empty"),
    (Stage.ANALYSIS, make_facts(BRD), "02-acceptance.md is missing or empty"),
    (Stage.ARCHITECTURE, make_facts(BRD), "no decision record"),
    (Stage.DEVELOPMENT, make_facts(), "changed nothing outside the artefact folder"),
    (Stage.REVIEW, make_facts(code_head=CODE), "07-review.md was not written by this attempt"),
    (Stage.REVIEW, verdict(Stage.REVIEW, "fine"), "must say 'verdict: approved | changes_requested'"),
    (Stage.TESTING, make_facts(make_artefact("08-test-report.md", problem="no end"), code_head=CODE), "no end"),
]


@pytest.mark.parametrize(("stage", "facts", "reason"), RED_GATES)
def test_a_role_whose_own_gate_is_red_works_again_with_the_reason(stage: Stage, facts: BranchFacts, reason: str) -> None:
    task = working(stage)
    decided = decide(task, ended(task, facts))
    assert (decided.task.stage, decided.task.awaiting) == (stage, Awaiting.AGENT)
    [job] = effects_of(decided, QueueJob)
    assert (job.stage, job.role, job.mode) == (stage, TABLE[stage].role, RunMode.NEW_ATTEMPT)
    assert reason in job.feedback.text
    assert decided.task.counters == Counters(gate_red=1)
    assert not effects_of(decided, RecordVerdict), "an unreadable verdict is none"


@pytest.mark.parametrize(("stage", "facts", "reason"), RED_GATES)
def test_G12_the_fourth_red_gate_parks(stage: Stage, facts: BranchFacts, reason: str) -> None:
    task = working(stage, counters=Counters(gate_red=3))
    decided = decide(task, ended(task, facts))
    assert_parked(decided)
    assert decided.task.park is not None
    assert reason in decided.task.park.evidence


def test_G12_a_developer_who_repeats_the_old_code_is_told_so() -> None:
    task = working(Stage.DEVELOPMENT, code_head=CODE, ci=CiState.FAILURE, pr_number=4)
    decided = decide(task, ended(task, make_facts(head=NEWER, code_head=CODE)))
    assert (decided.task.stage, decided.task.ci) == (Stage.DEVELOPMENT, CiState.FAILURE)
    assert [job.feedback.kind for job in effects_of(decided, QueueJob)] == ["gate"]


# ------------------------------------------------------------------------------------------------ runs that fail

RETRIED = [Outcome.FAILED, Outcome.CRASHED, Outcome.TURN_LIMIT, Outcome.STALLED, Outcome.TIMED_OUT]


@pytest.mark.parametrize("outcome", RETRIED)
def test_a_failed_run_is_continued_with_the_same_findings(outcome: Outcome) -> None:
    task, told = working(Stage.DEVELOPMENT, code_head=CODE), Feedback(kind="review", text="mend it")
    decided = decide(task, ended(task, outcome=outcome), feedback=told)
    [job] = effects_of(decided, QueueJob)
    assert (job.mode, job.feedback, decided.task.stage) == (RunMode.CONTINUATION, told, Stage.DEVELOPMENT)
    assert job.not_before == (later(70) if outcome in (Outcome.FAILED, Outcome.CRASHED) else None)
    assert decided.task.head == HEAD
    assert decided.task.awaiting is Awaiting.AGENT


@pytest.mark.parametrize(
    ("outcome", "used"),
    [
        (Outcome.FAILED, Counters(failed=3)),
        (Outcome.CRASHED, Counters(failed=3)),
        (Outcome.TURN_LIMIT, Counters(turn_limit=10)),
        (Outcome.STALLED, Counters(stalled=2)),
        (Outcome.TIMED_OUT, Counters(timed_out=2)),
        (Outcome.PERMISSION_DENIED, Counters()),
        (Outcome.BUDGET_EXHAUSTED, Counters()),
    ],
)
def test_G12_each_class_past_its_bound_parks(outcome: Outcome, used: Counters) -> None:
    task = working(Stage.DEVELOPMENT, counters=used)
    decided = decide(task, ended(task, outcome=outcome, result=AgentResult(outcome=outcome, detail="why it ended")))
    assert_parked(decided)
    assert decided.task.park is not None
    assert decided.task.park.evidence == f"{outcome}: why it ended"


@pytest.mark.parametrize(
    ("result", "due"),
    [
        (AgentResult(outcome=Outcome.RATE_LIMITED, until=later(7200)), later(7200)),
        (AgentResult(outcome=Outcome.RATE_LIMITED), later(60 + 900)),
        (AgentResult(outcome=Outcome.CANCELLED), later(60)),
    ],
)
def test_G11_what_is_not_the_task_s_fault_puts_the_same_job_back(result: AgentResult, due: object) -> None:
    task = working(Stage.REVIEW, counters=Counters(failed=3))
    decided = decide(task, ended(task, result=result))
    assert effects_of(decided, RequeueJob) == [RequeueJob(mode=RunMode.CONTINUATION, not_before=due)]  # type: ignore[arg-type]
    assert effects_of(decided, WakeSlots), "a slot that looked while the job was still running must look again"
    assert not effects_of(decided, QueueJob)
    assert decided.task.counters == Counters(failed=3)
    assert decided.task.park is None


@pytest.mark.parametrize(("outcome", "mode"), [(Outcome.FAILED, RunMode.NEW_ATTEMPT), (Outcome.SUCCEEDED, RunMode.CONTINUATION)])
def test_G11_infrastructure_puts_the_job_back_uncharged_and_pays_for_no_work_twice(outcome: Outcome, mode: RunMode) -> None:
    task = working(Stage.DEVELOPMENT, counters=Counters(failed=3, infrastructure=1))
    decided = decide(
        task, ended(task, outcome=outcome, infrastructure="the mirror could not be fetched"), mode=RunMode.NEW_ATTEMPT
    )
    assert effects_of(decided, RequeueJob) == [RequeueJob(mode=mode, not_before=later(60 + 20))]
    assert decided.task.counters == Counters(failed=3, infrastructure=2)
    assert decided.task.note == "the mirror could not be fetched"
    assert not effects_of(decided, Comment), "people are not told of every hiccup"


def test_an_outage_before_any_agent_is_told_of_once_and_waited_for_as_long_as_it_lasts() -> None:
    alerts = []
    for count in range(8):
        task = working(Stage.DEVELOPMENT, counters=Counters(infrastructure=count))
        decided = decide(task, ended(task, outcome=Outcome.FAILED, infrastructure="no route to host"))
        assert decided.task.park is None
        alerts += [count for effect in effects_of(decided, Alert) if effect.kind == "infrastructure"]
    assert alerts == [2]


def test_G12_a_result_that_cannot_be_taken_over_is_parked_before_agents_are_paid_for_ever() -> None:
    task = working(Stage.DEVELOPMENT, counters=Counters(infrastructure=3))
    decided = decide(task, ended(task, outcome=Outcome.SUCCEEDED, infrastructure="push: 502"))
    assert decided.task.park is not None
    assert (decided.task.park.reason, decided.task.park.evidence) == (ParkReason.INFRASTRUCTURE, "push: 502")
    assert not effects_of(decided, RequeueJob)


def test_G12_a_setup_command_that_failed_would_fail_again() -> None:
    task = working(Stage.DEVELOPMENT, counters=Counters(failed=1))
    decided = decide(task, replace(ended(task, outcome=Outcome.FAILED), setup="exit code 2: no such package"))
    assert decided.task.park is not None
    assert decided.task.park.reason is ParkReason.SETUP_FAILED
    assert decided.task.park.evidence == "exit code 2: no such package"
    assert decided.task.counters == Counters(failed=1)


@pytest.mark.parametrize(
    ("outcome", "not_before"), [(Outcome.RATE_LIMITED, None), (Outcome.FAILED, later(900 + 60)), (Outcome.STALLED, later(960))]
)
def test_G11_what_the_account_is_at_fault_for_is_not_charged(outcome: Outcome, not_before: datetime | None) -> None:
    """The account's pause holds the job; after a failure other tasks' runs are tried first."""
    task = working(Stage.DEVELOPMENT, counters=Counters(failed=2, stalled=1))
    decided = decide(task, replace(ended(task, outcome=outcome), account_until=later(900)))
    assert effects_of(decided, RequeueJob) == [RequeueJob(mode=RunMode.CONTINUATION, not_before=not_before)]
    assert (decided.task.counters, decided.task.park) == (task.counters, None)


def test_a_run_that_came_through_ends_the_count_of_infrastructure() -> None:
    task = working(Stage.ARCHITECTURE, counters=Counters(infrastructure=5), note="the mirror could not be fetched")
    decided = decide(task, ended(task, make_facts(ADR)))
    assert (decided.task.counters.infrastructure, decided.task.note) == (0, "")


@pytest.mark.parametrize("kind", [RefusalKind.PATHS, RefusalKind.HISTORY, RefusalKind.OVERSIZED, RefusalKind.EMPTY])
def test_a_refused_branch_changes_no_head_and_is_asked_for_again(kind: RefusalKind) -> None:
    task = working(Stage.REVIEW)
    decided = decide(task, ended(task, refusal=Refusal(kind=kind, reason="it changed src/app.py")))
    assert (decided.task.head, decided.task.code_head, decided.task.stage) == (HEAD, CODE, Stage.REVIEW)
    [job] = effects_of(decided, QueueJob)
    assert job.mode is RunMode.NEW_ATTEMPT
    assert job.feedback.text == f"branch-check ({kind}): it changed src/app.py"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(RefusalKind.REMOTE_MOVED, ParkReason.BRANCH_FORCED), (RefusalKind.REPLAY_CONFLICT, ParkReason.REPLAY_CONFLICT)],
)
def test_a_branch_that_someone_else_forced_parks(kind: RefusalKind, reason: ParkReason) -> None:
    task = working(Stage.DEVELOPMENT)
    decided = decide(task, ended(task, refusal=Refusal(kind=kind, reason="it moved")))
    assert_parked(decided)
    assert decided.task.park is not None
    assert decided.task.park.reason is reason


# ------------------------------------------------------------------------------------------------ fences

ENDINGS: list[dict[str, Any]] = [
    {"branch": make_facts(BRD, CRITERIA, ADR, head=NEWER, code_head=NEWER)},
    {"result": AgentResult(outcome=Outcome.FAILED)},
    {"result": AgentResult(outcome=Outcome.PERMISSION_DENIED)},
    {"result": AgentResult(outcome=Outcome.RATE_LIMITED)},
    {"refusal": Refusal(kind=RefusalKind.REMOTE_MOVED, reason="it moved")},
    {"infrastructure": "no mirror"},
]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("stage", [Stage.ANALYSIS, Stage.DEVELOPMENT, Stage.REVIEW])
def test_G5_a_late_run_changes_nothing(stage: Stage, ending: dict[str, Any]) -> None:
    task = working(stage)
    for attempt in (2, 4):
        assert decide(task, replace(ended(task, **ending), attempt=Attempt(attempt))) == Decided(task=task)
    stopped = replace(task, stage=Stage.CANCELLED)
    assert run_ended(make_context(), stopped, make_job(task), make_run(task), ended(task, **ending)) == Decided(task=stopped)


@pytest.mark.parametrize("ending", ENDINGS)
def test_G12_a_park_is_sticky_against_the_end_of_a_run(ending: dict[str, Any]) -> None:
    task = working(Stage.DEVELOPMENT, park=make_park(), awaiting=Awaiting.NOTHING)
    assert decide(task, ended(task, **ending)) == Decided(task=task)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("stage", [Stage.ANALYSIS, Stage.ARCHITECTURE, Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING])
def test_the_status_is_written_whenever_what_is_shown_changes(stage: Stage, ending: dict[str, Any]) -> None:
    task = working(stage)
    decided = decide(task, ended(task, **ending))
    written = [effect.status for effect in effects_of(decided, SetStatus)]
    changed = status_of(decided.task) is not status_of(task)
    assert written == ([status_of(decided.task)] if changed else [])


def test_no_two_comments_of_one_decision_share_a_key() -> None:
    for stage, facts, _ in RED_GATES:
        for used in (Counters(), Counters(gate_red=3)):
            task = working(stage, counters=used)
            keys = [comment.key for comment in effects_of(decide(task, ended(task, facts)), Comment)]
            assert len(keys) == len(set(keys)) > 1


def test_a_decision_is_a_pure_function_of_its_arguments() -> None:
    task = working(Stage.REVIEW)
    message = ended(task, verdict(Stage.REVIEW, "changes_requested"))
    first: tuple[Effect, ...] = decide(task, message).effects
    assert decide(task, message).effects == first
    assert task == working(Stage.REVIEW)


def test_every_counter_is_bounded_by_some_test_above() -> None:
    """A new counter needs a bound and a test; this list is what has one."""
    own = {"failed", "turn_limit", "stalled", "timed_out", "gate_red", "infrastructure"}
    returns = {"ci_red", "review", "testing", "conflict", "land_red", "staging"}
    assert {field.name for field in fields(Counters)} == own | returns


def test_time_is_the_context_s_alone() -> None:
    task = working(Stage.ARCHITECTURE)
    decided = decide(task, ended(task, make_facts(ADR)), make_context(now=later(999)))
    assert (decided.task.updated_at, task.updated_at) == (later(999), NOW)
