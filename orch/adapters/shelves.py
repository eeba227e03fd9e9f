"""The folders of runs and deploys, removed when they are old.

Owns: the removal of ``runs/<id>`` and ``deploys/<id>-<try>``. Does not own: when (``actors.retention``), nor working copies
(``git.workspace``). Rule: only names that the daemon gave are touched.
"""

from collections.abc import Collection
from pathlib import Path
from typing import final

import anyio.to_thread

from orch.adapters.git.layout import remove_tree
from orch.core.ids import DeployId, RunId


@final
class DiskShelves:
    """The ``Shelves`` port over one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._runs, self._deploys = data_dir / "runs", data_dir / "deploys"

    async def remove(self, runs: Collection[RunId], deploys: Collection[DeployId]) -> None:
        await anyio.to_thread.run_sync(self._remove, tuple(runs), tuple(deploys))

    def _remove(self, runs: tuple[RunId, ...], deploys: tuple[DeployId, ...]) -> None:
        for run in runs:
            remove_tree(self._runs / str(int(run)))
        for deploy in deploys:
            for folder in self._deploys.glob(f"{int(deploy)}-*"):
                remove_tree(folder)
