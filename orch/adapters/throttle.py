"""How often a service is called: a bucket of tokens per API key, and a rest after it has failed.

Owns: ``TokenBucket`` and ``Rest``. Does not own what a failure is.

Desired properties: no window of a minute holds more than *per_minute* calls; who asks first goes first; a caller that is
cancelled takes nothing and holds nobody up; a service that is away is called at most once per ``REST_S``, so that a day of
it costs neither side anything, and the first call that succeeds ends the rest for everyone.
Rule: time is the event loop's own, so that a test on virtual time waits for nothing.
"""

from typing import final

import anyio

from orch.core.errors import ExternalError

REST_S = 30.0
FAILURES_MAX = 3
"""How many calls in a row may fail before the service is left alone for a while."""
MINUTE_S = 60.0


@final
class TokenBucket:
    """At most *per_minute* calls in any minute, of which *burst* may come at once."""

    def __init__(self, *, per_minute: int, burst: int) -> None:
        if not 0 < burst < per_minute:
            raise ValueError("a burst is at least 1 and less than the calls of a minute")
        self._burst = burst
        self._refill_s = MINUTE_S / (per_minute - burst)
        self._tokens = float(burst)
        self._filled_at: float | None = None
        self._turn = anyio.Lock()

    async def take(self) -> None:
        """Wait for a token, in order of asking."""
        async with self._turn:
            while True:
                missing = 1.0 - self._fill()
                if missing <= 0:
                    break
                await anyio.sleep(missing * self._refill_s)
            self._tokens -= 1.0

    def _fill(self) -> float:
        now = anyio.current_time()
        if self._filled_at is not None:
            # Rounding must not leave a sliver of a token to be waited for over and over.
            gained = (now - self._filled_at) / self._refill_s + 1e-9
            self._tokens = min(float(self._burst), self._tokens + gained)
        self._filled_at = now
        return self._tokens


@final
class Rest:
    """A service left alone: after ``FAILURES_MAX`` failures in a row, or for as long as it asked for.

    While it lasts every call is answered with the failure that began it, and nothing is sent. Then one caller at a time may
    try again.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._until = float("-inf")
        self._cause: ExternalError | None = None

    def check(self) -> None:
        """Raise the failure that began the rest, with what is left of it as its *retry_after*."""
        left_s = self._until - anyio.current_time()
        if self._cause is not None and left_s > 0:
            raise _again(self._cause, left_s)

    def enter(self) -> None:
        """``check`` just before a call is sent: after a failed series this caller tries, and the others wait for the result."""
        self.check()
        if self._failures >= FAILURES_MAX:
            self._until = anyio.current_time() + REST_S

    def failed(self, error: ExternalError) -> None:
        self._failures += 1
        asked_s = error.retry_after or 0.0
        rest_s = max(asked_s, REST_S) if self._failures >= FAILURES_MAX else asked_s
        if rest_s > 0:
            self._cause = error
            self._until = max(self._until, anyio.current_time() + rest_s)

    def succeeded(self) -> None:
        self._failures, self._until, self._cause = 0, float("-inf"), None


def _again(cause: ExternalError, left_s: float) -> ExternalError:
    detail = f"{cause.detail} (not called again for {left_s:.0f} s)"
    return type(cause)(cause.service, cause.operation, detail, retry_after=left_s)
