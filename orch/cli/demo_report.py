"""What a demonstration prints and returns: progress, the proof, the table of stages, one JSON object.

Owns: ``DemoReport``, the folder that a demonstration lives in, and the proof by git and the sample's own tests. Rule: nothing is
claimed that was not looked at afterwards, in a fresh clone of the repository itself.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orch.cli.api import Api
from orch.cli.options import DemoOptions
from orch.cli.sample import git
from orch.core.errors import ConfigError, TransientError

COLUMNS = {
    "analysis": "analysis",
    "architecture": "design",
    "development": "code",
    "review": "review",
    "testing": "test",
    "deploy-staging": "land",
    "deploy": "deploy",
}
LOOK_S = 0.5
TESTS = (sys.executable, "-m", "unittest", "--quiet")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where the result is cloned from; *env* carries what git needs to be let in, *shown* is what people know it as."""

    url: str
    shown: str
    env: Mapping[str, str] = field(default_factory=dict)


@final
class DemoReport:
    def __init__(self, options: DemoOptions) -> None:
        self._json = options.json
        self._console = Console(stderr=options.json, highlight=False)
        self._began = time.monotonic()
        self._result: dict[str, Any] = {}

    def say(self, text: str) -> None:
        """Print a line of progress; *text* is markup."""
        self._console.print(f"[dim]{time.monotonic() - self._began:5.1f} s[/dim]  {text}")

    def print(self, text: str) -> None:
        self._console.print(text)

    def add(self, **more: Any) -> None:
        """Put more into the JSON object; False for ``proved`` makes the demonstration fail."""
        proved = self._result.get("proved", True) and more.pop("proved", True)
        self._result |= more | {"proved": proved}

    def prove(self, tasks: Sequence[Mapping[str, Any]], remote: Remote) -> None:
        """Clone the repository afresh: every commit must be on main, and main must pass its own tests."""
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder) / "clone"
            git("clone", "--quiet", remote.url, str(fresh), cwd=Path(folder), env=remote.env)
            main = git("rev-parse", "origin/main", cwd=fresh).strip()
            log = git("log", "--oneline", "--no-decorate", "origin/main", cwd=fresh)
            missing = [str(task["id"]) for task in tasks if not task["landed"] or not _contains(fresh, task["landed"])]
            tested = subprocess.run(TESTS, cwd=fresh, capture_output=True, text=True, check=False)
        told = [
            {"id": task["id"], "stage": task["stage"], "sha": task["landed"], "runs": task["run_count"], "cost": task["cost_usd"]}
            for task in tasks
        ]
        seconds = round(time.monotonic() - self._began, 2)
        proved = not missing and tested.returncode == 0
        self.add(tasks=told, main=main, repo=remote.shown, seconds=seconds, proved=proved)
        self.print(f"\n[bold]git log main[/bold] in {escape(remote.shown)}\n{escape(log)}".rstrip())
        self.print(f"[bold]the sample's own tests on a fresh clone of main[/bold]\n{escape(tested.stderr.strip())}")
        if missing:
            self.print(f"[red]not on main: {escape(', '.join(missing))}[/red]")

    def table(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
        table.add_column("task", style="bold", no_wrap=True)
        for heading in (*COLUMNS.values(), "runs", "cost"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("commit", no_wrap=True)
        for task in tasks:
            spent = task["stage_seconds"]
            times = [f"{spent.get(stage, 0.0):.1f}" for stage in COLUMNS]
            table.add_row(task["id"], *times, str(task["run_count"]), f"${task['cost_usd']:.2f}", str(task["landed"])[:7])
        good = f"[green]All done and proved in {self._result['seconds']:.1f} s.[/green] Seconds per stage:"
        self.print(good if self._result["proved"] else "[red]NOT PROVED: see above.[/red] Seconds per stage:")
        self._console.print(table)

    def stay(self, text: str, api: Api) -> None:
        """Wait until the daemon is gone: Ctrl-C reaches it, and not the thread that waits here."""
        self.print(text)
        with contextlib.suppress(TransientError):
            while True:
                api.get("/healthz")
                time.sleep(LOOK_S)

    def end(self) -> int:
        """Return the exit code; with --json print the one object."""
        if self._json:
            sys.stdout.write(json.dumps(self._result) + "\n")
        return 0 if self._result.get("proved") else 1


def _contains(repo: Path, sha: str) -> bool:
    done = subprocess.run(["git", "merge-base", "--is-ancestor", sha, "origin/main"], cwd=repo, capture_output=True, check=False)
    return done.returncode == 0


@contextlib.contextmanager
def demo_folder(keep: Path | None) -> Iterator[Path]:
    """Give a folder that stays (*keep*, which must be new or empty) or one that goes at the end."""
    if keep is None:
        folder = Path(tempfile.mkdtemp(prefix="orch-demo-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise ConfigError(f"{keep} is not empty: name a new or empty folder with --keep")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.absolute()
