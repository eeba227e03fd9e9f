"""`orch demo --services`: the whole line between a Plane and a Gitea over sockets, as it runs where nothing is installed."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from orch.core.statuses import DEFAULT_NAMES, Status
from orch.rehearsal.gitea.repository import GIT_ENV

WITHIN_S = 500
LOADED = """
import sys
import orch.main, orch.daemon, orch.cli.app
print([name for name in sys.modules if name.startswith(("orch.rehears", "tomlkit"))])
"""
ANNA = base64.b64encode(b"anna:password of anna").decode()


def git(repo: Path, *args: str, **env: str) -> str:
    ran = subprocess.run(["git", *args], cwd=repo, env=GIT_ENV | env, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


async def listen(stream: TextReceiveStream, said: list[str], word: str) -> None:
    """Collect what is said until *word* was."""
    async for text in stream:
        said.append(text)
        if word in "".join(said):
            return


@pytest.mark.timeout(WITHIN_S)
async def test_three_cards_go_from_plane_to_main_on_gitea(tmp_path: Path) -> None:
    kept, said = tmp_path / "kept", list[str]()
    command = [sys.executable, "-m", "orch", "demo", "--services", "--json", "--serve", "--keep", str(kept)]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COLUMNS": "400", "ORCH_PLANE_TOKEN": "another daemon's"}
    async with await anyio.open_process(command, env=environ, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        errors = TextReceiveStream(process.stderr)
        await listen(errors, said, "anna)")
        shown = "".join(said).replace("\n", "")
        url = re.search(r"git clone (http://127\.0\.0\.1:\d+/team/greeter\.git)", shown)
        assert url is not None, shown

        # everything stays up: somebody clones the result from Gitea
        header = {"GIT_CONFIG_KEY_0": "http.extraHeader", "GIT_CONFIG_VALUE_0": f"Authorization: Basic {ANNA}"}
        clone = ("clone", "--quiet", url[1], str(tmp_path / "clone"))
        await anyio.to_thread.run_sync(lambda: git(tmp_path, *clone, GIT_CONFIG_COUNT="1", **header))

        # until Ctrl-C, which ends it in good order
        process.send_signal(signal.SIGINT)
        await listen(errors, said, "nothing more that ends this")
        told = json.loads(await TextReceiveStream(process.stdout).receive())
        assert await process.wait() == 0, "".join(said)

    assert [(task["id"], task["stage"]) for task in told["tasks"]] == [(f"DEMO-{n}", "done") for n in (1, 2, 3)]
    assert told["columns"] == [DEFAULT_NAMES[Status.DONE]] * 3, "what the board shows"
    assert len(told["merged"]) == 3, "what the forge shows"
    assert min(told["webhooks"].values()) > 0, "what came over the wire"
    assert git(tmp_path / "clone", "rev-parse", "HEAD") == told["main"]

    # progress names the addresses, and what orch init did there
    assert all(address in shown for address in told["services"].values())
    assert "orch init: Created on the board: To Analyse" in shown

    # what is kept is the repository behind the forge, with each landed commit on main
    repo = kept / "gitea" / "repos" / "team" / "greeter.git"
    assert git(repo, "rev-parse", "main") == told["main"]
    assert all(git(repo, "merge-base", task["sha"], "main") == task["sha"] for task in told["tasks"])
    assert git(repo, "for-each-ref", "refs/heads/feature") == "", "task branches are gone"

    # and a file that `orch init` has added to, without a secret
    text = (kept / "orch.toml").read_text()
    assert text.startswith("# A rehearsal")
    assert '[[projects]]\nname = "greeter"' in text
    assert "plane_wh_" not in text
    assert "plane_api_" not in text


def test_no_other_command_loads_the_services() -> None:
    ran = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
