"""Decisions that people make: approve, reject, confirm, stop, resume, fix, and a trigger set on the board.

Owns: which command means something in which state, and the one sentence of answer where it does not.
Rule: a decision is for the artefacts or SHA that were shown; the first committed wins; comments never drive the line.
"""

from collections.abc import Sequence
from typing import assert_never

from orch.core.budget import Purse
from orch.core.decide_control import barred_from_deploy, make_fix
from orch.core.decide_deploy import FAILURES
from orch.core.decide_task import advance
from orch.core.effects import WakeRepo
from orch.core.gates import Evidence
from orch.core.messages import Answer, Decide, Decision, TriggerSet, Verb
from orch.core.model import Awaiting, Counters, Deploy, DeployState, Feedback, Freeze, Job, ParkReason, Survivor, Task, Verdict
from orch.core.over_budget import kept_by_budget
from orch.core.render import (
    render_already_decided,
    render_no_reason,
    render_not_allowed,
    render_stale_decision,
    render_still_alive,
    render_stopped_after_deploy,
    render_trigger_useless,
)
from orch.core.resuming import resume
from orch.core.stages import Move, Role, Stage, is_terminal
from orch.core.statuses import Status
from orch.core.stopping import defer_stop, is_deploying, may_withdraw, stop_now, withdraw_deploy
from orch.core.turn import Context, Decided, Turn


def _done(text: str, task: Task) -> Answer:
    return Answer(verb=Verb.DONE, text=text, id=task.work_item)


def _refused(text: str, task: Task) -> Answer:
    return Answer(verb=Verb.REFUSED, text=text, id=task.work_item)


def decided(
    context: Context,
    task: Task,
    command: Decide,
    *,
    active: bool,
    landing: bool = False,
    freeze: Freeze | None = None,
    last: Verdict | None = None,
    survivors: Sequence[Survivor] = (),
    job: Job | None = None,
    deploy: Deploy | None = None,
    queued: bool = False,
    purse: Purse | None = None,
    begun: bool = True,
) -> Decided:
    """A person decided by page, CLI or chat.

    *active* says whether the task has a queued or running job, *landing* whether an intent to land it is open, *freeze* is
    that of its repo, *last* the newest verdict of its stage, *job* its newest one, *survivors* are processes of it that live and
    cannot be ended. *deploy* is its newest deploy, *queued* says that this is an agent's which no slot has claimed. *purse* is
    the task's own budget, *begun* says whether an agent began its newest job.
    """
    turn = Turn(context, task)
    match command.decision:
        case Decision.APPROVE | Decision.REJECT | Decision.CONFIRM_DEPLOY:
            answer = _decide_shown(turn, command, freeze)
        case Decision.STOP:
            answer = _stop(turn, command.by, landing=landing, deploy=deploy, queued=queued)
        case Decision.RESUME:
            kept = _kept_by(survivors, turn) or kept_by_budget(task, purse)
            answer = kept or _resume(turn, command.by, active=active, last=last, job=job, begun=begun)
        case Decision.FIX:
            answer = make_fix(turn, command.by)
        case _:
            assert_never(command.decision)
    return turn.end(answer) if answer.verb is Verb.DONE else turn.ignore(answer)


def _decide_shown(turn: Turn, command: Decide, freeze: Freeze | None) -> Answer:
    """A decision about what was shown: it must name it, and it must still be the current one."""
    task = turn.task
    waiting = _awaits(task, command.decision)
    if not waiting:
        return _refused(render_already_decided(task.stage, turn.language), task)
    if command.shown is None:
        return Answer(verb=Verb.INVALID, text=f"say which SHA you decide about ('shown'); now shown: {task.shown}")
    if command.shown != task.shown:
        return _refused(render_stale_decision(command.shown, task.shown, turn.language), task)
    if command.decision is Decision.CONFIRM_DEPLOY and (barred := barred_from_deploy(turn, freeze)):
        return _refused(barred, task)
    return _decide(turn, command.decision, command.by, command.reason)


def _awaits(task: Task, decision: Decision) -> bool:
    if task.park is not None:
        return False
    if decision is Decision.APPROVE:
        return task.stage is Stage.ANALYSIS and task.awaiting is Awaiting.APPROVAL
    if decision is Decision.CONFIRM_DEPLOY:
        return task.stage is Stage.DEPLOY and task.awaiting is Awaiting.CONFIRM
    return (task.stage is Stage.ANALYSIS and task.awaiting is Awaiting.APPROVAL) or (
        task.stage is Stage.DEPLOY and task.awaiting is Awaiting.CONFIRM
    )


def _decide(turn: Turn, decision: Decision, by: str, reason: str) -> Answer:
    """Carry out a decision that the task awaits."""
    task = turn.task
    people = turn.project.deployers if task.stage is Stage.DEPLOY else turn.project.approvers
    if people and by not in people:
        return _refused(render_not_allowed(by, decision.value, turn.language), task)
    if decision is Decision.APPROVE:
        turn.record(task.stage, task.stage, "approved", str(task.shown)[:12], by)
        advance(turn, Evidence(approved=True))
        return _done(f"{task.work_item}: approved", task)
    if decision is Decision.CONFIRM_DEPLOY:
        turn.record(task.stage, task.stage, "deploy-confirmed", str(task.shown)[:12], by)
        turn.set(awaiting=Awaiting.DEPLOY_TURN)
        turn.emit(WakeRepo())
        return _done(f"{task.work_item}: the deploy of {str(task.shown)[:12]} is confirmed and begins in its turn", task)
    if task.stage is Stage.DEPLOY:
        turn.park(ParkReason.DEPLOY_DECLINED, f"declined by {by}: {reason}" if reason else f"declined by {by}")
        return _done(f"{task.work_item}: the deploy is declined", task)
    told = reason.strip() or render_no_reason(turn.language)
    turn.move(Move.RETURNED, cause="rejected", detail=told[:500], by=by)
    turn.queue(feedback=Feedback(kind="rejected", text=told))
    return _done(f"{task.work_item}: rejected, the analyst works on it again", task)


def _stop(turn: Turn, by: str, *, landing: bool, deploy: Deploy | None, queued: bool) -> Answer:
    """Stop the task, or, while a landing or a deploy of it is under way, record that it shall be stopped.

    Between two tries of a deploy nothing is under way. After one that did not succeed the answer says how that ended.
    """
    task = turn.task
    if is_terminal(task.stage):
        return Answer(verb=Verb.NOTHING, text=f"{task.work_item} is {task.stage} already", id=task.work_item)
    if is_deploying(task) and deploy is not None and may_withdraw(deploy, queued=queued):
        withdraw_deploy(turn, deploy)
        return _done(stop_now(turn, by), task)
    if not landing and not is_deploying(task):
        tried = deploy is not None and (deploy.state is DeployState.RUNNING or deploy.state in FAILURES)
        text = render_stopped_after_deploy(task.work_item, deploy, turn.language) if tried and deploy is not None else ""
        return _done(stop_now(turn, by, text), task)
    if task.cancel_requested_at is not None:
        return Answer(verb=Verb.NOTHING, text=f"{task.work_item} is being stopped already", id=task.work_item)
    return _done(defer_stop(turn, by, deploy), task)


def _kept_by(survivors: Sequence[Survivor], turn: Turn) -> Answer | None:
    """A process that lives yet could write into the working copy: nothing is begun in that before it is gone."""
    if not survivors or turn.task.park is None:
        return None
    return _refused(render_still_alive(turn.task.work_item, survivors, turn.language), turn.task)


def _resume(turn: Turn, by: str, *, active: bool, last: Verdict | None, job: Job | None, begun: bool) -> Answer:
    """Take a parked task on at its stage, with its counters reset."""
    task = turn.task
    if is_terminal(task.stage) or task.park is None:
        return _refused(f"{task.work_item} is not parked: there is nothing to resume", task)
    resume(turn, by, active=active, last=last, job=job, begun=begun)
    return _done(f"{task.work_item}: resumed at {turn.task.stage}", task)


# ------------------------------------------------------------------------------------------------ board triggers


def triggered(
    context: Context,
    task: Task,
    trigger: TriggerSet,
    *,
    active: bool,
    landing: bool = False,
    freeze: Freeze | None = None,
    deploy: Deploy | None = None,
    queued: bool = False,
) -> Decided:
    """A person set a trigger status. Where it means nothing now: one comment, and the derived status again."""
    turn = Turn(context, task)
    match trigger.trigger:
        case Status.TO_ANALYSE:
            if _relaunch(turn, trigger, active=active):
                return turn.end(show=True)
            if active:
                return turn.end(show=True)
        case Status.APPROVED:
            if _awaits(task, Decision.APPROVE):
                return _board_decision(turn, Decision.APPROVE, trigger)
        case Status.REJECTED:
            if _awaits(task, Decision.REJECT):
                return _board_decision(turn, Decision.REJECT, trigger)
        case Status.CONFIRM_DEPLOY:
            if _awaits(task, Decision.CONFIRM_DEPLOY):
                if barred := barred_from_deploy(turn, freeze):
                    return _useless(turn, trigger, barred)
                return _board_decision(turn, Decision.CONFIRM_DEPLOY, trigger)
        case Status.STOP:
            door = context.limits.stop_status_enabled
            if door and _stop(turn, trigger.by, landing=landing, deploy=deploy, queued=queued).verb is Verb.DONE:
                return turn.end(show=True)
        case _:
            raise ValueError(f"{trigger.trigger} is no trigger")
    return _useless(turn, trigger, render_trigger_useless(trigger.trigger, task, turn.language))


def _board_decision(turn: Turn, decision: Decision, trigger: TriggerSet) -> Decided:
    answer = _decide(turn, decision, trigger.by, trigger.reason)
    if answer.verb is not Verb.DONE:
        return _useless(turn, trigger, answer.text)
    return turn.end(answer, show=True)


def _useless(turn: Turn, trigger: TriggerSet, text: str) -> Decided:
    turn.comment(Role.STREAM, text, f"useless:{trigger.entries[-1] if trigger.entries else trigger.at.isoformat()}")
    return turn.end(show=True)


def _relaunch(turn: Turn, trigger: TriggerSet, *, active: bool) -> bool:
    """In analysis without an active job ``to_analyse`` launches the analyst again, parked or not."""
    task = turn.task
    if task.stage is not Stage.ANALYSIS or active:
        return False
    turn.set(park=None, counters=Counters() if task.park else task.counters, note="")
    turn.record(task.stage, task.stage, "relaunched", by=trigger.by)
    turn.queue(feedback=Feedback(kind="relaunched", text=""))
    return True
