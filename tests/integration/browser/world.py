"""A daemon for a browser: a process of its own on a sample repository, with agents whose steps a test lets happen.

Agents are scripts. One that shall wait looks for a file in its private home, which ``Daemon.let`` makes.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from orch.adapters.http import HttpApi
from orch.cli.sample import make_repository
from orch.core.stages import Role
from tests.gitrepo import Repo
from tests.integration.daemon_process import daemon, until

CHROMIUM = "ORCH_TEST_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ROLES = [role for role in Role if role is not Role.STREAM]

PLAN = """# Ship a greeting

Wanted: a greeting, <script>window.pwned = 1</script>.

- [ ] it greets
- [x] it is polite

![a picture](https://outside.example/x.png) [outside](https://outside.example/) [run](javascript:alert(1))

| who | what |
| --- | --- |
| Ada | Hello |
"""
SAID = {
    "type": "assistant",
    "message": {
        "content": [
            {"type": "text", "text": "I look around first."},
            {"type": "tool_use", "name": "Bash", "input": {"command": "ls -l"}},
        ]
    },
}
TALK = r"""#!/bin/sh
# An analyst that talks: line after line, each next part only when it is let.
wait_for() { while [ ! -e "$HOME/$1" ]; do sleep 0.05; done; }
printf 'begin \033[31mred\033[0m <img src=x onerror=window.pwned=1>\n'
printf '%s\n' '<SAID>'
i=0; while [ $i -lt 400 ]; do i=$((i + 1)); echo "filler $i"; done
wait_for more
printf 'ein gr\303'; wait_for rest; printf '\274\303\237 Gott\nafter the pause\n'
wait_for bulk
awk 'BEGIN { for (i = 1; i <= 5000; i++) print "bulk " i }'
wait_for done
mkdir -p "$ORCH_RUN_ARTIFACT_DIR"
printf '# Talk\n' > "$ORCH_RUN_ARTIFACT_DIR/01-brd.md"
printf -- '- [ ] it talks\n' > "$ORCH_RUN_ARTIFACT_DIR/02-acceptance.md"
printf '%s\n' '{"type":"result","subtype":"success","is_error":false,"num_turns":2,"result":"All is said."}'
"""


def find_chromium() -> str | None:
    """Return the browser to use: the one that ORCH_TEST_CHROMIUM names, else one that is on the PATH."""
    named = os.environ.get(CHROMIUM)
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Daemon:
    """One daemon, at an address that a restart keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "daemon.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api: HttpApi
        self._process = ExitStack()
        self.shop = self._repository("shop")
        self._repository("talk")
        self._configure()

    def _repository(self, name: str) -> Repo:
        path = self.folder / name
        path.mkdir()
        make_repository(path)
        subprocess.run(["git", "config", "receive.denyCurrentBranch", "updateInstead"], cwd=path, check=True)
        return Repo(path)

    def _configure(self) -> None:
        """Write the registry: *shop* has scripted agents, *talk* has one that waits to be let."""
        script, talk = self.folder / "script.json", self.folder / "talk.sh"
        plan = {
            "artefacts": {"01-brd.md": PLAN, "02-acceptance.md": "# Acceptance\n\n- [ ] It greets\n"},
            "say": ["I read the card."],
        }
        code = {"files": {"greeter/<ID>.py": "GREETING = 'Hi'\n"}, "message": "Ship a greeting"}
        script.write_text(json.dumps({"issues": {"*": {"analyst": [plan], "developer": [code]}}}))
        talk.write_text(TALK.replace("<SAID>", json.dumps(SAID)))
        talk.chmod(0o755)
        test = json.dumps([sys.executable, "-m", "unittest", "-q"])
        lines = [f'host = "127.0.0.1"\nport = {self.port}\nmin_free_memory_mb = 0\nmin_free_disk_mb = 0\nsandbox = "off"\n']
        for name, agent in (
            ("shop", f'agent = "scripted", script = "{script}"'),
            ("talk", f'agent = "command", command = ["{talk}"]'),
        ):
            lines.append(
                f'[[projects]]\nname = "{name}"\nprefix = "{name.upper()}"\nrepo = "{self.folder / name}"\ntest_command = {test}'
            )
            lines += [f"roles.{role} = {{ {agent} }}" for role in ROLES]
        (self.folder / "orch.toml").write_text("\n".join(lines))

    def start(self) -> None:
        """Start the daemon; it answers when this returns."""
        started = daemon(self.folder / "orch.toml", self.log, data=self.data, port=self.port)
        _, self.api = self._process.enter_context(started)

    def stop(self) -> None:
        self._process.close()

    # -------------------------------------------------------------------------------------------- what a test does

    def link(self) -> str:
        return str(self.api.post("/login/links", {}).body["url"])

    def add(
        self, title: str, *, project: str = "shop", start: bool = False, body: str = "Somebody wants a greeting, soon."
    ) -> str:
        """Put a card on the board; return its key."""
        made = self.api.post("/board/issues", {"title": title, "body": body, "project": project}).body
        if start:
            self.api.post(f"/board/issues/{made['id']}/move", {"status": "to_analyse"})
        return str(made["id"])

    def task(self, key: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.api.get(f"/tasks/{key}").body
        return found

    def until(self, key: str, **wanted: object) -> Mapping[str, Any]:
        """Wait until the task says what is *wanted*."""

        def holds() -> Mapping[str, Any] | None:
            reply = self.api.get(f"/tasks/{key}")
            return reply.body if all(reply.body.get(name) == value for name, value in wanted.items()) else None

        return until(holds, self.log)

    def let(self, key: str, name: str) -> None:
        """Let the agent of *key* take its next step."""
        home = self.data / "tasks" / str(self.task(key)["row"]) / "home"
        until(lambda: home.is_dir() or None, self.log)
        (home / name).touch()
