"""What an agent's commits may hold before they are pushed.

Owns: the checks of a finished branch, by git objects alone. Rule: net changes decide which paths a role touched; links,
submodules, ``.git`` names, sizes and secrets are looked at in *every* commit that would be pushed, because history is
published too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orch.adapters.git.objects import check_objects, read_objects
from orch.adapters.git.runner import YES_OR_NO, Git
from orch.core.ids import Sha
from orch.core.messages import Refusal, RefusalKind
from orch.logs import holds_secret, redact

MAX_BLOB = 50_000_000
SEARCHED = 8_000_000
"""A larger file is not searched for secrets: it would keep everybody waiting."""
_NAMED = 10
_LINK_LIMIT = 4_096
_ABSENT = b"000000"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A path as one commit left it."""

    mode: bytes
    blob: str
    path: bytes


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What to look at: the commits of *tip* since *start*, less those of *known* (the default branch)."""

    start: Sha
    tip: Sha
    known: Sha | None
    allowed: tuple[str, ...]


async def inspect(git: Git, git_dir: Path, what: Inspection) -> Refusal | None:
    """Return why the branch is not accepted, or None."""
    ran = await git.run(git_dir, "merge-base", "--is-ancestor", what.start, what.tip, options=YES_OR_NO)
    if ran.code:
        return Refusal(
            kind=RefusalKind.HISTORY,
            reason=f"the branch no longer contains the commit that the run started at ({what.start[:10]}): do not rewrite it",
        )
    if what.tip == what.start:
        return None
    if what.allowed:
        ran = await git.run(git_dir, "diff-tree", "-r", "-z", "--name-only", "--no-renames", what.start, what.tip)
        outside = [path for path in ran.fields() if path and not _is_allowed(path, what.allowed)]
        if outside:
            places = ", ".join(one.rstrip("/") + "/" for one in what.allowed)
            return Refusal(kind=RefusalKind.PATHS, reason=f"this role may change only {places} but changed {name_paths(outside)}")
    changes = await _changes(git, git_dir, what)
    tricks = [change.path for change in changes if _is_trick(change)]
    if tricks:
        return Refusal(kind=RefusalKind.PATHS, reason=f"submodules and .git names may not be added: {name_paths(tricks)}")
    return await _weigh(git, git_dir, changes) or await _find_secrets(git, git_dir, what, changes)


def name_paths(paths: Sequence[bytes]) -> str:
    """Name up to ten paths for people, each once, control characters shown as escapes."""
    names = list(dict.fromkeys(_shown(path) for path in paths))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _shown(path: bytes) -> str:
    text = path.decode("utf-8", "replace")
    return text[:200] if text.isprintable() else repr(text[:200])


def _is_allowed(path: bytes, allowed: Iterable[str]) -> bool:
    return any(path == one.rstrip("/").encode() or path.startswith(one.rstrip("/").encode() + b"/") for one in allowed)


async def _changes(git: Git, git_dir: Path, what: Inspection) -> list[Change]:
    known = [f"^{what.known}"] if what.known else []
    ran = await git.run(
        git_dir, "log", "-c", "--raw", "-r", "-z", "--no-abbrev", "--no-renames", "--format=", "--no-show-signature",
        what.tip, f"^{what.start}", *known, "--",
    )  # fmt: skip
    changes: list[Change] = []
    fields = iter(ran.fields())
    for field in fields:
        meta = field.strip(b"\n")
        if not meta.startswith(b":"):
            continue
        colons = len(meta) - len(meta.lstrip(b":"))
        words = meta[colons:].split(b" ")
        modes, blobs = words[: colons + 1], words[colons + 1 : 2 * colons + 2]
        changes.append(Change(mode=modes[-1], blob=blobs[-1].decode("ascii", "replace"), path=next(fields, b"")))
    return [change for change in changes if change.mode != _ABSENT]


def _is_trick(change: Change) -> bool:
    parts = [part.lower() for part in change.path.split(b"/")]
    disguised = any(part.rstrip(b". ") in (b".git", b"git~1") or b"\xe2\x80\x8c" in part for part in parts)
    return (
        disguised
        or change.mode == b"160000"
        or parts == [b".gitmodules"]
        or (change.mode == b"120000" and parts[-1].startswith(b".git"))
    )


async def _weigh(git: Git, git_dir: Path, changes: Sequence[Change]) -> Refusal | None:
    """Look at sizes, and at where symbolic links lead."""
    blobs = {change.blob: change for change in changes}
    sizes = await check_objects(git, git_dir, list(blobs))
    big = [change.path for change, found in zip(blobs.values(), sizes, strict=True) if found is not None and found[2] > MAX_BLOB]
    if big:
        return Refusal(
            kind=RefusalKind.OVERSIZED, reason=f"a file may have at most {MAX_BLOB // 1_000_000} MB: {name_paths(big)}"
        )
    short = {found[0] for found in sizes if found is not None and found[2] <= _LINK_LIMIT}
    links = [change for change in changes if change.mode == b"120000"]
    targets = await read_objects(git, git_dir, sorted({link.blob for link in links if link.blob in short}))
    leaving = [link.path for link in links if leads_out(link.path, targets.get(link.blob))]
    if leaving:
        return Refusal(
            kind=RefusalKind.PATHS, reason=f"a symbolic link may not lead out of the repository: {name_paths(leaving)}"
        )
    return None


async def _find_secrets(git: Git, git_dir: Path, what: Inspection, changes: Sequence[Change]) -> Refusal | None:
    """Refuse a branch that would publish one of the daemon's secrets, in a file, a name or a message."""
    known = [f"^{what.known}"] if what.known else []
    ran = await git.run(git_dir, "log", "--format=%an%n%ae%n%B", "--no-show-signature", what.tip, f"^{what.start}", *known, "--")
    if holds_secret(ran.out):
        return Refusal(
            kind=RefusalKind.PATHS, reason="a commit's message or author holds a secret of the daemon's: write it anew"
        )
    blobs = {change.blob: change for change in changes}
    sizes = dict(zip(blobs, await check_objects(git, git_dir, list(blobs)), strict=True))
    small = [blob for blob, found in sizes.items() if found is not None and found[2] <= SEARCHED]
    holding = [change.path for change in changes if holds_secret(change.path)]
    for batch in _batches(small, {blob: found[2] for blob, found in sizes.items() if found is not None}):
        read = await read_objects(git, git_dir, batch)
        holding += [blobs[blob].path for blob in batch if holds_secret(read.get(blob, b""))]
    if not holding:
        return None
    named = redact(name_paths(holding))
    return Refusal(
        kind=RefusalKind.PATHS, reason=f"files may not hold a secret of the daemon's, in no commit of the branch: {named}"
    )


def _batches(blobs: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Cut *blobs* into lists of which each has about SEARCHED bytes at most."""
    batch: list[str] = []
    room = SEARCHED
    for blob in blobs:
        if batch and room < sizes[blob]:
            yield batch
            batch, room = [], SEARCHED
        batch.append(blob)
        room -= sizes[blob]
    if batch:
        yield batch


def leads_out(path: bytes, target: bytes | None) -> bool:
    """Say whether a link at *path* could lead out of the tree; *target* None means that it is too long to be judged.

    ``..`` is accepted at the beginning only: after a name it could climb out of another link.
    """
    if not target or target.startswith(b"/") or b"\0" in target:
        return True
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    climbs = 0
    while climbs < len(parts) and parts[climbs] == b"..":
        climbs += 1
    rest = parts[climbs:]
    return climbs > path.count(b"/") or b".." in rest or any(part.lower() == b".git" for part in rest)
