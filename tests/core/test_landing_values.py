"""The train's values: candidates, environments, what the planner sees of the queue and the checks, its memory."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.core.ids import CheckId, Epoch, IntentId, TaskRow
from orch.core.landing import (
    CANCELLED,
    WAITS_MAX,
    after_landing,
    checks_of,
    environment_of,
    heed_freeze,
    landing_members,
    make_candidate,
    percentiles,
    recall,
    remember,
    wait_of,
    waiting,
)
from orch.core.messages import CommandVerdict
from orch.core.model import (
    CheckRow,
    Freeze,
    FreezeCause,
    Intent,
    IntentKind,
    IntentState,
    Member,
    Project,
    Repo,
    Task,
    TrainRow,
    Transition,
)
from orch.core.stages import Stage
from orch.core.train import Chain, Link, Train, initial
from tests.builders import DEMO, NOW, later, make_project, make_task, sha


def link(number: int) -> Link:
    member = Member(task=TaskRow(number), head=sha(number))
    return Link(member=member, sha=sha(f"c{number}"), tree=sha(f"e{number}"))


CHAIN = Chain(base=sha("b"), base_tree=sha("b0"), links=(link(1), link(2), link(3)))


def check(number: int, verdict: str | None, environment: str = "here") -> CheckRow:
    return CheckRow(
        id=CheckId(number),
        project=DEMO,
        base=sha("b"),
        sha=sha("c"),
        tree=sha(number),
        members=(),
        environment=environment,
        verdict=verdict,
        started_at=NOW,
    )


def test_a_candidate_is_a_prefix_of_the_chain_and_knows_each_members_own_commit() -> None:
    made = make_candidate(DEMO, CHAIN, 2)
    assert (made.base, made.sha, made.tree) == (CHAIN.base, CHAIN.links[1].sha, CHAIN.links[1].tree)
    assert made.landed == {TaskRow(1): CHAIN.links[0].sha, TaskRow(2): CHAIN.links[1].sha}


@pytest.mark.parametrize(
    "changed",
    [
        {"test_command": ("make", "test")},
        {"setup_command": ("npm", "ci")},
        {"test_timeout_s": 5.0},
        {"sandbox_read": ("/opt",)},
    ],
)
def test_whatever_a_verdict_depends_on_changes_the_environment(changed: dict[str, Any]) -> None:
    project: Project = make_project()
    assert environment_of(replace(project, **changed), "linux") != environment_of(project, "linux")
    assert environment_of(project, "another host") != environment_of(project, "linux")
    assert environment_of(replace(project, language="ru", land_style=project.land_style), "linux") == environment_of(
        project, "linux"
    )


def test_only_checks_of_this_environment_that_somebody_needed_say_anything() -> None:
    rows = [check(1, "green"), check(2, "red", "elsewhere"), check(3, CANCELLED), check(4, None), check(5, "timeout")]
    seen = [(int(each.id), each.verdict) for each in checks_of(rows, "here")]
    assert seen == [(1, CommandVerdict.GREEN), (4, None), (5, CommandVerdict.TIMEOUT)]


def test_the_queue_is_in_the_order_of_entry_and_without_those_that_shall_stop() -> None:
    def task(number: int, **fields: Any) -> Task:
        return make_task(number, head=sha(number), train_seq=number, **fields)

    queue = [task(3, exempt=True), task(1), task(2, cancel_requested_at=NOW), make_task(4, train_seq=4)]
    assert [int(each.task) for each in waiting(queue, ())] == [1, 3]
    assert [int(each.task) for each in waiting(queue, {TaskRow(2)})] == [1, 2, 3]
    assert [each.exempt for each in waiting(queue, ())] == [False, True]


def test_every_member_of_an_open_landing_is_landing() -> None:
    candidate = make_candidate(DEMO, CHAIN, 2)
    fields: dict[str, Any] = {"id": IntentId(1), "project": DEMO, "state": IntentState.OPEN, "epoch": Epoch(1), "at": NOW}
    land = Intent(kind=IntentKind.LAND, candidate=candidate, task=TaskRow(1), **fields)
    stop = Intent(kind=IntentKind.STOP, candidate=None, task=TaskRow(3), **fields)
    assert landing_members([land, stop]) == {TaskRow(1), TaskRow(2)}


@given(
    width=st.integers(1, 200),
    suspect=st.none() | st.integers(1, 9),
    spent=st.none() | st.integers(1, 9),
    doubt=st.integers(0, 200),
)
def test_what_the_planner_remembers_survives_its_row(width: int, suspect: int | None, spent: int | None, doubt: int) -> None:
    train = Train(
        width=width,
        suspect=None if suspect is None else TaskRow(suspect),
        spent=None if spent is None else CheckId(spent),
        doubt=doubt,
    )
    assert recall(remember(TrainRow(project=DEMO), train), 4) == train
    assert recall(TrainRow(project=DEMO), 4) == initial(4)


def test_a_landing_is_counted_and_its_waits_are_kept_for_a_while() -> None:
    row = TrainRow(project=DEMO)
    for _ in range(WAITS_MAX):
        row = after_landing(row, [1.0, 3.0], 4)
    assert (row.landings, row.landed, len(row.waits)) == (WAITS_MAX, 2 * WAITS_MAX, WAITS_MAX)
    assert row.width is not None
    assert row.width > initial(4).width
    assert percentiles(row.waits) == (2.0, 3.0)
    assert percentiles(()) is None
    assert percentiles((5.0,)) == (5.0, 5.0)


def test_a_wait_begins_when_the_stage_was_entered() -> None:
    def line(seconds: float, source: Stage | None, target: Stage) -> Transition:
        return Transition(task=TaskRow(1), at=later(seconds), source=source, target=target, cause="x")

    history = [line(0, Stage.TESTING, Stage.DEPLOY_STAGING), line(50, Stage.DEPLOY_STAGING, Stage.DEPLOY_STAGING)]
    assert wait_of(history, later(60)) == 60.0
    assert wait_of([], NOW) == 0.0


def test_frozen_time_is_counted_and_a_lifted_freeze_has_a_red_main_tested_again() -> None:
    freeze = Freeze(project=DEMO, cause=FreezeCause.PERSON, since=NOW, by="anna")
    free, frozen = Repo(project=DEMO), Repo(project=DEMO, freeze=freeze)
    row = TrainRow(project=DEMO, red_main=sha("e"))
    assert heed_freeze(row, free, NOW) == row
    held = heed_freeze(row, frozen, NOW + timedelta(seconds=30))
    assert (held.frozen_since, held.red_main) == (NOW, sha("e"))
    assert heed_freeze(held, frozen, NOW + timedelta(seconds=40)) == held
    thawed = heed_freeze(held, free, NOW + timedelta(seconds=90))
    assert (thawed.frozen_s, thawed.frozen_since, thawed.red_main) == (90.0, None, None)
