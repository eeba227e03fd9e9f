"""Candidates: a base commit plus task branches in order, made in the bare mirror without a working tree.

Owns: the three land styles. Does not own: which tasks, or when. Rules: no branch is rewritten; the same input gives the
same commit id; nothing is checked out, so nothing that a repository configures can run.

A commit is replayed without ``merge-tree --merge-base`` (git 2.40): a stand-in commit with *our* tree and the replayed
commit's parent as its only parent makes that parent the merge base of the two, which is all that a cherry-pick is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import assert_never, final

from orch.adapters.git.objects import Commit, ident_line, parse_commit, read_objects, write_commit
from orch.adapters.git.runner import Git, Options
from orch.core.errors import PermanentError
from orch.core.ids import Sha, TaskRow, parse_sha
from orch.core.model import LandStyle
from orch.ports.git import CandidateMember, Conflict

_MAX_COMMITS = 5_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """Where the accumulator stands."""

    sha: Sha
    tree: Sha


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A merge that conflicts."""

    files: tuple[str, ...]
    detail: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A candidate's commit and, per member, the last commit that is its own."""

    tip: Tip
    landed: dict[TaskRow, Sha]


@final
class CandidateBuilder:
    """Builds one candidate; *ident* signs what the daemon makes."""

    def __init__(self, git: Git, git_dir: Path, *, author: str, email: str, at: datetime) -> None:
        self._git = git
        self._dir = git_dir
        self._ident = ident_line(author, email, at)

    async def build(self, base: Sha, members: Sequence[CandidateMember], style: LandStyle) -> Built | Conflict:
        tip = Tip(sha=base, tree=(await self._commits([base]))[0].tree)
        landed: dict[TaskRow, Sha] = {}
        for member in members:
            match style:
                case LandStyle.REBASE:
                    added = await self._rebase(tip, member)
                case LandStyle.SQUASH:
                    added = await self._join(tip, member, merge=False)
                case LandStyle.MERGE:
                    added = await self._join(tip, member, merge=True)
                case _:
                    assert_never(style)
            if isinstance(added, Clash):
                return Conflict(task=member.task, files=added.files, detail=added.detail)
            tip = added
            landed[member.task] = tip.sha
        return Built(tip=tip, landed=landed)

    async def _commits(self, ids: Sequence[Sha]) -> list[Commit]:
        found = await read_objects(self._git, self._dir, ids)
        return [parse_commit(one, found[one]) for one in ids]

    async def _join(self, tip: Tip, member: CandidateMember, *, merge: bool) -> Tip | Clash:
        """Add a member as one commit, of two parents under the merge style."""
        tree = await self._merge_trees(tip.sha, member.head)
        if isinstance(tree, Clash) or tree == tip.tree:
            return tree if isinstance(tree, Clash) else tip
        text = Commit(sha=tip.sha, tree=tree, parents=(), author=b"", message=_message(member))
        parents = (tip.sha, member.head) if merge else (tip.sha,)
        return await self._write(tree, parents, self._ident, text)

    async def _rebase(self, tip: Tip, member: CandidateMember) -> Tip | Clash:
        """Replay a member's commits in order; a branch that holds a merge (or a root) becomes one commit."""
        ran = await self._git.run(
            self._dir,
            "rev-list",
            "--reverse",
            "--topo-order",
            "--parents",
            f"--max-count={_MAX_COMMITS + 1}",
            member.head,
            f"^{tip.sha}",
        )
        rows = [line.split() for line in ran.lines()]
        if len(rows) > _MAX_COMMITS:
            raise PermanentError("git", "rebase", f"the branch has more than {_MAX_COMMITS} commits of its own")
        if any(len(row) != 2 for row in rows):
            return await self._join(tip, member, merge=False)
        ids = [parse_sha(row[0]) for row in rows]
        if not ids:
            return tip
        first_parent = parse_sha(rows[0][1])
        parent, *commits = await self._commits([first_parent, *ids])
        for commit in commits:
            step = await self._replay(tip, commit, parent)
            if isinstance(step, Clash):
                return Clash(files=step.files, detail=f"{commit.sha[:10]} ({commit.subject}): {step.detail}")
            tip, parent = step, commit
        return tip

    async def _replay(self, tip: Tip, commit: Commit, parent: Commit) -> Tip | Clash:
        """Put one commit onto *tip*; one that adds nothing is dropped, one that stands there already is kept as it is."""
        if tip.tree == parent.tree:
            tree: Sha | Clash = commit.tree
        else:
            stand_in = await self._write(tip.tree, (parent.sha,), self._ident, _STAND_IN)
            tree = await self._merge_trees(stand_in.sha, commit.sha)
        if isinstance(tree, Clash) or tree == tip.tree:
            return tree if isinstance(tree, Clash) else tip
        if tip.sha == parent.sha:
            return Tip(sha=commit.sha, tree=commit.tree)
        return await self._write(tree, (tip.sha,), commit.author, commit)

    async def _write(self, tree: Sha, parents: tuple[Sha, ...], author: bytes, text: Commit) -> Tip:
        commit = replace(text, tree=tree, parents=parents, author=author)
        return Tip(sha=await write_commit(self._git, self._dir, commit, self._ident), tree=tree)

    async def _merge_trees(self, ours: Sha, theirs: Sha) -> Sha | Clash:
        ran = await self._git.run(
            self._dir,
            "merge-tree",
            "--write-tree",
            "-z",
            "--name-only",
            "--messages",
            ours,
            theirs,
            options=Options(any_code=True),
        )
        if ran.code == 0:
            return parse_sha(ran.out.split(b"\0", 1)[0].decode("ascii", "replace").strip())
        if ran.code == 1:
            return _clash(ran.out)
        if "unrelated histories" in ran.err:
            return Clash(files=(), detail="the branch shares no history with the default branch")
        raise PermanentError("git", "merge-tree", ran.err.strip()[:400] or f"exit code {ran.code}")


_STAND_IN = Commit(sha=Sha(""), tree=Sha(""), parents=(), author=b"", message=b"stand-in for a replay\n")


def _message(member: CandidateMember) -> bytes:
    text = member.message.strip() or f"Task {int(member.task)}"
    return text.encode("utf-8", "replace") + b"\n"


def _clash(out: bytes) -> Clash:
    """Read ``merge-tree -z``'s report: tree, conflicting files, an empty field, then (count, paths…, kind, text)…"""
    fields = out.split(b"\0")
    cut = fields.index(b"", 1) if b"" in fields[1:] else len(fields)
    files = tuple(dict.fromkeys(name.decode("utf-8", "replace") for name in fields[1:cut]))
    texts: list[str] = []
    rest = fields[cut + 1 :]
    while rest and rest[0].isdigit():
        count = int(rest[0])
        if len(rest) < count + 3:
            break
        if rest[count + 1].startswith(b"CONFLICT"):
            texts.append(rest[count + 2].decode("utf-8", "replace").strip())
        rest = rest[count + 3 :]
    return Clash(files=files, detail="; ".join(texts)[:2_000] or "conflict")
