"""A story about money: twenty runs with resumed sessions, crashes, kills and budgets, and every sum is what the agents said."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from typer.testing import CliRunner

from orch.adapters.http import connect_api
from orch.cli.app import build_cli
from orch.cli.options import CliDeps
from orch.core.stages import Role
from tests.scenario.story import Json, Person, Story, kill_hard

AGENT = (Path(__file__).parent / "spending_agent.py").read_text(encoding="utf-8")
PLAN: Mapping[str, list[dict[str, Any]]] = {
    # A session that is resumed twice, a developer who crashes after having told what it cost, a review that sends back.
    "DEMO-1 analyst": [{"usd": 0.125, "end": "turns"}, {"usd": 0.25, "end": "turns", "measured": True}, {"usd": 0.0625}],
    "DEMO-1 architect": [{"usd": 0.1, "live": [0.02, 0.05]}],
    "DEMO-1 developer": [{"live": [0.03, 0.0775], "end": "crash"}, {"usd": 0.2}, {"usd": 0.3}],
    "DEMO-1 reviewer": [{"usd": 0.01, "verdict": "changes_requested"}, {"usd": 0.011}],
    "DEMO-1 tester": [{"usd": 0.004, "end": "turns"}, {"usd": 0.003}],
    # A run that is ended at the task's limit, one whose agent ends itself there, one that dies with the daemon.
    "DEMO-2 analyst": [{"live": [1.5, 2.25], "end": "hang"}, {"usd": 0.5}],
    "DEMO-2 architect": [{"usd": 4.5, "end": "budget"}, {"usd": 0.4}],
    "DEMO-2 developer": [{"live": [0.6], "end": "hang"}, {"usd": 0.7}],
    "DEMO-2 reviewer": [{"usd": 0.02, "measured": True}],
    "DEMO-2 tester": [{"usd": 0.003}],
    # One that is stopped in the middle of its run.
    "DEMO-3 analyst": [{"live": [0.9], "end": "hang"}],
}
RUNS = 20


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path, files={"tools/agent.py": AGENT, "tools/plan.json": json.dumps(PLAN)})


def config(story: Story) -> Path:
    """Write a configuration whose agents cost money and whose tasks may cost two dollars."""
    file = story.folder / "money.toml"
    agent = '{ agent = "command", command = ["/usr/bin/python3", "tools/agent.py"] }'
    lines = ["budget_task_usd = 2.0", "budget_day_usd = 100.0", "[[projects]]"]
    lines += ['name = "demo"', 'prefix = "DEMO"', f'repo = "{story.repo.path}"', 'test_command = ["sh", "check.sh"]']
    lines += [f"roles.{role} = {agent}" for role in Role if role is not Role.STREAM]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def reported(story: Story, run: Json) -> float:
    """Return what a run itself said that it cost, from its log."""
    log = story.data / "runs" / str(run["n"]) / "output.log"
    told = [json.loads(line)["own_usd"] for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    return float(told[-1])


def cost(usd: float):  # type: ignore[no-untyped-def]
    return lambda it: it["cost_usd"] >= usd


def is_asked(it: Json) -> bool:
    return bool(it["parked"]) and it["parked"]["reason"] == "budget"


async def change(person: Person, task: str, body: Json) -> None:
    assert (await person.post(f"/tasks/{task}/budget", {**body, "by": "Anna"}))["id"] == task


async def tell_until_the_kill(person: Person) -> None:
    """The first daemon's part: it ends with DEMO-1 done, DEMO-3 stopped, and DEMO-2's developer at work."""
    first = await person.start("The one with resumed sessions")
    await person.approve(first)
    second = await person.start("The one that costs too much")
    await person.until(second, is_asked)
    third = await person.start("The one that is stopped")
    await person.until(third, cost(0.9))
    await person.decide(third, "stop")
    await person.until_stage(third, "cancelled")
    await change(person, second, {"raise_usd": 5})
    await person.approve(second)
    asked = await person.until(second, lambda it: is_asked(it) and it["stage"] == "architecture")
    assert asked["budget"] == {"task_usd": 7.0, "spent_usd": 7.25, "asked": True}
    await change(person, second, {"lift": True})
    await person.until_stage(first, "done")
    await person.until(second, cost(7.25 + 0.4 + 0.6))


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the agent runs under /usr/bin/python3")
async def test_twenty_runs_cost_what_their_agents_say(story: Story) -> None:
    file = config(story)
    with story.process(config=file) as process:
        person = await story.person_of(process)
        await tell_until_the_kill(person)
        kill_hard(process)
    with story.process(config=file) as process:
        person = await story.person_of(process)
        await person.until_stage("DEMO-2", "done")
        tasks = [await person.task(name) for name in ("DEMO-1", "DEMO-2", "DEMO-3")]
        runs = [run for task in tasks for run in task["runs"] if run["role"] is not None]
        assert len(runs) == RUNS, [(run["role"], run["outcome"]) for run in runs]
        told = {run["n"]: reported(story, run) for run in runs}
        assert {run["n"]: run["cost_usd"] for run in runs} == told, "each run, to the millionth"
        total = round(sum(told.values()), 6)
        for task in tasks:
            own = round(sum(told[run["n"]] for run in task["runs"] if run["role"] is not None), 6)
            assert task["cost_usd"] == task["totals"]["cost_usd"] == task["budget"]["spent_usd"] == own
            assert round(sum(line["cost_usd"] for line in task["stages"]), 6) == own
            tokens = [sum(line[name] for line in task["stages"]) for name in ("tokens_in", "tokens_cached", "tokens_out")]
            assert tokens == [task[name] for name in ("tokens_in", "tokens_cached", "tokens_out")]
        await check_sums(person, story, tasks, total)


async def check_sums(person: Person, story: Story, tasks: list[Json], total: float) -> None:
    """Every other place in which money is shown has the same sum."""
    listed = (await person.get("/tasks"))["tasks"]
    assert round(sum(task["cost_usd"] for task in listed), 6) == total
    spend = await person.get("/spend?days=2")
    assert round(sum(row["cost_usd"] for row in spend["days"]), 6) == total
    assert sum(row["runs"] for row in spend["days"]) == RUNS
    assert {row["model"] for row in spend["days"]} == {"opus-4.1", "haiku-4.1"}
    for name in ("tokens_in", "tokens_out", "tokens_cached"):
        assert sum(row[name] for row in spend["days"]) == sum(task[name] for task in tasks)
    assert (await person.get("/queue"))["budget"]["day"]["limit_usd"] == 100.0
    shown = await anyio.to_thread.run_sync(lambda: status(story))
    assert {task["id"]: task["cost_usd"] for task in shown} == {task["id"]: task["cost_usd"] for task in listed}
    outcomes = [run["outcome"] for run in tasks[1]["runs"] if run["role"] is not None]
    assert outcomes == ["budget_exhausted", "succeeded", "budget_exhausted", "succeeded", "crashed", *["succeeded"] * 3]
    by = {line["cause"]: line["by"] for line in tasks[1]["history"] if line["cause"].startswith("budget-")}
    assert by == {"budget-raised": "api:Anna", "budget-lifted": "api:Anna"}


def status(story: Story) -> list[Json]:
    """Return what ``orch status --json`` prints."""

    def unused(*_: object) -> Any:
        raise AssertionError("only the status is asked for")

    deps = CliDeps(
        serve=unused, demo=unused, doctor=unused, connect=lambda *_: connect_api(story.data), version="9", setup=unused
    )
    result = CliRunner().invoke(build_cli(deps), ["status", "--json"])
    assert result.exit_code == 0, result.output
    shown: list[Json] = json.loads(result.stdout)["tasks"]
    return shown
