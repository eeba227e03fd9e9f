"""The real local board, desk and forge with faults in front of each call; the store with faults of its disk.

Rule: nothing is modelled twice: what these do is what the daemon does.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.lowlevel

from orch.adapters.local_board import LocalBoard
from orch.adapters.local_forge import LocalForge
from orch.adapters.store import InlineStore
from orch.core.errors import StoreError
from orch.core.ids import Branch, DeployId, IssueId, RunId, Sha
from orch.core.model import Activity, BoardComment, BoardIssue, CommitStatus, Project, PullRequest, PullRequestState
from orch.core.room import Free
from orch.core.stages import Role
from orch.core.statuses import BoardState
from orch.ports import Clock, Store, Tx
from orch.rehearsal.faults import Faults
from tests.fakes.repository import Repository

T = TypeVar("T")


class FakeShelves:
    """The ``Shelves`` port: it remembers what was to go."""

    def __init__(self) -> None:
        self.runs: list[RunId] = []
        self.deploys: list[DeployId] = []

    async def remove(self, runs: Collection[RunId], deploys: Collection[DeployId]) -> None:
        await anyio.lowlevel.checkpoint()
        self.runs += runs
        self.deploys += deploys


class FakeRoom:
    """The ``Room`` port: what is free is what a test says."""

    def __init__(self) -> None:
        self.free = Free(memory_mb=100_000, disk_mb=100_000)

    async def measure(self) -> Free:
        await anyio.lowlevel.checkpoint()
        return self.free


class FaultyStore:
    """The inline store on a disk that can be full: every write fails until there is room again; reads go on."""

    def __init__(self, inner: InlineStore) -> None:
        self._inner = inner
        self.full = False
        self.refused = 0

    async def transact(self, work: Callable[[Tx], T]) -> T:
        if self.full:
            await anyio.lowlevel.checkpoint()
            self.refused += 1
            raise StoreError("the store's disk is full; free some space")
        return await self._inner.transact(work)

    async def read(self, work: Callable[[Tx], T]) -> T:
        return await self._inner.read(work)

    async def aclose(self) -> None:
        await self._inner.aclose()


class FaultyBoard(LocalBoard):
    def __init__(self, store: Store, project: Project, clock: Clock, faults: Faults) -> None:
        super().__init__(store, project.name, clock, project.prefix)
        self._faults = faults
        self.states: list[BoardState] | None = None
        self.gone: set[IssueId] = set()
        """Issues that were deleted or archived."""
        self.edited: dict[IssueId, BoardIssue] = {}
        """Issues whose text a person has changed."""
        self.blocked_by: dict[IssueId, list[IssueId]] = {}
        """The relations that a board with relations would tell."""
        self._lagging_since: datetime | None = None

    def lag(self) -> None:
        """From now on the activity log is behind: what happens is not in it, until it catches up."""
        self._lagging_since = self._clock.now()

    def catch_up(self) -> None:
        self._lagging_since = None

    async def fetch_states(self) -> list[BoardState]:
        async with self._faults.at("board.fetch_states"):
            return list(self.states) if self.states is not None else await super().fetch_states()

    async def fetch_issue(self, issue: IssueId) -> BoardIssue | None:
        async with self._faults.at("board.fetch_issue"):
            found = None if issue in self.gone else await super().fetch_issue(issue)
            edited = self.edited.get(issue)
            if found is None or edited is None:
                return found
            return replace(found, title=edited.title, text=edited.text, slug=edited.slug)

    async def fetch_activities(self, issue: IssueId, *, since: datetime | None = None) -> list[Activity]:
        async with self._faults.at("board.fetch_activities"):
            entries, lagging = await super().fetch_activities(issue, since=since), self._lagging_since
            return [entry for entry in entries if lagging is None or entry.created_at < lagging]

    async def fetch_blocked_by(self, issue: IssueId) -> list[IssueId]:
        async with self._faults.at("board.fetch_blocked_by"):
            return list(self.blocked_by.get(issue, ()))

    async def fetch_comments(self, issue: IssueId) -> list[BoardComment]:
        async with self._faults.at("board.fetch_comments"):
            return await super().fetch_comments(issue)

    async def fetch_changed(self, since: datetime | None) -> list[BoardIssue]:
        async with self._faults.at("board.fetch_changed"):
            return [issue for issue in await super().fetch_changed(since) if issue.id not in self.gone]

    async def set_state(self, issue: IssueId, state_id: str) -> None:
        async with self._faults.at("board.set_state"):
            await super().set_state(issue, state_id)
            self._faults.wrote("state", f"{issue} {state_id}")

    async def add_comment(self, issue: IssueId, *, role: Role, text: str, key: str) -> None:
        async with self._faults.at("board.add_comment"):
            await super().add_comment(issue, role=role, text=text, key=key)
            self._faults.wrote("comment", text)

    async def create_issue(self, *, title: str, text: str, key: str) -> BoardIssue:
        async with self._faults.at("board.create_issue"):
            return await super().create_issue(title=title, text=text, key=key)


class FaultyForge(LocalForge):
    """Its look at git goes to the in-memory repository."""

    def __init__(self, store: Store, project: str, clock: Clock, faults: Faults, repository: Repository) -> None:
        super().__init__(store, project, Path("/nonexistent/forge"), "main", clock)  # type: ignore[arg-type]
        self._faults = faults
        self._repository = repository

    async def _landed(self, sha: Sha) -> bool:
        return self._repository.contains(sha, self._repository.main)

    async def open_pull_request(self, branch: Branch, *, title: str, body: str) -> PullRequest:
        async with self._faults.at("forge.open_pull_request"):
            pull = await super().open_pull_request(branch, title=title, body=body)
            self._faults.wrote("pull request", f"{pull.number} {branch}")
            return pull

    async def fetch_statuses(self, sha: Sha) -> list[CommitStatus]:
        async with self._faults.at("forge.fetch_statuses"):
            return await super().fetch_statuses(sha)

    async def list_pull_requests(
        self, state: PullRequestState | None = None, *, since: datetime | None = None
    ) -> list[PullRequest]:
        async with self._faults.at("forge.list_pull_requests"):
            return await super().list_pull_requests(state, since=since)

    async def edit_pull_request(
        self, number: int, *, title: str | None = None, body: str | None = None, state: PullRequestState | None = None
    ) -> PullRequest:
        async with self._faults.at("forge.edit_pull_request"):
            return await super().edit_pull_request(number, title=title, body=body, state=state)

    async def mark_merged(self, number: int, sha: Sha) -> PullRequest:
        async with self._faults.at("forge.mark_merged"):
            pull = await super().mark_merged(number, sha)
            self._faults.wrote("merged", f"{number} {sha}")
            return pull

    async def keep_comment(self, number: int, *, marker: str, text: str) -> None:
        async with self._faults.at("forge.keep_comment"):
            await super().keep_comment(number, marker=marker, text=text)

    async def post_status(self, status: CommitStatus) -> None:
        async with self._faults.at("forge.post_status"):
            await super().post_status(status)
            self._faults.wrote("ci", f"{status.sha} {status.state}")
