"""What follows for a task when an agent's run of it ends.

Owns: success, failure, refused work, what disturbed a run, what survived it. Does not own: the gates (``decide_task.advance``),
how often a thing is tried again (``retry``), a run that its budget ended (``over_budget``).
Rule: pure; the end of an older attempt changes nothing.
"""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from orch.core.accounts import TURN_OF_OTHERS
from orch.core.decide_task import advance, ask_again
from orch.core.effects import KeepPrComment, OpenPullRequest, RecordVerdict, RequeueJob, WakeSlots
from orch.core.gates import Evidence, GateResult, Light, has_questions, read_report
from orch.core.messages import RefusalKind, RunEnded
from orch.core.model import AgentResult, Awaiting, Job, Outcome, ParkReason, Run, RunMode, Task, Verdict
from orch.core.over_budget import run_stopped
from orch.core.render import render_branch_moved, render_pr_body, render_pr_status, render_pr_title, render_run_finished
from orch.core.retry import INFRASTRUCTURE_MAX, GiveUp, Postpone, TryAgain, after_infrastructure, after_run
from orch.core.stages import Move, Role, Stage, is_terminal
from orch.core.survivors import park_for_survivors
from orch.core.turn import Context, Decided, Turn


def run_ended(context: Context, task: Task, job: Job, run: Run, ended: RunEnded) -> Decided:
    """An agent's run is over."""
    turn = Turn(context, task)
    if ended.attempt != task.attempt or is_terminal(task.stage) or task.park is not None:
        return turn.ignore()
    if ended.survivors:
        return _survived(turn, run, ended)
    if ended.infrastructure:
        return _disturbed(turn, job, ended)
    if ended.setup:
        turn.set(base=ended.base or task.base)
        turn.park(ParkReason.SETUP_FAILED, ended.setup)
        return turn.end()
    turn.set(
        note="", base=ended.base or task.base, branch=ended.name or task.branch, counters=replace(task.counters, infrastructure=0)
    )
    result = ended.result
    if result.outcome is not Outcome.CANCELLED:
        _tell_finished(turn, run, result)
    if result.outcome is Outcome.BUDGET_EXHAUSTED:
        run_stopped(turn, ended)
    elif result.outcome is not Outcome.SUCCEEDED:
        _after_failure(turn, job, result, ended.account_until)
    elif ended.refusal is not None:
        _after_refusal(turn, ended)
    else:
        _after_success(turn, run, ended)
    return turn.end()


def _survived(turn: Turn, run: Run, ended: RunEnded) -> Decided:
    """A process of it lives on: its work is archived, and taken over by a continuation when a person has dealt with that."""
    turn.set(note="", base=ended.base or turn.task.base, branch=ended.name or turn.task.branch)
    if ended.result.outcome is not Outcome.CANCELLED:
        _tell_finished(turn, run, ended.result)
    park_for_survivors(turn, ended.survivors)
    return turn.end()


def _disturbed(turn: Turn, job: Job, ended: RunEnded) -> Decided:
    """Something outside the task failed it: the job goes back uncharged, keeping its place.

    Where an agent was at work its work is not paid for again: it continues, and after a few times the task is parked for that.
    """
    later = after_infrastructure(turn.task.counters, turn.context.now)
    worked = ended.result.outcome is Outcome.SUCCEEDED
    turn.set(counters=later.counters, note=ended.infrastructure[:500])
    if worked and later.counters.infrastructure > INFRASTRUCTURE_MAX:
        quiet = later.counters.infrastructure > INFRASTRUCTURE_MAX + 1
        turn.park(ParkReason.INFRASTRUCTURE, ended.infrastructure, quiet=quiet)
        return turn.end()
    if later.counters.infrastructure == INFRASTRUCTURE_MAX:
        turn.alert("infrastructure", f"{turn.task.work_item} waits, uncharged: {ended.infrastructure[:500]}")
    turn.emit(RequeueJob(mode=RunMode.CONTINUATION if worked else job.mode, not_before=later.until), WakeSlots())
    return turn.end()


def _tell_finished(turn: Turn, run: Run, result: AgentResult) -> None:
    seconds = (turn.context.now - run.started_at).total_seconds()
    role = run.role or Role.STREAM
    text = render_run_finished(role, result.outcome, result.detail, result.usage, result.cost_usd, seconds, turn.language)
    turn.comment(role, text, f"finished:{int(run.id)}")


def _after_failure(turn: Turn, job: Job, result: AgentResult, account_until: datetime | None) -> None:
    if account_until is not None:
        # The account holds the job. After a failure another task's run goes first, so that no single one decides every try.
        not_before = None if result.outcome is Outcome.RATE_LIMITED else account_until + TURN_OF_OTHERS
        turn.emit(RequeueJob(mode=RunMode.CONTINUATION, not_before=not_before), WakeSlots())
        return
    following = after_run(result, turn.task.counters, turn.context.now)
    turn.set(counters=following.counters)
    match following:
        case TryAgain():
            turn.queue(mode=following.mode, feedback=job.feedback, delay_s=following.delay_s)
        case Postpone():
            turn.emit(RequeueJob(mode=RunMode.CONTINUATION, not_before=following.until), WakeSlots())
        case GiveUp():
            turn.park(following.reason, f"{result.outcome}: {result.detail}")
        case _:
            assert_never(following)


def _after_refusal(turn: Turn, ended: RunEnded) -> None:
    refusal = ended.refusal
    assert refusal is not None
    match refusal.kind:
        case RefusalKind.REMOTE_MOVED:
            turn.park(ParkReason.BRANCH_FORCED, refusal.reason)
        case RefusalKind.REPLAY_CONFLICT:
            turn.park(ParkReason.REPLAY_CONFLICT, refusal.reason)
        case RefusalKind.PATHS | RefusalKind.HISTORY | RefusalKind.OVERSIZED | RefusalKind.EMPTY | RefusalKind.MARKERS:
            ask_again(turn, GateResult(gate=f"branch-check ({refusal.kind})", light=Light.RED, reason=refusal.reason))
        case _:
            assert_never(refusal.kind)


def _after_success(turn: Turn, run: Run, ended: RunEnded) -> None:
    facts, task = ended.branch, turn.task
    assert facts is not None, "a run that succeeded has branch facts or a refusal"
    code_moved = facts.code_head != task.code_head
    turn.set(head=facts.head, code_head=facts.code_head)
    if code_moved:
        turn.set(ci=None)
    evidence = Evidence(artefacts=facts.artefacts)
    match task.stage:
        case Stage.DEVELOPMENT:
            if not code_moved:
                reason = "this run changed nothing outside the artefact folder"
                ask_again(turn, GateResult(gate="branch_pushed", light=Light.RED, reason=reason))
                return
            turn.set(merge_main=False)
            _keep_pull_request(turn, run)
        case Stage.REVIEW | Stage.TESTING if code_moved:
            # These roles change no code: a person pushed some during the run, which nobody has tested or judged.
            text = render_branch_moved(task.branch, task.head, facts.head, turn.language)
            turn.comment(Role.STREAM, text, f"moved:{facts.head}")
            turn.move(Move.BRANCH_MOVED, cause="branch-moved", detail=facts.head[:12])
            evidence = Evidence()
        case Stage.REVIEW | Stage.TESTING:
            evidence = _with_report(turn, run, evidence)
            if task.pr_number is not None:
                turn.emit(KeepPrComment(number=task.pr_number, text=render_pr_status(turn.task, [], turn.language)))
        case _:
            pass
    if task.stage is Stage.ANALYSIS and has_questions(facts.artefacts):
        turn.set(awaiting=Awaiting.NOTHING)
    advance(turn, evidence)


def _with_report(turn: Turn, run: Run, evidence: Evidence) -> Evidence:
    """Read the stage's verdict file and record it for this attempt and code head."""
    report = read_report(turn.task.stage, evidence.artefacts or {})
    if isinstance(report, str):
        return replace(evidence, unreadable=report)
    verdict = Verdict(
        task=turn.task.row,
        stage=turn.task.stage,
        run=run.id,
        attempt=run.attempt,
        value=report.value,
        findings=tuple(report.findings),
        code_head=turn.task.code_head,
        blob=report.blob,
        at=turn.context.now,
    )
    turn.emit(RecordVerdict(verdict=verdict))
    return replace(evidence, report=report)


def _keep_pull_request(turn: Turn, run: Run) -> None:
    task = turn.task
    if task.pr_number is None:
        title, body = render_pr_title(task, True), render_pr_body(task, turn.language)
        turn.emit(OpenPullRequest(branch=task.branch, title=title, body=body))
    else:
        turn.emit(KeepPrComment(number=task.pr_number, text=render_pr_status(task, [run], turn.language)))
