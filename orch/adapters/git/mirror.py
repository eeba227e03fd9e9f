"""The mirror: the daemon's bare clone of one repo, in which everything lands.

Owns: fetching, candidates, the two kinds of push, and reading branches. Does not own: decisions, or any agent's repository.
Design: the remote's branches are kept under ``refs/remotes/origin/*`` and the mirror has no branch of its own, so no local
ref can be mistaken for what the remote said; the remote is named by URL at every call and no remote is configured. A fetch
first asks what stands there, and ends with that where all is known: most looks find nothing new, and our own pushes are known.
Races we accept: another pusher may come between our look at the default branch and our push; the push is then refused by
git (not a descendant) or by the server (old value changed), and the caller plans again.
"""

import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import assert_never, final
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from orch.adapters.git import history, retention
from orch.adapters.git.artefacts import read_branch
from orch.adapters.git.candidate import ChainBuilder
from orch.adapters.git.layout import check_ref_part, lay_out, read_ref, remove_tree
from orch.adapters.git.push import Answer, PushAnswer, ask_heads, ask_tip, push_ref
from orch.adapters.git.refs import list_refs, write_locked
from orch.adapters.git.runner import Git, Options
from orch.core.errors import ConfigError, DomainError, PermanentError, StoreError, TransientError
from orch.core.gates import BranchFacts
from orch.core.ids import (
    Branch,
    ProjectName,
    RunId,
    Sha,
    TaskRow,
    WorkItemId,
    archive_ref,
    artefact_dir,
    candidate_ref,
    parse_sha,
    report_ref,
)
from orch.core.landing import make_candidate
from orch.core.model import Candidate, LandStyle
from orch.failpoints import hit
from orch.ports.git import BuiltChain, CandidateMember, ChainSpec, LeftOut, Pushed, PushResult
from orch.ports.retention import Retirable
from orch.ports.services import GitRemote

_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
_TRACKING = "refs/remotes/origin"
_REMOVE_S = 60.0


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
        self.path = path.absolute()
        self.git = git
        self.project = project
        self.default_branch = check_ref_part(default_branch)
        self._remote = remote
        self._checkouts = self.path.with_name(self.path.name + ".checkouts")
        self._fetching = anyio.Lock()
        self._making = anyio.Lock()
        self._builder = ChainBuilder(git, self.path)
        self._kept: Sha | None = None
        self._ready = False
        self._swept = False

    @property
    def objects(self) -> Path:
        """The object store that working copies borrow from (readable for an agent, never writable)."""
        return self.path / "objects"

    @property
    def sha256(self) -> bool:
        """Whether the repository names its objects by SHA-256."""
        return "objectformat = sha256" in (self.path / "config").read_text(encoding="utf-8")

    def remote(self) -> GitRemote:
        remote = self._remote if isinstance(self._remote, GitRemote) else self._remote()
        if "://" in remote.url and urlsplit(remote.url).password is not None:
            raise ConfigError(
                f"the repository URL of project {self.project} holds a password: give it as a token setting instead"
            )
        return remote

    # ------------------------------------------------------------------------------------------ making and fetching

    async def ensure(self) -> None:
        """Make the mirror if it is not there yet; a half-made one is begun again."""
        if not self._ready:
            async with self._making:
                await self._open()

    async def _open(self) -> None:
        if self._ready:
            return
        if not self.path.exists():
            await self._make()
        elif not (self.path / "HEAD").is_file() or not self.objects.is_dir():
            raise StoreError(f"git: {self.path} is not a mirror: move it away, it is made again by itself")
        else:
            await anyio.to_thread.run_sync(self._drop_stale_locks)
        self._ready = True

    async def _make(self) -> None:
        remote = self.remote()
        tip = await ask_tip(self.git, None, remote, f"refs/heads/{self.default_branch}")
        if tip is None:
            raise self._no_default_branch()
        half = self.path.with_name(self.path.name + ".half-made")
        await anyio.to_thread.run_sync(remove_tree, half)
        lay_out(half, bare=True, head="ref: refs/heads/none", sha256=len(tip) == 64)
        await self._fetch_into(half, remote)
        hit("mirror.made")
        half.rename(self.path)

    def _drop_stale_locks(self) -> None:
        """Remove lock files of an earlier daemon's git: this process is the only one that works here."""
        for lock in [*self.path.glob("*.lock"), *(self.path / "refs").rglob("*.lock")]:
            lock.unlink(missing_ok=True)

    async def _fetch_into(self, git_dir: Path, remote: GitRemote) -> None:
        refspec = f"+refs/heads/*:{_TRACKING}/*"
        await self.git.run(git_dir, *_FETCH, "--prune", "--", remote.url, refspec, options=Options(env=remote.env))

    def _no_default_branch(self) -> PermanentError:
        return PermanentError(
            "git",
            "fetch",
            f"the remote has no branch {self.default_branch!r}: push one, or set default_branch of project {self.project}",
        )

    async def fetch(self) -> Sha:
        fresh = not self._ready and not self.path.exists()
        await self.ensure()
        if not fresh:
            async with self._fetching:
                await self._fetch_what_is_new()
        tip = self.tracked(self.default_branch)
        if tip is None:
            raise self._no_default_branch()
        return tip

    async def _fetch_what_is_new(self) -> None:
        remote = self.remote()
        heads = await ask_heads(self.git, remote)
        if heads != await anyio.to_thread.run_sync(list_refs, self.path, _TRACKING):
            await self._fetch_into(self.path, remote)

    def tracked(self, branch: str) -> Sha | None:
        """Return a remote branch's tip as last fetched."""
        return read_ref(self.path, f"{_TRACKING}/{check_ref_part(branch)}")

    async def take(self, git_dir: Path, source: str, target: str) -> None:
        """Copy *source* of one of the daemon's own repositories to the mirror's ref *target*, with everything it needs.

        Raises StoreError when the objects do not hold together; git itself calls that a broken connection.
        """
        try:
            await self.git.run(self.path, *_FETCH, "--", str(git_dir), f"+{source}:{target}")
        except TransientError as error:
            if re.search(r"lock|no answer within|cannot start|ended by signal", error.detail):
                raise
            raise StoreError(str(error)) from error

    async def set_ref(self, ref: str, sha: Sha) -> None:
        await self.git.run(self.path, "update-ref", ref, sha)

    # ------------------------------------------------------------------------------------------ asking

    async def remote_tip(self, branch: str) -> Sha | None:
        return await ask_tip(self.git, None, self.remote(), f"refs/heads/{check_ref_part(branch)}")

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

    async def keep_branch(self, branch: Branch, *, task: TaskRow, runs: Sequence[RunId], head: Sha | None) -> Sha | None:
        await self.fetch()
        tip = self.tracked(branch)
        if tip is None:
            return None
        if head is None:
            refs = [f"refs/agents/{int(run)}/" for run in runs]
            ran = await self.git.run(self.path, "for-each-ref", "--format=%(objectname)", *refs) if refs else None
            if ran is None or tip not in ran.lines():
                return None
        await self.set_ref(archive_ref(task, 0), tip)
        return tip

    async def diff_stat(self, base: Sha, tip: Sha) -> str:
        await self.ensure()
        return await history.diff_stat(self.git, self.path, base, tip)

    async def read_artefacts(self, sha: Sha, work_item: WorkItemId, base: Sha) -> BranchFacts:
        await self.ensure()
        return await read_branch(self.git, self.path, parse_sha(sha), work_item, parse_sha(base))

    # ------------------------------------------------------------------------------------------ landing

    async def build_chain(self, spec: ChainSpec) -> BuiltChain:
        await self.ensure()
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
            await self.set_ref(candidate_ref(tip), tip)
            self._kept = tip
            hit("candidate.kept")

    async def build_candidate(self, base: Sha, members: Sequence[CandidateMember], style: LandStyle) -> Candidate | LeftOut:
        """Make one candidate of all *members*, or say which of them cannot be in it."""
        built = await self.build_chain(ChainSpec(base=base, members=members, style=style))
        if built.left_out:
            return built.left_out[0]
        return make_candidate(self.project, built.chain, len(members))

    async def push_candidate(self, candidate: Candidate) -> Pushed:
        """Push without force or lease. The base is looked at first, because git alone would also accept a rewound main."""
        await self.ensure()
        ref = f"refs/heads/{self.default_branch}"
        tip = await self.remote_tip(self.default_branch)
        if tip != candidate.base or tip == candidate.sha:
            return await self._landed_already(candidate, tip)
        hit("main.pushing")
        answer = await push_ref(self.git, self.path, self.remote(), f"{parse_sha(candidate.sha)}:{ref}")
        hit("main.pushed")
        tip = await self.remote_tip(self.default_branch)
        if tip == candidate.sha:
            await self._track(self.default_branch, tip)
            return Pushed(result=PushResult.PUSHED)
        if tip != candidate.base:
            return await self._landed_already(candidate, tip)
        return self._refused(answer, tip)

    async def _track(self, branch: str, sha: Sha) -> None:
        """Remember what we have just pushed as the remote's; where that fails, the next fetch finds it.

        Never beside a fetch: git refuses to move a ref that is not what it was when the fetch began.
        """
        async with self._fetching:
            write_locked(self.path, f"{_TRACKING}/{check_ref_part(branch)}", sha)

    async def _landed_already(self, candidate: Candidate, tip: Sha | None) -> Pushed:
        """Say PUSHED when the default branch holds the candidate, whoever pushed it or went on from it; MOVED otherwise."""
        if tip is None:
            return Pushed(result=PushResult.MOVED, detail=f"the remote has no branch {self.default_branch}")
        if tip == candidate.sha:
            return Pushed(result=PushResult.PUSHED)
        if await self.contains(candidate.sha, await self.fetch()):
            return Pushed(result=PushResult.PUSHED, detail=f"{self.default_branch} has gone on from it to {tip}")
        return Pushed(
            result=PushResult.MOVED, detail=f"{self.default_branch} is at {tip}, the candidate was built on {candidate.base}"
        )

    # ------------------------------------------------------------------------------------------ task branches

    async def push_branch(self, branch: Branch, sha: Sha, *, expected: Sha | None) -> Pushed:
        await self.ensure()
        ref = self._task_ref(branch)
        lease = f"{ref}:{parse_sha(expected) if expected else ''}"
        answer = await push_ref(self.git, self.path, self.remote(), f"{parse_sha(sha)}:{ref}", lease=lease)
        if answer.answer is Answer.TAKEN:
            await self._track(branch, sha)
            return Pushed(result=PushResult.PUSHED)
        tip = await self.remote_tip(branch)
        if tip == sha:
            return Pushed(result=PushResult.PUSHED)
        if tip != expected:
            return Pushed(result=PushResult.MOVED, detail=f"{branch} is at {tip or 'nothing'}, expected {expected or 'nothing'}")
        return self._refused(answer, tip)

    async def is_ours(self, branch: Branch, tip: Sha) -> bool:
        await self.ensure()
        places = ("refs/agents/", report_ref(self._checked(branch)))
        ran = await self.git.run(self.path, "for-each-ref", "--format=%(refname)", f"--points-at={parse_sha(tip)}", *places)
        return bool(ran.lines())

    async def write_artefact(self, branch: Branch, head: Sha, work_item: WorkItemId, *, name: str, text: str) -> Sha | None:
        await self.ensure()
        tip = await self.remote_tip(branch)
        if (
            tip is not None
            and tip != head
            and tip == read_ref(self.path, report_ref(self._checked(branch)))
            and await self.contains(head, tip)
        ):
            head = tip  # a report of an earlier life, which died before it could record that
        ran = await self.git.run(
            self.path, "hash-object", "-w", "--stdin", options=Options(stdin=text.encode("utf-8", "replace"))
        )
        line = f"100644 {parse_sha(ran.word())}\t{artefact_dir(work_item)}/{check_ref_part(name)}\0".encode()
        with tempfile.TemporaryDirectory(dir=self.path) as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            await self.git.run(self.path, "read-tree", parse_sha(head), options=Options(env=env))
            await self.git.run(self.path, "update-index", "-z", "--index-info", options=Options(env=env, stdin=line))
            tree = parse_sha((await self.git.run(self.path, "write-tree", options=Options(env=env))).word())
        held = parse_sha((await self.git.run(self.path, "rev-parse", "--verify", f"{parse_sha(head)}^{{tree}}")).word())
        if tree == held:
            return head
        message = Options(stdin=f"Keep {name} of {work_item}\n".encode())
        made = parse_sha((await self.git.run(self.path, "commit-tree", tree, "-p", head, options=message)).word())
        await self.set_ref(report_ref(self._checked(branch)), made)
        pushed = await self.push_branch(branch, made, expected=head)
        return made if pushed.result is PushResult.PUSHED else None

    async def delete_branch(self, branch: Branch, *, expected: Sha) -> Pushed:
        await self.ensure()
        ref = self._task_ref(branch)
        answer = await push_ref(self.git, self.path, self.remote(), f":{ref}", lease=f"{ref}:{parse_sha(expected)}")
        if answer.answer is Answer.TAKEN:
            return Pushed(result=PushResult.PUSHED)
        tip = await self.remote_tip(branch)
        if tip is None:
            return Pushed(result=PushResult.PUSHED, detail="it was gone already")
        if tip != expected:
            return Pushed(result=PushResult.MOVED, detail=f"{branch} is at {tip}, expected {expected}")
        return self._refused(answer, tip)

    def _checked(self, branch: Branch) -> Branch:
        return Branch(check_ref_part(branch))

    def _task_ref(self, branch: Branch) -> str:
        if not branch.startswith("feature/") or branch == self.default_branch:
            raise DomainError(f"only branches under feature/ are ever forced or deleted, not {branch[:80]!r}")
        return f"refs/heads/{check_ref_part(branch)}"

    def _refused(self, answer: PushAnswer, tip: Sha | None) -> Pushed:
        """Name a push that was not taken although the remote ref still is what was expected."""
        match answer.answer:
            case Answer.DIRTY:
                return Pushed(result=PushResult.DIRTY, detail=answer.detail)
            case Answer.REFUSED:
                return Pushed(result=PushResult.REFUSED, detail=answer.detail)
            case Answer.TAKEN | Answer.BEHIND | Answer.LOCKED:
                raise TransientError("git", "push", f"{answer.detail}; the remote is at {tip or 'nothing'} again")
            case _:
                assert_never(answer.answer)

    # ------------------------------------------------------------------------------------------ checkouts

    def checkout(self, sha: Sha, label: str) -> AbstractAsyncContextManager[Path]:
        return self._checkout(parse_sha(sha), label)

    @asynccontextmanager
    async def _checkout(self, sha: Sha, label: str) -> AsyncIterator[Path]:
        await self.ensure()
        folder = await anyio.to_thread.run_sync(self._make_checkout_folder, label)
        try:
            await self._fill(folder, sha)
            yield folder
        finally:
            with anyio.move_on_after(_REMOVE_S, shield=True):
                await anyio.to_thread.run_sync(remove_tree, folder)

    async def export(self, sha: Sha, folder: Path) -> None:
        await self.ensure()
        if await anyio.to_thread.run_sync(folder.exists):
            return
        draft = folder.with_name(folder.name + ".part")
        await anyio.to_thread.run_sync(remove_tree, draft)  # left by a daemon that was killed
        draft.mkdir(mode=0o700, parents=True)
        await self._fill(draft, parse_sha(sha))
        draft.rename(folder)

    async def retire(self, gone: Collection[Retirable], *, kept: Collection[Sha], days: int) -> int:
        if not self.path.exists():
            return 0
        await self.ensure()
        keep = kept if self._kept is None else [*kept, self._kept]
        count = await retention.drop_refs(self.git, self.path, gone, kept=keep)
        await retention.pack(self.git, self.path, days)
        return count

    async def _fill(self, folder: Path, sha: Sha) -> None:
        git_dir = folder / ".git"
        lay_out(git_dir, bare=False, head=sha, alternates=[self.objects], sha256=len(sha) == 64)
        await self.git.run(git_dir, "read-tree", "--reset", "-u", sha, options=Options(work_tree=folder))

    def _make_checkout_folder(self, label: str) -> Path:
        if not self._swept and self._checkouts.exists():
            shutil.rmtree(self._checkouts, ignore_errors=True)  # left by a daemon that was killed
        self._swept = True
        self._checkouts.mkdir(parents=True, exist_ok=True)
        safe = re.sub(r"[^A-Za-z0-9]+", "-", label)[:40].strip("-") or "tree"
        return Path(tempfile.mkdtemp(prefix=f"{safe}-", dir=self._checkouts))
