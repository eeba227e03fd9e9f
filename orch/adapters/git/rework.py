"""The merge that a rework begins with: the default branch merged into a task's branch, conflicts and all.

Owns: that merge commit, what of it an agent has to resolve, and whether its result still holds what was left to be resolved.
Rules: made in the mirror from objects alone, so nothing that a repository configures (drivers, filters, hooks) can run; it has
both parents and is committed whole, markers included: whatever the agent does then (commit, nothing, a reset to where it began),
the branch still descends from both, and a landing that replays commits makes one of it.

The tree is ``merge-tree``'s: a textual conflict stands in its file between markers that name the two commits; of a binary file,
and of one that only one side has left, the version that it leaves is the branch's own or the changed one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import final

from orch.adapters.git.checks import name_paths
from orch.adapters.git.objects import Commit, ident_line, write_commit
from orch.adapters.git.runner import YES_OR_NO, Git, Options
from orch.core.errors import PermanentError
from orch.core.ids import Sha, parse_sha
from orch.ports.git import MergedMain

_TEXT_MAX = 2_000
_LISTED = 200


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Conflict:
    paths: tuple[bytes, ...]
    text: str


@final
class MainMerge:
    """Merges the default branch into task branches of one mirror."""

    def __init__(self, git: Git, mirror: Path) -> None:
        self._git = git
        self._dir = mirror

    async def make(self, head: Sha, main: Sha, at: datetime) -> tuple[Sha, MergedMain] | None:
        """Return the merge commit of *head* and *main* and what is to be resolved in it; None where *head* has *main* already."""
        ran = await self._git.run(self._dir, "merge-base", "--is-ancestor", main, head, options=YES_OR_NO)
        if ran.code == 0:
            return None
        ran = await self._git.run(
            self._dir, "merge-tree", "--write-tree", "-z", "--name-only", "--messages", head, main, options=Options(any_code=True)
        )
        if ran.code not in (0, 1):
            raise PermanentError("git", "merge-tree", ran.err.strip()[:400] or f"exit code {ran.code}")
        tree = parse_sha(ran.out.split(b"\0", 1)[0].decode("ascii", "replace").strip())
        ident = ident_line(self._git.identity.name, self._git.identity.email, at)
        message = f"Merge the default branch at {main[:12]}\n".encode()
        commit = Commit(sha=head, tree=tree, parents=(head, main), author=ident, message=message)
        made = write_commit(self._dir, commit, ident)
        if ran.code == 0:
            return made, MergedMain(main=main)
        return made, await self._describe(made, head, main, parse_conflicts(ran.out))

    async def _describe(self, made: Sha, head: Sha, main: Sha, conflicts: Sequence[_Conflict]) -> MergedMain:
        """Tell files with markers from conflicts that left none."""
        marked = await self.marked(made, head, main)
        notes = [each.text for each in conflicts if not any(path in marked for path in each.paths)]
        told = [text.replace(head, "the branch").replace(main, "the default branch")[:_TEXT_MAX] for text in notes]
        names = tuple(path.decode("utf-8", "replace") for path in marked)
        return MergedMain(main=main, marked=names[:_LISTED], notes=tuple(told[:_LISTED]))

    async def marked(self, commit: Sha, head: Sha, main: Sha) -> list[bytes]:
        """Return the files of *commit* that hold a marker of the merge of *head* and *main*, wherever they were moved to.

        A marker names its commit: text that merely looks like one (a page about git, say) is none.
        """
        ran = await self._git.run(
            self._dir, "grep", "-l", "-z", "-I", "--no-textconv", "-E", "-e", f"^(<{{7,}}|>{{7,}}) ({head}|{main})", commit,
            options=YES_OR_NO,
        )  # fmt: skip
        return [name.partition(b":")[2] for name in ran.fields() if name]

    async def left_over(self, commit: Sha, head: Sha, main: Sha) -> str | None:
        """Return why a result may not be taken over: the markers that it still holds; None where it holds none."""
        marked = await self.marked(commit, head, main)
        if not marked:
            return None
        return f"conflict markers of the merged default branch are left in {name_paths(marked)}: resolve them and commit"


def parse_conflicts(out: bytes) -> list[_Conflict]:
    """Read ``merge-tree -z --messages``: tree, conflicting files, an empty field, then (count, paths…, kind, text)…"""
    fields = out.split(b"\0")
    rest = fields[fields.index(b"", 1) + 1 :] if b"" in fields[1:] else []
    found: list[_Conflict] = []
    while rest and re.fullmatch(rb"\d{1,6}", rest[0]):
        count = int(rest[0])
        if len(rest) < count + 3:
            break
        if rest[count + 1].startswith(b"CONFLICT"):
            text = " ".join(rest[count + 2].decode("utf-8", "replace").split())
            found.append(_Conflict(paths=tuple(rest[1 : count + 1]), text=text))
        rest = rest[count + 3 :]
    return found
