"""Money runs out: at a claim, in the middle of a run, for the whole day; a person raises, lifts or stops."""

from dataclasses import replace
from datetime import timedelta

from actors.metering import LOOK_S
from orch.core.budget import next_day, utc_day
from orch.core.messages import Decision, SetBudget, Verb
from orch.core.model import AgentResult, Awaiting, Limits, Outcome, ParkReason, RoleSettings, RunMode, Target, Usage
from orch.core.stages import Role, Stage
from orch.ports import Tx
from orch.snapshots import load_queue, load_spend, load_why
from tests.builders import make_limits, make_project
from tests.fakes.agents import Step
from tests.fakes.line import Ground, Line, line, running, tx_task

PLAN = {"01-brd.md": "# What\n", "02-acceptance.md": "# When\n"}
LONG = 10_000.0


def limits(task: float | None = 5.0, day: float | None = None, slots: int = 2) -> Limits:
    return make_limits(budget_task_usd=task, budget_day_usd=day, max_concurrency=slots, max_concurrency_per_repo=slots)


def spending(*spends: tuple[float, float], cost_usd: float = 0.0, seconds: float = LONG) -> Step:
    """An analyst who tells what it costs while it goes on."""
    return Step(artefacts=PLAN, spends=spends, cost_usd=cost_usd, seconds=seconds, usage=Usage(input=10, output=5))


async def budget_alerts(it: Line) -> list[str]:
    rows = await it.read(lambda tx: tx.list_outbox(limit=10_000))
    return [str(row.payload["kind"]) for row in rows if row.target is Target.CHAT and "budget" in str(row.payload["kind"])]


async def why(it: Line, name: str) -> str:
    now, present = it.g.clock.now(), it.g.limits
    found = await it.read(lambda tx: load_why(tx, name, now, limits=present))
    assert found is not None
    return found


async def raise_budget(it: Line, task: str, usd: float | None = None) -> Verb:
    return (await it.ask(SetBudget(task=task, by="anna", raise_usd=usd, lift=usd is None))).verb


# ------------------------------------------------------------------------------------------------ a task's budget


async def test_G16_a_run_that_crosses_the_tasks_budget_is_ended_its_work_kept_and_a_person_asked() -> None:
    async with line(limits=limits()) as it:
        it.agent.script("DEMO-1", Role.ANALYST, spending((10, 2.0), (60, 5.25)))
        task = await it.start()
        await it.until(lambda tx: bool(tx.list_runs(running=True)))
        began = it.g.clock.now()
        await it.until_parked(task, within_s=100)
        assert it.g.clock.now() - began < timedelta(seconds=60 + 3 * LOOK_S)
        parked, (run,) = await it.task(task), await it.runs(task)
        assert parked.park is not None
        assert (parked.park.reason, run.outcome, run.cost_usd) == (ParkReason.BUDGET, Outcome.BUDGET_EXHAUSTED, 5.25)
        assert run.archive is not None, "what it had done is kept"
        assert (run.usage.input, run.usage.output) == (10, 5)
        assert it.processes.killed == [run.id]
        assert await budget_alerts(it) == ["budget"]
        assert "orch budget DEMO-1 --raise" in await why(it, task)


async def test_after_a_raise_the_run_goes_on_in_its_tree_and_after_a_lift_without_a_limit() -> None:
    async with line(limits=limits()) as it:
        steps = [spending((10, 5.5)), spending((10, 5.0)), spending((5, 50.0), cost_usd=60.0, seconds=20)]
        it.agent.script("DEMO-1", Role.ANALYST, *steps)
        task = await it.start()
        await it.until_parked(task)
        assert await raise_budget(it, task, 0.5) is Verb.REFUSED, "that would leave nothing to spend"
        assert await raise_budget(it, task, 5.0) is Verb.DONE
        await it.until(lambda tx: len(tx.list_runs()) == 2)
        await it.until_parked(task)
        assert await raise_budget(it, task) is Verb.DONE
        await it.until(lambda tx: tx_task(tx, task).awaiting is Awaiting.APPROVAL)
        requests = it.agent.visits(Role.ANALYST)
        assert [request.mode for request in requests] == [RunMode.NEW_ATTEMPT, RunMode.CONTINUATION, RunMode.CONTINUATION]
        assert [request.budget_left_usd for request in requests] == [5.0, 4.5, None]
        assert [run.cost_usd for run in await it.runs(task)] == [5.5, 5.0, 60.0]
        told = [(line.cause, line.by) for line in await it.history(task) if line.cause.startswith("budget-")]
        assert told == [("budget-raised", "anna"), ("budget-lifted", "anna")]


async def test_a_raise_while_it_runs_lets_it_run() -> None:
    async with line(limits=limits()) as it:
        it.agent.script("DEMO-1", Role.ANALYST, spending((10, 4.0), (60, 8.0), cost_usd=8.0, seconds=90))
        task = await it.start()
        await it.until(lambda tx: tx.spent_by(tx_task(tx, task).row) == 4.0)
        assert await raise_budget(it, task, 5.0) is Verb.DONE
        await it.until(lambda tx: tx_task(tx, task).awaiting is Awaiting.APPROVAL)
        assert len(await it.runs(task)) == 1


async def test_a_run_that_succeeded_beyond_the_limit_is_accepted_and_the_next_one_is_not_claimed() -> None:
    async with line(limits=limits()) as it:
        it.agent.script("DEMO-1", Role.ANALYST, replace(spending(seconds=5), cost_usd=6.0))
        task = await it.start()
        await it.approve(task)
        await it.until_parked(task)
        assert (await it.task(task)).stage is Stage.ARCHITECTURE, "the plan was approved"
        assert len(await it.runs(task)) == 1
        assert await budget_alerts(it) == ["budget"]
        assert await raise_budget(it, task, 10.0) is Verb.DONE
        await it.until_stage(task, Stage.DEVELOPMENT)
        [architect] = it.agent.visits(Role.ARCHITECT)
        assert architect.mode is RunMode.NEW_ATTEMPT, "nothing of that stage had begun"


async def test_a_resume_is_refused_while_nothing_is_left_and_STOP_is_the_usual_one() -> None:
    async with line(limits=limits()) as it:
        it.agent.script("DEMO-1", Role.ANALYST, spending((10, 5.5)))
        task = await it.start()
        await it.until_parked(task)
        refused = await it.decide(task, Decision.RESUME)
        assert (refused.verb, "--raise" in refused.text) == (Verb.REFUSED, True)
        assert (await it.decide(task, Decision.STOP)).verb is Verb.DONE
        await it.until(lambda tx: tx_task(tx, task).stage is Stage.CANCELLED)
        assert (await it.runs(task))[0].cost_usd == 5.5


async def test_one_task_over_its_budget_holds_up_no_other() -> None:
    async with line(limits=limits(slots=1)) as it:
        it.agent.script("DEMO-1", Role.ANALYST, spending((10, 5.5)))
        first, second = await it.start("The dear one"), await it.start("The cheap one")
        await it.until_parked(first)
        await it.until(lambda tx: tx_task(tx, second).awaiting is Awaiting.APPROVAL)


async def test_many_cache_reads_alone_stop_nothing() -> None:
    huge = Usage(input=1, output=1, cache_read=10**11)
    async with line(limits=limits(task=0.01, day=0.01)) as it:
        it.agent.script("DEMO-1", Role.ANALYST, replace(spending((5, 0.0), seconds=60), usage=huge))
        task = await it.start()
        await it.until(lambda tx: tx_task(tx, task).awaiting is Awaiting.APPROVAL)


async def test_an_agent_that_stops_itself_at_its_roles_cap_asks_and_a_resume_goes_on_with_another_run() -> None:
    roles = {Role.ANALYST: RoleSettings(max_budget_usd=1.0)}
    said = AgentResult(outcome=Outcome.BUDGET_EXHAUSTED, detail="Reached maximum budget", cost_usd=1.2, session="s")
    async with line(make_project(roles=roles), limits=limits()) as it:
        it.agent.script("DEMO-1", Role.ANALYST, Step(result=said))
        task = await it.start()
        await it.until_parked(task)
        assert it.agent.visits(Role.ANALYST)[0].budget_left_usd == 1.0
        assert (await it.decide(task, Decision.RESUME)).verb is Verb.DONE
        await it.until(lambda tx: tx_task(tx, task).awaiting is Awaiting.APPROVAL)
        again = it.agent.visits(Role.ANALYST)[1]
        assert (again.mode, again.session, again.budget_left_usd) == (RunMode.CONTINUATION, "s", 1.0)


# ------------------------------------------------------------------------------------------------ the day's budget


async def day_closed(it: Line, *names: str) -> None:
    def holds(tx: Tx) -> bool:
        return not tx.list_runs(running=True) and all(tx.list_jobs(task=tx_task(tx, name).row) for name in names)

    await it.until(holds)


async def test_G16_the_days_budget_ends_whatever_runs_asks_once_parks_nothing_and_opens_again_at_midnight() -> None:
    async with line(limits=limits(task=None, day=10.0)) as it:
        it.agent.script("DEMO-1", Role.ANALYST, spending((10, 6.0)))
        it.agent.script("DEMO-2", Role.ANALYST, spending((20, 4.5)))
        names = [await it.start("One of two"), await it.start("Two of two")]
        third = await it.start("It comes third")
        await it.until(lambda tx: len(tx.list_runs()) == 2 and not tx.list_runs(running=True), within_s=100)
        await it.settle(600)
        assert [(await it.task(name)).park for name in (*names, third)] == [None] * 3
        assert {run.outcome for name in names for run in await it.runs(name)} == {Outcome.BUDGET_EXHAUSTED}
        assert await budget_alerts(it) == ["budget-day"], "the day's question is one question"
        for name in names:
            told = [comment.text for comment in await it.comments(name)]
            assert sum("goes on from there" in text for text in told) == 1, "each is told once"
        assert "--raise USD" in await why(it, third)
        now, present = it.g.clock.now(), it.g.limits
        day = (await it.read(lambda tx: load_queue(tx, now, present)))["budget"]
        assert isinstance(day, dict)
        assert (day["day"]["open"], day["day"]["spent_usd"], day["day"]["limit_usd"]) == (False, 10.5, 10.0)
        assert await it.read(lambda tx: len(tx.list_runs())) == 2, "nothing new begins"
        opens = next_day(now)
        await it.settle((opens - now).total_seconds() - 60)
        assert await it.read(lambda tx: len(tx.list_runs())) == 2
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in (*names, third)))
        modes = [request.mode for request in it.agent.visits(Role.ANALYST)[2:]]
        assert sorted(modes) == [RunMode.CONTINUATION, RunMode.CONTINUATION, RunMode.NEW_ATTEMPT]


async def test_raising_the_day_lets_everything_go_on_and_asks_again_at_the_new_limit() -> None:
    async with line(limits=limits(task=None, day=5.0)) as it:
        it.agent.script("DEMO-1", Role.ANALYST, spending((10, 5.0)), spending((10, 5.0)), spending(seconds=5))
        task = await it.start()
        await it.until(lambda tx: len(tx.list_runs()) == 1 and not tx.list_runs(running=True))
        assert (await it.ask(SetBudget(task="", by="anna", raise_usd=5.0, shown_usd=5.0))).verb is Verb.DONE
        assert (await it.ask(SetBudget(task="", by="anna", raise_usd=5.0, shown_usd=5.0))).verb is Verb.REFUSED, "pressed twice"
        await it.until(lambda tx: len(tx.list_runs()) == 2 and not tx.list_runs(running=True), within_s=50)
        await it.settle(60)
        assert await budget_alerts(it) == ["budget-day"] * 2
        assert (await it.ask(SetBudget(task="", by="anna", lift=True))).verb is Verb.DONE
        await it.until(lambda tx: tx_task(tx, task).awaiting is Awaiting.APPROVAL)
        assert (await it.ask(SetBudget(task="", by="anna", lift=True))).verb is Verb.NOTHING
        kept = await it.read(lambda tx: tx.load_day_budget(utc_day(it.g.clock.now())))
        assert kept is not None
        assert (kept.by, kept.lifted) == ("anna", True)


async def test_a_run_that_lasts_beyond_midnight_is_paid_from_the_day_on_which_it_began() -> None:
    async with line(limits=limits(task=None, day=10.0)) as it:
        now = it.g.clock.now()
        await it.settle((next_day(now) - now).total_seconds() - 100)
        it.agent.script("DEMO-1", Role.ANALYST, spending((50, 8.0), (150, 9.9), seconds=200, cost_usd=9.9))
        it.agent.script("DEMO-2", Role.ANALYST, spending((10, 9.0), seconds=20, cost_usd=9.0))
        first = await it.start("Before midnight")
        await it.settle(120)
        second = await it.start("After midnight")
        await it.until(lambda tx: all(tx_task(tx, name).awaiting is Awaiting.APPROVAL for name in (first, second)))
        at, present = it.g.clock.now(), it.g.limits
        days = (await it.read(lambda tx: load_spend(tx, at, present)))["days"]
        assert isinstance(days, list)
        assert [(row["cost_usd"], row["runs"]) for row in days] == [(9.0, 1), (9.9, 1)]


# ------------------------------------------------------------------------------------------------ what is on record


async def test_what_a_run_told_before_a_crash_of_the_daemon_is_counted_and_bounds_the_next_run() -> None:
    async with Ground(limits=limits()) as ground:
        async with running(ground) as it:
            ground.agent.script("DEMO-1", Role.ANALYST, spending((10, 3.0)), spending((5, 1.0), cost_usd=1.0, seconds=20))
            task = await it.start()
            await it.until(lambda tx: tx.spent_by(tx_task(tx, task).row) == 3.0)
        async with running(ground) as it:
            await it.until(lambda tx: tx_task(tx, task).awaiting is Awaiting.APPROVAL)
            assert [(run.outcome, run.cost_usd) for run in await it.runs(task)] == [
                (Outcome.CRASHED, 3.0),
                (Outcome.SUCCEEDED, 1.0),
            ]
            assert it.agent.visits(Role.ANALYST)[1].budget_left_usd == 2.0


async def test_what_a_run_told_until_STOP_is_counted_to_the_last() -> None:
    async with line(limits=limits()) as it:
        it.agent.script("DEMO-1", Role.ANALYST, spending((10, 1.0), (30, 2.0)))
        task = await it.start()
        await it.until(lambda tx: tx.spent_by(tx_task(tx, task).row) == 1.0)
        [run] = await it.runs(task)
        await it.settle(30.5 - (it.g.clock.now() - run.started_at).total_seconds())
        await it.decide(task, Decision.STOP)
        await it.until(lambda tx: tx_task(tx, task).stage is Stage.CANCELLED)
        await it.settle(30)
        [run] = await it.runs(task)
        assert (run.outcome, run.cost_usd) == (Outcome.CANCELLED, 2.0)


async def test_figures_on_their_way_are_seen_by_viewers() -> None:
    async with line() as it, it.supervisor.feed.subscribe() as viewer:
        it.agent.script("DEMO-1", Role.ANALYST, spending((10, 1.0), seconds=60))
        await viewer.receive()
        await it.start()
        seen = 0.0
        while seen != 1.0:
            change = await viewer.receive()
            tasks = change["tasks"]
            assert isinstance(tasks, list)
            seen = max((task["cost_usd"] for task in tasks), default=0.0)


async def test_a_store_in_trouble_ends_no_run() -> None:
    async with line(limits=limits()) as it:
        it.agent.script("DEMO-1", Role.ANALYST, spending((10, 1.0), seconds=60, cost_usd=1.0))
        task = await it.start()
        await it.until(lambda tx: bool(tx.list_runs(running=True)))
        await it.settle(5)
        it.g.store.full = True
        await it.settle(20)
        it.g.store.full = False
        await it.until(lambda tx: tx_task(tx, task).awaiting is Awaiting.APPROVAL)
        assert (await it.runs(task))[0].cost_usd == 1.0


async def test_a_lowered_setting_holds_for_what_runs() -> None:
    async with line(limits=limits(task=50.0)) as it:
        it.agent.script("DEMO-1", Role.ANALYST, spending((5, 6.0)))
        task = await it.start()
        await it.until(lambda tx: tx.spent_by(tx_task(tx, task).row) == 6.0)
        it.g.limits = limits(task=5.0)
        await it.until_parked(task, within_s=10)
