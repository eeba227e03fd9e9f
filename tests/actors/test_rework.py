"""What a task goes through that could not land, whose card or branch people changed: told through the whole line."""

from dataclasses import replace

from orch.core.ids import IssueId, Sha
from orch.core.messages import ArchiveIssue, BranchMoved, Decision, MergedOutside, PullRequestClosed, Verb
from orch.core.model import ParkReason, PullRequestState
from orch.core.stages import Role, Stage
from tests.builders import DEMO
from tests.fakes.agents import Step, verdict
from tests.fakes.line import Line, line, tx_task

APP = "app.py"


async def at_review(it: Line, *steps: Step) -> str:
    """A task whose reviewer is at work."""
    it.agent.script("DEMO-1", Role.REVIEWER, Step(hang=True), *steps)
    name = await it.start()
    await it.approve(name)
    await it.until_stage(name, Stage.REVIEW)
    await it.settle(2)
    return name


# ------------------------------------------------------------------------------------------------ landing refused


async def test_a_rework_begins_with_main_merged_in_and_lands_what_the_developer_made_of_both() -> None:
    async with line() as it:
        mended = Step(files={APP: "mine and theirs\n"})
        it.agent.script("DEMO-1", Role.DEVELOPER, Step(files={APP: "mine\n"}), Step(), mended)
        gate = it.faults.hold_next("mirror.build_candidate")
        name = await it.start()
        await it.approve(name)
        await gate.reached.wait()
        main = it.repository.push_elsewhere({APP: "theirs\n"})
        await it.settle(5)
        gate.open()
        task = await it.until_stage(name, Stage.DONE)
        first, second, third = it.prompts.of(Role.DEVELOPER)
        assert (first.merged, second.feedback.kind, third.feedback.kind) == (None, "conflict", "gate")
        for context in (second, third):
            assert context.merged is not None
            assert (context.merged.main, context.merged.marked) == (main, (APP,))
        assert "conflict-markers" in third.feedback.text
        assert it.repository.commits[it.repository.main].files[APP] == "mine and theirs\n"
        assert (task.merge_main, task.counters.conflict) == (False, 1)


async def test_a_red_pair_begins_so_too_and_the_developer_reads_the_output_and_the_base() -> None:
    async with line() as it:
        it.commands.rule = lambda files: not (files.get("def") == "new" and files.get("use") == "old")
        it.agent.script("DEMO-1", Role.DEVELOPER, Step(files={"use": "old"}), Step(files={"use": "new"}))
        gate = it.faults.hold_next("mirror.build_candidate")
        name = await it.start()
        await it.approve(name)
        await gate.reached.wait()
        main = it.repository.push_elsewhere({"def": "new"})
        await it.settle(5)
        gate.open()
        await it.until_stage(name, Stage.DONE)
        _, second = it.prompts.of(Role.DEVELOPER)
        assert second.merged is not None
        assert (second.feedback.kind, second.merged.main) == ("land_red", main)
        assert ("FAILED tests" in second.feedback.text, main in second.feedback.text) == (True, True)


# ------------------------------------------------------------------------------------------------ the card


async def test_an_edited_card_reaches_the_next_agent_as_a_diff_and_its_request_file() -> None:
    async with line() as it:
        name = await it.start()
        await it.until(lambda tx: tx_task(tx, name).awaiting == "approval")
        issue = await it.board.fetch_issue(IssueId(name))
        assert issue is not None
        it.board.edited[issue.id] = replace(issue, text="It shall be done in Latin.")
        await it.approve(name)
        await it.say(name, "look again")
        await it.move(name, "backlog")
        await it.until_stage(name, Stage.DONE)
        late = it.prompts.of(Role.TESTER)[0]
        assert late.description == "It shall be done in Latin."
        assert "+It shall be done in Latin." in late.edit
        assert "It shall be done in Latin." in it.workspace.specs[-1].request
        assert [line.cause for line in await it.history(name)].count("card-edited") == 1
        pull = await it.read(lambda tx: tx.load_pull_request(DEMO, tx_task(tx, name).pr_number or 0))
        assert pull is not None
        assert "Latin" in pull.body


async def test_QG0_and_the_branch_take_the_card_as_it_is_when_it_enters() -> None:
    async with line() as it:
        name = await it.add("Hi", body="short")
        issue = await it.board.fetch_issue(IssueId(name))
        assert issue is not None
        it.board.edited[issue.id] = replace(issue, title="Greet in Latin", text="It shall greet in Latin.", slug="greet-in-latin")
        await it.move(name, "to_analyse")
        await it.until(lambda tx: tx_task(tx, name).awaiting == "approval")
        task = await it.task(name)
        assert (task.title, task.branch) == ("Greet in Latin", f"feature/{name}-greet-in-latin")


async def test_a_card_that_a_person_closes_asks_and_goes_on_after_a_resume() -> None:
    async with line() as it:
        name = await at_review(it)
        await it.move(name, "done")
        task = await it.until_parked(name)
        assert task.park is not None
        assert task.park.reason is ParkReason.ISSUE_GONE
        await it.settle(5)
        assert await it.column(name) == "blocked"
        assert (await it.decide(name, Decision.RESUME)).verb is Verb.DONE
        await it.until_stage(name, Stage.DONE)
        await it.settle(5)
        assert await it.column(name) == "done"


async def test_a_card_that_is_deleted_asks_once_and_its_task_goes_on_without_it() -> None:
    async with line() as it:
        name = await at_review(it)
        it.board.gone.add(IssueId(name))
        await it.move(name, "backlog")
        task = await it.until_parked(name)
        assert task.park is not None
        assert task.park.reason is ParkReason.ISSUE_GONE
        assert [alert.kind for alert in it.g.notifier.alerts][-1] == "parked"
        await it.decide(name, Decision.RESUME)
        await it.until_stage(name, Stage.DONE)


async def test_a_card_of_the_local_board_that_is_archived_asks_and_a_card_that_is_back_shows_its_status_again() -> None:
    async with line() as it:
        name = await at_review(it)
        assert (await it.ask(ArchiveIssue(issue=name, by="anna"))).verb is Verb.DONE
        await it.until_parked(name)
        await it.settle(60)
        assert await it.outbox() == [], "nothing is tried for ever on a card that is gone"
        assert (await it.ask(ArchiveIssue(issue=name, by="anna", archived=False))).verb is Verb.DONE
        await it.decide(name, Decision.RESUME)
        await it.until_stage(name, Stage.DONE)
        await it.settle(5)
        assert await it.column(name) == "done"


async def test_a_card_that_was_away_when_its_task_ended_shows_the_end_once_it_is_back_and_then_is_left_to_people() -> None:
    async with line() as it:
        name = await at_review(it)
        assert (await it.ask(ArchiveIssue(issue=name, by="anna"))).verb is Verb.DONE
        await it.until_parked(name)
        assert (await it.decide(name, Decision.STOP)).verb is Verb.DONE
        await it.until_stage(name, Stage.CANCELLED)
        await it.settle(60)
        assert (await it.ask(ArchiveIssue(issue=name, by="anna", archived=False))).verb is Verb.DONE
        await it.settle(60)
        assert await it.column(name) == "cancelled"
        await it.move(name, "backlog")
        await it.settle(60)
        assert await it.column(name) == "backlog", "where a person put it since"


# ------------------------------------------------------------------------------------------------ branch and pull request


async def tell(it: Line, name: str, *messages: BranchMoved | MergedOutside | PullRequestClosed) -> None:
    row = (await it.task(name)).row
    for message in messages:
        it.supervisor.task(row).tell(message)


async def push(it: Line, name: str, files: dict[str, str], *, on: Sha | None = None) -> BranchMoved:
    """A person pushes to the task's branch, on top of it or (*on*) over it."""
    task = await it.task(name)
    assert task.head is not None
    new = it.repository.change(on or task.head, files, "a person's")
    it.repository.branches[task.branch] = new
    return BranchMoved(old=task.head, new=new, forced=on is not None)


async def test_a_person_s_push_while_the_tests_run_is_tested_in_their_place_reviewed_and_lands() -> None:
    async with line() as it:
        it.commands.seconds = 60
        name = await it.start()
        await it.approve(name)
        await it.until(lambda tx: tx_task(tx, name).awaiting == "gate")
        moved = await push(it, name, {"mine.py": "by hand\n"})
        await tell(it, name, moved)
        await it.settle(5)
        assert (it.commands.cancelled, (await it.task(name)).head) == (1, moved.new)
        task = await it.until_stage(name, Stage.DONE, within_s=400)
        assert it.commands.tested[0] == moved.new
        assert it.repository.commits[it.repository.main].files["mine.py"] == "by hand\n"
        assert task.counters.returns() == 0


async def test_a_person_s_push_during_a_review_is_tested_and_reviewed_anew() -> None:
    """The reviewer's verdict was about other code."""
    async with line() as it:
        it.agent.script("DEMO-1", Role.REVIEWER, Step(artefacts={"07-review.md": verdict("approved")}, seconds=20))
        name = await it.start()
        await it.approve(name)
        await it.until_stage(name, Stage.REVIEW)
        await it.settle(2)
        await tell(it, name, await push(it, name, {"mine.py": "by hand\n"}))
        await it.until_stage(name, Stage.DONE)
        roles = [run.role for run in await it.runs(name) if run.role is not None]
        assert roles.count(Role.REVIEWER) == 2
        assert roles.count(Role.DEVELOPER) == 1
        assert it.repository.commits[it.repository.main].files["mine.py"] == "by hand\n"


async def test_a_run_that_conflicts_with_a_person_s_push_parks() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.DEVELOPER, Step(files={APP: "the agent's\n"}, seconds=20))
        name = await it.start()
        await it.approve(name)
        await it.until_stage(name, Stage.DEVELOPMENT)
        await it.settle(2)
        moved = await push(it, name, {APP: "the person's\n"})
        await tell(it, name, moved)
        task = await it.until_parked(name)
        assert task.park is not None
        assert task.park.reason is ParkReason.REPLAY_CONFLICT
        assert it.repository.branches[task.branch] == moved.new


async def test_a_forced_push_parks_and_a_resume_has_it_tested_and_reviewed() -> None:
    async with line() as it:
        name = await at_review(it)
        moved = await push(it, name, {"else.py": "rewritten\n"}, on=it.repository.main)
        await tell(it, name, moved)
        task = await it.until_parked(name)
        assert task.park is not None
        assert task.park.reason is ParkReason.BRANCH_FORCED
        tested = len(it.commands.tested)
        await it.decide(name, Decision.RESUME)
        await it.until_stage(name, Stage.DONE)
        assert len(it.commands.tested) > tested
        assert "else.py" in it.repository.commits[it.repository.main].files


async def test_a_branch_that_was_removed_is_pushed_again_by_a_resume() -> None:
    async with line() as it:
        name = await at_review(it)
        task = await it.task(name)
        assert task.head is not None
        del it.repository.branches[task.branch]
        await tell(it, name, BranchMoved(old=task.head, new=None, forced=True))
        await it.until_parked(name)
        await it.decide(name, Decision.RESUME)
        await it.until_stage(name, Stage.DONE)


async def test_a_resume_is_not_undone_by_a_look_that_comes_before_the_branch_is_pushed_again() -> None:
    async with line() as it:
        name = await at_review(it)
        task = await it.task(name)
        assert task.head is not None
        del it.repository.branches[task.branch]
        gone = BranchMoved(old=task.head, new=None, forced=True)
        await tell(it, name, gone)
        await it.until_parked(name)
        pushing = it.faults.hold_next("mirror.push_branch")
        await it.decide(name, Decision.RESUME)
        await pushing.reached.wait()
        await tell(it, name, gone)
        await it.settle(1)
        assert (await it.task(name)).park is None
        pushing.open()
        await it.until_stage(name, Stage.DONE)


async def test_a_pull_request_that_is_closed_parks_and_is_open_again_after_a_resume() -> None:
    async with line() as it:
        name = await at_review(it)
        task = await it.task(name)
        number = task.pr_number or 0
        forge = it.world.services[DEMO].forge
        await forge.edit_pull_request(number, state=PullRequestState.CLOSED)
        await tell(it, name, PullRequestClosed(number=number, by="anna"))
        parked = await it.until_parked(name)
        assert parked.park is not None
        assert parked.park.reason is ParkReason.PR_CLOSED
        await it.decide(name, Decision.RESUME)
        await it.settle(2)
        pull = await forge.fetch_pull_request(number)
        assert pull is not None
        assert pull.state is PullRequestState.OPEN
        await it.until_stage(name, Stage.DONE)


async def test_what_somebody_else_merged_ends_the_run_and_is_done() -> None:
    async with line() as it:
        name = await at_review(it)
        task = await it.task(name)
        assert task.head is not None
        it.repository.set_main(task.head)
        await tell(it, name, MergedOutside(sha=task.head, by="anna"))
        done = await it.until_stage(name, Stage.DONE)
        await it.settle(5)
        assert done.landed == task.head
        assert len(it.processes.killed) == 1
        assert task.branch not in it.repository.branches
