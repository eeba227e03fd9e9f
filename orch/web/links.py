"""One-time links that open the page in a browser without the token ever being typed or bookmarked.

Owns: the codes that are out. Rule: a code opens once, for ten minutes, and only its digest is kept.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import final

CODES_MAX = 64


@final
class LoginLinks:
    """The codes that were given out and not used yet. They are memory: a restart voids them."""

    def __init__(self, lifetime_s: float = 600.0) -> None:
        self._lifetime = timedelta(seconds=lifetime_s)
        self._ends: dict[bytes, datetime] = {}

    def issue(self, now: datetime) -> str:
        """Make a code; of more than CODES_MAX the oldest is void."""
        self._ends = {digest: end for digest, end in self._ends.items() if end > now}
        while len(self._ends) >= CODES_MAX:
            del self._ends[next(iter(self._ends))]
        code = secrets.token_urlsafe(24)
        self._ends[_digest(code)] = now + self._lifetime
        return code

    def redeem(self, code: str, now: datetime) -> bool:
        """Use *code* up; False when it is unknown, used or too old."""
        end = self._ends.pop(_digest(code), None)
        return end is not None and now < end


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
