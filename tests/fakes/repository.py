"""An in-memory model of a remote repository: commits with parents and whole files, branches, three-way merges per file.

Owns: what git would say. Rule: no I/O; the same calls give the same ids.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from orch.core.ids import Sha

Files = Mapping[str, str]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    sha: Sha
    parents: tuple[Sha, ...]
    files: Files
    message: str


class Repository:
    """Commits and branches; ``main`` is the default branch."""

    def __init__(self, files: Files) -> None:
        self.commits: dict[Sha, Commit] = {}
        self.branches: dict[str, Sha] = {}
        self.history: list[Sha] = []
        """Every value that main ever had."""
        self.set_main(self.commit(files, (), "first"))

    @property
    def main(self) -> Sha:
        return self.branches["main"]

    def set_main(self, sha: Sha) -> None:
        self.branches["main"] = sha
        self.history.append(sha)

    def commit(self, files: Files, parents: tuple[Sha, ...], message: str) -> Sha:
        """Make a commit of the whole *files*; no branch moves."""
        text = repr((sorted(files.items()), parents, message))
        sha = Sha(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
        self.commits[sha] = Commit(sha=sha, parents=parents, files=dict(files), message=message)
        return sha

    def change(self, start: Sha, changes: Mapping[str, str | None], message: str) -> Sha:
        """Make a commit on *start* with *changes* (None removes a file)."""
        files = {**self.commits[start].files, **{name: text for name, text in changes.items() if text is not None}}
        for name, text in changes.items():
            if text is None:
                files.pop(name, None)
        return self.commit(files, (start,), message)

    def push_elsewhere(self, changes: Mapping[str, str | None]) -> Sha:
        """Somebody else moves main."""
        self.set_main(self.change(self.main, changes, f"pushed by somebody else ({len(self.history)})"))
        return self.main

    def ancestors(self, sha: Sha) -> list[Sha]:
        """Return *sha* and everything reachable from it, nearest first."""
        seen, ahead = [sha], [sha]
        while ahead:
            for parent in self.commits[ahead.pop(0)].parents:
                if parent not in seen:
                    seen.append(parent)
                    ahead.append(parent)
        return seen

    def contains(self, ancestor: Sha, tip: Sha) -> bool:
        return ancestor in self.ancestors(tip)

    def merge_base(self, one: Sha, other: Sha) -> Sha:
        reachable = set(self.ancestors(other))
        return next(sha for sha in self.ancestors(one) if sha in reachable)

    def merge(self, base: Sha, head: Sha) -> tuple[dict[str, str], list[str]]:
        """Put what *head* changed since the merge base onto *base*; return the files and the conflicting paths."""
        old, ours, theirs = (self.commits[sha].files for sha in (self.merge_base(head, base), base, head))
        merged, conflicts = dict(ours), []
        for name in sorted({*old, *theirs}):
            if theirs.get(name) == old.get(name) or theirs.get(name) == ours.get(name):
                continue
            if ours.get(name) != old.get(name):
                conflicts.append(name)
            elif name in theirs:
                merged[name] = theirs[name]
            else:
                merged.pop(name, None)
        return merged, conflicts
