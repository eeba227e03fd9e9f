"""How each failpoint is reached in the crash story, and how random lives are drawn.

Owns: the passing at which a name is worth dying at, and what must have happened in an earlier life. Rule: a plan reaches its
failpoint always; a test fails where it does not.
"""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from orch.failpoints import NAMES
from tests.scenario.crash.person import STORY, THIRD, Person
from tests.scenario.crash.story import Life

BACKUP = tuple(name for name in NAMES if name.startswith("backup."))
"""These need somebody who asks for a backup."""
RULINGS = ("landing.ruled",)
"""These need a task that is sent back by the train: no issue of the story is."""
CARDS = ("board.archived",)
"""These need a card that is put away."""
DEPLOYS = tuple(name for name in NAMES if name.startswith("deploy."))
"""Each of these is died at once in ``test_deploys``, with two tries."""
STORY_NAMES = tuple(name for name in NAMES if name not in (*BACKUP, *RULINGS, *CARDS, *DEPLOYS))
RANDOM_NAMES = (*STORY_NAMES, *DEPLOYS)
"""What a random life may die at."""
TRAIN = tuple(name for name in NAMES if name.partition(".")[0] in ("landing", "check", "candidate", "main", "intent"))
"""What a landing of several tasks comes by."""

PASSING = {
    "store.begun": 40,
    "store.worked": 50,
    "store.committed": 60,
    "issue.read": 2,
    "issue.handled": 3,
    "job.claimed": 2,
    "run.begun": 3,
    "workspace.cut": 4,
    "workspace.laid-out": 5,
    "process.spawned": 2,
    "agent.ended": 5,
    "archive.kept": 2,
    "run.recording": 3,
    "run.recorded": 4,
    "branch.pushing": 2,
    "branch.pushed": 4,
    "outbox.due": 7,
    "outbox.written": 9,
    "outbox.done": 12,
    "landing.planned": 2,
}
"""The passing that kills, where it is not the first."""

CUT_OFF = Life(failpoint="process.spawned:2")
"""A life that leaves a process tree and a running job to the next."""
BEFORE = {
    "intent.asked": Life(failpoint="landing.intended:1"),
    "intent.resolved": Life(failpoint="main.pushed:1"),
    **{name: CUT_OFF for name in NAMES if name.startswith(("start.", "recovery."))},
}

OFTEN = {"store": 60, "outbox": 20, "status": 6, "comment": 8, "inbox": 4, "issue": 4}
SELDOM = {"main": 2, "landing": 2, "candidate": 2, "intent": 1, "pull": 2, "start": 1, "recovery": 1, "stop": 1, "trigger": 2}
EARLY = ("board.created", "board.commented", "board.moving", "board.moved", "mirror.made", "task.created", "inbox.written")
STAGES = ("analysis", "architecture", "development", "review", "testing", "deploy-staging")
PASSES = 4


def plan_for(name: str) -> list[Life]:
    """Return the lives that lead to *name* and end there."""
    stop_at = "development" if name.startswith("stop.") else ""
    last = Life(failpoint=f"{name}:{PASSING.get(name, 1)}", stop_at=stop_at)
    return [BEFORE[name], last] if name in BEFORE else [last]


def random_person(random: Random) -> Person:
    """Draw where the third issue is stopped."""
    third = replace(THIRD, stop_at=random.choice((*STAGES, "deploy")))
    return Person(wishes=tuple(third if wish is THIRD else wish for wish in STORY))


def random_lives(random: Random, most: int) -> Iterator[Life]:
    """Draw up to *most* lives, at least half of that: most die at a failpoint, some at any moment, some while they stop."""
    for number in range(random.randint((most + 1) // 2, most)):
        dice = random.random()
        if dice < 0.25:
            yield Life(kill_after_s=random.uniform(0.2, 4.0))
            continue
        name = random.choice([name for name in RANDOM_NAMES if number < 2 or name not in EARLY])
        area = name.partition(".")[0]
        passes = OFTEN.get(area) or SELDOM.get(area) or PASSES
        stop_at = random.choice(STAGES) if area == "stop" else ""
        yield Life(failpoint=f"{name}:{random.randint(1, passes)}", stop_at=stop_at)
