"""One landing: candidate, test, intent, push, verify, record; and every way in which it can go otherwise."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from actors import landing
from actors.landing import CRITICAL_S
from orch.core.errors import PermanentError, StoreError, TransientError
from orch.core.messages import CommandReport, CommandVerdict, Decision, LandingHint, Verb
from orch.core.model import CiSource, Freeze, FreezeCause, ParkReason, PullRequestState
from orch.core.stages import Role, Stage
from orch.ports import Pushed, PushResult
from tests.builders import DEMO, make_limits, make_park, make_project
from tests.fakes.agents import Step
from tests.fakes.line import Ground, Line, line, running, tx_task
from tests.fakes.train import audit

NO_CI = make_project(ci=CiSource.OFF)
"""Every run of the test command is then a landing's."""


async def to_landing(it: Line, *titles: str, frozen: bool = False) -> list[str]:
    """Bring an issue per title to the landing queue, in their order; *frozen* holds them there."""
    names = []
    for title in titles or ("Add a greeting",):
        names.append(await it.start(title))
        await it.approve(names[-1], within_s=300)
        if frozen:
            await freeze(it)
        await it.until_stage(names[-1], Stage.DEPLOY_STAGING, within_s=300)
        if frozen and len(names) < len(titles):
            await it.write(lambda tx: tx.lift_freeze(DEMO))
    return names


def script_two(it: Line, first: Mapping[str, str | None], second: Mapping[str, str | None]) -> None:
    """Say what the first issue's developer leaves behind, and what after its return."""
    it.agent.script("DEMO-1", Role.DEVELOPER, Step(files=first), Step(files=second))


async def freeze(it: Line) -> None:
    held = Freeze(project=DEMO, cause=FreezeCause.PERSON, since=it.g.clock.now(), by="anna")
    await it.write(lambda tx: tx.set_freeze(held))


async def thaw(it: Line) -> None:
    """Lift the freeze and tell the repo's actor."""
    await it.write(lambda tx: tx.lift_freeze(DEMO))
    it.supervisor.repo(DEMO).tell(LandingHint())


async def test_G3_a_green_candidate_lands_is_marked_and_only_then_its_branch_goes() -> None:
    async with line() as it:
        (name,) = await to_landing(it)
        task = await it.until_stage(name, Stage.DONE)
        await it.settle(5)
        assert task.landed == it.repository.main
        kinds = [kind for kind, _ in it.faults.writes if kind in ("main", "merged", "delete branch")]
        assert kinds == ["main", "merged", "delete branch"]
        pull = await it.read(lambda tx: tx.load_pull_request(DEMO, 1))
        assert pull is not None
        assert (pull.state, pull.merged) == (PullRequestState.MERGED, task.landed)
        assert set(it.repository.branches) == {"main"}
        await audit(it)


async def test_L4_tasks_land_in_the_order_they_came() -> None:
    async with line(NO_CI, limits=make_limits(max_concurrency=1)) as it:
        it.commands.seconds = 500
        names = [await it.start(f"Issue number {number}") for number in range(3)]
        for name in names:
            await it.approve(name)
        await it.until(lambda tx: all(tx_task(tx, name).stage is Stage.DONE for name in names), within_s=5000)
        entered = {}
        for name in names:
            history = await it.history(name)
            entered[name] = next(line.at for line in history if line.target is Stage.DEPLOY_STAGING)
        places = [(await it.task(name)).landed_seq for name in sorted(names, key=lambda name: entered[name])]
        assert places == [1, 2, 3]
        await audit(it)


async def test_a_conflict_goes_back_with_the_files_and_the_next_one_lands_without_waiting_for_a_test() -> None:
    async with line(NO_CI) as it:
        it.agent.script(
            "DEMO-1", Role.DEVELOPER, Step(files={"README.md": "mine\n"}), Step(files={"README.md": "# Sample\n", "a": "1"})
        )
        first, second = await to_landing(it, "The one in conflict", "The other one", frozen=True)
        it.repository.push_elsewhere({"README.md": "theirs\n"})
        await thaw(it)
        await it.until_stage(second, Stage.DONE, within_s=60)
        feedback = it.prompts.of(Role.DEVELOPER)[-1].feedback
        assert feedback.kind == "conflict"
        assert "README.md" in feedback.text
        assert (await it.task(first)).counters.conflict == 1
        await audit(it)


async def test_G3_a_red_combined_tree_goes_back_and_main_is_never_red() -> None:
    """Each is green alone, together they are not."""
    async with line() as it:
        it.commands.rule = lambda files: not ({"DEMO-1.py", "other.py"} <= set(files))
        it.agent.script(
            "DEMO-1", Role.DEVELOPER, Step(files={"DEMO-1.py": "x\n"}), Step(files={"DEMO-1.py": None, "new.py": "x\n"})
        )
        (name,) = await to_landing(it)
        it.repository.push_elsewhere({"other.py": "renamed\n"})
        await thaw(it)
        task = await it.until_stage(name, Stage.DONE)
        assert task.counters.land_red == 1
        feedback = it.prompts.of(Role.DEVELOPER)[1].feedback
        assert feedback.kind == "land_red"
        assert "FAILED tests" in feedback.text
        assert all(not ({"DEMO-1.py", "other.py"} <= set(it.repository.commits[sha].files)) for sha in it.repository.history)
        await audit(it)


async def test_a_refused_landing_is_not_tested_again_although_its_task_sleeps() -> None:
    """The test takes longer than an idle task's actor lives: the task has left the queue before the next plan all the same."""
    async with line(NO_CI) as it:
        it.commands.seconds = 300
        it.commands.rule = lambda files: "DEMO-1.py" not in files
        it.agent.script(
            "DEMO-1", Role.DEVELOPER, Step(files={"DEMO-1.py": "x\n"}), Step(files={"DEMO-1.py": None, "b.py": "x\n"})
        )
        (name,) = await to_landing(it)
        await it.until(lambda tx: tx_task(tx, name).counters.land_red == 1, within_s=1200)
        await it.settle(0.5)
        assert len(it.commands.calls) == 3, "red, red once more, and main without it"
        await it.until_stage(name, Stage.DONE, within_s=1000)
        assert len(it.commands.calls) == 4


@pytest.mark.parametrize("verdict", [CommandVerdict.INFRA, CommandVerdict.TIMEOUT, CommandVerdict.INTERRUPTED])
async def test_a_test_run_without_a_verdict_is_run_again_and_charged_to_nobody(verdict: CommandVerdict) -> None:
    async with line(NO_CI) as it:
        it.commands.reports.append(CommandReport(verdict=verdict, tail="no verdict"))
        (name,) = await to_landing(it)
        task = await it.until_stage(name, Stage.DONE)
        assert task.counters.land_red == 0
        assert len(it.commands.calls) == 2


async def test_G12_test_runs_without_a_verdict_have_a_cap_and_the_train_goes_on() -> None:
    async with line(NO_CI) as it:
        real = it.commands._judge

        def judge(sha: str) -> CommandReport:
            if "DEMO-1.py" in it.repository.commits[sha].files:  # type: ignore[index]
                return CommandReport(verdict=CommandVerdict.TIMEOUT, tail="it hangs")
            return real(sha)

        it.commands._judge = judge  # type: ignore[method-assign]
        first, second = await to_landing(it, "It hangs", "It does not")
        task = await it.until_parked(first)
        assert task.park is not None
        assert task.park.reason is ParkReason.INFRASTRUCTURE
        assert "it hangs" in task.park.evidence
        await it.until_stage(second, Stage.DONE)


async def test_main_that_moves_under_the_test_is_planned_anew_and_nothing_lands_untested() -> None:
    async with line(NO_CI) as it:
        gate = it.faults.hold_next("mirror.push_candidate")
        (name,) = await to_landing(it)
        await gate.reached.wait()
        theirs = it.repository.push_elsewhere({"other.py": "theirs\n"})
        gate.open()
        task = await it.until_stage(name, Stage.DONE)
        assert it.repository.commits[it.repository.main].parents == (theirs,)
        assert task.counters.land_red == 0
        assert len(it.commands.tested) == 2
        await audit(it)


async def test_a_dirty_working_tree_makes_the_landing_wait_saying_so_and_tests_once() -> None:
    async with line(NO_CI) as it:
        it.mirror.answers.extend([Pushed(result=PushResult.DIRTY, detail="app.py")] * 30)
        (name,) = await to_landing(it)
        await it.until(lambda tx: "uncommitted changes" in tx_task(tx, name).note)
        await it.until_stage(name, Stage.DONE, within_s=400)
        assert len(it.commands.calls) == 1
        assert (await it.task(name)).note == ""
        await audit(it)


async def test_a_dirty_tree_and_a_main_that_moved_meanwhile_is_tested_anew() -> None:
    async with line(NO_CI) as it:
        it.mirror.answers.append(Pushed(result=PushResult.DIRTY, detail="app.py"))
        (name,) = await to_landing(it)
        await it.until(lambda tx: "uncommitted changes" in tx_task(tx, name).note)
        it.repository.push_elsewhere({"other.py": "theirs\n"})
        await it.until_stage(name, Stage.DONE)
        assert len(it.commands.calls) == 2
        await audit(it)


async def test_a_push_that_the_server_refuses_parks_and_can_be_resumed() -> None:
    async with line(NO_CI) as it:
        it.mirror.answers.append(Pushed(result=PushResult.REFUSED, detail="protected branch"))
        (name,) = await to_landing(it)
        task = await it.until_parked(name)
        assert task.park is not None
        assert "protected branch" in task.park.evidence
        assert (await it.decide(name, Decision.RESUME)).verb is Verb.DONE
        await it.until_stage(name, Stage.DONE)
        await audit(it)


async def test_what_is_in_main_already_is_recorded_without_a_push() -> None:
    async with line(NO_CI) as it:
        (name,) = await to_landing(it, frozen=True)
        head = (await it.task(name)).head
        assert head is not None
        it.repository.set_main(it.repository.commit(dict(it.repository.commits[head].files), (it.repository.main,), "by hand"))
        await thaw(it)
        task = await it.until_stage(name, Stage.DONE)
        assert task.landed == it.repository.main
        assert it.faults.written("main") == []


async def test_a_freeze_holds_the_landing_and_not_the_test() -> None:
    async with line(NO_CI) as it:
        (name,) = await to_landing(it)
        await it.until(lambda tx: any(run.kind == "land" for run in tx.list_runs(running=True)))
        await freeze(it)
        await it.settle(60)
        assert it.faults.written("main") == []
        assert len(it.commands.tested) == 1
        await thaw(it)
        await it.until_stage(name, Stage.DONE)


async def test_S8_a_fix_lands_under_a_freeze_before_the_others() -> None:
    async with line(NO_CI) as it:
        first, fix = await to_landing(it, "An ordinary one", "The fix of it all", frozen=True)
        await it.write(lambda tx: tx.save_task(replace(tx_task(tx, fix), exempt=True)))
        await it.until_stage(fix, Stage.DONE)
        assert (await it.task(first)).stage is Stage.DEPLOY_STAGING
        await thaw(it)
        await it.until_stage(first, Stage.DONE)


async def test_a_lost_hint_only_delays_a_landing() -> None:
    async with line(NO_CI) as it:
        (name,) = await to_landing(it, frozen=True)
        await it.settle(5)
        await it.write(lambda tx: tx.lift_freeze(DEMO))  # nobody tells the repo's actor
        await it.until_stage(name, Stage.DONE, within_s=40)


async def test_a_remote_that_is_down_only_delays() -> None:
    async with line(NO_CI) as it:
        (name,) = await to_landing(it, frozen=True)
        it.faults.fail_next("mirror.fetch", TransientError("git", "fetch", "no route"), times=5)
        await thaw(it)
        task = await it.until_stage(name, Stage.DONE)
        assert task.counters.infrastructure == 0


async def test_G12_a_candidate_that_can_never_be_built_parks_its_task_and_the_next_one_lands() -> None:
    async with line(NO_CI) as it:
        first, second = await to_landing(it, "Cannot be built", "Can be built", frozen=True)
        it.mirror.broken[(await it.task(first)).head] = "bad object"  # type: ignore[index]
        await thaw(it)
        task = await it.until_parked(first)
        assert task.park is not None
        assert "bad object" in task.park.evidence
        await it.until_stage(second, Stage.DONE)


# ------------------------------------------------------------------------------------------------ cut off in the middle


async def test_a_push_whose_answer_was_lost_is_resolved_by_asking_git_and_lands_once() -> None:
    async with line(NO_CI) as it:
        it.faults.fail_after("mirror.push_candidate", TransientError("git", "push", "connection reset"))
        (name,) = await to_landing(it)
        task = await it.until_stage(name, Stage.DONE)
        assert it.repository.history[1:] == [task.landed]
        assert len(it.commands.calls) == 1
        await audit(it)


async def test_a_push_that_takes_for_ever_is_resolved_by_asking_git() -> None:
    async with line(NO_CI) as it:
        gate = it.faults.hold_next("mirror.push_candidate")
        (name,) = await to_landing(it)
        await gate.reached.wait()
        await it.settle(CRITICAL_S + 60)
        task = await it.task(name)
        assert task.stage is Stage.DONE
        assert it.repository.history[1:] == [task.landed]
        await audit(it)


async def test_a_record_that_the_store_refuses_for_a_while_is_made_by_asking_git() -> None:
    async with line(NO_CI) as it:
        gate = it.faults.hold_next("mirror.push_candidate")
        (name,) = await to_landing(it)
        await gate.reached.wait()
        it.g.store.full = True
        gate.open()
        await it.settle(100)
        assert it.faults.written("main") != []
        it.g.store.full = False
        task = await it.until_stage(name, Stage.DONE)
        assert it.repository.history[1:] == [task.landed]
        await audit(it)


@pytest.mark.parametrize("landed", [True, False])
async def test_G10_a_kill_between_push_and_record_is_answered_by_asking_git(landed: bool) -> None:
    async with Ground(NO_CI) as ground:
        async with running(ground) as it:
            gate = it.faults.hold_next("mirror.push_candidate")
            (name,) = await to_landing(it)
            await gate.reached.wait()
            intent = (await it.read(lambda tx: tx.open_intents()))[0]
            assert intent.candidate is not None
            if landed:
                it.repository.set_main(intent.candidate.sha)
        async with running(ground) as it:
            task = await it.until_stage(name, Stage.DONE)
            assert it.repository.history[1:] == [task.landed]
            if landed:
                assert task.landed == intent.candidate.sha
            await it.settle(5)
            assert [line.cause for line in await it.history(name)].count("landed") == 1
            await audit(it)


async def test_S5_a_lease_that_was_taken_over_records_nothing() -> None:
    """Somebody else has taken the lease while the push was on its way: what landed is found by asking git, once."""
    async with line(NO_CI) as it:
        gate = it.faults.hold_next("mirror.push_candidate")
        (name,) = await to_landing(it)
        await gate.reached.wait()
        await it.write(lambda tx: tx.take_lease(DEMO, "somebody else"))
        gate.open()
        task = await it.until_stage(name, Stage.DONE)
        assert it.repository.history[1:] == [task.landed]
        await it.settle(5)
        assert [line.cause for line in await it.history(name)].count("landed") == 1
        await audit(it)


async def test_S4_a_member_that_was_parked_after_its_test_does_not_land() -> None:
    async with line(NO_CI) as it:
        gate = it.faults.hold_next("commands.run")
        (name,) = await to_landing(it)
        await gate.reached.wait()
        await it.write(lambda tx: tx.save_task(replace(tx_task(tx, name), park=make_park(), train_seq=None)))
        gate.open()
        await it.settle(60)
        assert it.faults.written("main") == []


async def test_S4_a_head_that_moved_after_the_test_is_tested_again() -> None:
    async with line(NO_CI) as it:
        gate = it.faults.hold_next("commands.run")
        (name,) = await to_landing(it)
        await gate.reached.wait()
        task = await it.task(name)
        assert task.head is not None
        newer = it.repository.branches[task.branch] = it.repository.change(task.head, {"more.py": "x\n"}, "one more")
        await it.write(lambda tx: tx.save_task(replace(tx_task(tx, name), head=newer)))
        gate.open()
        await it.until_stage(name, Stage.DONE)
        assert "more.py" in it.repository.commits[it.repository.main].files
        await audit(it)


async def test_a_disk_that_is_full_while_a_landing_is_tested_only_delays() -> None:
    async with line(NO_CI) as it:
        gate = it.faults.hold_next("commands.run")
        (name,) = await to_landing(it)
        await gate.reached.wait()
        it.g.store.full = True
        gate.open()
        await it.settle(120)
        it.g.store.full = False
        await it.until_stage(name, Stage.DONE)
        assert it.supervisor.ready() == {}


async def test_G11_a_landing_whose_code_crashes_takes_nobody_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = landing._push
    crashes = [RuntimeError("a bug")] * 2

    async def buggy(room, intended):  # type: ignore[no-untyped-def]
        if crashes:
            raise crashes.pop()
        return await real(room, intended)

    monkeypatch.setattr(landing, "_push", buggy)
    async with line(NO_CI, strict=False) as it:
        (name,) = await to_landing(it)
        await it.until_stage(name, Stage.DONE)
        assert not crashes
        assert await it.read(lambda tx: tx.list_runs(running=True)) == []


def test_a_store_error_is_no_reason_to_eject() -> None:
    """The taxonomy that the landing relies on: what the store does is never the task's."""
    assert not issubclass(StoreError, TransientError | PermanentError)
