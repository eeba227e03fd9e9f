"""The mirror: the daemon's bare clone of one repo, in which everything lands.

Owns: nothing but its parts, and which of them answers what: the clone and its remote (``clone``), candidates (``candidate``), the
push of the default branch (``main_push``), task branches (``task_branches``), working copies (``checkouts``), what history says
(``history``), what goes when it is old (``retention``). Does not own: decisions, or any agent's repository.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import final

import anyio

from orch.adapters.git import history, retention
from orch.adapters.git.artefacts import read_branch
from orch.adapters.git.candidate import ChainBuilder
from orch.adapters.git.checkouts import Checkouts
from orch.adapters.git.clone import Clone
from orch.adapters.git.main_push import MainPush
from orch.adapters.git.objects import is_loose
from orch.adapters.git.refs import write_locked
from orch.adapters.git.runner import Git
from orch.adapters.git.task_branches import TaskBranches
from orch.core.errors import PermanentError, StoreError
from orch.core.gates import BranchFacts
from orch.core.ids import Branch, ProjectName, RunId, Sha, TaskRow, WorkItemId, candidate_ref, parse_sha
from orch.core.landing import make_candidate
from orch.core.model import Candidate, LandStyle
from orch.failpoints import hit
from orch.ports.git import BuiltChain, CandidateMember, ChainSpec, LeftOut, Pushed
from orch.ports.retention import Retirable
from orch.ports.services import GitRemote


@final
class GitMirror:
    """One repo's mirror. Made on first use; calls may run side by side."""

    def __init__(
        self,
        path: Path,
        remote: GitRemote | Callable[[], GitRemote],
        *,
        project: ProjectName,
        default_branch: str,
        git: Git,
    ) -> None:
        self._clone = Clone(path, remote, project=project, default_branch=default_branch, git=git)
        self.path = self._clone.path
        self.git = git
        self.project = project
        self.default_branch = self._clone.default_branch
        self._builder = ChainBuilder(git, self.path)
        self._main = MainPush(self._clone)
        self._branches = TaskBranches(self._clone)
        self._checkouts = Checkouts(self._clone)
        self._building = anyio.Lock()
        self._kept: Sha | None = None

    @property
    def objects(self) -> Path:
        """The object store that working copies borrow from (readable for an agent, never writable)."""
        return self._clone.objects

    @property
    def sha256(self) -> bool:
        """Whether the repository names its objects by SHA-256."""
        return "objectformat = sha256" in (self.path / "config").read_text(encoding="utf-8")

    def remote(self) -> GitRemote:
        return self._clone.remote()

    async def ensure(self) -> None:
        """Make the mirror if it is not there yet; a half-made one is begun again."""
        await self._clone.ensure()

    async def fetch(self) -> Sha:
        return await self._clone.fetch()

    async def take(self, git_dir: Path, source: str, target: str) -> None:
        """Copy *source* of one of the daemon's own repositories to the mirror's ref *target*, with everything it needs.

        Raises StoreError when the objects do not hold together.
        """
        await self._clone.take(git_dir, source, target)

    async def set_ref(self, ref: str, sha: Sha) -> None:
        await self._clone.set_ref(ref, sha)

    # ------------------------------------------------------------------------------------------ asking

    def tracked(self, branch: str) -> Sha | None:
        """Return a remote branch's tip as last fetched."""
        return self._clone.tracked(branch)

    async def remote_tip(self, branch: str) -> Sha | None:
        return await self._clone.remote_tip(branch)

    async def contains(self, ancestor: Sha, tip: Sha) -> bool:
        await self.ensure()
        return await history.contains(self.git, self.path, ancestor, tip)

    async def tree_of(self, sha: Sha) -> Sha:
        await self.ensure()
        return parse_sha((await self.git.run(self.path, "rev-parse", "--verify", f"{parse_sha(sha)}^{{tree}}")).word())

    async def contained(self, commits: Collection[Sha], tip: Sha) -> set[Sha]:
        await self.ensure()
        return await history.contained(self.git, self.path, commits, tip)

    async def changed_files(self, base: Sha, tip: Sha) -> tuple[str, ...]:
        await self.ensure()
        return await history.changed_files(self.git, self.path, base, tip)

    async def diff_stat(self, base: Sha, tip: Sha) -> str:
        await self.ensure()
        return await history.diff_stat(self.git, self.path, base, tip)

    async def read_artefacts(self, sha: Sha, work_item: WorkItemId, base: Sha) -> BranchFacts:
        await self.ensure()
        return await read_branch(self.git, self.path, parse_sha(sha), work_item, parse_sha(base))

    # ------------------------------------------------------------------------------------------ landing

    async def build_chain(self, spec: ChainSpec) -> BuiltChain:
        await self.ensure()
        async with self._building:  # whoever asks for the same at once finds it made
            built = await self._builder.build(spec)
            try:
                await self._keep(built.chain.sha(len(built.chain.links)))
            except (StoreError, PermanentError):  # what was built earlier has been removed from the mirror
                self._builder.forget()
                built = await self._builder.build(spec)
                await self._keep(built.chain.sha(len(built.chain.links)))
        return built

    async def _keep(self, tip: Sha) -> None:
        """Keep the chain's longest candidate, and with it all the others."""
        if tip != self._kept:
            if not is_loose(self.path, tip) or not write_locked(self.path, candidate_ref(tip), tip):
                await self.set_ref(candidate_ref(tip), tip)  # which looks whether the commit is there
            self._kept = tip
            hit("candidate.kept")

    async def build_candidate(self, base: Sha, members: Sequence[CandidateMember], style: LandStyle) -> Candidate | LeftOut:
        """Make one candidate of all *members*, or say which of them cannot be in it."""
        built = await self.build_chain(ChainSpec(base=base, members=members, style=style))
        if built.left_out:
            return built.left_out[0]
        return make_candidate(self.project, built.chain, len(members))

    async def push_candidate(self, candidate: Candidate) -> Pushed:
        return await self._main.push(candidate)

    # ------------------------------------------------------------------------------------------ task branches

    async def push_branch(self, branch: Branch, sha: Sha, *, expected: Sha | None) -> Pushed:
        return await self._branches.push(branch, sha, expected=expected)

    async def delete_branch(self, branch: Branch, *, expected: Sha) -> Pushed:
        return await self._branches.delete(branch, expected=expected)

    async def is_ours(self, branch: Branch, tip: Sha) -> bool:
        return await self._branches.is_ours(branch, tip)

    async def keep_branch(self, branch: Branch, *, task: TaskRow, runs: Sequence[RunId], head: Sha | None) -> Sha | None:
        return await self._branches.keep(branch, task=task, runs=runs, head=head)

    async def write_artefact(self, branch: Branch, head: Sha, work_item: WorkItemId, *, name: str, text: str) -> Sha | None:
        return await self._branches.write_artefact(branch, head, work_item, name=name, text=text)

    # ------------------------------------------------------------------------------------------ files

    def checkout(self, sha: Sha, label: str) -> AbstractAsyncContextManager[Path]:
        return self._checkouts.checkout(parse_sha(sha), label)

    async def export(self, sha: Sha, folder: Path) -> None:
        await self._checkouts.export(parse_sha(sha), folder)

    async def retire(self, gone: Collection[Retirable], *, kept: Collection[Sha], days: int) -> int:
        if not self.path.exists():
            return 0
        await self.ensure()
        keep = kept if self._kept is None else [*kept, self._kept]
        count = await retention.drop_refs(self.git, self.path, gone, kept=keep)
        await retention.pack(self.git, self.path, days)
        return count
