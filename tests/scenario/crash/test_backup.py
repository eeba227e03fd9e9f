"""A backup in mid-story: the data directory is destroyed, the backup put back, the story ends, and nothing is doubled."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orch.adapters.backup import MANIFEST
from orch.core.stages import ORDER, Stage
from tests.scenario.crash.daemon import POLL_S, Daemon, Place, make_place
from tests.scenario.crash.person import FIRST, SECOND, Person
from tests.scenario.crash.plans import BACKUP
from tests.scenario.crash.story import play

pytestmark = pytest.mark.timeout(300)
WAIT_S = 60.0


def live_until(daemon: Daemon, person: Person, stage: str) -> None:
    """Let the person work until a task has come to *stage*, or past it."""
    reached = {str(each) for each in ORDER[ORDER.index(Stage(stage)) :]}
    assert daemon.wait_ready()
    until = time.monotonic() + WAIT_S
    while not reached & set(person.stages.values()):
        assert daemon.code() is None, daemon.tail()
        assert not person.step(daemon), f"the story was over before {stage}"
        assert time.monotonic() < until, f"{stage} was never reached: {person.stages}"
        time.sleep(POLL_S)


def put_back(backup: Path, place: Place) -> None:
    """Restore as docs/operations.md says: the folder in the place of the data directory."""
    shutil.rmtree(place.data)
    shutil.copytree(backup, place.data)


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "orch", *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("taken_at", "lost_at"),
    [
        ("analysis", "analysis"),
        ("architecture", "review"),
        ("development", "testing"),
        ("testing", "done"),
        ("deploy-staging", "done"),
    ],
)
def test_G10_a_restored_backup_finishes_the_story_and_doubles_nothing(tmp_path: Path, taken_at: str, lost_at: str) -> None:
    """Between backup and loss the daemon goes on: it pushes the task's branch, or even lands it.

    Without staging: a report that is written anew after the restore would conflict with the one that has landed.
    """
    place, person, backup = make_place(tmp_path / "story", deploys=False), Person(wishes=(FIRST, SECOND)), tmp_path / "backup"
    daemon = Daemon(place)
    try:
        live_until(daemon, person, taken_at)
        accepted = list(person.accepted)
        assert daemon.ask("POST", "/backup", {"dir": str(backup)}).body["state"] == "done"
        live_until(daemon, person, lost_at)
    finally:
        daemon.kill()
        daemon.end()
    manifest = json.loads((backup / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["projects"]["crash"]["refs"] > 0 or taken_at == "analysis"  # there the mirror may not be made yet
    assert not (backup / "token").exists()

    put_back(backup, place)
    person.accepted = accepted  # what was accepted later is gone with the data directory: people do it again
    report = play(place, iter(()), person=person, deaths=1, restored=True)

    assert (report.deaths, report.faults) == ([], [])
    assert (place.data / "restored.json").exists()


def test_the_command_writes_a_backup_and_says_what_is_in_it(tmp_path: Path) -> None:
    place, person, backup = make_place(tmp_path / "story", deploys=False), Person(wishes=(FIRST, SECOND)), tmp_path / "backup"
    daemon = Daemon(place)
    try:
        live_until(daemon, person, "architecture")
        taken = command("backup", str(backup), "--data-dir", str(place.data))
        again = command("backup", str(backup), "--data-dir", str(place.data))
    finally:
        daemon.kill()
        daemon.end()
    assert (taken.returncode, taken.stderr) == (0, "")
    assert taken.stdout.startswith(f"The backup is written: {backup} (crash: ")
    assert again.returncode == 1
    assert "is not empty: name a new or empty folder" in again.stderr
    assert backup.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", BACKUP)
def test_G10_a_backup_that_was_cut_off_counts_for_nothing_and_hurts_nothing(tmp_path: Path, name: str) -> None:
    place, person, backup = make_place(tmp_path / "story", deploys=False), Person(wishes=(FIRST, SECOND)), tmp_path / "backup"
    daemon = Daemon(place, failpoint=f"{name}:1")
    try:
        live_until(daemon, person, "architecture")
        assert command("backup", str(backup), "--data-dir", str(place.data)).returncode == 1
    finally:
        if daemon.code() is None:
            daemon.kill()
        assert daemon.end() == -9
    assert not (backup / MANIFEST).exists()
    assert not (backup / "orch.db").exists()
    report = play(place, iter(()), person=person, deaths=1)
    assert (report.deaths, report.faults) == ([], [])


def test_a_folder_that_cannot_take_a_backup_is_refused(tmp_path: Path) -> None:
    place = make_place(tmp_path / "story")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    daemon = Daemon(place)
    try:
        assert daemon.wait_ready()
        refused = {
            "full": daemon.ask("POST", "/backup", {"dir": str(tmp_path / "full")}),
            "relative": daemon.ask("POST", "/backup", {"dir": "backup"}),
            "inside": daemon.ask("POST", "/backup", {"dir": str(place.data / "backup")}),
            "around": daemon.ask("POST", "/backup", {"dir": str(place.folder)}),
            "a file": daemon.ask("POST", "/backup", {"dir": str(tmp_path / "full" / "file")}),
        }
        state = daemon.ask("GET", "/backup").body["state"]
        daemon.ask_to_stop()
    finally:
        if daemon.code() is None and len(refused) < 5:
            daemon.kill()
        daemon.end()
    assert {what: answer.status for what, answer in refused.items()} == dict.fromkeys(refused, 409)
    told = {what: str(answer.body["detail"]) for what, answer in refused.items()}
    assert "is not empty: name a new or empty folder" in told["full"]
    assert "is not an absolute path" in told["relative"]
    assert "lies in the data directory" in told["inside"]
    assert "or around it" in told["around"]
    assert state == "none"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]
