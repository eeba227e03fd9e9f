"""One workspace of Plane behind its API, with the key of one user: paths, pages, and what a 403 means.

Owns: ``PlaneApi``, which every part of the adapter calls through. Does not own the connection, its errors and its key
(``ServiceClient``). Rule: every path ends with a slash, since Plane redirects one that does not, and a redirected POST creates
nothing; a page is an offset, so that rows move while a list is read: it is read to its real end, each row once.
"""

from collections.abc import Callable, Container, Mapping
from typing import Any, final
from urllib.parse import quote

from orch.adapters.http import Query, ServiceClient, ServiceReply
from orch.core.errors import PermanentError, TransientError

SERVICE = "plane"
REFUSAL = "API token is not valid"
"""What a 403 says when the key itself is bad; any other is about rights."""
PAGE = 100
"""What every version gives at most."""
PAGES_MAX = 1000
RESTARTS_MAX = 3

Row = Mapping[str, Any]


@final
class PlaneApi:
    """The API of one workspace under one key."""

    def __init__(self, client: ServiceClient, workspace: str) -> None:
        self.client = client
        self.workspace = workspace

    async def me(self) -> Row:
        """Return the user whose key it is."""
        return row_of(await self.send("GET", "/api/v1/users/me/"), "who am I")

    def path(self, *parts: str) -> str:
        """Return the path of something in the workspace, with its slash at the end."""
        return "/".join(("/api/v1/workspaces", quote(self.workspace, safe=""), *(quote(part, safe="") for part in parts), ""))

    async def send(
        self, method: str, path: str, *, query: Query | None = None, body: object = None, expect: Container[int] = ()
    ) -> ServiceReply:
        """Send one request; raises PermanentError that says what to do for a 403."""
        assert path.endswith("/"), "Plane redirects a path without a slash at its end"
        reply = await self.client.call(method, path, query=query, body=body, expect=_Also(expect))
        if reply.status == 403:
            raise PermanentError(
                SERVICE,
                f"{method} {path}",
                f"HTTP 403 {reply.said}; the key's user may not do this, or there is no workspace {self.workspace!r}: "
                "make the user a member (role Member) of the workspace and of the project",
            )
        return reply

    async def rows(
        self, path: str, query: Query | None = None, *, enough: Callable[[Row], bool] | None = None, pages: int = PAGES_MAX
    ) -> list[Row]:
        """Return the rows of a list, each once (by its id), up to the page that holds one of which *enough* is true.

        A list that shrinks while it is read is read again: a row may have slipped through between two pages.
        """
        for _ in range(RESTARTS_MAX):
            found = await self._read(path, query or {}, enough, pages)
            if found is not None:
                return found
        raise TransientError(SERVICE, f"GET {path}", "the list changed all the time while it was read")

    async def _read(self, path: str, query: Query, enough: Callable[[Row], bool] | None, pages: int) -> list[Row] | None:
        rows: dict[str, Row] = {}
        cursor, total = "", 0
        for _ in range(pages):
            asked = {**query, "per_page": PAGE, **({"cursor": cursor} if cursor else {})}
            reply = await self.send("GET", path, query=asked)
            page, more, cursor, now = _page(reply, path)
            if now < total:
                return None
            total = now
            rows |= {str(row.get("id")): row for row in page}
            if not more or not page or not cursor or (enough is not None and any(enough(row) for row in page)):
                break
        return list(rows.values())


@final
class _Also:
    """The statuses that a caller expects, and the 403 that is told of here."""

    def __init__(self, expected: Container[int]) -> None:
        self._expected = expected

    def __contains__(self, status: object) -> bool:
        return status == 403 or status in self._expected


def row_of(reply: ServiceReply, operation: str) -> Row:
    """Return the object that an answer is; raises TransientError for anything else."""
    if not isinstance(reply.body, dict):
        raise garbage(operation, "an object")
    return reply.body


def garbage(operation: str, wanted: str) -> TransientError:
    return TransientError(SERVICE, operation, f"the answer is not {wanted}")


def _page(reply: ServiceReply, path: str) -> tuple[list[Row], bool, str, int]:
    """Return a page's rows, whether there are more, where they begin, and how many there are in all. Some lists have no pages."""
    body = reply.body
    if isinstance(body, list):
        return [row for row in body if isinstance(row, dict)], False, "", len(body)
    if not isinstance(body, dict) or not isinstance(body.get("results"), list):
        raise garbage(f"GET {path}", "a page")
    cursor, total = body.get("next_cursor"), body.get("total_results")
    return (
        [row for row in body["results"] if isinstance(row, dict)],
        body.get("next_page_results") is True,
        cursor if isinstance(cursor, str) else "",
        total if isinstance(total, int) else 0,
    )
