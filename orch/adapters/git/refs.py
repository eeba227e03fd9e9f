"""The mirror's refs, read and written by hand, because starting git costs more than either.

Owns: every ref under a prefix, and writing one loose ref by git's own lock protocol. Rule: this is for the daemon's own mirror
alone (it is the only one that works there); whatever is out of the ordinary is left to git.
"""

import contextlib
import os
from pathlib import Path

from orch.adapters.git.layout import check_ref_part, list_packed, read_ref
from orch.core.ids import Sha, parse_sha


def list_refs(git_dir: Path, prefix: str) -> dict[str, Sha]:
    """Return what each ref below *prefix* (``refs/remotes/origin``) holds, by its name behind the prefix."""
    top = f"{prefix}/"
    found = {name.removeprefix(top): sha for name, sha in list_packed(git_dir).items() if name.startswith(top)}
    for folder, _, files in os.walk(git_dir / prefix):
        for file in files:
            name = os.path.relpath(os.path.join(folder, file), git_dir)
            sha = None if name.endswith(".lock") else read_ref(git_dir, name)
            if sha is not None:
                found[name.removeprefix(top)] = sha
    return found


def write_locked(git_dir: Path, ref: str, sha: Sha) -> bool:
    """Make the loose ref *ref* hold *sha*; False, and nothing changed, where git itself has to look at it.

    That is where a lock stands, and where a folder is in the way of the ref or a ref in the way of its folder.
    """
    path = git_dir / check_ref_part(ref)
    lock = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except OSError:
        return False
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(f"{parse_sha(sha)}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        lock.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            lock.unlink()
        return False
    return True
