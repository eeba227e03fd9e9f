"""One decision in the making: a task as it was, as it will be, and the effects collected on the way.

Owns: the shape of a decision and the few moves that every decision is made of. It is pure: a ``Turn`` lives inside one
call of a ``decide_*`` function and leaves it as a frozen ``Outcome`` value.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, final

from orch.core.effects import (
    Alert,
    CancelJobs,
    CancelRun,
    Comment,
    Effect,
    EnterTrain,
    QueueJob,
    RecordTransition,
    SetStatus,
    TellDependents,
    WakeRepo,
    WakeSlots,
)
from orch.core.ids import Branch
from orch.core.messages import Answer
from orch.core.model import Awaiting, Feedback, Limits, Park, ParkReason, Project, RunMode, Task, Transition
from orch.core.presses import asked_about
from orch.core.render import render_parked
from orch.core.stages import TABLE, Move, Role, Stage, is_terminal, step
from orch.core.task_facts import status_of

FIX_PRIORITY = 1
"""A fix's jobs are claimed before those of other tasks."""


def _no_pages(branch: Branch, path: str) -> str:
    del branch, path
    return ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every decision is given: the present, the project, the limits in force.

    *web_url* makes a link for people to a file (its path in the repo) on a branch; empty where the forge has no pages.
    """

    now: datetime
    project: Project
    limits: Limits
    web_url: Callable[[Branch, str], str] = _no_pages


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision: the task as it shall be, what the shell is asked to do, and the answer where a person asked.

    *context* is what it was made with: other tasks are decided about with the same.
    """

    task: Task
    effects: tuple[Effect, ...] = ()
    answer: Answer | None = None
    context: Context | None = field(default=None, compare=False)

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.effects)


class Turn:
    """Collects one decision."""

    def __init__(self, context: Context, task: Task) -> None:
        self.context = context
        self.before = task
        self.task = task
        self.effects: list[Effect] = []

    @property
    def project(self) -> Project:
        return self.context.project

    @property
    def language(self) -> str:
        return self.context.project.language

    def set(self, **changes: Any) -> None:
        """Change fields of the task."""
        self.task = replace(self.task, **changes)

    def emit(self, *effects: Effect) -> None:
        self.effects.extend(effects)

    def comment(self, role: Role, text: str, topic: str) -> None:
        """Comment once for *topic* of the current attempt."""
        self.emit(Comment(role=role, text=text, key=f"{int(self.task.row)}:{int(self.task.attempt)}:{topic}"))

    def alert(self, kind: str, text: str) -> None:
        self.emit(Alert(kind=kind, text=text, shown=asked_about(self.task)))

    def record(self, source: Stage | None, target: Stage, cause: str, detail: str = "", by: str = "") -> None:
        line = Transition(
            task=self.task.row, at=self.context.now, source=source, target=target, cause=cause, detail=detail, by=by
        )
        self.emit(RecordTransition(transition=line))

    def move(self, move: Move, *, cause: str, detail: str = "", by: str = "") -> None:
        """Take the table's transition and record it; raises IllegalTransition where there is none."""
        self.go(step(self.task.stage, move), cause=cause, detail=detail, by=by)

    def go(self, target: Stage, *, cause: str, detail: str = "", by: str = "") -> None:
        """Enter *target*, which the caller has found legal."""
        source = self.task.stage
        self.record(source, target, cause, detail, by)
        self.set(stage=target, train_seq=None, awaiting=Awaiting.NOTHING, note="")
        if is_terminal(target):
            self.set(finished_at=self.context.now, park=None)
            self.emit(WakeSlots(), WakeRepo())
        if target is Stage.CANCELLED:
            self.emit(TellDependents())

    def queue(self, *, mode: RunMode = RunMode.NEW_ATTEMPT, feedback: Feedback | None = None, delay_s: float = 0.0) -> None:
        """Queue the agent of the task's stage."""
        role = TABLE[self.task.stage].role
        assert role is not None, f"no agent works in {self.task.stage}"
        not_before = self.context.now + timedelta(seconds=delay_s) if delay_s > 0 else None
        self.set(awaiting=Awaiting.AGENT)
        self.emit(
            QueueJob(
                stage=self.task.stage,
                role=role,
                mode=mode,
                feedback=feedback or Feedback(),
                priority=FIX_PRIORITY if self.task.exempt else 0,
                not_before=not_before,
            ),
            WakeSlots(),
        )

    def enter_train(self) -> None:
        self.set(awaiting=Awaiting.LANDING)
        self.emit(EnterTrain(), WakeRepo())

    def park(self, reason: ParkReason, evidence: str, *, quiet: bool = False) -> None:
        """Park the task and ask a person, unless *quiet*. A park is sticky: the first cause stays; what has ended stays so."""
        if is_terminal(self.task.stage) or self.task.park is not None:
            return
        park = Park(reason=reason, since=self.context.now, evidence=evidence[:20_000])
        self.set(park=park, awaiting=Awaiting.NOTHING, train_seq=None)
        text = render_parked(park, self.language)
        self.emit(CancelJobs(), CancelRun(), WakeSlots(), WakeRepo())
        self.record(self.task.stage, self.task.stage, "parked", reason.value)
        if quiet:
            return
        self.comment(Role.STREAM, text, f"parked:{reason}:{self.context.now.isoformat()}")
        self.alert("budget" if reason is ParkReason.BUDGET else "parked", text)

    def end(self, answer: Answer | None = None, *, show: bool = False) -> Decided:
        """Finish: the shown status is written when it changed, or when *show* asks for it."""
        if show or status_of(self.task) is not status_of(self.before):
            self.emit(SetStatus(status=status_of(self.task)))
        if self.task != self.before:
            self.set(updated_at=self.context.now)
        return Decided(task=self.task, effects=tuple(self.effects), answer=answer, context=self.context)

    def ignore(self, answer: Answer | None = None) -> Decided:
        """Nothing happens: the message is stale, or there is nothing to do."""
        return Decided(task=self.before, effects=(), answer=answer)
