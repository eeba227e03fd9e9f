"""Stories of what is deployed: it does well, it does badly, it is mended, it is taken back."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from orch.core.model import DeploySettings, MonitorSettings
from tests.scenario.story import Json, Person, Story

REVERT = """
range=$(grep -oE '[0-9a-f]{40}\\.\\.[0-9a-f]{40}' "$ORCH_RUN_PROMPT_FILE" | head -n 1)
git -c user.name=Dev -c user.email=dev@example.com revert --no-edit "$range"
"""


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


class Production:
    """Where the sample project is deployed to: a file of the folder says whether it does well; what was done is logged."""

    def __init__(self, story: Story, *, window_s: float = 1.0, **project: Any) -> None:
        self.bad = story.folder / "production-is-bad"
        self.log = story.folder / "production.log"
        deploy = DeploySettings(
            command=("sh", "-c", f"echo deployed $(ls app | tr '\\n' ' ') >> {self.log}"),
            rollback_command=("sh", "-c", f"echo rolled back >> {self.log}; rm -f {self.bad}"),
            confirm=False,
        )
        probe = ("sh", "-c", f"test ! -e {self.bad}")
        monitor = MonitorSettings(command=probe, window_s=window_s, interval_s=0.2, fail_after=3)
        story.project(**{"deploy": deploy, "monitor": monitor, **project})

    def done(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    def breaks(self) -> None:
        self.bad.write_text("so it is", encoding="utf-8")


async def deployed(person: Person, title: str) -> str:
    """Take an issue through the line; what it brought is in production then."""
    issue = await person.start(title)
    await person.approve(issue)
    await person.until_stage(issue, "done")
    return issue


async def frozen(person: Person) -> Json | None:
    freezes = (await person.get("/queue"))["serial_gate"]["freezes"]
    return freezes[0] if freezes else None


def causes(task: Json) -> list[str]:
    return [line["cause"] for line in task["history"]]


async def test_what_does_well_goes_from_monitoring_to_done(story: Story) -> None:
    Production(story, window_s=2.0)
    async with story.daemon() as person:
        issue = await deployed(person, "Greet the world")
        task = await person.task(issue)
        assert (task["status"], task["watch"]["state"]) == ("monitoring", "watching")
        assert "is watched in production" in task["waiting"]
        assert [each["id"] for each in (await person.get("/queue"))["deploy"]["watch"]] == [issue]
        await person.until_column(issue, "monitoring")
        task = await person.until(issue, lambda it: it["status"] == "done")
        await person.until_column(issue, "done")
        assert task["watch"]["state"] == "healthy"
        assert task["watch"]["probes"] >= 5
        assert causes(task)[-2:] == ["watched", "healthy"]
        assert await frozen(person) is None


async def test_what_does_badly_freezes_the_repo_is_rolled_back_and_a_fix_mends_and_thaws_it(story: Story) -> None:
    production = Production(story, window_s=60.0)
    story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}})
    story.script("DEMO-2", "developer", {"files": {"app/other": "2\n"}})
    story.script("DEMO-3", "developer", {"files": {"app/mended": "3\n"}})
    async with story.daemon() as person:
        bad = await deployed(person, "Greet the world")
        production.breaks()
        task = await person.until(bad, lambda it: "rolled-back" in causes(it))
        assert (task["stage"], task["status"], task["watch"]["state"]) == ("done", "blocked", "degraded")
        await person.until_column(bad, "blocked")
        assert production.done()[-1] == "rolled back"
        rollback = next(run for run in task["runs"] if run["kind"] == "rollback")
        assert rollback["outcome"] == "succeeded"
        freeze = await frozen(person)
        assert freeze is not None
        assert (freeze["cause"], "exit code 1" in freeze["detail"]) == ("deploy", True)
        assert "orch revert" in task["waiting"]

        waiting = await person.start("Something that has to wait")
        fix = await person.start("Mend the greeting")
        await person.until(fix, lambda it: it["stage"] == "analysis")
        await person.decide(fix, "fix")
        await person.approve(fix)
        assert (await person.task(waiting))["runs"] == []
        await person.until_stage(fix, "done")
        assert await frozen(person) is None
        assert production.done()[-1].startswith("deployed")
        assert "mended" in production.done()[-1]
        await person.until_column(bad, "done")
        await person.until_column(fix, "monitoring")
        await person.approve(waiting)
        await person.until_stage(waiting, "done")
        assert "thawed" in causes(await person.task(fix))
    assert story.main()["app/mended"] == "3"
    story.audit()


async def test_for_the_daemons_own_project_nothing_is_rolled_back(story: Story) -> None:
    production = Production(story, window_s=60.0, self_hosting=True)
    async with story.daemon() as person:
        issue = await deployed(person, "Greet the world")
        production.breaks()
        task = await person.until(issue, lambda it: it["status"] == "blocked")
        assert (await frozen(person)) is not None
        await anyio.sleep(0.5)
        task = await person.task(issue)
        assert [run["kind"] for run in task["runs"] if run["kind"] == "rollback"] == []
        assert "rolled back" not in production.done()


async def test_a_new_deploy_ends_the_running_watch(story: Story) -> None:
    Production(story, window_s=600.0)
    async with story.daemon() as person:
        first = await deployed(person, "Greet the world")
        second = await deployed(person, "Greet the moon")
        task = await person.task(first)
        assert (task["status"], task["watch"]["state"]) == ("done", "ended")
        assert (await person.task(second))["status"] == "monitoring"
        await person.until_column(first, "done")


async def test_a_watch_goes_on_with_the_next_daemon(story: Story) -> None:
    production = Production(story, window_s=600.0)
    async with story.daemon() as person:
        issue = await deployed(person, "Greet the world")
    production.breaks()
    async with story.daemon() as person:
        await person.until(issue, lambda it: it["status"] == "blocked")
        assert (await frozen(person)) is not None


async def test_without_staging_deploy_and_monitor_these_stages_pass_at_once_and_the_history_says_so(story: Story) -> None:
    async with story.daemon() as person:
        task = await person.task(await deployed(person, "Greet the world"))
        assert (task["status"], task["watch"]) == ("done", None)
        details = [line["detail"] for line in task["history"] if line["source"] in ("deploy-staging", "deploy", "testing")]
        assert any("no deploy" in detail for detail in details), details
        assert {run["kind"] for run in task["runs"]} <= {"agent", "ci", "land"}


async def test_with_a_deploy_and_no_monitor_the_history_says_that_nothing_is_watched(story: Story) -> None:
    Production(story, monitor=None)
    async with story.daemon() as person:
        issue = await deployed(person, "Greet the world")
        task = await person.until(issue, lambda it: "not-watched" in causes(it))
        assert task["status"] == "done"


@pytest.mark.parametrize("frozen_by_hand", [False, True], ids=["", "under a freeze"])
async def test_a_landed_task_is_taken_back_by_a_task_of_its_own_all_the_way_to_main(story: Story, frozen_by_hand: bool) -> None:
    story.script("DEMO-1", "developer", {"files": {"app/new": "1\n", "app/greeting.txt": "Hi\n"}})
    story.script("DEMO-2", "developer", {"files": {"app/later": "2\n"}})
    story.script("DEMO-3", "developer", {"run": ["sh", "-c", REVERT]})
    async with story.daemon() as person:
        first = await deployed(person, "Greet the world")
        await deployed(person, "Something later")
        assert story.main()["app/greeting.txt"] == "Hi"
        if frozen_by_hand:
            await person.post("/serial-gate/freeze", {"reason": "it is bad"})
        answer = await person.post(f"/tasks/{first}/revert", {"by": "Anna"})
        revert = answer["id"]
        again = await person.post(f"/tasks/{first}/revert", {})
        assert again["id"] == revert
        await person.approve(revert)
        task = await person.until_stage(revert, "done")
        assert task["title"] == f"Revert {first}: Greet the world"
        assert "reverting" in causes(await person.task(first))
    main = story.main()
    assert (main["app/greeting.txt"], main["app/later"], "app/new" in main) == ("Hello", "2", False)
    assert any(subject.startswith('Revert "') for subject in story.landings())
    story.audit()


async def test_what_has_not_landed_cannot_be_taken_back(story: Story) -> None:
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.until(issue, lambda it: it["awaiting"] == "approval")
        problem = await person.post(f"/tasks/{issue}/revert", {}, status=409)
        assert "has not landed" in problem["detail"]
        await person.post("/tasks/NOPE-1/revert", {}, status=404)
