"""Plane's webhooks at the daemon's door.

Owns: which project an event belongs to, and what it is filed under. Does not own: the signature and the body (``hooks``).
Rule: a hook is the workspace's, so that the uuid of its project decides; what names another project is not ours, what names none
(an issue that is deleted) cannot be told apart and is left to the poll. Comments drive nothing and our own changes are no news:
both are taken, since they show that the hook is alive, and ask for nothing.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import final

from orch.adapters.plane.hooks import EVENT_HEADER, SIGNATURE_HEADER, HookKind, Poison, parse_hook, verify_signature
from orch.adapters.plane.parse import parse_uuid
from orch.core.ids import ProjectName, UserId
from orch.ports import BranchEvent, CardEvent

SERVICE = "plane"
_NAMES = frozenset({"issue", "issue_comment", "project", "module", "cycle"})


@final
class PlaneDoor:
    """*projects* gives each project's name by its uuid on Plane, *own_users* those of the daemon as far as they are known;
    *heard* is told when a genuine event came."""

    def __init__(
        self,
        secret: str,
        projects: Callable[[], Mapping[str, ProjectName]],
        own_users: Callable[[], Collection[UserId]],
        heard: Callable[[str, datetime], None],
    ) -> None:
        self._secret, self._projects, self._own_users, self._heard = secret, projects, own_users, heard

    def admits(self, body: bytes, headers: Mapping[str, str]) -> bool:
        return verify_signature(self._secret, body, _header(headers, SIGNATURE_HEADER))

    def concerns(self, body: bytes, headers: Mapping[str, str]) -> bool:
        del headers
        hook = parse_hook(body)
        return isinstance(hook, Poison) or (hook.kind is not HookKind.OTHER and self._project(hook.project) is not None)

    def source(self, headers: Mapping[str, str]) -> str:
        name = _header(headers, EVENT_HEADER).strip().lower()
        return f"{SERVICE}:{name if name in _NAMES else 'other'}"

    def read(self, source: str, body: bytes) -> CardEvent | BranchEvent | str | None:
        del source
        hook = parse_hook(body)
        if isinstance(hook, Poison):
            return hook.reason
        project = self._project(hook.project)
        if project is None or hook.issue is None or hook.kind is HookKind.COMMENT or hook.actor in self._own_users():
            return None
        return CardEvent(project=project, issue=hook.issue, key=hook.key)

    def heard(self, at: datetime) -> None:
        self._heard(SERVICE, at)

    def _project(self, uuid: str | None) -> ProjectName | None:
        known = {parse_uuid(each): name for each, name in self._projects().items()}
        return None if uuid is None else known.get(uuid)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name.lower()), "")
