"""The crash story's agent: looks at what is there, does the next thing, and keeps no memory of its own.

Run as ``python -I -S agent.py WITNESS`` in a working copy. Rule: the same working copy and prompt give the same work, however
often a crash made it begin again. In the folder WITNESS it holds a lock per task while it lives; a second agent of the same
task at the same time writes down that there were two.
"""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

DRAFT, FINAL = "state: draft\n", "state: final\n"
STILL_A_DRAFT = "the part is still a draft"
WAIT_S = 60.0


def hold(witness: Path, task: str) -> int:
    """Take the task's lock, or say that somebody else has it."""
    handle = os.open(witness / f"{task}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with (witness / "violations").open("a", encoding="utf-8") as file:
            file.write(f"two agents of {task} at once: {os.environ['ORCH_RUN_ROLE']}\n")
        sys.exit(7)
    return handle


def write(folder: Path, name: str, text: str) -> None:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def commit(message: str) -> None:
    """Commit as a diligent agent would; what is left uncommitted elsewhere is the daemon's to keep."""
    subprocess.run(["git", "add", "--all"], check=True, stdin=subprocess.DEVNULL)
    if subprocess.run(["git", "diff", "--cached", "--quiet"], check=False, stdin=subprocess.DEVNULL).returncode:
        subprocess.run(["git", "commit", "--quiet", "-m", message], check=True, stdin=subprocess.DEVNULL)


def is_second() -> bool:
    """Say whether the issue had a task before: its branch then carries a number."""
    shown = subprocess.run(
        ["git", "branch", "--show-current"], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return shown.stdout.strip().endswith("-2")


def wait_for_go(witness: Path, folder: Path) -> None:
    """Leave half of the work, say so, and go on when told to."""
    write(folder, "notes.md", "half of the work\n")
    (witness / "half").touch()
    until = time.monotonic() + WAIT_S
    while not (witness / "go").exists() and time.monotonic() < until:
        time.sleep(0.02)


def main() -> None:
    witness, role, task = Path(sys.argv[1]), os.environ["ORCH_RUN_ROLE"], os.environ["ORCH_RUN_TASK"]
    lock = hold(witness, task)
    folder = Path(os.environ["ORCH_RUN_ARTIFACT_DIR"])
    request = (folder / "00-request.md").read_text(encoding="utf-8")
    prompt = sys.stdin.read()
    part = Path("parts") / f"{task}.txt"
    text = part.read_text(encoding="utf-8") if part.exists() else ""
    if "[in two halves]" in request and role == "architect" and not (folder / "notes.md").exists():
        wait_for_go(witness, folder)
    if role == "analyst":
        plan = "the second plan, per person" if "Count per person" in prompt else "the first plan"
        write(folder, "01-brd.md", f"# {task}\n\nThis is {plan}.\n")
        write(folder, "02-acceptance.md", f"# Acceptance\n\n- [ ] {plan}\n")
    elif role == "architect":
        write(folder, "06-adr/ADR-001-a-file.md", f"# ADR-001: {task} is a file\n\nStatus: accepted\n")
    elif role == "developer":
        if not text:
            needs = next((line for line in request.splitlines() if line.startswith("needs: ")), "needs: nothing")
            state = DRAFT if "[draft first]" in request else FINAL
            write(Path("parts"), part.name, f"task: {task}\n{needs}\n{state}")
        elif STILL_A_DRAFT in prompt:
            part.write_text(text.replace(DRAFT, FINAL), encoding="utf-8")
        elif is_second() and "again" not in text:  # an earlier task of the issue was stopped too late: its part is in main
            write(Path("parts"), part.name, f"{text}again: yes\n")
        commit(f"{task}: write the part")
    elif role == "reviewer":
        draft = DRAFT in text
        findings = f"\n  - title: {STILL_A_DRAFT}\n    severity: major\n    path: {part}" if draft else " []"
        verdict = "changes_requested" if draft else "approved"
        write(folder, "07-review.md", f"---\nverdict: {verdict}\nfindings:{findings}\n---\nRead.\n")
    elif role == "tester":
        write(folder, "08-test-report.md", "---\nverdict: pass\nfindings: []\n---\nTried.\n")
    sys.stdout.write(f"{role} of {task} is done\n")
    os.close(lock)


if __name__ == "__main__":
    main()
