"""Adding to a registry file: a project's entry and settings, whatever else stands in it.

Owns: ``add_to_file``. Does not own what is added. Rule: the file is only ever added to: no value that is there is changed,
comments and order stay, and what would be written is read back and compared before it replaces the file in one step; a secret
is never written.
"""

import contextlib
import os
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array

from orch.config.reading import judge_table, read_file
from orch.config.settings import SECRET_NAMES
from orch.core.errors import ConfigError

HEAD = """# The projects of this daemon, which is started with: orch serve --config FILE
# Every setting, its default and its meaning: docs/configuration.md. Secrets never stand here: set ORCH_<NAME>, or
# ORCH_<NAME>_FILE to the path of a file.
"""
MODE = 0o644
Table = Mapping[str, Any]


def add_to_file(path: Path, settings: Table, entry: Table | None) -> bool:
    """Add those *settings* that the file lacks, and *entry* where given; return whether anything was written.

    Raises ConfigError where the whole would not be a registry, and leaves the file as it was.
    """
    target = path.resolve()
    before = target.read_bytes() if target.exists() else None
    table = read_file(target) if before is not None else {}
    missing = {key: value for key, value in settings.items() if key not in table}
    assert not missing.keys() & SECRET_NAMES, "a secret does not belong in the file"
    if not missing and entry is None:
        return False
    text = HEAD if before is None else before.decode()
    added = _added(text, missing, entry, where=f"{path}: ")
    wanted = {**table, **missing} | ({"projects": [*table.get("projects", []), dict(entry)]} if entry is not None else {})
    if tomllib.loads(added) != _plain(wanted):
        raise ConfigError(f"{path}: cannot be added to without changing what is there; add the entry by hand")
    judge_table(_plain(wanted), f"{path}: ")
    _replace(target, before, added.encode())
    return True


def _added(text: str, settings: Table, entry: Table | None, *, where: str) -> str:
    try:
        document = tomlkit.parse(text)
    except (TOMLKitError, ValueError) as error:
        raise ConfigError(f"{where}is not TOML: {error}; correct that place") from error
    for key, value in settings.items():
        document.add(key, value)  # in front of the first table, where alone it is a setting
    listed = document.get("projects")
    if entry is not None and isinstance(listed, Array):
        inline = tomlkit.inline_table()
        inline.update(_plain(entry))
        listed.append(inline)
        return tomlkit.dumps(document)
    whole = tomlkit.dumps(document)
    if entry is None:
        return whole
    gap = "" if not whole.strip() else "\n" if whole.endswith("\n") else "\n\n"
    return f"{whole}{gap}{_entry_text(entry)}"


def _entry_text(entry: Table) -> str:
    """Return an entry as a table of its own; what is a table in it stands on one line, with a dotted key for each role."""
    lines = ["[[projects]]"]
    for key, value in _plain(entry).items():
        if key == "roles":
            lines += [f"roles.{role} = {tomlkit.item(_inline(given)).as_string()}" for role, given in value.items()]
        else:
            lines.append(f"{key} = {tomlkit.item(_inline(value)).as_string()}")
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inline = tomlkit.inline_table()
    inline.update(value)
    return inline


def _plain(value: Any) -> Any:
    """Return *value* as TOML reads it back."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _replace(target: Path, before: bytes | None, content: bytes) -> None:
    """Put *content* in the file's place, unless the file is not any more what it was."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=f".{target.name}-", dir=target.parent, delete=False) as file:
            new = Path(file.name)
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), MODE if before is None else stat.S_IMODE(target.stat().st_mode))
                if (target.read_bytes() if target.exists() else None) != before:
                    raise ConfigError(f"{target}: was changed by somebody else meanwhile; run the command again")
                os.replace(new, target)
            except BaseException:
                with contextlib.suppress(OSError):
                    new.unlink()
                raise
        _sync(target.parent)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written ({error.strerror}); name a file that this user may write") from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
