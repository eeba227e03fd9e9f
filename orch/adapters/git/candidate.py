"""Candidates: a base commit plus task branches in order, made in the bare mirror without a working tree.

Owns: the three land styles, and which members cannot be put where. Does not own: which tasks, or when. Rules: no branch is
rewritten; nothing is checked out, so nothing that a repository configures can run; **the same base and members give the same
commits**, whoever builds them and when, so that the chain behind a landed prefix is what would be built anew.

A style makes commits, not content: every style gives the three-way merge of what stands before and the member's head. ``rebase``
tells it in the branch's own commits: each becomes the merge of what stands before and the branch *at that commit*, so that a
conflict that the branch itself resolves later is none. Only where that merge conflicts is each commit replayed on its own, which
a branch survives that stands on another one's commits. A commit's date is its original's, never older than its parent's.

A step (one member onto one commit) is remembered, so that planning again costs nothing.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import final

from orch.adapters.git.merging import Clash, Merger
from orch.adapters.git.objects import Commit, ident_line, parse_commit, read_objects, write_commit
from orch.adapters.git.runner import YES_OR_NO, Git
from orch.adapters.git.together import side_by_side
from orch.core.errors import PermanentError, StoreError
from orch.core.ids import Sha, parse_sha
from orch.core.model import LandStyle, Member
from orch.core.train import Chain, Link
from orch.ports.git import BuiltChain, CandidateMember, ChainSpec, LeftOut

_MAX_COMMITS = 5_000
_REMEMBERED = 4_096


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """Where the accumulator stands; *at* is the commit's date, in seconds."""

    sha: Sha
    tree: Sha
    at: int


@final
@dataclass(frozen=True, slots=True)
class Broken:
    """A member that cannot be put onto anything; *detail* says why."""

    detail: str


Step = Tip | Clash | Broken
_Key = tuple[Sha, Sha, str, LandStyle, bool]


@final
class ChainBuilder:
    """Builds chains in one mirror and remembers their steps."""

    def __init__(self, git: Git, git_dir: Path) -> None:
        self._git = git
        self._dir = git_dir
        self._merger = Merger(git, git_dir)
        self._steps: OrderedDict[_Key, Step] = OrderedDict()
        self._base: Tip | None = None

    def forget(self) -> None:
        """Build everything anew: what was built before may have been removed from the mirror."""
        self._steps.clear()
        self._base = None

    async def build(self, spec: ChainSpec) -> BuiltChain:
        """Put the members onto the base one after the other; one that clashes is left out, and is said to clash with whom."""
        if self._base is None or self._base.sha != spec.base:
            self._base = self._made(spec.base) or await self._tip(spec.base)
        base = self._base
        tips, left_out = [base], []
        links: list[Link] = []
        for member in spec.members:
            if len(links) >= spec.most:
                break
            step = await self._step(spec, tips[-1], member)
            if isinstance(step, Tip):
                tips.append(step)
                links.append(Link(member=Member(task=member.task, head=member.head), sha=step.sha, tree=step.tree))
            else:
                left_out.append(await self._leave_out(spec, tips, links, member, step))
        chain = Chain(base=base.sha, base_tree=base.tree, links=tuple(links))
        return BuiltChain(chain=chain, left_out=tuple(left_out))

    def _made(self, sha: Sha) -> Tip | None:
        """Return *sha* where it is a step of ours: after a landing the base is one."""
        return next((step for step in reversed(self._steps.values()) if isinstance(step, Tip) and step.sha == sha), None)

    async def _tip(self, sha: Sha) -> Tip:
        commit = (await self._commits([sha]))[0]
        return Tip(sha=sha, tree=commit.tree, at=commit.committed_at)

    async def _commits(self, ids: Sequence[Sha]) -> list[Commit]:
        found = await read_objects(self._git, self._dir, ids)
        return [parse_commit(one, found[one]) for one in ids]

    async def _leave_out(
        self, spec: ChainSpec, tips: Sequence[Tip], links: Sequence[Link], member: CandidateMember, step: Clash | Broken
    ) -> LeftOut:
        """Find the first member whose being there makes *member* clash; the base itself where it clashes with that."""
        if isinstance(step, Broken):
            return LeftOut(task=member.task, head=member.head, detail=step.detail, broken=True)
        good, bad, clash = -1, len(tips) - 1, step
        while bad - good > 1:
            middle = 0 if good < 0 else (good + bad) // 2
            tried = await self._step(spec, tips[middle], member)
            if isinstance(tried, Tip):
                good = middle
            else:
                bad, clash = middle, tried if isinstance(tried, Clash) else clash
        after = links[bad - 1].member.task if bad else None
        return LeftOut(task=member.task, head=member.head, after=after, files=clash.files, detail=clash.detail)

    # -------------------------------------------------------------------------------------------- one member onto one commit

    async def _step(self, spec: ChainSpec, tip: Tip, member: CandidateMember) -> Step:
        key = (tip.sha, member.head, member.message, spec.style, spec.as_is)
        found = self._steps.get(key)
        if found is None:
            found = await self._make_step(spec, tip, member)
            if isinstance(found, Broken):  # a head that is missing may come with the next fetch
                return found
            self._steps[key] = found
            if len(self._steps) > _REMEMBERED:
                self._steps.popitem(last=False)
        self._steps.move_to_end(key)
        return found

    async def _make_step(self, spec: ChainSpec, tip: Tip, member: CandidateMember) -> Step:
        try:
            if spec.as_is and await self._contains(tip.sha, member.head):
                head = await self._tip(member.head)
                return tip if head.tree == tip.tree else head
            if spec.style is LandStyle.REBASE:
                return await self._rebase(tip, member)
            return await self._join(tip, member, merge=spec.style is LandStyle.MERGE)
        except PermanentError as error:
            return Broken(str(error))
        except StoreError as error:
            if member.head not in str(error):  # the mirror itself is at fault
                raise
            return Broken(f"the mirror does not have the branch's head {member.head}")

    async def _contains(self, ancestor: Sha, tip: Sha) -> bool:
        ran = await self._git.run(self._dir, "merge-base", "--is-ancestor", ancestor, tip, options=YES_OR_NO)
        return ran.code == 0

    async def _join(self, tip: Tip, member: CandidateMember, *, merge: bool) -> Tip | Clash:
        """Add a member as one commit, of two parents under the merge style."""
        (tree,) = await self._merger.merge([(tip.sha, member.head)])
        if isinstance(tree, Clash) or tree == tip.tree:
            return tree if isinstance(tree, Clash) else tip
        (head,) = await self._commits([member.head])
        at = max(tip.at, head.committed_at)
        text = Commit(sha=tip.sha, tree=tree, parents=(), author=self._ident(at), message=_message(member))
        parents = (tip.sha, member.head) if merge else (tip.sha,)
        return self._write(text, parents, at)

    async def _rebase(self, tip: Tip, member: CandidateMember) -> Tip | Clash:
        """Tell a member's commits in order; a branch that holds a merge (or a root) becomes one commit."""
        rows = await self._rows(tip.sha, member.head)
        if any(len(row) != 2 for row in rows):
            return await self._join(tip, member, merge=False)
        if not rows:
            return tip
        ids = [parse_sha(row[0]) for row in rows]
        if rows[0][1] == tip.sha:
            head = await self._tip(ids[-1])
            return tip if head.tree == tip.tree else head
        pairs = [(tip.sha, one) for one in ids]
        commits, trees = await side_by_side(partial(self._commits, ids), partial(self._merger.merge, pairs))
        if isinstance(trees[-1], Clash):
            return await self._replay(tip, parse_sha(rows[0][1]), commits)
        if trees[-1] == tip.tree:
            return tip
        for commit, tree in zip(commits, trees, strict=True):
            if isinstance(tree, Clash) or tree == tip.tree:  # a later commit brings what this one could not; or it adds nothing
                continue
            tip = self._write(replace(commit, tree=tree), (tip.sha,), max(tip.at, commit.committed_at))
        return tip

    async def _replay(self, tip: Tip, start: Sha, commits: Sequence[Commit]) -> Tip | Clash:
        """Put each commit onto *tip* by what it changes itself; one that adds nothing is dropped.

        A stand-in commit with *our* tree and the commit's parent as its only parent makes that parent the merge base of the two,
        which is all that a cherry-pick is.
        """
        parent = start
        for commit in commits:
            stand_in = self._write(replace(_STAND_IN, tree=tip.tree), (parent,), 0)
            (tree,) = await self._merger.merge([(stand_in.sha, commit.sha)])
            if isinstance(tree, Clash):
                return Clash(files=tree.files, detail=f"{commit.sha[:10]} ({commit.subject}): {tree.detail}")
            if tree != tip.tree:
                tip = self._write(replace(commit, tree=tree), (tip.sha,), max(tip.at, commit.committed_at))
            parent = commit.sha
        return tip

    async def _rows(self, tip: Sha, head: Sha) -> list[list[str]]:
        """Return the branch's own commits, oldest first, each with its parents."""
        count = f"--max-count={_MAX_COMMITS + 1}"
        ran = await self._git.run(self._dir, "rev-list", "--reverse", "--topo-order", "--parents", count, head, f"^{tip}")
        rows = [line.split() for line in ran.lines()]
        if len(rows) > _MAX_COMMITS:
            raise PermanentError("git", "rebase", f"the branch has more than {_MAX_COMMITS} commits of its own")
        return rows

    def _ident(self, at: int) -> bytes:
        identity = self._git.identity
        return ident_line(identity.name, identity.email, datetime.fromtimestamp(at, UTC))

    def _write(self, text: Commit, parents: tuple[Sha, ...], at: int) -> Tip:
        commit = replace(text, parents=parents)
        return Tip(sha=write_commit(self._dir, commit, self._ident(at)), tree=text.tree, at=at)


_STAND_IN = Commit(sha=Sha(""), tree=Sha(""), parents=(), author=b"", message=b"stand-in for a replay\n")


def _message(member: CandidateMember) -> bytes:
    text = member.message.strip() or f"Task {int(member.task)}"
    return text.encode("utf-8", "replace") + b"\n"
