"""The reading commands in a real terminal: their width, their colours; and what the shell completes."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from orch.adapters.http import connect_api
from orch.cli.completion import task_ids
from orch.web.server import write_daemon_file
from tests.integration.watch_terminal import ORCH, terminal
from tests.integration.web_world import TOKEN, World, running

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running(tmp_path) as made:
        write_daemon_file(tmp_path, made.url)
        (tmp_path / "token").write_text(TOKEN)
        yield made


@pytest.mark.parametrize("columns", [60, 80, 100, 160])
async def test_status_fits_the_terminal_and_says_why_each_task_waits(world: World, tmp_path: Path, columns: int) -> None:
    with terminal(tmp_path, "status", size=(columns, 60)) as screen:
        assert await screen.ended() == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.raw).split("\r\n")
    assert max(len(line) for line in lines) <= columns
    assert COLOUR.search(screen.raw)
    head = next(line for line in lines if line.startswith("ID"))
    assert head.split()[:2] == ["ID", "Title"]
    assert "SHOP-1" in screen.raw
    assert "orch approve" in " ".join(" ".join(lines).split()), "the sentence is there whole"


async def test_no_color_is_obeyed_and_a_pipe_has_no_codes(world: World, tmp_path: Path) -> None:
    with terminal(tmp_path, "status", environ={"NO_COLOR": "1"}) as screen:
        assert await screen.ended() == 0
    assert not COLOUR.search(screen.raw)
    done = await piped(tmp_path, "status", "--data-dir", str(tmp_path))
    assert "SHOP-1" in done.stdout
    assert "\x1b" not in done.stdout


async def piped(folder: Path, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": ":".join(sys.path), **environ}
    argv = [sys.executable, "-c", ORCH, *words]
    return await anyio.to_thread.run_sync(
        lambda: subprocess.run(argv, env=env, capture_output=True, text=True, cwd=folder, timeout=60, check=False)
    )


async def test_watch_without_a_terminal_says_what_to_use(world: World, tmp_path: Path) -> None:
    done = await piped(tmp_path, "watch", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--once" in done.stderr


async def completed(folder: Path, line: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Ask as bash does at the end of *line*."""
    asked = {"_ORCH_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    return await piped(folder, ORCH_DATA_DIR=str(folder), **asked, **environ)


async def test_tasks_ids_are_completed_from_the_daemon(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orch.cli.completion.ANSWER_S", 30.0)
    asked: Any = SimpleNamespace(
        obj=SimpleNamespace(connect=lambda folder, url: connect_api(folder, url)), params={"data_dir": tmp_path}
    )
    for incomplete in ("SHOP-", "shop-", ""):
        found = await anyio.to_thread.run_sync(task_ids, asked, incomplete)
        assert found[0] == ("SHOP-1", found[0][1])
        assert found[0][1].startswith("Add")
    assert await anyio.to_thread.run_sync(task_ids, asked, "OTHER") == []


async def test_the_shell_asks_that_completion(world: World, tmp_path: Path) -> None:
    done = await completed(tmp_path, "orch ")
    assert (done.returncode, done.stderr) == (0, "")
    assert {"watch", "why", "log"} <= set(done.stdout.split())
    for command in ("why", "watch", "log", "stop"):
        assert (await completed(tmp_path, f"orch {command} SHOP-")).stderr == ""


async def test_without_a_daemon_nothing_is_completed_and_nothing_is_said(tmp_path: Path) -> None:
    write_daemon_file(tmp_path, "http://127.0.0.1:9")
    for folder in (tmp_path, tmp_path / "nothing-here"):
        folder.mkdir(exist_ok=True)
        done = await completed(folder, "orch why SHOP-")
        assert (done.stdout.strip(), done.stderr) == ("", "")
