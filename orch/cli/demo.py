"""The demonstration: the whole line on a sample repository, driven as a person would drive it, and proved at the end.

Owns: the person's part (issues, verdicts), what is printed, and the proof by git and the sample's own tests.
Does not own: the daemon, which the composition root runs beside it; everything goes over its HTTP interface.
Rule: nothing is claimed that was not looked at afterwards in the repository itself.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, final

from rich.console import Console
from rich.table import Table

from orch.cli.api import Api, checked, segment
from orch.cli.options import DemoOptions, ServeOptions
from orch.cli.sample import ISSUES, git, make_repository, make_script
from orch.core.errors import ConfigError, DomainError

DEADLINE_S = 180.0
POLL_S = 0.05
COLUMNS = {
    "analysis": "analysis",
    "architecture": "design",
    "development": "code",
    "review": "review",
    "testing": "test",
    "deploy-staging": "land",
    "deploy": "deploy",
}
TESTS = (sys.executable, "-m", "unittest", "--quiet")
Daemon = Callable[[ServeOptions, Callable[[str], None]], None]


@final
class Demo:
    """One demonstration. *daemon* runs a daemon for options while it calls the given work with the daemon's address."""

    def __init__(self, options: DemoOptions, connect: Callable[..., Api], daemon: Daemon) -> None:
        self._options = options
        self._connect = connect
        self._daemon = daemon
        self._console = Console(stderr=options.json, highlight=False)
        self._began = time.monotonic()
        self._result: dict[str, Any] = {}

    def run(self) -> int:
        """Run it; 0 when everything reached done and the proof holds."""
        with _folder(self._options.keep) as folder:
            repo, script = folder / "greeter", folder / "script.json"
            repo.mkdir()
            make_repository(repo)
            script.write_text(json.dumps(make_script([f"DEMO-{n + 1}" for n in range(len(ISSUES))])), encoding="utf-8")
            self._say(f"A sample repository is made: {repo}")
            serve = ServeOptions(
                repo=repo,
                test_command=TESTS,
                agent="scripted",
                script=script,
                name="demo",
                prefix="DEMO",
                port=self._options.port or 0,
                data_dir=folder / "data",
            )
            self._daemon(serve, lambda url: self._person(url, folder, repo))
        if self._options.json:
            sys.stdout.write(json.dumps(self._result) + "\n")
        return 0 if self._result.get("proved") else 1

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._began:5.1f} s[/dim]  {text}")

    # -------------------------------------------------------------------------------------------- the person

    def _person(self, url: str, folder: Path, repo: Path) -> None:
        api = self._connect(folder / "data", None)
        self._say(f"The daemon is up at {url}")
        keys = self._make_issues(api)
        tasks = self._follow(api, keys)
        self._prove(tasks, repo)
        self._table(tasks)
        if self._options.serve:
            self._console.print(f"The daemon stays up at {url} until Ctrl-C.")
            with contextlib.suppress(KeyboardInterrupt):
                while True:
                    time.sleep(3600)

    def _make_issues(self, api: Api) -> list[str]:
        keys: list[str] = []
        for issue in ISSUES:
            made = checked(api.post("/board/issues", {"title": issue.title, "body": issue.body}))
            keys.append(str(made["id"]))
            if issue.after is not None:
                checked(api.post("/deps", {"issue": keys[-1], "on": keys[issue.after]}))
            after = f", after {keys[issue.after]}" if issue.after is not None else ""
            self._say(f"[bold]{keys[-1]}[/bold] {issue.title}{after}")
        for key in keys:
            checked(api.post(f"/board/issues/{segment(key)}/move", {"status": "to_analyse"}))
        return keys

    def _follow(self, api: Api, keys: list[str]) -> list[Mapping[str, Any]]:
        """Print every change, decide about every plan, until all are done."""
        shown: dict[str, str] = {}
        rejects = {key: list(issue.rejects) for key, issue in zip(keys, ISSUES, strict=True)}
        until = time.monotonic() + DEADLINE_S
        while True:
            tasks = [task for task in checked(api.get("/tasks"))["tasks"] if task["issue"] in rejects]
            for task in tasks:
                state = f"{task['stage']} ({task['status']})"
                if shown.get(task["id"]) != state:
                    shown[task["id"]] = state
                    self._say(f"[bold]{task['id']}[/bold] {state}")
                if task["parked"]:
                    raise DomainError(f"{task['id']} is parked: {task['parked']}")
                if task["awaiting"] == "approval":
                    self._decide(api, task, rejects[task["issue"]])
            if len(tasks) == len(keys) and all(task["stage"] == "done" for task in tasks):
                return [checked(api.get(f"/tasks/{segment(task['id'])}")) for task in sorted(tasks, key=lambda t: t["id"])]
            if time.monotonic() > until:
                raise DomainError(f"the demonstration did not end within {DEADLINE_S:g} s: {shown}")
            time.sleep(POLL_S)

    def _decide(self, api: Api, task: Mapping[str, Any], rejects: list[str]) -> None:
        """Reject with the next reason where there is one, approve otherwise; always exactly what was shown."""
        path = f"/tasks/{segment(task['id'])}"
        if rejects:
            reason = rejects.pop(0)
            checked(api.post(f"{path}/reject", {"shown": task["shown"], "reason": reason}))
            self._say(f"[bold]{task['id']}[/bold] [yellow]you reject the plan:[/yellow] {reason}")
        else:
            checked(api.post(f"{path}/approve", {"shown": task["shown"]}))
            self._say(f"[bold]{task['id']}[/bold] [green]you approve the plan[/green]")

    # -------------------------------------------------------------------------------------------- the proof

    def _prove(self, tasks: list[Mapping[str, Any]], repo: Path) -> None:
        """Look at the repository itself: every commit is on main, and main passes its own tests from a fresh clone."""
        main = git("rev-parse", "main", cwd=repo).strip()
        log = git("log", "--oneline", "--no-decorate", "main", cwd=repo)
        landed = {task["id"]: task["landed"] for task in tasks}
        missing = [name for name, sha in landed.items() if not sha or not _contains(repo, sha)]
        with tempfile.TemporaryDirectory() as fresh:
            git("clone", "--quiet", str(repo), fresh, cwd=repo)
            tested = subprocess.run(TESTS, cwd=fresh, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - self._began
        proved = not missing and tested.returncode == 0
        self._result = {
            "tasks": [
                {
                    "id": task["id"],
                    "stage": task["stage"],
                    "sha": task["landed"],
                    "runs": task["run_count"],
                    "cost": task["cost_usd"],
                }
                for task in tasks
            ],
            "main": main,
            "repo": str(repo),
            "seconds": round(seconds, 2),
            "proved": proved,
        }
        self._console.print(f"\n[bold]git log main[/bold] in {repo}\n{log}", end="")
        self._console.print(f"[bold]the sample's own tests on a fresh clone of main[/bold]\n{tested.stderr.strip()}")
        if missing:
            self._console.print(f"[red]not on main: {', '.join(missing)}[/red]")

    def _table(self, tasks: list[Mapping[str, Any]]) -> None:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("task", style="bold", no_wrap=True)
        for heading in (*COLUMNS.values(), "runs", "cost"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("commit", no_wrap=True)
        for task in tasks:
            spent = task["stage_seconds"]
            times = [f"{spent.get(stage, 0.0):.1f}" for stage in COLUMNS]
            table.add_row(task["id"], *times, str(task["run_count"]), f"${task['cost_usd']:.2f}", str(task["landed"])[:7])
        verdict = f"[green]All done and proved in {self._result['seconds']:.1f} s.[/green] Seconds per stage:"
        self._console.print(verdict if self._result["proved"] else "[red]NOT PROVED: see above.[/red] Seconds per stage:")
        self._console.print(table)


def _contains(repo: Path, sha: str) -> bool:
    done = subprocess.run(["git", "merge-base", "--is-ancestor", sha, "main"], cwd=repo, capture_output=True, check=False)
    return done.returncode == 0


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
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
