"""The commit that a new attempt starts from: the pinned head with the request written and old verdicts retired.

Owns: the daemon's own commit before a launch. Rule: made in the mirror with an index file, never in a working copy, so no
link in a repository can lead it astray; nothing to change means no commit.
"""

import fnmatch
import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import final

from orch.adapters.git.artefacts import list_folder
from orch.adapters.git.mirror import GitMirror
from orch.adapters.git.runner import Options, signature_env
from orch.core.ids import Sha, artefact_dir, parse_sha
from orch.ports.git import WorkspaceSpec

REQUEST = "00-request.md"


@final
class StartCommit:
    """Makes start commits in one mirror; *index* is a scratch index file of the caller's."""

    def __init__(self, mirror: GitMirror, index: Path) -> None:
        self._mirror = mirror
        self._git = mirror.git
        self._index = index

    async def make(self, spec: WorkspaceSpec, pinned: Sha, at: datetime) -> Sha:
        """Return the commit to start from, *pinned* itself where nothing is to be written or retired."""
        folder = artefact_dir(spec.work_item)
        entries = await list_folder(self._git, self._mirror.path, pinned, folder)
        lines: list[bytes] = []
        present = {entry.path[len(folder) + 1 :].decode("utf-8", "surrogateescape"): entry for entry in entries}
        for name, entry in present.items():
            if not name.startswith("history/") and any(fnmatch.fnmatchcase(name, pattern) for pattern in spec.retire):
                target = f"{folder}/history/{int(spec.run)}-{name.replace('/', '-')}"
                lines += [_gone(entry.path, pinned), _present(entry.sha, target, entry.mode)]
        request = spec.request.encode("utf-8", "replace")
        held = present.get(REQUEST)
        if held is None or held.sha != _blob_id(request, sha256=len(pinned) == 64) or held.mode != "100644":
            ran = await self._git.run(self._mirror.path, "hash-object", "-w", "--stdin", options=Options(stdin=request))
            lines.append(_present(parse_sha(ran.word()), f"{folder}/{REQUEST}", "100644"))
        return await self._commit(spec, pinned, lines, at) if lines else pinned

    async def _commit(self, spec: WorkspaceSpec, pinned: Sha, lines: Sequence[bytes], at: datetime) -> Sha:
        path = self._mirror.path
        env = {"GIT_INDEX_FILE": str(self._index)}
        self._index.unlink(missing_ok=True)
        await self._git.run(path, "read-tree", pinned, options=Options(env=env))
        await self._git.run(path, "update-index", "-z", "--index-info", options=Options(env=env, stdin=b"".join(lines)))
        tree = (await self._git.run(path, "write-tree", options=Options(env=env))).word()
        message = f"Prepare {spec.work_item} for the {spec.role.value} (run {int(spec.run)})\n"
        signed = Options(stdin=message.encode(), env=signature_env(self._git.identity, at))
        ran = await self._git.run(path, "commit-tree", parse_sha(tree), "-p", pinned, options=signed)
        return parse_sha(ran.word())


def _present(sha: Sha, path: str, mode: str) -> bytes:
    return f"{mode} {sha}\t".encode() + path.encode("utf-8", "surrogateescape") + b"\0"


def _gone(path: bytes, like: Sha) -> bytes:
    return b"0 " + b"0" * len(like) + b"\t" + path + b"\0"


def _blob_id(content: bytes, *, sha256: bool) -> str:
    data = f"blob {len(content)}\0".encode() + content
    return hashlib.sha256(data).hexdigest() if sha256 else hashlib.sha1(data, usedforsecurity=False).hexdigest()
