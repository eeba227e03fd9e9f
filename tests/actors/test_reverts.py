"""Taking back what has landed: one card and one task for it, a fix, however often it is asked and whatever dies in between."""

from dataclasses import replace

import pytest

from orch.core.decide_revert import revert_key
from orch.core.errors import PermanentError, TransientError
from orch.core.ids import IssueId, Sha
from orch.core.messages import Answer, Decision, RevertTask, Verb
from orch.core.model import (
    Awaiting,
    Candidate,
    Freeze,
    FreezeCause,
    IntentKind,
    IntentState,
    LandStyle,
    Member,
    Task,
)
from orch.core.stages import Role, Stage
from orch.ports import Tx
from tests.builders import DEMO, add_task, make_project, sha
from tests.fakes.agents import Step
from tests.fakes.line import Ground, Line, line, running, tx_task

TITLE = "Add a greeting"


async def landed(it: Line, *, members: int = 1, **fields: object) -> Task:
    """A task that has landed as the last of *members*, each with a commit of its own."""
    issue = await it.add(TITLE)
    task = await add_task(
        it.g.store, 1, issue=issue, title=TITLE, stage=Stage.DONE, landed=sha(members), deployed=True, swept=True, **fields
    )
    others = [await add_task(it.g.store, number) for number in range(2, members + 1)]
    row = [*others, task]

    def work(tx: Tx) -> None:
        candidate = Candidate(
            project=DEMO,
            base=sha("b"),
            sha=sha(members),
            tree=sha("d"),
            members=tuple(Member(task=each.row, head=sha("e")) for each in row),
            landed={each.row: sha(number) for number, each in enumerate(row, start=1)},
        )
        intent = tx.add_intent(IntentKind.LAND, tx.take_lease(DEMO, "test"), candidate=candidate, task=None, at=it.g.clock.now())
        tx.end_intent(intent.id, IntentState.DONE)
        for other in others:
            tx.save_task(replace(other, stage=Stage.CANCELLED, swept=True))

    await it.write(work)
    return task


async def revert(it: Line, task: Task | str) -> Answer:
    return await it.ask(RevertTask(task=task if isinstance(task, str) else task.work_item, by="anna"))


async def test_a_revert_is_a_card_and_a_fix_of_its_own_that_names_the_commits() -> None:
    async with line() as it:
        task = await landed(it)
        answer = await revert(it, task)
        assert (answer.verb, answer.id) == (Verb.DONE, "DEMO-2")
        fix = await it.task("DEMO-2")
        assert (fix.title, fix.exempt) == (f"Revert DEMO-1: {TITLE}", True)
        assert f"git log {sha('b')}..{sha(1)}" in fix.description
        assert [(each.cause, each.by) for each in await it.history("DEMO-2")][:2] == [("started", "anna"), ("fix", "anna")]
        assert [(each.cause, each.detail, each.by) for each in await it.history("DEMO-1")][-1:] == [
            ("reverting", "DEMO-2 takes it back", "anna")
        ]
        await it.until(lambda tx: tx_task(tx, "DEMO-2").awaiting is Awaiting.APPROVAL)
        await it.settle(5)
        assert any("DEMO" in comment.text and "takes this back" in comment.text for comment in await it.comments("DEMO-1"))
        assert await it.column("DEMO-2") == "in_review"


async def test_only_what_is_its_own_is_named_where_several_landed_together() -> None:
    async with line() as it:
        task = await landed(it, members=3)
        answer = await revert(it, task)
        fix = await it.task(answer.id)
        assert f"git log {sha(2)}..{sha(3)}" in fix.description


@pytest.mark.parametrize(
    ("style", "words"),
    [(LandStyle.REBASE, f"git log {sha('b')}..{sha(1)}"), (LandStyle.MERGE, f"git revert -m 1 {sha(1)}")],
)
async def test_the_card_says_how_it_came_to_main(style: LandStyle, words: str) -> None:
    async with line(make_project(land_style=style)) as it:
        fix = await it.task((await revert(it, await landed(it))).id)
        assert words in fix.description


async def test_what_somebody_else_merged_is_named_as_far_as_it_is_known() -> None:
    async with line() as it:
        issue = await it.add(TITLE)
        task = await add_task(it.g.store, 1, issue=issue, stage=Stage.DONE, landed=Sha(sha("f")), swept=True)
        fix = await it.task((await revert(it, task)).id)
        assert f"at commit {sha('f')}" in fix.description


async def test_what_has_not_landed_is_not_taken_back_and_the_one_sentence_says_so() -> None:
    async with line() as it:
        name = await it.start()
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        answer = await revert(it, name)
        assert (answer.verb, "has not landed" in answer.text) == (Verb.REFUSED, True)
        assert (await revert(it, "DEMO-9")).verb is Verb.UNKNOWN
        assert len(await it.read(lambda tx: tx.list_issues())) == 1


async def test_asked_for_again_the_one_that_is_there_is_named() -> None:
    async with line() as it:
        task = await landed(it)
        first = await revert(it, task)
        again = await revert(it, task)
        assert (again.verb, again.id) == (Verb.NOTHING, first.id)
        await it.write(lambda tx: tx.save_task(replace(tx_task(tx, first.id), stage=Stage.DONE)))
        done = await revert(it, task)
        assert (done.verb, "has taken DEMO-1 back" in done.text) == (Verb.NOTHING, True)
        assert len(await it.read(lambda tx: tx.list_tasks())) == 2
        assert len(await it.read(lambda tx: tx.list_issues())) == 2


async def test_a_revert_that_was_stopped_can_be_begun_again_on_its_card() -> None:
    async with line() as it:
        task = await landed(it)
        first = await revert(it, task)
        await it.until(lambda tx: tx_task(tx, first.id).awaiting is Awaiting.APPROVAL)
        await it.decide(first.id, Decision.STOP)
        await it.settle(30)
        again = await revert(it, task)
        assert (again.verb, again.id) == (Verb.DONE, first.id)
        assert len(await it.read(lambda tx: tx.list_issues())) == 2


@pytest.mark.parametrize("error", [TransientError("board", "create", "502"), PermanentError("board", "create", "no")])
async def test_a_board_that_makes_no_card_is_said_and_nothing_starts_later(error: Exception) -> None:
    async with line() as it:
        task = await landed(it)
        it.faults.fail_next("board.create_issue", error)
        answer = await revert(it, task)
        assert (answer.verb, str(error) in answer.text) == (Verb.UNAVAILABLE, True)
        await it.settle(300)
        assert len(await it.read(lambda tx: tx.list_tasks())) == 1


async def test_G10_a_death_between_card_and_task_leaves_one_card_that_the_next_wish_finds() -> None:
    async with Ground() as ground:
        async with running(ground) as it:
            task = await landed(it)
            key = revert_key(task)
            card = await ground.boards[DEMO].create_issue(title="Revert DEMO-1", text="Take it back, all of it.", key=key)
        async with running(ground) as it:
            await it.settle(60)
            assert len(await it.read(lambda tx: tx.list_tasks())) == 1
            answer = await revert(it, task)
            assert answer.verb is Verb.DONE
            assert (await it.task(answer.id)).issue == card.id


async def test_a_revert_passes_freeze_and_serial_gate() -> None:
    async with line() as it:
        task = await landed(it)
        freeze = Freeze(project=DEMO, cause=FreezeCause.DEPLOY, since=it.g.clock.now(), by="orch")
        await it.write(lambda tx: tx.set_freeze(freeze))
        held = await it.start("Something new")
        answer = await revert(it, task)
        it.agent.script(answer.id, Role.ANALYST, Step())
        await it.until(lambda tx: tx_task(tx, answer.id).awaiting is Awaiting.APPROVAL)
        assert await it.runs(held) == []


async def test_the_title_fits_the_board_however_long_the_old_one_is() -> None:
    async with line() as it:
        issue = await it.add("x" * 200)
        task = await add_task(it.g.store, 1, issue=IssueId(issue), title="x" * 200, stage=Stage.DONE, landed=sha("f"), swept=True)
        answer = await revert(it, task)
        assert answer.verb is Verb.DONE
        assert len((await it.task(answer.id)).title) <= 200
