"""Stories of the line itself: what people do on the board and what comes of it on main."""

from pathlib import Path

import pytest

from orch.core.model import LandStyle
from tests.scenario.story import PLAN, Story, verdict


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


async def test_the_issue_moves_to_to_analyse_and_in_the_end_main_has_the_commit(story: Story) -> None:
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        task = await person.until(issue, lambda it: it["awaiting"] == "approval")
        await person.until_column(issue, "in_review")
        assert task["stage"] == "analysis"
        await person.decide(issue, "approve")
        task = await person.until_stage(issue, "done")
        await person.until_column(issue, "done")
    assert story.repo.tip("main") == task["landed"]
    assert f"CHANGES-{issue}.md" in story.main()
    assert f"docs/work-items/{issue}/01-brd.md" in story.main()
    assert story.repo.git("status", "--porcelain") == ""
    assert story.repo.git("branch", "--list", "feature/*") == ""
    story.audit()


async def test_the_reason_of_a_rejection_stands_in_the_analysts_next_prompt(story: Story) -> None:
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.until(issue, lambda it: it["awaiting"] == "approval")
        await person.decide(issue, "reject", reason="Say in which language it shall greet.")
        task = await person.until(issue, lambda it: it["run_count"] == 2 and it["awaiting"] == "approval")
        assert "Say in which language it shall greet." in story.prompt(task, "analyst", 2)
        assert "Say in which language" not in story.prompt(task, "analyst", 1)
        await person.decide(issue, "approve")
        await person.until_stage(issue, "done")


async def test_a_rejection_on_the_board_takes_the_newest_comment_as_its_reason(story: Story) -> None:
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.until(issue, lambda it: it["awaiting"] == "approval")
        await person.until_column(issue, "in_review")
        await person.say(issue, "Too vague: name the greeting.")
        await person.move(issue, "rejected")
        task = await person.until(issue, lambda it: it["run_count"] == 2 and it["awaiting"] == "approval")
        assert "Too vague: name the greeting." in story.prompt(task, "analyst", 2)


async def test_the_reviewers_findings_reach_the_developer(story: Story) -> None:
    asks = {"artefacts": {"07-review.md": verdict("changes_requested", "The greeting has no test")}}
    agrees = {"artefacts": {"07-review.md": verdict("approved")}}
    story.script("DEMO-1", "reviewer", asks, agrees)
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        task = await person.until_stage(issue, "done")
    assert "The greeting has no test" in story.prompt(task, "developer", 2)
    assert [run["role"] for run in task["runs"]].count("reviewer") == 2
    story.audit()


async def test_a_dependency_waits_and_then_starts_from_its_predecessors_code(story: Story) -> None:
    story.script("DEMO-1", "developer", {"files": {"app/first": "1\n"}})
    story.script("DEMO-2", "developer", {"run": ["sh", "-c", "cp app/first app/second"]})
    async with story.daemon() as person:
        first, second = await person.add("The first one"), await person.add("The second one")
        await person.post("/deps", {"issue": second, "on": first})
        await person.move(second, "to_analyse")
        task = await person.until(second, lambda it: it["stage"] == "analysis")
        assert first in str(await person.get(f"/tasks/{second}/why"))
        assert task["run_count"] == 0
        await person.move(first, "to_analyse")
        await person.approve(first)
        await person.until_stage(first, "done")
        await person.approve(second)
        await person.until_stage(second, "done")
    assert story.main()["app/second"] == "1"
    story.audit()


async def test_questions_ask_the_person_and_the_answer_goes_into_the_next_prompt(story: Story) -> None:
    asks = {"artefacts": {"questions.md": "# Questions\n\n1. Which greeting?\n"}}
    story.script("DEMO-1", "analyst", asks, {"artefacts": PLAN})
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.until(issue, lambda it: it["awaiting"] == "input")
        await person.until_column(issue, "needs_input")
        await person.say(issue, "Good morning, please.")
        await person.move(issue, "to_analyse")
        task = await person.until(issue, lambda it: it["awaiting"] == "approval")
        assert "Good morning, please." in story.prompt(task, "analyst", 2)
        await person.decide(issue, "approve")
        await person.until_stage(issue, "done")


async def test_an_agent_that_edits_outside_its_paths_is_refused_archived_and_starts_again(story: Story) -> None:
    story.script("DEMO-1", "analyst", {"artefacts": PLAN, "files": {"app/greeting.txt": "hacked\n"}}, {"artefacts": PLAN})
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        task = await person.until(issue, lambda it: it["awaiting"] == "approval")
        assert "app/greeting.txt" in story.prompt(task, "analyst", 2)
        branch = story.repo.git("for-each-ref", "--format=%(refname)", "refs/heads/feature")
        assert story.repo.tree(branch)["app/greeting.txt"] == "Hello"
        archives = story.mirror().git("for-each-ref", "--format=%(refname)", "refs/orch/archive").split()
        assert any(story.mirror().tree(ref)["app/greeting.txt"] == "hacked" for ref in archives)


async def test_an_agent_that_exits_well_with_nothing_done_is_asked_again_and_then_a_person_is(story: Story) -> None:
    story.script("DEMO-1", "developer", {"say": ["All done!"]})
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        task = await person.until_parked(issue)
        assert task["stage"] == "development"
        assert [run["role"] for run in task["runs"]].count("developer") == 4
        await person.until_column(issue, "blocked")
        story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}})
        await person.decide(issue, "resume")
        await person.until_stage(issue, "done")
    assert story.main()["app/new"] == "1"


@pytest.mark.parametrize("style", list(LandStyle))
async def test_each_land_style_lands_the_tested_commit(story: Story, style: LandStyle) -> None:
    story.project(land_style=style)
    story.script("DEMO-1", "developer", {"files": {"app/one": "1\n"}, "message": "Add one"})
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until(issue, lambda it: it["stage"] in ("review", "testing"))
        story.repo.commit({"elsewhere.txt": "a person's own commit\n"}, "By hand")
        task = await person.until_stage(issue, "done")
    assert story.repo.tip("main") == task["landed"]
    assert story.main()["app/one"] == "1"
    parents = story.repo.git("rev-list", "--parents", "-1", "main").split()[1:]
    subjects = story.repo.subjects("main")
    match style:
        case LandStyle.MERGE:
            assert len(parents) == 2
        case LandStyle.SQUASH:
            assert parents == [str(story.repo.tip("main~1"))]
            assert subjects[-2] == "By hand"
        case LandStyle.REBASE:
            assert "Add one" in subjects
            assert story.repo.git("rev-list", "--merges", "main") == ""
    story.audit()


async def test_stop_ends_a_running_agent_and_a_fresh_start_gets_a_branch_of_its_own(story: Story) -> None:
    story.script("DEMO-1", "developer", {"sleep_s": 60}, {"files": {"app/new": "1\n"}})
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        first = await person.until(issue, lambda it: any(run["role"] == "developer" for run in it["runs"]))
        await person.move(issue, "stop")
        await person.until_column(issue, "cancelled")
        story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}})
        await person.move(issue, "to_analyse")
        await person.until(issue, lambda it: it["branch"] != first["branch"])
        await person.approve(issue)
        task = await person.until_stage(issue, "done")
    assert task["id"] == first["id"]
    assert story.main()["app/new"] == "1"
