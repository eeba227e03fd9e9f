"""The reconciler: what no event has told is found by looking, and nothing is done twice."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from orch.core.errors import TransientError
from orch.core.ids import ActivityId, Branch, IssueId, Sha, UserId
from orch.core.messages import Decision
from orch.core.model import Activity, Awaiting, CiSource, CiState, CommitStatus, ParkReason, PullRequest, PullRequestState
from orch.core.reconcile import OVERLAP
from orch.core.stages import Stage
from orch.ports import BranchEvent, CardEvent
from tests.builders import DEMO, make_limits, make_project
from tests.fakes.line import BODY, Ground, Line, line, running, tx_task

POLL_S = 60.0
REMOTE = make_project(board="plane", forge="gitea", ci=CiSource.FORGE)
GRACE = {Stage.DEVELOPMENT: 300.0, Stage.DEPLOY_STAGING: 300.0}
LIMITS = make_limits(reconcile_interval_s=POLL_S, ci_appear_s=600.0, grace_s=GRACE)


async def add(it: Line) -> str:
    """A card on the board; what the local board leaves in the inbox stands for the hook."""
    issue = await it.world.desk.create_issue(DEMO, title="Add a greeting", body=BODY, by="anna")
    it.supervisor.accepted()
    return issue.id


async def start(it: Line) -> str:
    name = await add(it)
    await it.world.desk.move_issue(IssueId(name), "to_analyse", by="anna")
    it.supervisor.accepted()
    return name


async def move_unheard(it: Line, name: str, status: str) -> None:
    """A person moves the card, and the hook that would tell of it is lost."""
    now = it.g.clock.now()

    def work(tx: Any) -> None:
        issue = tx.load_issue(IssueId(name))
        entries = tx.list_activities(issue.id)
        entry = Activity(
            id=ActivityId(f"{name}/{len(entries) + 1}"),
            issue=issue.id,
            actor=UserId("anna"),
            actor_name="anna",
            ours=False,
            source=issue.state_id,
            target=status,
            created_at=now,
        )
        tx.move_issue(issue.id, status, entry)

    await it.write(work)


async def developed(it: Line, name: str) -> None:
    await it.approve(name)
    await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.GATE and tx_task(tx, name).stage is Stage.DEVELOPMENT)


async def say_ci(it: Line, name: str, state: CiState) -> None:
    head = (await it.task(name)).code_head
    assert head is not None
    await it.write(lambda tx: tx.save_commit_status(DEMO, CommitStatus(sha=head, context="build", state=state), it.g.clock.now()))


# ------------------------------------------------------------------------------------------------ the board


async def test_G9_a_move_whose_webhook_is_lost_is_found_by_the_next_poll() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        name = await add(it)
        await it.settle(POLL_S + 1)
        await move_unheard(it, name, "to_analyse")
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=POLL_S + 1)


async def test_G8_a_poll_that_sees_what_a_hook_has_told_changes_nothing() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        name = await start(it)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.APPROVAL)
        before = len(await it.history(name))
        await it.settle(5 * POLL_S)
        assert len(await it.history(name)) == before
        assert len(await it.runs(name)) == 1


@pytest.mark.parametrize("off", ["reconcile_enabled", "reconcile_board_enabled"])
async def test_G14_switched_off_nothing_is_polled(off: str) -> None:
    limits = make_limits(reconcile_interval_s=POLL_S, **{off: False})
    async with line(REMOTE, limits=limits) as it:
        name = await add(it)
        await it.settle(POLL_S + 1)
        await move_unheard(it, name, "to_analyse")
        await it.settle(10 * POLL_S)
        assert await it.read(lambda tx: tx.list_tasks()) == []


async def test_G11_a_board_that_does_not_answer_is_said_and_found_again() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        name = await add(it)
        await it.settle(POLL_S + 1)
        it.faults.fail_next("board.fetch_changed", TransientError("plane", "list", "it is down"), times=2)
        await move_unheard(it, name, "to_analyse")
        await it.settle(POLL_S + 1)
        told = it.supervisor.vitals()
        assert "it is down" in str(told.notices)
        assert "it is down" in str(told.polls["demo"]["error"])
        await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=3 * POLL_S)
        await it.settle(POLL_S)
        assert "it is down" not in str(it.supervisor.vitals().notices)


async def test_what_a_poll_has_seen_is_not_read_again_by_the_next() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        await add(it)
        await it.settle(3 * POLL_S)
        it.faults.fail_always("board.fetch_activities", TransientError("plane", "read", "nobody should ask"))
        await it.settle(10 * POLL_S)
        assert "nobody should ask" not in str(it.supervisor.vitals().notices)


async def test_a_card_that_is_deleted_is_in_no_list_and_its_live_task_is_parked_all_the_same() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        names = [await start(it) for _ in range(7)]
        for name in names:
            await it.until(lambda tx, name=name: tx_task(tx, name).awaiting is Awaiting.APPROVAL)  # type: ignore[misc]
        await it.settle(OVERLAP.total_seconds() + 2 * POLL_S)
        it.board.gone |= {IssueId(names[0]), IssueId(names[6])}
        for name in (names[0], names[6]):
            task = await it.until_parked(name, within_s=3 * POLL_S)
            assert task.park is not None
            assert task.park.reason is ParkReason.ISSUE_GONE
        assert [(await it.task(name)).park for name in names[1:6]] == [None] * 5


async def test_a_hook_that_tells_of_nothing_is_said_within_two_polls_and_taken_back_when_it_comes() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        name = await add(it)
        await it.settle(POLL_S + 1)
        await move_unheard(it, name, "to_analyse")
        await it.settle(2 * POLL_S + 1)
        assert "webhook is switched off" in str(it.supervisor.vitals().notices)
        it.world.health.hook_came("plane", it.g.clock.now() + timedelta(seconds=1))
        await it.settle(POLL_S)
        assert "webhook is switched off" not in str(it.supervisor.vitals().notices)


async def test_G10_a_change_that_a_poll_saw_survives_a_death_before_it_was_looked_at() -> None:
    """It is an hour old: the next poll, which reaches a little behind this one, would not see it again."""
    async with Ground(REMOTE, limits=LIMITS) as ground:
        async with running(ground) as it:
            name = await add(it)
            await it.settle(POLL_S + 1)
        await move_unheard(it, name, "to_analyse")
        await anyio.sleep(3600)
        async with running(ground) as it:
            looked_at = it.faults.hold_next("board.fetch_activities")
            await looked_at.reached.wait()
        async with running(ground) as it:
            await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=2 * POLL_S)


# ------------------------------------------------------------------------------------------------ the forge


async def test_G9_a_status_whose_hook_is_lost_is_found_by_the_next_poll() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        name = await start(it)
        await developed(it, name)
        await say_ci(it, name, CiState.SUCCESS)
        await it.until(lambda tx: tx_task(tx, name).stage is not Stage.DEVELOPMENT, within_s=POLL_S + 1)


async def test_a_red_status_goes_back_to_the_developer_with_what_failed() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        name = await start(it)
        await developed(it, name)
        await say_ci(it, name, CiState.FAILURE)
        await it.until(lambda tx: tx_task(tx, name).counters.ci_red == 1, within_s=POLL_S + 1)


async def test_a_forge_without_any_status_parks_the_task_after_its_time_and_never_calls_it_green() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        name = await start(it)
        await developed(it, name)
        await it.settle(500)
        assert (await it.task(name)).park is None
        task = await it.until_parked(name, within_s=300)
        assert task.park is not None
        assert (task.park.reason, task.stage) == (ParkReason.NO_CI, Stage.DEVELOPMENT)


async def test_a_pull_request_that_a_person_closed_parks_its_task() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        name = await start(it)
        await developed(it, name)
        await it.settle(POLL_S + 1)
        number = (await it.task(name)).pr_number
        assert number is not None

        def close(tx: Any) -> None:
            pull = tx.load_pull_request(DEMO, number)
            tx.save_pull_request(replace(pull, state=PullRequestState.CLOSED))

        await it.write(close)
        task = await it.until_parked(name, within_s=POLL_S + 1)
        assert task.park is not None
        assert task.park.reason is ParkReason.PR_CLOSED


async def test_a_resume_is_not_undone_by_a_poll_that_comes_before_the_reopening() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        name = await start(it)
        await developed(it, name)
        await it.settle(POLL_S + 1)
        number = (await it.task(name)).pr_number
        assert number is not None

        def close(tx: Any) -> None:
            tx.save_pull_request(replace(tx.load_pull_request(DEMO, number), state=PullRequestState.CLOSED))

        await it.write(close)
        await it.until_parked(name, within_s=POLL_S + 1)
        reopening = it.faults.hold_next("forge.edit_pull_request")
        await it.decide(name, Decision.RESUME)
        await reopening.reached.wait()
        await it.settle(2 * POLL_S)
        assert (await it.task(name)).park is None
        reopening.open()
        await it.settle(2 * POLL_S)
        assert (await it.task(name)).park is None


async def test_a_hook_about_a_branch_is_handled_by_looking_at_the_forge_at_once() -> None:
    class Door:
        def admits(self, body: bytes, headers: object) -> bool:
            return True

        def concerns(self, body: bytes, headers: object) -> bool:
            return True

        def source(self, headers: object) -> str:
            return "gitea:status"

        def heard(self, at: object) -> None: ...

        def read(self, source: str, body: bytes) -> BranchEvent | str:
            return BranchEvent(project=DEMO, sha=None, branch=None) if body else "it is empty"

    limits = make_limits(reconcile_interval_s=86_400.0)
    async with line(REMOTE, limits=limits) as it:
        it.world.doors["gitea"] = Door()  # type: ignore[index]
        name = await start(it)
        await developed(it, name)
        await say_ci(it, name, CiState.SUCCESS)
        head = (await it.task(name)).code_head
        Door.read = lambda self, source, body: BranchEvent(project=DEMO, sha=head)  # type: ignore[method-assign]
        row = await it.write(lambda tx: tx.add_inbox("gitea:status", b"{}", it.g.clock.now()))
        it.supervisor.accepted()
        await it.until(lambda tx: tx_task(tx, name).stage is not Stage.DEVELOPMENT, within_s=5)
        assert row not in [each.id for each in await it.read(lambda tx: tx.pending_inbox())]


# ------------------------------------------------------------------------------------------------ the line itself


async def test_a_task_that_lost_its_place_in_the_landing_queue_lands_all_the_same() -> None:
    project = make_project()
    async with line(project, limits=LIMITS) as it:
        gate = it.faults.hold_next("commands.run")
        name = await start(it)
        await it.approve(name)
        await gate.reached.wait()

        def lose(tx: Any) -> None:
            tx.save_task(replace(tx_task(tx, name), train_seq=None))

        gate.open()
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.LANDING or tx_task(tx, name).stage is Stage.DONE)
        await it.write(lose)
        await it.until_stage(name, Stage.DONE, within_s=2 * POLL_S + 310)


async def test_an_event_that_asks_for_nothing_is_put_away_and_one_that_cannot_be_read_is_quarantined() -> None:
    class Door:
        def read(self, source: str, body: bytes) -> str | None:
            return None if body == b"nothing" else "it is no JSON"

    async with line(REMOTE, limits=LIMITS) as it:
        it.world.doors["plane"] = Door()  # type: ignore[index]
        for body in (b"nothing", b"\xff"):
            await it.write(lambda tx, body=body: tx.add_inbox("plane:issue", body, it.g.clock.now()))  # type: ignore[misc]
        it.supervisor.accepted()
        await it.settle(1)
        assert await it.read(lambda tx: tx.pending_inbox()) == []


class _Told:
    """A door whose events say what they are about themselves."""

    def read(self, source: str, body: bytes) -> CardEvent | BranchEvent:
        told = body.decode().split()
        if source.startswith("gitea"):
            return BranchEvent(project=DEMO, sha=Sha(told[0]))
        return CardEvent(project=DEMO, issue=IssueId(told[0]), key=told[1])


async def hook(it: Line, source: str, body: str) -> None:
    await it.write(lambda tx: tx.add_inbox(source, body.encode(), it.g.clock.now()))
    it.supervisor.accepted()


async def test_a_hook_that_is_repeated_costs_no_second_look_and_one_that_only_looks_alike_does() -> None:
    async with line(REMOTE, limits=LIMITS) as it:
        it.world.doors["plane"] = _Told()  # type: ignore[index]
        name = await add(it)
        await it.settle(61)
        before = it.faults.calls["board.fetch_activities"]
        for key in ("one", "one", "one", "two"):
            await hook(it, "plane:issue", f"{name} {key}")
            await it.settle(1)
        assert it.faults.calls["board.fetch_activities"] == before + 2
        assert await it.read(lambda tx: tx.pending_inbox()) == []


async def test_G1_a_repetition_is_not_lost_with_a_first_one_that_could_not_be_handled_yet() -> None:
    async with Ground(REMOTE, limits=replace(LIMITS, reconcile_enabled=False)) as ground:
        async with running(ground) as it:
            it.world.doors["plane"] = _Told()  # type: ignore[index]
            name = await add(it)
            await it.settle(61)
            it.faults.fail_always("board.fetch_issue", TransientError("board", "issue", "502"))
            await move_unheard(it, name, "to_analyse")
            for _ in range(2):
                await hook(it, "plane:issue", f"{name} one")
            await it.settle(1)
            assert len(await it.read(lambda tx: tx.pending_inbox())) == 1
        ground.faults.heal("board.fetch_issue")
        async with running(ground) as it:
            it.world.doors["plane"] = _Told()  # type: ignore[index]
            await it.until(lambda tx: tx_task(tx, name).stage is Stage.ANALYSIS, within_s=90)


async def test_a_forge_that_did_not_answer_is_asked_again_within_seconds_not_at_the_next_poll() -> None:
    async with line(REMOTE, limits=replace(LIMITS, reconcile_interval_s=3600.0)) as it:
        it.world.doors["gitea"] = _Told()  # type: ignore[index]
        name = await start(it)
        await developed(it, name)
        await say_ci(it, name, CiState.SUCCESS)
        forge, failing = it.world.services[DEMO].forge, [TransientError("gitea", "find", "HTTP 502")] * 2
        find = forge.find_pull_request

        async def flaky(branch: Branch) -> PullRequest | None:
            if failing:
                raise failing.pop()
            return await find(branch)

        forge.find_pull_request = flaky  # type: ignore[method-assign]
        await hook(it, "gitea:status", str((await it.task(name)).code_head))
        await it.until(lambda tx: tx_task(tx, name).stage is not Stage.DEVELOPMENT, within_s=8)


async def test_R4_a_board_that_was_away_for_hours_is_caught_up_within_a_period_of_its_return() -> None:
    calls = ("board.fetch_changed", "board.fetch_issue", "board.fetch_activities", "board.fetch_states", "board.set_state")
    every_s = 600.0
    async with line(REMOTE, limits=replace(LIMITS, reconcile_interval_s=every_s)) as it:
        first, second = await start(it), await add(it)
        await it.until(lambda tx: tx_task(tx, first).awaiting is Awaiting.APPROVAL)
        await it.settle(61)
        for call in calls:
            it.faults.fail_always(call, TransientError("board", call, "HTTP 502"))
        await move_unheard(it, first, "approved")
        await move_unheard(it, second, "to_analyse")
        await it.settle(2 * 3600)
        assert await it.read(lambda tx: tx.newest_task(DEMO, IssueId(second))) is None
        for call in calls:
            it.faults.heal(call)
        await it.until(lambda tx: tx_task(tx, first).stage is not Stage.ANALYSIS, within_s=every_s + 5)
        await it.until(lambda tx: tx_task(tx, second).stage is Stage.ANALYSIS, within_s=60)
