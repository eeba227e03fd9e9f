"""The ``Probe`` port: how production does is what a test says.

Rule: every look is kept with its moment on the monotonic clock, so that a test sees that none was left out and none came early.
"""

from collections import deque
from itertools import pairwise

import anyio.lowlevel

from orch.core.model import Project
from orch.ports import Clock, ProbeResult

GOOD = ProbeResult(ok=True, detail="HTTP 200")
BAD = ProbeResult(ok=False, detail="HTTP 500")


class FakeProbe:
    """*answers* come first, one a look; after them every look sees *always*."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.answers: deque[ProbeResult] = deque()
        self.always = GOOD
        self.looks: list[tuple[str, float]] = []

    async def probe(self, project: Project) -> ProbeResult:
        await anyio.lowlevel.checkpoint()
        self.looks.append((project.name, self._clock.monotonic()))
        return self.answers.popleft() if self.answers else self.always

    def gaps(self) -> list[float]:
        """Return the seconds between one look and the next."""
        moments = [at for _, at in self.looks]
        return [round(later - earlier, 3) for earlier, later in pairwise(moments)]
