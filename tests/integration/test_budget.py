"""Money over HTTP and on the command line: what is shown, what a change sends, what is refused, what is counted."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from orch.adapters.http import connect_api
from orch.core.ids import IssueId
from orch.core.messages import Answer, SetBudget, Verb
from orch.core.model import Limits, Outcome, Project, Registry, RunKind, Usage
from orch.core.stages import Role
from orch.ports import Tx
from orch.web.server import write_daemon_file
from tests.builders import make_new_job, make_new_task
from tests.integration.test_cli_commands import Cli
from tests.integration.web_world import NOW, SHOP, TOKEN, World, running

RUNNING_USD = 0.25
"""What the world's own running agent has told so far."""
LIMITED = Limits(budget_task_usd=5.0, budget_day_usd=20.0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    registry = Registry(limits=LIMITED, projects={SHOP: Project(name=SHOP, prefix="SHOP", repo="shop")})
    async with running(tmp_path, registry=lambda: registry) as made:
        write_daemon_file(tmp_path, made.url)
        (tmp_path / "token").write_text(TOKEN + "\n")
        yield made


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(lambda data_dir, url: connect_api(data_dir or tmp_path, url))


async def spend(world: World, number: int, *usd: float, days_ago: int = 0) -> None:
    """Make a task in analysis whose runs cost that much, each a day after the one before."""

    def work(tx: Tx) -> None:
        task = tx.insert_task(make_new_task(number, project=SHOP, prefix="SHOP", sequence=number, issue=IssueId(f"I-{number}")))
        assert task is not None
        job = tx.add_job(make_new_job(task))
        assert job is not None
        for index, cost in enumerate(usd):
            at = NOW - timedelta(days=days_ago - index)
            run = tx.start_run(task, kind=RunKind.AGENT, job=job.id, role=Role.ANALYST, at=at)
            usage = Usage(input=10, output=5, cache_read=100, cache_creation=1)
            ended = replace(run, outcome=Outcome.SUCCEEDED, cost_usd=cost, usage=usage, model="claude-opus-4-1-20250805")
            assert tx.save_run(replace(ended, ended_at=at + timedelta(seconds=30)))

    await world.store.transact(work)


async def get(world: World, path: str, status: int = 200) -> Any:
    async with world.client() as client:
        reply = await client.get(path)
    assert reply.status_code == status, reply.text
    return reply.json()


async def test_spend_tells_each_day_newest_first_and_how_the_present_one_stands(world: World) -> None:
    await spend(world, 91, 0.5, 1.25, days_ago=2)
    told = await get(world, "/spend?days=3")
    figures = {"tokens_in": 111, "tokens_cached": 100, "tokens_out": 5, "seconds": 30.0, "runs": 1}
    common = {"project": "shop", "stage": "analysis", "model": "opus-4.1", **figures}
    assert told["days"][1:] == [
        {"day": "2026-05-03", "cost_usd": 1.25, **common},
        {"day": "2026-05-02", "cost_usd": 0.5, **common},
    ]
    assert told["days"][0]["cost_usd"] == RUNNING_USD, "what a run that goes on has told counts"
    assert told["today"] == {"day": "2026-05-04", "day_usd": 20.0, "spent_usd": RUNNING_USD, "open": True}
    assert [row["day"] for row in (await get(world, "/spend?days=1"))["days"]] == ["2026-05-04"]


@pytest.mark.parametrize("days", ["0", "-1", "x", "1e3", ""])
async def test_days_that_are_no_number_are_refused(world: World, days: str) -> None:
    await get(world, f"/spend?days={days}", 422)


async def test_a_task_shows_its_stages_totals_and_budget_alone_and_in_the_list(world: World) -> None:
    await spend(world, 92, 0.5, 5.0)
    task = await get(world, "/tasks/SHOP-92")
    assert task["budget"] == {"task_usd": 5.0, "spent_usd": 5.5, "asked": False}
    assert [line["stage"] for line in task["stages"]][:2] == ["analysis", "architecture"]
    assert (task["stages"][0]["cost_usd"], task["stages"][0]["runs"], task["stages"][0]["models"]) == (5.5, 2, ["opus-4.1"])
    assert (task["totals"]["cost_usd"], task["totals"]["tokens_in"], task["totals"]["agents_s"]) == (5.5, 222, 60.0)
    listed = next(each for each in (await get(world, "/tasks"))["tasks"] if each["id"] == "SHOP-92")
    assert {key: listed[key] for key in ("stages", "totals", "budget")} == {
        key: task[key] for key in ("stages", "totals", "budget")
    }


async def test_the_queue_tells_whose_money_is_how_far_gone(world: World) -> None:
    await spend(world, 93, 19.0)
    block = (await get(world, "/queue"))["budget"]
    assert block["enabled"] is True
    assert (block["day"]["open"], block["day"]["spent_usd"], block["day"]["limit_usd"]) == (True, 19.0 + RUNNING_USD, 20.0)
    assert block["day"]["resets_at"] == "2026-05-05T00:00:00+00:00"
    assert {"id": "SHOP-93", "limit_usd": 5.0, "spent_usd": 19.0, "asked": False} in block["tasks"]
    await spend(world, 94, 1.0)
    assert (await get(world, "/queue"))["budget"]["day"]["open"] is False
    assert "orch budget --raise USD" in (await get(world, "/tasks/SHOP-94/why"))["why"]


POSTS = [
    ("/budget", {"raise_usd": 5, "by": "ann"}, SetBudget(task="", by="api:ann", raise_usd=5.0)),
    ("/budget", {"lift": True}, SetBudget(task="", by="api", lift=True)),
    (
        "/tasks/SHOP-1/budget",
        {"raise_usd": 2.5, "shown_usd": 5.0},
        SetBudget(task="SHOP-1", by="api", raise_usd=2.5, shown_usd=5.0),
    ),
]


@pytest.mark.parametrize(("path", "body", "command"), POSTS)
async def test_a_change_is_handed_to_the_actors(world: World, path: str, body: dict[str, Any], command: SetBudget) -> None:
    async with world.client() as client:
        assert (await client.post(path, json=body)).status_code == 200
    assert world.control.asked == [command]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"raise_usd": 5, "lift": True},
        {"raise_usd": 0},
        {"raise_usd": -1},
        {"raise_usd": 1e9},
        {"raise_usd": "5"},
        {"lift": False},
    ],
)
async def test_a_change_that_says_nothing_clear_is_refused(world: World, body: dict[str, Any]) -> None:
    async with world.client() as client:
        for path in ("/budget", "/tasks/SHOP-1/budget"):
            assert (await client.post(path, json=body)).status_code == 422, body
    assert world.control.asked == []


async def test_a_number_that_is_none_is_refused(world: World) -> None:
    async with world.client() as client:
        for text in ('{"raise_usd": NaN}', '{"raise_usd": Infinity}'):
            reply = await client.post("/budget", content=text, headers={"Content-Type": "application/json"})
            assert reply.status_code in (400, 422)


async def test_changing_a_budget_needs_the_token(world: World) -> None:
    async with world.client(token=False) as client:
        assert (await client.post("/budget", json={"lift": True})).status_code in (401, 403)


async def test_metrics_count_money_runs_and_tokens_by_project_and_stage(world: World) -> None:
    await spend(world, 95, 0.5, 1.25, days_ago=1)
    async with world.client() as client:
        text = (await client.get("/metrics")).text
    labels = 'project="shop",stage="analysis"'
    assert f"orch_spend_usd_total{{{labels}}} {1.75 + RUNNING_USD}" in text
    assert f"orch_agent_runs_total{{{labels}}} 3.0" in text
    assert f'orch_tokens_total{{kind="cache_read",{labels}}} 10200.0' in text
    assert f"orch_spend_today_usd {1.25 + RUNNING_USD}" in text
    assert "orch_budget_today_usd 20.0" in text


# ------------------------------------------------------------------------------------------------ the command line


async def run(cli: Cli, *words: str) -> Any:
    return await anyio.to_thread.run_sync(lambda: cli.run(*words))


async def test_budget_without_a_change_shows(world: World, cli: Cli) -> None:
    await spend(world, 96, 4.5)
    shown = await run(cli, "budget")
    assert shown.exit_code == 0
    assert "today (UTC): $4.75 of $20.00" in shown.stdout
    assert "SHOP-96: $4.50 of $5.00" in shown.stdout
    one = await run(cli, "budget", "SHOP-96", "--json")
    assert json.loads(one.stdout) == {"task_usd": 5.0, "spent_usd": 4.5, "asked": False}
    assert world.control.asked == []


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("SHOP-1", "--raise", "5"), {"task": "SHOP-1", "raise_usd": 5.0}),
        (("SHOP-1", "--lift"), {"task": "SHOP-1", "lift": True}),
        (("--raise", "2.5"), {"task": "", "raise_usd": 2.5}),
        (("--lift",), {"task": "", "lift": True}),
    ],
)
async def test_a_change_is_one_request_and_its_answer_is_printed(
    world: World, cli: Cli, words: tuple[str, ...], command: dict[str, Any]
) -> None:
    world.control.answers = [Answer(verb=Verb.DONE, text="It may cost more.")]
    done = await run(cli, "budget", *words)
    assert (done.exit_code, done.stdout.strip()) == (0, "It may cost more.")
    [asked] = world.control.asked
    assert isinstance(asked, SetBudget)
    assert asked == SetBudget(by=asked.by, **command)


@pytest.mark.parametrize("words", [("--raise", "0"), ("--raise", "nan"), ("--raise", "5", "--lift"), ("--raise", "many")])
async def test_a_change_that_cannot_be_is_a_usage_error(world: World, cli: Cli, words: tuple[str, ...]) -> None:
    assert (await run(cli, "budget", *words)).exit_code == 2
    assert world.control.asked == []


async def test_a_refusal_is_told_and_fails(world: World, cli: Cli) -> None:
    world.control.answers = [Answer(verb=Verb.REFUSED, text="raise it by more")]
    refused = await run(cli, "budget", "SHOP-1", "--raise", "1")
    assert refused.exit_code == 1
    assert "raise it by more" in refused.output
