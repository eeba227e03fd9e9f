"""What the slow runs leave behind, so that the page can tell of them.

Owns: ``.proof/<name>.json``: which run, when, with what outcome. Rule: a run writes what it counted, the page adds nothing to it.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROOFS = ROOT / ".proof"


def keep(name: str, command: str, figures: Mapping[str, object], *, good: bool, folder: Path = PROOFS) -> Path:
    """Write what a slow run came to; the newest of a name replaces the one before."""
    folder.mkdir(exist_ok=True)
    target = folder / f"{name}.json"
    made = {"name": name, "command": command, "at": time.strftime("%Y-%m-%d", time.gmtime()), "good": good}
    target.write_text(json.dumps(made | {"figures": dict(figures)}, indent=2) + "\n", encoding="utf-8")
    return target


def load(folder: Path = PROOFS) -> dict[str, dict[str, Any]]:
    """Return what there is, by name."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return {each["name"]: each for each in found}
