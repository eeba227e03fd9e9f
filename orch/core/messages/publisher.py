"""What the publisher receives."""

from dataclasses import dataclass
from typing import final

from orch.core.ids import IssueId, ProjectName, RunId, TaskRow
from orch.core.stages import Role, Stage


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTouched:
    """A task's row changed: viewers are told."""

    task: TaskRow


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunTouched:
    """A run's live figures changed."""

    task: TaskRow
    run: RunId
    role: Role | None = None
    stage: Stage | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BoardTouched:
    """A local board issue changed."""

    issue: IssueId


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RepoTouched:
    """A project's freeze or pause changed; *turns*: not that, but a task of it ended, so that those in line moved up."""

    project: ProjectName
    turns: bool = False


PublisherMessage = TaskTouched | RunTouched | BoardTouched | RepoTouched
