"""What people do to a branch or a pull request behind the line's back: kept, asked about, or taken as the fact that it is."""

from dataclasses import replace
from typing import Any

import pytest

from orch.core.decide_branch import branch_moved, merged_outside, pull_request_closed
from orch.core.decide_evidence import landing_refused, name_culprits
from orch.core.decide_person import decided
from orch.core.effects import (
    CancelJobs,
    CancelRun,
    Comment,
    MarkMerged,
    PushBranch,
    QueueJob,
    ReopenPullRequest,
    SetStatus,
)
from orch.core.ids import WorkItemId
from orch.core.messages import BranchMoved, Decide, Decision, LandingRefused, MergedOutside, PullRequestClosed
from orch.core.model import Awaiting, CiState, Counters, DeploySettings, ParkReason, Task
from orch.core.stages import ORDER, Role, Stage
from tests.builders import NOW, effects_of, make_context, make_job, make_park, make_project, make_task, sha

OLD, NEW = sha("a"), sha("b")
PUSHED = BranchMoved(old=OLD, new=NEW, forced=False)
FORCED = BranchMoved(old=OLD, new=NEW, forced=True)
CODED = (Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING, Stage.DEPLOY_STAGING)
UNLANDED = (Stage.ANALYSIS, Stage.ARCHITECTURE, *CODED)
RESUME = Decide(decision=Decision.RESUME, by="anna")
DEPLOYED = make_project(deploy=DeploySettings(command=("deploy",)))


def at(stage: Stage, **fields: Any) -> Task:
    base = make_task(
        stage=stage,
        awaiting=Awaiting.AGENT,
        head=OLD,
        code_head=OLD,
        ci=CiState.SUCCESS,
        pr_number=3,
        counters=Counters(review=2),
    )
    return replace(base, **fields)


# ------------------------------------------------------------------------------------------------ a push


@pytest.mark.parametrize("stage", CODED)
def test_a_person_s_push_goes_to_development_s_gate_uncounted(stage: Stage) -> None:
    task = at(stage, awaiting=Awaiting.LANDING, train_seq=4)
    result = branch_moved(make_context(), task, PUSHED, running=False)
    assert (result.task.stage, result.task.awaiting) == (Stage.DEVELOPMENT, Awaiting.GATE)
    assert (result.task.head, result.task.code_head, result.task.ci) == (NEW, NEW, None)
    assert (result.task.counters, result.task.train_seq) == (task.counters, None)
    assert effects_of(result, CancelJobs)
    assert len(effects_of(result, Comment)) == 1


def test_its_code_is_tested_and_reviewed() -> None:
    from orch.core.decide_evidence import wants
    from orch.core.model import RunKind

    result = branch_moved(make_context(), at(Stage.TESTING), replace(PUSHED, code_head=sha("c")), running=False)
    assert wants(result.task, make_context()) == (RunKind.CI, sha("c"))


@pytest.mark.parametrize("stage", [Stage.ANALYSIS, Stage.ARCHITECTURE])
def test_before_there_is_code_to_judge_the_push_is_only_kept(stage: Stage) -> None:
    result = branch_moved(make_context(), at(stage), PUSHED, running=False)
    assert (result.task.stage, result.task.awaiting, result.task.head) == (stage, Awaiting.AGENT, NEW)


def test_an_agent_at_work_meets_the_push_with_its_own() -> None:
    assert not branch_moved(make_context(), at(Stage.DEVELOPMENT), PUSHED, running=True).changed


def test_a_parked_task_stays_parked_and_follows_its_branch() -> None:
    parked = at(Stage.REVIEW, park=make_park())
    result = branch_moved(make_context(), parked, PUSHED, running=False).task
    assert (result.park, result.stage, result.head) == (parked.park, Stage.REVIEW, NEW)


@pytest.mark.parametrize(
    "task",
    [
        at(Stage.DONE),
        at(Stage.CANCELLED),
        at(Stage.DEPLOY, landed=sha("d")),
        at(Stage.REVIEW, cancel_requested_at=NOW),
        at(Stage.REVIEW, head=sha("f")),
        at(Stage.REVIEW, head=NEW),
    ],
    ids=["done", "cancelled", "landed", "being-stopped", "another-head", "known"],
)
@pytest.mark.parametrize("moved", [PUSHED, FORCED])
def test_what_is_over_or_about_another_head_changes_nothing(task: Task, moved: BranchMoved) -> None:
    assert not branch_moved(make_context(), task, moved, running=False).changed


# ------------------------------------------------------------------------------------------------ a forced push


@pytest.mark.parametrize("stage", UNLANDED)
@pytest.mark.parametrize("running", [True, False])
def test_a_forced_push_parks_with_both_commits_named(stage: Stage, running: bool) -> None:
    result = branch_moved(make_context(), at(stage), FORCED, running=running)
    assert result.task.park is not None
    assert result.task.park.reason is ParkReason.BRANCH_FORCED
    assert (OLD in result.task.park.evidence, NEW in result.task.park.evidence) == (True, True)
    assert effects_of(result, CancelRun)


@pytest.mark.parametrize("stage", CODED)
def test_a_resume_goes_on_from_what_stands_there_at_development_s_gate(stage: Stage) -> None:
    parked = branch_moved(make_context(), at(stage), FORCED, running=False).task
    back = branch_moved(make_context(), parked, BranchMoved(old=NEW, new=sha("e"), forced=True), running=False).task
    result = decided(make_context(), back, RESUME, active=False)
    assert (result.task.stage, result.task.awaiting, result.task.head) == (Stage.DEVELOPMENT, Awaiting.GATE, sha("e"))
    assert effects_of(result, QueueJob) == []


def test_a_branch_that_was_removed_is_pushed_again_by_a_resume() -> None:
    removed = BranchMoved(old=OLD, new=None, forced=True)
    parked = branch_moved(make_context(), at(Stage.TESTING), removed, running=False).task
    assert parked.park is not None
    assert (parked.park.reason, parked.head) == (ParkReason.BRANCH_FORCED, OLD)
    result = decided(make_context(), parked, RESUME, active=False)
    assert effects_of(result, PushBranch) == [PushBranch(branch=parked.branch, sha=OLD)]
    assert result.task.stage is Stage.TESTING, "its head is the one that was judged"


# ------------------------------------------------------------------------------------------------ the pull request


@pytest.mark.parametrize("stage", UNLANDED)
def test_a_pull_request_that_is_closed_parks_its_task_and_a_resume_opens_it_again(stage: Stage) -> None:
    result = pull_request_closed(make_context(), at(stage), PullRequestClosed(number=3, by="anna"))
    assert result.task.park is not None
    assert (result.task.park.reason, "anna" in result.task.park.evidence) == (ParkReason.PR_CLOSED, True)
    resumed = decided(make_context(), result.task, RESUME, active=False)
    assert effects_of(resumed, ReopenPullRequest) == [ReopenPullRequest(number=3)]
    assert (resumed.task.park, resumed.task.stage) == (None, stage)


def test_a_resume_gives_the_agent_what_it_had_been_told() -> None:
    closed = pull_request_closed(make_context(), at(Stage.DEVELOPMENT), PullRequestClosed(number=3)).task
    told = make_job(closed, role=Role.DEVELOPER)
    (job,) = effects_of(decided(make_context(), closed, RESUME, active=False, job=told), QueueJob)
    assert job.feedback == told.feedback


@pytest.mark.parametrize(
    "task",
    [at(Stage.DONE), at(Stage.CANCELLED), at(Stage.DEPLOY, landed=sha("d")), at(Stage.REVIEW, pr_number=4)],
    ids=["done", "cancelled", "landed", "another-number"],
)
def test_our_own_close_and_what_is_over_change_nothing(task: Task) -> None:
    assert not pull_request_closed(make_context(), task, PullRequestClosed(number=3)).changed


@pytest.mark.parametrize("stage", UNLANDED)
@pytest.mark.parametrize("park", [None, make_park(ParkReason.PR_CLOSED)])
def test_what_somebody_else_merged_stops_the_run_and_goes_on_at_the_deploy(stage: Stage, park: Any) -> None:
    result = merged_outside(make_context(DEPLOYED), at(stage, park=park), MergedOutside(sha=NEW, by="anna"))
    assert (result.task.stage, result.task.landed, result.task.park) == (Stage.DEPLOY, NEW, None)
    assert effects_of(result, MarkMerged) == [MarkMerged(number=3, sha=NEW, branch=result.task.branch, head=OLD)]
    if stage is not Stage.DEPLOY_STAGING:
        assert effects_of(result, CancelRun)
        assert effects_of(result, CancelJobs)
    assert not merged_outside(make_context(DEPLOYED), result.task, MergedOutside(sha=NEW)).changed


@pytest.mark.parametrize("stage", UNLANDED)
def test_it_is_done_at_once_where_there_is_no_deploy(stage: Stage) -> None:
    result = merged_outside(make_context(), at(stage), MergedOutside(sha=NEW))
    assert (result.task.stage, result.task.landed) == (Stage.DONE, NEW)
    assert [effect.status for effect in effects_of(result, SetStatus)][-1].value == "done"


def test_a_task_that_was_stopped_says_where_its_code_is() -> None:
    result = merged_outside(make_context(), at(Stage.CANCELLED), MergedOutside(sha=NEW))
    assert (result.task.stage, result.task.landed) == (Stage.CANCELLED, NEW)


@pytest.mark.parametrize("stage", ORDER)
def test_no_stage_has_no_answer(stage: Stage) -> None:
    for park in (None, make_park()):
        landed = sha("d") if stage in (Stage.DEPLOY, Stage.DONE) else None
        task = at(stage, landed=landed, park=None if stage in (Stage.DONE, Stage.CANCELLED) else park)
        for running in (True, False):
            branch_moved(make_context(), task, PUSHED, running=running)
            branch_moved(make_context(), task, FORCED, running=running)
        pull_request_closed(make_context(), task, PullRequestClosed(number=3))
        merged_outside(make_context(), task, MergedOutside(sha=NEW))


# ------------------------------------------------------------------------------------------------ the landing's refusal


@pytest.mark.parametrize("kind", ["conflict", "land_red"])
def test_the_developer_gets_the_evidence_and_begins_with_main_merged_in(kind: str) -> None:
    queued = at(Stage.DEPLOY_STAGING, awaiting=Awaiting.LANDING, train_seq=1)
    culprit = WorkItemId("DEMO-7")
    refused = LandingRefused(kind=kind, head=OLD, base=NEW, evidence="E  assert 2 == 3", files=("app.py",), culprits=(culprit,))
    result = landing_refused(make_context(), queued, refused)
    assert (result.task.stage, result.task.merge_main, getattr(result.task.counters, kind)) == (Stage.DEVELOPMENT, True, 1)
    (job,), said = effects_of(result, QueueJob), effects_of(result, Comment)[0].text
    for told in (NEW, "assert 2 == 3", "app.py", "DEMO-7"):
        assert told in job.feedback.text
        assert told in said


def test_who_touched_the_same_files() -> None:
    a, b, c = (WorkItemId(f"DEMO-{number}") for number in range(3))
    landed = [(a, {"x.py", "app.py"}), (b, {"other.py"}), (c, {"app.py", "b.py"})]
    assert name_culprits({"app.py", "b.py", "mine.py"}, landed) == (("app.py", "b.py"), (a, c))
    assert name_culprits({"mine.py"}, landed) == ((), ())
    assert name_culprits({"app.py"}, []) == ((), ())
