"""A real daemon process on the crash story's repository: started, found, killed, told to stop.

Owns: the processes of one data directory, one life after another. Rule: nothing is known of a daemon but what anybody could know,
its address file, its HTTP answers and its exit code.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from orch.failpoints import VARIABLE
from tests.gitrepo import Repo, make_bare, make_repo

HERE = Path(__file__).parent
READY_S = 30.0
STOP_S = 40.0
ANSWER_S = 10.0
POLL_S = 0.02


class StoryError(AssertionError):
    """The story did not go as it must."""


@final
@dataclass(frozen=True, slots=True)
class Place:
    """Where one story's things lie."""

    folder: Path

    @property
    def repo(self) -> Path:
        return self.folder / "forge.git"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def config(self) -> Path:
        return self.folder / "orch.toml"

    @property
    def witness(self) -> Path:
        return self.folder / "witness"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"


def make_place(folder: Path, *, deploys: bool = True) -> Place:
    """Make the repository (bare, every move of a branch in its log), the configuration, and a folder for the agents' witness."""
    place = Place(folder)
    place.witness.mkdir(parents=True)
    source = make_repo(folder / "source", files={"check.py": (HERE / "check.py").read_text(encoding="utf-8")})
    bare = make_bare(place.repo, source)
    bare.git("config", "core.logAllRefUpdates", "always")
    bare.git("update-ref", "--create-reflog", "-m", "the beginning", "refs/heads/main", source.tip())
    start = place.repo / "logs" / "refs" / "heads" / "main"
    start.parent.mkdir(parents=True, exist_ok=True)
    if not start.exists():
        start.write_text(f"{'0' * 40} {source.tip()} Ada <ada@example.org> 1700000000 +0000\tthe beginning\n", encoding="utf-8")
    place.config.write_text(_configuration(place, deploys=deploys), encoding="utf-8")
    return place


def _configuration(place: Place, *, deploys: bool) -> str:
    """Return the registry of the story's one project. The sandbox would hide the witness from the agents: it is off."""
    python = [sys.executable, "-I", "-S"]
    check, agent, deploy = [*python, "check.py"], [*python, str(HERE / "agent.py")], [*python, str(HERE / "deploy.py")]
    roles = ("analyst", "architect", "developer", "reviewer", "tester")
    lines = [
        'sandbox = "off"',
        "[[projects]]",
        'name = "crash"',
        'prefix = "CRASH"',
        f"repo = {json.dumps(str(place.repo))}",
        f"test_command = {json.dumps(check)}",
        *(
            [f"deploy = {{ staging_command = {json.dumps(check)}, command = {json.dumps([*deploy, str(place.witness)])} }}"]
            if deploys
            else []
        ),
        *(f'roles.{role} = {{ agent = "command", command = {json.dumps([*agent, str(place.witness)])} }}' for role in roles),
    ]
    return "\n".join(lines) + "\n"


@final
@dataclass(slots=True)
class Answer:
    """What the daemon said; *status* 0 is no answer at all, so that nobody knows whether anything was done."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


@final
class Daemon:
    """One life of the daemon. *failpoint* is what ORCH_FAILPOINT says, empty for none."""

    def __init__(self, place: Place, *, failpoint: str = "") -> None:
        self.place = place
        self.failpoint = failpoint
        self.ready_s: float | None = None
        self._connection: http.client.HTTPConnection | None = None
        self._token = ""
        self.began = time.monotonic()
        options = ["--config", str(place.config), "--port", "0", "--data-dir", str(place.data)]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ORCH_")}
        environ |= {VARIABLE: failpoint} if failpoint else {}
        with place.log.open("ab") as log:
            log.write(f"---- a daemon starts, failpoint {failpoint or 'none'}\n".encode())
            log.flush()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "orch", "serve", *options],
                cwd=place.folder,
                env=environ | {"PYTHONPATH": str(HERE.parents[2])},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    # -------------------------------------------------------------------------------------------- life and death

    def code(self) -> int | None:
        """Return the exit code, None while it lives."""
        return self.process.poll()

    def wait_ready(self) -> bool:
        """Wait until it says that it is ready; False when it died before."""
        until = self.began + READY_S
        while time.monotonic() < until:
            if self.code() is not None:
                return False
            if self._find() and self.ask("GET", "/readyz").status == 200:
                self.ready_s = time.monotonic() - self.began
                return True
            time.sleep(POLL_S)
        raise StoryError(f"the daemon was not ready within {READY_S:g} s:\n{self.tail()}")

    def _find(self) -> bool:
        """Read the address file, if it is this life's."""
        if self._connection is not None:
            return True
        try:
            found = json.loads((self.place.data / "daemon.json").read_text(encoding="utf-8"))
            self._token = (self.place.data / "token").read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return False
        if found.get("pid") != self.process.pid:
            return False
        host, _, port = str(found["url"]).removeprefix("http://").rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=ANSWER_S)
        return True

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)

    def ask_to_stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def end(self) -> int:
        """Wait for the end, kill it where it does not come, and return the exit code."""
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise StoryError(f"the daemon did not stop within {STOP_S:g} s:\n{self.tail()}") from None
        finally:
            if self._connection is not None:
                self._connection.close()
        return code

    def tail(self) -> str:
        return self.place.log.read_text(encoding="utf-8", errors="replace")[-4000:]

    # -------------------------------------------------------------------------------------------- asking

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Send one request. No answer is an answer of status 0; nothing is ever sent twice here."""
        assert self._connection is not None
        content = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            self._connection.request(method, path, content, headers)
            response = self._connection.getresponse()
            value = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError):
            self._connection.close()
            return Answer(0)
        return Answer(response.status, value if isinstance(value, dict) else {})


def repo_of(place: Place) -> Repo:
    return Repo(place.repo)
