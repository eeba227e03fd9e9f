"""STOP at every step of a landing, for every member: what is told is what git shows.

One walk over (step, position, what comes after the landing). A step is a failpoint: exactly there the person's STOP is put into
the task's mailbox, and from then on the two race as they do in the daemon.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from actors import checks, landing, outside, train
from actors.mailbox import OneReply
from orch.core.ids import TaskRow
from orch.core.messages import Answer, Decide, Decision, Verb
from orch.core.model import CiSource, DeploySettings, RowState
from orch.core.stages import Stage
from orch.failpoints import NAMES
from tests.builders import make_limits, make_project
from tests.fakes.line import Line, line, tx_task
from tests.fakes.train import audit, enqueue_many, hint

NO_CI = make_project(ci=CiSource.OFF)
DEPLOYED = replace(NO_CI, deploy=DeploySettings(command=("deploy",)))
MODULES = (checks, landing, outside, train)
BEFORE = ("landing.fetched", "landing.planned", "check.begun", "landing.tested", "check.recorded", "landing.green")
WINDOW = ("landing.intending", "landing.intended", "main.verified", "landing.recording", "landing.member")
AFTER = ("landing.recorded", "landing.ended")
MEMBERS = 3


def at_step(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], None]) -> list[str]:
    """Let *act* happen the first time that the landing passes *step*; return what was passed, in order."""
    passed: list[str] = []

    def hit(name: str) -> None:
        assert name in NAMES
        passed.append(name)
        if name == step and passed.count(step) == 1:
            act()

    for module in MODULES:
        monkeypatch.setattr(module, "hit", hit)
    return passed


async def stop_at(it: Line, monkeypatch: pytest.MonkeyPatch, step: str, position: int) -> tuple[list[str], Answer]:
    """Land three tasks, and stop the one at *position* at *step*; return their names and the answer."""
    names = await enqueue_many(it, MEMBERS)
    row: TaskRow = (await it.task(names[position])).row
    reply: OneReply[Answer] = OneReply()
    command = Decide(decision=Decision.STOP, by="anna", reply=reply)
    passed = at_step(monkeypatch, step, lambda: it.supervisor.task(row).tell(command))
    hint(it)
    others = [name for name in names if name != names[position]]
    await it.until(lambda tx: all(tx_task(tx, name).landed is not None for name in others))
    answer = await reply.wait(60, "STOP")
    await it.settle(120)
    assert step in passed
    return names, answer


async def tell_of(it: Line, name: str) -> str:
    return "\n".join(comment.text for comment in await it.comments(name.partition("#")[0]))


@pytest.mark.parametrize("position", range(MEMBERS))
@pytest.mark.parametrize("step", [*BEFORE, *WINDOW, *AFTER])
@pytest.mark.parametrize("project", [NO_CI, DEPLOYED], ids=["no deploy", "deploy"])
async def test_G6_what_is_told_is_what_git_shows(
    project: object, step: str, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with line(project, limits=make_limits(test_slots=1)) as it:  # type: ignore[arg-type]
        names, answer = await stop_at(it, monkeypatch, step, position)
        row = position + 1
        task = await it.read(lambda tx: tx.load_task(TaskRow(row)))
        assert task is not None
        in_main = f"file{position}.py" in it.repository.commits[it.repository.main].files
        assert (task.landed is not None) == in_main
        told = await tell_of(it, names[position])
        if not in_main:
            assert (answer.verb, task.stage) == (Verb.DONE, Stage.CANCELLED)
            assert "in main at" not in told
        elif project is NO_CI:
            assert task.stage is Stage.DONE, "it is done by its landing, and that is the truth"
            assert answer.verb is Verb.NOTHING or "landing under way" in answer.text
        else:
            assert (task.stage, "in main at" in told) == (Stage.CANCELLED, True)
            assert "in main at" in answer.text or "landing under way" in answer.text
        assert in_main or step in BEFORE, "from the intent on the window ends with its real result"
        assert await it.outbox(RowState.PENDING) == []
        await audit(it)
