"""The demonstration: the whole line on a sample repository, driven as a person would drive it, and proved at the end.

Owns: the person's part (issues, verdicts). Does not own: what is printed and the proof (``demo_report``), the daemon, which the
composition root runs beside it; everything goes over its HTTP interface.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

from orch.cli.api import Api, checked, segment
from orch.cli.demo_report import TESTS, DemoReport, Remote, demo_folder
from orch.cli.options import DemoOptions, ServeOptions
from orch.cli.sample import ISSUES, make_repository, make_script
from orch.core.errors import DomainError

DEADLINE_S = 180.0
POLL_S = 0.05
Daemon = Callable[[ServeOptions, Callable[[str], None]], None]


@final
class Demo:
    """One demonstration. *daemon* runs a daemon for options while it calls the given work with the daemon's address."""

    def __init__(self, options: DemoOptions, connect: Callable[..., Api], daemon: Daemon) -> None:
        self._options = options
        self._connect = connect
        self._daemon = daemon
        self._report = DemoReport(options)

    def run(self) -> int:
        """Run it; 0 when everything reached done and the proof holds."""
        with demo_folder(self._options.keep) as folder:
            repo, script = folder / "greeter", folder / "script.json"
            repo.mkdir()
            make_repository(repo)
            script.write_text(json.dumps(make_script([f"DEMO-{n + 1}" for n in range(len(ISSUES))])), encoding="utf-8")
            self._report.say(f"A sample repository is made: {repo}")
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
        return self._report.end()

    def _person(self, url: str, folder: Path, repo: Path) -> None:
        api, report = self._connect(folder / "data", None), self._report
        report.say(f"The daemon is up at {url}")
        keys = self._make_issues(api)
        rejects = {key: list(issue.rejects) for key, issue in zip(keys, ISSUES, strict=True)}
        tasks = follow(api, report, keys, lambda task: self._decide(api, task, rejects[task["issue"]]), within_s=DEADLINE_S)
        report.prove(tasks, Remote(url=str(repo), shown=str(repo)))
        report.table(tasks)
        if self._options.serve:
            report.stay(f"The daemon stays up at {url} until Ctrl-C.", api)

    def _make_issues(self, api: Api) -> list[str]:
        keys: list[str] = []
        for issue in ISSUES:
            made = checked(api.post("/board/issues", {"title": issue.title, "body": issue.body}))
            keys.append(str(made["id"]))
            if issue.after is not None:
                checked(api.post("/deps", {"issue": keys[-1], "on": keys[issue.after]}))
            after = f", after {keys[issue.after]}" if issue.after is not None else ""
            self._report.say(f"[bold]{keys[-1]}[/bold] {issue.title}{after}")
        for key in keys:
            checked(api.post(f"/board/issues/{segment(key)}/move", {"status": "to_analyse"}))
        return keys

    def _decide(self, api: Api, task: Mapping[str, Any], rejects: list[str]) -> None:
        """Reject with the next reason where there is one, approve otherwise; always exactly what was shown."""
        path = f"/tasks/{segment(task['id'])}"
        if rejects:
            reason = rejects.pop(0)
            checked(api.post(f"{path}/reject", {"shown": task["shown"], "reason": reason}))
            self._report.say(f"[bold]{task['id']}[/bold] [yellow]you reject the plan:[/yellow] {reason}")
        else:
            checked(api.post(f"{path}/approve", {"shown": task["shown"]}))
            self._report.say(f"[bold]{task['id']}[/bold] [green]you approve the plan[/green]")


def follow(
    api: Api, report: DemoReport, issues: list[str], decide: Callable[[Mapping[str, Any]], None], *, within_s: float
) -> list[Mapping[str, Any]]:
    """Print every change, have every plan decided about, until the tasks of all *issues* are done; return them whole."""
    shown: dict[str, str] = {}
    until = time.monotonic() + within_s
    while True:
        tasks = [task for task in checked(api.get("/tasks"))["tasks"] if task["issue"] in issues]
        for task in tasks:
            state = f"{task['stage']} ({task['status']})"
            if shown.get(task["id"]) != state:
                shown[task["id"]] = state
                report.say(f"[bold]{task['id']}[/bold] {state}")
            if task["parked"]:
                raise DomainError(f"{task['id']} is parked: {task['parked']}")
            if task["awaiting"] == "approval":
                decide(task)
        if len(tasks) == len(issues) and all(task["stage"] == "done" for task in tasks):
            return [checked(api.get(f"/tasks/{segment(task['id'])}")) for task in sorted(tasks, key=lambda t: t["id"])]
        if time.monotonic() > until:
            raise DomainError(f"the demonstration did not end within {within_s:g} s: {shown}")
        time.sleep(POLL_S)
