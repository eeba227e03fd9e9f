"""Taking an agent's working copy as data: its files into trees, its tips by hand, its objects by loan.

Owns: the shadow repository, the daemon's own git directory for the task's files. Rule: no git command ever runs with an
agent's git directory; its config, hooks, index and attributes are never read by ours.

The routes that this closes: hooks, ``core.fsmonitor``, filters, external diff and textconv, merge drivers, aliases and
includes all need a config entry or a hook file, and the shadow's are ours; ``info/attributes`` of the shadow overrides what a
tree's ``.gitattributes`` says; a nested repository would be asked for its status by git under *its* config, so it is left out.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import final

import anyio.to_thread

from orch.adapters.git.layout import (
    lay_out,
    list_tips,
    nested_repositories,
    read_head,
    read_ref,
    seal_objects,
    write_alternates,
    write_ref,
)
from orch.adapters.git.ledger import Ledger, Snapshot
from orch.adapters.git.objects import check_objects
from orch.adapters.git.runner import Git, Options, Ran, signature_env
from orch.core.errors import StoreError
from orch.core.ids import Sha, parse_sha

_NORMAL = "* -filter\n"
_EXACT = "* -filter -text -ident -working-tree-encoding\n"
_TAKEN = "refs/heads/taken"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A tree made of the working copy. *complaint* tells of files that git could not take, *nested* of repositories left out."""

    tree: Sha
    complaint: str
    nested: tuple[str, ...]


@final
class Shadow:
    """The daemon's own git directory for one task's working tree."""

    def __init__(self, git: Git, git_dir: Path, worktree: Path, mirror_objects: Path, *, sha256: bool) -> None:
        self._git = git
        self.dir = git_dir
        self._worktree = worktree
        self._mirror_objects = mirror_objects
        self._sha256 = sha256

    @property
    def taken_ref(self) -> str:
        return _TAKEN

    def make(self) -> None:
        """Lay the shadow out anew; whatever an earlier run left in it is kept in the mirror already."""
        lay_out(self.dir, bare=False, head="ref: refs/heads/none", alternates=[self._mirror_objects], sha256=self._sha256)
        (self.dir / "index").unlink(missing_ok=True)
        (self.dir / "index.lock").unlink(missing_ok=True)
        self.set_attributes(exact=False)

    def set_attributes(self, *, exact: bool) -> None:
        """Choose between the repository's own line endings and bytes exactly as they are; filters are off in both."""
        (self.dir / "info").mkdir(exist_ok=True)
        (self.dir / "info" / "attributes").write_text(_EXACT if exact else _NORMAL, encoding="ascii")

    def borrow(self) -> bool:
        """Let the shadow see the agent's objects, after closing the ways in which they could be somebody else's."""
        agent = self._worktree / ".git"
        sound = seal_objects(agent, [self._mirror_objects])
        write_alternates(self.dir / "objects", [self._mirror_objects, *([agent / "objects"] if sound else [])])
        (self.dir / "index.lock").unlink(missing_ok=True)
        return sound

    async def check_out(self, tree: Sha) -> None:
        await self._git.run(self.dir, "read-tree", "--reset", "-u", tree, options=Options(work_tree=self._worktree))

    async def add_all(self, head: Sha, *, exact: bool, new_within: Sequence[str] = ()) -> Added:
        """Make a tree of everything in the working copy that is not ignored, beginning from *head*'s index.

        Where *new_within* names folders, new files elsewhere are by-products of the run and are left out.
        """
        self.set_attributes(exact=exact)
        nested = await anyio.to_thread.run_sync(nested_repositories, self._worktree)
        # With the files before its eyes: an index that is written anew is younger than a change of the second in which they were
        # laid out, and only whoever sees that change then marks it as one to be looked at.
        seeing = Options(work_tree=self._worktree, any_code=True)
        first = await self._git.run(self.dir, "read-tree", "-m", head, options=seeing)
        if first.code:  # an index that a killed git left half-written
            (self.dir / "index").unlink(missing_ok=True)
            await self._git.run(self.dir, "read-tree", head)
        specs = b"".join(b":(top,exclude,literal)" + os.fsencode(path) + b"\0" for path in nested)
        added = await self._add("--update" if new_within else "--all", [b":(top)"], specs)
        if new_within:
            places = [place for place in new_within if (self._worktree / place).is_dir()]
            wanted = [b":(top,literal)" + os.fsencode(place) for place in places]
            added = await self._add("--all", wanted, specs) if wanted and not added.code else added
        tree = parse_sha((await self._git.run(self.dir, "write-tree")).word())
        return Added(tree=tree, complaint=_complaint(added) if added.code else "", nested=tuple(await self._not_ignored(nested)))

    async def _add(self, what: str, wanted: Sequence[bytes], excluded: bytes) -> Ran:
        stdin = b"".join(spec + b"\0" for spec in wanted) + excluded
        return await self._git.run(
            self.dir, "add", what, "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul",
            options=Options(work_tree=self._worktree, stdin=stdin, ok=frozenset({0, 1})),
        )  # fmt: skip

    async def _not_ignored(self, paths: Sequence[str]) -> list[str]:
        if not paths:
            return []
        data = b"".join(os.fsencode(path) + b"\0" for path in paths)
        ran = await self._git.run(
            self.dir, "check-ignore", "-z", "--stdin", "--no-index",
            options=Options(work_tree=self._worktree, stdin=data, ok=frozenset({0, 1})),
        )  # fmt: skip
        ignored = {os.fsdecode(field) for field in ran.fields()}
        return [path for path in paths if path not in ignored]

    async def commit(self, tree: Sha, parents: Sequence[Sha], message: str, at: datetime) -> Sha:
        """Make a commit under the bot's identity and put it under ``taken_ref``."""
        args = [part for parent in parents for part in ("-p", parent)]
        options = Options(stdin=message.encode("utf-8", "replace"), env=signature_env(self._git.identity, at))
        sha = parse_sha((await self._git.run(self.dir, "commit-tree", tree, *args, options=options)).word())
        write_ref(self.dir, _TAKEN, sha)
        return sha

    async def take(self, ledger: Ledger, at: datetime, *, trusting: bool) -> Snapshot:
        """Make the archive commit: files as they are, on top of the agent's HEAD; other tips are parents too.

        Not *trusting*, or where its git directory is gone, nothing of the agent's repository is used: the files go on top of
        the commit that the run started from. Raises StoreError or an ExternalError when its objects do not hold together.
        """
        sound = await anyio.to_thread.run_sync(self.borrow)
        if not (sound and trusting):
            write_alternates(self.dir / "objects", [self._mirror_objects])
            return await self._take_on(ledger, ledger.start, None, [], at)
        agent = self._worktree / ".git"
        _, head = read_head(agent)
        tip = read_ref(agent, f"refs/heads/{ledger.branch}")
        others = [sha for sha in list_tips(agent) if sha != head]
        return await self._take_on(ledger, head or tip or ledger.start, tip, others, at)

    async def _take_on(self, ledger: Ledger, head: Sha, tip: Sha | None, others: Sequence[Sha], at: datetime) -> Snapshot:
        names = [f"{head}^{{tree}}", *(f"{sha}^{{commit}}" for sha in others)]
        found = await check_objects(self._git, self.dir, names)
        if found[0] is None:
            raise StoreError(f"git: the working copy's HEAD {head} is not a commit that can be read")
        extra = [sha for sha, kind in zip(others, found[1:], strict=True) if kind is not None]
        added = await self.add_all(head, exact=True)
        message = archive_message(ledger, head, " ".join([added.complaint, *added.nested]).strip())
        commit = await self.commit(added.tree, [head, *extra], message, at)
        return Snapshot(
            commit=commit,
            head=head,
            head_tree=parse_sha(found[0][0]),
            tree=added.tree,
            branch_tip=tip,
            at=int(at.timestamp()),
            nested=tuple(os.fsencode(path).decode("utf-8", "replace") for path in added.nested),
        )


def _complaint(ran: Ran) -> str:
    """Return what ``add`` could not take; that an excluded path is ignored as well is no complaint."""
    return " ".join(line.strip() for line in ran.err.splitlines() if line.startswith(("error:", "fatal:")))


def archive_message(ledger: Ledger, head: Sha, complaint: str) -> str:
    """Write an archive commit's message; ``parse_archive`` reads it back."""
    note = f"Merged: {ledger.merged}\n" if ledger.merged else ""
    note += f"Left-Out: {' '.join(complaint.split())[:1000]}\n" if complaint else ""
    return (
        f"Archive of run {ledger.run} of {ledger.work_item}\n\nRun: {ledger.run}\nBranch: {ledger.branch}\nBase: {ledger.base}\n"
        f"Pinned: {ledger.pinned}\nStart: {ledger.start}\nHead: {head}\n{note}"
    )


def parse_archive(message: str) -> dict[str, str]:
    """Return the named lines of an archive commit's message."""
    lines = message.partition("\n\n")[2].splitlines()
    return {key: value.strip() for key, sep, value in (line.partition(":") for line in lines) if sep}
