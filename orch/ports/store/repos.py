"""The store's tables of projects: their state, dependencies, freezes, leases and intents."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from orch.core.ids import IntentId, IssueId, ProjectName, TaskRow
from orch.core.model import Candidate, Freeze, Intent, IntentKind, IntentState, MergeLease, Repo, Task
from orch.core.statuses import BoardState


class RepoTables(Protocol):
    """Projects' runtime state, dependencies, freezes, leases, intents."""

    def load_repo(self, project: ProjectName) -> Repo:
        """Return the project's state, a fresh one when it was never saved."""

    def save_repo(self, repo: Repo) -> None:
        """Write everything but the freeze."""

    def set_freeze(self, freeze: Freeze) -> None: ...

    def lift_freeze(self, project: ProjectName) -> None: ...

    def load_states(self, project: ProjectName) -> list[BoardState]:
        """Return the last good list of the board's columns."""

    def save_states(self, project: ProjectName, states: Sequence[BoardState]) -> None: ...

    def add_dependency(self, project: ProjectName, issue: IssueId, on: IssueId, at: datetime) -> list[IssueId] | None:
        """Declare that *issue* waits for *on*; or return, and declare nothing, the cycle that this would close."""

    def remove_dependency(self, project: ProjectName, issue: IssueId, on: IssueId) -> bool: ...

    def dependencies(self, project: ProjectName, issue: IssueId) -> list[IssueId]: ...

    def dependents(self, project: ProjectName, issue: IssueId) -> list[IssueId]: ...

    def open_dependencies(self, project: ProjectName, issue: IssueId) -> list[IssueId]:
        """Return those dependencies that are not terminal by the claim rule."""

    def set_relations(self, project: ProjectName, issue: IssueId, on: Mapping[IssueId, bool], at: datetime) -> bool:
        """Make *on* what the board says that *issue* waits for, each with whether its card is closed; say whether that is new.

        What was declared here stays. No cycle is refused: the board has it already.
        """

    def relations(self, project: ProjectName, issue: IssueId) -> list[IssueId]:
        """Return those dependencies of *issue* that came from the board alone."""

    def drop_relations(self, project: ProjectName) -> bool:
        """Forget every dependency that came from the board; say whether there was any."""

    def note_closed(self, project: ProjectName, issue: IssueId, *, closed: bool) -> bool:
        """Note for whoever waits for *issue* whether its card is closed, which counts while it has no task.

        Say whether that is new.
        """

    def open_edges(self, project: ProjectName) -> dict[IssueId, list[IssueId]]:
        """Return whom each issue of the project still waits for."""

    def awaiting_entry(self, project: ProjectName) -> list[IssueId]:
        """Return the issues of the live tasks that have not begun, or that something from the board still holds."""

    def take_lease(self, project: ProjectName, holder: str) -> MergeLease:
        """Take the repo's lease over: the epoch grows by one and every older lease is lost."""

    def check_lease(self, lease: MergeLease) -> None:
        """Raise LeaseLost unless *lease* is the current one."""

    def add_intent(
        self, kind: IntentKind, lease: MergeLease, *, candidate: Candidate | None, task: TaskRow | None, at: datetime
    ) -> Intent: ...

    def end_intent(self, intent: IntentId, state: IntentState) -> None: ...

    def open_intents(self, project: ProjectName | None = None) -> list[Intent]: ...

    def landing_of(self, task: Task) -> Candidate | None:
        """Return the candidate that brought *task* to the default branch; None where no landing of ours did."""
