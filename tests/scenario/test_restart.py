"""Stories of ends and new beginnings: the daemon is stopped or killed in the middle, and the next one finishes."""

import signal
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from tests.scenario.story import Json, Person, Story, kill_hard


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def works(role: str):  # type: ignore[no-untyped-def]
    """Say whether an agent of *role* is at work."""
    return lambda it: any(run["role"] == role and run["outcome"] is None for run in it["runs"])


async def finish(person: Person, issue: str) -> Json:
    task = await person.until_stage(issue, "done")
    await person.until_column(issue, "done")
    return task


def check_once(story: Story, task: Json) -> None:
    """It landed once, nothing is doubled, and nothing of it is left over."""
    assert story.repo.tip("main") == task["landed"]
    assert [line["cause"] for line in task["history"]].count("landed") == 1
    assert story.main()["app/new"] == "1"
    story.audit()


async def test_a_daemon_that_is_stopped_in_mid_run_is_started_again_and_finishes(story: Story) -> None:
    story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}, "sleep_s": 3}, {"files": {"app/new": "1\n"}})
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until(issue, works("developer"))
    assert not (story.data / "daemon.json").exists()
    async with story.daemon() as person:
        task = await finish(person, issue)
    developers = [run for run in task["runs"] if run["role"] == "developer"]
    assert [run["outcome"] for run in developers] == ["crashed", "succeeded"]
    check_once(story, task)


async def test_stopped_between_every_two_stages_it_still_lands_once(story: Story) -> None:
    story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}})
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
    for stage in ("review", "testing", "deploy-staging"):
        async with story.daemon() as person:
            await person.until(issue, lambda it, stage=stage: _at_least(it["stage"], stage))  # type: ignore[misc]
    async with story.daemon() as person:
        task = await finish(person, issue)
    check_once(story, task)


def _at_least(stage: str, wanted: str) -> bool:
    order = ["analysis", "architecture", "development", "review", "testing", "deploy-staging", "deploy", "done"]
    return order.index(stage) >= order.index(wanted)


async def test_G10_kill_9_in_mid_run_and_the_next_daemon_finishes_with_one_landing(story: Story) -> None:
    story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}, "sleep_s": 20}, {"files": {"app/new": "1\n"}})
    with story.process() as process:
        person = await story.person_of(process)
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await story.until_said(await person.until(issue, works("developer")), "developer")
        await anyio.to_thread.run_sync(kill_hard, process)
    with story.process() as process:
        person = await story.person_of(process)
        task = await finish(person, issue)
        process.send_signal(signal.SIGTERM)
        assert await anyio.to_thread.run_sync(process.wait, 20) == 0
    check_once(story, task)


async def test_G10_kill_9_while_a_landing_is_tested(tmp_path: Path) -> None:
    slow = "#!/bin/sh\ntest -e app/new && sleep 1\nexit 0\n"
    story = Story(tmp_path, files={"check.sh": slow})
    story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}})
    with story.process() as process:
        person = await story.person_of(process)
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until(issue, lambda it: any(run["kind"] == "land" for run in it["runs"]))
        await anyio.to_thread.run_sync(kill_hard, process)
    with story.process() as process:
        person = await story.person_of(process)
        task = await finish(person, issue)
    check_once(story, task)


async def test_a_second_daemon_on_the_same_data_directory_says_so_and_leaves(story: Story) -> None:
    with story.process() as first:
        await story.person_of(first)
        with story.process() as second:
            code = await anyio.to_thread.run_sync(second.wait, 20)
        assert code not in (0, None)
        assert first.poll() is None
