"""The reconciler's judgement: which task is stale, what a forge's answers mean, whether a hook is dead.

Owns: staleness by stage, the combined status of a commit, the match of a status to a task, the sign of a webhook that is switched
off. Does not own: reading the services (``actors/reconciler.py``), what evidence leads to (``decide_task.advance``).
Rule: pure. It repairs what a lost event left behind and nothing else: what is red stays as it is, waiting is not staleness, and
analysis is left to people.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import final

from orch.core.decide_task import advance, would_pass
from orch.core.gates import GREEN_VALUES, Evidence, Report
from orch.core.ids import Sha
from orch.core.messages import EvidenceRead
from orch.core.model import Awaiting, CiState, CommitStatus, ParkReason, Task, Verdict
from orch.core.render import render_no_ci
from orch.core.stages import Stage, is_terminal
from orch.core.turn import Context, Decided, Turn

OVERLAP = timedelta(minutes=5)
"""How far a poll reaches behind the last one: a board's clock and its index may lag."""
HOOK_LATE = timedelta(seconds=60)
"""A change whose hook did not come within this time counts as one without a hook."""
_STALE_IN = frozenset({Awaiting.AGENT, Awaiting.GATE, Awaiting.NOTHING})


def is_stale(task: Task, now: datetime, grace_s: Mapping[Stage, float], *, active: bool) -> bool:
    """Say whether nothing is under way for *task* and nothing has changed for longer than its stage's grace."""
    if is_terminal(task.stage) or task.park is not None or task.cancel_requested_at is not None or active:
        return False
    if task.stage is Stage.ANALYSIS or task.awaiting not in _STALE_IN:
        return lacks_place(task)
    return now - task.updated_at >= timedelta(seconds=grace_s.get(task.stage, 0.0))


def lacks_place(task: Task) -> bool:
    """Say whether a task waits for its landing and does not stand in the queue for it."""
    return task.stage is Stage.DEPLOY_STAGING and task.awaiting is Awaiting.LANDING and task.train_seq is None


def stored_evidence(task: Task, verdict: Verdict | None) -> Evidence:
    """Return what the store itself knows for the gate of the task's stage: *verdict* is its newest there.

    It counts only if the current attempt wrote it on the head that is the current one.
    """
    if verdict is None or verdict.attempt != task.attempt:
        return Evidence()
    if task.stage is Stage.DEPLOY_STAGING:
        return Evidence(verdict=verdict.value) if verdict.code_head in (task.head, task.code_head) else Evidence()
    if verdict.code_head != task.code_head or verdict.value not in GREEN_VALUES:
        return Evidence()
    return Evidence(report=Report(value=verdict.value, findings=verdict.findings, blob=verdict.blob))


def reconciled(context: Context, task: Task, read: EvidenceRead, evidence: Evidence, *, active: bool) -> Decided:
    """Advance a stale task whose gate is green, or put it back into the landing queue; red and pending change nothing."""
    turn = Turn(context, task)
    grace = context.limits.grace_s
    if read.head != task.head or read.stage is not task.stage or not is_stale(task, context.now, grace, active=active):
        return turn.ignore()
    if lacks_place(task):
        turn.record(task.stage, task.stage, "reconciled", "its place in the landing queue was missing")
        turn.enter_train()
        return turn.end()
    if not would_pass(turn, evidence):
        return turn.ignore()
    turn.record(task.stage, task.stage, "reconciled", "its gate is green and nothing had told so")
    advance(turn, evidence)
    return turn.end()


# ------------------------------------------------------------------------------------------------ the forge


def combined_status(statuses: Sequence[CommitStatus], contexts: Collection[str] = ()) -> CiState | None:
    """Return what the statuses of one commit say together: the newest of each context, only *contexts* where any are named.

    None where there is none at all: silence is never success. A named context that has said nothing is pending.
    """
    counted = [status for status in statuses if not contexts or status.context in contexts]
    if not counted:
        return None
    if any(status.state in (CiState.FAILURE, CiState.ERROR) for status in counted):
        return CiState.FAILURE
    silent = set(contexts) - {status.context for status in counted}
    if silent or any(status.state is CiState.PENDING for status in counted):
        return CiState.PENDING
    return CiState.SUCCESS


def describe_statuses(statuses: Sequence[CommitStatus]) -> str:
    """Return a line per failed context, for the developer's next prompt."""
    failed = [status for status in statuses if status.state in (CiState.FAILURE, CiState.ERROR)]
    return "\n".join(f"{each.context}: {each.state}: {each.description} {each.url}".strip() for each in failed)[:8000]


def match_status(tasks: Sequence[Task], sha: Sha) -> Task | None:
    """Return the task that a status of *sha* is about: by its head, else the repo's only development task, else none."""
    mine = [task for task in tasks if sha in (task.code_head, task.head)]
    if mine:
        return mine[0]
    developing = [task for task in tasks if task.stage is Stage.DEVELOPMENT and task.park is None]
    return developing[0] if len(developing) == 1 else None


def ci_absent(context: Context, task: Task, sha: Sha) -> Decided:
    """The forge has no status at all for the task's head: past ``ci_appear_s`` it is parked, never taken for green."""
    turn = Turn(context, task)
    waited = (context.now - task.updated_at).total_seconds()
    here = task.stage is Stage.DEVELOPMENT and task.awaiting is Awaiting.GATE and task.park is None
    if not here or sha != task.code_head or task.ci is not None or waited < context.limits.ci_appear_s:
        return turn.ignore()
    turn.park(ParkReason.NO_CI, render_no_ci(sha, context.limits.ci_appear_s, turn.language))
    return turn.end()


# ------------------------------------------------------------------------------------------------ hooks that do not come


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HookSigns:
    """What one service's hooks have shown: *heard* the last one, *pending* changes whose hook may still come.

    *dead*: a poll saw a change that no hook told of in time, and none has come since.
    """

    heard: datetime | None = None
    pending: tuple[datetime, ...] = ()
    dead: bool = False


def polled_until(since: datetime, began: datetime, changes: Collection[datetime]) -> datetime:
    """Return up to when a poll that *began* has read a board: by the board's own times, its clock and ours may be hours apart.

    Where ours is ahead, a change would be skipped that the board dates after the newest one that was seen.
    """
    return min(began, max(changes, default=since))


def after_poll(signs: HookSigns, changes: Sequence[datetime], now: datetime) -> HookSigns:
    """Return the signs after a poll that saw *changes* made by others, each at its time."""
    seen = (*signs.pending, *changes)
    ripe = [at for at in seen if now - at >= HOOK_LATE]
    unheard = any(signs.heard is None or signs.heard < at - HOOK_LATE for at in ripe)  # their clock is not ours
    return replace(signs, pending=tuple(at for at in seen if at not in ripe), dead=signs.dead or unheard)


def after_hook(signs: HookSigns, heard: datetime | None) -> HookSigns:
    """Return the signs where *heard* is when the last hook came: one that has come since shows that it lives."""
    return signs if heard == signs.heard else replace(signs, heard=heard, dead=False)
