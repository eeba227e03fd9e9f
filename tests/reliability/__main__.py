"""Runs what the catalogue names and writes the page: ``python -m tests.reliability [--from JUNIT …] [--workers N]``.

Exit 0 when nothing failed. With ``--from`` the results of test runs that have been made are read instead of making one; of a test
that several tell of, the last one counts.
"""

import argparse
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.reliability.page import PAGE, Result, render
from tests.reliability.proofs import PROOFS, ROOT, load

JUNIT = PROOFS / "tests.xml"


def run(workers: int) -> Path:
    """Run every test but the benchmarks, with progress; return the report."""
    PROOFS.mkdir(exist_ok=True)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        str(workers),
        "--dist",
        "loadscope",
        f"--junitxml={JUNIT}",
        "-o",
        "junit_family=xunit1",
        "tests",
    ]
    subprocess.run(argv, cwd=ROOT, check=False)
    return JUNIT


def read(junit: Path) -> list[Result]:
    """Return each test's name and outcome."""
    found = []
    for case in ET.parse(junit).getroot().iter("testcase"):
        outcome = "passed"
        if case.find("failure") is not None or case.find("error") is not None:
            outcome = "failed"
        elif case.find("skipped") is not None:
            outcome = "skipped"
        found.append(Result(module=case.get("classname", ""), name=case.get("name", ""), outcome=outcome))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--from", dest="junit", type=Path, nargs="+", help="JUnit files of runs that were made, the newest last")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    files = given.junit or [run(given.workers)]
    found = {(result.module, result.name): result for file in files for result in read(file)}
    results = list(found.values())
    text, failed = render(results, load())
    (ROOT / PAGE).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(results)} tests, {failed} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
