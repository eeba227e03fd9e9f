"""What stops by itself or is taken away: a webhook that Plane has switched off, a key that was withdrawn, a pull request."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest

from orch.core import reconcile
from tests.scenario.services.test_failures import PATIENCE_S, approved, every_comment_once, landed_once
from tests.scenario.services.world import POLL_S, World
from tests.scenario.story import Person

QUICK: dict[str, Any] = {"reconcile_interval_s": 1.0}


async def polls(person: Person) -> dict[str, Any]:
    return dict((await person.get("/queue"))["reconcile"]["projects"]["shop"])


async def until_polls(person: Person, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until what the daemon says of its polls is so."""
    with anyio.fail_after(PATIENCE_S):
        while not holds(said := await polls(person)):  # noqa: ASYNC110 - it is another program that says so
            await anyio.sleep(POLL_S)
    return said


# ------------------------------------------------------------------------------------------------ webhooks


async def test_R4_a_webhook_that_plane_switched_off_is_noticed_and_the_line_goes_on_by_polling(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "HOOK_LATE", timedelta(seconds=1))
    async with world.daemon(**QUICK) as person:
        issue = world.start()
        await world.until_column(issue, "In Review")
        await world.settle(person)
        assert not (await polls(person))["hook_dead"]
        [webhook] = world.plane.worker.webhooks
        world.plane.worker.inactive.add(webhook.id)
        apart = anyio.current_time() + 1.5  # a hook that came just before the change could be the change's own
        await until_polls(person, lambda _: anyio.current_time() >= apart)
        world.carol.comment(issue, "<p>Does anybody hear me?</p>")
        seen = await until_polls(person, lambda it: bool(it["found"]))
        ripe = anyio.current_time() + 1.0  # from then on a hook is late
        before = await until_polls(person, lambda _: anyio.current_time() >= ripe)
        after = await until_polls(person, lambda it: it["hook_dead"] or it["polls"] > before["polls"] + 2)
        assert after["hook_dead"], (seen, before, after)
        world.carol.move(issue, "Approved")
        await world.until_column(issue, "Done", within_s=PATIENCE_S)
        world.plane.worker.inactive.clear()
        world.carol.comment(issue, "<p>It is on again.</p>")
        await world.settle(person)
        await until_polls(person, lambda it: not it["hook_dead"])
    landed_once(world)


# ------------------------------------------------------------------------------------------------ keys


@pytest.mark.usefixtures("soon_again")
async def test_R4_a_key_that_was_withdrawn_is_said_and_everything_is_caught_up_once_it_is_back(world: World) -> None:
    async with world.daemon(**QUICK) as person:
        issue = await approved(world)
        await person.until_stage("SHOP-1", "architecture")
        keys = dict(world.plane.state.keys)
        world.plane.state.keys.clear()
        await until_polls(person, lambda it: "ORCH_PLANE_TOKEN" in it["error"])
        await person.until_stage("SHOP-1", "done", within_s=PATIENCE_S)
        world.plane.state.keys.update(keys)
        await world.until_column(issue, "Done", within_s=PATIENCE_S)
        await world.settle(person)
    landed_once(world)
    every_comment_once(world, issue)


# ------------------------------------------------------------------------------------------------ pull requests


async def at_its_ci(world: World, person: Person) -> tuple[str, int]:
    """Return the card and the pull request of a task that waits for a CI that is silent."""
    world.ci = None
    issue = await approved(world)
    await person.until("SHOP-1", lambda it: it["stage"] == "development" and it["awaiting"] == "gate" and it["pr"] is not None)
    await world.settle(person)
    [pull] = world.gitea.repo.pulls.values()
    return issue, pull.number


async def test_a_pull_request_that_somebody_closed_asks_and_is_reopened_when_a_person_takes_the_task_on(world: World) -> None:
    async with world.daemon(**QUICK) as person:
        issue, number = await at_its_ci(world, person)
        world.anna.close(number)
        assert (await person.until_parked("SHOP-1"))["parked"]["reason"] == "pull-request-closed"
        await world.until_column(issue, "Blocked")
        [branch] = world.branches()
        world.anna.set_status(world.anna.tip(branch), "success")
        world.ci = lambda _branch: "success"
        await person.decide("SHOP-1", "resume")
        await world.until_column(issue, "Done", within_s=PATIENCE_S)
        await world.settle(person)
    landed_once(world)


@pytest.mark.parametrize("hooks", [True, False], ids=["a hook tells", "a poll finds it"])
async def test_a_pull_request_that_somebody_merged_is_done_with_what_is_in_main(world: World, hooks: bool) -> None:
    async with world.daemon(hooks=hooks, **({} if hooks else QUICK)) as person:
        issue, number = await at_its_ci(world, person)
        merged = world.anna.merge(number)
        task = await person.until_stage("SHOP-1", "done")
        await world.until_column(issue, "Done")
        await world.settle(person)
        assert await world.roles(person) == ["analyst", "architect", "developer"]
    assert world.gitea.repo.git.is_ancestor(task["landed"], world.tip())
    assert world.tip() == merged
    assert "CHANGES-SHOP-1.md" in world.main()
