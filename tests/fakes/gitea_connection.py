"""The adapter under test, connected to the fake Gitea as the daemon would connect it.

Owns: ``open_forge``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from orch.adapters.gitea import GiteaForge, make_gitea_client, make_gitea_forge
from orch.config.settings import Settings
from orch.core.ids import ProjectName
from orch.core.model import Project
from orch.rehearsal.gitea.server import REPO, FakeGitea


@asynccontextmanager
async def open_forge(
    gitea: FakeGitea, data_dir: Path, *, project: ProjectName, token: str = "", repo: str = REPO, public_url: str = ""
) -> AsyncIterator[GiteaForge]:
    """Give the forge of one project; *token* is another one than the bot's."""
    settings = Settings(gitea_url=gitea.url, gitea_token=SecretStr(token or gitea.token), gitea_public_url=public_url)
    entry = Project(name=project, prefix="DEMO", forge="gitea", repo=repo)
    async with make_gitea_client(settings) as client:
        yield make_gitea_forge(settings, entry, data_dir, client)
