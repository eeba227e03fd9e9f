"""Three-way merges of commits without a working tree: ``git merge-tree``, many in one process.

Owns: its protocol and what it reports of a conflict. Rule: objects alone are read and written, so nothing that a repository
configures (drivers, filters, hooks) can run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orch.adapters.git.runner import Git, Options
from orch.core.errors import PermanentError
from orch.core.ids import Sha, parse_sha

_CLEAN = b"1"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """A merge that conflicts."""

    files: tuple[str, ...]
    detail: str


@final
class Merger:
    """Merges pairs of commits of one repository."""

    def __init__(self, git: Git, git_dir: Path) -> None:
        self._git = git
        self._dir = git_dir

    async def merge(self, pairs: Sequence[tuple[Sha, Sha]]) -> list[Sha | Clash]:
        """Return the merged tree of each pair, or how it clashes. Raises PermanentError where git cannot say."""
        lines = "".join(f"{ours} {theirs}\n" for ours, theirs in pairs).encode("ascii")
        args = ("merge-tree", "--write-tree", "-z", "--name-only", "--messages", "--stdin")
        try:
            ran = await self._git.run(self._dir, *args, options=Options(stdin=lines))
        except PermanentError as error:
            if "unrelated histories" not in error.detail:
                raise
            return [Clash(files=(), detail="the branch shares no history with the default branch")] * len(pairs)
        found = _read_reports(ran.out)
        if len(found) != len(pairs):
            raise PermanentError("git", "merge-tree", f"{len(found)} answers to {len(pairs)} questions")
        return found


def _read_reports(out: bytes) -> list[Sha | Clash]:
    """Read a status, a tree, conflicting files, an empty field, (count, paths…, kind, text)…, an empty field; again and again."""
    fields = iter(out.split(b"\0")[:-1])
    found: list[Sha | Clash] = []
    for status in fields:
        tree = next(fields)
        files: list[bytes] = []
        while field := next(fields, b""):
            files.append(field)
        texts: list[str] = []
        while count := next(fields, b""):
            for _ in range(int(count)):
                next(fields)
            kind, text = next(fields), next(fields)
            if kind.startswith(b"CONFLICT"):
                texts.append(text.decode("utf-8", "replace").strip())
        if status == _CLEAN:
            found.append(parse_sha(tree.decode("ascii", "replace")))
        else:
            names = tuple(dict.fromkeys(name.decode("utf-8", "replace") for name in files))
            found.append(Clash(files=names, detail="; ".join(texts)[:2_000] or "conflict"))
    return found
