"""Two questions to git at once: most of what each takes is the start of its process.

Owns: ``side_by_side``. Rule: both come to their end, whatever the other comes to.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from orch.core.errors import ExternalError, StoreError

One = TypeVar("One")
Other = TypeVar("Other")


async def side_by_side(one: Callable[[], Awaitable[One]], other: Callable[[], Awaitable[Other]]) -> tuple[One, Other]:
    """Return what both give. Raises the first of git's failures as it is, never a group of them."""
    found: list[One] = []
    others: list[Other] = []
    failed: list[ExternalError | StoreError] = []

    async def ask() -> None:
        try:
            found.append(await one())
        except (ExternalError, StoreError) as error:
            failed.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        try:
            others.append(await other())
        except (ExternalError, StoreError) as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return found[0], others[0]
