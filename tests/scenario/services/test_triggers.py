"""What a status that a person sets on Plane does, row by row: where it means something, and where one comment answers it."""

from orch.core.model import DeploySettings
from tests.scenario.services.world import HTML, World
from tests.scenario.story import Person

USELESS = "does nothing here now"
BUSY = {"sleep_s": 600}


async def approve(world: World, issue: str) -> None:
    await world.until_column(issue, "In Review")
    world.carol.move(issue, "Approved")


async def is_answered(world: World, issue: str, trigger: str, shown: str) -> None:
    """A trigger without a meaning costs one comment, and the card goes back to what its task shows."""
    before = len(world.said(issue, "stream"))
    world.carol.move(issue, trigger)
    await world.until(lambda: len(world.said(issue, "stream")) > before, f"an answer to {trigger}")
    await world.until_column(issue, shown)
    assert len(world.said(issue, "stream")) == before + 1, f"{trigger}: {world.said(issue, 'stream')[before:]}"
    assert trigger in world.said(issue, "stream")[-1], trigger


async def runs(person: Person, task: str) -> list[str]:
    return [run["role"] for run in (await person.task(task))["runs"]]


# ------------------------------------------------------------------------------------------------ entry


async def test_a_card_that_is_only_made_starts_nothing(world: World) -> None:
    async with world.daemon() as person:
        made, moved = world.card("Only made"), world.card("Only moved", state="To Analyse")
        world.carol.move(moved, "Backlog")
        started = world.start()
        await world.until_column(started, "In Review")
        assert [task["issue"] for task in (await person.get("/tasks"))["tasks"]] == [started]
        assert world.comments(made) == world.comments(moved) == []


async def test_a_card_that_says_too_little_is_blocked_with_each_problem_and_may_be_set_again(world: World) -> None:
    async with world.daemon() as person:
        issue = world.card("Hm", html="<p>short</p>")
        world.carol.move(issue, "To Analyse")
        await world.until_column(issue, "Blocked")
        await world.until(lambda: world.said(issue, "stream"), "the reason")
        [said] = world.said(issue, "stream")
        assert "title" in said
        assert "description" in said
        world.carol.edit(issue, title="Greet the world", html=HTML)
        world.carol.move(issue, "To Analyse")
        await world.until_column(issue, "In Review")
        assert (await person.task("SHOP-1"))["title"] == "Greet the world"


async def test_what_stands_on_the_board_at_the_first_contact_starts_nothing(world: World) -> None:
    old = world.start("It was there before")
    async with world.daemon() as person:
        new = world.start("Greet the world")
        await world.until_column(new, "In Review")
        assert world.column(old) == "To Analyse"
        assert [task["issue"] for task in (await person.get("/tasks"))["tasks"]] == [new]
        world.carol.comment(old, "<p>What about this one?</p>")
        await world.settle(person)
        assert world.column(old) == "To Analyse"
        await person.post(f"/tasks/{old}/adopt", {"project": "shop", "by": "carol"})
        await world.until_column(old, "In Review")


async def test_a_card_of_another_project_of_the_workspace_is_ignored(world: World) -> None:
    other = world.plane.state.add_project("Other", "OTH", {"Backlog": "backlog", "To Analyse": "unstarted"})
    async with world.daemon() as person:
        there = world.plane.somebody(world.plane.carol, other)
        there.move(there.create("Elsewhere", HTML), "To Analyse")
        issue = world.start()
        await world.until_column(issue, "In Review")
        await world.settle(person)
        assert [task["issue"] for task in (await person.get("/tasks"))["tasks"]] == [issue]
        assert {delivery.status for delivery in world.plane.worker.deliveries} == {200}


# ------------------------------------------------------------------------------------------------ analysis


async def test_to_analyse_in_review_launches_the_analyst_again_with_the_comments_since(world: World) -> None:
    async with world.daemon() as person:
        issue = world.start()
        await world.until_column(issue, "In Review")
        world.carol.comment(issue, "<p>In which <b>language</b> is it to greet?</p>")
        world.carol.move(issue, "To Analyse")
        task = await person.until("SHOP-1", lambda it: it["run_count"] == 2 and it["awaiting"] == "approval")
        await world.until_column(issue, "In Review")
    assert [run["role"] for run in task["runs"]] == ["analyst", "analyst"]
    prompts = [(world.data / "runs" / str(run["n"]) / "prompt.md").read_text() for run in task["runs"]]
    assert ["is it to greet?" in prompt for prompt in prompts] == [False, True]


async def test_to_analyse_while_the_analyst_is_at_work_launches_no_second_one(world: World) -> None:
    world.script("SHOP-1", "analyst", BUSY)
    async with world.daemon() as person:
        issue = world.start()
        await world.until_column(issue, "Analysis")
        world.carol.move(issue, "To Analyse")
        await world.until(lambda: world.columns_of(issue).count("Analysis") == 2, "the derived status again")
        await world.settle(person)
        assert await runs(person, "SHOP-1") == ["analyst"]
        assert USELESS not in str(world.comments(issue))


async def test_a_rejection_takes_the_newest_comment_as_its_reason_and_a_second_one_without_says_so(world: World) -> None:
    async with world.daemon() as person:
        issue = world.start()
        await world.until_column(issue, "In Review")
        world.carol.comment(issue, "<p>Too vague: <i>name</i> the greeting.</p>")
        world.carol.move(issue, "Rejected")
        await person.until("SHOP-1", lambda it: it["run_count"] == 2 and it["awaiting"] == "approval")
        await world.until_column(issue, "In Review")
        world.carol.move(issue, "Rejected")
        task = await person.until("SHOP-1", lambda it: it["run_count"] == 3 and it["awaiting"] == "approval")
    reasons = [line["detail"] for line in task["history"] if line["cause"] == "rejected"]
    assert reasons[0] == "Too vague: name the greeting."
    assert "Too vague" not in reasons[1]


async def test_an_approval_shows_the_next_stage_and_no_other_status_before(world: World) -> None:
    world.script("SHOP-1", "developer", BUSY)
    async with world.daemon() as person:
        issue = world.start()
        await approve(world, issue)
        await world.until_column(issue, "In Progress")
        await person.until("SHOP-1", lambda it: it["stage"] == "development")
        await world.settle(person)
    assert world.columns_of(issue) == ["Analysis", "In Review", "In Progress"]
    assert world.columns_of(issue, "carol") == ["To Analyse", "Approved"]


async def test_in_review_only_confirm_deploy_means_nothing(world: World) -> None:
    async with world.daemon() as person:
        issue = world.start()
        await world.until_column(issue, "In Review")
        await is_answered(world, issue, "Confirm Deploy", "In Review")
        await is_answered(world, issue, "Confirm Deploy", "In Review")
        assert (await person.task("SHOP-1"))["awaiting"] == "approval"


# ------------------------------------------------------------------------------------------------ later


async def test_while_its_ci_runs_only_stop_means_something(world: World) -> None:
    world.ci = None
    async with world.daemon() as person:
        issue = world.start()
        await approve(world, issue)
        await person.until("SHOP-1", lambda it: it["stage"] == "development" and it["awaiting"] == "gate")
        await world.settle(person)
        for trigger in ("To Analyse", "Approved", "Rejected", "Confirm Deploy"):
            await is_answered(world, issue, trigger, "In Progress")
        assert await runs(person, "SHOP-1") == ["analyst", "architect", "developer"]
        world.carol.move(issue, "STOP")
        await world.until_column(issue, "Cancelled")
        await world.settle(person)
        assert (await person.task("SHOP-1"))["stage"] == "cancelled"
        await world.until(lambda: world.branches() == [], "the end of the task's branch")


async def test_a_stop_that_was_overwritten_before_it_was_seen_is_obeyed(world: World) -> None:
    world.script("SHOP-1", "analyst", BUSY)
    async with world.daemon() as person:
        issue = world.start()
        await world.until_column(issue, "Analysis")
        world.carol.move(issue, "STOP")
        world.carol.move(issue, "In Progress")
        await person.until_stage("SHOP-1", "cancelled")
        await world.until_column(issue, "Cancelled")


async def test_a_card_set_to_analyse_right_after_its_stop_starts_anew_once_that_is_done(world: World) -> None:
    world.script("SHOP-1", "analyst", {**BUSY, "run": ["true"]})
    async with world.daemon() as person:
        issue = world.start()
        await world.until_column(issue, "Analysis")
        world.carol.move(issue, "STOP")
        world.carol.move(issue, "To Analyse")
        await person.until("SHOP-1", lambda it: it["stage"] == "cancelled" or it["stage"] == "analysis")
        world.script("SHOP-1", "analyst", {"artefacts": {"01-brd.md": "# What\n", "02-acceptance.md": "- [ ] It\n"}})
        await world.until_column(issue, "In Review")
        stages = [(task["id"], task["stage"]) for task in (await person.get("/tasks"))["tasks"]]
        assert ("SHOP-1", "analysis") in stages


async def test_a_deploy_waits_for_confirm_deploy_and_takes_no_other_word_for_it(world: World) -> None:
    log = world.folder / "deployed.log"
    world.project(deploy=DeploySettings(command=("sh", "-c", f"echo deployed >> {log}")))
    async with world.daemon() as person:
        issue = world.start()
        await approve(world, issue)
        await world.until_column(issue, "Awaiting Deploy")
        for trigger in ("Approved", "To Analyse"):
            await is_answered(world, issue, trigger, "Awaiting Deploy")
        assert not log.exists()
        world.carol.move(issue, "Confirm Deploy")
        await world.until_column(issue, "Done")
        await world.settle(person)
        for trigger in ("To Analyse", "Approved", "Rejected", "Confirm Deploy"):
            await is_answered(world, issue, trigger, "Done")
        assert len((await person.get("/tasks"))["tasks"]) <= 1
    assert log.read_text(encoding="utf-8") == "deployed\n"


async def test_a_declined_deploy_parks_and_deploys_nothing(world: World) -> None:
    log = world.folder / "deployed.log"
    world.project(deploy=DeploySettings(command=("sh", "-c", f"echo deployed >> {log}")))
    async with world.daemon() as person:
        issue = world.start()
        await approve(world, issue)
        await world.until_column(issue, "Awaiting Deploy")
        world.carol.move(issue, "Rejected")
        await world.until_column(issue, "Blocked")
        assert (await person.until_parked("SHOP-1"))["parked"]["reason"] == "deploy-declined"
    assert not log.exists()


# ------------------------------------------------------------------------------------------------ the card itself


async def test_a_card_that_is_deleted_or_closed_while_its_task_lives_parks_it(world: World) -> None:
    async with world.daemon(reconcile_interval_s=1.0) as person:
        gone, closed = world.start("The one that goes"), world.start("The one that closes")
        await world.until_column(gone, "In Review")
        await world.until_column(closed, "In Review")
        world.plane.somebody(world.plane.alice).delete(gone)
        world.carol.move(closed, "Done")
        for name in ("SHOP-1", "SHOP-2"):
            assert (await person.until_parked(name))["parked"]["reason"] == "issue-gone"


async def test_an_edited_description_is_shown_to_the_next_agent(world: World) -> None:
    async with world.daemon() as person:
        issue = world.start()
        await world.until_column(issue, "In Review")
        world.carol.edit(issue, html="<p>It shall greet the moon as well, and here is why.</p>")
        await person.until("SHOP-1", lambda it: any(line["cause"] == "card-edited" for line in it["history"]))
        world.carol.move(issue, "Rejected")
        task = await person.until("SHOP-1", lambda it: it["run_count"] == 2 and it["awaiting"] == "approval")
    prompt = (world.data / "runs" / str(task["runs"][1]["n"]) / "prompt.md").read_text(encoding="utf-8")
    assert "greet the moon" in prompt
