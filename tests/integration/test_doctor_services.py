"""`orch doctor` on a Plane and a Gitea: what it finds there, and that it leaves both as they were."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from orch.rehearsal.gitea.state import Protection
from orch.rehearsal.plane.access import forbidden
from tests.scenario.services.world import GITEA_SECRET, World, services

PUBLIC = "https://orch.example.org"
HOOK = f"{PUBLIC}/webhook/gitea"
EVENTS = ("push", "create", "delete", "pull_request", "status")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with services(tmp_path) as made:
        made.gitea.repo.rights["bot"] = "admin"
        yield made


async def examine(world: World, *lines: str, **environ: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Run the command as its users do; return its exit code and the findings on the board and the repository."""
    world.plan({})
    file = world.folder / "orch.toml"
    given = file.read_text().replace("[[projects]]", f'public_url = "{PUBLIC}"\n[[projects]]') + "\n" + "\n".join(lines) + "\n"
    file.write_text(given)
    command = [sys.executable, "-m", "orch", "doctor", "--config", str(file), "--json"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(world.folder), **world.environ(), **environ}
    ran = await anyio.run_process(command, env=environment, check=False, stderr=subprocess.PIPE)
    assert ran.stdout, ran.stderr.decode()
    told = json.loads(ran.stdout)
    found: dict[str, list[dict[str, Any]]] = {"board": [], "repository": []}
    for finding in told["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return ran.returncode, found


def levels(findings: list[dict[str, Any]]) -> list[str]:
    return [finding["level"] for finding in findings]


async def test_where_all_is_well_it_says_so_and_leaves_both_services_as_they_were(world: World) -> None:
    world.gitea.add_hook(HOOK, GITEA_SECRET, EVENTS)
    before, plane, gitea = world.tip(), list(world.plane.log), list(world.gitea.log)
    code, found = await examine(world)
    assert (code, levels(found["board"]), levels(found["repository"])) == (0, ["ok", "ok"], ["ok", "ok"]), found
    assert f"{PUBLIC}/webhook/plane" in found["board"][-1]["found"]
    assert (world.tip(), world.plane.log, world.gitea.log) == (before, plane, gitea)
    assert not (world.data / "gitea").exists()


async def test_a_token_that_plane_does_not_know_is_told_from_a_user_who_may_not(world: World) -> None:
    code, found = await examine(world, ORCH_PLANE_TOKEN="plane_api_" + "0" * 32)
    assert (code, levels(found["board"])) == (1, ["fault"])
    assert "ORCH_PLANE_TOKEN" in found["board"][0]["found"]
    world.plane.faults.fail_always("states.list", forbidden())
    code, found = await examine(world)
    assert (code, levels(found["board"])) == (1, ["fault"])
    assert "the key's user may not do this" in found["board"][0]["found"]


async def test_missing_and_equal_states_are_faults_and_a_trigger_that_is_not_there_is_said(world: World) -> None:
    project = world.plane.project
    for name in ("Needs Input", "STOP", "Analysis"):
        del project.columns[project.column(name).id]
    world.plane.state.add_column(project, " blocked", "started")
    code, found = await examine(world)
    assert code == 1
    said = [finding["found"] for finding in found["board"]]
    assert levels(found["board"])[:3] == ["fault", "fault", "warning"]
    assert "blocked" in said[0]
    assert "Needs Input" in said[1]
    assert "STOP" in said[2]
    assert "Analysis" in said[3]


async def test_what_stands_in_a_trigger_status_is_listed(world: World) -> None:
    world.start("It was there before")
    code, found = await examine(world)
    assert (code, levels(found["board"])) == (0, ["ok", "warning", "ok"])
    assert "It was there before (To Analyse)" in found["board"][1]["found"]
    assert "orch adopt" in found["board"][1]["do"]


async def test_gitea_that_may_not_be_pushed_or_does_not_mark_or_marks_by_itself_is_a_fault(world: World) -> None:
    repo = world.gitea.repo
    repo.allow_manual_merge, repo.autodetect_manual_merge = False, True
    repo.protections["main"] = Protection("main", enable_push=True, push_whitelist=("anna",))
    code, found = await examine(world)
    assert (code, levels(found["repository"])) == (1, ["fault", "fault", "fault", "warning"])
    assert "Not allowed to push to protected branch" in found["repository"][0]["found"]
    assert "allow_manual_merge" in found["repository"][1]["do"]
    assert "autodetect_manual_merge" in found["repository"][2]["do"]
    assert HOOK in found["repository"][3]["found"]


@pytest.mark.parametrize(
    ("events", "active", "says"), [(("push",), True, "pull_request"), (EVENTS, False, "switched off")], ids=["events", "off"]
)
async def test_a_hook_that_sends_too_little_or_nothing_is_said(
    world: World, events: tuple[str, ...], active: bool, says: str
) -> None:
    world.gitea.add_hook(HOOK, GITEA_SECRET, events)
    world.gitea.hooks.targets[-1].active = active
    code, found = await examine(world)
    assert (code, levels(found["repository"])) == (0, ["ok", "warning"])
    assert says in found["repository"][1]["found"]


async def test_a_bot_that_does_not_administer_the_repo_cannot_see_its_hooks_which_is_no_fault(world: World) -> None:
    world.gitea.repo.rights["bot"] = "write"
    code, found = await examine(world, 'ci_contexts = ["ci/build"]')
    assert (code, levels(found["repository"])) == (0, ["ok", "ok", "warning"])
    assert "administrators" in found["repository"][1]["found"]
    assert "ci/build" in found["repository"][2]["found"]


async def test_services_that_are_away_or_a_token_that_was_withdrawn_are_faults_that_name_the_service(world: World) -> None:
    await world.plane.go_down()
    code, found = await examine(world, ORCH_GITEA_TOKEN="0" * 40)
    assert (code, levels(found["board"]), levels(found["repository"])) == (1, ["fault"], ["fault"])
    assert "ORCH_GITEA_TOKEN" in found["repository"][0]["found"]
