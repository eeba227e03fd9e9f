"""Deploys: whose turn it is, what is asked, what every end means; and any story of several tasks, told at random."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orch.core import decide_deploy, decide_person
from orch.core.decide_deploy import TRIES_MAX
from orch.core.deploy_agent import agent_ended, read_verdict
from orch.core.deploy_plan import (
    Deliver,
    DeployFacts,
    Hold,
    Postpone,
    Start,
    Void,
    carried_with,
    plan_deploy,
    to_be_asked,
)
from orch.core.effects import (
    Alert,
    CancelRun,
    Comment,
    KeepDeploy,
    KeepSurvivors,
    QueueJob,
    RecordTransition,
    RecordVerdict,
    SetStatus,
)
from orch.core.gates import Artefact
from orch.core.ids import DeployId, RunId, Sha, TaskRow, WorkItemId
from orch.core.messages import Decide, Decision, DeployEnded, DeployEnding, RunEnded, Verb
from orch.core.model import (
    AgentResult,
    Awaiting,
    Deploy,
    DeployQuestion,
    DeploySettings,
    DeployState,
    Freeze,
    FreezeCause,
    Outcome,
    ParkReason,
    Survivor,
    Task,
    VerdictValue,
)
from orch.core.stages import Role, Stage, is_terminal
from orch.core.statuses import Status
from orch.core.stopping import is_deploying, may_withdraw
from orch.core.turn import Context, Decided
from tests.builders import DEMO, NOW, effects_of, later, make_context, make_deploy, make_park, make_project, make_task, sha

ASKS = make_context(make_project(deploy=DeploySettings(command=("deploy",))), now=later(60))
GOES_ON = make_context(make_project(deploy=DeploySettings(command=("deploy",), confirm=False)), now=later(60))
FREEZE = Freeze(project=DEMO, cause=FreezeCause.PERSON, since=NOW, by="anna", detail="release day")
LEFT = (Survivor(pid=7, started=11, name="worker"),)
STOP = Decide(decision=Decision.STOP, by="anna")


def at(number: int, awaiting: Awaiting = Awaiting.DEPLOY_TURN, **fields: Any) -> Task:
    """The *number*-th task to land, at deploy."""
    known: dict[str, Any] = {"landed": sha(number), "shown": sha(number), "landed_seq": number}
    return make_task(number, stage=Stage.DEPLOY, awaiting=awaiting, **(known | fields))


def parked(number: int, reason: ParkReason = ParkReason.DEPLOY_FAILED, **fields: Any) -> Task:
    return at(number, Awaiting.NOTHING, park=make_park(reason), **fields)


def good(number: int) -> Deploy:
    return make_deploy(at(number), state=DeployState.SUCCEEDED, ended_at=later(10), id=DeployId(number))


FAILED = make_deploy(at(9), state=DeployState.FAILED, ended_at=later(10))
RUNNING = make_deploy(at(8), id=DeployId(3))
NEW = {sha(n): False for n in range(1, 8)}
CONFIRMED = {TaskRow(1): later(20), TaskRow(2): later(20)}

PLANS: list[tuple[str, DeployFacts, object]] = [
    ("nobody waits", DeployFacts(waiting=[]), Hold(why="nothing")),
    ("nobody has decided", DeployFacts(waiting=[at(1, Awaiting.CONFIRM), at(2, Awaiting.GATE)]), Hold(why="nothing")),
    ("one is confirmed", DeployFacts(waiting=[at(1)]), Start(task=TaskRow(1), sha=sha(1))),
    ("in landing order", DeployFacts(waiting=[at(3), at(2, Awaiting.CONFIRM), at(1)]), Start(task=TaskRow(1), sha=sha(1))),
    (
        "landed before that was recorded",
        DeployFacts(waiting=[at(1), at(2, landed_seq=None)]),
        Start(task=TaskRow(2), sha=sha(2)),
    ),
    ("one at a time", DeployFacts(waiting=[at(1)], running=RUNNING), Hold(why="running")),
    ("parked", DeployFacts(waiting=[replace(at(1), park=make_park())]), Hold(why="nothing")),
    ("being stopped", DeployFacts(waiting=[at(1, cancel_requested_at=NOW)]), Hold(why="nothing")),
    (
        "never one that production holds",
        DeployFacts(waiting=[at(1)], last=good(2), held={sha(1): True}),
        Deliver(task=TaskRow(1), by=good(2)),
    ),
    (
        "delivered while it is asked",
        DeployFacts(waiting=[at(1, Awaiting.CONFIRM)], last=good(2), held={sha(1): True}),
        Deliver(task=TaskRow(1), by=good(2)),
    ),
    (
        "delivered though parked",
        DeployFacts(waiting=[parked(1)], last=good(2), held={sha(1): True}),
        Deliver(task=TaskRow(1), by=good(2)),
    ),
    (
        "delivered though declined",
        DeployFacts(waiting=[parked(1, ParkReason.DEPLOY_DECLINED)], last=good(2), held={sha(1): True}),
        Deliver(task=TaskRow(1), by=good(2)),
    ),
    (
        "delivered under a freeze and beside a deploy",
        DeployFacts(waiting=[at(1)], last=good(2), held={sha(1): True}, freeze=FREEZE, running=RUNNING),
        Deliver(task=TaskRow(1), by=good(2)),
    ),
    (
        "not while its own deploy runs",
        DeployFacts(waiting=[parked(1)], last=good(2), held={sha(1): True}, running=make_deploy(at(1))),
        Hold(why="running"),
    ),
    ("git was not asked yet", DeployFacts(waiting=[at(3)], last=good(2)), Hold(why="asking")),
    ("git says it is new", DeployFacts(waiting=[at(3)], last=good(2), held=NEW), Start(task=TaskRow(3), sha=sha(3))),
    ("not while a rollback runs", DeployFacts(waiting=[at(1, exempt=True)], rolling_back=True), Hold(why="rolling back")),
    ("a freeze voids", DeployFacts(waiting=[at(1)], freeze=FREEZE), Void(task=TaskRow(1), freeze=FREEZE)),
    ("a freeze is waited out", DeployFacts(waiting=[at(1)], freeze=FREEZE, confirm=False), Hold(why="frozen")),
    (
        "a fix passes, and takes along what landed before it",
        DeployFacts(waiting=[at(1), at(2, exempt=True)], freeze=FREEZE, confirm=False),
        Start(task=TaskRow(2), sha=sha(2)),
    ),
    (
        "a failure voids earlier confirms",
        DeployFacts(waiting=[at(1)], failed=FAILED, confirmed={TaskRow(1): later(5)}),
        Void(task=TaskRow(1)),
    ),
    ("a failure voids what needed none", DeployFacts(waiting=[at(1)], failed=FAILED, confirm=False), Void(task=TaskRow(1))),
    (
        "a confirm after the failure counts",
        DeployFacts(waiting=[at(1)], failed=FAILED, confirmed=CONFIRMED, confirm=False),
        Start(task=TaskRow(1), sha=sha(1)),
    ),
    (
        "and is voided by a freeze like any confirm",
        DeployFacts(waiting=[at(1)], failed=FAILED, confirmed=CONFIRMED, confirm=False, freeze=FREEZE),
        Void(task=TaskRow(1), freeze=FREEZE),
    ),
    (
        "a freeze between two tries",
        DeployFacts(waiting=[at(8, Awaiting.DEPLOYING)], running=replace(RUNNING, due_at=later(90)), freeze=FREEZE),
        Postpone(deploy=replace(RUNNING, due_at=later(90)), freeze=FREEZE),
    ),
    (
        "a freeze between two tries of a fix",
        DeployFacts(waiting=[at(8, Awaiting.DEPLOYING, exempt=True)], running=replace(RUNNING, due_at=later(90)), freeze=FREEZE),
        Hold(why="running"),
    ),
    (
        "a freeze before an agent was claimed",
        DeployFacts(waiting=[at(8, Awaiting.DEPLOYING)], running=RUNNING, freeze=FREEZE, queued=True),
        Postpone(deploy=RUNNING, freeze=FREEZE),
    ),
    (
        "a freeze during a try",
        DeployFacts(waiting=[at(8, Awaiting.DEPLOYING)], running=RUNNING, freeze=FREEZE),
        Hold(why="running"),
    ),
]


@pytest.mark.parametrize(("name", "facts", "plan"), PLANS, ids=[name for name, _, _ in PLANS])
def test_whose_turn_it_is(name: str, facts: DeployFacts, plan: object) -> None:
    assert plan_deploy(facts) == plan


def test_a_deploy_carries_what_landed_before_it_whatever_became_of_that() -> None:
    stopped = replace(at(2), stage=Stage.CANCELLED, awaiting=Awaiting.NOTHING)
    waiting = [at(4), parked(1), stopped, at(3, Awaiting.CONFIRM)]
    assert [int(task.row) for task in carried_with(at(3), waiting)] == [1, 2, 3]


# ------------------------------------------------------------------------------------------------ before it


def causes(decided: Decided) -> list[str]:
    return [effect.transition.cause for effect in effects_of(decided, RecordTransition)]


def statuses(decided: Decided) -> list[Status]:
    return [effect.status for effect in effects_of(decided, SetStatus)]


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

GOING = at(1, Awaiting.DEPLOYING)
DEPLOY = make_deploy(GOING)


def ends(code: int | None = 0, *, task: Task = GOING, deploy: Deploy = DEPLOY, context: Context = ASKS, **fields: Any) -> Decided:
    ending = DeployEnding.EXITED if code is not None else DeployEnding.LOST
    known: dict[str, Any] = {"deploy": deploy.id, "number": deploy.tries, "ending": ending, "exit_code": code, "tail": "the end"}
    return decide_deploy.ended(context, task, deploy, DeployEnded(**(known | fields)))


def kept(decided: Decided) -> Deploy:
    [effect] = effects_of(decided, KeepDeploy)
    return effect.deploy


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


# ------------------------------------------------------------------------------------------------ any story


class Deploys(RuleBasedStateMachine):
    """Several tasks of one project in any order of landings, confirms, ends, stops and freezes."""

    @initialize(confirm=st.booleans())
    def begin(self, confirm: bool) -> None:
        self.project = make_project(deploy=DeploySettings(command=("deploy",), confirm=confirm))
        self.moment = 0
        self.tasks: dict[TaskRow, Task] = {}
        self.confirmed: dict[TaskRow, Any] = {}
        self.deploys: list[Deploy] = []
        self.freeze: Freeze | None = None
        self.order: list[int] = []
        """Places in the landing order, as they were deployed."""

    @property
    def context(self) -> Context:
        self.moment += 1
        return make_context(self.project, now=later(self.moment))

    def running(self) -> Deploy | None:
        return next((deploy for deploy in self.deploys if deploy.state is DeployState.RUNNING), None)

    def place(self, sha_: Sha) -> int:
        return next(int(row) for row, task in self.tasks.items() if task.landed == sha_)

    def write(self, decided: Decided) -> None:
        before = self.tasks[decided.task.row]
        assert not is_terminal(before.stage) or decided.task.stage is before.stage, "what is over stays over"
        self.tasks[decided.task.row] = decided.task
        for effect in effects_of(decided, KeepDeploy):
            self.deploys = [effect.deploy if each.id == effect.deploy.id else each for each in self.deploys]

    def facts(self) -> DeployFacts:
        good = [deploy for deploy in self.deploys if deploy.state is DeployState.SUCCEEDED]
        over = [d for d in self.deploys if d.state not in (DeployState.RUNNING, DeployState.WITHDRAWN)]
        last = good[-1] if good else None
        waiting = [t for t in self.tasks.values() if not t.deployed and t.stage in (Stage.DEPLOY, Stage.CANCELLED)]
        held = {t.landed: int(t.row) <= self.place(last.sha) for t in waiting if t.landed is not None} if last else {}
        failed = over[-1] if over and over[-1].state is not DeployState.SUCCEEDED else None
        return DeployFacts(
            waiting=waiting,
            running=self.running(),
            last=last,
            failed=failed,
            freeze=self.freeze,
            held=held,
            confirmed=self.confirmed,
            confirm=self.project.deploy.confirm,
        )

    @rule(exempt=st.booleans())
    def one_lands(self, exempt: bool) -> None:
        if len(self.tasks) < 6:
            number = len(self.tasks) + 1
            awaiting = Awaiting.GATE if self.project.deploy.confirm else Awaiting.DEPLOY_TURN
            self.tasks[TaskRow(number)] = at(number, awaiting, exempt=exempt and number % 2 == 0, shown=None)

    @rule()
    def what_is_due_is_done(self) -> None:
        for _ in range(100):
            facts, context = self.facts(), self.context
            plan = plan_deploy(facts)
            match plan:
                case Start():
                    self.begins(plan, facts, context)
                case Deliver():
                    assert self.place(plan.by.sha) >= int(plan.task), "only what production holds is delivered"
                    self.write(decide_deploy.delivered(context, self.tasks[plan.task], plan.by, WorkItemId("DEMO-9")))
                case Void():
                    self.write(decide_deploy.voided(context, self.tasks[plan.task], plan))
                case Postpone():
                    self.write(decide_deploy.postponed(context, self.tasks[plan.deploy.task], plan))
                case Hold():
                    break
        else:
            raise AssertionError(f"it never comes to rest: {plan}")
        for task in to_be_asked(list(self.tasks.values())):
            assert task.landed is not None
            question = DeployQuestion(work_item=task.work_item, sha=task.landed, after=self.facts().failed)
            self.write(decide_deploy.asked(self.context, task, question))

    def begins(self, plan: Start, facts: DeployFacts, context: Context) -> None:
        task = self.tasks[plan.task]
        assert self.running() is None, "one at a time"
        assert self.freeze is None or task.exempt, "not while it is frozen"
        assert not self.order or int(plan.task) > max(self.order), "never backwards"
        if facts.failed is not None:
            assert facts.failed.ended_at is not None
            assert self.confirmed[plan.task] >= facts.failed.ended_at, "after a failure a person has confirmed"
        if self.project.deploy.confirm:
            assert plan.task in self.confirmed
        turns = [t for t in self.tasks.values() if t.awaiting is Awaiting.DEPLOY_TURN and t.park is None]
        ready = [t for t in turns if self.freeze is None or t.exempt]
        assert int(plan.task) == min(int(t.row) for t in ready), "in landing order among those decided"
        deploy = make_deploy(
            task, id=DeployId(len(self.deploys) + 1), started_at=context.now, deadline_at=later(self.moment + 5000)
        )
        self.deploys.append(deploy)
        self.write(decide_deploy.started(context, task, deploy))

    @rule(which=st.integers(0, 5), decision=st.sampled_from([Decision.CONFIRM_DEPLOY, Decision.REJECT, Decision.RESUME]))
    def a_person_decides(self, which: int, decision: Decision) -> None:
        task = self.tasks.get(TaskRow(which + 1))
        if task is not None:
            command = Decide(decision=decision, by="anna", shown=task.shown)
            context = self.context
            decided = decide_person.decided(context, task, command, active=False, freeze=self.freeze)
            if decided.answer is not None and decided.answer.verb is Verb.DONE and decision is Decision.CONFIRM_DEPLOY:
                assert task.shown == task.landed, "a decision is about what was shown"
                self.confirmed[task.row] = context.now
            self.write(decided)

    @rule(which=st.integers(0, 5))
    def a_person_stops_one(self, which: int) -> None:
        task, running = self.tasks.get(TaskRow(which + 1)), self.running()
        if task is None or self.moment % 3:
            return
        mine = running if running is not None and running.task == task.row else None
        decided = decide_person.decided(self.context, task, STOP, active=False, deploy=mine)
        assert decided.answer is not None
        if mine is not None and not may_withdraw(mine) and task.park is None and not is_terminal(task.stage):
            assert decided.task.stage is Stage.DEPLOY, "a deploy under way has its real result"
        self.write(decided)

    @rule(frozen=st.booleans())
    def it_is_frozen_or_not(self, frozen: bool) -> None:
        self.freeze = FREEZE if frozen else None

    def under_way(self) -> bool:
        running = self.running()
        return running is not None and running.due_at is None

    @precondition(under_way)
    @rule(code=st.sampled_from([0, 0, 0, 1, 3, 75, None]), left=st.booleans())
    def a_try_ends(self, code: int | None, left: bool) -> None:
        deploy = self.running()
        assert deploy is not None
        task = self.tasks[deploy.task]
        survivors = LEFT if code is None and left else ()
        ending = DeployEnding.EXITED if code is not None else DeployEnding.TIMED_OUT
        ended = DeployEnded(deploy=deploy.id, number=deploy.tries, ending=ending, exit_code=code, survivors=survivors)
        stop = task.cancel_requested_at is not None
        self.write(decide_deploy.ended(self.context, task, deploy, ended))
        after = self.tasks[deploy.task]
        if code == 0:
            self.order.append(int(deploy.task))
            assert after.deployed
            assert after.stage is (task.stage if is_terminal(task.stage) else Stage.DONE)
        else:
            assert not after.deployed
            assert not stop or is_terminal(after.stage)
        assert (self.running() is None) is not (
            bool(survivors) or (code == 75 and not stop and after.awaiting is Awaiting.DEPLOYING)
        )

    def is_between(self) -> bool:
        running = self.running()
        return running is not None and running.due_at is not None

    @precondition(is_between)
    @rule()
    def the_next_try_begins(self) -> None:
        running = self.running()
        assert running is not None
        if self.freeze is None:
            begun = replace(running, tries=running.tries + 1, due_at=None)
            self.deploys = [begun if each.id == running.id else each for each in self.deploys]

    # -------------------------------------------------------------------------------------------- laws

    @invariant()
    def one_deploy_at_a_time(self) -> None:
        assert sum(deploy.state is DeployState.RUNNING for deploy in self.deploys) <= 1
        going = [task for task in self.tasks.values() if is_deploying(task)]
        assert len(going) <= 1
        running = self.running()
        assert not going or (running is not None and running.task == going[0].row)

    @invariant()
    def production_never_goes_backwards(self) -> None:
        assert self.order == sorted(set(self.order))

    @invariant()
    def done_means_in_production(self) -> None:
        newest = max(self.order, default=0)
        for task in self.tasks.values():
            assert (task.stage is Stage.DONE) <= (int(task.row) <= newest)
            assert not task.deployed or int(task.row) <= newest

    @invariant()
    def the_tries_are_bounded(self) -> None:
        assert all(deploy.tries <= TRIES_MAX for deploy in self.deploys)


TestDeploys = Deploys.TestCase
TestDeploys.settings = settings(stateful_step_count=40)
