"""The merge train: several at once, one after the other, and what becomes of those that cannot land."""

import itertools
from dataclasses import replace

import pytest

from actors import train as train_shell
from orch.core.errors import TransientError
from orch.core.messages import CommandReport, CommandVerdict, Decision, Verb
from orch.core.model import Awaiting, CiSource, FreezeCause, LandStyle, ParkReason, Task
from orch.core.stages import Role, Stage
from orch.ports import Pushed, PushResult
from tests.builders import DEMO, make_limits, make_project
from tests.fakes.git import tree_of
from tests.fakes.line import Ground, Line, line, tx_task
from tests.fakes.line import running as running_line
from tests.fakes.train import (
    audit,
    checks,
    enqueue,
    enqueue_many,
    freeze,
    hint,
    running,
    thaw,
    train,
    until_landed,
)

NO_CI = make_project(ci=CiSource.OFF)
FOUR = make_limits(test_slots=4)


async def verdicts(it: Line) -> list[tuple[int, str | None]]:
    return [(len(row.members), row.verdict) for row in await checks(it)]


# ------------------------------------------------------------------------------------------------ landing together


async def test_tasks_that_are_green_together_land_with_one_run_and_each_as_its_own_commit() -> None:
    async with line(NO_CI) as it:
        names = await enqueue_many(it, 5)
        hint(it)
        tasks = await until_landed(it, *names)
        assert await verdicts(it) == [(5, "green")]
        assert [task.landed_seq for task in tasks] == [1, 2, 3, 4, 5]
        shas = [task.landed for task in tasks]
        assert len(set(shas)) == 5
        assert (shas[-1], it.repository.history[1:]) == (it.repository.main, [it.repository.main])
        for before, after in itertools.pairwise(shas):
            assert before is not None
            assert after is not None
            assert it.repository.commits[after].parents == (before,)
        await it.settle(5)
        assert {(await it.task(name)).stage for name in names} == {Stage.DONE}
        row = await train(it)
        assert (row.landings, row.landed, row.checks, row.wasted, len(row.waits)) == (1, 5, 1, 0, 5)
        await audit(it)


@pytest.mark.parametrize("style", LandStyle)
async def test_every_style_lands_them_all(style: LandStyle) -> None:
    async with line(replace(NO_CI, land_style=style)) as it:
        names = await enqueue_many(it, 3)
        hint(it)
        await until_landed(it, *names)
        assert {f"file{n}.py" for n in range(3)} <= set(it.repository.commits[it.repository.main].files)
        await audit(it)


async def test_S11_evenly_spaced_prefixes_are_tested_at_once_and_the_longest_green_one_lands() -> None:
    async with line(NO_CI, limits=FOUR) as it:
        names = await enqueue_many(it, 20)
        hint(it)
        await it.settle(1)
        assert sorted(len(members) for members in await running(it)) == [5, 10, 15, 20]
        await until_landed(it, *names)
        assert it.commands.peak == 4
        assert len(it.repository.history) == 2
        await audit(it)


async def test_L2_a_task_that_comes_later_cancels_no_run_and_is_tested_beside_it() -> None:
    async with line(NO_CI, limits=make_limits(test_slots=2)) as it:
        it.commands.seconds = 100
        first = await enqueue_many(it, 1)
        hint(it)
        await it.settle(10)
        later = await enqueue(it, {"later.py": "x\n"})
        hint(it)
        await it.settle(10)
        assert await running(it) == [first, [*first, later]]
        await until_landed(it, *first, later)
        assert (it.commands.cancelled, await verdicts(it)) == (0, [(1, "green"), (2, "green")])
        await audit(it)


async def test_a_hint_that_comes_during_a_round_is_not_lost() -> None:
    async with line(NO_CI, limits=make_limits(test_slots=2)) as it:
        warm = await enqueue(it, {"warm.py": "x\n"})
        hint(it)
        await until_landed(it, warm)
        await it.settle(5)
        it.commands.seconds = 100
        first = await enqueue(it, {"first.py": "x\n"})
        gate = it.faults.hold_next("mirror.build_candidate")
        hint(it)
        await gate.reached.wait()
        second = await enqueue(it, {"second.py": "x\n"})
        hint(it)
        await it.settle()
        gate.open()
        await it.settle(1)
        assert await running(it) == [[first], [first, second]]
        await until_landed(it, first, second)


async def test_the_chain_behind_a_landed_prefix_keeps_its_run() -> None:
    """What is tested behind the prefix that lands is the same tree afterwards: its verdict counts."""
    async with line(NO_CI, limits=make_limits(test_slots=2)) as it:
        first = await enqueue(it, {"first.py": "x\n"})
        hint(it)
        await it.settle(1)
        it.commands.seconds = 50
        second = await enqueue(it, {"second.py": "x\n"})
        hint(it)
        await until_landed(it, first)
        assert await running(it) == [[first, second]]
        await until_landed(it, second)
        assert len(it.commands.calls) == 2
        await audit(it)


# ------------------------------------------------------------------------------------------------ who cannot land


def clash(files: dict[str, str]) -> bool:
    """Red where one renames what the other still uses."""
    return not ("new_name" in files and "uses_old_name" in files) and not any("RED" in text for text in files.values())


@pytest.mark.parametrize("slots", [1, 2, 4])
async def test_S6_of_a_semantic_pair_the_second_goes_back_and_everybody_else_lands(slots: int) -> None:
    async with line(NO_CI, limits=make_limits(test_slots=slots)) as it:
        it.commands.rule = lambda files: clash(dict(files))
        one = await enqueue(it, {"new_name": "x\n", "shared.py": "one\n"})
        others = await enqueue_many(it, 3)
        two = await enqueue(it, {"uses_old_name": "x\n", "new.py": "x\n"})
        last = await enqueue(it, {"last.py": "x\n"})
        hint(it)
        await until_landed(it, one, *others, last)
        await it.until(lambda tx: tx_task(tx, two).counters.land_red == 1)
        rows, row = await checks(it), (await it.task(two)).row
        reds = [check for check in rows if check.verdict == "red" and check.members and check.members[-1].task == row]
        pair = next(check for check in reds if [other.tree for other in reds].count(check.tree) >= 2)
        (before,) = it.repository.commits[pair.sha].parents
        without = tree_of(it.repository, before)
        assert any(check.verdict == "green" and check.tree == without for check in rows), "main without it is green"
        assert not any(check.verdict == "green" and check.tree == pair.tree for check in rows)
        assert (await train(it)).ejected == 1
        await audit(it)


async def test_a_broken_task_goes_back_with_the_tests_output_and_who_touched_the_same_files() -> None:
    async with line(NO_CI) as it:
        start = it.repository.main
        earlier = await enqueue(it, {"app.py": "old\n", "there": "x\n"})
        hint(it)
        await until_landed(it, earlier)
        it.commands.rule = lambda files: "bad" not in files
        bad = await enqueue(it, {"bad": "x\n", "there": "x\n"}, start=start)
        hint(it)
        await it.until(lambda tx: tx_task(tx, bad).counters.land_red == 1)
        await it.settle(5)
        feedback = it.prompts.of(Role.DEVELOPER)[-1].feedback
        assert feedback.kind == "land_red"
        assert ("FAILED tests" in feedback.text, earlier in feedback.text, "there" in feedback.text) == (True, True, True)


async def test_a_task_that_conflicts_with_one_before_it_is_held_with_the_reason_and_goes_back_when_that_has_landed() -> None:
    async with line(NO_CI, limits=make_limits(test_slots=2)) as it:
        it.commands.seconds = 100
        first = await enqueue(it, {"same.py": "first\n"})
        second = await enqueue(it, {"same.py": "second\n"})
        third = await enqueue(it, {"third.py": "x\n"})
        hint(it)
        await it.settle(5)
        held = dict((await train(it)).held)
        assert list(held) == [(await it.task(second)).row]
        told = held[(await it.task(second)).row]
        assert (first in told, "same.py" in told) == (True, True)
        assert (await it.task(second)).counters.conflict == 0
        assert [first, third] in await running(it)
        await until_landed(it, first, third)
        await it.until(lambda tx: tx_task(tx, second).counters.conflict == 1)
        assert (await train(it)).held == ()
        await audit(it)


async def test_a_task_held_by_one_that_leaves_lands_after_all() -> None:
    async with line(NO_CI) as it:
        it.commands.seconds = 100
        first = await enqueue(it, {"same.py": "first\n"})
        second = await enqueue(it, {"same.py": "second\n"})
        hint(it)
        await it.settle(5)
        assert await running(it) == [[first]]
        await it.decide(first, Decision.STOP)
        await until_landed(it, second)
        assert (await it.task(second)).counters.conflict == 0
        await audit(it)


async def test_L1_a_branch_that_cannot_be_built_is_parked_for_what_it_is_and_holds_up_nobody() -> None:
    async with line(NO_CI) as it:
        broken = await enqueue(it, {"a": "x\n"})
        good = await enqueue(it, {"b": "x\n"})
        head = (await it.task(broken)).head
        assert head is not None
        it.mirror.broken[head] = "more than 5000 commits"
        hint(it)
        await until_landed(it, good)
        task = await it.until_parked(broken)
        assert task.park is not None
        assert (task.park.reason, "more than 5000" in task.park.evidence) == (ParkReason.INFRASTRUCTURE, True)


async def test_a_flaky_test_ejects_nobody() -> None:
    async with line(NO_CI, limits=make_limits(test_slots=2)) as it:
        names = await enqueue_many(it, 4)
        it.commands.reports.extend([CommandReport(verdict=CommandVerdict.RED, tail="flaky")] * 2)
        hint(it)
        await until_landed(it, *names)
        assert {(await it.task(name)).counters.land_red for name in names} == {0}
        assert (await train(it)).ejected == 0
        await audit(it)


async def test_a_green_run_of_exactly_that_tree_is_not_repeated() -> None:
    """CI runs are checks too: where the train is empty and the branch stands on main's tip, its tree has its verdict already."""
    async with line(make_project(ci=CiSource.LOCAL)) as it:
        issue = await it.start()
        await it.approve(issue)
        task = await it.until_stage(issue, Stage.REVIEW)
        (row,) = await checks(it)
        assert task.code_head is not None
        assert (row.sha, row.tree, row.verdict) == (task.code_head, tree_of(it.repository, task.code_head), "green")
        await it.until_stage(issue, Stage.DONE)
        calls = len(it.commands.calls)
        again = await enqueue(it, {}, start=it.repository.main)
        rows = await checks(it)
        head = it.repository.change(it.repository.main, {"known.py": "x\n"}, "known")
        known = replace(rows[-1], tree=tree_of(it.repository, head), sha=head, verdict=None, run=None)
        begun = await it.write(lambda tx: tx.add_check(known))
        await it.write(lambda tx: tx.end_check(replace(begun, verdict="green")))
        placed = await it.task(again)
        it.repository.branches[placed.branch] = head
        await it.write(lambda tx: tx.save_task(replace(placed, head=head, code_head=head)))
        hint(it)
        (landed,) = await until_landed(it, again)
        assert (landed.landed, len(it.commands.calls)) == (it.repository.main, calls)


# ------------------------------------------------------------------------------------------------ STOP


async def test_a_STOP_cancels_only_the_runs_that_contain_its_task() -> None:
    async with line(NO_CI, limits=FOUR) as it:
        it.commands.seconds = 100
        names = await enqueue_many(it, 20)
        hint(it)
        await it.settle(5)
        await it.decide(names[11], Decision.STOP)
        await it.settle(5)
        assert it.commands.cancelled == 2, "the prefixes of fifteen and of twenty"
        kept = await running(it)
        assert (names[:5] in kept, names[:10] in kept) == (True, True)
        await until_landed(it, *names[:11], *names[12:])
        stopped = await it.task(names[11])
        assert (stopped.stage, stopped.landed) == (Stage.CANCELLED, None)
        assert "file11.py" not in it.repository.commits[it.repository.main].files
        assert (await train(it)).wasted == 2
        await audit(it)


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_G6_a_STOP_of_any_member_during_the_push_waits_and_is_told_the_truth(position: int) -> None:
    async with line(NO_CI) as it:
        gate = it.faults.hold_next("mirror.push_candidate")
        names = await enqueue_many(it, 3)
        hint(it)
        await gate.reached.wait()
        answer = await it.decide(names[position], Decision.STOP)
        assert (answer.verb, "landing under way" in answer.text) == (Verb.DONE, True)
        gate.open()
        await until_landed(it, *names)
        await it.settle(5)
        assert {(await it.task(name)).stage for name in names} == {Stage.DONE}, "it had landed, and there is no deploy"
        await audit(it)


async def test_G6_a_STOP_that_waited_for_a_push_that_was_refused_is_carried_out_and_the_others_land() -> None:
    async with line(NO_CI) as it:
        gate = it.faults.hold_next("mirror.push_candidate")
        names = await enqueue_many(it, 3)
        hint(it)
        await gate.reached.wait()
        await it.decide(names[1], Decision.STOP)
        it.repository.push_elsewhere({"theirs": "x\n"})
        gate.open()
        await until_landed(it, names[0], names[2])
        assert ((await it.task(names[1])).stage, (await it.task(names[1])).landed) == (Stage.CANCELLED, None)
        assert "file1.py" not in it.repository.commits[it.repository.main].files
        assert (await train(it)).lost_swaps == 1
        await audit(it)


# ------------------------------------------------------------------------------------------------ main


async def test_a_red_main_freezes_blames_nobody_and_lets_a_fix_through() -> None:
    async with line(NO_CI) as it:
        it.commands.rule = lambda files: "broken" not in files
        it.repository.push_elsewhere({"broken": "x\n"})
        names = await enqueue_many(it, 2)
        hint(it)
        await it.until(lambda tx: tx.load_repo(DEMO).freeze is not None)
        repo = await it.read(lambda tx: tx.load_repo(DEMO))
        assert repo.freeze is not None
        assert repo.freeze.cause is FreezeCause.RED_MAIN
        assert "freeze" in [alert.kind for alert in it.g.notifier.alerts]
        await it.settle(100)
        calls = len(it.commands.calls)
        await it.settle(300)
        assert len(it.commands.calls) == calls, "nothing is tested again that nobody changed"
        assert {(await it.task(name)).counters.land_red for name in names} == {0}
        fix = await enqueue(it, {"broken": None}, exempt=True)
        hint(it)
        await until_landed(it, fix)
        await thaw(it)
        await until_landed(it, *names)
        assert (await train(it)).frozen_s > 300
        await audit(it)


async def test_where_no_machine_may_freeze_a_red_main_is_told_once_and_holds_until_it_is_mended() -> None:
    async with line(NO_CI, limits=make_limits(serial_gate_freeze_enabled=False)) as it:
        it.commands.rule = lambda files: "broken" not in files
        it.repository.push_elsewhere({"broken": "x\n"})
        names = await enqueue_many(it, 2)
        hint(it)
        await it.until(lambda tx: tx.load_train(DEMO).red_main is not None)
        await it.settle(300)
        calls = len(it.commands.calls)
        await it.settle(300)
        assert (len(it.commands.calls), await it.read(lambda tx: tx.load_repo(DEMO).freeze)) == (calls, None)
        assert [alert.kind for alert in it.g.notifier.alerts].count("red-main") == 1
        it.repository.push_elsewhere({"broken": None})
        hint(it)
        await until_landed(it, *names)
        await audit(it)


async def test_a_person_who_lifts_a_freeze_has_a_red_main_tested_again() -> None:
    async with line(NO_CI, limits=make_limits(serial_gate_freeze_enabled=False)) as it:
        it.commands.rule = lambda files: False
        names = await enqueue_many(it, 1)
        hint(it)
        await it.until(lambda tx: tx.load_train(DEMO).red_main is not None)
        it.commands.rule = lambda files: True
        await freeze(it)
        hint(it)
        await it.settle(5)
        await thaw(it)
        await until_landed(it, *names)


async def test_S8_under_a_freeze_everything_is_tested_and_only_a_fix_lands() -> None:
    async with line(NO_CI, limits=make_limits(test_slots=2)) as it:
        await freeze(it)
        names = await enqueue_many(it, 2)
        hint(it)
        await it.settle(60)
        assert (2, "green") in await verdicts(it)
        fix = await enqueue(it, {"fix.py": "x\n"}, exempt=True)
        hint(it)
        await until_landed(it, fix)
        assert {(await it.task(name)).landed for name in names} == {None}
        await thaw(it)
        await until_landed(it, *names)
        await audit(it)


async def test_a_push_of_somebody_else_is_planned_around_and_nothing_lands_untested() -> None:
    async with line(NO_CI, limits=make_limits(test_slots=2)) as it:
        it.commands.seconds = 20
        names = await enqueue_many(it, 4)
        hint(it)
        await it.settle(10)
        it.repository.push_elsewhere({"theirs": "x\n"})
        hint(it)
        await until_landed(it, *names)
        assert it.commands.cancelled == 1
        await audit(it)


async def test_new_commands_void_the_old_verdicts() -> None:
    """A candidate that passed under the old test command does not land after the reload."""
    async with line(NO_CI) as it:
        await freeze(it)
        names = await enqueue_many(it, 2)
        hint(it)
        await it.settle(60)
        assert await verdicts(it) == [(2, "green")]
        it.g.projects = (replace(NO_CI, test_command=("make", "stricter")),)
        it.commands.rule = lambda files: "file1.py" not in files
        await thaw(it)
        await until_landed(it, names[0])
        await it.until(lambda tx: tx_task(tx, names[1]).counters.land_red == 1)
        assert ("make", "stricter") in [argv for argv, _ in it.commands.calls]
        assert "file1.py" not in it.repository.commits[it.repository.main].files


async def test_a_reload_between_plan_and_landing_lands_nothing_that_was_tested_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line(NO_CI) as it:
        stricter = replace(NO_CI, test_command=("make", "stricter"))

        def reload(name: str) -> None:
            if name == "landing.planned" and it.commands.calls:
                it.g.projects = (stricter,)

        monkeypatch.setattr(train_shell, "hit", reload)
        names = await enqueue_many(it, 1)
        hint(it)
        await until_landed(it, *names)
        assert [argv for argv, _ in it.commands.calls] == [NO_CI.test_command, stricter.test_command]


async def test_a_run_that_began_under_other_commands_than_it_was_meant_for_has_no_verdict() -> None:
    async with line(NO_CI) as it:
        gate = it.faults.hold_next("mirror.checkout")
        names = await enqueue_many(it, 1)
        hint(it)
        await gate.reached.wait()
        it.commands.tools = "another compiler"
        gate.open()
        await until_landed(it, *names)
        environments = [row.environment for row in await checks(it)]
        assert len(set(environments)) == 2


# ------------------------------------------------------------------------------------------------ what others do


async def test_a_merge_by_somebody_else_takes_the_task_on_without_us() -> None:
    async with line(NO_CI) as it:
        it.commands.seconds = 100
        names = await enqueue_many(it, 3)
        hint(it)
        await it.settle(5)
        head = (await it.task(names[1])).head
        assert head is not None
        files = {**it.repository.commits[it.repository.main].files, **it.repository.commits[head].files}
        it.repository.set_main(it.repository.commit(files, (it.repository.main, head), "merged by somebody else"))
        hint(it)
        await it.settle(5)
        task = await it.task(names[1])
        assert (task.stage, task.landed) == (Stage.DONE, it.repository.main)
        await until_landed(it, *names)
        await audit(it)


async def test_a_squashed_merge_by_somebody_else_is_seen_by_its_content() -> None:
    async with line(replace(NO_CI, merge_gate=False)) as it:
        (name,) = await enqueue_many(it, 1)
        hint(it)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.MERGE)
        await it.settle(100)
        assert (it.faults.written("main"), len(it.commands.calls)) == ([], 0)
        it.repository.push_elsewhere({"file0.py": "0\n"})
        hint(it)
        task = await it.until_stage(name, Stage.DONE)
        assert task.landed == it.repository.main


async def test_the_merge_gate_switched_on_again_lands_what_waited() -> None:
    async with line(replace(NO_CI, merge_gate=False)) as it:
        (name,) = await enqueue_many(it, 1)
        hint(it)
        await it.until(lambda tx: tx_task(tx, name).awaiting is Awaiting.MERGE)
        it.g.projects = (NO_CI,)
        it.supervisor.configured()
        await until_landed(it, name)
        await audit(it)


async def test_a_persons_push_to_a_queued_branch_takes_the_task_out_and_back_through_its_gates() -> None:
    async with line(NO_CI) as it:
        it.commands.seconds = 50
        names = await enqueue_many(it, 2)
        hint(it)
        await it.settle(5)
        task = await it.task(names[0])
        assert task.head is not None
        it.repository.branches[task.branch] = it.repository.change(task.head, {"by-hand.py": "x\n"}, "by hand")
        hint(it)
        await it.settle(5)
        assert "branch-moved" in [each.cause for each in await it.history(names[0])]
        await until_landed(it, names[1])
        await until_landed(it, names[0])
        assert "by-hand.py" in it.repository.commits[it.repository.main].files
        await audit(it)


async def test_a_forced_push_in_mid_run_parks_and_what_was_tested_with_it_does_not_land() -> None:
    async with line(NO_CI) as it:
        gate = it.faults.hold_next("commands.run")
        names = await enqueue_many(it, 2)
        hint(it)
        await gate.reached.wait()
        task = await it.task(names[0])
        it.repository.branches[task.branch] = it.repository.change(it.repository.main, {"other.py": "x\n"}, "rewritten")
        gate.open()
        await until_landed(it, names[1])
        parked = await it.until_parked(names[0])
        assert parked.park is not None
        assert parked.park.reason is ParkReason.BRANCH_FORCED
        assert {"file0.py", "other.py"}.isdisjoint(it.repository.commits[it.repository.main].files)
        await audit(it)


# ------------------------------------------------------------------------------------------------ pushes that fail


async def test_a_push_of_several_that_is_refused_is_tried_with_the_first_alone_and_the_others_come_after_it() -> None:
    """A rule of the server that one member breaks (a protected file) is no reason to hold the others up for good."""
    async with line(NO_CI) as it:
        it.mirror.answers.append(Pushed(result=PushResult.REFUSED, detail="protected branch"))
        names = await enqueue_many(it, 3)
        hint(it)
        for name in names[1:]:
            task = await it.until_parked(name)
            assert task.park is not None
            assert "protected branch" in task.park.evidence
        await until_landed(it, names[0])
        await until_landed(it, *names)  # nobody resumes them: the park clears by itself
        await audit(it)


async def test_one_that_is_refused_alone_is_parked_and_the_others_land_without_it() -> None:
    async with line(NO_CI) as it:
        it.mirror.answers.extend([Pushed(result=PushResult.REFUSED, detail="protected from changing file a.lock")] * 2)
        names = await enqueue_many(it, 3)
        hint(it)
        for name in names:
            await it.until(lambda tx, name=name: tx_task(tx, name).park is not None)  # type: ignore[misc]
        await until_landed(it, *names[1:])
        await it.decide(names[0], Decision.RESUME)
        await until_landed(it, *names)
        await audit(it)


async def test_G10_a_landing_of_several_that_was_cut_off_is_resolved_for_all_of_them() -> None:
    async with Ground(NO_CI) as ground, running_line(ground) as it:
        it.faults.fail_after("mirror.push_candidate", TransientError("git", "push", "connection reset"))
        names = await enqueue_many(it, 3)
        hint(it)
        await it.until(lambda tx: tx_task(tx, names[0]).landed is not None)
        tasks: list[Task] = await until_landed(it, *names)
        assert tasks[-1].landed == it.repository.main
        assert [task.landed_seq for task in tasks] == [1, 2, 3]
        await audit(it)


async def test_G10_checks_of_an_earlier_life_are_interrupted_and_begun_again() -> None:
    async with Ground(NO_CI) as ground:
        async with running_line(ground) as it:
            it.commands.seconds = 1000
            names = await enqueue_many(it, 2)
            hint(it)
            await it.settle(5)
            assert len(await running(it)) == 1
        ground.commands.seconds = 1
        async with running_line(ground) as it:
            await until_landed(it, *names)
            assert await verdicts(it) == [(2, "interrupted"), (2, "green")]
            await audit(it)


async def test_G11_a_check_that_hangs_is_tried_thrice_and_then_its_task_is_parked_and_the_rest_lands() -> None:
    async with line(NO_CI) as it:
        real = it.commands._judge

        def judge(sha: str) -> CommandReport:
            if "file1.py" in it.repository.commits[sha].files:  # type: ignore[index]
                return CommandReport(verdict=CommandVerdict.TIMEOUT, tail="it hangs")
            return real(sha)

        it.commands._judge = judge  # type: ignore[method-assign]
        names = await enqueue_many(it, 3)
        hint(it)
        parked = await it.until_parked(names[1])
        assert parked.park is not None
        assert (parked.park.reason, "it hangs" in parked.park.evidence) == (ParkReason.INFRASTRUCTURE, True)
        await until_landed(it, names[0], names[2])
        assert (await it.task(names[1])).counters.returns() == 0
