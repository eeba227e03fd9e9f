"""What people command by page, CLI or chat: one closed union.

Owns: every command, as it reaches the desk. ``orch.core.messages`` names them again, as what the desk receives.
Rule: names of things are as a person gave them; whoever carries a command out finds what they mean.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from orch.core.model import Finding
from orch.core.stages import Stage


class Decision(StrEnum):
    """What a person can decide about a task."""

    APPROVE = "approve"
    REJECT = "reject"
    CONFIRM_DEPLOY = "confirm-deploy"
    STOP = "stop"
    RESUME = "resume"
    FIX = "fix"
    """From now on it is a fix: exempt from freeze and serial gate, first in the landing queue."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class DecideTask:
    """A decision about the task that *task* names (work item id or issue key)."""

    task: str
    decision: Decision
    by: str
    shown: str = ""
    reason: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CreateIssue:
    """Local board: make an issue in *project* (the only one when empty)."""

    title: str
    body: str
    by: str
    project: str = ""
    status: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MoveIssue:
    """Local board: set a column, by logical key or name."""

    issue: str
    status: str
    by: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveIssue:
    """Local board: put a card away (it is gone then, as a deleted one is), or (*archived* False) bring it back."""

    issue: str
    by: str
    archived: bool = True


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CommentIssue:
    issue: str
    text: str
    by: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AddDependency:
    """*issue* waits for *on*. Refused, naming it, when it would close a cycle."""

    issue: str
    on: str
    by: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDependency:
    issue: str
    on: str
    by: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SendTaskBack:
    """Send the task that *task* names back to *stage* with findings."""

    task: str
    stage: Stage
    by: str
    reason: str = ""
    findings: tuple[Finding, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptIssue:
    """Start the line for *issue*; *project* names its board where the store does not know the issue."""

    issue: str
    by: str
    project: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RevertTask:
    """Take back what the landed task that *task* names brought to the default branch, by a task of its own."""

    task: str
    by: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeRepo:
    """Stop entry, landing and deploy of *project* (the only one when empty)."""

    by: str
    project: str = ""
    reason: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UnfreezeRepo:
    """Lift the freeze of *project* (the only one when empty), whatever caused it."""

    by: str
    project: str = ""
    reason: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRepos:
    """Claim nothing new in *project* (in all of them when empty); what runs finishes."""

    by: str
    project: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UnpauseRepos:
    """Claim again in *project* (in all of them when empty)."""

    by: str
    project: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LiftPause:
    """End the pause of an account that agents run under: its runs begin again at once."""

    account: str
    by: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SetBudget:
    """Raise the budget of *task* by *raise_usd*, or *lift* it (no limit any more); of the present UTC day when *task* is empty.

    *shown_usd* is the limit that the person was shown: where another one is in force, nothing is done.
    """

    task: str
    by: str
    raise_usd: float | None = None
    lift: bool = False
    shown_usd: float | None = None


RepoControl = AdoptIssue | RevertTask | FreezeRepo | UnfreezeRepo | PauseRepos | UnpauseRepos
PersonCommand = (
    DecideTask
    | SendTaskBack
    | CreateIssue
    | MoveIssue
    | ArchiveIssue
    | CommentIssue
    | AddDependency
    | RemoveDependency
    | AdoptIssue
    | RevertTask
    | FreezeRepo
    | UnfreezeRepo
    | PauseRepos
    | UnpauseRepos
    | LiftPause
    | SetBudget
)
