"""The inline store for worlds in which most looks find what the look before found: a read is answered from memory until something
is written.

Owns: that memory. Rule: only whole answers of the store's own methods are kept, by name and arguments, and all are forgotten with
the first change of any row; a write never meets them.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast, final

import anyio.lowlevel

from orch.adapters.store import InlineStore
from orch.core.errors import StoreError
from orch.ports import Clock, Tx

T = TypeVar("T")
Known = dict[object, object]


@final
class _Remembered:
    """A transaction's methods, each asked once for the same arguments."""

    def __init__(self, tx: Tx, known: Known) -> None:
        self._tx, self._known = tx, known

    def __getattr__(self, name: str) -> Callable[..., object]:
        method, known = getattr(self._tx, name), self._known

        def ask(*args: Any, **named: Any) -> object:
            key = (name, args, *named.items())
            try:
                found = known[key]
            except KeyError:
                found = known[key] = method(*args, **named)
            except TypeError:  # a set of rows, say, is nothing to remember by
                return method(*args, **named)
            return found.copy() if isinstance(found, list | dict | set) else found

        self.__dict__[name] = ask
        return ask


@final
class RememberingStore(InlineStore):
    """See the module's docstring."""

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._known: Known = {}
        self._changes = -1
        self._remembered = cast(Tx, _Remembered(self._tx, self._known))

    async def read(self, work: Callable[[Tx], T]) -> T:
        await anyio.lowlevel.checkpoint()
        changes = self._open().total_changes
        if changes != self._changes:
            self._changes = changes
            self._known.clear()
        made = work(self._remembered)
        if self._open().total_changes != changes:
            raise StoreError("a read may not write")
        return made
