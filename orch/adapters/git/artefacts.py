"""A task branch as facts: the artefact folder and the newest commit of code, read from git objects only.

Owns: ``BranchFacts``. Rule: a file that cannot be read is there with its ``problem``, so that a gate is red with a reason.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import final

from orch.adapters.git.front_matter import FrontMatterError, parse_front_matter, split_front_matter
from orch.adapters.git.objects import read_objects
from orch.adapters.git.runner import Git
from orch.core.gates import Artefact, BranchFacts
from orch.core.ids import Sha, WorkItemId, artefact_dir, parse_sha

MAX_FILES = 200
MAX_BYTES = 1_000_000
TEXT_CUT = 200_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of ``ls-tree``; *path* as git has it, *size* None for what is not a blob."""

    mode: str
    sha: Sha
    size: int | None
    path: bytes


async def list_folder(git: Git, git_dir: Path, sha: Sha, folder: str) -> list[Entry]:
    """List every file below *folder* in the commit *sha*."""
    ran = await git.run(git_dir, "ls-tree", "-r", "-z", "--long", "--full-tree", sha, "--", folder + "/")
    entries = []
    for line in ran.fields():
        meta, _, path = line.partition(b"\t")
        words = meta.decode("ascii", "replace").split()
        if len(words) == 4:
            size = int(words[3]) if words[3].isdigit() else None
            entries.append(Entry(mode=words[0], sha=parse_sha(words[2]), size=size, path=path))
    return entries


async def read_branch(git: Git, git_dir: Path, sha: Sha, work_item: WorkItemId, base: Sha) -> BranchFacts:
    """Read the branch at *sha* that was cut at *base*."""
    folder = artefact_dir(work_item)
    entries = [
        entry
        for entry in await list_folder(git, git_dir, sha, folder)
        if not entry.path.startswith(f"{folder}/history/".encode())
    ]
    wanted = [entry.sha for entry in entries[:MAX_FILES] if _problem(entry) == ""]
    contents = await read_objects(git, git_dir, list(dict.fromkeys(wanted)))
    artefacts: dict[str, Artefact] = {}
    for entry in entries[:MAX_FILES]:
        name = entry.path[len(folder) + 1 :].decode("utf-8", "replace")
        problem = _problem(entry)
        artefacts[name] = (
            Artefact(name=name, blob=entry.sha, problem=problem) if problem else _artefact(name, entry.sha, contents[entry.sha])
        )
    return BranchFacts(head=sha, code_head=await _code_head(git, git_dir, sha, folder, base), artefacts=artefacts)


def _problem(entry: Entry) -> str:
    if entry.mode not in ("100644", "100755") or entry.size is None:
        return "it is not a regular file"
    if entry.size > MAX_BYTES:
        return f"it is larger than {MAX_BYTES} bytes"
    return ""


def _artefact(name: str, blob: Sha, content: bytes) -> Artefact:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return Artefact(name=name, blob=blob, text=content.decode("utf-8", "replace")[:TEXT_CUT], problem="it is not UTF-8 text")
    try:
        front, body = split_front_matter(text)
        parsed = None if front is None else parse_front_matter(front)
    except FrontMatterError as error:
        return Artefact(name=name, blob=blob, text=text[:TEXT_CUT], problem=str(error))
    return Artefact(name=name, blob=blob, text=body[:TEXT_CUT], front=parsed)


async def _code_head(git: Git, git_dir: Path, sha: Sha, folder: str, base: Sha) -> Sha | None:
    """Find the newest first-parent commit since *base* that changed anything outside *folder*.

    A merge counts by what it brings in against its first parent, so a merge of the default branch is new code.
    """
    ran = await git.run(
        git_dir, "log", "-1", "--first-parent", "--format=%H", "--no-show-signature", sha, f"^{base}",
        "--", ":(top)", f":(top,exclude,literal){folder}",
    )  # fmt: skip
    return parse_sha(ran.word()) if ran.word() else None
