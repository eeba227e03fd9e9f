"""A real daemon, a real repository, and the person who drives it over HTTP.

Owns: what every story needs to be told: the sample repository whose test command can go red, the agents' script, the daemon
in this process or in its own, and waiting for what shall come. Rule: everything goes through the HTTP interface or is looked
at in git itself; nothing is waited for by sleeping and hoping.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread
import psutil

from orch.adapters.http import HttpApi, connect_api
from orch.cli.options import ServeOptions
from orch.core.errors import OrchError
from orch.core.stages import Role
from orch.daemon import make_plan, run_daemon
from tests.gitrepo import Repo, make_repo

BODY = "It shall be done, and here is why it shall be done."
PLAN = {"01-brd.md": "# What\n\nWhat is wanted.\n", "02-acceptance.md": "# When\n\n- [ ] It is there.\n"}
CHECK = """#!/bin/sh
# Green unless a file says RED, or something uses a name that nothing defines.
if grep -rqs RED app; then echo "FAILED: something is RED"; exit 1; fi
for name in $(cat app/use_* 2>/dev/null); do
  test -e "app/def_$name" || { echo "FAILED: $name is used and not defined"; exit 1; }
done
"""
FILES = {"README.md": "# Sample\n", "check.sh": CHECK, "app/def_old": "x\n", "app/greeting.txt": "Hello\n"}
POLL_S = 0.08
WITHIN_S = 40.0

Json = Mapping[str, Any]


def verdict(word: str, *titles: str) -> str:
    """Return a verdict file's text."""
    findings = "".join(f"\n  - title: {title}\n    severity: major\n    path: app/x" for title in titles) or " []"
    return f"---\nverdict: {word}\nfindings:{findings}\n---\nRead.\n"


class Person:
    """Who makes issues, moves cards and decides, over HTTP."""

    def __init__(self, api: HttpApi) -> None:
        self.api = api

    async def get(self, path: str) -> Json:
        reply = await anyio.to_thread.run_sync(self.api.get, path)
        assert reply.status == 200, (path, reply)
        return reply.body

    async def post(self, path: str, body: Json, *, status: int = 200) -> Json:
        reply = await anyio.to_thread.run_sync(self.api.post, path, body)
        assert reply.status in (status, 201), (path, reply)
        return reply.body

    async def add(self, title: str) -> str:
        return str((await self.post("/board/issues", {"title": title, "body": BODY, "by": "Anna"}))["id"])

    async def move(self, issue: str, status: str) -> None:
        await self.post(f"/board/issues/{issue}/move", {"status": status, "by": "Anna"})

    async def say(self, issue: str, text: str) -> None:
        await self.post(f"/board/issues/{issue}/comments", {"text": text, "by": "Anna"})

    async def start(self, title: str) -> str:
        issue = await self.add(title)
        await self.move(issue, "to_analyse")
        return issue

    async def decide(self, task: str, what: str, *, reason: str = "") -> Json:
        """Decide about exactly what is shown now."""
        shown = (await self.task(task)).get("shown") or ""
        return await self.post(f"/tasks/{task}/{what}", {"shown": shown, "reason": reason, "by": "Anna"})

    async def approve(self, task: str) -> None:
        await self.until(task, lambda it: it["awaiting"] == "approval")
        await self.decide(task, "approve")

    async def task(self, name: str) -> Json:
        return await self.get(f"/tasks/{name}")

    async def column(self, issue: str) -> str:
        issues = (await self.get("/tasks"))["issues"]
        return str(next(each["status"] for each in issues if each["id"] == issue))

    async def until(self, name: str, holds: Callable[[Json], bool], *, within_s: float = WITHIN_S) -> Json:
        """Wait until the task is as *holds* says; fail with what it is instead."""
        deadline = time.monotonic() + within_s
        seen: Json = {}
        while time.monotonic() < deadline:
            reply = await anyio.to_thread.run_sync(self.api.get, f"/tasks/{name}")
            seen = reply.body
            if reply.status == 200 and holds(seen):
                return seen
            await anyio.sleep(POLL_S)
        told = {key: seen.get(key) for key in ("stage", "status", "awaiting", "parked", "waiting", "why")}
        raise AssertionError(f"{name} did not come to it within {within_s:g} s: {told}")

    async def until_stage(self, name: str, stage: str, *, within_s: float = WITHIN_S) -> Json:
        return await self.until(name, lambda it: it["stage"] == stage, within_s=within_s)

    async def until_parked(self, name: str) -> Json:
        return await self.until(name, lambda it: bool(it["parked"]))

    async def until_column(self, issue: str, status: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while (seen := await self.column(issue)) != status:
            assert time.monotonic() < deadline, f"{issue} stands in {seen}, not in {status}"
            await anyio.sleep(POLL_S)


class Story:
    """One sample repository, one script of the agents, one data directory."""

    def __init__(self, folder: Path, *, files: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.repo: Repo = make_repo(folder / "sample", files={**FILES, **(files or {})})
        self.data = folder / "data"
        self._roles: dict[str, dict[str, list[Json]]] = {}
        self._script = folder / "script.json"
        self._project: dict[str, Any] = {}
        self._write_script()

    # ---------------------------------------------------------------------------------------- setting the scene

    def script(self, issue: str, role: str, *steps: Json) -> None:
        """Say what each visit of a role to an issue does; the last one repeats."""
        self._roles.setdefault(issue, {})[role] = list(steps)
        self._write_script()

    def _write_script(self) -> None:
        self._script.write_text(json.dumps({"issues": self._roles}), encoding="utf-8")

    def project(self, **fields: Any) -> None:
        """Change the project's settings for the daemons that are started from now on."""
        self._project |= fields

    # ---------------------------------------------------------------------------------------- the daemon

    def _options(self) -> ServeOptions:
        return ServeOptions(
            repo=self.repo.path,
            test_command=("sh", "check.sh"),
            agent="scripted",
            script=self._script,
            name="demo",
            prefix="DEMO",
            port=0,
            data_dir=self.data,
        )

    @asynccontextmanager
    async def daemon(self, **settings: Any) -> AsyncIterator[Person]:
        """Run a daemon in this process, with *settings* changed; leaving the block is a SIGTERM."""
        plan = make_plan(self._options(), {})
        plan = replace(plan, settings=plan.settings.model_copy(update=settings))
        plan = replace(plan, projects=tuple(replace(project, **self._project) for project in plan.projects))
        stop = anyio.Event()
        async with anyio.create_task_group() as group:
            await group.start(partial(run_daemon, plan, stop=stop))
            try:
                yield Person(connect_api(self.data))
            finally:
                stop.set()

    def configure(self, *lines: str) -> Path:
        """Write a configuration file of the story's project with more *lines* of its entry, and return it."""
        file = self.folder / "orch.toml"
        agent = f'{{ agent = "scripted", script = "{self._script}" }}'
        entry = [f'name = "demo"\nprefix = "DEMO"\nrepo = "{self.repo.path}"\ntest_command = ["sh", "check.sh"]']
        entry += [f"roles.{role} = {agent}" for role in Role if role is not Role.STREAM]
        file.write_text("\n".join(["[[projects]]", *entry, *lines, ""]), encoding="utf-8")
        return file

    @contextmanager
    def process(
        self, *, config: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run ``python -m orch serve`` as its users do; whatever is left of it at the end is killed."""
        options = self._options()
        argv = [sys.executable, "-m", "orch", "serve", "--port", "0", "--data-dir", str(self.data)]
        if config is not None:
            argv += ["--config", str(config)]
        else:
            argv += ["--repo", str(self.repo.path), "--test", "sh check.sh"]
            argv += ["--agent", "scripted", "--script", str(options.script), "--name", "demo", "--prefix", "DEMO"]
        (self.data / "daemon.json").unlink(missing_ok=True)
        env = {**os.environ, **(environ or {})}
        process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    async def person_of(self, process: subprocess.Popen[bytes]) -> Person:
        """Wait until the daemon in its own process answers."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            assert process.poll() is None, cast(Any, process.stderr).read().decode()
            try:
                api = connect_api(self.data)
                if (await anyio.to_thread.run_sync(api.get, "/readyz")).status == 200:
                    return Person(api)
            except OrchError:
                pass
            await anyio.sleep(POLL_S)
        raise AssertionError("the daemon did not come up")

    # ---------------------------------------------------------------------------------------- looking

    def main(self) -> dict[str, str]:
        """Return every file of the default branch with its content, without its last newline."""
        return self.repo.tree("main")

    def prompt(self, task: Json, role: str, visit: int = 1) -> str:
        """Return the prompt of a role's n-th visit."""
        runs = [run for run in task["runs"] if run["role"] == role]
        return (self.data / "runs" / str(runs[visit - 1]["n"]) / "prompt.md").read_text(encoding="utf-8")

    async def until_said(self, task: Json, role: str) -> None:
        """Wait until the running agent of *role* has said something: it is at work, and has counted its visit."""
        run = next(run for run in task["runs"] if run["role"] == role and run["outcome"] is None)
        log = self.data / "runs" / str(run["n"]) / "output.log"
        deadline = time.monotonic() + WITHIN_S
        while not (log.exists() and "visit" in log.read_text(encoding="utf-8")):
            assert time.monotonic() < deadline, f"the {role} of {task['id']} says nothing"
            await anyio.sleep(POLL_S)

    def mirror(self) -> Repo:
        return Repo(self.data / "projects" / "demo" / "mirror.git")

    def audit(self) -> None:
        """Check every value that main ever had, from scratch: the test command is green on it."""
        for sha in dict.fromkeys(self.repo.git("log", "--walk-reflogs", "--format=%H", "refs/heads/main").split()):
            place = self.folder / "audit" / sha
            place.mkdir(parents=True)
            self.repo.git("--work-tree", str(place), "checkout", "--quiet", sha, "--", ".")
            done = subprocess.run(["sh", "check.sh"], cwd=place, capture_output=True, check=False)
            assert done.returncode == 0, f"main was red at {sha}: {done.stdout.decode()}"
        self.repo.git("checkout", "--quiet", "--force", "main")

    def landings(self) -> list[str]:
        """Return the subjects of what came to main after the first commit, oldest first."""
        return self.repo.subjects("main")[1:]


def kill_hard(process: subprocess.Popen[bytes]) -> None:
    """``kill -9`` of the daemon alone, and wait until nothing of its trees lives."""
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive, f"the daemon's processes outlived it: {alive}"
