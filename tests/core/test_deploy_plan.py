"""Whose turn it is to be deployed, and what goes along."""

from dataclasses import replace

import pytest

from orch.core.deploy_plan import Deliver, DeployFacts, Hold, Postpone, Start, Void, carried_with, plan_deploy
from orch.core.ids import TaskRow
from orch.core.model import Awaiting, ParkReason
from orch.core.stages import Stage
from tests.builders import NOW, later, make_deploy, make_park, sha
from tests.core.deploy_samples import CONFIRMED, FAILED, FREEZE, NEW, RUNNING, at, good, parked

PLANS: list[tuple[str, DeployFacts, object]] = [
    ("nobody waits", DeployFacts(waiting=[]), Hold(why="nothing")),
    ("nobody has decided", DeployFacts(waiting=[at(1, Awaiting.CONFIRM), at(2, Awaiting.GATE)]), Hold(why="nothing")),
    ("one is confirmed", DeployFacts(waiting=[at(1)]), Start(task=TaskRow(1), sha=sha(1))),
    ("in landing order", DeployFacts(waiting=[at(3), at(2, Awaiting.CONFIRM), at(1)]), Start(task=TaskRow(1), sha=sha(1))),
    ("landed before that was recorded", DeployFacts(waiting=[at(1), at(2, landed_seq=None)]), Start(task=TaskRow(2), sha=sha(2))),
    ("one at a time", DeployFacts(waiting=[at(1)], running=RUNNING), Hold(why="running")),
    ("parked", DeployFacts(waiting=[replace(at(1), park=make_park())]), Hold(why="nothing")),
    ("being stopped", DeployFacts(waiting=[at(1, cancel_requested_at=NOW)]), Hold(why="nothing")),
    (
        "never one that production holds",
        DeployFacts(waiting=[at(1)], last=good(2), held={sha(1): True}),
        Deliver(task=TaskRow(1), by=good(2)),
    ),
    (
        "delivered while it is asked",
        DeployFacts(waiting=[at(1, Awaiting.CONFIRM)], last=good(2), held={sha(1): True}),
        Deliver(task=TaskRow(1), by=good(2)),
    ),
    (
        "delivered though parked",
        DeployFacts(waiting=[parked(1)], last=good(2), held={sha(1): True}),
        Deliver(task=TaskRow(1), by=good(2)),
    ),
    (
        "delivered though declined",
        DeployFacts(waiting=[parked(1, ParkReason.DEPLOY_DECLINED)], last=good(2), held={sha(1): True}),
        Deliver(task=TaskRow(1), by=good(2)),
    ),
    (
        "delivered under a freeze and beside a deploy",
        DeployFacts(waiting=[at(1)], last=good(2), held={sha(1): True}, freeze=FREEZE, running=RUNNING),
        Deliver(task=TaskRow(1), by=good(2)),
    ),
    (
        "not while its own deploy runs",
        DeployFacts(waiting=[parked(1)], last=good(2), held={sha(1): True}, running=make_deploy(at(1))),
        Hold(why="running"),
    ),
    ("git was not asked yet", DeployFacts(waiting=[at(3)], last=good(2)), Hold(why="asking")),
    ("git says it is new", DeployFacts(waiting=[at(3)], last=good(2), held=NEW), Start(task=TaskRow(3), sha=sha(3))),
    ("not while a rollback runs", DeployFacts(waiting=[at(1, exempt=True)], rolling_back=True), Hold(why="rolling back")),
    ("a freeze voids", DeployFacts(waiting=[at(1)], freeze=FREEZE), Void(task=TaskRow(1), freeze=FREEZE)),
    ("a freeze is waited out", DeployFacts(waiting=[at(1)], freeze=FREEZE, confirm=False), Hold(why="frozen")),
    (
        "a fix passes, and takes along what landed before it",
        DeployFacts(waiting=[at(1), at(2, exempt=True)], freeze=FREEZE, confirm=False),
        Start(task=TaskRow(2), sha=sha(2)),
    ),
    (
        "a failure voids earlier confirms",
        DeployFacts(waiting=[at(1)], failed=FAILED, confirmed={TaskRow(1): later(5)}),
        Void(task=TaskRow(1)),
    ),
    ("a failure voids what needed none", DeployFacts(waiting=[at(1)], failed=FAILED, confirm=False), Void(task=TaskRow(1))),
    (
        "a confirm after the failure counts",
        DeployFacts(waiting=[at(1)], failed=FAILED, confirmed=CONFIRMED, confirm=False),
        Start(task=TaskRow(1), sha=sha(1)),
    ),
    (
        "and is voided by a freeze like any confirm",
        DeployFacts(waiting=[at(1)], failed=FAILED, confirmed=CONFIRMED, confirm=False, freeze=FREEZE),
        Void(task=TaskRow(1), freeze=FREEZE),
    ),
    (
        "a freeze between two tries",
        DeployFacts(waiting=[at(8, Awaiting.DEPLOYING)], running=replace(RUNNING, due_at=later(90)), freeze=FREEZE),
        Postpone(deploy=replace(RUNNING, due_at=later(90)), freeze=FREEZE),
    ),
    (
        "a freeze between two tries of a fix",
        DeployFacts(waiting=[at(8, Awaiting.DEPLOYING, exempt=True)], running=replace(RUNNING, due_at=later(90)), freeze=FREEZE),
        Hold(why="running"),
    ),
    (
        "a freeze before an agent was claimed",
        DeployFacts(waiting=[at(8, Awaiting.DEPLOYING)], running=RUNNING, freeze=FREEZE, queued=True),
        Postpone(deploy=RUNNING, freeze=FREEZE),
    ),
    (
        "a freeze during a try",
        DeployFacts(waiting=[at(8, Awaiting.DEPLOYING)], running=RUNNING, freeze=FREEZE),
        Hold(why="running"),
    ),
]


@pytest.mark.parametrize(("name", "facts", "plan"), PLANS, ids=[name for name, _, _ in PLANS])
def test_whose_turn_it_is(name: str, facts: DeployFacts, plan: object) -> None:
    assert plan_deploy(facts) == plan


def test_a_deploy_carries_what_landed_before_it_whatever_became_of_that() -> None:
    stopped = replace(at(2), stage=Stage.CANCELLED, awaiting=Awaiting.NOTHING)
    waiting = [at(4), parked(1), stopped, at(3, Awaiting.CONFIRM)]
    assert [int(task.row) for task in carried_with(at(3), waiting)] == [1, 2, 3]
