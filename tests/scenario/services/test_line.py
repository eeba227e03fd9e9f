"""The whole line over HTTP: what people do on Plane, and what Gitea has in the end."""

from tests.scenario.services.world import PUBLIC_GITEA, World


async def test_the_card_moves_to_to_analyse_and_in_the_end_main_on_gitea_has_the_commit(world: World) -> None:
    async with world.daemon() as person:
        issue = world.start("Greet the world")
        await world.until_column(issue, "In Review")
        world.carol.move(issue, "Approved")
        await world.until_column(issue, "Done")
        task = await person.until_stage("SHOP-1", "done")
        await world.settle(person)
    assert world.tip() == task["landed"]
    assert {"CHANGES-SHOP-1.md", "docs/work-items/SHOP-1/01-brd.md"} <= set(world.main())
    [pull] = world.gitea.repo.pulls.values()
    assert (pull.state, pull.merged, pull.merge_commit_sha) == ("closed", True, task["landed"])
    assert world.branches() == []
    said = {role: len(world.said(issue, role)) for role in ("analyst", "architect", "developer", "reviewer", "tester")}
    assert said == {"analyst": 3, "architect": 2, "developer": 2, "reviewer": 2, "tester": 2}
    plan = next(html for html in world.said(issue, "analyst") if "01-brd.md" in html)
    assert f'href="{PUBLIC_GITEA}/team/shop/src/branch/feature/SHOP-1-greet-the-world/docs/work-items/SHOP-1/01-brd.md"' in plan
    assert world.gitea.url not in plan
    assert world.columns_of(issue) == ["Analysis", "In Review", "In Progress", "Code Review", "Testing", "In Progress", "Done"]


async def test_two_cards_at_once_land_one_after_the_other_and_the_second_holds_the_first(world: World) -> None:
    async with world.daemon() as person:
        issues = [world.start("Greet the world"), world.start("Greet the moon")]
        for issue in issues:
            await world.until_column(issue, "In Review")
            world.carol.move(issue, "Approved")
        for issue in issues:
            await world.until_column(issue, "Done", within_s=90)
        await world.settle(person)
    assert {"CHANGES-SHOP-1.md", "CHANGES-SHOP-2.md"} <= set(world.main())
    assert [pull.merged for pull in world.gitea.repo.pulls.values()] == [True, True]
    assert world.branches() == []
