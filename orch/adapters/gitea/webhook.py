"""The hook by which Gitea tells the daemon: made, or brought up to date.

Owns: ``ensure_webhook``, ``list_webhooks`` and the events that are asked for. Rule: what the server took of them is read back,
since it drops names that it does not know without a word; what is missing is polled for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from orch.adapters.gitea.api import GiteaApi
from orch.adapters.gitea.wire import SERVICE, garbage
from orch.core.errors import PermanentError

EVENTS = ("push", "create", "delete", "pull_request", "status")
OPERATION = "set up the hook"


async def ensure_webhook(api: GiteaApi, url: str, secret: str) -> tuple[str, ...]:
    """Make the one hook to *url* active, signed with *secret* and asking for EVENTS; return those that the server dropped.

    Raises PermanentError when the token's user does not administer the repo, or *secret* is empty: such a hook is not signed.
    """
    if not secret:
        raise PermanentError(SERVICE, OPERATION, "a hook without a secret would not be signed: set ORCH_GITEA_WEBHOOK_SECRET")
    wanted = {"active": True, "events": list(EVENTS), "config": {"url": url, "content_type": "json", "secret": secret}}
    path = f"{api.path}/hooks"
    found = await _find(api, path, url)
    if found is None:
        reply = await api.client.post(path, {"type": "gitea", **wanted})
    else:
        reply = await api.client.patch(f"{path}/{found}", wanted)
    taken = reply.body.get("events") if isinstance(reply.body, dict) else None
    if not isinstance(taken, list):
        raise garbage(f"POST {path}", "hook")
    return tuple(event for event in EVENTS if event not in taken)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RepoWebhook:
    """A hook of a repo as its administrators see it."""

    url: str
    active: bool
    events: tuple[str, ...]


async def list_webhooks(api: GiteaApi) -> list[RepoWebhook]:
    """Return the repo's hooks. Raises PermanentError when the token's user does not administer the repo."""
    found = []
    async for item in api.items(f"{api.path}/hooks"):
        events = item.get("events")
        named = tuple(str(event) for event in events) if isinstance(events, list) else ()
        found.append(RepoWebhook(url=str(_config(item).get("url") or ""), active=item.get("active") is True, events=named))
    return found


async def _find(api: GiteaApi, path: str, url: str) -> int | None:
    async for item in api.items(path):
        number = item.get("id")
        if _config(item).get("url") == url and isinstance(number, int):
            return number
    return None


def _config(item: Mapping[str, Any]) -> Mapping[str, Any]:
    config = item.get("config")
    return config if isinstance(config, dict) else {}
