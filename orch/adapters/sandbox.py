"""The sandbox: bubblewrap around agents and around the code under test.

Owns: what such a process sees of this machine, as bubblewrap's arguments, and finding out whether that works here. Does not own
its start and end (``process``, ``shim``), nor what an operator's program needs beside itself (``toolchain``).

Desired properties: nothing of the daemon is readable inside (its memory and environment, its data directory, its secrets' files,
the homes, sockets below /run), nothing is writable but what is named, no process outside can be seen, signalled or traced, and
whatever is inside ends with the shim.

Design: the whole system read-only; then, sorted by path so that what lies deeper is laid over what it lies in, *masks* (empty
folders), what may be read, what may be written, and what is hidden whatever else is said. No capability is left, and
/proc/sys is read-only, because root owns its files without any. The environment is inherited, never in the arguments, which
everybody may read. Where a path leads through links that a mask hides, it is laid at both of its names.

Races we accept: what is looked at here may be another thing when it is mounted a moment later; a process inside cannot bring that
about, since it cannot write to any folder above those that are its own.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orch.adapters.agents.environment import CERTIFICATES, DEFAULT_PATH
from orch.adapters.toolchain import hidden_on_path, is_under, toolchain_of
from orch.core.ids import ProjectName
from orch.ports import ProcessSpec, SandboxSpec

PROGRAM = "bwrap"
CHECK_S = 20.0
TMP = Path("/tmp").resolve()
_ALWAYS = (TMP, Path("/run"), Path("/home"), Path("/root"))
_SYSTEM = frozenset({"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr"})
_NO_HOMES = frozenset({Path("/"), Path("/opt"), Path("/srv"), Path("/var")})
_FRAME = (
    *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
    *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"),
)
_MASK, _READ, _WRITE, _HIDE = range(4)


def _nothing(project: ProjectName | None) -> Iterable[Path]:  # noqa: ARG001
    return ()


@final
@dataclass(frozen=True, slots=True)
class _Mount:
    """One place inside: of two with the same path the higher rank holds."""

    at: Path
    rank: int
    words: tuple[str, ...]


@final
class Sandbox:
    """Wraps processes of one daemon. *hide* are files and folders that nobody inside may read, whatever is shown around them.

    *reads* says what may be read in a project's name, or in nobody's.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        hide: Sequence[Path] = (),
        reads: Callable[[ProjectName | None], Iterable[Path]] = _nothing,
        program: str = PROGRAM,
    ) -> None:
        self._data_dir, self._reads, self._program = data_dir, reads, program
        self._hide = tuple(path.expanduser() for path in hide)

    def wrap(self, spec: ProcessSpec, status_fd: int | None = None) -> list[str]:
        """Return the arguments that run *spec*'s program inside; bubblewrap says on *status_fd* that it was started."""
        assert spec.sandbox is not None
        mounts = self._mounts(spec, spec.sandbox)
        words = [word for mount in mounts for word in mount.words]
        for mount in mounts:  # only now: what lies inside them has been made
            if mount.rank in (_MASK, _HIDE) and "--tmpfs" in mount.words and mount.at != TMP:
                words += ["--remount-ro", str(mount.at)]
        told = [] if status_fd is None else ["--json-status-fd", str(status_fd)]
        program = shutil.which(self._program) or self._program
        return [program, *told, *_FRAME, *words, "--chdir", str(spec.cwd), "--", *spec.argv]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return *env* as it is true inside: temporary files go to a /tmp of the process's own."""
        return {name: value for name, value in env.items() if name != "TMPDIR"}

    def trouble(self) -> str | None:
        """Run it; return one line that says why it does not work on this machine, None when it does. Takes some milliseconds."""
        if shutil.which(self._program) is None:
            return f"{self._program} (bubblewrap) is not installed"
        spec = ProcessSpec(
            argv=("true",),
            cwd=Path("/"),
            env={"PATH": DEFAULT_PATH},
            log_path=Path(os.devnull),
            run_timeout_s=CHECK_S,
            grace_s=0.0,
            sandbox=SandboxSpec(),
        )
        try:
            ran = subprocess.run(
                self.wrap(spec), env=dict(spec.env), capture_output=True, timeout=CHECK_S, check=False, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return " ".join(str(error).split())[:300]
        said = ran.stderr.decode("utf-8", "replace").strip().splitlines()
        return None if ran.returncode == 0 else (said[-1][:300] if said else f"exit code {ran.returncode}")

    def hidden_on_path(self, path: str) -> tuple[Path, ...]:
        """Return the folders of *path* whose programs are not found inside, unless ``sandbox_read`` shows them."""
        shown = [real for given in self._reads(None) for real in (given, given.resolve())]
        return tuple(folder for folder in hidden_on_path(path, self._masks()) if not is_under(folder.resolve(), shown))

    # ------------------------------------------------------------------------------------------------ what is where

    def _masks(self) -> list[Path]:
        """Return the folders that are empty inside, by their real names."""
        wanted = (*_ALWAYS, *_homes(), self._data_dir, *self._hide)
        return list(dict.fromkeys(real for path in wanted if (real := path.resolve()).is_dir()))

    def _mounts(self, spec: ProcessSpec, access: SandboxSpec) -> list[_Mount]:
        masks = self._masks()
        found: dict[Path, _Mount] = {}

        def lay(at: Path, rank: int, *words: str) -> None:
            if at not in found or found[at].rank < rank:
                found[at] = _Mount(at, rank, words)

        for mask in masks:
            lay(mask, _MASK, *(("--perms", "1777") if mask == TMP else ()), "--tmpfs", str(mask))
        for path in self._readable(spec, access, masks):
            for at in _names(path, masks):
                lay(at, _READ, "--ro-bind-try", str(path), str(at))
        for path in access.write:
            for at in _names(path, masks):
                lay(at, _WRITE, "--bind", str(path), str(at))
        for real in (path.resolve() for path in (self._data_dir, *self._hide)):
            if real.exists():
                lay(real, _HIDE, *(("--tmpfs",) if real.is_dir() else ("--ro-bind", os.devnull)), str(real))
        return sorted(found.values(), key=lambda mount: mount.at.parts)

    def _readable(self, spec: ProcessSpec, access: SandboxSpec, masks: Sequence[Path]) -> list[Path]:
        """Return what is to be shown of what the masks hide."""
        path = spec.env.get("PATH", DEFAULT_PATH)
        toolchain = toolchain_of(spec.argv[0], path=path, untrusted=access.write)
        named = [Path(spec.env[name]) for name in CERTIFICATES if spec.env.get(name, "").startswith("/")]
        wanted = (*_resolver(), *named, *access.read, *self._reads(access.project), *self._narrow(toolchain, masks))
        writable = [name for path in access.write for name in (path, path.resolve())]

        def is_needed(path: Path) -> bool:
            names = (path, path.resolve())
            hidden = any(is_under(name, masks) for name in names)
            return hidden and path.exists() and not any(is_under(name, writable) for name in names)

        return [path for path in dict.fromkeys(wanted) if is_needed(path)]

    def _narrow(self, toolchain: Sequence[Path], masks: Sequence[Path]) -> list[Path]:
        """Leave out folders that hold more than programs (a home, or what a mask lies in), and repetitions."""

        def is_wide(folder: Path) -> bool:
            return folder.parent == Path("/home") or any(folder == mask or folder in mask.parents for mask in masks)

        folders = [path for path in toolchain if path.is_dir() and not is_wide(path.resolve())]
        shown = [name for folder in folders for name in (folder, folder.resolve())]
        files = [path for path in toolchain if not path.is_dir()]
        return [*folders, *(path for path in files if not all(is_under(name, shown) for name in _names(path, masks)))]


def _names(path: Path, masks: Sequence[Path]) -> tuple[Path, ...]:
    """Return where *path* has to be laid: at its real place, and at its name where the links on the way are hidden."""
    real = path.resolve()
    return (real, path) if path != real and is_under(path, masks) else (real,)


def _homes() -> list[Path]:
    """Return this user's homes, as the environment and the user database name them, unless the system itself lies there."""
    named = [os.environ.get("HOME", "")]
    with suppress(KeyError):
        named.append(pwd.getpwuid(os.getuid()).pw_dir)
    homes = [Path(name) for name in named if name.startswith("/")]
    return [home for home in homes if home not in _NO_HOMES and home.parts[1] not in _SYSTEM]


def _resolver() -> tuple[Path, ...]:
    """Return where the resolver's configuration really lies: often below /run."""
    real = Path(os.path.realpath("/etc/resolv.conf"))
    return (real.parent if len(real.parts) > 3 else real,)
