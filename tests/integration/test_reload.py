"""SIGHUP: a good file is taken over whole, a wrong one changes nothing, and what needs a restart is named."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import anyio
import pytest

from actors.health import Health
from orch.cli.options import ServeOptions
from orch.core.ids import ProjectName
from orch.daemon import Plan, make_adapters, make_configuration, make_plan, run_daemon
from orch.reload import COMPONENT, Configuration
from tests.gitrepo import make_repo
from tests.integration.daemon_process import daemon, until, write

SHOP = ProjectName("shop")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orch.toml"
    make_repo(tmp_path / "shop", files={"README.md": "x\n"})
    write(path)
    return path


class Place:
    """A configuration in force, its file, and what it told."""

    def __init__(self, file: Path) -> None:
        self.file, self.health, self.looked = file, Health(), 0
        options = ServeOptions(config=file)

        def reread() -> Plan:
            return make_plan(options, {})

        self.configuration = make_configuration(reread(), reread, make_adapters())
        self.configuration.accepted = self._look

    def _look(self) -> None:
        self.looked += 1

    async def reload(self) -> str:
        """Reload and return what a person should see to."""
        await self.configuration.reload(self.health)
        return self.health.vitals().notices.get(COMPONENT, "")


@pytest.fixture
async def place(file: Path) -> Place:
    return Place(file)


async def test_limits_commands_roles_and_switches_are_replaced_whole(place: Place) -> None:
    before = place.configuration.registry()
    head = "max_concurrency = 7\nstop_status_enabled = false\nmerge_gate_enabled = false\nmax_developer_retries = 1"
    write(place.file, head=head, more='setup_command = ["make", "ready"]\ntest_timeout_s = 60\nlanguage = "ru"\n')
    assert await place.reload() == ""
    after = place.configuration.registry()
    assert (after.limits.max_concurrency, after.limits.stop_status_enabled, after.limits.max_developer_retries) == (7, False, 1)
    project = after.projects[SHOP]
    assert (project.setup_command, project.test_timeout_s, project.language) == (("make", "ready"), 60, "ru")
    assert project.merge_gate is False
    assert before.limits.max_concurrency == 2, "who had taken the old value keeps it whole"
    assert (place.looked, place.health.vitals().reloads) == (1, {"accepted": 1})


WRONG = {
    "no TOML": "max_concurrency = ",
    "an unknown key": "max_concurency = 3",
    "a wrong type": 'max_concurrency = "three"',
    "a secret": 'plane_token = "x"',
    "a bind that is not guarded": 'host = "0.0.0.0"',
}


@pytest.mark.parametrize("head", WRONG.values(), ids=WRONG.keys())
async def test_a_wrong_file_keeps_the_last_good_configuration_and_says_so_until_it_is_mended(place: Place, head: str) -> None:
    before = place.configuration.registry()
    write(place.file, head=head)
    told = await place.reload()
    assert told.startswith("the last good configuration is in force: ")
    assert len(told) > 60
    assert place.configuration.registry() is before
    assert (place.looked, place.health.vitals().reloads) == (0, {"refused": 1})
    assert place.health.vitals().not_ready == {}, "the daemon works as before"
    write(place.file, head="max_concurrency = 3")
    assert await place.reload() == ""
    assert place.configuration.registry().limits.max_concurrency == 3


@pytest.mark.parametrize("wrong", ["gone", "a project whose agent is not there", "nothing left to start"])
async def test_what_could_not_be_started_is_not_reloaded_either(
    place: Place, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = place.configuration.registry()
    if wrong == "gone":
        place.file.unlink()
    elif wrong == "nothing left to start":
        place.file.write_text("max_concurrency = 3\n")
    else:
        monkeypatch.setenv("PATH", "/nonexistent")
        write(place.file)
        place.file.write_text(place.file.read_text().replace('roles.developer = { agent = "scripted" }', ""))
    assert "last good" in await place.reload()
    assert place.configuration.registry() is before


async def test_what_needs_a_restart_is_named_and_kept_and_the_rest_holds(place: Place, tmp_path: Path) -> None:
    make_repo(tmp_path / "other", files={"README.md": "x\n"})
    write(place.file, head=f'port = 9999\nmax_concurrency = 5\ndata_dir = "{tmp_path}/elsewhere"', repo="other")
    told = await place.reload()
    assert told == "needs a restart: port, data_dir, project shop: repo"
    registry = place.configuration.registry()
    assert registry.limits.max_concurrency == 5
    assert registry.projects[SHOP].repo == str(tmp_path / "shop")
    write(place.file)
    assert await place.reload() == "", "put back, there is nothing to restart for"


async def test_projects_come_and_go_with_a_restart_only(place: Place, tmp_path: Path) -> None:
    make_repo(tmp_path / "other", files={"README.md": "x\n"})
    write(place.file, name="stall", repo="other")
    told = await place.reload()
    assert "project stall is new" in told
    assert "project shop is not there any more" in told
    assert list(place.configuration.registry().projects) == [SHOP]


async def test_a_daemon_that_was_started_with_a_repository_has_nothing_to_reload(file: Path) -> None:
    options = ServeOptions(repo=file.parent / "shop", test_command=("true",), agent="scripted")
    plan = make_plan(options, {})
    configuration: Configuration = make_configuration(plan, None, make_adapters())
    before, health = configuration.registry(), Health()
    await configuration.reload(health)
    assert configuration.registry() is before
    assert (health.vitals().reloads, health.vitals().notices) == ({"nothing": 1}, {})


# ------------------------------------------------------------------------------------------------ the real signal


def test_SIGHUP_reloads_a_running_daemon_and_a_wrong_file_is_shown(file: Path, tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    with daemon(file, log, data=file.parent / "data") as (process, api):

        def slots() -> int:
            block: Mapping[str, Any] = api.get("/queue").body["agents"]
            return int(block["slots"])

        assert slots() == 2
        write(file, head="max_concurrency = 6")
        process.send_signal(signal.SIGHUP)
        until(lambda: slots() == 6, log)
        write(file, head="max_concurrency = banana")
        process.send_signal(signal.SIGHUP)
        notices = until(lambda: api.get("/readyz").body["notices"], log)
        assert "the last good configuration is in force" in notices[COMPONENT]
        assert slots() == 6
        assert process.poll() is None
        with urlopen(f"{json.loads((file.parent / 'data' / 'daemon.json').read_text())['url']}/metrics") as reply:
            metrics = reply.read().decode()
        assert 'orch_config_reloads_total{result="refused"} 1.0' in metrics
        assert 'orch_config_reloads_total{result="accepted"} 1.0' in metrics
        assert 'orch_notices{component="configuration"} 1.0' in metrics
    assert "refused, the last good configuration stays" in log.read_text()


async def test_a_daemon_that_says_ready_has_its_signals_in_hand(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for that word may send one at once: its default would end the process in the middle of whatever it does."""
    stop, found = anyio.Event(), {}

    async def announce(*_: object) -> None:
        found.update({number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)})
        stop.set()

    monkeypatch.setattr("orch.daemon._announce", announce)
    options = ServeOptions(config=file, port=0, data_dir=tmp_path / "data")
    with anyio.fail_after(30):
        await run_daemon(make_plan(options, {}), stop=stop)
    assert len(found) == 3
    assert not {signal.SIG_DFL, signal.default_int_handler} & set(found.values())


def test_closing_the_terminal_ends_a_daemon_that_runs_in_it(file: Path, tmp_path: Path) -> None:
    """The kernel sends the same SIGHUP then; nobody is left who could want a reload."""
    log, data = tmp_path / "daemon.log", file.parent / "data"
    master, slave = pty.openpty()
    argv = [sys.executable, "-m", "orch", "serve", "--config", str(file), "--port", "0", "--data-dir", str(data)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["setsid", "--ctty", *argv], stdin=slave, stdout=out, stderr=out, cwd=Path(__file__).parents[2]
        )
        os.close(slave)
        try:
            until(lambda: (data / "daemon.json").exists() and b"ready" in log.read_bytes(), log)
            os.close(master)
            assert process.wait(20) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()
    assert "reload" not in log.read_text()
