"""Stories of staging and deploy: who may set it off, and what a failure does."""

from pathlib import Path

import pytest

from orch.core.model import DeploySettings
from tests.scenario.story import Story


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def deploy(story: Story, script: str, **fields: object) -> Path:
    """Let the project be deployed by a shell script; what it writes goes to the returned file."""
    log = story.folder / "deployed.log"
    command = ("sh", "-c", script.replace("LOG", str(log)))
    story.project(deploy=DeploySettings(command=command, **fields))  # type: ignore[arg-type]
    return log


async def test_an_everyday_approve_never_deploys_and_confirm_deploy_does(story: Story) -> None:
    log = deploy(story, "cat app/new >> LOG")
    story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}})
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        task = await person.until(issue, lambda it: it["awaiting"] == "confirm")
        await person.until_column(issue, "awaiting_deploy")
        assert task["landed"] == story.repo.tip("main")
        await person.move(issue, "approved")
        await person.until_column(issue, "awaiting_deploy")
        await person.post(f"/tasks/{issue}/approve", {"shown": task["shown"]}, status=409)
        assert not log.exists()
        await person.move(issue, "confirm_deploy")
        await person.until_stage(issue, "done")
    assert log.read_text(encoding="utf-8") == "1\n"


async def test_without_confirm_it_deploys_at_once(story: Story) -> None:
    log = deploy(story, "echo deployed >> LOG", confirm=False)
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until_stage(issue, "done")
    assert log.read_text(encoding="utf-8") == "deployed\n"


async def test_a_deploy_that_fails_parks_and_nothing_deploys_without_a_new_confirm(story: Story) -> None:
    log = deploy(story, "echo try >> LOG; test $(wc -l < LOG) -ge 2")
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until(issue, lambda it: it["awaiting"] == "confirm")
        await person.decide(issue, "confirm-deploy")
        task = await person.until_parked(issue)
        assert task["parked"]["reason"] == "deploy-failed"
        await person.until_column(issue, "blocked")
        await person.decide(issue, "resume")
        await person.until(issue, lambda it: it["awaiting"] == "confirm")
        assert log.read_text(encoding="utf-8") == "try\n"
        await person.decide(issue, "confirm-deploy")
        await person.until_stage(issue, "done")
    assert log.read_text(encoding="utf-8") == "try\ntry\n"


async def test_a_declined_deploy_parks_and_deploys_nothing(story: Story) -> None:
    log = deploy(story, "echo deployed >> LOG")
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until(issue, lambda it: it["awaiting"] == "confirm")
        await person.move(issue, "rejected")
        task = await person.until_parked(issue)
        assert task["parked"]["reason"] == "deploy-declined"
    assert not log.exists()


async def test_a_red_staging_goes_back_to_development_with_its_output(story: Story) -> None:
    story.project(deploy=DeploySettings(staging_command=("sh", "-c", "test -e app/ready || { echo not ready; exit 1; }")))
    story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}}, {"files": {"app/ready": "1\n"}})
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        task = await person.until_stage(issue, "done")
    assert "not ready" in story.prompt(task, "developer", 2)
    assert [line["cause"] for line in task["history"]].count("staging") == 1
    report = story.main()["docs/work-items/DEMO-1/09-staging.md"]
    assert report.startswith("---\nverdict: ok\n"), "the daemon wrote its report before the branch landed"
    story.audit()
