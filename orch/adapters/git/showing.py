"""What people are shown of a task branch: the artefact folder and a diff in figures, read from the mirror's objects.

Owns: ``GitBranchReader``. Does not own: what a gate makes of an artefact (``artefacts``). Rule: read-only and bounded, nothing is
fetched, made or run, and a name from a request is compared with what the tree holds: it is never part of a command.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, final

from orch.adapters.git.artefacts import MAX_BYTES, MAX_FILES, Entry, list_folder
from orch.adapters.git.objects import check_objects, read_objects
from orch.adapters.git.runner import Git, Options
from orch.core.ids import Sha, WorkItemId, artefact_dir, parse_sha
from orch.ports.git import BranchDiff, ChangedFile, FoundFile

FILES_MAX = 500
PATH_MAX = 1_000
ANSWER_S = 20.0


class MirrorOfOurs(Protocol):
    """What is needed of a mirror."""

    path: Path
    git: Git


@final
class GitBranchReader:
    """Reads one project's mirror."""

    def __init__(self, mirror: MirrorOfOurs) -> None:
        self._git, self._path = mirror.git, mirror.path

    async def list_artefacts(self, sha: Sha, work_item: WorkItemId) -> tuple[FoundFile, ...]:
        entries = await self._entries(sha, work_item)
        return tuple(_found(entry, work_item) for entry in entries[:MAX_FILES])

    async def read_artefact(self, sha: Sha, work_item: WorkItemId, name: str) -> bytes | None:
        for entry in await self._entries(sha, work_item):
            found = _found(entry, work_item)
            if found.name == name and not found.problem:
                return (await read_objects(self._git, self._path, [found.blob])).get(found.blob)
        return None

    async def diff(self, base: Sha, tip: Sha) -> BranchDiff:
        if not await self._has(base, tip):
            return BranchDiff()
        what = f"{parse_sha(base)}...{parse_sha(tip)}"
        quick = Options(timeout_s=ANSWER_S)
        ran = await self._git.run(
            self._path, "diff", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv", "-z", what, "--", options=quick
        )
        files = [_changed(line) for line in ran.fields() if line]
        return BranchDiff(
            files=tuple(files[:FILES_MAX]),
            count=len(files),
            added=_sum(files, lambda file: file.added),
            deleted=_sum(files, lambda file: file.deleted),
        )

    async def _entries(self, sha: Sha, work_item: WorkItemId) -> list[Entry]:
        return await list_folder(self._git, self._path, sha, artefact_dir(work_item)) if await self._has(sha) else []

    async def _has(self, *commits: Sha) -> bool:
        """Say whether the mirror is there and holds *commits*."""
        if not (self._path / "HEAD").is_file():
            return False
        found = await check_objects(self._git, self._path, [parse_sha(sha) for sha in commits])
        return all(each is not None and each[1] == "commit" for each in found)


def _found(entry: Entry, work_item: WorkItemId) -> FoundFile:
    problem = ""
    if entry.mode not in ("100644", "100755") or entry.size is None:
        problem = "it is not a regular file"
    elif entry.size > MAX_BYTES:
        problem = f"it is larger than {MAX_BYTES} bytes"
    name = entry.path[len(artefact_dir(work_item)) + 1 :].decode("utf-8", "replace")[:PATH_MAX]
    return FoundFile(name=name, size=entry.size or 0, blob=entry.sha, problem=problem)


def _changed(line: bytes) -> ChangedFile:
    added, deleted, path = line.split(b"\t", 2)

    def number(text: bytes) -> int | None:
        return int(text) if text.isdigit() else None

    return ChangedFile(path=path.decode("utf-8", "replace")[:PATH_MAX], added=number(added), deleted=number(deleted))


def _sum(files: list[ChangedFile], of: Callable[[ChangedFile], int | None]) -> int:
    return sum(of(file) or 0 for file in files)
