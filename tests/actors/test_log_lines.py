"""What the log says of the line: who, where, which attempt, what was done, what came of it."""

from collections.abc import Mapping
from typing import Any

from structlog.testing import capture_logs

from orch.core.messages import Decision
from orch.core.model import Awaiting
from orch.core.stages import Stage
from tests.fakes.line import line, tx_task

KEYS = {"repo", "task", "attempt", "action", "outcome"}


def told(logs: list[Any], event: str) -> list[Mapping[str, Any]]:
    return [each for each in logs if each["event"] == event]


async def test_run_and_every_move_say_repo_task_attempt_action_and_outcome() -> None:
    with capture_logs() as logs:
        async with line() as it:
            name = await it.start()
            await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
            await it.approve(name)
            await it.until_stage(name, Stage.DONE)
    for event in ("run ended", "moved"):
        assert told(logs, event), event
        assert all(each.keys() >= KEYS and (each["repo"], each["task"]) == ("demo", name) for each in told(logs, event)), event
    assert {each["outcome"] for each in told(logs, "run ended")} == {"succeeded"}
    order = list(dict.fromkeys(each["outcome"] for each in told(logs, "moved")))
    assert order[-5:] == ["review", "testing", "deploy-staging", "deploy", "done"]
    landed = told(logs, "landed")
    assert [(each["repo"], each["action"], each["outcome"]) for each in landed] == [("demo", "land", "landed")]


async def test_a_stop_is_said_with_who_asked() -> None:
    with capture_logs() as logs:
        async with line() as it:
            name = await it.start()
            await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
            row = (await it.task(name)).row
            await it.decide(name, Decision.STOP)
            await it.until(lambda tx: (task := tx.load_task(row)) is not None and task.stage is Stage.CANCELLED)
    last = told(logs, "moved")[-1]
    assert last["outcome"] == "cancelled"
    assert last["repo"] == "demo"
    assert last["by"]
