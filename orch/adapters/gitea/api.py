"""One repo behind Gitea's API: paths, pages, and what a 404 means.

Owns: ``GiteaApi``, which every part of the adapter calls through. Does not own the connection, its errors and its token
(``ServiceClient``). Rule: a list is read to its real end, whatever page size the server allows; nothing is believed to be gone
that merely cannot be seen.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, final

from orch.adapters.gitea.wire import SERVICE, Pull, garbage, read_pull
from orch.adapters.http import Query, ServiceClient, ServiceReply
from orch.core.errors import PermanentError
from orch.core.ids import ProjectName

PAGE = 50
"""What a server gives at most unless configured otherwise; it may be configured to less."""
PAGES_MAX = 400


@final
class GiteaApi:
    """The API of one repo; *repo* is its full name, *web* its address for people."""

    def __init__(self, client: ServiceClient, project: ProjectName, repo: str, web: str) -> None:
        self.client = client
        self.project = project
        self.repo = repo
        self.web = web
        self.path = f"/repos/{repo}"
        self._me: int | None = None

    def read(self, body: object, operation: str) -> Pull:
        return read_pull(body, self.project, self.web, operation)

    async def items(self, path: str, query: Query | None = None, *, key: str | None = None) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the objects of a list, page by page, each once; rows may move while it is read.

        *key* names the list inside an answer that is an object. A path that is not there is an empty list when the repo is.
        """
        seen: set[str] = set()
        for page in range(1, PAGES_MAX + 1):
            reply = await self.client.get(path, {**(query or {}), "page": page, "limit": PAGE}, expect={404})
            if reply.status == 404:
                await self.require_repo()
                return
            fresh = {name: item for item in _list(reply.body, key, path) if (name := _name(item)) not in seen}
            seen |= fresh.keys()
            for item in fresh.values():
                yield item
            if not fresh or _total(reply) in range(len(seen) + 1):
                return
        raise PermanentError(SERVICE, f"GET {path}", f"more than {PAGES_MAX} pages")

    async def pull(self, number: int) -> Pull | None:
        """Fetch one pull request; None when the repo has none of that number."""
        path = f"{self.path}/pulls/{number}"
        reply = await self.client.get(path, expect={404})
        if reply.status == 404:
            await self.require_repo()
            return None
        return self.read(reply.body, f"GET {path}")

    async def require_pull(self, number: int, operation: str) -> Pull:
        pull = await self.pull(number)
        if pull is None:
            raise PermanentError(SERVICE, operation, f"{self.repo} has no pull request #{number}")
        return pull

    async def exists(self, path: str) -> bool:
        """Say whether *path* below the repo is there."""
        reply = await self.client.get(f"{self.path}{path}", expect={404})
        if reply.status == 404:
            await self.require_repo()
        return reply.status != 404

    async def require_repo(self) -> Mapping[str, Any]:
        """Return the repo; raises PermanentError when the token does not see it, to which Gitea also answers 404."""
        reply = await self.client.get(self.path, expect={404})
        if reply.status == 404:
            raise PermanentError(
                SERVICE, f"GET {self.path}", f"the token does not see a repository {self.repo}: make the bot a collaborator of it"
            )
        if not isinstance(reply.body, dict):
            raise garbage(f"GET {self.path}", "repository")
        return reply.body

    async def me(self) -> int:
        """Return the id of the user whose token it is (asked once)."""
        if self._me is None:
            reply = await self.client.get("/user")
            number = reply.body.get("id") if isinstance(reply.body, dict) else None
            if not isinstance(number, int):
                raise garbage("GET /user", "user")
            self._me = number
        return self._me


def message(reply: ServiceReply) -> str:
    """Return what an error's answer says for people; several say nothing at all."""
    told = reply.body.get("message") if isinstance(reply.body, dict) else None
    return told[:300] if isinstance(told, str) else ""


def _list(body: object, key: str | None, path: str) -> list[Mapping[str, Any]]:
    if key is not None:
        body = body.get(key) if isinstance(body, dict) else 0
    if body is None:  # how an empty list is sometimes written
        return []
    if not isinstance(body, list):
        raise garbage(f"GET {path}", "list")
    return [item for item in body if isinstance(item, dict)]


def _name(item: Mapping[str, Any]) -> str:
    return f"{item.get('id')}/{item.get('number')}"


def _total(reply: ServiceReply) -> int:
    text = reply.headers.get("x-total-count", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
