"""Backups: a folder that is a data directory as it was at one moment, and the start of a daemon on such a folder.

Owns: what a backup holds, in which order it is written, and what follows at the first start after it was put back.

Desired properties: a backup is taken while everything goes on; one that was cut off cannot be mistaken for a whole one.
Design: the database first, as one consistent state, then the mirrors: what the database names is then in them, for refs are
only added. The database gets its name and the manifest is written at the very end. The token, logs and working copies are
not in it: the first is a secret, the second are figures, the third are in the mirrors' archive.
Races we accept: what happens after the database was copied is not in the backup; the forge is asked about it after a restore.
"""

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, final

import anyio
import anyio.to_thread

from orch.adapters.git import GitMirror
from orch.adapters.git.backup import back_up_mirror, take_over_pushed
from orch.core.errors import DomainError, ExternalError, StoreError
from orch.core.ids import ProjectName
from orch.failpoints import hit
from orch.logs import get_logger
from orch.ports import Store

MANIFEST = "manifest.json"
DATABASE = "orch.db"
_UNFINISHED = "orch.db.unfinished"
FORMAT = 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Backups:
    """Writes backups, one at a time. *copy_database* writes a consistent copy to a path."""

    copy_database: Callable[[Path], Awaitable[None]]
    mirrors: Mapping[ProjectName, GitMirror]
    data_dir: Path
    version: str
    now: Callable[[], datetime]

    def check(self, target: Path) -> None:
        """Raise DomainError, with what to do, for a folder that cannot take a backup; make it where it is missing."""
        if not target.is_absolute():
            raise DomainError(f"{target} is not an absolute path: name the folder from the root")
        here, there = self.data_dir.resolve(), target.resolve()
        if there == here or here in there.parents or there in here.parents:
            raise DomainError(f"{target} lies in the data directory or around it: name a folder elsewhere")
        try:
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.chmod(0o700)
            used = any(target.iterdir())
        except OSError as error:
            raise DomainError(f"{target} cannot be used: {error.strerror}; name another folder") from error
        if used:
            raise DomainError(f"{target} is not empty: name a new or empty folder")

    async def write(self, target: Path) -> Mapping[str, Any]:
        """Write a backup to *target*, which ``check`` has taken, and return its manifest. Raises StoreError or ExternalError."""
        manifest: dict[str, Any] = {"format": FORMAT, "version": self.version, "at": self.now().isoformat(), "projects": {}}
        try:
            await self.copy_database(target / _UNFINISHED)
            hit("backup.database")
            for name, mirror in self.mirrors.items():
                place = target / "projects" / name / mirror.path.name
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                refs = await back_up_mirror(mirror, place)
                manifest["projects"][name] = {"refs": refs}
            hit("backup.mirrors")
            await anyio.to_thread.run_sync(_finish, target, manifest)
        except OSError as error:
            raise StoreError(f"cannot write the backup {target}: {error.strerror}") from error
        return manifest


@final
class BackgroundBackups:
    """The ``BackupDesk`` port: ``run`` it beside everything else, and backups are taken there, one after another."""

    def __init__(self, backups: Backups) -> None:
        self._backups = backups
        self._target: Path | None = None
        self._asked = anyio.Event()
        self._over = anyio.Event()
        self._state: Mapping[str, object] = {"state": "none", "dir": "", "detail": "", "manifest": {}}

    async def begin(self, target: Path) -> None:
        if self._target is not None:
            raise DomainError(f"a backup to {self._target} is under way: wait for its end")
        self._target, self._over = target, anyio.Event()
        try:
            await anyio.to_thread.run_sync(self._backups.check, target)
        except BaseException:
            self._target = None
            raise
        self._state = {"state": "running", "dir": str(target), "detail": "", "manifest": {}}
        self._asked.set()

    async def wait(self, seconds: float) -> None:
        if self._target is not None:
            with anyio.move_on_after(seconds):
                await self._over.wait()

    def state(self) -> Mapping[str, object]:
        return self._state

    async def run(self) -> None:
        """Take what is asked for until cancelled."""
        while True:
            await self._asked.wait()
            self._asked = anyio.Event()
            assert self._target is not None
            self._state = await self._take(self._target)
            self._target = None
            self._over.set()

    async def _take(self, target: Path) -> Mapping[str, object]:
        log = get_logger("backup")
        try:
            manifest = await self._backups.write(target)
        except (StoreError, ExternalError) as error:
            log.error("failed", dir=str(target), error=str(error))
            return {"state": "failed", "dir": str(target), "detail": str(error), "manifest": {}}
        log.info("written", dir=str(target))
        return {"state": "done", "dir": str(target), "detail": "", "manifest": manifest}


def _finish(target: Path, manifest: Mapping[str, Any]) -> None:
    """Make everything durable, then give the backup its database and its manifest: from now on it counts."""
    os.sync()
    (target / _UNFINISHED).rename(target / DATABASE)
    with (target / f"{MANIFEST}.new").open("w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    (target / f"{MANIFEST}.new").rename(target / MANIFEST)
    folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


async def resume_from_backup(
    data_dir: Path, mirrors: Mapping[ProjectName, GitMirror], store: Store
) -> Mapping[ProjectName, list[str]] | None:
    """At a start: where the data directory is a backup that was put back, bring it into line with the forge.

    What the lost daemon had pushed since is taken over; a live task's branch that it had deleted since, after landing it, is
    pushed again. Returns the branches that were taken over by project, None for an ordinary start. The manifest is renamed at
    the end, so that a start that is cut off does it again.
    """
    manifest = data_dir / MANIFEST
    if not manifest.exists():
        return None
    tasks = await store.read(lambda tx: tx.list_tasks(live=True, limit=1_000_000))
    taken = {}
    for name, mirror in mirrors.items():
        taken[name] = await take_over_pushed(mirror)
        for task in tasks:
            if task.project == name and task.head is not None and mirror.tracked(task.branch) is None:
                await mirror.push_branch(task.branch, task.head, expected=None)
    manifest.rename(data_dir / "restored.json")
    return taken
