"""What the caretaker receives."""

from dataclasses import dataclass
from typing import final

from orch.core.ids import ProjectName


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LookAround:
    """Hint: look at the room, the store and what is parked for infrastructure."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RepoReached:
    """A repo whose tasks are parked for infrastructure was asked: *error* is empty where it answered."""

    project: ProjectName
    error: str = ""


CaretakerMessage = LookAround | RepoReached
