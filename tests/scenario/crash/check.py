"""The sample repository's own test: every part is whole, and what it needs is there too."""

import sys
from pathlib import Path

parts = {path.stem: path.read_text(encoding="utf-8").splitlines() for path in Path("parts").glob("*.txt")}
for name, lines in parts.items():
    fields = dict(line.partition(": ")[::2] for line in lines)
    if fields.get("task") != name or fields.get("state") not in {"draft", "final"}:
        sys.exit(f"{name} is not whole: {fields}")
    if fields.get("needs", "nothing") not in {*parts, "nothing"}:
        sys.exit(f"{name} needs {fields['needs']}, which is not there")
