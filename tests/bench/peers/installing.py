"""Puts the peers' packages where nothing of the product sees them: ``.bench/peers``, a virtual environment of their own.

Rule: pip's own progress is shown; a peer that cannot be had is said to be so and fails nothing. One that is there is not asked
for again until what it requires changes.
"""

import subprocess
import sys
import venv
from pathlib import Path

from tests.bench.harness import OUT

FOLDER = OUT / "peers"
LIMIT_S = 300.0
PIP = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "20")


def python_with(name: str, requirements: tuple[str, ...]) -> Path | None:
    """Return a Python that has *requirements*, installed for the peer *name* if need be; None where that does not work."""
    python = FOLDER.absolute() / "bin" / "python"
    wanted, installed = "\n".join(requirements), FOLDER / f"{name}.txt"
    if python.exists() and installed.exists() and installed.read_text(encoding="utf-8") == wanted:
        return python
    print(f"peers: installing {' '.join(requirements)} into {FOLDER}", flush=True)
    try:
        if not python.exists():
            venv.create(FOLDER, with_pip=True, clear=True)
        subprocess.run([python, *PIP, *requirements], check=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"peers: {name}: {error}", file=sys.stderr)
        return None
    installed.write_text(wanted, encoding="utf-8")
    return python
