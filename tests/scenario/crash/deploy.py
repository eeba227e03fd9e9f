"""The crash story's deploy: says in the witness's folder what it deploys, takes a moment, says that it is done.

Run as ``python -I -S deploy.py WITNESS`` in a checkout of what is to be deployed. Rule: every execution leaves its line.
"""

import os
import sys
import time
from pathlib import Path

WORK_S = 0.3


def main() -> None:
    witness = Path(sys.argv[1]) / "deploys"
    told = f"{os.environ['ORCH_RUN_SHA']} {os.environ['ORCH_RUN_TASK']} {os.environ['ORCH_RUN_TRY']}"
    for word in ("begins", "ends"):
        with witness.open("a", encoding="utf-8") as file:
            file.write(f"{word} {told}\n")
        if word == "begins":
            time.sleep(WORK_S)


if __name__ == "__main__":
    main()
