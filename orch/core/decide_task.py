"""Decisions about one task: how it starts, and how it goes through its gates on evidence, whoever brought that.

Owns: the one engine, ``advance``, and the ways back from a red gate. Does not own: what an agent's run brought (``decide_run``),
commands and other evidence (``decide_evidence``), people's decisions (``decide_person``), the landing queue (``decide_repo``).
Rule: pure.
"""

from orch.core.effects import EditPullRequest, WakeRepo
from orch.core.gates import GATES, Evidence, GateResult, Light, Report
from orch.core.ids import artefact_dir
from orch.core.model import Awaiting, Feedback, Job, ParkReason, Run, Task
from orch.core.render import (
    render_done,
    render_plan_ready,
    render_pr_body,
    render_pr_title,
    render_questions,
    render_retry,
    render_returned,
    render_run_launched,
)
from orch.core.retry import GATE_RED_MAX, GiveUp, after_red_gate, after_return, new_visit
from orch.core.stages import TABLE, Move, Role, Stage, is_terminal
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
            ask_again(turn, result)


def ask_again(turn: Turn, result: GateResult) -> None:
    """The stage's own role once more, bounded: *result* says what its work lacks."""
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


def edit_pull_request(turn: Turn, *, wip: bool) -> None:
    """Keep title and body of the task's pull request; *wip* says that its review has not passed."""
    task = turn.task
    assert task.pr_number is not None
    title, body = render_pr_title(task, wip), render_pr_body(task, turn.language)
    turn.emit(EditPullRequest(number=task.pr_number, title=title, body=body))
