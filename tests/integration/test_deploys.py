"""Deploys as real detached processes: claimed once, outliving whoever started them, ended whole at their time limit."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import psutil
import pytest

from orch.adapters import detached, shim
from orch.adapters.deploys import DetachedDeploys
from orch.adapters.process import ProcessTree
from orch.core.ids import DeployId, Sha, WorkItemId
from orch.core.model import Launcher
from orch.ports import DeployLook, DeployOrder, DeployPhase

ONE = DeployId(1)
MARK = str(70_000 + os.getpid())
"""How long the processes of these tests sleep: a number of this test process's own, by which they are found."""
WITHIN_S = 20.0
ENVIRON = {"PATH": os.environ["PATH"], "ORCH_PLANE_TOKEN": "hidden", "ANTHROPIC_API_KEY": "hidden", "LANG": "C.UTF-8"}


@pytest.fixture
def deploys(tmp_path: Path) -> DetachedDeploys:
    return DetachedDeploys(
        tmp_path / "deploys", prefix="t/", home=tmp_path / "home", lock=tmp_path / "lock", grace=lambda: 0.3, source=ENVIRON
    )


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    for process in sleeping():
        process.kill()


def sleeping() -> list[psutil.Process]:
    found = [each for each in psutil.process_iter(["cmdline", "status"]) if MARK in (each.info["cmdline"] or [])]
    return [each for each in found if each.info["status"] != psutil.STATUS_ZOMBIE]


def order(script: str, number: int = 1, *, time_s: float = 30.0, launcher: Launcher = Launcher.PLAIN) -> DeployOrder:
    return DeployOrder(
        deploy=ONE,
        number=number,
        argv=("sh", "-c", script),
        time_s=time_s,
        sha=Sha("a" * 40),
        work_item=WorkItemId("SHOP-1"),
        launcher=launcher,
    )


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(WITHIN_S):
        while not holds():  # noqa: ASYNC110 (these are not our children: nobody tells us of their end)
            await anyio.sleep(0.02)


async def launched(deploys: DetachedDeploys, one: DeployOrder) -> None:
    deploys.tree(one.deploy, one.number).mkdir(exist_ok=True)
    await deploys.launch(one)


async def ended(deploys: DetachedDeploys, number: int = 1) -> DeployLook:
    with anyio.fail_after(WITHIN_S):
        while (look := await deploys.look(ONE, number)).phase in (DeployPhase.UNCLAIMED, DeployPhase.RUNNING):  # noqa: ASYNC110
            await anyio.sleep(0.02)
    return look


async def claimed(deploys: DetachedDeploys) -> dict[str, int]:
    path = deploys.place(ONE, 1) / detached.CLAIM
    await until(path.exists)
    found: dict[str, int] = json.loads(path.read_text())
    return found


# ------------------------------------------------------------------------------------------------ one try


@pytest.mark.parametrize("code", [0, 1, 3, 75])
async def test_the_exit_code_and_the_output_are_left_in_its_folder(deploys: DetachedDeploys, code: int) -> None:
    assert (await deploys.look(ONE, 1)).phase is DeployPhase.UNCLAIMED
    await launched(deploys, order(f"echo to out; echo to err >&2; exit {code}"))
    look = await ended(deploys)
    assert (look.phase, look.exit_code, look.timed_out, look.survivors) == (DeployPhase.ENDED, code, False, ())
    assert await deploys.tail(ONE, 1) == "to out\nto err\n"
    assert deploys.log_path(ONE, 1).read_text() == "to out\nto err\n"


async def test_a_deploy_killed_by_a_signal_has_its_number(deploys: DetachedDeploys) -> None:
    await launched(deploys, order("kill -KILL $$"))
    assert (await ended(deploys)).exit_code == -signal.SIGKILL


async def test_G13_its_environment_is_the_allow_list_and_what_it_is_told(deploys: DetachedDeploys) -> None:
    await launched(deploys, order("env; pwd; cat"))
    await ended(deploys)
    said = await deploys.tail(ONE, 1)
    for line in ("ORCH_RUN_SHA=" + "a" * 40, "ORCH_RUN_TASK=SHOP-1", "ORCH_RUN_TRY=1", "CI=true", str(deploys.tree(ONE, 1))):
        assert line in said.splitlines()
    assert "hidden" not in said


async def test_a_program_that_cannot_be_started_is_a_failure_with_its_reason(deploys: DetachedDeploys) -> None:
    one = order("")
    await launched(deploys, replace(one, argv=("/nowhere/deploy",)))
    look = await ended(deploys)
    assert (look.phase, look.exit_code) == (DeployPhase.ENDED, detached.NOT_STARTED)
    assert "cannot start '/nowhere/deploy': No such file" in await deploys.tail(ONE, 1)


async def test_it_is_nobodys_child_in_a_session_of_its_own(deploys: DetachedDeploys) -> None:
    await launched(deploys, order(f"sleep {MARK}"))
    claim = await claimed(deploys)
    wrapper = psutil.Process(claim["pid"])
    assert os.getpid() not in [parent.pid for parent in wrapper.parents()[:1]]
    assert os.getsid(wrapper.pid) not in (os.getsid(0), wrapper.pid)
    assert psutil.Process(os.getpid()).children() == []
    await until(lambda: bool(sleeping()))
    os.kill(wrapper.pid, signal.SIGTERM)
    look = await ended(deploys)
    assert (look.phase, sleeping()) == (DeployPhase.LOST, []), "ended from outside: no result, and nothing of it lives"


# ------------------------------------------------------------------------------------------------ at most once


async def test_however_often_it_is_started_it_is_executed_once(deploys: DetachedDeploys) -> None:
    one = order("echo begun >> ../begun; sleep 0.3")
    deploys.tree(ONE, 1).mkdir()
    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(deploys.launch, one)
    await ended(deploys)
    await deploys.launch(one)
    await anyio.sleep(0.2)
    assert (deploys.place(ONE, 1) / "begun").read_text() == "begun\n"
    assert sorted(path.name for path in deploys.place(ONE, 1).iterdir()) == ["begun", "claim", "output.log", "result", "tree"]


async def test_a_try_that_was_abandoned_never_begins(deploys: DetachedDeploys) -> None:
    assert await deploys.abandon(ONE, 1)
    await launched(deploys, order("echo begun >> ../begun"))
    assert (await ended(deploys)).phase is DeployPhase.LOST
    await anyio.sleep(0.2)
    assert not (deploys.place(ONE, 1) / "begun").exists()
    await launched(deploys, order("true", 2))
    assert (await ended(deploys, 2)).exit_code == 0
    assert not await deploys.abandon(ONE, 2)


STARTER = """
import sys, os, time
from pathlib import Path
import anyio
from orch.adapters.deploys import DetachedDeploys
from orch.core.ids import DeployId, Sha, WorkItemId
from orch.ports import DeployOrder
base = Path(sys.argv[1])
deploys = DetachedDeploys(base / "deploys", prefix="t/", home=base / "home", lock=base / "lock", grace=lambda: 0.3)
deploys.tree(DeployId(1), 1).mkdir()
argv, sha, name = ("sh", "-c", sys.argv[2]), Sha("a" * 40), WorkItemId("S-1")
one = DeployOrder(deploy=DeployId(1), number=1, argv=argv, time_s=30, sha=sha, work_item=name)
anyio.run(deploys.launch, one)
print("launched", flush=True)
time.sleep(600)
"""


def start_and_kill(argv: list[str]) -> None:
    """Run what launches a deploy, and kill its whole process group as soon as it says that it has."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"launched\n"
        os.killpg(starter.pid, signal.SIGKILL)


async def test_G10_kill_9_of_whoever_started_it_does_not_touch_it_and_its_result_is_read_by_the_next(
    deploys: DetachedDeploys, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    script = f"while ! test -e {go}; do sleep 0.02; done; exit 3"
    argv = [sys.executable, "-c", STARTER, str(tmp_path), script]
    await anyio.to_thread.run_sync(start_and_kill, argv)
    await claimed(deploys)
    assert (await deploys.look(ONE, 1)).phase is DeployPhase.RUNNING
    go.touch()
    assert (await ended(deploys)).exit_code == 3


async def test_the_hunt_for_orphans_spares_deploys_and_what_they_have_left_running(deploys: DetachedDeploys) -> None:
    tree = ProcessTree(namespace="t")
    await launched(deploys, order(f"(setsid sleep {MARK} >/dev/null 2>&1 &); exit 0"))
    assert (await ended(deploys)).exit_code == 0
    await launched(deploys, order(f"sleep {MARK}", 2))
    await until(lambda: len(sleeping()) == 2)
    assert await tree.kill_orphans() == []
    assert len(sleeping()) == 2, "at its own end nothing is killed: what a deploy leaves running may be what it is for"
    assert len(await tree.kill_orphans(["deploy-1-2"])) >= 1


# ------------------------------------------------------------------------------------------------ no result

HOSTILE = (
    f"trap '' TERM INT HUP; for i in $(seq 10); do (setsid sh -c \"trap '' TERM; sleep {MARK}; sleep {MARK}\" &); done; "
    f"env -i PATH=$PATH setsid sh -c 'sleep {MARK}' & sleep {MARK}; sleep {MARK}"
)


async def test_at_its_time_limit_the_whole_tree_is_ended_whatever_it_ignores(deploys: DetachedDeploys) -> None:
    await launched(deploys, order(HOSTILE, time_s=1.0))
    await until(lambda: len(sleeping()) >= 10)
    look = await ended(deploys)
    assert (look.phase, look.timed_out, look.exit_code, look.survivors) == (DeployPhase.ENDED, True, None, ())
    assert sleeping() == []


async def test_a_wrapper_that_was_killed_has_left_no_result_and_its_tree_is_ended_by_its_label(deploys: DetachedDeploys) -> None:
    await launched(deploys, order(f"(setsid sleep {MARK} &); sleep {MARK}"))
    claim = await claimed(deploys)
    await until(lambda: len(sleeping()) == 2)
    os.kill(claim["pid"], signal.SIGKILL)
    assert (await ended(deploys)).phase is DeployPhase.LOST
    assert await deploys.end(ONE, 1) == ()
    assert sleeping() == []


async def test_a_wrapper_that_hangs_is_ended_with_its_tree(deploys: DetachedDeploys) -> None:
    await launched(deploys, order(f"sleep {MARK}"))
    claim = await claimed(deploys)
    await until(lambda: len(sleeping()) == 1)
    os.kill(claim["pid"], signal.SIGSTOP)
    assert await deploys.end(ONE, 1) == ()
    assert (await ended(deploys)).phase is DeployPhase.LOST
    assert sleeping() == []


@pytest.mark.parametrize("result", ["", "{", "[]", "{}"])
async def test_a_result_that_cannot_be_read_is_none(deploys: DetachedDeploys, result: str) -> None:
    await launched(deploys, order("true"))
    await ended(deploys)
    (deploys.place(ONE, 1) / detached.RESULT).write_text(result)
    assert (await deploys.look(ONE, 1)).phase is DeployPhase.LOST


async def test_a_claim_of_an_earlier_run_of_the_machine_is_nobodys(deploys: DetachedDeploys) -> None:
    entry = shim.read_entry(os.getpid())
    assert entry is not None
    claim = {"pid": os.getpid(), "start": entry[1], "boot": detached.boot_id()}
    path = deploys.place(ONE, 1) / detached.CLAIM
    path.write_text(json.dumps(claim))
    assert (await deploys.look(ONE, 1)).phase is DeployPhase.RUNNING
    for other in ({"boot": "another"}, {"start": entry[1] + 1}, {"pid": 0}):
        path.write_text(json.dumps(claim | other))
        assert (await deploys.look(ONE, 1)).phase is DeployPhase.LOST


async def test_a_survivor_is_told_while_it_lives(deploys: DetachedDeploys) -> None:
    await launched(deploys, order("true"))
    await ended(deploys)
    process = subprocess.Popen(["sleep", MARK])  # noqa: ASYNC220 (it is the process that is looked for)
    entry = shim.read_entry(process.pid)
    assert entry is not None
    left = [[process.pid, entry[1], "sleep"], [process.pid, entry[1] + 1, "sleep"]]
    content = {"code": None, "timed_out": True, "seconds": 1.0, "survivors": left}
    (deploys.place(ONE, 1) / detached.RESULT).write_text(json.dumps(content))
    assert [each.pid for each in (await deploys.look(ONE, 1)).survivors] == [process.pid]
    process.kill()
    process.wait()
    assert (await deploys.look(ONE, 1)).survivors == ()


# ------------------------------------------------------------------------------------------------ self-hosting

DAEMON = """
import os, subprocess, sys, time
open(sys.argv[1], "w").write(str(os.getpid()))
subprocess.Popen(["sleep", sys.argv[2]])
time.sleep(int(sys.argv[2]))
"""


async def test_at_its_time_limit_the_daemon_that_it_has_started_is_spared(deploys: DetachedDeploys, tmp_path: Path) -> None:
    lock, program = tmp_path / "lock", tmp_path / "daemon.py"
    program.write_text(DAEMON)
    script = f"(setsid {sys.executable} {program} {lock} {MARK} &); while ! test -s {lock}; do sleep 0.02; done; sleep {MARK}"
    await launched(deploys, order(script, time_s=1.5))
    look = await ended(deploys)
    assert (look.timed_out, look.survivors) == (True, ())
    names = sorted(process.cmdline()[0] for process in sleeping())
    assert names == sorted([sys.executable, "sleep"]), "the daemon and what it runs live on, the deploy itself does not"
    assert psutil.pid_exists(int(lock.read_text()))


# ------------------------------------------------------------------------------------------------ launchers, checkouts


def test_systemd_run_puts_the_wrapper_into_a_scope_of_its_own(deploys: DetachedDeploys, monkeypatch: pytest.MonkeyPatch) -> None:
    one = order("true", launcher=Launcher.SYSTEMD_RUN)
    plain = deploys.argv(order("true"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    argv = deploys.argv(one)
    assert argv[:7] == ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--unit=orch-t-deploy-1-1", "--"]
    assert argv[7:] == plain
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "--user" not in deploys.argv(one)


def test_the_user_manager_is_reached_by_the_launcher_that_needs_it_alone(tmp_path: Path) -> None:
    source = {"XDG_RUNTIME_DIR": "/run/user/1", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1/bus"}
    deploys = DetachedDeploys(tmp_path, prefix="t/", home=tmp_path, lock=tmp_path / "lock", source=source)
    assert deploys.environment(order("true", launcher=Launcher.SYSTEMD_RUN))["XDG_RUNTIME_DIR"] == "/run/user/1"
    assert "XDG_RUNTIME_DIR" not in deploys.environment(order("true"))


async def test_checkouts_are_removed_and_results_stay(deploys: DetachedDeploys) -> None:
    await launched(deploys, order("true"))
    await ended(deploys)
    other = deploys.tree(DeployId(11), 1)
    other.mkdir()
    await deploys.clear([ONE])
    assert not deploys.tree(ONE, 1).exists()
    assert other.exists()
    assert (await deploys.look(ONE, 1)).exit_code == 0


async def test_a_launcher_that_fails_says_so(deploys: DetachedDeploys) -> None:
    with pytest.raises(OSError, match="No such file"):
        await deploys.launch(order("true"))
    assert (await deploys.look(ONE, 1)).phase is DeployPhase.UNCLAIMED
