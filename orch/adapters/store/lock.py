"""The data directory's lock: one daemon at a time.

Owns: the file ``lock`` in the data directory. Rule: the kernel's lock is the truth (it goes with its holder, however that
ends), the pid in the file is for people only; the file is never removed, since that would let two daemons lock two files.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orch.core.errors import ConfigError


@contextmanager
def hold_data_dir(data_dir: Path) -> Iterator[None]:
    """Hold *data_dir* (made private when missing) for the length of the block; raise ConfigError while another process does."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"cannot use the data directory {data_dir}: {error.strerror}; set data_dir to another one") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise ConfigError(
                f"the data directory {data_dir} is in use by process {holder}: stop it first, or set data_dir to another one"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
