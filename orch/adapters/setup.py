"""The first hour's services put together from settings: Plane, Gitea, and a repository on this machine.

Owns: ``Setup``, the ``SetupDesk`` port, and ``LocalSetup``. Rule: nothing of a repository is run or followed: its files are read
out of its commits by git.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final

from orch.adapters.git import Git
from orch.adapters.git.runner import Options
from orch.adapters.gitea import make_gitea_client
from orch.adapters.gitea.api import GiteaApi
from orch.adapters.gitea.setup import TEXT_MAX, GiteaSetup
from orch.adapters.plane import make_plane_accounts
from orch.adapters.plane.setup import PlaneSetup
from orch.config import Settings, open_repository
from orch.core.ids import ProjectName
from orch.ports.setup import BoardSetup, ForgeSetup, RepoFacts, RepoSetup


@final
class Setup:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @asynccontextmanager
    async def board(self) -> AsyncIterator[BoardSetup]:
        async with make_plane_accounts(self._settings) as accounts:
            yield PlaneSetup(accounts)

    @asynccontextmanager
    async def forge(self, repo: str) -> AsyncIterator[ForgeSetup]:
        async with make_gitea_client(self._settings) as client:
            yield GiteaSetup(GiteaApi(client, ProjectName("init"), repo, f"{self._settings.gitea_url}/{repo}"))

    def repository(self, path: str) -> RepoSetup:
        return LocalSetup(Path(path))


@final
class LocalSetup:
    """A repository that is its own forge."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def look(self, branch: str, read: Collection[str]) -> RepoFacts:
        found = open_repository(self._path, branch or None)
        git, ref = Git(), f"refs/heads/{found.branch}"
        listed = await git.run(found.git_dir, "ls-tree", "-z", "--full-tree", ref)
        blobs: dict[str, str] = {}
        names: list[str] = []
        for row in listed.fields():
            about, _, name = row.decode("utf-8", "replace").partition("\t")
            mode, kind, sha = (*about.split(" "), "", "")[:3]
            names.append(name)
            if kind == "blob" and mode != "120000" and name in read:
                blobs[name] = sha
        texts = {name: await self._text(git, found.git_dir, sha) for name, sha in blobs.items()}
        return RepoFacts(default_branch=found.branch, names=tuple(names), texts=texts)

    async def _text(self, git: Git, git_dir: Path, sha: str) -> str:
        size = (await git.run(git_dir, "cat-file", "-s", sha)).word()
        if not size.isdigit() or int(size) > TEXT_MAX:
            return ""
        return (await git.run(git_dir, "cat-file", "blob", sha, options=Options())).out.decode("utf-8", "replace")
