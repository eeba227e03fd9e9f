"""What a program needs beside itself to start: the folders of its links, its interpreter, its libraries.

Owns: following a program that an operator named from its name to its last file. Does not own what is hidden, or whether any of
this has to be shown. Rule: folders are named, nothing is run; what an agent could have written is never followed, so no link
in a working copy can show a folder that was hidden.

What is known: symbolic links, ``#!`` lines (``env`` too), ``<prefix>/lib`` beside ``<prefix>/bin``, Python's virtual
environments, and version managers, whose ``shims`` choose from what lies beside them.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

_STEPS = 40
_LINE = 512


def toolchain_of(program: str, *, path: str, untrusted: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return what must be readable for *program*, which is found on *path* unless it is absolute.

    Nothing for a program that is not found, is relative (it is the project's own), or lies under *untrusted*.
    """
    found = _locate(program, path)
    return () if found is None else tuple(dict.fromkeys(_Trail(path, untrusted).follow(found)))


def hidden_on_path(path: str, masks: Sequence[Path]) -> tuple[Path, ...]:
    """Return the folders of *path* that exist and lie under *masks*: their programs are not found inside."""
    folders = [Path(part) for part in path.split(os.pathsep) if part.startswith("/")]
    return tuple(dict.fromkeys(folder for folder in folders if folder.is_dir() and is_under(folder.resolve(), masks)))


def is_under(path: Path, folders: Sequence[Path]) -> bool:
    """Say whether *path* is one of *folders* or lies in one, by name."""
    inside = f"{path}/"  # text: this is asked a few hundred times for each process that is started
    return any(inside.startswith(f"{folder}/") or str(folder) == "/" for folder in folders)


@final
class _Trail:
    """One program being followed."""

    def __init__(self, path: str, untrusted: Sequence[Path]) -> None:
        self._path = path
        self._untrusted = [*untrusted, *(folder.resolve() for folder in untrusted)]

    def follow(self, program: Path) -> Iterator[Path]:
        waiting = [program]
        for _ in range(_STEPS):
            if not waiting:
                return
            here = waiting.pop()
            if is_under(here, self._untrusted) or is_under(here.parent.resolve(), self._untrusted):
                continue
            yield here
            yield from _beside(here.parent)
            if here.is_symlink():
                waiting.append(Path(os.path.normpath(here.parent.resolve() / os.readlink(here))))
                continue
            waiting += [found for word in _interpreter(here) if (found := _locate(word, self._path)) is not None]
            waiting += _base_of(here.parent.parent / "pyvenv.cfg", here.name)


def _locate(program: str, path: str) -> Path | None:
    folders = [""] if program.startswith("/") else [part for part in path.split(os.pathsep) if part.startswith("/")]
    if "/" in program and not program.startswith("/"):
        return None
    places = (Path(folder) / program for folder in folders)
    return next((place for place in places if os.access(place, os.X_OK) and place.is_file()), None)


def _beside(folder: Path) -> Iterator[Path]:
    """Return the folder of a program with what belongs to it."""
    yield folder
    if folder.name == "shims":
        yield folder.parent
    elif folder.name == "bin":
        yield from (place for name in ("lib", "lib64", "pyvenv.cfg") if (place := folder.parent / name).exists())


def _interpreter(program: Path) -> list[str]:
    """Return the words of a script's first line that are programs: the interpreter, and the one that ``env`` starts."""
    try:
        with program.open("rb") as file:
            line = file.read(_LINE).split(b"\n", 1)[0]
    except OSError:
        return []
    if not line.startswith(b"#!"):
        return []
    words = os.fsdecode(line[2:]).split()
    if not words or not words[0].startswith("/"):
        return []
    asked = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return [words[0], *asked[:1]] if Path(words[0]).name == "env" else words[:1]


def _base_of(config: Path, name: str) -> list[Path]:
    """Return the Python that a virtual environment of copies was made from."""
    try:
        lines = config.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    homes = [value.strip() for key, _, value in (line.partition("=") for line in lines) if key.strip() == "home"]
    return [place for home in homes if home.startswith("/") and (place := Path(home) / name).exists()]
