"""Ports of git: the mirror in which everything lands, and the task's own working copy.

Rule: an agent's repository is data; nothing found in it is ever run by the daemon.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, final

from orch.core.gates import BranchFacts
from orch.core.ids import (
    Attempt,
    Branch,
    RunId,
    Sha,
    TaskRow,
    WorkItemId,
)
from orch.core.messages import Refusal
from orch.core.model import (
    Candidate,
    LandStyle,
    RunMode,
)
from orch.core.stages import Role
from orch.core.train import Chain
from orch.ports.retention import Retirable


class PushResult(StrEnum):
    """What a push to the forge came to."""

    PUSHED = "pushed"
    MOVED = "moved"
    """The remote ref was not what was expected, or moved meanwhile."""
    DIRTY = "dirty"
    """The checked-out default branch has uncommitted changes (local forge)."""
    REFUSED = "refused"
    """The server refused it for a reason that stays (protection, rights)."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    result: PushResult
    detail: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateMember:
    """What a candidate is made from: the pinned head, and the message for squash and merge styles."""

    task: TaskRow
    head: Sha
    message: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSpec:
    """What a chain is made from. *most* links are enough. *as_is*: a branch that holds what it is put onto is not made anew."""

    base: Sha
    members: Sequence[CandidateMember]
    style: LandStyle
    most: int = 10_000
    as_is: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A member that the chain goes without. It conflicts in *files* with the base, or with the member *after* where that is set.

    *broken*: it can be put onto nothing, and *detail* says why.
    """

    task: TaskRow
    head: Sha
    after: TaskRow | None = None
    files: tuple[str, ...] = ()
    detail: str = ""
    broken: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltChain:
    """A chain, and the members that came up before it was long enough and are not in it."""

    chain: Chain
    left_out: tuple[LeftOut, ...] = ()


class Mirror(Protocol):
    """The daemon's bare clone of one repo. All landing happens here; no agent can write to it.

    Raises TransientError when the remote cannot be reached, StoreError when the mirror itself is unusable.
    """

    async def fetch(self) -> Sha:
        """Fetch every branch and return the default branch's tip."""

    async def remote_tip(self, branch: str) -> Sha | None:
        """Ask the remote itself (``ls-remote``) for a branch's tip."""

    async def contains(self, ancestor: Sha, tip: Sha) -> bool:
        """Say whether *ancestor* is *tip* or reachable from it."""

    def tracked(self, branch: str) -> Sha | None:
        """Return a remote branch's tip as last fetched."""

    async def tree_of(self, sha: Sha) -> Sha:
        """Return the tree of a commit."""

    async def contained(self, commits: Collection[Sha], tip: Sha) -> set[Sha]:
        """Return those of *commits* that are *tip* or reachable from it; one that the mirror lacks is not."""

    async def changed_files(self, base: Sha, tip: Sha) -> tuple[str, ...]:
        """Return the files that *tip* changed since it left *base*'s line, at most 2,000."""

    async def build_chain(self, spec: ChainSpec) -> BuiltChain:
        """Make the candidates of *spec*, each on the one before it, and keep the longest under a candidate ref.

        ``rebase`` retells each commit (a branch that holds a merge becomes one squashed commit), ``squash`` makes one commit
        per member, ``merge`` a merge commit per member; the tree is the same. A member whose content is there already adds
        nothing. No branch is rewritten. The same *spec* gives the same commits, at any time.
        """

    async def push_candidate(self, candidate: Candidate) -> Pushed:
        """Push exactly the candidate to the default branch, without force and without a lease, and verify by ``ls-remote``."""

    async def push_branch(self, branch: Branch, sha: Sha, *, expected: Sha | None) -> Pushed:
        """Push a task branch with a lease on *expected* (None: it must not exist)."""

    async def is_ours(self, branch: Branch, tip: Sha) -> bool:
        """Say whether the daemon itself made *tip* for a task branch: what a run came to, or a report on the branch."""

    async def write_artefact(self, branch: Branch, head: Sha, work_item: WorkItemId, *, name: str, text: str) -> Sha | None:
        """Commit one artefact of the daemon's own on *head* and push the branch; return the new head.

        None when the branch is no longer at *head*; *head* itself when the file says that already.
        """

    async def delete_branch(self, branch: Branch, *, expected: Sha) -> Pushed:
        """Delete a task branch at exactly *expected*; an already deleted one counts as pushed."""

    async def keep_branch(self, branch: Branch, *, task: TaskRow, runs: Sequence[RunId], head: Sha | None) -> Sha | None:
        """Fetch the remote task branch into the task's archive and return its tip, or None when there is none of ours.

        It is ours when we pushed it: *head* is where we last recorded it; with None, its tip must come from one of *runs*.
        """

    async def diff_stat(self, base: Sha, tip: Sha) -> str:
        """Return ``git diff --stat`` of base...tip, at most 4,000 characters."""

    async def read_artefacts(self, sha: Sha, work_item: WorkItemId, base: Sha) -> BranchFacts:
        """Read a task branch at *sha*: the artefact folder, and the newest code commit since *base*."""

    def checkout(self, sha: Sha, label: str) -> AbstractAsyncContextManager[Path]:
        """Give a throw-away working copy of *sha* for the daemon's own commands; it is removed at the end."""

    async def export(self, sha: Sha, folder: Path) -> None:
        """Lay a working copy of *sha* out at *folder*, whole or not at all; nothing where one stands there already."""

    async def retire(self, gone: Collection[Retirable], *, kept: Collection[Sha], days: int) -> int:
        """Drop what the mirror kept of ended tasks, and every candidate but *kept*; return how many refs went.

        Objects that nothing reaches go later, when they are older than *days*. The documents of every task stay.
        """


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MergedMain:
    """The default branch at *main* was merged into the working copy.

    *marked* files hold conflict markers; *notes* tell of conflicts that leave none (a binary file, one side removed).
    """

    main: Sha
    marked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A worktree ready for a run. *start_head* is what the run starts from, *base* where the branch was cut.

    *branch* is the task's branch: another name than was asked for where the forge had that one already. *merged* is set where
    the run starts from a merge of the default branch, made by the daemon.
    """

    worktree: Path
    home: Path
    start_head: Sha
    base: Sha
    branch: Branch
    merged: MergedMain | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSpec:
    """What a worktree is prepared for. *allowed* are path prefixes the role may change, empty for all."""

    task: TaskRow
    run: RunId
    attempt: Attempt
    work_item: WorkItemId
    branch: Branch
    base: Sha | None
    head: Sha | None
    role: Role
    mode: RunMode
    request: str
    """The text of ``00-request.md``."""
    retire: tuple[str, ...]
    """Artefact names (may hold ``*``) that move to ``history/`` before a new attempt."""
    allowed: tuple[str, ...]
    setup_command: tuple[str, ...] = ()
    continues: RunId | None = None
    """The run that a continuation goes on with: no other run's archive is restored. None: the task's last one."""
    merge_main: bool = False
    """A new attempt begins with the freshly fetched default branch merged in, conflict markers included."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A finished run's branch, checked and pushed."""

    facts: BranchFacts


class Workspace(Protocol):
    """The task's own working copy and private home, at fixed paths, and the way back from them into the mirror."""

    async def prepare(self, spec: WorkspaceSpec) -> Prepared:
        """Make or restore the working copy: the first run cuts the branch from the freshly fetched default branch.

        A new attempt resets to the pinned head, into which the default branch is merged where *merge_main* says so, and moves
        *retire* to ``history/``; a continuation restores exactly the last archived tree. Raises TransientError when the fetch
        or the setup command fails.
        """

    async def archive(self, spec: WorkspaceSpec) -> Sha | None:
        """Commit everything, uncommitted changes included, to the run's archive ref; None when there is nothing."""

    async def collect(self, spec: WorkspaceSpec, prepared: Prepared) -> Collected | Refusal:
        """Commit leftovers, fetch the branch into ``refs/agents/<run>/<attempt>``, check it and push it.

        Checks: descends from *start_head*; only allowed paths changed; no file over 50 MB; no symlink out of the tree; no
        conflict marker left of a merge that the run began with.
        """

    async def remove(self, task: TaskRow) -> None:
        """Remove worktree and home."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """One file of a task's artefact folder; *name* is relative to it. *problem*: why its content cannot be shown."""

    name: str
    size: int
    blob: Sha
    problem: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFile:
    """One file of a diff, with the lines added and deleted; None for what has no lines (a binary file)."""

    path: str
    added: int | None
    deleted: int | None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BranchDiff:
    """What a branch changed since it left its base's line. The sums are over all files, *files* are the first of them."""

    files: tuple[ChangedFile, ...] = ()
    count: int = 0
    added: int = 0
    deleted: int = 0


class BranchReader(Protocol):
    """What people are shown of a task branch: read from the mirror as it is, nothing is fetched.

    A commit or a mirror that is not there (yet, or any more) gives nothing. Raises TransientError or StoreError for git's own
    trouble.
    """

    async def list_artefacts(self, sha: Sha, work_item: WorkItemId) -> tuple[FoundFile, ...]:
        """Return the files of the artefact folder at *sha*, ``history/`` included, at most 200."""

    async def read_artefact(self, sha: Sha, work_item: WorkItemId, name: str) -> bytes | None:
        """Return the content of the artefact *name*; None where there is no such file or it cannot be shown."""

    async def diff(self, base: Sha, tip: Sha) -> BranchDiff:
        """Return what *tip* changed since it left *base*'s line, at most 500 files of it."""
