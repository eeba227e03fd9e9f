"""Decisions about deploys: what is asked before one, what its beginning and its end do to it and to its task.

Owns: the question, the intent, what every end of a try means. Does not own: whose turn it is (``deploy_plan``), people's confirms
(``decide_person``), a STOP (``stopping``), the deployer's agent (``deploy_agent``), the watch after a good deploy
(``decide_watch``), the process.
Rule: pure. What a deploy came to is a fact, whatever became of its task meanwhile; no result is never taken for a result.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from orch.core.decide_task import advance
from orch.core.deploy_plan import Postpone, Void, has_turn, to_be_asked
from orch.core.effects import CancelJobs, KeepDeploy, KeepSurvivors, QueueJob, RecordVerdict, WakeRepo, WakeSlots
from orch.core.gates import Evidence
from orch.core.ids import WorkItemId
from orch.core.messages import DeployEnded, DeployEnding
from orch.core.model import (
    Awaiting,
    Deploy,
    DeployQuestion,
    DeployState,
    Feedback,
    Finding,
    ParkReason,
    RunMode,
    Task,
    Verdict,
    VerdictValue,
)
from orch.core.render import (
    render_confirm_deploy,
    render_confirm_voided,
    render_delivered,
    render_deploy_failure,
    render_deploy_order,
    render_deploy_survivors,
    render_deployed,
    render_stopped_after_deploy,
    render_stopped_too_late,
)
from orch.core.stages import Role, Stage, is_terminal
from orch.core.stopping import complete_stop, is_deploying
from orch.core.turn import FIX_PRIORITY, Context, Decided, Turn

SUCCESS, ROLLED_BACK, AGAIN = 0, 3, 75
"""The exit codes of a deploy command that mean something of their own."""
TRIES_MAX = 10
FAILURES = (DeployState.FAILED, DeployState.ROLLED_BACK, DeployState.NO_RESULT)
"""Ends after which nothing is deployed without a new confirm."""


# ------------------------------------------------------------------------------------------------ before it


def asked(context: Context, task: Task, question: DeployQuestion) -> Decided:
    """Phase A: a person is asked to confirm the deploy of exactly this SHA."""
    turn = Turn(context, task)
    if not to_be_asked([task]) or task.landed != question.sha:
        return turn.ignore()
    turn.set(awaiting=Awaiting.CONFIRM, shown=question.sha)
    text = render_confirm_deploy(question, turn.language)
    turn.comment(Role.DEPLOYER, text, f"confirm-deploy:{context.now.isoformat()}")
    turn.alert("confirm-deploy", text)
    return turn.end()


def voided(context: Context, task: Task, void: Void) -> Decided:
    """A freeze or a failed deploy came before this one was started. Where nobody has to confirm, a freeze is waited out."""
    turn = Turn(context, task)
    if not has_turn(task):
        return turn.ignore()
    if void.freeze is None:
        turn.set(awaiting=Awaiting.GATE)
        turn.record(task.stage, task.stage, "confirm-voided", "the deploy before it did not succeed")
        turn.emit(WakeRepo())
        return turn.end()
    turn.set(awaiting=Awaiting.CONFIRM, shown=task.landed)
    turn.record(task.stage, task.stage, "confirm-voided", f"frozen by {void.freeze.by}: {void.freeze.detail}"[:500])
    text = render_confirm_voided(task.work_item, void.freeze, turn.language)
    turn.comment(Role.DEPLOYER, text, f"confirm-voided:{context.now.isoformat()}")
    turn.alert("confirm-deploy", text)
    return turn.end()


def postponed(context: Context, task: Task, postpone: Postpone) -> Decided:
    """The running deploy gives its slot back: its next try would begin under the freeze."""
    turn = Turn(context, task)
    deploy = replace(postpone.deploy, state=DeployState.WITHDRAWN, ended_at=context.now, due_at=None, detail="frozen")
    turn.emit(KeepDeploy(deploy=deploy), CancelJobs(), WakeRepo())
    if is_deploying(task):
        turn.record(task.stage, task.stage, "deploy-withdrawn", f"frozen by {postpone.freeze.by}"[:500])
        turn.set(awaiting=Awaiting.DEPLOY_TURN)
    return turn.end()


def started(context: Context, task: Task, deploy: Deploy, *, agent: bool = False) -> Decided:
    """Phase B: the intent is recorded; from now until its result the deploy is a critical window."""
    turn = Turn(context, task)
    turn.set(awaiting=Awaiting.DEPLOYING, note="")
    turn.record(task.stage, task.stage, "deploy-started", f"{deploy.sha[:12]}, until {deploy.deadline_at.isoformat()}")
    if agent:
        order = Feedback(kind="deploy", text=render_deploy_order(deploy.sha))
        priority = FIX_PRIORITY if task.exempt else 0
        job = QueueJob(stage=Stage.DEPLOY, role=Role.DEPLOYER, mode=RunMode.NEW_ATTEMPT, feedback=order, priority=priority)
        turn.emit(job, WakeSlots())
    return turn.end()


# ------------------------------------------------------------------------------------------------ after it


def again_after_s(tries: int) -> float:
    """Return how long to wait after the n-th try that asked for another one, in seconds."""
    return min(2.0 ** max(tries - 1, 0), 60.0)


def judge(deploy: Deploy, ended: DeployEnded, now: datetime) -> Deploy:
    """Return the deploy after its try ended. One that survivors hold is still running: its slot is not free."""
    over = replace(deploy, exit_code=ended.exit_code, due_at=None, ended_at=now)
    match ended.ending:
        case DeployEnding.UNSTARTED:
            return replace(over, state=DeployState.FAILED, detail="unstarted")
        case DeployEnding.TIMED_OUT | DeployEnding.LOST:
            if ended.survivors:
                return replace(deploy, detail=ended.ending.value)
            return replace(over, state=DeployState.NO_RESULT, detail=ended.ending.value)
        case DeployEnding.EXITED:
            pass
        case _:
            assert_never(ended.ending)
    if ended.exit_code == SUCCESS:
        return replace(over, state=DeployState.SUCCEEDED, detail="" if ended.healthy else ended.health[:500])
    if ended.exit_code == ROLLED_BACK:
        return replace(over, state=DeployState.ROLLED_BACK)
    if ended.exit_code != AGAIN:
        return replace(over, state=DeployState.FAILED)
    due = now + timedelta(seconds=again_after_s(deploy.tries))
    if deploy.tries >= TRIES_MAX or due >= deploy.deadline_at:
        return replace(over, state=DeployState.FAILED, detail="gave-up")
    return replace(deploy, exit_code=AGAIN, due_at=due)


def ended(context: Context, task: Task, deploy: Deploy, end: DeployEnded) -> Decided:
    """Phase C: a try of the running *deploy* ended. What it came to is a fact, whatever has become of the task meanwhile."""
    turn = Turn(context, task)
    after = judge(deploy, end, context.now)
    match after.state:
        case DeployState.RUNNING if end.survivors:
            return _held_by_survivors(turn, after, end)
        case DeployState.RUNNING if task.cancel_requested_at is not None:
            after = replace(after, state=DeployState.WITHDRAWN, ended_at=context.now, due_at=None, detail="stopped")
            turn.emit(KeepDeploy(deploy=after), WakeRepo())
            complete_stop(turn)
        case DeployState.RUNNING:
            turn.emit(KeepDeploy(deploy=after), WakeRepo())
            turn.record(task.stage, task.stage, "deploy-again", f"try {deploy.tries} asked for another one")
        case DeployState.SUCCEEDED:
            succeeded(turn, after, end)
        case _:
            failed(turn, after, end)
    return turn.end()


def _held_by_survivors(turn: Turn, deploy: Deploy, end: DeployEnded) -> Decided:
    """Told once; the slot is free when all of them are seen to be gone."""
    task = turn.task
    if task.park is None and not is_terminal(task.stage):
        turn.emit(KeepDeploy(deploy=deploy), KeepSurvivors(survivors=end.survivors))
        reported = replace(deploy, state=DeployState.NO_RESULT)
        alive = render_deploy_survivors(end.survivors, turn.language)
        _park_or_stop(turn, reported, f"{alive}\n{render_deploy_failure(reported, end.tail, turn.language)}")
    return turn.end()


def succeeded(turn: Turn, deploy: Deploy, end: DeployEnded) -> None:
    """The deploy is over and good: its verdict is bound to the SHA, its task done. A bad probe is told, and is the watch's."""
    task, seconds = turn.task, (turn.context.now - deploy.started_at).total_seconds()
    bad = Finding(title="the probe right after the deploy was bad", severity="minor", detail=end.health)
    findings = () if end.healthy else (bad,)
    turn.emit(KeepDeploy(deploy=deploy), WakeRepo(), WakeSlots())
    turn.emit(RecordVerdict(verdict=_verdict(turn, deploy, VerdictValue.SUCCESS, findings)))
    turn.set(deployed=True)
    unhealthy = "" if end.healthy else end.health
    text = render_deployed(deploy, task.work_item, seconds, turn.language, unhealthy=unhealthy)
    turn.comment(Role.DEPLOYER, text, f"deployed:{int(deploy.id)}")
    if is_terminal(task.stage):
        turn.record(task.stage, task.stage, "deployed", deploy.sha[:12])
        return
    turn.set(park=None)
    advance(turn, Evidence(verdict=VerdictValue.SUCCESS, detail=f"deployed {deploy.sha[:12]}"))
    if task.cancel_requested_at is not None:
        turn.comment(Role.STREAM, render_stopped_too_late(task.work_item, turn.language), f"stop-late:{int(deploy.id)}")


def failed(turn: Turn, deploy: Deploy, end: DeployEnded) -> None:
    """The deploy is over without success: its slot is free, its task parked or, where that was asked for, stopped."""
    turn.emit(KeepDeploy(deploy=deploy), WakeRepo())
    if deploy.state in (DeployState.FAILED, DeployState.ROLLED_BACK):
        turn.emit(RecordVerdict(verdict=_verdict(turn, deploy, VerdictValue.FAIL)))
    if turn.task.park is None and not is_terminal(turn.task.stage):
        _park_or_stop(turn, deploy, render_deploy_failure(deploy, end.tail, turn.language))


def _park_or_stop(turn: Turn, deploy: Deploy, told: str) -> None:
    """The deploy did not succeed: parked with an alert; where a STOP waited for that, stopped, and the alert says so too."""
    turn.record(turn.task.stage, turn.task.stage, f"deploy-{deploy.state}", told.splitlines()[0][:500])
    if turn.task.cancel_requested_at is None:
        turn.park(ParkReason.DEPLOY_FAILED, told)
        return
    text = render_stopped_after_deploy(turn.task.work_item, deploy, turn.language)
    complete_stop(turn, text)
    turn.alert("deploy-failed", f"{text}\n\n{told}")


def _verdict(turn: Turn, deploy: Deploy, value: VerdictValue, findings: tuple[Finding, ...] = ()) -> Verdict:
    return Verdict(
        task=turn.task.row,
        stage=Stage.DEPLOY,
        run=deploy.run,
        attempt=turn.task.attempt,
        value=value,
        findings=findings,
        code_head=deploy.sha,
        at=turn.context.now,
    )


def delivered(context: Context, task: Task, by: Deploy, name: WorkItemId) -> Decided:
    """Production holds the task's landing with the deploy of *name*: it is done, parked or not. A stopped one only notes it."""
    turn = Turn(context, task)
    if task.deployed or task.stage not in (Stage.DEPLOY, Stage.CANCELLED):
        return turn.ignore()
    note = render_delivered(name, turn.language)
    turn.set(deployed=True)
    turn.record(task.stage, task.stage, "delivered-with", f"{name} at {by.sha[:12]}")
    if task.stage is Stage.DEPLOY:
        turn.set(park=None)
        turn.emit(CancelJobs(), RecordVerdict(verdict=_verdict(turn, by, VerdictValue.SUCCESS)))
        advance(turn, Evidence(verdict=VerdictValue.SUCCESS, detail=note))
    return turn.end()


def passed(context: Context, task: Task) -> Decided:
    """The project has no deploy any more: whoever waits for one is done, as every task that lands from now on."""
    turn = Turn(context, task)
    waits = task.awaiting in (Awaiting.GATE, Awaiting.CONFIRM, Awaiting.DEPLOY_TURN)
    if task.stage is not Stage.DEPLOY or task.park is not None or not waits:
        return turn.ignore()
    advance(turn, Evidence())
    return turn.end() if turn.task.stage is not task.stage else turn.ignore()


def unaccounted(context: Context, task: Task) -> Decided:
    """A stray: no deploy of it is going, whatever its row says (an older version's, cut off). Never guessed about."""
    turn = Turn(context, task)
    if not is_stray(task, None):
        return turn.ignore()
    if is_deploying(task):
        turn.park(ParkReason.DEPLOY_FAILED, "no result: no record of this deploy is there any more; look at production")
    complete_stop(turn)
    return turn.end()


def is_stray(task: Task, running: Deploy | None) -> bool:
    """Say whether a task at deploy waits for what will not come: the end of a deploy that is not *running*, or of a window."""
    if task.stage is not Stage.DEPLOY or task.park is not None:
        return False
    if is_deploying(task):
        return running is None or running.task != task.row
    return task.cancel_requested_at is not None
