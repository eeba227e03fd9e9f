"""A bare clone and the remote it is of: made whole or not at all, and brought up to date.

Owns: making, fetching, what the remote says and said of its branches. Does not own: what is built in it or pushed from it.
Design: the remote's branches are kept under ``refs/remotes/origin/*`` and the clone has no branch of its own, so no local ref can
be mistaken for what the remote said; the remote is named by URL at every call and no remote is configured. A fetch first asks
what stands there, and ends with that where all is known: most looks find nothing new, and our own pushes are known.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from orch.adapters.git.layout import check_ref_part, lay_out, read_ref, remove_tree
from orch.adapters.git.push import ask_heads, ask_tip
from orch.adapters.git.refs import list_refs, write_locked
from orch.adapters.git.runner import Git, Options
from orch.adapters.git.together import side_by_side
from orch.core.errors import ConfigError, PermanentError, StoreError, TransientError
from orch.core.ids import ProjectName, Sha
from orch.failpoints import hit
from orch.ports.services import GitRemote

_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
_TRACKING = "refs/remotes/origin"


@final
class Clone:
    """Made on first use; calls may run side by side."""

    def __init__(
        self,
        path: Path,
        remote: GitRemote | Callable[[], GitRemote],
        *,
        project: ProjectName,
        default_branch: str,
        git: Git,
    ) -> None:
        self.path = path.absolute()
        self.git = git
        self.project = project
        self.default_branch = check_ref_part(default_branch)
        self._remote = remote
        self._fetching = anyio.Lock()
        self._making = anyio.Lock()
        self._ready = False

    @property
    def objects(self) -> Path:
        return self.path / "objects"

    def remote(self) -> GitRemote:
        remote = self._remote if isinstance(self._remote, GitRemote) else self._remote()
        if "://" in remote.url and urlsplit(remote.url).password is not None:
            raise ConfigError(
                f"the repository URL of project {self.project} holds a password: give it as a token setting instead"
            )
        return remote

    # ------------------------------------------------------------------------------------------ making

    async def ensure(self) -> None:
        """Make the clone if it is not there yet; a half-made one is begun again."""
        if not self._ready:
            async with self._making:
                await self._open()

    async def _open(self) -> None:
        if self._ready:
            return
        if not self.path.exists():
            await self._make()
        elif not (self.path / "HEAD").is_file() or not self.objects.is_dir():
            raise StoreError(f"git: {self.path} is not a mirror: move it away, it is made again by itself")
        else:
            await anyio.to_thread.run_sync(self._drop_stale_locks)
        self._ready = True

    async def _make(self) -> None:
        remote = self.remote()
        tip = await ask_tip(self.git, None, remote, f"refs/heads/{self.default_branch}")
        if tip is None:
            raise self._no_default_branch()
        half = self.path.with_name(self.path.name + ".half-made")
        await anyio.to_thread.run_sync(remove_tree, half)
        lay_out(half, bare=True, head="ref: refs/heads/none", sha256=len(tip) == 64)
        await self._fetch_into(half, remote)
        hit("mirror.made")
        half.rename(self.path)

    def _drop_stale_locks(self) -> None:
        """Remove lock files of an earlier daemon's git: this process is the only one that works here."""
        for lock in [*self.path.glob("*.lock"), *(self.path / "refs").rglob("*.lock")]:
            lock.unlink(missing_ok=True)

    def _no_default_branch(self) -> PermanentError:
        return PermanentError(
            "git",
            "fetch",
            f"the remote has no branch {self.default_branch!r}: push one, or set default_branch of project {self.project}",
        )

    # ------------------------------------------------------------------------------------------ fetching

    async def fetch(self) -> Sha:
        fresh = not self._ready and not self.path.exists()
        await self.ensure()
        if not fresh:
            async with self._fetching:
                await self._fetch_what_is_new()
        tip = self.tracked(self.default_branch)
        if tip is None:
            raise self._no_default_branch()
        return tip

    async def _fetch_what_is_new(self) -> None:
        remote = self.remote()
        known = partial(anyio.to_thread.run_sync, list_refs, self.path, _TRACKING)
        heads, tracked = await side_by_side(partial(ask_heads, self.git, remote), known)
        if heads != tracked:
            await self._fetch_into(self.path, remote)

    async def _fetch_into(self, git_dir: Path, remote: GitRemote) -> None:
        refspec = f"+refs/heads/*:{_TRACKING}/*"
        await self.git.run(git_dir, *_FETCH, "--prune", "--", remote.url, refspec, options=Options(env=remote.env))

    async def take(self, git_dir: Path, source: str, target: str) -> None:
        """Copy *source* of one of the daemon's own repositories to the ref *target*, with everything it needs.

        Raises StoreError when the objects do not hold together; git itself calls that a broken connection.
        """
        try:
            await self.git.run(self.path, *_FETCH, "--", str(git_dir), f"+{source}:{target}")
        except TransientError as error:
            if re.search(r"lock|no answer within|cannot start|ended by signal", error.detail):
                raise
            raise StoreError(str(error)) from error

    # ------------------------------------------------------------------------------------------ the remote's branches

    def tracked(self, branch: str) -> Sha | None:
        """Return a remote branch's tip as last fetched."""
        return read_ref(self.path, f"{_TRACKING}/{check_ref_part(branch)}")

    async def remote_tip(self, branch: str) -> Sha | None:
        return await ask_tip(self.git, None, self.remote(), f"refs/heads/{check_ref_part(branch)}")

    async def track(self, branch: str, sha: Sha) -> None:
        """Remember what we have just pushed as the remote's; where that fails, the next fetch finds it.

        Never beside a fetch: git refuses to move a ref that is not what it was when the fetch began.
        """
        async with self._fetching:
            write_locked(self.path, f"{_TRACKING}/{check_ref_part(branch)}", sha)

    async def set_ref(self, ref: str, sha: Sha) -> None:
        await self.git.run(self.path, "update-ref", ref, sha)
