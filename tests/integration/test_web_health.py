"""What the daemon itself is like, over HTTP: readiness, notices, metrics, and work that is refused for a while."""

from dataclasses import replace
from pathlib import Path

import pytest

from orch.core.errors import StoreError
from orch.core.messages import Answer, LiftPause, Verb
from orch.core.model import Account, AccountPause, Outcome, Project, Registry, RoleSettings
from orch.core.room import Resource, Shortage
from orch.core.stages import Role
from orch.core.vitals import Vitals
from tests.builders import make_limits, make_new_job
from tests.integration.web_world import NOW, SHOP, running

DISK = Shortage(resource=Resource.DISK, free_mb=10, floor_mb=200)


async def test_a_notice_is_shown_and_leaves_the_daemon_ready(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.client() as client:
        world.control.state = Vitals(notices={"configuration": "the last good configuration is in force: x"})
        reply = await client.get("/readyz")
        assert (reply.status_code, reply.json()["ready"]) == (200, True)
        assert reply.json()["notices"] == {"configuration": "the last good configuration is in force: x"}


async def test_what_is_not_ready_is_named(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.client() as client:
        world.control.missing = {"store": "its disk is full"}
        reply = await client.get("/readyz")
        assert (reply.status_code, reply.json()["not_ready"]) == (503, {"store": "its disk is full"})


async def test_crashes_and_readings_of_the_configuration_are_counted_in_the_metrics(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.client() as client:
        world.control.state = Vitals(crashes={"task": 3, "outbox": 1}, reloads={"refused": 2}, notices={"configuration": "x"})
        world.control.missing = {"repo-shop": "RuntimeError"}
        lines = (await client.get("/metrics")).text.splitlines()
        for line in (
            'orch_actor_crashes_total{actor_kind="task"} 3.0',
            'orch_actor_crashes_total{actor_kind="outbox"} 1.0',
            'orch_config_reloads_total{result="refused"} 2.0',
            'orch_notices{component="configuration"} 1.0',
            'orch_not_ready{component="repo-shop"} 1.0',
        ):
            assert line in lines
        world.control.missing = {}
        assert "orch_not_ready{" not in (await client.get("/metrics")).text


@pytest.mark.parametrize(
    "answer",
    [Answer(verb=Verb.UNAVAILABLE, text="No new work is taken on now."), StoreError("full")],
    ids=["no room", "no store"],
)
async def test_work_that_cannot_be_taken_on_now_is_a_503_that_says_when_to_come_back(
    tmp_path: Path, answer: Answer | Exception
) -> None:
    async with running(tmp_path) as world, world.client() as client:
        world.control.answers = [answer]
        reply = await client.post("/board/issues", json={"title": "Add a greeting", "body": "It shall greet whoever comes."})
        assert reply.status_code == 503
        assert reply.headers["content-type"] == "application/problem+json"
        assert int(reply.headers["retry-after"]) > 0


async def test_paused_accounts_and_shortages_are_in_the_agents_block_and_in_the_why(tmp_path: Path) -> None:
    roles = dict.fromkeys(Role, RoleSettings(agent="claude"))
    registry = Registry(limits=make_limits(), projects={SHOP: Project(name=SHOP, prefix="SHOP", repo="shop", roles=roles)})
    async with running(tmp_path, registry=lambda: registry) as world, world.client() as client:
        pause = AccountPause(cause=Outcome.RATE_LIMITED, since=NOW, until=NOW.replace(hour=15), detail="limit <b>reached</b>")

        def arrange(tx) -> None:  # type: ignore[no-untyped-def]
            tx.save_account(Account(name="claude", pause=pause))
            task = replace(tx.find_task("SHOP-2"), park=None)
            tx.save_task(task)
            tx.add_job(make_new_job(task, role=Role.DEVELOPER, at=NOW))

        await world.store.transact(arrange)
        world.control.state = Vitals(shortages=(DISK,))
        block = (await client.get("/queue")).json()["agents"]
        assert block["accounts"] == [
            {
                "name": "claude",
                "paused": True,
                "cause": "rate_limited",
                "since": "2026-05-04T12:00:00+00:00",
                "until": "2026-05-04T15:00:00+00:00",
                "renewals": 0,
                "trial": None,
                "detail": block["accounts"][0]["detail"],
            }
        ]
        assert block["shortages"] == [{"resource": "disk", "free_mb": 10, "floor_mb": 200}]
        for path in ("/tasks/SHOP-2/why", "/tasks/SHOP-2"):
            told = (await client.get(path)).json()
            told = told.get("why") or told["waiting"]
            assert "Runs of account claude are paused" in told
            assert "Only 10 MB of disk are free" in told


async def test_a_person_lifts_a_pause_with_the_token_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as world, world.client() as client, world.client(token=False) as stranger:
        assert (await stranger.post("/accounts/claude/lift", json={})).status_code == 401
        reply = await client.post("/accounts/claude/lift", json={"by": "Anna"})
        assert reply.status_code == 200
        assert world.control.asked == [LiftPause(account="claude", by="api:Anna")]
