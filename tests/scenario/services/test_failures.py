"""What fails on the way, and what then: services that do not answer, webhooks that do not come, people who push."""

import hmac
from hashlib import sha256
from pathlib import Path

import anyio
import anyio.to_thread
import httpx  # noqa: TID251 - this is the other side
import pytest

from orch.rehearsal.gitea import Cut
from orch.rehearsal.gitea import Refused as GiteaRefused
from orch.rehearsal.plane import Refused as PlaneRefused
from tests.scenario.services.world import PLANE_SECRET, World, services

PATIENCE_S = 100.0
"""A service that was away is asked every 30 seconds."""


async def approved(world: World) -> str:
    issue = world.start()
    await world.until_column(issue, "In Review")
    world.carol.move(issue, "Approved")
    return issue


def landed_once(world: World) -> None:
    assert "CHANGES-SHOP-1.md" in world.main()
    [pull] = world.gitea.repo.pulls.values()
    assert pull.merged
    assert world.branches() == []


def every_comment_once(world: World, issue: str) -> None:
    said = [comment.html for comment in world.comments(issue)]
    assert len(said) == len(set(said)), said
    roles = ("analyst", "architect", "developer", "reviewer", "tester")
    assert [len(world.said(issue, role)) for role in roles] == [3, 2, 2, 2, 2]


# ------------------------------------------------------------------------------------------------ services


@pytest.mark.usefixtures("soon_again")
async def test_while_plane_is_away_the_line_goes_on_and_then_every_comment_is_there_once(world: World) -> None:
    async with world.daemon() as person:
        issue = await approved(world)
        await person.until_stage("SHOP-1", "architecture")
        await world.plane.go_down()
        await person.until_stage("SHOP-1", "done", within_s=PATIENCE_S)
        assert world.column(issue) != "Done"
        await world.plane.come_back()
        await world.until_column(issue, "Done", within_s=PATIENCE_S)
        await world.settle(person)
    landed_once(world)
    every_comment_once(world, issue)


async def test_while_gitea_is_away_nothing_is_lost_and_nothing_is_charged(world: World) -> None:
    world.script("SHOP-1", "developer", {"files": {"CHANGES-SHOP-1.md": "- it\n"}, "sleep_s": 2})
    async with world.daemon() as person:
        issue = await approved(world)
        await person.until("SHOP-1", lambda it: it["stage"] == "development" and it["run_count"] == 3)
        await world.gitea.go_down()
        log = world.data / "runs" / "3" / "output.log"
        await world.until(lambda: log.exists() and '"result"' in log.read_text(), "the end of the developer's run")
        await world.gitea.come_back()
        await world.until_column(issue, "Done", within_s=PATIENCE_S)
        await world.settle(person)
        assert (await world.roles(person)).count("developer") == 1
    landed_once(world)


@pytest.mark.usefixtures("soon_again")
async def test_lost_answers_garbage_and_limits_change_nothing_in_the_end(world: World) -> None:
    plane, gitea = world.plane.faults, world.gitea.faults
    async with world.daemon() as person:
        plane.fail_next("items.patch", PlaneRefused(429, {"error_code": 5900}, {"Retry-After": "1"}))
        plane.fail_next("activities.list", PlaneRefused(200, "<html>a proxy's page</html>"))
        plane.fail_after("comments.post", PlaneRefused(502, "<html>bad gateway</html>"))
        plane.fail_after("items.patch", PlaneRefused(500, {"error": "Something went wrong please try again later"}))
        gitea.fail_after("pulls.create", GiteaRefused(500, {"message": "internal"}))
        gitea.fail_next("pulls.merge", GiteaRefused(405, {"message": "Please try again later"}))
        gitea.fail_next("statuses.combined", Cut())
        gitea.fail_next("comments.create", GiteaRefused(503, "upstream"))
        issue = await approved(world)
        await world.until_column(issue, "Done", within_s=PATIENCE_S)
        await world.settle(person)
    landed_once(world)
    every_comment_once(world, issue)
    plane.assert_used()
    gitea.assert_used()


# ------------------------------------------------------------------------------------------------ webhooks


@pytest.mark.parametrize(("loss", "doubling"), [(1.0, 0.0), (0.3, 0.5)], ids=["none comes", "some come, some twice"])
async def test_whatever_becomes_of_the_webhooks_the_line_comes_to_its_end(tmp_path: Path, loss: float, doubling: float) -> None:
    storm = services(tmp_path, seed=7, loss=loss, doubling=doubling)
    async with storm as world, world.daemon(reconcile_interval_s=1.0) as person:
        issue = await approved(world)
        await world.until_column(issue, "Done", within_s=PATIENCE_S)
        await world.settle(person)
        assert await world.roles(person) == ["analyst", "architect", "developer", "reviewer", "tester"]
        landed_once(world)
        every_comment_once(world, issue)


async def test_a_webhook_that_somebody_forged_or_played_again_starts_nothing(world: World) -> None:
    async with world.daemon() as person:
        issue = world.start()
        await world.until_column(issue, "In Review")
        await world.settle(person)
        genuine = world.plane.worker.deliveries[0]
        name = "X-Plane-Signature"
        forged = hmac.new(b"a guess", genuine.body, sha256).hexdigest()
        right = hmac.new(PLANE_SECRET.encode(), genuine.body, sha256).hexdigest()
        async with httpx.AsyncClient(trust_env=False) as client:
            for body, signature, status in (
                (genuine.body, forged, 401),
                (genuine.body + b" ", right, 401),
                (genuine.body, "", 401),
                (genuine.body, right, 200),
            ):
                answer = await client.post(
                    f"{world.url}/webhook/plane", content=body, headers={**genuine.headers, name: signature}
                )
                assert answer.status_code == status
        await world.settle(person)
        assert len((await person.task("SHOP-1"))["runs"]) == 1
        assert world.column(issue) == "In Review"


async def test_what_happened_while_the_daemon_was_away_is_found_when_it_is_back(world: World) -> None:
    async with world.daemon() as person:
        issue = world.start()
        await world.until_column(issue, "In Review")
        await world.settle(person)
    world.plane.worker.webhooks.clear()
    world.carol.move(issue, "Approved")
    other = world.start("Greet the moon")
    async with world.daemon(hooks=False, reconcile_interval_s=1.0):
        await world.until_column(other, "In Review")
        await world.until_column(issue, "Done", within_s=PATIENCE_S)


# ------------------------------------------------------------------------------------------------ people who push


async def test_somebody_pushes_main_in_the_middle_of_a_landing_and_the_train_plans_again(world: World) -> None:
    async with world.daemon() as person:
        issue = await approved(world)
        await person.until("SHOP-1", lambda it: it["awaiting"] == "landing")
        gate = world.gitea.faults.hold_next("git.receive-pack.refs")
        with anyio.fail_after(PATIENCE_S):
            await gate.reached.wait()
        theirs = await anyio.to_thread.run_sync(world.anna.push, "main", {"app/theirs": "x\n"}, "a fix by hand")
        gate.open()
        await world.until_column(issue, "Done", within_s=PATIENCE_S)
        landed = (await person.task("SHOP-1"))["landed"]
    git = world.gitea.repo.git
    assert git.is_ancestor(theirs, landed)
    assert {"app/theirs", "CHANGES-SHOP-1.md"} <= set(world.main())
    landed_once(world)


async def test_somebody_deletes_the_tasks_branch_and_it_is_there_again_before_it_lands(world: World) -> None:
    world.ci = None
    async with world.daemon(reconcile_interval_s=1.0) as person:
        issue = await approved(world)
        await person.until("SHOP-1", lambda it: it["stage"] == "development" and it["awaiting"] == "gate")
        await world.settle(person)
        [branch] = world.branches()
        head = world.anna.tip(branch)
        world.anna.delete_branch(branch)
        world.anna.set_status(head, "success")
        for _ in range(4):  # the forge closed the pull request with its branch: each of them may be asked about, in any order
            task = await person.until("SHOP-1", lambda it: it["stage"] == "done" or bool(it["parked"]), within_s=PATIENCE_S)
            if task["stage"] == "done":
                break
            assert task["parked"]["reason"] in ("pull-request-closed", "branch-forced"), task["parked"]
            await person.decide("SHOP-1", "resume")
        assert task["stage"] == "done", task["parked"]
        await world.until_column(issue, "Done")


async def test_somebody_forces_the_tasks_branch_to_other_commits_and_the_task_asks(world: World) -> None:
    world.ci = None
    async with world.daemon() as person:
        issue = await approved(world)
        await person.until("SHOP-1", lambda it: it["stage"] == "development" and it["awaiting"] == "gate")
        await world.settle(person)
        [branch] = world.branches()
        world.anna.push(branch, {"app/theirs": "x\n"}, "quite another history", onto=world.tip(), force=True)
        task = await person.until_parked("SHOP-1")
        await world.until_column(issue, "Blocked")
    assert task["parked"]["reason"] == "branch-forced", task["parked"]
