"""Deploys as detached processes: started, looked at, ended, each try in a folder of its own.

Owns: ``<data_dir>/deploys/<id>-<try>/``, the launcher's argv, the reading of claim and result. Does not own: the process that
claims and executes (``detached``), what a result means (``orch.core.decide_deploy``).
Rule: what the folder says is the truth. A claim whose process is gone without a result is lost; one that cannot be read as well.
The environment is the operator's own allow list; no deploy is sandboxed.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, final

import anyio
import anyio.to_thread

from orch.adapters import detached, orphans, shim
from orch.adapters.agents.environment import clean_environment
from orch.core.ids import DeployId
from orch.core.model import Launcher, Survivor
from orch.logs import redact
from orch.ports.deploys import DeployLook, DeployOrder, DeployPhase

TAIL_CHARACTERS = 20_000
LAUNCH_S = 30.0
_SESSION = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""How ``systemd-run --user`` finds its manager."""


@final
class DetachedDeploys:
    """The ``Deploys`` port. *prefix* goes in front of labels; *lock* is the file with the running daemon's pid."""

    def __init__(
        self,
        folder: Path,
        *,
        prefix: str,
        home: Path,
        lock: Path,
        grace: Callable[[], float] = lambda: 5.0,
        source: Mapping[str, str] | None = None,
    ) -> None:
        self._folder, self._prefix, self._home, self._lock, self._grace = folder, prefix, home, lock, grace
        self._source = os.environ if source is None else source

    def place(self, deploy: DeployId, number: int) -> Path:
        folder = self._folder / f"{int(deploy)}-{number}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def tree(self, deploy: DeployId, number: int) -> Path:
        return self.place(deploy, number) / "tree"

    def log_path(self, deploy: DeployId, number: int) -> Path:
        return self._folder / f"{int(deploy)}-{number}" / detached.LOG

    def _label(self, deploy: DeployId, number: int) -> str:
        return f"{self._prefix}{orphans.DETACHED}{int(deploy)}-{number}"

    # -------------------------------------------------------------------------------------------- starting

    async def launch(self, order: DeployOrder) -> None:
        await anyio.to_thread.run_sync(self._launch, order)

    def _launch(self, order: DeployOrder) -> None:
        """Start the wrapper; it leaves us at once, so that waiting for the end of what was started takes no time."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log_path(order.deploy, order.number).open("ab") as log:
            try:
                done = subprocess.run(
                    self.argv(order),
                    cwd=self.tree(order.deploy, order.number),
                    env=self.environment(order),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    timeout=LAUNCH_S,
                    check=False,
                )
            except (subprocess.TimeoutExpired, ValueError) as error:  # ValueError: a NUL byte in argv or environment
                raise OSError(f"the deploy's launcher failed: {error}") from error
        if done.returncode:
            raise OSError(f"the deploy's launcher {self.argv(order)[0]!r} ended with exit code {done.returncode}")

    def argv(self, order: DeployOrder) -> list[str]:
        """Return what starts the wrapper: plainly, or in a scope of its own that a restart of the daemon's unit leaves alone."""
        folder, limits = self.place(order.deploy, order.number), [str(self._grace()), str(order.time_s)]
        wrapper = [sys.executable, "-I", "-S", detached.__file__, str(folder), *limits, str(self._lock), *order.argv]
        if order.launcher is Launcher.PLAIN:
            return wrapper
        manager = [] if os.geteuid() == 0 else ["--user"]
        unit = "orch-" + self._label(order.deploy, order.number).replace("/", "-")
        return ["systemd-run", *manager, "--scope", "--quiet", "--collect", f"--unit={unit}", "--", *wrapper]

    def environment(self, order: DeployOrder) -> dict[str, str]:
        """Return the deploy's whole environment."""
        session = {name: self._source[name] for name in _SESSION if self._source.get(name)}
        return {
            **clean_environment(self._source, self._home),
            **(session if order.launcher is Launcher.SYSTEMD_RUN else {}),
            "CI": "true",
            "GIT_TERMINAL_PROMPT": "0",
            "ORCH_RUN_STAGE": "deploy",
            "ORCH_RUN_TASK": str(order.work_item),
            "ORCH_RUN_SHA": str(order.sha),
            "ORCH_RUN_TRY": str(order.number),
            shim.LABEL: self._label(order.deploy, order.number),
        }

    async def abandon(self, deploy: DeployId, number: int) -> bool:
        return await anyio.to_thread.run_sync(detached.claim_for, str(self.place(deploy, number)), 0, 0)

    # -------------------------------------------------------------------------------------------- looking

    async def look(self, deploy: DeployId, number: int) -> DeployLook:
        return await anyio.to_thread.run_sync(self._look, self.place(deploy, number))

    def _look(self, folder: Path) -> DeployLook:
        claim = _read(folder / detached.CLAIM)
        if claim is None:
            return DeployLook(phase=DeployPhase.UNCLAIMED)
        running = _is_running(claim)
        result = _read(folder / detached.RESULT)  # read after the process was looked for: it may have ended in between
        if result is None:
            return DeployLook(phase=DeployPhase.RUNNING if running else DeployPhase.LOST)
        code, seconds = result.get("code"), float(result.get("seconds", 0.0))
        left = tuple(Survivor(pid=pid, started=start, name=name) for pid, start, name in result.get("survivors", ()))
        return DeployLook(
            phase=DeployPhase.LOST if code is None and not result.get("timed_out") else DeployPhase.ENDED,
            exit_code=code,
            timed_out=bool(result.get("timed_out")),
            seconds=seconds,
            survivors=tuple(each for each in left if _lives(each.pid, each.started)),
        )

    async def tail(self, deploy: DeployId, number: int) -> str:
        return await anyio.to_thread.run_sync(_read_tail, self.log_path(deploy, number))

    # -------------------------------------------------------------------------------------------- ending

    async def end(self, deploy: DeployId, number: int) -> tuple[Survivor, ...]:
        claim = await anyio.to_thread.run_sync(_read, self.place(deploy, number) / detached.CLAIM)
        if claim is not None and _is_running(claim):
            shim.send(int(claim["pid"]), int(claim["start"]), signal.SIGKILL)
        killed = await orphans.kill(self._label(deploy, number).__eq__, self._grace())
        entries = ((pid, shim.read_entry(pid)) for pid in killed.left)
        return tuple(Survivor(pid=pid, started=entry[1], name=entry[2]) for pid, entry in entries if entry is not None)

    async def clear(self, deploys: Collection[DeployId]) -> None:
        await anyio.to_thread.run_sync(self._clear, deploys)

    def _clear(self, deploys: Collection[DeployId]) -> None:
        for deploy in deploys:
            for tree in self._folder.glob(f"{int(deploy)}-*/tree*"):
                shutil.rmtree(tree, ignore_errors=True)


def _read(path: Path) -> dict[str, Any] | None:
    """Return the file's content, None where there is no file, nothing where it is not what was written."""
    try:
        found = json.loads(path.read_text(encoding="ascii", errors="replace"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_running(claim: Mapping[str, Any]) -> bool:
    return claim.get("boot") == detached.boot_id() and _lives(int(claim.get("pid", 0)), int(claim.get("start", 0)))


def _lives(pid: int, start: int) -> bool:
    entry = shim.read_entry(pid) if pid > 0 else None
    return entry is not None and entry[1] == start and entry[3] != "Z"


def _read_tail(path: Path) -> str:
    """Return the end of the log. Never raises: a log that cannot be read is an empty tail."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4 * TAIL_CHARACTERS))
            return redact(file.read().decode("utf-8", "replace"))[-TAIL_CHARACTERS:]
    except OSError:
        return ""
