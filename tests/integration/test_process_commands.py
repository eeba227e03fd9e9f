"""A project's own commands as real processes: what their end means, and what they see."""

import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from orch.adapters.commands import ProjectCommands, verdict_of
from orch.adapters.process import ProcessTree, namespace_of
from orch.core.messages import CommandReport, CommandVerdict
from orch.ports import ProcessEnd

Run = Callable[..., Awaitable[CommandReport]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    source = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HTTPS_PROXY": "http://proxy.invalid", "GITEA_TOKEN": "canary"}
    commands = ProjectCommands(ProcessTree(namespace=namespace_of(tmp_path)), source=source, grace=lambda: 0.0)

    async def make(script: str, *, timeout_s: float = 20.0, **env: str) -> CommandReport:
        argv, log = ("sh", "-c", script), tmp_path / "ci.log"
        return await commands.run(argv, cwd=tmp_path, timeout_s=timeout_s, label="ci-1", log_path=log, env=env)

    return make


@pytest.mark.parametrize(
    ("script", "verdict", "code"),
    [
        ("echo fine", CommandVerdict.GREEN, 0),
        ("exit 1", CommandVerdict.RED, 1),
        ("kill -SEGV $$", CommandVerdict.RED, -signal.SIGSEGV),
        ("kill -KILL $$", CommandVerdict.INFRA, -signal.SIGKILL),
    ],
)
async def test_only_what_the_command_says_itself_is_red(run: Run, script: str, verdict: CommandVerdict, code: int) -> None:
    report = await run(script)
    assert (report.verdict, report.exit_code) == (verdict, code)


async def test_a_command_that_takes_too_long_is_neither_red_nor_green(run: Run) -> None:
    report = await run("echo begun; exec sleep 60", timeout_s=0.4)
    assert (report.verdict, report.tail) == (CommandVerdict.TIMEOUT, "begun\n")
    assert report.seconds < 5


async def test_a_command_that_does_not_exist_says_what_to_do(tmp_path: Path) -> None:
    commands = ProjectCommands(ProcessTree(), source={})
    report = await commands.run(["no-such-tool"], cwd=tmp_path, timeout_s=5, label="x", log_path=tmp_path / "log")
    assert report.verdict is CommandVerdict.INFRA
    assert "no-such-tool" in report.tail
    assert "\n" not in report.tail


async def test_the_tail_is_the_end_of_both_outputs_of_this_run_alone(run: Run) -> None:
    await run("echo an earlier run")
    report = await run("seq 100000; echo last words >&2")
    assert len(report.tail) == 20_000
    assert report.tail.endswith("99999\n100000\nlast words\n")
    short = await run("echo short")
    assert short.tail == "short\n"


async def test_G13_the_environment_is_clean_and_the_home_is_private_and_gone_afterwards(run: Run) -> None:
    report = await run('env; touch "$HOME/used"', EXTRA="given")
    seen = dict(line.split("=", 1) for line in report.tail.splitlines())
    home = seen.pop("HOME")
    assert not os.path.lexists(home)  # noqa: ASYNC240
    assert seen.pop("ORCH_RUN_ID").endswith("/ci-1")
    assert seen.pop("PWD")
    assert seen == {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HTTPS_PROXY": "http://proxy.invalid",
        "CI": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "EXTRA": "given",
    } | {name: value for name, value in seen.items() if name in {"_", "OLDPWD", "SHLVL"}}


async def test_a_given_home_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    commands = ProjectCommands(ProcessTree(namespace=namespace_of(tmp_path)), home=home)
    argv = ["sh", "-c", 'touch "$HOME/cache"']
    await commands.run(argv, cwd=tmp_path, timeout_s=5, label="x", log_path=tmp_path / "log")
    assert (home / "cache").exists()


@pytest.mark.parametrize("code", [-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP])
def test_a_kill_from_outside_is_nobodys_fault(code: int) -> None:
    assert verdict_of(ProcessEnd(ending="exited", exit_code=code, stderr_tail="", seconds=1.0)) is CommandVerdict.INFRA


def test_what_a_verdict_depends_on_beside_the_tree_changes_with_the_programs_the_path_and_the_sandbox(tmp_path: Path) -> None:
    program = tmp_path / "check"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    def tools(path: str = str(tmp_path), *, sandboxed: bool = False, command: str = "check") -> str:
        commands = ProjectCommands(ProcessTree(), source={"PATH": path}, sandboxed=sandboxed)
        return commands.toolchain((command, "-x"), ())

    before = tools()
    assert tools() == before
    assert len({before, tools(f"{tmp_path}:/bin"), tools(sandboxed=True), tools(command="nowhere"), tools(command="./own")}) == 5
    program.write_text("#!/bin/sh\nexit 1\n")
    assert tools() != before
