"""The clock on the wall, for a rehearsal with a whole daemon, which goes by it too.

Owns: ``WallTime``. Rule: each stamp is later than the one before, and what a test moved forward stays so.
"""

from datetime import UTC, datetime, timedelta

from orch.rehearsal.plane.state import STEP, Time


class WallTime(Time):
    def __init__(self) -> None:
        self.on_tick = lambda: None
        self._ahead = timedelta()
        self._last = datetime.now(UTC)

    @property
    def present(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    @present.setter
    def present(self, value: datetime) -> None:
        self._ahead = value - datetime.now(UTC)

    def stamp(self) -> datetime:
        self._last = max(self._last + STEP, self.present)
        return self._last

    def tick(self, seconds: float) -> datetime:
        self._ahead += timedelta(seconds=seconds)
        self.on_tick()
        return self.present
