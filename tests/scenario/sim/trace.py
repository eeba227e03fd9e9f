"""What the outside world saw, in order: the one witness of a simulated story.

Owns: the log and its hash, and the counts that show that nothing was vacuous. Rule: only what fakes and people did is noted, each
thing when it took effect; two tellings of one seed leave the same trace.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import anyio


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One thing that was seen *at* a moment of virtual time. *by* is ``orch`` for the daemon's own doing, else who did it."""

    at: float
    kind: str
    by: str
    what: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.at:9.2f} s  {self.by:7} {self.kind:14} {' '.join(self.what)}"


@final
class Trace:
    """See the module's docstring. *watch* is called with each note, at the moment at which it is made."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.counts: Counter[str] = Counter()
        self.watch: Callable[[Note], None] = lambda _: None
        self._cues: list[tuple[str, Callable[[], None]]] = []
        self._hash = hashlib.sha256()

    def note(self, kind: str, *what: object, by: str = "orch") -> None:
        """Note that something took effect now."""
        made = Note(at=round(anyio.current_time(), 6), kind=kind, by=by, what=tuple(str(part) for part in what))
        self.notes.append(made)
        self.counts[kind] += 1
        self._hash.update(f"{made}\n".encode())
        self.watch(made)
        due = [act for cue, act in self._cues if cue == kind]
        self._cues = [waiting for waiting in self._cues if waiting[0] != kind]
        for act in due:
            act()

    def upon(self, cue: str, act: Callable[[], None]) -> None:
        """Call *act* at the next note of the kind *cue*, inside the doing that is noted."""
        self._cues.append((cue, act))

    def drop_cues(self) -> None:
        """Nobody waits for anything any more."""
        self._cues.clear()

    def digest(self) -> str:
        return self._hash.hexdigest()[:16]
