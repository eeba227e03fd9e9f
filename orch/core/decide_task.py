"""Decisions about one task: what follows when a run ends, a command finishes, evidence arrives, a landing is recorded.

Owns: the one engine, ``advance``, that takes a task through its gates, whoever brought the evidence.
Does not own: people's decisions (``decide_person``), the landing queue (``decide_repo``).
Rule: pure; a message that names an older attempt, head or SHA changes nothing.
"""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from orch.core.accounts import TURN_OF_OTHERS
from orch.core.effects import (
    EditPullRequest,
    KeepPrComment,
    OpenPullRequest,
    RecordVerdict,
    RequeueJob,
    WakeRepo,
    WakeSlots,
)
from orch.core.gates import GATES, Evidence, GateResult, Light, Report, has_questions, read_report
from orch.core.ids import artefact_dir
from orch.core.messages import (
    RefusalKind,
    RunEnded,
)
from orch.core.model import (
    AgentResult,
    Awaiting,
    Feedback,
    Job,
    Outcome,
    ParkReason,
    Run,
    RunMode,
    Task,
    Verdict,
)
from orch.core.over_budget import run_stopped
from orch.core.render import (
    render_branch_moved,
    render_done,
    render_plan_ready,
    render_pr_body,
    render_pr_status,
    render_pr_title,
    render_questions,
    render_retry,
    render_returned,
    render_run_finished,
    render_run_launched,
)
from orch.core.retry import (
    GATE_RED_MAX,
    INFRASTRUCTURE_MAX,
    GiveUp,
    Postpone,
    TryAgain,
    after_infrastructure,
    after_red_gate,
    after_return,
    after_run,
    new_visit,
)
from orch.core.stages import TABLE, Move, Role, Stage, is_terminal
from orch.core.survivors import park_for_survivors
from orch.core.turn import Context, Decided, Turn

AGENT_STAGES = (Stage.ANALYSIS, Stage.ARCHITECTURE, Stage.DEVELOPMENT, Stage.REVIEW, Stage.TESTING)


def started(context: Context, task: Task, by: str) -> Decided:
    """A task was made from an issue: queue the analyst."""
    turn = Turn(context, task)
    turn.record(None, Stage.ANALYSIS, "started", by=by)
    turn.queue()
    return turn.end(show=True)


def launched(context: Context, task: Task, job: Job, run: Run) -> Decided:
    """A slot claimed the job: the role says that it begins."""
    turn = Turn(context, task)
    role = run.role or Role.STREAM
    settings = context.project.roles.get(role)
    agent, model = (settings.agent, settings.model) if settings else ("", "")
    turn.comment(role, render_run_launched(role, agent, model, job.mode, turn.language), f"launched:{int(run.id)}")
    return turn.end()


# ------------------------------------------------------------------------------------------------ the engine


def advance(turn: Turn, evidence: Evidence) -> None:
    """Take the task through its stage's gates with *evidence*, and on through stages that need no agent.

    Stops at the first gate that is not green: a red one sends the task back or asks its role again, a pending one says
    what is awaited.
    """
    notes: list[str] = []
    while not is_terminal(turn.task.stage):
        closed, notes = _check_gates(turn, evidence)
        if closed is not None:
            follow = _red if closed.light is Light.RED else _wait
            follow(turn, closed, evidence)
            return
        turn.move(Move.PASSED, cause="passed", detail="; ".join(notes))
        if turn.task.stage in AGENT_STAGES:
            _enter_agent_stage(turn)
            return
        evidence = Evidence()
    _finish(turn, "; ".join(notes))


def _check_gates(turn: Turn, evidence: Evidence) -> tuple[GateResult | None, list[str]]:
    """Return the stage's first red gate, else its first pending one, or None, and what the green ones had to say.

    A red gate waits for nothing: a CI that failed before the pull request was there goes back with its log at once.
    """
    results = [GATES[name](turn.task, turn.project, evidence) for name in TABLE[turn.task.stage].gates]
    for light in (Light.RED, Light.PENDING):
        closed = next((result for result in results if result.light is light), None)
        if closed is not None:
            return closed, []
    return None, [result.reason for result in results if result.reason]


def would_pass(turn: Turn, evidence: Evidence) -> bool:
    """Say whether every gate of the task's stage is green on *evidence*; nothing is changed."""
    return _check_gates(turn, evidence)[0] is None


def _enter_agent_stage(turn: Turn) -> None:
    turn.set(counters=new_visit(turn.task.counters))
    if turn.task.stage is Stage.TESTING and turn.task.pr_number is not None:
        edit_pull_request(turn, wip=False)
    turn.queue()


def _finish(turn: Turn, note: str) -> None:
    task = turn.task
    turn.comment(Role.STREAM, render_done(task.work_item, task.landed, note, turn.language), "done")


def _wait(turn: Turn, result: GateResult, evidence: Evidence) -> None:
    """Say what the pending gate waits for; say it to people once."""
    task = turn.task
    match result.gate:
        case "analysis_artifacts":
            turn.set(awaiting=Awaiting.INPUT, shown=task.head)
            text = render_questions(task.work_item, (evidence.artefacts or {})["questions.md"].text, turn.language)
            turn.comment(Role.ANALYST, text, "questions")
            turn.alert("input", text)
        case "approved":
            if task.awaiting is not Awaiting.APPROVAL or task.shown != task.head:
                turn.set(awaiting=Awaiting.APPROVAL, shown=task.head)
                assert task.head is not None
                text = render_plan_ready(task.work_item, _links(turn, evidence), task.head, turn.language)
                turn.comment(Role.ANALYST, text, "plan-ready")
                turn.alert("approval", text)
        case "branch_mergeable":
            if not turn.project.merge_gate:
                turn.set(awaiting=Awaiting.MERGE, note="the merge gate is off: merge the pull request by hand")
            elif task.awaiting is not Awaiting.LANDING:
                turn.enter_train()
        case "deploy_status":
            _wait_for_deploy(turn)
        case _:
            turn.set(awaiting=Awaiting.GATE)


def _links(turn: Turn, evidence: Evidence) -> list[tuple[str, str]]:
    """Return the analyst's artefacts by name, each with its address for people."""
    folder, web_url = artefact_dir(turn.task.work_item), turn.context.web_url
    names = [name for name in sorted(evidence.artefacts or {}) if not name.startswith("00-")]
    return [(name, web_url(turn.task.branch, f"{folder}/{name}")) for name in names]


def _wait_for_deploy(turn: Turn) -> None:
    """Its repo asks a person as soon as it has read what there is to show, or deploys it in its turn."""
    if turn.task.awaiting not in (Awaiting.CONFIRM, Awaiting.DEPLOY_TURN, Awaiting.DEPLOYING):
        turn.set(awaiting=Awaiting.GATE if turn.project.deploy.confirm else Awaiting.DEPLOY_TURN)
        turn.emit(WakeRepo())


def _red(turn: Turn, result: GateResult, evidence: Evidence) -> None:
    """A gate is red: back to development where another's work is at fault, the same role again where its own is."""
    match result.gate:
        case "ci_green":
            return_to_development(turn, "ci_red", evidence=result.reason)
        case "review_verdict" if evidence.report is not None:
            return_to_development(turn, "review", report=evidence.report)
        case "test_verdict" if evidence.report is not None:
            return_to_development(turn, "testing", report=evidence.report)
        case "staging_status":
            return_to_development(turn, "staging", evidence=result.reason)
        case "deploy_status":
            turn.park(ParkReason.DEPLOY_FAILED, result.reason)
        case _:
            _ask_again(turn, result)


def _ask_again(turn: Turn, result: GateResult) -> None:
    following = after_red_gate(turn.task.counters)
    turn.set(counters=following.counters)
    if isinstance(following, GiveUp):
        turn.park(following.reason, f"{result.gate}: {result.reason}")
        return
    role = TABLE[turn.task.stage].role or Role.STREAM
    count = following.counters.gate_red
    turn.comment(role, render_retry(result.gate, result.reason, count, GATE_RED_MAX, turn.language), f"retry:{count}")
    turn.queue(mode=following.mode, feedback=Feedback(kind="gate", text=f"{result.gate}: {result.reason}"))


def return_to_development(turn: Turn, cause: str, *, report: Report | None = None, evidence: str = "") -> None:
    """Back to development, bounded per cause and in all."""
    limit = turn.context.limits.max_developer_retries
    following = after_return(turn.task.counters, cause, limit)
    turn.set(counters=following.counters, train_seq=None)
    findings = tuple(report.findings) if report else ()
    told = evidence or "; ".join(finding.title for finding in findings)
    if isinstance(following, GiveUp):
        turn.park(following.reason, f"returned too often ({cause}): {told}")
        return
    count = getattr(following.counters, cause)
    text = render_returned(turn.task.stage, cause, findings, evidence, count, limit, turn.language)
    turn.comment(TABLE[turn.task.stage].role or Role.STREAM, text, f"returned:{cause}:{count}")
    send_to_development(turn, cause, told, Feedback(kind=cause, text=evidence, findings=findings))


def send_to_development(turn: Turn, cause: str, told: str, feedback: Feedback) -> None:
    """Queue the developer with *feedback*, wherever the task stands; what bounds that is the caller's."""
    if turn.task.stage is not Stage.DEVELOPMENT:
        turn.move(Move.RETURNED, cause=cause, detail=told[:500])
        turn.set(counters=new_visit(turn.task.counters))
        if turn.task.pr_number is not None:
            edit_pull_request(turn, wip=True)
    turn.queue(feedback=feedback)


# ------------------------------------------------------------------------------------------------ an agent's run


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
            _ask_again(turn, GateResult(gate=f"branch-check ({refusal.kind})", light=Light.RED, reason=refusal.reason))
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
                _ask_again(turn, GateResult(gate="branch_pushed", light=Light.RED, reason=reason))
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


def edit_pull_request(turn: Turn, *, wip: bool) -> None:
    """Keep title and body of the task's pull request; *wip* says that its review has not passed."""
    task = turn.task
    assert task.pr_number is not None
    title, body = render_pr_title(task, wip), render_pr_body(task, turn.language)
    turn.emit(EditPullRequest(number=task.pr_number, title=title, body=body))
