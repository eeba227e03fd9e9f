"""The forge on Gitea: the ``Forge`` port over its API, git's credentials, and its hooks as values.

Owns: how a project's settings become its forge (``make_gitea_client`` once, ``make_gitea_forge`` per project).
"""

from pathlib import Path

from orch.adapters.gitea.api import GiteaApi
from orch.adapters.gitea.credentials import GitCredentials
from orch.adapters.gitea.forge import GiteaForge
from orch.adapters.gitea.hooks import EVENT_HEADER, parse_hook, verify_signature
from orch.adapters.gitea.rights import BranchRights
from orch.adapters.gitea.wire import SERVICE
from orch.adapters.http import ApiKey, ServiceClient
from orch.config.settings import Settings
from orch.core.errors import ConfigError
from orch.core.model import Project

__all__ = [
    "EVENT_HEADER",
    "BranchRights",
    "GiteaForge",
    "make_gitea_client",
    "make_gitea_forge",
    "parse_hook",
    "verify_signature",
]

ADVICE = "the token is wrong or was withdrawn: make a new one for the bot and give it as ORCH_GITEA_TOKEN"


def make_gitea_client(settings: Settings) -> ServiceClient:
    """Return the connection that every project on Gitea shares; whoever calls this closes it."""
    key = ApiKey(header="Authorization", token=_token(settings), scheme="token", advice=ADVICE)
    return ServiceClient(SERVICE, f"{settings.gitea_url}/api/v1", key)


def make_gitea_forge(settings: Settings, project: Project, data_dir: Path, client: ServiceClient) -> GiteaForge:
    """Return the forge of one project and leave git's credentials in *data_dir*; raises ConfigError when that fails."""
    public = settings.gitea_public_url or settings.gitea_url
    api = GiteaApi(client, project.name, project.repo, f"{public}/{project.repo}")
    return GiteaForge(api, GitCredentials(data_dir, settings.gitea_url, _token(settings)), project.default_branch)


def _token(settings: Settings) -> str:
    if not settings.gitea_url or settings.gitea_token is None:
        raise ConfigError("a project is on Gitea: set gitea_url, and the bot's token as ORCH_GITEA_TOKEN")
    token = settings.gitea_token.get_secret_value().strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError("ORCH_GITEA_TOKEN is no token: it is one word of letters and digits")
    return token
