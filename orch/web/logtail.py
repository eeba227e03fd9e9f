"""Following a log file: from its bytes, whatever they are, to lines that may be shown.

Owns: ``LogText`` (bytes to lines, pure) and ``Follower`` (where in which file it stands). Does not own: how often it is looked
at, or who reads (``run_log``).
Rule: nothing costs more than its bound, however large the log or long the line; terminal sequences and every registered secret
are gone before a line leaves; a character is never cut, because a line is decoded whole.
Races we accept: a file that is cut and grows past the old end between two looks is read on from there; a secret that holds a
line's end is seen only where its lines came in one look.
"""

import os
import re
import stat
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orch.logs import redact

LINE_MAX = 128 * 1024
"""Bytes of a line that are shown."""
MARGIN = 4096
"""So much more is kept until the secrets are struck out, so that the cut leaves no part of one."""
CHUNK = 256 * 1024
LAG_MAX = 1024 * 1024
"""Whoever is further behind the end is taken to the end: latest wins."""
REPLAY = 256 * 1024

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def strip_terminal(text: str) -> str:
    """Return a line as a terminal would leave it: no sequences, no control characters but tabs, the last of overwritten texts."""
    plain = _SEQUENCE.sub("", text).rstrip("\r")
    return _UNSEEN.sub("", plain.rpartition("\r")[2])


@final
class LogText:
    """Turns a stream of bytes into lines. What stands after the last line end waits for its rest, or for ``finish``."""

    def __init__(self, *, partial: bool = False) -> None:
        self._line = bytearray()
        self._left_out = 0
        self._skip = partial

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that are complete now. With *partial* the first line had begun earlier and is left out."""
        *complete, rest = data.split(b"\n")
        lines = []
        for part in complete:
            self._add(part)
            lines += self._flush()
        self._add(rest)
        return redact("\n".join(lines)).split("\n") if lines else []

    def finish(self) -> list[str]:
        """Return what stands after the last line end."""
        return [redact(line) for line in (self._flush() if self._line else [])]

    def _add(self, part: bytes) -> None:
        kept = part[: max(0, LINE_MAX + MARGIN - len(self._line))]
        self._line += kept
        self._left_out += len(part) - len(kept)

    def _flush(self) -> list[str]:
        line, left_out = bytes(self._line), self._left_out
        self._line.clear()
        self._left_out = 0
        if self._skip:
            self._skip = False
            return []
        if len(line) <= LINE_MAX:
            return [strip_terminal(line.decode("utf-8", "replace"))]
        text = redact(strip_terminal(line.decode("utf-8", "replace")))
        shown = text[: max(0, len(text) - MARGIN)] if left_out else text[:LINE_MAX]
        return [f"{shown} … [{len(line) + left_out - LINE_MAX} bytes of this line are left out]"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one look at the file gave. *skipped* bytes before it are not shown; *anew*: the file is another one or was cut."""

    data: bytes = b""
    skipped: int = 0
    anew: bool = False
    first: bool = False

    @property
    def broken(self) -> bool:
        """Whether *data* begins in the middle of a line."""
        return self.skipped > 0


@final
class Follower:
    """Stands at one place of one file, and looks what has come since. A look blocks for a disk's read: do it in a thread.

    Whoever waited for a look may be gone before it ends: ``close`` waits for it, and after that no look opens anything.
    """

    def __init__(self, path: Path, replay: int = REPLAY) -> None:
        self.path, self._replay = path, replay
        self._fd: int | None = None
        self._at = 0
        self._lock = threading.Lock()
        self._closed = False

    def look(self) -> Reading:
        """Return what has come since the last look, at most CHUNK of it. A file that is not there (yet) gives nothing."""
        with self._lock:
            return Reading() if self._closed else self._look()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._leave()

    def _look(self) -> Reading:
        if self._fd is None:
            return self._open(anew=False)
        size = os.fstat(self._fd).st_size
        if size < self._at:
            return self._begin(size, anew=True, first=False)
        if size - self._at > LAG_MAX:
            return self._begin(size, anew=False, first=False)
        if size > self._at:
            return Reading(data=self._read())
        if self._replaced():  # only once all of the old one is read
            self._leave()
            return self._open(anew=True)
        return Reading()

    def _leave(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self, *, anew: bool) -> Reading:
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return Reading()
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            os.close(fd)
            return Reading()
        self._fd, self._at = fd, 0
        return self._begin(info.st_size, anew=anew, first=not anew)

    def _begin(self, size: int, *, anew: bool, first: bool) -> Reading:
        """Go to the last bytes of the file."""
        before = 0 if anew else self._at
        self._at = max(0, size - self._replay) if size - before > self._replay else before
        skipped = self._at - before
        return Reading(data=self._read(), skipped=skipped, anew=anew, first=first)

    def _read(self) -> bytes:
        assert self._fd is not None
        data = os.pread(self._fd, CHUNK, self._at)
        self._at += len(data)
        return data

    def _replaced(self) -> bool:
        assert self._fd is not None
        try:
            there = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return False
        mine = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)
