"""A project's columns: fetched, kept as the last good list, fetched again when something unknown shows.

Owns: when the board is asked for its columns, and what is said of those that it lacks. Does not own: what a column means
(``statuses``), the columns that are required (``doctor``).

Desired properties: a column that an operator makes, renames or removes counts without a restart; a board that does not answer
costs no event that can be judged by what was known; one with an unknown column waits until it can be.
Design: asked at most once a minute, and once more within it for an unknown column. The list is a row, which a restart finds.
One reader after the other: a card whose reading has to ask is not overtaken by the next one, which would find the answer.
"""

from collections.abc import Collection
from typing import final

import anyio

from actors.world import Services, World
from orch.core.errors import ExternalError, TransientError
from orch.core.statuses import ALIASES, BoardState, Status, StatusMap, map_states
from orch.logs import get_logger

FRESH_S = 60.0
"""How long a fetched list counts as the present one, and how long after an unknown column the next one is asked for."""
_log = get_logger("columns")


@final
class Columns:
    """The columns of one project's board."""

    def __init__(self, world: World, services: Services) -> None:
        self._world, self._services = world, services
        self._reading = anyio.Lock()
        self._fetched_at: float | None = None
        self._sought_at: float | None = None
        self._lacking: frozenset[Status] = frozenset()

    async def read(self, seen: Collection[str] = (), *, fresh: bool = False) -> list[BoardState]:
        """Return the columns, *seen* among them if the board has them; *fresh*: as they are now.

        Raises ExternalError where none was ever fetched, or where one that was seen is not among the last good ones.
        """
        async with self._reading:
            return await self._read(seen, fresh=fresh)

    async def _read(self, seen: Collection[str], *, fresh: bool) -> list[BoardState]:
        name, now = self._services.project.name, self._world.clock.monotonic()
        known = await self._world.store.read(lambda tx: tx.load_states(name))
        unknown = bool(known) and not set(seen) <= {state.id for state in known}
        sought = unknown and (self._sought_at is None or now - self._sought_at >= FRESH_S)
        if known and not fresh and not sought and self._fetched_at is not None and now - self._fetched_at < FRESH_S:
            return known
        try:
            found = await self._fetch()
        except ExternalError as error:
            if not known or unknown or fresh:
                self._trouble(f"its columns were never read: {error}" if not known else "")
                raise
            _log.warning("columns unread", repo=name, error=str(error))
            self._fetched_at = now
            return known
        self._fetched_at = now
        self._sought_at = now if sought else self._sought_at
        self._trouble("")
        await self._world.store.transact(lambda tx: tx.save_states(name, found))
        self._tell(found)
        return found

    async def _fetch(self) -> list[BoardState]:
        found = await self._services.board.fetch_states()
        if not found:
            raise TransientError("board", "read the states", "there are none at all")
        return found

    def map(self, states: Collection[BoardState]) -> StatusMap:
        """Return *states* by logical key, under the names that the project gives them."""
        return map_states(states, {Status(key): name for key, name in self._services.project.statuses.items()})

    def _trouble(self, text: str) -> None:
        component = f"board of {self._services.project.name}"
        if text:
            self._world.health.trouble(component, text)
        elif self._world.health.troubled(component):
            self._world.health.cleared(component)

    def _tell(self, states: Collection[BoardState]) -> None:
        """Say once, and again when it changes, which columns the board lacks and what is shown instead."""
        mapped = self.map(states)
        lacking = frozenset(status for status in Status if status not in mapped.ids)
        if lacking != self._lacking and lacking:
            instead = {str(status): str(ALIASES[status]) for status in sorted(lacking) if status in ALIASES}
            without = [str(status) for status in sorted(lacking) if status not in ALIASES]
            _log.warning("columns missing", repo=self._services.project.name, shown_as=instead, never_shown=without)
        self._lacking = lacking
