"""Health: what is wrong with the daemon itself right now, and what went wrong since its start.

Owns: a notice board in memory, and the store's wrapper that puts a failing store up on it. Does not own what follows from it.
Rule: whoever puts a trouble up takes it down. It is never state: after a restart everything is found out anew.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar, final

import anyio

from orch.core.errors import StoreError
from orch.core.ids import ProjectName
from orch.core.room import Shortage
from orch.core.vitals import Vitals
from orch.ports import Store, Tx

T = TypeVar("T")
STORE = "store"


def train_component(project: ProjectName) -> str:
    """Return the name under which a project's train puts its notice up."""
    return f"train {project}"


@final
class Health:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._troubles: dict[str, str] = {}
        self._notices: dict[str, str] = {}
        self._shortages: tuple[Shortage, ...] = ()
        self._crashes: Counter[str] = Counter()
        self._reloads: Counter[str] = Counter()
        self._polls: dict[ProjectName, Mapping[str, object]] = {}
        self._heard: dict[str, datetime] = {}
        self.changed = anyio.Event()
        """Set, and replaced, whenever a trouble is put up or the room becomes too little."""

    def trouble(self, component: str, text: str) -> None:
        """Say that *component* does not work; until ``cleared`` the daemon is not ready."""
        new = component not in self._troubles
        self._troubles[component] = text
        if new:
            self._wake()

    def cleared(self, component: str) -> None:
        self._troubles.pop(component, None)

    def troubled(self, component: str) -> bool:
        return component in self._troubles

    def notice(self, component: str, text: str) -> None:
        """Say what a person should see to, empty for nothing; the daemon works all the same."""
        if text:
            self._notices[component] = text
        else:
            self._notices.pop(component, None)

    def noticed(self, component: str) -> bool:
        return component in self._notices

    @property
    def shortages(self) -> tuple[Shortage, ...]:
        return self._shortages

    @shortages.setter
    def shortages(self, found: tuple[Shortage, ...]) -> None:
        new = {each.resource for each in found} - {each.resource for each in self._shortages}
        self._shortages = found
        if new:
            self._wake()

    def crashed(self, kind: str) -> None:
        self._crashes[kind] += 1

    def reloaded(self, result: str) -> None:
        self._reloads[result] += 1

    def polled(self, project: ProjectName, report: Mapping[str, object]) -> None:
        """Show how the last poll of *project* went."""
        self._polls[project] = report

    def hook_came(self, service: str, at: datetime) -> None:
        """Note that a genuine event of *service* came."""
        self._heard[service] = at

    def heard(self, service: str) -> datetime | None:
        """Return when the last genuine event of *service* came, None for none since the start."""
        return self._heard.get(service)

    def vitals(self) -> Vitals:
        short = {each.resource.value: str(each) for each in self._shortages}
        return Vitals(
            not_ready={**self._troubles, **short},
            notices=dict(self._notices),
            shortages=self._shortages,
            crashes=dict(self._crashes),
            reloads=dict(self._reloads),
            polls={str(name): report for name, report in self._polls.items()},
        )

    def _wake(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()


@final
class WatchedStore:
    """A store whose failures are put up in *health*. They are taken down by a probe that wrote something, not by a read."""

    def __init__(self, inner: Store, health: Health) -> None:
        self._inner = inner
        self._health = health

    async def transact(self, work: Callable[[Tx], T]) -> T:
        try:
            return await self._inner.transact(work)
        except StoreError as error:
            self._health.trouble(STORE, str(error))
            raise

    async def read(self, work: Callable[[Tx], T]) -> T:
        try:
            return await self._inner.read(work)
        except StoreError as error:
            self._health.trouble(STORE, str(error))
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()
