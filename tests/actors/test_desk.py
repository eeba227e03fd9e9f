"""The desk: every command that people give, and every kind of answer."""

from typing import Any

import pytest

from orch.core.messages import (
    AddDependency,
    ArchiveIssue,
    CommentIssue,
    CreateIssue,
    DecideTask,
    Decision,
    MoveIssue,
    PersonCommand,
    RemoveDependency,
    Verb,
)
from orch.core.model import Awaiting
from orch.core.stages import Stage
from tests.builders import DEMO, make_project, sha
from tests.fakes.line import BODY, line, tx_task

SHOP = make_project(name="shop", prefix="SHOP")


def decide(**fields: Any) -> DecideTask:
    return DecideTask(**{"task": "DEMO-1", "decision": Decision.APPROVE, "by": "anna", **fields})


def create(**fields: Any) -> CreateIssue:
    return CreateIssue(**{"title": "Add a greeting", "body": BODY, "by": "anna", "project": "demo", **fields})


ANSWERS: dict[str, tuple[PersonCommand, Verb, str]] = {
    "a card is made": (create(), Verb.DONE, "was made"),
    "a card of the only project": (create(project=""), Verb.UNKNOWN, "demo, shop"),
    "a card of a project that is not there": (create(project="nobody"), Verb.UNKNOWN, "demo, shop"),
    "a card without a title": (create(title=" \n "), Verb.INVALID, "title"),
    "a card in a column": (create(status="To Analyse"), Verb.DONE, "was made"),
    "a card in a column that is not there": (create(status="Nirvana"), Verb.INVALID, "no status is called 'Nirvana'"),
    "a move": (MoveIssue(issue="DEMO-1", status="blocked", by="anna"), Verb.DONE, "is in Blocked"),
    "an archived card": (ArchiveIssue(issue="DEMO-1", by="anna"), Verb.DONE, "was archived"),
    "bringing back what is there": (ArchiveIssue(issue="DEMO-1", by="anna", archived=False), Verb.NOTHING, "on the board"),
    "archiving nothing": (ArchiveIssue(issue="DEMO-77", by="anna"), Verb.UNKNOWN, "'DEMO-77'"),
    "a move by the column's name": (
        MoveIssue(issue="demo-1", status=" to ANALYSE", by="anna"),
        Verb.DONE,
        "To Analyse",
    ),
    "a move to where there is nothing": (MoveIssue(issue="DEMO-1", status="", by="anna"), Verb.INVALID, "there are:"),
    "a move of nothing": (MoveIssue(issue="DEMO-77", status="stop", by="anna"), Verb.UNKNOWN, "'DEMO-77'"),
    "a comment": (CommentIssue(issue="DEMO-1", text="Hello", by="anna"), Verb.DONE, "commented"),
    "a comment that says nothing": (CommentIssue(issue="DEMO-1", text=" ", by="anna"), Verb.INVALID, "text"),
    "a comment on nothing": (CommentIssue(issue="X-1", text="Hello", by="anna"), Verb.UNKNOWN, "'X-1'"),
    "a dependency": (AddDependency(issue="DEMO-1", on="DEMO-2", by="anna"), Verb.DONE, "waits for"),
    "a dependency on itself": (AddDependency(issue="DEMO-1", on="DEMO-1", by="anna"), Verb.REFUSED, "DEMO-1 → DEMO-1"),
    "a dependency on nothing": (AddDependency(issue="DEMO-1", on="DEMO-9", by="anna"), Verb.UNKNOWN, "'DEMO-9'"),
    "a dependency of nothing": (AddDependency(issue="DEMO-9", on="DEMO-1", by="anna"), Verb.UNKNOWN, "'DEMO-9'"),
    "a dependency across projects": (AddDependency(issue="DEMO-1", on="SHOP-1", by="anna"), Verb.INVALID, "different projects"),
    "taking back what is not there": (RemoveDependency(issue="DEMO-1", on="DEMO-2", by="anna"), Verb.NOTHING, "did not wait"),
    "taking back from nothing": (RemoveDependency(issue="DEMO-9", on="DEMO-2", by="anna"), Verb.UNKNOWN, "'DEMO-9'"),
    "a decision about nothing": (decide(task="DEMO-77"), Verb.UNKNOWN, "'DEMO-77'"),
    "a decision with no SHA at all": (decide(task="DEMO-3", shown=""), Verb.INVALID, "which SHA"),
    "a decision with half a SHA": (decide(task="DEMO-3", shown="abc"), Verb.INVALID, "'shown'"),
    "a decision about other artefacts": (decide(task="DEMO-3", shown=sha("e")), Verb.REFUSED, "eeeeeee"),
    "a decision that is not awaited": (decide(task="DEMO-3", decision=Decision.CONFIRM_DEPLOY, shown=sha("e")), Verb.REFUSED, ""),
    "a resume of what is not parked": (decide(task="DEMO-3", decision=Decision.RESUME), Verb.REFUSED, "not parked"),
    "a stop": (decide(task="demo-3", decision=Decision.STOP), Verb.DONE, ""),
}


@pytest.mark.parametrize(("command", "verb", "words"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_every_command_has_its_answer(command: PersonCommand, verb: Verb, words: str) -> None:
    async with line(make_project(), SHOP) as it:
        await it.add("A first card")
        await it.add("A second card")
        await it.add("A card elsewhere", project=SHOP.name)
        await it.start("A third card")
        await it.until(lambda tx: tx_task(tx, "DEMO-3").awaiting is Awaiting.APPROVAL)
        answer = await it.ask(command)
        assert answer.verb is verb, answer
        assert words in answer.text


async def test_the_only_project_needs_no_name() -> None:
    async with line() as it:
        assert (await it.ask(create(project=""))).id == "DEMO-1"


async def test_a_cycle_is_refused_naming_it_and_declares_nothing() -> None:
    async with line() as it:
        for title in ("The first", "The second", "The third"):
            await it.add(title)
        for issue, on in (("DEMO-1", "DEMO-2"), ("DEMO-2", "DEMO-3")):
            assert (await it.ask(AddDependency(issue=issue, on=on, by="anna"))).verb is Verb.DONE
        answer = await it.ask(AddDependency(issue="DEMO-3", on="DEMO-1", by="anna"))
        assert answer.verb is Verb.REFUSED
        assert "DEMO-3 → DEMO-1 → DEMO-2 → DEMO-3" in answer.text
        assert await it.read(lambda tx: tx.dependencies(DEMO, "DEMO-3")) == []  # type: ignore[arg-type]


async def test_a_dependency_that_is_taken_back_lets_the_task_go_at_once() -> None:
    async with line() as it:
        first, second = await it.add("The first"), await it.add("The second")
        await it.ask(AddDependency(issue=second, on=first, by="anna"))
        await it.move(second, "to_analyse")
        await it.settle(10)
        assert await it.runs(second) == []
        assert (await it.ask(RemoveDependency(issue=second, on=first, by="anna"))).verb is Verb.DONE
        await it.until(lambda tx: tx_task(tx, second).awaiting is Awaiting.APPROVAL, within_s=5)


async def test_the_first_decision_wins_and_the_second_is_told_so() -> None:
    async with line() as it:
        name = await it.start()
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        shown = (await it.task(name)).shown or ""
        assert (await it.decide(name, Decision.APPROVE, shown=shown)).verb is Verb.DONE
        assert (await it.decide(name, Decision.REJECT, shown=shown, reason="no")).verb is Verb.REFUSED
        assert (await it.task(name)).stage is not Stage.ANALYSIS


async def test_a_disk_that_is_full_is_said_at_once_and_the_command_is_not_carried_out_later() -> None:
    async with line() as it:
        it.g.store.full = True
        answer = await it.ask(create())
        assert answer.verb is Verb.UNAVAILABLE
        assert "try again" in answer.text
        it.g.store.full = False
        await it.settle(120)
        assert await it.read(lambda tx: tx.list_issues()) == []
        assert it.supervisor.ready() == {}


async def test_comments_never_drive_the_line() -> None:
    async with line() as it:
        name = await it.start()
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        before = await it.task(name)
        for text in ("approve", "/approve", "STOP", "@orch deploy"):
            await it.say(name, text)
        await it.settle(60)
        assert await it.task(name) == before
