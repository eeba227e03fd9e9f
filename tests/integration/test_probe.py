"""The probe against a real small server and real commands: what is good or bad, how long a look takes, what is said of it."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from orch.adapters.commands import ProjectCommands
from orch.adapters.http import LOOK_MAX
from orch.adapters.probe import ProjectProbe
from orch.adapters.process import ProcessTree, namespace_of
from orch.core.model import MonitorSettings, Project
from orch.ports import ProbeResult
from tests.builders import make_project

KEY = "canary-key"


class Handler(BaseHTTPRequestHandler):
    """Answers as its path says."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[str]] = []
    sent: ClassVar[int] = 0
    released: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        match path:
            case "/slow":
                self.released.wait(10)
            case "/half":
                self.answer(200, length=10)
                self.released.wait(10)
            case "/flood":
                self.flood()
            case "/moved":
                self.answer(302, location="/ok")
            case _:
                self.answer(int(path.rpartition("/")[2]) if path[1:].isdigit() else 200)

    def answer(self, status: int, *, length: int = 0, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        if location:
            self.send_header("Location", location)
        self.end_headers()

    def flood(self) -> None:
        self.answer(200, length=1 << 40)
        chunk = b"x" * LOOK_MAX
        try:
            while True:
                self.wfile.write(chunk)
                Handler.sent += len(chunk)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked.clear()
    Handler.sent = 0
    Handler.released.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        serving.daemon_threads = True
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{serving.server_address[1]}"
        finally:
            Handler.released.set()
            serving.shutdown()
            thread.join()


@pytest.fixture
def probe(tmp_path: Path) -> ProjectProbe:
    processes = ProcessTree(namespace=namespace_of(tmp_path))
    commands = ProjectCommands(processes, source={"PATH": os.environ["PATH"], "TOKEN": KEY}, grace=lambda: 0.0)
    return ProjectProbe(commands, tmp_path / "probes")


def at(url: str, **fields: float) -> Project:
    return make_project(monitor=MonitorSettings(url=url, **fields))  # type: ignore[arg-type]


def by(script: str, **fields: float) -> Project:
    return make_project(monitor=MonitorSettings(command=("sh", "-c", script), **fields))  # type: ignore[arg-type]


async def test_without_a_monitor_a_project_does_well(probe: ProjectProbe) -> None:
    assert (await probe.probe(make_project())).ok


# ------------------------------------------------------------------------------------------------ an address


@pytest.mark.parametrize(("status", "ok"), [(200, True), (204, True), (404, False), (401, False), (500, False), (503, False)])
async def test_2xx_is_good_and_nothing_else(probe: ProjectProbe, server: str, status: int, ok: bool) -> None:
    assert await probe.probe(at(f"{server}/{status}")) == ProbeResult(ok=ok, detail=f"HTTP {status}")


async def test_a_redirect_is_bad_and_is_not_followed(probe: ProjectProbe, server: str) -> None:
    seen = await probe.probe(at(f"{server}/moved"))
    assert (seen.ok, "HTTP 302" in seen.detail, Handler.asked) == (False, True, ["/moved"])


@pytest.mark.parametrize("path", ["/slow", "/half"])
async def test_an_answer_that_does_not_come_whole_within_an_interval_is_bad(probe: ProjectProbe, server: str, path: str) -> None:
    began = time.monotonic()
    seen = await probe.probe(at(server + path, interval_s=0.5))
    assert (seen.ok, "within 0.5 s" in seen.detail) == (False, True)
    assert time.monotonic() - began < 5


async def test_an_answer_without_end_is_read_up_to_a_cap_only(probe: ProjectProbe, server: str) -> None:
    seen = await probe.probe(at(f"{server}/flood", interval_s=10))
    assert seen.ok
    assert Handler.sent < 100 * LOOK_MAX


async def test_nobody_there_is_bad_and_said_without_the_address_that_may_hold_a_key(probe: ProjectProbe) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/?key={KEY}", f"http://nobody.invalid/{KEY}", f"http://127.0.0.1:{port}/\x7f{KEY}"):
        seen = await probe.probe(at(url, interval_s=5))
        assert not seen.ok
        assert seen.detail
        assert (KEY in seen.detail, str(port) in seen.detail) == (False, False)


async def test_what_is_no_http_is_bad(probe: ProjectProbe) -> None:
    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"220 mail.example ESMTP\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        seen = await probe.probe(at(f"http://127.0.0.1:{listening.getsockname()[1]}/", interval_s=5))
        thread.join()
    assert (seen.ok, "no answer that can be read" in seen.detail) == (False, True)


# ------------------------------------------------------------------------------------------------ a command


@pytest.mark.parametrize(
    ("script", "ok", "words"),
    [
        ("exit 0", True, "exit code 0"),
        ("echo $TOKEN canary-key; exit 7", False, "exit code 7"),
        ("kill -KILL $$", False, "signal 9"),
    ],
)
async def test_exit_code_0_is_good_and_what_the_command_said_is_not_repeated(
    probe: ProjectProbe, script: str, ok: bool, words: str
) -> None:
    assert await probe.probe(by(script)) == ProbeResult(ok=ok, detail=words)


async def test_a_command_that_hangs_is_bad_and_ended_with_all_it_started(probe: ProjectProbe, tmp_path: Path) -> None:
    began = time.monotonic()
    seen = await probe.probe(by("sleep 600 & echo $! > pid; wait", interval_s=0.5))
    assert (seen.ok, "0.5 s" in seen.detail) == (False, True)
    assert time.monotonic() - began < 10
    child = int((tmp_path / "probes" / "demo" / "pid").read_text(encoding="utf-8"))
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


async def test_a_command_that_is_not_there_is_bad(probe: ProjectProbe) -> None:
    seen = await probe.probe(make_project(monitor=MonitorSettings(command=("/nonexistent/probe",))))
    assert not seen.ok


async def test_a_command_has_a_folder_of_its_own_and_the_log_of_its_last_look_alone(probe: ProjectProbe, tmp_path: Path) -> None:
    for number in range(3):
        assert (await probe.probe(by(f"echo {number}; pwd"))).ok
    folder = tmp_path / "probes" / "demo"
    assert (folder / "output.log").read_text(encoding="utf-8") == f"2\n{folder}\n"


async def test_a_folder_that_cannot_be_made_is_a_bad_look_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "probes").write_text("in the way", encoding="utf-8")
    commands = ProjectCommands(ProcessTree(namespace=namespace_of(tmp_path)), grace=lambda: 0.0)
    seen = await ProjectProbe(commands, tmp_path / "probes").probe(by("exit 0"))
    assert (seen.ok, "no place to run in" in seen.detail) == (False, True)
