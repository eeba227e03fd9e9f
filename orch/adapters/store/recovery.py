"""What a start makes of runs that a crash or a stop has cut off.

Owns: the one transaction before anything is claimed. Rule: an interrupted run is ended, charged to no counter, and its job goes
on as a continuation in its old place; the ended run is the fence that refuses its late writes. A run that had no working copy
yet (no ``start_head``) has nothing to continue: its job begins as it would have begun. A deployer's job that had one is over:
nothing is deployed twice. Does not own intents, deploys that outlive the daemon, orphaned processes and polls.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import final

from orch.core.ids import JobId, RunId
from orch.core.model import JobState, Outcome, RunKind, RunMode
from orch.core.stages import Stage, is_terminal
from orch.ports import Tx

INTERRUPTED = "interrupted by a restart"
_ALL = 10_000_000
"""What was running is bounded by the slots that there were; a page would only hide some of it."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What was found running. *runs* were ended, *requeued* jobs wait again, *cancelled* ones belonged to finished tasks."""

    runs: tuple[RunId, ...]
    requeued: tuple[JobId, ...]
    cancelled: tuple[JobId, ...]


def recover(tx: Tx, now: datetime) -> Recovered:
    """End every run that was going on and put its job back. Run it under the data directory's lock, before any claim."""
    runs: list[RunId] = []
    not_begun: set[JobId | None] = set()
    for run in tx.list_runs(running=True, limit=_ALL):
        if run.kind is RunKind.DEPLOY:  # its process outlives the daemon, and its repo reads the result
            continue
        if run.start_head is None:
            not_begun.add(run.job)
        if tx.save_run(replace(run, outcome=Outcome.CRASHED, detail=INTERRUPTED, ended_at=now)):
            runs.append(run.id)
    requeued: list[JobId] = []
    cancelled: list[JobId] = []
    for job in tx.list_jobs(state=JobState.RUNNING, limit=_ALL):
        task = tx.load_task(job.task)
        once = job.stage is Stage.DEPLOY and job.id not in not_begun  # nothing is deployed twice
        if task is None or is_terminal(task.stage) or once:
            tx.end_job(job.id, JobState.CANCELLED)
            cancelled.append(job.id)
        else:
            mode = job.mode if job.id in not_begun else RunMode.CONTINUATION
            tx.requeue_job(job.id, mode=mode, not_before=None, at=now)
            requeued.append(job.id)
    return Recovered(runs=tuple(runs), requeued=tuple(requeued), cancelled=tuple(cancelled))
