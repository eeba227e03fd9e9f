"""Who may call the fake Plane, how often, and how it says no.

Owns: ``Refused`` and ``Limit``.
"""

from collections import defaultdict, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Any

WINDOW = timedelta(minutes=1)


class Refused(Exception):
    """An answer that is no success; *body* is JSON, or a text as a proxy in front of it would send."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.headers = headers or {}


def went_wrong() -> Refused:
    return Refused(500, {"error": "Something went wrong please try again later"})


def not_found() -> Refused:
    return Refused(404, {"error": "The requested resource does not exist."})


def forbidden() -> Refused:
    return Refused(403, {"detail": "You do not have permission to perform this action."})


def bad_key() -> Refused:
    return Refused(403, {"detail": "Given API token is not valid"})


def invalid(name: str, said: str) -> Refused:
    return Refused(400, {name: [said]})


class Limit:
    """A sliding window of a minute per key. A call that was refused does not prolong it."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._calls: defaultdict[str, deque[datetime]] = defaultdict(deque)

    def count(self, key: str, now: datetime) -> int:
        """Count one call and return how many are left; raises Refused when there was none."""
        calls = self._calls[key]
        while calls and calls[0] <= now - WINDOW:
            calls.popleft()
        if len(calls) >= self.per_minute:
            left = ceil((calls[0] + WINDOW - now).total_seconds())
            body = {"error_code": 5900, "error_message": "RATE_LIMIT_EXCEEDED"}
            raise Refused(429, body, {"Retry-After": str(left)})
        calls.append(now)
        return self.per_minute - len(calls)
