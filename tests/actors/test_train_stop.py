"""STOP at every step of a landing, for every member: what is told is what git shows.

Two walks over (step, position, what comes after the landing). In the first a step is a failpoint: exactly there the person's STOP
is put into the task's mailbox, and from then on the two race as they do in the daemon. In the second the landing stands still at
a place until the STOP is decided and answered.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from actors import checks, landing, outside, train
from actors.mailbox import OneReply
from orch.core.ids import TaskRow
from orch.core.messages import Answer, Decide, Decision, Verb
from orch.core.model import Candidate, CiSource, DeploySettings, Project, RowState
from orch.core.stages import Stage
from orch.failpoints import NAMES
from orch.ports import Pushed
from orch.rehearsal.faults import Gate
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
    return "\n".join(comment.text for comment in await it.comments(name))


async def check_truth(it: Line, position: int, answer: Answer, *, deploys: bool) -> bool:
    """What the answer, the task and its comments say is what git shows; return whether it is in main."""
    task = await it.read(lambda tx: tx.load_task(TaskRow(position + 1)))
    assert task is not None
    in_main = f"file{position}.py" in it.repository.commits[it.repository.main].files
    assert (task.landed is not None) == in_main
    told = await tell_of(it, f"DEMO-{position + 1}")
    if not in_main:
        assert (answer.verb, task.stage) == (Verb.DONE, Stage.CANCELLED)
        assert "in main at" not in told
    elif deploys:
        assert (task.stage, "in main at" in told) == (Stage.CANCELLED, True)
        assert "in main at" in answer.text or "landing under way" in answer.text
    else:
        assert task.stage is Stage.DONE, "it is done by its landing, and that is the truth"
        assert answer.verb is Verb.NOTHING or "landing under way" in answer.text
    assert await it.outbox(RowState.PENDING) == []
    await audit(it)
    return in_main


@pytest.mark.parametrize("position", range(MEMBERS))
@pytest.mark.parametrize("step", [*BEFORE, *WINDOW, *AFTER])
@pytest.mark.parametrize("project", [NO_CI, DEPLOYED], ids=["no deploy", "deploy"])
async def test_G6_a_STOP_that_races_with_a_step_is_told_the_truth(
    project: Project, step: str, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with line(project, limits=make_limits(test_slots=1)) as it:
        _, answer = await stop_at(it, monkeypatch, step, position)
        in_main = await check_truth(it, position, answer, deploys=project is DEPLOYED)
        assert in_main or step in BEFORE, "from the intent on the window ends with its real result"


STANDING = {
    "before the fetch": "mirror.fetch",
    "before the chain is built": "mirror.build_candidate",
    "while it is tested": "commands.run",
    "intended, not pushed": "mirror.push_candidate",
    "pushed, not recorded": "",
}


@pytest.mark.parametrize("position", range(MEMBERS))
@pytest.mark.parametrize("place", STANDING)
@pytest.mark.parametrize("project", [NO_CI, DEPLOYED], ids=["no deploy", "deploy"])
async def test_G6_a_STOP_that_is_decided_while_the_landing_stands_still_is_told_the_truth(
    project: Project, place: str, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with line(project, limits=make_limits(test_slots=1)) as it:
        names = await enqueue_many(it, MEMBERS)
        gate, push = Gate(), it.mirror.push_candidate

        async def pushed(candidate: Candidate) -> Pushed:
            done = await push(candidate)
            gate.reached.set()
            await gate.opened.wait()
            return done

        if STANDING[place]:
            gate = it.faults.hold_next(STANDING[place])
        else:
            monkeypatch.setattr(it.mirror, "push_candidate", pushed)
        hint(it)
        await gate.reached.wait()
        answer = await it.decide(names[position], Decision.STOP)
        gate.open()
        others = [name for name in names if name != names[position]]
        await it.until(lambda tx: all(tx_task(tx, name).landed is not None for name in others))
        await it.settle(120)
        in_main = await check_truth(it, position, answer, deploys=project is DEPLOYED)
        assert in_main == ("pushed" in place)
