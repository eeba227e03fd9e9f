"""One account, many tasks: a limit holds them all, one run is tried, and nobody is charged."""

from datetime import timedelta
from itertools import pairwise

import pytest

from orch.core.accounts import PAUSE
from orch.core.errors import PermanentError
from orch.core.messages import Decision, LiftPause, Verb
from orch.core.model import AgentResult, Awaiting, Counters, Outcome, Run, RunMode
from orch.core.stages import Role, Stage
from orch.snapshots import Present, load_queue, load_why
from tests.builders import make_limits
from tests.fakes.agents import Step
from tests.fakes.line import Ground, Line, line, running, tx_task

PLAN = {"01-brd.md": "# What\n", "02-acceptance.md": "# When\n"}
WIDE = make_limits(max_concurrency=9, max_concurrency_per_repo=9)
ACCOUNT = "scripted"


def limited(it: Line, *, after_s: float | None = None, seconds: float = 1.0) -> Step:
    until = None if after_s is None else it.g.clock.now() + timedelta(seconds=after_s)
    return Step(seconds=seconds, result=AgentResult(outcome=Outcome.RATE_LIMITED, detail="usage limit reached", until=until))


def failing(outcome: Outcome = Outcome.FAILED, seconds: float = 1.0) -> Step:
    return Step(outcome=outcome, seconds=seconds)


async def agents_runs(it: Line) -> list[Run]:
    return await it.read(lambda tx: tx.list_runs())


async def is_paused(it: Line) -> bool:
    return bool(await it.read(lambda tx: tx.paused_accounts()))


async def start_many(it: Line, count: int, *steps: Step) -> list[str]:
    names = [f"DEMO-{number + 1}" for number in range(count)]
    for name in names:
        it.agent.script(name, Role.ANALYST, *steps)
    for name in names:
        assert await it.start(f"Issue of {name}") == name
    return names


async def test_G11_a_rate_limit_holds_all_runs_of_the_account_until_its_reset_and_charges_no_task() -> None:
    async with line(limits=make_limits(max_concurrency=2, max_concurrency_per_repo=9)) as it:
        it.agent.script("DEMO-1", Role.ANALYST, limited(it, after_s=2000))
        it.agent.script("DEMO-2", Role.ANALYST, Step(artefacts=PLAN, seconds=30))
        names = [await it.start(f"Issue number {number}") for number in range(4)]
        await it.until(lambda tx: bool(tx.paused_accounts()))
        await it.settle(1500)
        assert len(await agents_runs(it)) == 2, "what ran went on; nothing new began, in no project and for no task"
        assert (await it.task(names[1])).awaiting is Awaiting.APPROVAL
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in names), within_s=1000)
        assert not await is_paused(it)
        tasks = [await it.task(name) for name in names]
        assert {(task.counters, task.park) for task in tasks} == {(Counters(), None)}
        first, again = await it.runs("DEMO-1")
        assert (again.started_at - first.started_at).total_seconds() == pytest.approx(2000, abs=60)
        assert [job.mode for job in await it.jobs("DEMO-1")] == [RunMode.CONTINUATION]


async def test_the_pause_is_shown_and_told_of_once() -> None:
    async with line(limits=WIDE) as it:
        names = await start_many(it, 3, limited(it, after_s=2000))
        await it.until(lambda tx: bool(tx.paused_accounts()))
        await it.settle(60)
        now, present = it.g.clock.now(), Present(projects=it.g.registry().projects)
        told = await it.read(lambda tx: load_why(tx, names[2], now, present=present))
        assert told is not None
        assert "account scripted are paused" in told
        assert "a rate limit" in told
        assert "2026-01-05 09:33 UTC" in told
        shown = (await it.read(lambda tx: load_queue(tx, now, it.g.limits, present=present)))["agents"]
        assert shown["accounts"][0]["name"] == ACCOUNT  # type: ignore[index]
        assert shown["accounts"][0]["cause"] == "rate_limited"  # type: ignore[index]
        alerts = [alert.text for alert in it.g.notifier.alerts if alert.kind == "account-paused"]
        assert len(alerts) == 1
        assert "scripted" in alerts[0]


async def test_when_the_time_is_over_one_run_tries_and_the_others_follow_when_it_ended_otherwise() -> None:
    async with line(limits=WIDE) as it:
        names = await start_many(it, 4, limited(it), Step(artefacts=PLAN, seconds=100))
        await it.until(lambda tx: bool(tx.paused_accounts()))
        await it.settle(PAUSE.total_seconds() + 60)
        assert it.processes.live.total() == 1, "one try"
        await it.settle(50)
        assert it.processes.live.total() == 3, "then all the others at once"
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in names), within_s=200)


async def test_G12_a_try_that_meets_the_limit_again_renews_the_pause_less_and_less_often() -> None:
    async with line(limits=WIDE) as it:
        await start_many(it, 3, limited(it))
        it.agent.script("DEMO-1", Role.ANALYST, *[limited(it)] * 4)
        await it.until(lambda tx: bool(tx.paused_accounts()))
        await it.settle(28_000)
        tries = (await it.runs("DEMO-1"))[1:6]
        waits = [(after.started_at - before.started_at).total_seconds() for before, after in pairwise(tries)]
        assert waits == [pytest.approx(minutes * 60, abs=40) for minutes in (30, 60, 120, 240)]
        assert len([alert for alert in it.g.notifier.alerts if alert.kind == "account-paused"]) == 1
        assert (await it.task("DEMO-1")).counters == Counters()


async def test_a_hostile_reset_time_does_not_put_everything_off_for_years() -> None:
    async with line() as it:
        it.agent.script("DEMO-1", Role.ANALYST, limited(it, after_s=40 * 365 * 86400))
        await it.start()
        await it.until(lambda tx: bool(tx.paused_accounts()))
        [account] = await it.read(lambda tx: tx.paused_accounts())
        assert account.pause is not None
        assert account.pause.until - it.g.clock.now() <= timedelta(days=8)


# ------------------------------------------------------------------------------------------------ five failures


async def test_G11_five_tasks_failing_alike_pause_the_account_and_are_uncharged() -> None:
    async with line(limits=WIDE) as it:
        names = await start_many(it, 6, failing())
        await it.until(lambda tx: bool(tx.paused_accounts()))
        await it.settle(5)
        assert {(await it.task(name)).counters.failed for name in names[:5]} == {0}
        await it.settle(600)
        assert len(await agents_runs(it)) == 6, "no task's own retry begins either"
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in names), within_s=600)
        assert not await is_paused(it)


async def test_the_retries_of_one_task_never_pause_the_account() -> None:
    async with line(limits=WIDE) as it:
        names = await start_many(it, 2, *[failing()] * 4)
        await it.until_parked(names[0])
        await it.until_parked(names[1])
        assert not await is_paused(it)


async def test_failures_that_lie_further_apart_than_an_hour_are_no_sign() -> None:
    async with line(limits=WIDE) as it:
        for number in range(6):
            it.agent.script(f"DEMO-{number + 1}", Role.ANALYST, failing())
            await it.start(f"Issue number {number}")
            await it.settle(1000)
        assert not await is_paused(it)


async def test_a_poisonous_task_does_not_decide_every_try() -> None:
    """After a try that failed, another task's run goes first at the next."""
    async with line(limits=WIDE) as it:
        names = await start_many(it, 5, failing())
        it.agent.script(names[0], Role.ANALYST, *[failing()] * 9)
        await it.until(lambda tx: bool(tx.paused_accounts()))
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in names[1:]), within_s=6000)
        assert not await is_paused(it)
        await it.until_parked(names[0], within_s=6000)


async def test_a_setup_command_that_fails_in_many_tasks_is_no_matter_of_the_account() -> None:
    async with line(limits=WIDE) as it:
        it.faults.fail_always("workspace.prepare", PermanentError("setup", "make", "exit code 2"))
        names = await start_many(it, 7)
        for name in names:
            await it.until_parked(name)
        assert not await is_paused(it)


# ------------------------------------------------------------------------------------------------ durable


async def test_G10_the_pause_outlives_a_restart() -> None:
    async with Ground() as ground:
        async with running(ground) as it:
            it.agent.script("DEMO-1", Role.ANALYST, limited(it, after_s=3000))
            await it.start()
            await it.until(lambda tx: bool(tx.paused_accounts()))
        async with running(ground) as it:
            await it.settle(2500)
            assert len(await agents_runs(it)) == 1
            await it.until(lambda tx: tx_task(tx, "DEMO-1").awaiting is Awaiting.APPROVAL, within_s=600)


async def test_G10_a_daemon_that_dies_during_the_try_tries_again() -> None:
    async with Ground() as ground:
        async with running(ground) as it:
            it.agent.script("DEMO-1", Role.ANALYST, limited(it, after_s=100), Step(artefacts=PLAN, seconds=500))
            await it.start()
            await it.until(lambda tx: bool(tx.paused_accounts()))
            await it.until(lambda tx: len(tx.list_runs(running=True)) == 1, within_s=200)
            await it.settle(5)
        async with running(ground) as it:
            await it.until(lambda tx: tx_task(tx, "DEMO-1").awaiting is Awaiting.APPROVAL, within_s=600)
            assert not await is_paused(it)


async def test_a_task_that_is_stopped_during_the_try_leaves_the_try_to_another() -> None:
    async with line(limits=WIDE) as it:
        names = await start_many(it, 2, limited(it, after_s=100), Step(artefacts=PLAN, seconds=500))
        await it.until(lambda tx: bool(tx.paused_accounts()))
        await it.until(lambda tx: len(tx.list_runs(running=True)) == 1, within_s=200)
        [trial] = await it.read(lambda tx: tx.list_runs(running=True))
        first = (await it.task(names[0])).row == trial.task
        tried, other = names if first else names[::-1]
        await it.decide(tried, Decision.STOP)
        await it.until(lambda tx: tx_task(tx, other).awaiting is Awaiting.APPROVAL, within_s=700)
        assert (await it.task(tried)).stage is Stage.CANCELLED


async def test_a_person_ends_a_pause_at_once_and_old_failures_count_no_more() -> None:
    async with line(limits=WIDE) as it:
        names = await start_many(it, 5, failing())
        await it.until(lambda tx: bool(tx.paused_accounts()))
        answer = await it.ask(LiftPause(account=ACCOUNT, by="anna"))
        assert answer.verb is Verb.DONE
        assert (await it.ask(LiftPause(account=ACCOUNT, by="anna"))).verb is Verb.NOTHING
        other = await it.start("A new one")
        it.agent.script(other, Role.ANALYST, failing())
        await it.until(lambda tx: len(tx.list_runs()) > 5, within_s=5)
        await it.settle(5)
        assert not await is_paused(it), "one more failure is one"
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in names), within_s=1200)
