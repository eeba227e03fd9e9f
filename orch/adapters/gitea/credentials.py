"""The token with which git talks to Gitea, kept out of URLs, arguments, environments and output.

Owns: the two files under ``<data directory>/gitea``: ``token`` (0600), and ``askpass`` (0700), the program that git runs to be
told user and password. Does not own running git. Rule: the environment of git names the program, never the token; the
program answers for one server alone, so that no redirect and no other remote can ask the token out of it.
"""

import os
import shlex
from pathlib import Path
from typing import final
from urllib.parse import urlsplit

from orch.core.errors import ConfigError
from orch.ports import GitRemote

USER = "orch"
"""Gitea knows the user by the token; git only wants a name."""
FOLDER = "gitea"


@final
class GitCredentials:
    """The files that let git in at one server, made once at the start of a daemon."""

    def __init__(self, data_dir: Path, url: str, token: str) -> None:
        """Raises ConfigError when the files cannot be written."""
        self._url = url.rstrip("/")
        folder = data_dir.absolute() / FOLDER
        self._askpass = folder / "askpass"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            _replace(folder / "token", token + "\n", 0o600)
            _replace(self._askpass, _script(self._url), 0o700)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be written ({error.strerror}): git's credentials are kept there") from error

    def remote(self, repo: str) -> GitRemote:
        """Return how *repo* (``team/shop``) is fetched from and pushed to."""
        env = {
            "GIT_ASKPASS": str(self._askpass),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.followRedirects",
            "GIT_CONFIG_VALUE_0": "false",
        }
        return GitRemote(url=f"{self._url}/{repo}.git", env=env)


def _script(url: str) -> str:
    parts = urlsplit(url)
    user = shlex.quote(f"Username for '{parts.scheme}://{parts.netloc}': ")
    password = shlex.quote(f"Password for '{parts.scheme}://{USER}@{parts.netloc}': ")
    return (
        "#!/bin/sh\n"
        'case "$1" in\n'
        f"{user}) printf '%s\\n' {USER} ;;\n"
        f"{password})\n"
        '    read -r token < "${0%/*}/token" && printf \'%s\\n\' "$token" ;;\n'
        "*) exit 1 ;;\n"
        "esac\n"
    )


def _replace(path: Path, text: str, mode: int) -> None:
    """Write *path* whole, with its mode from the first moment on."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "w", encoding="utf-8") as file:
        file.write(text)
    draft.chmod(mode)
    draft.replace(path)
