"""The system's clock. Owns: nothing. Rule: durations come from ``monotonic``; ``now`` is for people and for rows."""

import time
from datetime import UTC, datetime

import anyio


class SystemClock:
    """The ``Clock`` port on the machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds))
