"""What the slots receive: wishes to claim, and the projects' own commands."""

from dataclasses import dataclass
from typing import final

from orch.core.ids import Attempt, ProjectName, RunId, Sha, TaskRow
from orch.core.messages.ends import Handle
from orch.core.messages.task import CommandFinished


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class JobsWaiting:
    """Hint: something may be claimable."""


SlotMessage = JobsWaiting


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand:
    """Run a project's command on a checkout of *sha*; the answer goes to *reply* as ``CommandFinished`` fields.

    *prepare* says whether ``setup_command`` runs first. A test slot takes it; nothing is held while it waits. It is
    sandboxed. *tell_tree*: the answer names the tree of *sha*.
    """

    run: RunId
    attempt: Attempt
    project: ProjectName
    task: TaskRow
    sha: Sha
    command: tuple[str, ...]
    prepare: bool
    timeout_s: float
    reply: "Handle[CommandFinished]"
    tell_tree: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCommand:
    """Nobody waits for the run any more: end it, or never begin it. Its answer is ``interrupted``."""

    run: RunId


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChanged:
    """Hint: a reload may have changed how many run at once."""


CommandSlotMessage = RunCommand | CancelCommand | LimitsChanged
