"""A task and what there is to know around it, and the board status that follows from it.

Owns: the one derivation of the shown status, and the facts that sentence (``why``) and views (``views``) are made of. It reads
nothing: ``orch.snapshots`` loads the facts. Rule: the status is derived; it is never read back as state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never, final

from orch.core.budget import Purse
from orch.core.model import Account, Awaiting, Deploy, Freeze, Job, Repo, Run, RunKind, Task, Transition, Watch, WatchSign
from orch.core.room import Shortage
from orch.core.stages import Stage, is_terminal
from orch.core.statuses import Status

_ANALYSIS = {Awaiting.APPROVAL: Status.IN_REVIEW, Awaiting.INPUT: Status.NEEDS_INPUT}
_DEPLOY = {
    Awaiting.DEPLOYING: Status.DEPLOYING,
    Awaiting.CONFIRM: Status.AWAITING_DEPLOY,
    Awaiting.DEPLOY_TURN: Status.AWAITING_DEPLOY,
}
_DONE = {WatchSign.WATCHING: Status.MONITORING, WatchSign.DEGRADED: Status.BLOCKED}


def status_of(task: Task) -> Status:
    """Return the board status that *task* shows."""
    if task.park is not None and not is_terminal(task.stage):
        return Status.BLOCKED
    match task.stage:
        case Stage.ANALYSIS:
            return _ANALYSIS.get(task.awaiting, Status.ANALYSIS)
        case Stage.ARCHITECTURE | Stage.DEVELOPMENT | Stage.DEPLOY_STAGING:
            return Status.IN_PROGRESS
        case Stage.REVIEW:
            return Status.CODE_REVIEW
        case Stage.TESTING:
            return Status.TESTING
        case Stage.DEPLOY:
            return _DEPLOY.get(task.awaiting, Status.IN_PROGRESS)
        case Stage.DONE:
            return _DONE.get(task.watch, Status.DONE)
        case Stage.CANCELLED:
            return Status.CANCELLED
        case _:
            assert_never(task.stage)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """A task with what its view needs to know around it.

    *runs* are all of the task's, oldest first. *dependencies* and *open_dependencies* are names for people; the open ones
    are those that hold the task; *held_by* is the first earlier task that holds it at the serial gate. *landing_position*
    counts from 1. *slots* is None where the limit is not known. *account* is the one that its next agent
    runs under, where that is paused; *shortages* are the daemon's.
    """

    task: Task
    runs: Sequence[Run] = ()
    job: Job | None = None
    dependencies: Sequence[str] = ()
    open_dependencies: Sequence[str] = ()
    board_dependencies: Sequence[str] = ()
    held_by: str = ""
    history: Sequence[Transition] = ()
    repo: Repo | None = None
    landing_position: int | None = None
    slots_busy: int = 0
    slots: int | None = None
    account: Account | None = None
    shortages: Sequence[Shortage] = ()
    landing_held: str = ""
    """Why it is not in the train's chain, *landing_with* who is being tested with it now, itself among them."""
    landing_with: Sequence[str] = ()
    deploying: Deploy | None = None
    """The running deploy of its project, *deploying_name* what people call that one's task, *deploys* its own, newest first."""
    deploying_name: str = ""
    deploys: Sequence[Deploy] = ()
    watch: Watch | None = None
    """How what the task brought does in production, while its card shows something of that."""
    purse: Purse | None = None
    """The task's own budget, *day* that of the present UTC day."""
    day: Purse | None = None

    def running(self) -> Run | None:
        """Return the newest run that has not ended."""
        return next((run for run in reversed(self.runs) if run.ended_at is None and run.outcome is None), None)

    def entered(self) -> bool:
        """Say whether it has entered analysis: an agent of it ran, or it is past that stage."""
        return self.task.stage is not Stage.ANALYSIS or any(run.kind is RunKind.AGENT for run in self.runs)

    def freeze(self) -> Freeze | None:
        """Return the freeze that this task heeds (a fix heeds none)."""
        return None if self.repo is None or self.task.exempt else self.repo.freeze
