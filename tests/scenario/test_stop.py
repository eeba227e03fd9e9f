"""Stories of STOP: from every door, at every stage; what is told is what git shows, and nothing of the task happens later."""

import os
from pathlib import Path

import psutil
import pytest

from orch.core.model import DeploySettings
from tests.scenario.story import Json, Person, Story, kill_hard

MARK = str(90_000 + os.getpid())
"""How long the hostile processes sleep: a number of this test process's own, by which they are found."""
HOSTILE = (
    f'for i in $(seq 20); do (setsid sh -c "trap \\"\\" TERM INT HUP; sleep {MARK} & wait; sleep {MARK}" &); done; '
    f"echo half-done > app/half; trap '' TERM; env -i PATH=$PATH setsid sh -c 'sleep {MARK}' & sleep {MARK}"
)


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def living() -> list[str]:
    """Return the hostile agent's processes that are alive."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if MARK in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(" ".join(words))
    return found


def cancelled(task: Json) -> bool:
    return bool(task["stage"] == "cancelled")


async def swept(story: Story, person: Person, issue: str) -> None:
    """Wait until the clean-up is over: the working copy is gone and the row has its tombstone."""
    await person.until(issue, lambda it: "#cancelled-" in it["id"])
    assert list((story.data / "tasks").iterdir()) == []


def hostile_developer(story: Story) -> None:
    story.script("DEMO-1", "developer", {"run": ["sh", "-c", HOSTILE]})


@pytest.mark.parametrize("door", ["http", "board"])
async def test_G5_STOP_ends_a_hostile_agent_and_everything_of_its_task(story: Story, door: str) -> None:
    hostile_developer(story)
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until(issue, lambda it: it["stage"] == "development" and len(living()) >= 20)
        branch = (await person.task(issue))["branch"]
        if door == "http":
            await person.post(f"/tasks/{issue}/stop", {"by": "Anna"})
        else:
            await person.move(issue, "stop")
        await person.until(issue, cancelled)
        await swept(story, person, issue)
        assert living() == []
        await person.until_column(issue, "cancelled")
        queue = await person.get("/queue")
        assert (queue["jobs"]["queued"], queue["jobs"]["running"], queue["stop"]["pending"]) == ([], [], [])
    assert story.repo.git("branch", "--list", branch) == ""
    assert story.landings() == []
    refs = story.mirror().git("for-each-ref", "--format=%(refname)", "refs/orch/").split()
    assert any(ref.startswith("refs/orch/docs/1/") for ref in refs), "the artefact folder is kept for ever"
    dirty = [ref for ref in refs if ref.startswith("refs/orch/archive/1/") and "app/half" in story.mirror().tree(ref)]
    assert dirty, "the uncommitted work is in the archive"


async def test_G2_a_later_to_analyse_starts_from_nothing_with_the_same_id_and_another_branch(story: Story) -> None:
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        first = await person.until(issue, lambda it: it["awaiting"] == "approval")
        await person.move(issue, "stop")
        await person.until(issue, cancelled)
        await person.until_column(issue, "cancelled")
        await person.move(issue, "to_analyse")
        second = await person.until(issue, lambda it: it["awaiting"] == "approval")
        assert (second["id"], second["branch"]) == (first["id"], first["branch"] + "-2")
        await person.approve(issue)
        await person.until_stage(issue, "done")
    story.audit()


async def test_a_to_analyse_set_right_after_STOP_is_kept_and_handled_after_it(story: Story) -> None:
    hostile_developer(story)
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until(issue, lambda it: len(living()) >= 20)
        await person.move(issue, "stop")
        await person.move(issue, "to_analyse")
        task = await person.until(issue, lambda it: it["awaiting"] == "approval")
        assert task["branch"].endswith("-2")
        assert living() == []
        await person.until_column(issue, "in_review")


async def test_STOP_while_the_plan_waits_closes_everything_and_says_so(story: Story) -> None:
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.until(issue, lambda it: it["awaiting"] == "approval")
        answer = await person.post(f"/tasks/{issue}/stop", {"by": "Anna"})
        assert issue in answer["text"]
        await swept(story, person, issue)
        assert "already" in (await person.post(f"/tasks/{issue}/stop", {"by": "Anna"}))["text"]
    assert story.repo.git("branch", "--list", "feature/*") == ""


async def test_G6_STOP_in_the_test_run_of_a_landing_lands_nothing(story: Story) -> None:
    story.script("DEMO-1", "developer", {"files": {"app/slow": "1\n"}})
    gate = story.folder / "go"
    check = (
        f"#!/bin/sh\nif test -e docs/work-items/DEMO-1/08-test-report.md; then while ! test -e {gate}; do sleep 0.05; done; fi\n"
    )
    story.repo.commit({"check.sh": check})
    before = story.repo.tip("main")
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until(issue, lambda it: any(run["kind"] == "land" and not run["outcome"] for run in it["runs"]))
        await person.post(f"/tasks/{issue}/stop", {"by": "Anna"})
        await person.until(issue, cancelled)
        await swept(story, person, issue)
    assert story.repo.tip("main") == before


async def test_G6_STOP_after_the_landing_is_told_truthfully(story: Story) -> None:
    log = story.folder / "deployed"
    story.project(deploy=DeploySettings(command=("sh", "-c", f"echo x >> {log}")))
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        task = await person.until(issue, lambda it: it["awaiting"] == "confirm")
        answer = await person.post(f"/tasks/{issue}/stop", {"by": "Anna"})
        ended = await person.until(issue, cancelled)
        assert ended["landed"] == task["landed"] == story.repo.tip("main")
        assert str(task["landed"])[:10] in answer["text"]
    assert not log.exists()


async def test_G6_STOP_in_a_deploy_waits_for_its_real_result(story: Story) -> None:
    go, log = story.folder / "go", story.folder / "deployed"
    command = ("sh", "-c", f"while ! test -e {go}; do sleep 0.05; done; echo x >> {log}")
    story.project(deploy=DeploySettings(command=command))
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until(issue, lambda it: it["awaiting"] == "confirm")
        await person.decide(issue, "confirm-deploy")
        await person.until(issue, lambda it: any(run["kind"] == "deploy" for run in it["runs"]))
        answer = await person.post(f"/tasks/{issue}/stop", {"by": "Anna"})
        assert "recorded" in answer["text"]
        assert (await person.task(issue))["stage"] == "deploy"
        go.touch()
        await person.until_stage(issue, "done")
    assert log.read_text(encoding="utf-8") == "x\n"


async def test_G10_a_crash_right_after_STOP_is_completed_by_the_next_start(story: Story) -> None:
    hostile_developer(story)
    with story.process() as process:
        person = await story.person_of(process)
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until(issue, lambda it: len(living()) >= 20)
        await person.post(f"/tasks/{issue}/stop", {"by": "Anna"})
        kill_hard(process)
    async with story.daemon() as person:
        await person.until(issue, cancelled)
        await swept(story, person, issue)
        assert living() == []
    assert story.repo.git("branch", "--list", "feature/*") == ""


async def test_G14_with_its_switch_off_the_board_is_no_door_and_the_others_stay(story: Story) -> None:
    async with story.daemon(stop_status_enabled=False) as person:
        issue = await person.start("Greet the world")
        await person.until(issue, lambda it: it["awaiting"] == "approval")
        await person.move(issue, "stop")
        await person.until_column(issue, "in_review")
        assert (await person.task(issue))["stage"] == "analysis"
        await person.post(f"/tasks/{issue}/stop", {"by": "Anna"})
        await person.until(issue, cancelled)
