"""A process's output: the capped log, the bounded lines, the tails.

Owns: what becomes of the bytes. Owns no process. Rule: no output, however much or however shaped, costs more than its bound.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import final

import anyio

from orch.ports import LineReader

MAX_LINE = 4_000_000
"""A longer line is cut: its first part is fed, the rest is dropped."""
LOG_TAIL = 64_000
"""The end of a log that had to be cut is kept all the same: the result and the error are there."""
_CHUNK = 65_536
_PIPE_MAX = 1 << 20
"""As large as the kernel lets anybody make a pipe."""


@final
class Tail:
    """The last *limit* bytes of a stream."""

    def __init__(self, limit: int) -> None:
        self._limit, self._data = limit, bytearray()

    def write(self, chunk: bytes) -> None:
        self._data += chunk
        if len(self._data) > 2 * self._limit:  # trimmed now and then, so that a byte is moved once and not at every write
            del self._data[: -self._limit]

    def read(self) -> bytes:
        return bytes(self._data[-self._limit :]) if self._limit else b""

    def text(self) -> str:
        return self.read().decode("utf-8", "replace")


@final
class RunLog:
    """A log file that never grows by more than *cap* bytes: the beginning, a note of what was left out, the end.

    A disk that is full costs the log, never the run. Raises OSError when the file cannot be opened.
    """

    def __init__(self, path: Path, cap: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd: int | None = os.open(path, flags, 0o600)
        tail = min(LOG_TAIL, cap // 4)
        self._room = max(0, cap - tail - 100)
        self._tail, self._left_out = Tail(tail), 0

    def write(self, chunk: bytes) -> None:
        head, rest = chunk[: self._room], chunk[self._room :]
        self._room -= len(head)
        self._put(head)
        if rest:
            self._left_out += len(rest)
            self._tail.write(rest)

    def close(self) -> None:
        """Write the end of a log that was cut, with the note, and close the file. A second call does nothing."""
        if self._left_out:
            tail = self._tail.read()
            missing = self._left_out - len(tail)
            if missing:
                self._put(b"\n[orch: the log reached its limit; %d bytes are left out here]\n" % missing)
            self._put(tail)
            self._left_out = 0
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view and self._fd is not None:
            try:
                view = view[os.write(self._fd, view) :]
            except OSError:
                os.close(self._fd)
                self._fd = None


@final
class Lines:
    """Cuts a stream into lines and feeds them to a reader, each at most *limit* bytes long."""

    def __init__(self, reader: LineReader, limit: int = MAX_LINE) -> None:
        self._reader, self._limit = reader, limit
        self._line = bytearray()

    def write(self, chunk: bytes) -> None:
        *complete, rest = chunk.split(b"\n")
        for part in complete:
            self._add(part)
            self._flush()
        self._add(rest)

    def close(self) -> None:
        """Feed what stands after the last newline."""
        if self._line:
            self._flush()

    def _add(self, part: bytes) -> None:
        self._line += part[: self._limit - len(self._line)]

    def _flush(self) -> None:
        line = bytes(self._line)
        self._line.clear()
        self._reader.feed(line.removesuffix(b"\r"))


async def pump(fd: int, sink: Callable[[bytes], None], before: Callable[[], None] | None = None) -> None:
    """Hand on everything that can be read from *fd* (non-blocking) until its end; *before* is called in front of each piece."""
    while True:
        await anyio.wait_readable(fd)
        if before is not None:
            before()
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            continue
        if not chunk:
            return
        sink(chunk)


def drain(fd: int, sink: Callable[[bytes], None]) -> None:
    """Hand on what waits in the pipe *fd* (non-blocking) now, and no more than a pipe holds."""
    for _ in range(_PIPE_MAX // _CHUNK):
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        if not chunk:
            return
        sink(chunk)
