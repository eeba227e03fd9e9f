"""What the reconciler receives."""

from dataclasses import dataclass
from typing import final

from orch.core.ids import Branch, InboxId, ProjectName, Sha


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PollNow:
    """Poll *project* now, every one where none is named."""

    project: ProjectName | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeChanged:
    """A hook says that something about one of our branches changed on the forge: look there. *inbox* is the row to mark.

    *sha* is what a status is about, *branch* the branch or a pull request's head; either may be missing.
    """

    project: ProjectName
    inbox: InboxId
    branch: Branch | None = None
    sha: Sha | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PollEnded:
    """One project's poll is over; *error* is empty where everything was read."""

    project: ProjectName
    error: str = ""


ReconcilerMessage = PollNow | ForgeChanged | PollEnded
