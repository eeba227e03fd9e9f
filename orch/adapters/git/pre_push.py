"""A hook of ours that git asks in mid-push: the ref may be changed only where it still holds what we think.

Owns: the script, where it lies, what it says. Rule: it sees the old value that the server has just advertised in this very push,
and the server changes the ref only from that value; so no look beforehand could be closer. It is for a push without force, where
a lease would be forbidden; no other hook is ever on.
"""

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import final

from orch.core.ids import Sha

VARIABLE = "ORCH_EXPECTED"
REFUSAL = "orch: not pushed, the old value is"
_SCRIPT = f"""#!/bin/sh
# Each line: <local ref> <local id> <remote ref> <remote id, as just advertised>. A ref that needs no push has none.
while read -r from id to old; do
    [ "$old" = "${VARIABLE}" ] || {{ echo "{REFUSAL} $old" >&2; exit 1; }}
done
"""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Onto:
    """Push only onto the old value *base*, by the hook in the folder *hooks*."""

    base: Sha
    hooks: Path


def install(hooks: Path) -> bool:
    """Write the hook; say whether git will run it: one that may not be executed (a mount with ``noexec``) it skips in silence."""
    hook = hooks / "pre-push"
    try:
        if not hook.is_file() or hook.read_text(encoding="ascii") != _SCRIPT:
            hooks.mkdir(mode=0o700, exist_ok=True)
            _write_whole(hook)
    except (OSError, UnicodeDecodeError):
        return False
    return os.access(hook, os.X_OK)


def _write_whole(hook: Path) -> None:
    handle, half = tempfile.mkstemp(prefix="tmp_", dir=hook.parent)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(_SCRIPT)
        os.chmod(half, 0o700)
        os.replace(half, hook)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(half)
        raise
