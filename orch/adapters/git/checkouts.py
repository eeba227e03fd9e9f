"""Throw-away working copies of a mirror's commits, for the daemon's own commands.

Owns: the folder of them beside the mirror, filling one and removing it. Does not own: an agent's working copy (``workspace``).
Rule: each is a repository of its own that borrows the mirror's objects, never a linked worktree.
"""

import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final

import anyio
import anyio.to_thread

from orch.adapters.git.clone import Clone
from orch.adapters.git.layout import lay_out, remove_tree
from orch.adapters.git.runner import Options
from orch.core.ids import Sha

_REMOVE_S = 60.0


@final
class Checkouts:
    """The working copies of one mirror."""

    def __init__(self, clone: Clone) -> None:
        self._clone = clone
        self._folder = clone.path.with_name(clone.path.name + ".checkouts")
        self._swept = False

    @asynccontextmanager
    async def checkout(self, sha: Sha, label: str) -> AsyncIterator[Path]:
        await self._clone.ensure()
        folder = await anyio.to_thread.run_sync(self._make_folder, label)
        try:
            await self._fill(folder, sha)
            yield folder
        finally:
            with anyio.move_on_after(_REMOVE_S, shield=True):
                await anyio.to_thread.run_sync(remove_tree, folder)

    async def export(self, sha: Sha, folder: Path) -> None:
        await self._clone.ensure()
        if await anyio.to_thread.run_sync(folder.exists):
            return
        draft = folder.with_name(folder.name + ".part")
        await anyio.to_thread.run_sync(remove_tree, draft)  # left by a daemon that was killed
        draft.mkdir(mode=0o700, parents=True)
        await self._fill(draft, sha)
        draft.rename(folder)

    async def _fill(self, folder: Path, sha: Sha) -> None:
        git_dir = folder / ".git"
        lay_out(git_dir, bare=False, head=sha, alternates=[self._clone.objects], sha256=len(sha) == 64)
        await self._clone.git.run(git_dir, "read-tree", "--reset", "-u", sha, options=Options(work_tree=folder))

    def _make_folder(self, label: str) -> Path:
        if not self._swept and self._folder.exists():
            shutil.rmtree(self._folder, ignore_errors=True)  # left by a daemon that was killed
        self._swept = True
        self._folder.mkdir(parents=True, exist_ok=True)
        safe = re.sub(r"[^A-Za-z0-9]+", "-", label)[:40].strip("-") or "tree"
        return Path(tempfile.mkdtemp(prefix=f"{safe}-", dir=self._folder))
