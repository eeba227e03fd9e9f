"""Whose deploy is next in a project: the plan, made anew from the store at every look.

Owns: the order of deploys, when a confirm is void, when production holds a task's landing already. Does not own: what each step
does (``decide_deploy``). Rule: pure. One deploy per project at a time, in landing order among those decided, never one that
production holds; after one that did not succeed nothing is deployed without a confirm given after it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import final

from orch.core.ids import Sha, TaskRow
from orch.core.model import Awaiting, Deploy, Freeze, Task
from orch.core.stages import Stage
from orch.core.stopping import may_withdraw


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployFacts:
    """What decides about a project's next deploy.

    *waiting* are its landed tasks that are not in production as far as is known, stopped ones among them. *last* is the newest
    deploy that succeeded, *failed* the newest deploy of all where that did not. *held* says of landed SHAs whether
    the last deployed one contains them; a SHA that is missing has not been asked about. *confirmed* says when a task's deploy was
    last confirmed. *queued* says that the running deploy is an agent's that no slot has claimed.
    """

    waiting: Sequence[Task]
    running: Deploy | None = None
    last: Deploy | None = None
    failed: Deploy | None = None
    freeze: Freeze | None = None
    held: Mapping[Sha, bool] = field(default_factory=dict)
    confirmed: Mapping[TaskRow, datetime] = field(default_factory=dict)
    confirm: bool = True
    queued: bool = False
    rolling_back: bool = False
    """The rollback command of a degraded deploy is going: nothing is deployed into that."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    task: TaskRow
    sha: Sha


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Production holds the task's landing: *by* brought it there."""

    task: TaskRow
    by: Deploy


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Void:
    """The task's place among the decided is void: *freeze* came, or (None) a deploy failed after its confirm."""

    task: TaskRow
    freeze: Freeze | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Postpone:
    """A freeze came while the running deploy was between two tries."""

    deploy: Deploy
    freeze: Freeze


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    why: str


DeployPlan = Start | Deliver | Void | Postpone | Hold


def landing_order(task: Task) -> tuple[bool, int, int]:
    """Sort by the order of landing; tasks that landed before that was recorded come first."""
    return task.landed_seq is not None, task.landed_seq or 0, int(task.row)


def plan_deploy(facts: DeployFacts) -> DeployPlan:
    """Return the one next thing to do; asked again after it was done."""
    waiting = sorted((task for task in facts.waiting if task.landed is not None), key=landing_order)
    running = facts.running
    for task in waiting:
        assert task.landed is not None
        if facts.last is not None and facts.held.get(task.landed) and (running is None or running.task != task.row):
            return Deliver(task=task.row, by=facts.last)
    turns = [task for task in waiting if has_turn(task)]
    for task in turns:
        if (void := _void(task, facts)) is not None:
            return void
    if running is not None:
        if facts.freeze is not None and may_withdraw(running, queued=facts.queued) and not _is_exempt(running.task, waiting):
            return Postpone(deploy=running, freeze=facts.freeze)
        return Hold(why="running")
    if facts.rolling_back:
        return Hold(why="rolling back")
    ready = [task for task in turns if facts.freeze is None or task.exempt]
    if not ready:
        return Hold(why="frozen" if turns else "nothing")
    first = ready[0]
    assert first.landed is not None
    if facts.last is not None and first.landed not in facts.held:
        return Hold(why="asking")
    return Start(task=first.row, sha=first.landed)


def has_turn(task: Task) -> bool:
    """Say whether the task's deploy is decided and waits for the slot."""
    return (
        task.stage is Stage.DEPLOY
        and task.awaiting is Awaiting.DEPLOY_TURN
        and task.park is None
        and task.cancel_requested_at is None
    )


def _void(task: Task, facts: DeployFacts) -> Void | None:
    failed = facts.failed
    if failed is not None and failed.ended_at is not None:
        confirmed = facts.confirmed.get(task.row)
        if confirmed is None or confirmed < failed.ended_at:
            return Void(task=task.row)
    asks = facts.confirm or failed is not None
    if facts.freeze is not None and asks and not task.exempt:
        return Void(task=task.row, freeze=facts.freeze)
    return None


def _is_exempt(row: TaskRow, waiting: Collection[Task]) -> bool:
    return any(task.exempt for task in waiting if task.row == row)


def to_be_asked(waiting: Sequence[Task]) -> list[Task]:
    """Return the tasks about whose deploy a person has to be asked, and has not been."""
    return [task for task in waiting if task.stage is Stage.DEPLOY and task.awaiting is Awaiting.GATE and task.park is None]


def carried_with(task: Task, waiting: Sequence[Task]) -> list[Task]:
    """Return what a deploy of *task*'s landing takes along: itself and all that landed before it and is not in production."""
    return [other for other in sorted(waiting, key=landing_order) if landing_order(other) <= landing_order(task)]
