"""Boards as they are: relations between cards, columns that are missing, renamed or made later, and who may decide."""

from typing import Any

from orch.core.model import DeploySettings
from tests.scenario.services.world import World
from tests.scenario.story import Person

QUICK: dict[str, Any] = {"reconcile_interval_s": 1.0}


async def approve(world: World, issue: str, shown: str = "In Review") -> None:
    await world.until_column(issue, shown)
    world.carol.move(issue, "Approved")


# ------------------------------------------------------------------------------------------------ relations


async def test_a_card_that_plane_says_is_blocked_begins_after_the_other_and_from_its_code(world: World) -> None:
    async with world.daemon(task_deps_source="plane", **QUICK) as person:
        first, second = world.card("Greet the world"), world.card("Greet the moon")
        world.carol.block(second, first)
        world.carol.move(second, "To Analyse")
        await person.until("SHOP-2", lambda it: it["stage"] == "analysis")
        await world.settle(person)
        queue = (await person.get("/queue"))["task_deps"]
        assert queue["source"] == "plane"
        assert [(each["id"], each["open"] != [], each["board"] != []) for each in queue["tasks"]] == [("SHOP-2", True, True)]
        assert await world.roles(person, "SHOP-2") == []
        world.carol.move(first, "To Analyse")
        for issue in (first, second):
            await approve(world, issue)
            await world.until_column(issue, "Done", within_s=90)
        [start] = [run["started_at"] for run in (await person.task("SHOP-2"))["runs"]][:1]
        assert start >= (await person.task("SHOP-1"))["runs"][-1]["started_at"]
    assert {"CHANGES-SHOP-1.md", "CHANGES-SHOP-2.md"} <= set(world.main())


async def test_a_relation_that_is_taken_back_on_the_board_holds_the_card_no_longer(world: World) -> None:
    async with world.daemon(task_deps_source="plane", **QUICK) as person:
        first, second = world.card("Greet the world"), world.card("Greet the moon")
        world.carol.block(second, first)
        world.carol.move(second, "To Analyse")
        await person.until("SHOP-2", lambda it: it["stage"] == "analysis")
        await world.settle(person)
        assert await world.roles(person, "SHOP-2") == []
        world.carol.unblock(second, first)
        await world.until_column(second, "In Review")


async def test_cards_that_block_each_other_ask_once_each_and_go_on_after_one_relation_is_gone(world: World) -> None:
    async with world.daemon(task_deps_source="plane", **QUICK) as person:
        first, second = world.card("Greet the world"), world.card("Greet the moon")
        blocker = world.card("A third one")
        world.carol.block(first, blocker)  # holds it while the circle is drawn
        world.carol.block(second, first)
        for issue in (first, second):
            world.carol.move(issue, "To Analyse")
        await person.until("SHOP-1", lambda it: it["stage"] == "analysis")
        world.carol.unblock(first, blocker)
        world.plane.project.relations.append((first, "blocked_by", second))
        world.carol.edit(first, title="Greet the whole world")
        for issue, name in ((first, "SHOP-1"), (second, "SHOP-2")):
            assert (await person.until_parked(name))["parked"]["reason"] == "dependency-cycle"
            await world.until_column(issue, "Blocked")
            said = [html for html in world.said(issue, "stream") if "SHOP-1 → SHOP-2" in html or "SHOP-2 → SHOP-1" in html]
            assert len(said) == 1
        world.plane.project.relations[:] = [(second, "blocked_by", first)]
        for name in ("SHOP-1", "SHOP-2"):
            await person.decide(name, "resume")
        await world.until_column(first, "In Review")


# ------------------------------------------------------------------------------------------------ columns


def without(world: World, *names: str) -> None:
    """The board lacks these columns."""
    columns = world.plane.project.columns
    for each in [column for column in columns.values() if column.name in names]:
        del columns[each.id]


async def test_a_board_that_lacks_every_column_that_is_not_needed_shows_the_nearest_to_the_end(world: World) -> None:
    lacking = ("To Analyse", "Analysis", "Code Review", "Testing", "Awaiting Deploy", "Deploying", "Monitoring after Deploy")
    without(world, *lacking, "Cancelled")
    async with world.daemon() as person:
        issue = world.card()
        world.carol.move(issue, "In Progress")  # it stands for To Analyse here
        await approve(world, issue)
        await world.until_column(issue, "Done")
        await person.until_stage("SHOP-1", "done")
    assert set(world.columns_of(issue)) == {"In Review", "In Progress", "Done"}


async def test_without_stop_and_confirm_deploy_nothing_else_stands_for_them(world: World) -> None:
    without(world, "STOP", "Confirm Deploy")
    log = world.folder / "deployed.log"
    world.project(deploy=DeploySettings(command=("sh", "-c", f"echo deployed >> {log}")))
    async with world.daemon() as person:
        issue = world.start()
        await approve(world, issue)
        await world.until_column(issue, "Awaiting Deploy")
        for column in ("In Progress", "Approved", "Deploying"):
            world.carol.move(issue, column)
            await world.settle(person)
        assert not log.exists()
        assert (await person.task("SHOP-1"))["stage"] == "deploy"


async def test_columns_may_be_named_otherwise_in_the_configuration_and_made_while_the_daemon_runs(world: World) -> None:
    columns = world.plane.project.columns
    start = world.plane.project.column("To Analyse")
    start.name = "Ready for Analysis"
    without(world, "Code Review")
    world.project(statuses={"to_analyse": "ready FOR analysis "})
    world.script("SHOP-1", "developer", {"files": {"CHANGES-SHOP-1.md": "- it\n"}, "sleep_s": 1})
    async with world.daemon() as person:
        issue = world.card()
        world.carol.move(issue, "Ready for Analysis")
        await world.until_column(issue, "In Review")
        world.plane.state.add_column(world.plane.project, "Code Review", "started")
        made = world.plane.state.add_column(world.plane.project, "Ask Bob", "started")
        world.carol.move(issue, "Ask Bob")  # an unknown column: the list is fetched again before it is judged
        await world.settle(person)
        assert (await person.task("SHOP-1"))["awaiting"] == "approval"
        assert made.id in columns
        world.carol.move(issue, "Approved")
        await world.until_column(issue, "Done")
    assert "Code Review" in world.columns_of(issue)


# ------------------------------------------------------------------------------------------------ who may decide


async def answered(world: World, person: Person, issue: str, trigger: str, shown: str) -> None:
    """One comment, the derived status again, and nothing else."""
    before, task = len(world.said(issue, "stream")), await person.task("SHOP-1")
    world.carol.move(issue, trigger)
    await world.until(lambda: len(world.said(issue, "stream")) > before, f"an answer to {trigger}")
    await world.until_column(issue, shown)
    await world.settle(person)
    assert len(world.said(issue, "stream")) == before + 1
    after = await person.task("SHOP-1")
    assert (after["stage"], after["awaiting"], after["run_count"]) == (task["stage"], task["awaiting"], task["run_count"])


async def test_only_approvers_approve_and_only_deployers_deploy_and_others_get_one_comment(world: World) -> None:
    log = world.folder / "deployed.log"
    alice = world.plane.somebody(world.plane.alice)
    world.project(
        approvers=(alice.id,), deployers=(alice.id,), deploy=DeploySettings(command=("sh", "-c", f"echo deployed >> {log}"))
    )
    async with world.daemon() as person:
        issue = world.start()
        await world.until_column(issue, "In Review")
        await answered(world, person, issue, "Approved", "In Review")
        await answered(world, person, issue, "Rejected", "In Review")
        alice.move(issue, "Approved")
        await world.until_column(issue, "Awaiting Deploy")
        await answered(world, person, issue, "Confirm Deploy", "Awaiting Deploy")
        assert not log.exists()
        alice.move(issue, "Confirm Deploy")
        await world.until_column(issue, "Done")
    assert log.read_text(encoding="utf-8") == "deployed\n"


# ------------------------------------------------------------------------------------------------ relaunches


async def test_to_analyse_takes_a_task_on_whose_questions_were_answered(world: World) -> None:
    asks = {"artefacts": {"questions.md": "- In which language?\n"}}
    world.script("SHOP-1", "analyst", asks, {"artefacts": {"01-brd.md": "# What\n", "02-acceptance.md": "- [ ] It\n"}})
    async with world.daemon() as person:
        issue = world.start()
        await world.until_column(issue, "Needs Input")
        world.carol.comment(issue, "<p>In English.</p>")
        world.carol.move(issue, "To Analyse")
        await world.until_column(issue, "In Review")
        assert await world.roles(person) == ["analyst", "analyst"]
