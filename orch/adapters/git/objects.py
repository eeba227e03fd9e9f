"""Git objects as values: reading many in one process, writing commits byte for byte.

Owns: the ``cat-file --batch`` protocol and the text of a commit. Rule: an author is kept exactly as written where the
line is well formed, and is the daemon where it is not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import final

from orch.adapters.git.runner import Git, Options
from orch.core.errors import StoreError
from orch.core.ids import Sha, parse_sha

_IDENT = re.compile(rb"[^<>\n\0]+ <[^<>\n\0]*> (?:0|[1-9]\d{0,10}) [+-]\d{4}")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit's parts; *author* is the raw line after ``author``, *extra* the encoding header where there is one."""

    sha: Sha
    tree: Sha
    parents: tuple[Sha, ...]
    author: bytes
    message: bytes
    extra: bytes = b""

    @property
    def subject(self) -> str:
        return self.message.split(b"\n", 1)[0].decode("utf-8", "replace")[:120]


def parse_commit(sha: Sha, raw: bytes) -> Commit:
    """Read a raw commit object."""
    head, _, message = raw.partition(b"\n\n")
    tree, author, extra = b"", b"", b""
    parents: list[Sha] = []
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        match key:
            case b"tree":
                tree = value
            case b"parent":
                parents.append(parse_sha(value.decode("ascii", "replace")))
            case b"author":
                author = value
            case b"encoding":
                extra = line
            case _:  # signatures do not survive a replay
                pass
    return Commit(
        sha=sha,
        tree=parse_sha(tree.decode("ascii", "replace")),
        parents=tuple(parents),
        author=author,
        message=message,
        extra=extra,
    )


def ident_line(name: str, email: str, at: datetime) -> bytes:
    """Return a commit's ``author`` value for a name, an e-mail and a time."""

    def safe(text: str) -> str:
        return re.sub(r"[<>\x00-\x1f]", " ", text).strip() or "unknown"

    return f"{safe(name)} <{safe(email)}> {int(at.timestamp())} +0000".encode()


async def read_objects(git: Git, git_dir: Path, ids: Sequence[str], *, strict: bool = True) -> dict[str, bytes]:
    """Return the contents of *ids* (object ids only) in one process; a missing one raises StoreError if *strict*."""
    if not ids:
        return {}
    ran = await git.run(git_dir, "cat-file", "--batch", options=Options(stdin="".join(f"{one}\n" for one in ids).encode("ascii")))
    found: dict[str, bytes] = {}
    at, out = 0, ran.out
    for one in ids:
        end = out.index(b"\n", at)
        words = out[at:end].split(b" ")
        at = end + 1
        if len(words) != 3:
            if strict:
                raise StoreError(f"git: the mirror lacks object {one}")
            continue
        size = int(words[2])
        found[one] = out[at : at + size]
        at += size + 1
    return found


async def check_objects(
    git: Git, git_dir: Path, names: Sequence[str], env: Options | None = None
) -> list[tuple[str, str, int] | None]:
    """Return (object id, type, size) per name, None where there is no such object. Names must hold no newline."""
    if not names:
        return []
    data = "".join(f"{name}\n" for name in names).encode("ascii")
    ran = await git.run(git_dir, "cat-file", "--batch-check", options=Options(stdin=data, env=env.env if env else {}))
    answers: list[tuple[str, str, int] | None] = []
    for line in ran.lines():
        words = line.split(" ")
        answers.append((words[0], words[1], int(words[2])) if len(words) == 3 and words[2].isdigit() else None)
    return answers


async def write_commit(git: Git, git_dir: Path, commit: Commit, committer: bytes) -> Sha:
    """Write *commit* (its own id is not looked at); a malformed author gives way to the committer."""
    lines = [b"tree " + commit.tree.encode("ascii"), *(b"parent " + parent.encode("ascii") for parent in commit.parents)]
    lines.append(b"author " + (commit.author if _IDENT.fullmatch(commit.author) else committer))
    lines.append(b"committer " + committer)
    lines += [commit.extra] if commit.extra else []
    raw = b"\n".join(lines) + b"\n\n" + commit.message.replace(b"\0", b"")
    ran = await git.run(git_dir, "hash-object", "-t", "commit", "-w", "--stdin", options=Options(stdin=raw))
    return parse_sha(ran.word())
