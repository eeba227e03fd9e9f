"""Git objects as values: reading many in one process, writing commits byte for byte in none.

Owns: the ``cat-file --batch`` protocol, the text of a commit, and a loose object's place. Rule: an author is kept exactly as
written where the line is well formed, and is the daemon where it is not.
"""

import hashlib
import os
import re
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import final

from orch.adapters.git.runner import Git, Options
from orch.core.errors import StoreError
from orch.core.ids import Sha, parse_sha

_IDENT = re.compile(rb"[^<>\n\0]+ <[^<>\n\0]*> (?:0|[1-9]\d{0,10}) [+-]\d{4}")
_DATE = re.compile(rb"> (\d{1,11}) [+-]\d{4}$")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit's parts; *author* is the raw line after ``author``, *extra* the encoding header where there is one.

    *committed_at* is the committer's date in seconds, 0 where that is malformed.
    """

    sha: Sha
    tree: Sha
    parents: tuple[Sha, ...]
    author: bytes
    message: bytes
    extra: bytes = b""
    committed_at: int = 0

    @property
    def subject(self) -> str:
        return self.message.split(b"\n", 1)[0].decode("utf-8", "replace")[:120]


def parse_commit(sha: Sha, raw: bytes) -> Commit:
    """Read a raw commit object."""
    head, _, message = raw.partition(b"\n\n")
    tree, author, extra, committed_at = b"", b"", b"", 0
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
            case b"committer":
                date = _DATE.search(value)
                committed_at = int(date[1]) if date else 0
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
        committed_at=committed_at,
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


def write_commit(git_dir: Path, commit: Commit, committer: bytes) -> Sha:
    """Write *commit* (its own id is not looked at); a malformed author gives way to the committer. Raises StoreError."""
    lines = [b"tree " + commit.tree.encode("ascii"), *(b"parent " + parent.encode("ascii") for parent in commit.parents)]
    lines.append(b"author " + (commit.author if _IDENT.fullmatch(commit.author) else committer))
    lines.append(b"committer " + committer)
    lines += [commit.extra] if commit.extra else []
    text = b"\n".join(lines) + b"\n\n" + commit.message.replace(b"\0", b"")
    raw = b"commit %d\0" % len(text) + text
    digest = hashlib.sha256(raw) if len(commit.tree) == 64 else hashlib.sha1(raw, usedforsecurity=False)
    try:
        _store(git_dir / "objects", digest.hexdigest(), raw)
    except OSError as error:
        raise StoreError(f"git: cannot write an object into {git_dir}: {error.strerror}") from error
    return parse_sha(digest.hexdigest())


def is_loose(git_dir: Path, sha: Sha) -> bool:
    """Say whether the object stands there in a file of its own, as what ``write_commit`` has just written does."""
    return (git_dir / "objects" / sha[:2] / sha[2:]).is_file()


def _store(objects: Path, name: str, raw: bytes) -> None:
    """Put a loose object at its place, whole or not at all."""
    place = objects / name[:2] / name[2:]
    if place.exists():
        return
    place.parent.mkdir(exist_ok=True)
    handle, half = tempfile.mkstemp(prefix="tmp_obj_", dir=objects)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(zlib.compress(raw, 1))
        os.chmod(half, 0o444)
        os.replace(half, place)
    except OSError:
        Path(half).unlink(missing_ok=True)
        raise
