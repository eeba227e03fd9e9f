"""Stories of the landing: two that clash, and a combination that is red."""

from pathlib import Path

import anyio
import pytest

from tests.scenario.story import Story


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def after_merging(command: str) -> dict[str, object]:
    """A step that begins, as a rework does, with the default branch merged in, and fails where it does not."""
    return {"run": ["sh", "-ec", f"git merge-base --is-ancestor origin/main HEAD; {command}"]}


async def test_two_issues_that_change_the_same_line_both_land_after_one_was_resolved(story: Story) -> None:
    both = "printf 'Good morning and good night\\n' > app/greeting.txt"
    resolved = after_merging(f"grep -q '^<<<<<<< ' app/greeting.txt; grep -q '^>>>>>>> ' app/greeting.txt; {both}")
    for name, text in (("DEMO-1", "Good morning\n"), ("DEMO-2", "Good night\n")):
        story.script(name, "developer", {"files": {"app/greeting.txt": text}, "sleep_s": 0.3}, resolved)
    async with story.daemon() as person:
        names = [await person.start("Greet in the morning"), await person.start("Greet at night")]
        for name in names:
            await person.approve(name)
        tasks = [await person.until_stage(name, "done") for name in names]
    causes = [line["cause"] for task in tasks for line in task["history"]]
    assert causes.count("conflict") == 1
    returned = next(task for task in tasks if any(line["cause"] == "conflict" for line in task["history"]))
    assert "app/greeting.txt" in story.prompt(returned, "developer", 2)
    assert "hold conflict markers" in story.prompt(returned, "developer", 2)
    assert story.main()["app/greeting.txt"] == "Good morning and good night"
    story.audit()


async def test_a_combination_that_is_red_goes_back_and_main_is_never_red(story: Story) -> None:
    """One renames what the other begins to use: each is green alone, together they are not."""
    rename = {"files": {"app/def_new": "x\n"}, "delete": ["app/def_old"]}
    use = {"files": {"app/use_it": "old\n"}}
    story.script("DEMO-1", "developer", rename)
    story.script("DEMO-2", "developer", use, after_merging("printf 'new\\n' > app/use_it"))
    hold = {"sleep_s": 0.8, "artefacts": {"08-test-report.md": "---\nverdict: pass\nfindings: []\n---\n"}}
    story.script("DEMO-2", "tester", hold)
    async with story.daemon() as person:
        names = [await person.start("Rename it"), await person.start("Use it")]
        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(person.approve, name)
        tasks = [await person.until_stage(name, "done") for name in names]
    causes = [line["cause"] for line in tasks[1]["history"]]
    assert causes.count("land_red") == 1
    assert "old is used and not defined" in story.prompt(tasks[1], "developer", 2)
    assert "Nothing conflicts as text" in story.prompt(tasks[1], "developer", 2)
    assert story.main()["app/use_it"] == "new"
    story.audit()


async def test_a_red_ci_never_comes_near_main(story: Story) -> None:
    story.script("DEMO-1", "developer", {"files": {"app/x": "RED\n"}}, {"files": {"app/x": "fine\n"}})
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        task = await person.until_stage(issue, "done")
    assert "something is RED" in story.prompt(task, "developer", 2)
    story.audit()


async def test_a_dirty_working_tree_makes_the_landing_wait_and_say_so(story: Story) -> None:
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        (story.repo.path / "README.md").write_text("a person is editing\n", encoding="utf-8")
        await person.until(issue, lambda it: "uncommitted changes" in str(it["waiting"]))
        assert (story.repo.path / "README.md").read_text(encoding="utf-8") == "a person is editing\n"
        story.repo.git("checkout", "--", "README.md")
        await person.until_stage(issue, "done")
    story.audit()
