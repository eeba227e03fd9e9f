"""Gitea's webhooks at the daemon's door.

Owns: which project an event belongs to, and what it is filed under. Does not own: the signature and the body (``hooks``).
Rule: the repository's full name decides; one that is no project's is not ours.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import final

from orch.adapters.gitea.hooks import EVENT_HEADER, parse_hook, verify_signature
from orch.core.ids import Branch, ProjectName
from orch.ports import BranchEvent, CardEvent, ForgeEventKind

SERVICE = "gitea"
_NAMES = frozenset({"push", "create", "delete", "pull_request", "status"})


@final
class GiteaDoor:
    """*repos* gives each repository's project by its full name (``team/shop``); *heard* is told when a genuine event came."""

    def __init__(
        self, secret: str, repos: Callable[[], Mapping[str, ProjectName]], heard: Callable[[str, datetime], None]
    ) -> None:
        self._secret, self._repos, self._heard = secret, repos, heard

    def admits(self, body: bytes, headers: Mapping[str, str]) -> bool:
        return verify_signature(self._secret, body, headers)

    def concerns(self, body: bytes, headers: Mapping[str, str]) -> bool:
        event = parse_hook(_event_name(headers), body)
        return not event.repo or self._project(event.repo) is not None

    def source(self, headers: Mapping[str, str]) -> str:
        name = _event_name(headers)
        return f"{SERVICE}:{name if name in _NAMES else 'other'}"

    def read(self, source: str, body: bytes) -> CardEvent | BranchEvent | str | None:
        event = parse_hook(source.partition(":")[2], body)
        project = self._project(event.repo)
        if project is None:
            return None if event.repo else "it names no repository"
        if event.kind is ForgeEventKind.IGNORED:
            return None
        return BranchEvent(project=project, branch=Branch(event.branch) if event.branch else None, sha=event.sha)

    def heard(self, at: datetime) -> None:
        self._heard(SERVICE, at)

    def _project(self, repo: str) -> ProjectName | None:
        """Return the project of a repository; Gitea's names do not tell capitals apart."""
        return {name.lower(): project for name, project in self._repos().items()}.get(repo.lower())


def _event_name(headers: Mapping[str, str]) -> str:
    named = {name.lower(): value for name, value in headers.items()}
    return named.get(EVENT_HEADER.lower(), "").strip().lower()
