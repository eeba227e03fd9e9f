"""`orch doctor` on real repositories and data directories: what it finds, and that it leaves everything as it was."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orch.adapters.store import hold_data_dir
from tests.gitrepo import Repo, make_bare, make_repo

Json = Mapping[str, Any]


class Place:
    """A repository, a data directory, and the command line as its users run it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.repo: Repo = make_repo(folder / "shop")
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "200"}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "orch", "doctor", "--data-dir", str(self.data), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=self.environ, timeout=60)

    def examine(self, *words: str, repo: Path | None = None) -> tuple[int, dict[str, list[Json]]]:
        """Return the exit code and the findings by check."""
        given = words if "--config" in words else ("--repo", str(repo or self.repo.path), "--test", "true", "--agent", "scripted")
        ended = self.run(*given, *(word for word in words if word not in given), "--json")
        assert ended.stdout, ended.stderr
        told = json.loads(ended.stdout)
        assert told["ok"] == (ended.returncode == 0)
        by_check: dict[str, list[Json]] = {}
        for finding in told["findings"]:
            by_check.setdefault(finding["check"], []).append(finding)
        return ended.returncode, by_check

    def write(self, text: str) -> Path:
        path = self.folder / "orch.toml"
        path.write_text(text)
        return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def levels(findings: list[Json]) -> list[str]:
    return [finding["level"] for finding in findings]


def entry(name: str, repo: Path, *more: str) -> str:
    lines = [f'name = "{name}"', f'prefix = "{name.upper()}"', f'repo = "{repo}"', *more]
    return "\n".join(["[[projects]]", *lines, ""])


def test_a_sound_installation_has_no_fault_and_nothing_is_left_behind(place: Place) -> None:
    before = place.repo.git("for-each-ref"), sorted(str(path) for path in (place.repo.path / ".git").rglob("*"))
    code, found = place.examine()
    assert code == 0
    assert {"configuration", "versions", "sandbox", "agents", "commands", "landing", "deploy", "repository"} <= found.keys()
    assert found["repository"][0]["level"] == "ok"
    assert (place.repo.git("for-each-ref"), sorted(str(path) for path in (place.repo.path / ".git").rglob("*"))) == before
    assert not place.data.exists()


def test_it_is_told_as_a_table_with_a_verdict(place: Place) -> None:
    ended = place.run("--repo", str(place.repo.path), "--test", "no-such-program --all", "--agent", "scripted")
    assert ended.returncode == 1
    assert "FAULT" in ended.stdout
    assert "no-such-program" in ended.stdout
    assert ended.stdout.rstrip().endswith("Faults were found: 1.")


def test_beside_a_daemon_nothing_is_in_its_way(place: Place) -> None:
    with hold_data_dir(place.data):
        code, found = place.examine()
    assert code == 0
    assert str(os.getpid()) in found["data-directory"][0]["found"]
    assert place.examine()[1]["data-directory"][0]["found"].endswith("is private.")


def test_modes_that_let_others_read_are_told(place: Place) -> None:
    place.data.mkdir(mode=0o755)
    place.data.chmod(0o755)
    (place.data / "token").write_text("x")
    (place.data / "token").chmod(0o644)
    code, found = place.examine()
    assert (code, levels(found["data-directory"])) == (1, ["fault", "warning"])


def test_a_checked_out_branch_with_changes_makes_landing_wait(place: Place) -> None:
    (place.repo.path / "app.py").write_text("changed\n")
    code, found = place.examine()
    assert (code, levels(found["repository"])) == (0, ["warning"])
    place.repo.git("checkout", "--quiet", "-b", "other")
    assert levels(place.examine("--default-branch", "main")[1]["repository"]) == ["ok"]


def test_a_bare_repository_is_as_good(place: Place, tmp_path: Path) -> None:
    bare = make_bare(tmp_path / "bare.git", place.repo)
    code, found = place.examine(repo=bare.path)
    assert (code, levels(found["repository"])) == (0, ["ok"])
    assert "refs/orch" not in bare.git("for-each-ref")


def test_a_repository_in_which_no_ref_can_be_made_is_a_fault(place: Place) -> None:
    (place.repo.path / ".git/refs/orch").write_text("in the way")
    code, found = place.examine()
    assert (code, levels(found["repository"])) == (1, ["fault"])
    assert "cannot be written" in found["repository"][0]["found"]


def test_a_registry_is_examined_project_by_project(place: Place, tmp_path: Path) -> None:
    gone = entry("gone", tmp_path / "nowhere", 'test_command = ["true"]', 'deploy = { command = ["no-such-deploy"] }')
    shop = entry(
        "shop", place.repo.path, 'test_command = ["true"]', 'roles.tester = { agent = "scripted", script = "/no/script" }'
    )
    untested = entry("untested", tmp_path / "untested")
    path = place.write('merge_gate_repos = "gone"\npremerge_rebase_always = false\nsandbox = "off"\n' + gone + shop + untested)
    code, found = place.examine("--config", str(path))
    assert code == 1
    by_project = {(finding["project"], finding["check"]): finding["level"] for found_of in found.values() for finding in found_of}
    assert by_project["untested", "configuration"] == "fault"
    assert by_project["gone", "repository"] == "fault"
    assert by_project["gone", "commands"] == "fault"
    assert by_project["shop", "landing"] == "warning"
    assert by_project["shop", "repository"] == "ok"
    assert by_project["gone", "deploy"] == "ok"
    assert (by_project[None, "landing"], by_project[None, "sandbox"]) == ("warning", "warning")
    assert any("script" in finding["found"] for finding in found["agents"] if finding["project"] == "shop")


def test_projects_in_russian_are_told_of_in_russian(place: Place) -> None:
    path = place.write(entry("shop", place.repo.path, 'test_command = ["true"]', 'language = "ru"'))
    _, found = place.examine("--config", str(path))
    assert found["landing"][0]["found"].startswith("Демон сам вливает")


@pytest.mark.parametrize(
    ("text", "says"),
    [("sandbox = 'maybe'\n", "sandbox"), ("unknown_key = 1\n", "nearest known"), ("sandbox_read = ['here']\n", "absolute path")],
)
def test_a_configuration_that_cannot_be_used_is_exit_2(place: Place, text: str, says: str) -> None:
    path = place.write(text + entry("shop", place.repo.path, 'test_command = ["true"]'))
    ended = place.run("--config", str(path))
    assert ended.returncode == 2
    assert says in ended.stderr


def test_old_and_missing_git_are_faults_and_the_rest_is_still_told(place: Place, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "true").symlink_to("/bin/true")
    place.environ["PATH"] = str(tools)
    code, found = place.examine()
    assert (code, levels(found["versions"]), "repository" in found) == (1, ["fault"], False)
    assert found["commands"][0]["level"] == "ok"
    (tools / "git").write_text("#!/bin/sh\necho git version 2.30.2\n")
    (tools / "git").chmod(0o755)
    code, found = place.examine()
    assert (code, levels(found["versions"])) == (1, ["fault"])
    assert "2.39" in found["versions"][0]["do"]
