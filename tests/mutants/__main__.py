"""Run every mutant on a copy of the tree: ``python -m tests.mutants [WORD …]`` (only mutants whose name has a WORD).

Exit 0 when each one was caught. The tree itself is never changed.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.reliability.proofs import keep

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".bench", ".proof", "__pycache__", ".*_cache", ".hypothesis", ".orch")


def caught(mutant: Mutant, tree: Path) -> bool:
    """Apply *mutant* to the copy, run its tests, put the file back; say whether one failed."""
    target = tree / mutant.file
    sound = target.read_text(encoding="utf-8")
    target.write_text(sound.replace(mutant.old, mutant.new, 1), encoding="utf-8")
    try:
        argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests]
        ran = subprocess.run(argv, cwd=tree, capture_output=True, text=True, check=False)
    finally:
        target.write_text(sound, encoding="utf-8")
    if ran.returncode not in (0, 1):
        print(ran.stdout[-2000:], ran.stderr[-2000:])
    return ran.returncode == 1


def main(words: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    survivors = []
    with tempfile.TemporaryDirectory(prefix="orch-mutants-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        for number, mutant in enumerate(chosen, start=1):
            begun = time.monotonic()
            if not (killed := caught(mutant, tree)):
                survivors.append(mutant.name)
            word = "caught  " if killed else "SURVIVED"
            print(
                f"{number:2}/{len(chosen)} {word} {mutant.keeps:<4} {mutant.name} ({time.monotonic() - begun:.1f} s)", flush=True
            )
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught")
    if not words:
        keep("mutants", "make mutants", {"mutants": len(chosen), "caught": len(chosen) - len(survivors)}, good=not survivors)
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
