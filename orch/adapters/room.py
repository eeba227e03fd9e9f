"""The room of this machine: free memory, and free space where the data directory is.

Owns: the measuring. Rule: a measure that fails is none; it never holds anything up.
"""

import shutil
from pathlib import Path
from typing import final

import anyio.to_thread
import psutil

from orch.core.room import Free

MB = 1_000_000


@final
class HostRoom:
    """The ``Room`` port. Memory is what the kernel could give out without swapping; disk what an ordinary user may fill."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    async def measure(self) -> Free:
        return await anyio.to_thread.run_sync(self._measure)  # a network or dying disk may be slow to say

    def _measure(self) -> Free:
        try:
            disk = shutil.disk_usage(self._data_dir).free // MB
        except OSError:
            disk = None
        try:
            memory = int(psutil.virtual_memory().available) // MB
        except (OSError, ValueError, KeyError):
            memory = None
        return Free(memory_mb=memory, disk_mb=disk)
