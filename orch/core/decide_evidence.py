"""Decisions on evidence that no agent makes: pull requests, CI, the daemon's own commands, landings.

Owns: what such evidence means for the task it is about, and which command the task as it stands calls for (``wants``).
Does not own: the engine (``decide_task.advance``). Rule: pure; evidence about an older head or attempt changes nothing.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import assert_never

from orch.core.decide_task import advance, return_to_development
from orch.core.effects import CancelJobs, CancelRun, MarkMerged, PostCommitStatus, RecordVerdict
from orch.core.gates import Evidence, Light, deploy_status
from orch.core.ids import Sha, WorkItemId
from orch.core.messages import CiReported, CommandFinished, CommandVerdict, LandingRefused, PullRequestOpened
from orch.core.model import (
    Awaiting,
    CiSource,
    CiState,
    CommitStatus,
    ParkReason,
    Run,
    RunKind,
    Task,
    Verdict,
    VerdictValue,
)
from orch.core.render import render_cancelled, render_ci_evidence, render_landed, render_landing_refused
from orch.core.resuming import park_for_infrastructure
from orch.core.retry import INFRASTRUCTURE_MAX
from orch.core.stages import Move, Role, Stage, is_terminal
from orch.core.stopping import close_pull_request, complete_stop, is_deploying
from orch.core.survivors import park_for_survivors
from orch.core.turn import Context, Decided, Turn

CI_CONTEXT = "orch/ci"


# ------------------------------------------------------------------------------------------------ the forge


def pull_request_opened(context: Context, task: Task, opened: PullRequestOpened) -> Decided:
    """The forge has the task's pull request."""
    turn = Turn(context, task)
    if task.stage is Stage.DONE or task.pr_number == opened.number:
        return turn.ignore()
    if task.stage is Stage.CANCELLED:  # asked for before the STOP, opened after it
        turn.set(pr_number=opened.number)
        if task.landed is None:
            close_pull_request(turn, opened.number)
        return turn.end()
    turn.set(pr_number=opened.number)
    turn.record(task.stage, task.stage, "pull-request", f"#{opened.number} {opened.url}".strip())
    if task.stage is Stage.DEVELOPMENT and task.awaiting is Awaiting.GATE and task.park is None:
        advance(turn, Evidence())
    return turn.end()


def ci_reported(context: Context, task: Task, reported: CiReported) -> Decided:
    """The forge's CI said something about a commit; only the task's code head counts, and only where the forge is asked."""
    turn = Turn(context, task)
    if context.project.ci is not CiSource.FORGE:
        return turn.ignore()
    state = CiState(reported.state)
    if reported.sha != task.code_head or state is task.ci or task.stage is not Stage.DEVELOPMENT or task.park:
        return turn.ignore()
    turn.set(ci=state)
    turn.record(task.stage, task.stage, f"ci-{state}", reported.sha[:12])
    if task.awaiting is Awaiting.GATE:
        advance(turn, Evidence(detail=render_ci_evidence(reported.tail, turn.language)))
    return turn.end()


def wants(task: Task, context: Context) -> tuple[RunKind, Sha] | None:
    """Return the command that should be under way for the task as it stands, and the SHA it runs on.

    Asked after every change and at every start: what is wanted and not under way is started, so nothing needs to be
    remembered elsewhere.
    """
    project = context.project
    if task.park is not None or is_terminal(task.stage):
        return None
    if task.cancel_requested_at is not None:
        return None
    match task.stage, task.awaiting:
        case Stage.DEVELOPMENT, Awaiting.GATE if project.ci is CiSource.LOCAL and task.ci in (None, CiState.PENDING):
            return (RunKind.CI, task.code_head) if task.code_head else None
        case Stage.DEPLOY_STAGING, Awaiting.GATE if project.deploy.staging_command and task.head:
            return RunKind.STAGING, task.head
        case _:
            return None


def command_finished(context: Context, task: Task, run: Run, finished: CommandFinished) -> Decided:
    """A CI or staging command of the daemon's own is over."""
    turn = Turn(context, task)
    if finished.attempt != task.attempt or wants(task, context) != (run.kind, finished.sha):
        return turn.ignore()
    report = finished.report
    if report.survivors:
        park_for_survivors(turn, report.survivors)
        complete_stop(turn)
        return turn.end()
    match report.verdict:
        case CommandVerdict.GREEN | CommandVerdict.RED:
            turn.set(counters=replace(task.counters, infrastructure=0))
        case CommandVerdict.TIMEOUT | CommandVerdict.INFRA | CommandVerdict.INTERRUPTED:
            return _command_disturbed(turn, run, finished)
        case _:
            assert_never(report.verdict)
    green = report.verdict is CommandVerdict.GREEN
    match run.kind:
        case RunKind.CI:
            _ci_finished(turn, finished, green)
        case RunKind.STAGING:
            turn.set(head=finished.head or task.head)
            _verdict_finished(turn, run, finished, VerdictValue.OK if green else VerdictValue.FAIL)
        case RunKind.AGENT | RunKind.LAND | RunKind.DEPLOY | RunKind.ROLLBACK:
            raise ValueError(f"{run.kind} is no command of a task")
        case _:
            assert_never(run.kind)
    complete_stop(turn)
    return turn.end()


def _ci_finished(turn: Turn, finished: CommandFinished, green: bool) -> None:
    state = CiState.SUCCESS if green else CiState.FAILURE
    words = f"test command: exit {finished.report.exit_code}, {finished.report.seconds:.1f} s"
    status = CommitStatus(sha=finished.sha, context=CI_CONTEXT, state=state, description=words)
    turn.emit(PostCommitStatus(status=status))
    turn.set(ci=state)
    turn.record(turn.task.stage, turn.task.stage, f"ci-{state}", f"{finished.sha[:12]}: {words}")
    advance(turn, Evidence(detail=render_ci_evidence(finished.report.tail, turn.language)))


def _verdict_finished(turn: Turn, run: Run, finished: CommandFinished, value: VerdictValue) -> None:
    verdict = Verdict(
        task=turn.task.row,
        stage=turn.task.stage,
        run=run.id,
        attempt=run.attempt,
        value=value,
        code_head=finished.sha,
        at=turn.context.now,
    )
    turn.emit(RecordVerdict(verdict=verdict))
    advance(turn, Evidence(verdict=value, detail=finished.report.tail[-4000:]))


def _command_disturbed(turn: Turn, run: Run, finished: CommandFinished) -> Decided:
    """No verdict: tried again on the same SHA, bounded."""
    counters = turn.task.counters
    if finished.report.verdict is not CommandVerdict.INTERRUPTED:
        counters = replace(counters, infrastructure=counters.infrastructure + 1)
    turn.set(counters=counters)
    told = f"{run.kind} command: {finished.report.verdict}: {finished.report.tail[-1500:]}"
    if counters.infrastructure > INFRASTRUCTURE_MAX:
        park_for_infrastructure(turn, told)
    else:
        turn.record(turn.task.stage, turn.task.stage, f"{run.kind}-{finished.report.verdict}", told[:500])
    complete_stop(turn)
    return turn.end()


def actor_failed(context: Context, task: Task, error: str) -> Decided:
    """The task's actor crashed too often: parked, so that a bug met by one task holds up no other.

    A deploy under way is its repo's, and goes on: its result is not thrown away.
    """
    turn = Turn(context, task)
    if is_terminal(task.stage) or task.park is not None or is_deploying(task):
        return turn.ignore()
    turn.park(ParkReason.ACTOR_FAILED, error)
    return turn.end()


# ------------------------------------------------------------------------------------------------ landing


def landed(context: Context, task: Task, sha: Sha, detail: str = "", *, outside: bool = False) -> Decided:
    """The default branch holds the task as *sha*: the transition deploy-staging → deploy. *outside*: a person merged it.

    It is a fact, whatever became of the task meanwhile: one that was stopped stays stopped and says where its code is.
    """
    turn = Turn(context, task)
    if task.landed is not None:
        return turn.ignore()
    turn.set(landed=sha, counters=replace(task.counters, infrastructure=0))
    if task.stage is Stage.CANCELLED:
        turn.record(task.stage, task.stage, "landed", detail or sha[:12])
        turn.comment(Role.STREAM, render_cancelled(task.work_item, sha, turn.language), "landed")
    elif task.stage is Stage.DEPLOY_STAGING:
        turn.move(Move.PASSED, cause="landed", detail=detail or sha[:12])
    else:
        turn.emit(CancelJobs(), CancelRun())
        turn.move(Move.MERGED_OUTSIDE, cause="landed", detail=detail or sha[:12])
    if outside:  # a person has decided what it was parked for
        turn.set(park=None)
    if task.pr_number is not None and task.head is not None:
        turn.emit(MarkMerged(number=task.pr_number, sha=sha, branch=task.branch, head=task.head))
    if turn.task.stage is Stage.DEPLOY:
        turn.comment(Role.STREAM, render_landed(task.work_item, sha, turn.language), "landed")
        _after_landing(turn)
    return turn.end()


def _after_landing(turn: Turn) -> None:
    """On to the deploy; where a STOP came during the landing, only as far as there is nothing left to do."""
    gate = deploy_status(turn.task, turn.project, Evidence())
    if turn.task.cancel_requested_at is None or gate.light is Light.GREEN:
        advance(turn, Evidence())
    else:
        complete_stop(turn)


def landing_refused(context: Context, task: Task, refused: LandingRefused) -> Decided:
    """A conflict with, or a red test on, what is now the default branch."""
    turn = Turn(context, task)
    if task.awaiting is not Awaiting.LANDING or task.head != refused.head or task.park:
        return turn.ignore()
    told = render_landing_refused(refused.kind, refused.base, refused.evidence, refused.files, refused.culprits, turn.language)
    turn.set(merge_main=True)
    return_to_development(turn, refused.kind, evidence=told)
    return turn.end()


def name_culprits(
    mine: Collection[str], landed: Iterable[tuple[WorkItemId, Collection[str]]]
) -> tuple[tuple[str, ...], tuple[WorkItemId, ...]]:
    """Return the files that the task and others changed, and who they are: *landed* names each task that landed since the
    branch was cut with the files that it changed, in the order of landing."""
    touched = [(name, set(mine) & set(theirs)) for name, theirs in landed]
    culprits = tuple(name for name, files in touched if files)
    return tuple(sorted(set().union(*(files for _, files in touched)))), culprits
