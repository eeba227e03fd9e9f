"""Fakes of git's ports on the in-memory repository: the mirror, and tasks' working copies.

Rule: they answer as the real ones do (``tests/contract`` holds those): a push that comes too late is MOVED, a stale fence raises
LeaseLost, a candidate whose content is there already is its base. Every write is logged in its order.
"""

import hashlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from fnmatch import fnmatch
from pathlib import Path

from orch.adapters.git.front_matter import FrontMatterError, parse_front_matter, split_front_matter
from orch.core.errors import LeaseLost, StoreError
from orch.core.gates import Artefact, BranchFacts
from orch.core.ids import Branch, ProjectName, RunId, Sha, TaskRow, WorkItemId, artefact_dir
from orch.core.messages import Refusal, RefusalKind
from orch.core.model import Candidate, Member, RunMode
from orch.core.train import Chain, Link
from orch.ports import (
    BuiltChain,
    CandidateMember,
    ChainSpec,
    Collected,
    LeftOut,
    MergedMain,
    Prepared,
    Pushed,
    PushResult,
    WorkspaceSpec,
)
from orch.ports.retention import Retirable
from orch.rehearsal.faults import Faults
from tests.fakes.repository import Repository

CHECKOUTS = Path("/nonexistent/checkouts")


class FakeMirror:
    """The ``Mirror`` port. *answers* are given to the next pushes of a candidate in place of git's own."""

    def __init__(self, project: ProjectName, repository: Repository, faults: Faults) -> None:
        self.project = project
        self.repository = repository
        self.answers: deque[Pushed] = deque()
        self.checkouts = 0
        self.retired: list[Retirable] = []
        self.exported: dict[Path, Sha] = {}
        self.made: set[Sha] = set()
        """What the daemon pushed to task branches."""
        self.broken: dict[Sha, str] = {}
        """Heads that can be put onto nothing, and why."""
        self._tracking: dict[str, Sha] = {}
        self._faults = faults

    async def fetch(self) -> Sha:
        async with self._faults.at("mirror.fetch"):
            self._tracking = dict(self.repository.branches)
            return self.repository.main

    async def remote_tip(self, branch: str) -> Sha | None:
        async with self._faults.at("mirror.remote_tip"):
            return self.repository.branches.get(branch)

    async def contains(self, ancestor: Sha, tip: Sha) -> bool:
        async with self._faults.at("mirror.contains"):
            return self.repository.contains(ancestor, tip)

    def tracked(self, branch: str) -> Sha | None:
        return self._tracking.get(branch)

    async def tree_of(self, sha: Sha) -> Sha:
        return tree_of(self.repository, sha)

    async def contained(self, commits: Collection[Sha], tip: Sha) -> set[Sha]:
        async with self._faults.at("mirror.contained"):
            return {sha for sha in commits if sha in self.repository.commits and self.repository.contains(sha, tip)}

    async def changed_files(self, base: Sha, tip: Sha) -> tuple[str, ...]:
        old, new = self.repository.commits[self.repository.merge_base(base, tip)].files, self.repository.commits[tip].files
        return tuple(sorted(name for name in {*old, *new} if old.get(name) != new.get(name)))

    async def build_chain(self, spec: ChainSpec) -> BuiltChain:
        async with self._faults.at("mirror.build_candidate"):
            tips, left_out = [spec.base], []
            links: list[Link] = []
            for member in spec.members:
                if len(links) >= spec.most:
                    break
                if member.head in self.broken:
                    left_out.append(LeftOut(task=member.task, head=member.head, detail=self.broken[member.head], broken=True))
                    continue
                files, conflicts = self.repository.merge(tips[-1], member.head)
                if conflicts:
                    left_out.append(self._leave_out(tips, links, member))
                    continue
                as_it_is = spec.as_is and self.repository.contains(tips[-1], member.head)
                if files == self.repository.commits[tips[-1]].files:
                    tips.append(tips[-1])
                else:
                    made = self.repository.commit(files, (tips[-1],), f"{member.message}\n{spec.style}")
                    tips.append(member.head if as_it_is else made)
                pinned = Member(task=member.task, head=member.head)
                links.append(Link(member=pinned, sha=tips[-1], tree=tree_of(self.repository, tips[-1])))
            chain = Chain(base=spec.base, base_tree=tree_of(self.repository, spec.base), links=tuple(links))
            return BuiltChain(chain=chain, left_out=tuple(left_out))

    def _leave_out(self, tips: Sequence[Sha], links: Sequence[Link], member: CandidateMember) -> LeftOut:
        found = [self.repository.merge(tip, member.head)[1] for tip in tips]
        first = next(place for place, conflicts in enumerate(found) if conflicts)
        after = links[first - 1].member.task if first else None
        return LeftOut(task=member.task, head=member.head, after=after, files=tuple(found[first]), detail="CONFLICT (content)")

    async def push_candidate(self, candidate: Candidate) -> Pushed:
        async with self._faults.at("mirror.push_candidate"):
            if self.answers:
                return self.answers.popleft()
            main = self.repository.main
            if self.repository.contains(candidate.sha, main):
                return Pushed(result=PushResult.PUSHED)
            if main != candidate.base:
                return Pushed(result=PushResult.MOVED, detail=f"main is at {main}")
            self.repository.set_main(candidate.sha)
            self._faults.wrote("main", candidate.sha)
            return Pushed(result=PushResult.PUSHED)

    async def push_branch(self, branch: Branch, sha: Sha, *, expected: Sha | None) -> Pushed:
        async with self._faults.at("mirror.push_branch"):
            tip = self.repository.branches.get(branch)
            if tip not in (expected, sha):
                return Pushed(result=PushResult.MOVED, detail=f"{branch} is at {tip}")
            self.made.add(sha)
            self.repository.branches[branch] = sha
            self._faults.wrote("branch", f"{branch} {sha}")
            return Pushed(result=PushResult.PUSHED)

    async def write_artefact(self, branch: Branch, head: Sha, work_item: WorkItemId, *, name: str, text: str) -> Sha | None:
        async with self._faults.at("mirror.write_artefact"):
            if self.repository.branches.get(branch) != head:
                return None
            made = self.repository.change(head, {f"{artefact_dir(work_item)}/{name}": text}, f"Keep {name}")
            self.made.add(made)
            self.repository.branches[branch] = made
            return made

    async def is_ours(self, branch: Branch, tip: Sha) -> bool:
        return tip in self.made

    async def delete_branch(self, branch: Branch, *, expected: Sha) -> Pushed:
        async with self._faults.at("mirror.delete_branch"):
            tip = self.repository.branches.get(branch)
            if tip not in (expected, None):
                return Pushed(result=PushResult.MOVED, detail=f"{branch} is at {tip}")
            if self.repository.branches.pop(branch, None) is not None:
                self._faults.wrote("delete branch", branch)
            return Pushed(result=PushResult.PUSHED)

    async def keep_branch(self, branch: Branch, *, task: TaskRow, runs: Sequence[RunId], head: Sha | None) -> Sha | None:
        async with self._faults.at("mirror.keep_branch"):
            tip = self.repository.branches.get(branch)
            if tip is not None:
                self._faults.wrote("keep branch", f"{branch} {tip}")
            return tip

    async def diff_stat(self, base: Sha, tip: Sha) -> str:
        return f"{base[:7]}...{tip[:7]}"

    async def read_artefacts(self, sha: Sha, work_item: WorkItemId, base: Sha) -> BranchFacts:
        async with self._faults.at("mirror.read_artefacts"):
            return read_facts(self.repository, sha, work_item, base)

    async def export(self, sha: Sha, folder: Path) -> None:
        async with self._faults.at("mirror.export"):
            self.exported[folder] = sha

    async def retire(self, gone: Collection[Retirable], *, kept: Collection[Sha], days: int) -> int:
        async with self._faults.at("mirror.retire"):
            self.retired += gone
            return len(gone)

    def checkout(self, sha: Sha, label: str) -> AbstractAsyncContextManager[Path]:
        return self._checkout(sha, label)

    @asynccontextmanager
    async def _checkout(self, sha: Sha, label: str) -> AsyncIterator[Path]:
        async with self._faults.at("mirror.checkout"):
            self.checkouts += 1
        try:
            yield CHECKOUTS / label / sha
        finally:
            self.checkouts -= 1


def tree_of(repository: Repository, sha: Sha) -> Sha:
    """Return a name of the commit's content alone, as git's tree is."""
    text = repr(sorted(repository.commits[sha].files.items()))
    return Sha(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def read_facts(repository: Repository, sha: Sha, work_item: WorkItemId, base: Sha) -> BranchFacts:
    """Read a branch as the real mirror does: the folder at its head, and its newest commit of code."""
    folder = f"{artefact_dir(work_item)}/"
    artefacts = {}
    for path, text in repository.commits[sha].files.items():
        name = path.removeprefix(folder)
        if path.startswith(folder) and not name.startswith("history/"):
            artefacts[name] = _artefact(name, text)
    return BranchFacts(head=sha, code_head=_code_head(repository, sha, folder, base), artefacts=artefacts)


def _artefact(name: str, text: str) -> Artefact:
    blob = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    try:
        front, body = split_front_matter(text)
        return Artefact(name=name, blob=blob, text=body, front=None if front is None else parse_front_matter(front))
    except FrontMatterError as error:
        return Artefact(name=name, blob=blob, text=text, problem=str(error))


def _code_head(repository: Repository, sha: Sha, folder: str, base: Sha) -> Sha | None:
    def code(commit: Sha) -> dict[str, str]:
        return {path: text for path, text in repository.commits[commit].files.items() if not path.startswith(folder)}

    while sha != base and repository.commits[sha].parents:
        parent = repository.commits[sha].parents[0]
        if code(sha) != code(parent):
            return sha
        sha = parent
    return None


class FakeWorkspace:
    """The ``Workspace`` port. What the agent changed is put in by the processes' fake (``leave``); *refusals* are given first."""

    def __init__(self, mirror: FakeMirror, faults: Faults, may_push: Callable[[WorkspaceSpec], Awaitable[bool]]) -> None:
        self._mirror = mirror
        self._faults = faults
        self._may_push = may_push
        self._open: dict[TaskRow, RunId] = {}
        self._results: set[Sha] = set()
        self._changes: dict[TaskRow, Mapping[str, str | None]] = {}
        self.refusals: deque[Refusal] = deque()
        self.archives: dict[RunId, Mapping[str, str | None]] = {}
        self.specs: list[WorkspaceSpec] = []

    def leave(self, task: TaskRow, changes: Mapping[str, str | None]) -> None:
        """Change files of the task's working copy."""
        self._changes[task] = {**self._changes.get(task, {}), **changes}

    async def prepare(self, spec: WorkspaceSpec) -> Prepared:
        async with self._faults.at("workspace.prepare"):
            assert spec.task not in self._open, f"run {spec.run} got a working copy that run {self._open[spec.task]} still has"
            self.specs.append(spec)
            repository = self._mirror.repository
            base = spec.base or repository.main
            start = spec.head or base
            merged = None
            if spec.mode is RunMode.NEW_ATTEMPT:
                if spec.merge_main:
                    start, merged = self._merge_main(start)
                start = self._retire(spec, start)
                self._changes.pop(spec.task, None)
            self._open[spec.task] = spec.run
            place = Path(f"/nonexistent/tasks/{int(spec.task)}")
            return Prepared(
                worktree=place / "worktree",
                home=place / "home",
                start_head=start,
                base=base,
                branch=spec.branch,
                merged=merged,
            )

    def _merge_main(self, head: Sha) -> tuple[Sha, MergedMain | None]:
        """Merge main into *head*; a conflict stands in its file between markers."""
        repository, main = self._mirror.repository, self._mirror.repository.main
        if repository.contains(main, head):
            return head, None
        files, conflicts = repository.merge(head, main)
        theirs = repository.commits[main].files
        for name in conflicts:
            mine = files.get(name, "")
            files[name] = f"<<<<<<< {head}\n{mine}=======\n{theirs.get(name, '')}>>>>>>> {main}\n"
        made = repository.commit(files, (head, main), "Merge the default branch")
        return made, MergedMain(main=main, marked=tuple(conflicts))

    def _retire(self, spec: WorkspaceSpec, start: Sha) -> Sha:
        folder, repository = artefact_dir(spec.work_item), self._mirror.repository
        changes: dict[str, str | None] = {f"{folder}/00-request.md": spec.request}
        for path, text in repository.commits[start].files.items():
            name = path.removeprefix(f"{folder}/")
            if path != name and any(fnmatch(name, pattern) for pattern in spec.retire):
                changes |= {path: None, f"{folder}/history/{int(spec.run)}/{name}": text}
        return repository.change(start, changes, f"start of run {int(spec.run)}")

    async def archive(self, spec: WorkspaceSpec) -> Sha | None:
        """Keep what is there; from now on the working copy is free."""
        async with self._faults.at("workspace.archive"):
            if self._open.get(spec.task) != spec.run:
                return None
            del self._open[spec.task]
            self.archives[spec.run] = dict(self._changes.get(spec.task, {}))
            self._faults.wrote("archive", str(int(spec.run)))
            return self._mirror.repository.commit({"archive": repr(self.archives[spec.run])}, (), f"archive {int(spec.run)}")

    async def collect(self, spec: WorkspaceSpec, prepared: Prepared) -> Collected | Refusal:
        async with self._faults.at("workspace.collect"):
            if spec.run not in self.archives:
                raise StoreError(f"run {int(spec.run)} has nothing to collect")
            if self.refusals:
                return self.refusals.popleft()
            changes = self._changes.get(spec.task, {})
            outside = [path for path in changes if spec.allowed and not path.startswith(spec.allowed)]
            if outside:
                return Refusal(kind=RefusalKind.PATHS, reason=f"changed outside its folder: {', '.join(outside)}")
            repository = self._mirror.repository
            head = repository.change(prepared.start_head, changes, f"run {int(spec.run)}") if changes else prepared.start_head
            marked = [name for name, text in repository.commits[head].files.items() if "<<<<<<< " in text]
            if marked:
                return Refusal(kind=RefusalKind.MARKERS, reason=f"conflict markers are left in {', '.join(marked)}")
            if not await self._may_push(spec):
                raise LeaseLost(f"run {int(spec.run)} is no longer the task's current attempt")
            pushed = await self._push(spec, head)
            if pushed.result is not PushResult.PUSHED:
                met = await self._meet(spec, head)
                if isinstance(met, Refusal):
                    return met
                head = met
            return Collected(facts=read_facts(repository, head, spec.work_item, prepared.base))

    async def _push(self, spec: WorkspaceSpec, head: Sha) -> Pushed:
        """Push with a lease; what an earlier run of ours pushed and nobody recorded counts as the pinned head."""
        self._results.add(head)
        tip = self._mirror.repository.branches.get(spec.branch)
        unrecorded = (
            tip is not None
            and tip in self._results
            and (spec.head is None or not self._mirror.repository.contains(tip, spec.head))
        )
        return await self._mirror.push_branch(spec.branch, head, expected=tip if unrecorded else spec.head)

    async def _meet(self, spec: WorkspaceSpec, head: Sha) -> Sha | Refusal:
        """Replay the result on a person's push on top of the pinned head; a branch that was removed is pushed again."""
        repository, tip = self._mirror.repository, self._mirror.repository.branches.get(spec.branch)
        if tip is None:
            await self._mirror.push_branch(spec.branch, head, expected=None)
            return head
        if spec.head is None or not repository.contains(spec.head, tip):
            return Refusal(kind=RefusalKind.REMOTE_MOVED, reason=f"{spec.branch} is at {tip}")
        files, conflicts = repository.merge(tip, head)
        if conflicts:
            return Refusal(kind=RefusalKind.REPLAY_CONFLICT, reason=f"conflict in {', '.join(conflicts)}")
        made = repository.commit(files, (tip,), f"replayed run {int(spec.run)}")
        await self._mirror.push_branch(spec.branch, made, expected=tip)
        return made

    async def remove(self, task: TaskRow) -> None:
        self._faults.wrote("remove", str(int(task)))
