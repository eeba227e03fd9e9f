"""How each failpoint is reached in the crash story, and how random lives are drawn.

Owns: the passing at which a name is worth dying at, and what must have happened in an earlier life. Rule: a plan reaches its
failpoint always; a test fails where it does not.
"""

from collections.abc import Iterator
from random import Random

from orch.failpoints import NAMES
from tests.scenario.crash.story import Life

BACKUP = tuple(name for name in NAMES if name.startswith("backup."))
"""These need somebody who asks for a backup."""
STORY_NAMES = tuple(name for name in NAMES if name not in BACKUP)

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

OFTEN = {"store": 150, "outbox": 60, "status": 15, "comment": 25, "inbox": 5, "issue": 5}
SELDOM = {"main": 2, "landing": 2, "candidate": 2, "intent": 1, "pull": 2, "start": 1, "recovery": 1, "stop": 1, "trigger": 2}
EARLY = ("board.created", "board.commented", "board.moving", "board.moved", "mirror.made", "task.created", "inbox.written")
STAGES = ("analysis", "architecture", "development", "review", "testing", "deploy-staging")
PASSES = 10


def plan_for(name: str) -> list[Life]:
    """Return the lives that lead to *name* and end there."""
    stop_at = "development" if name.startswith("stop.") else ""
    last = Life(failpoint=f"{name}:{PASSING.get(name, 1)}", stop_at=stop_at)
    return [BEFORE[name], last] if name in BEFORE else [last]


def random_lives(random: Random, most: int) -> Iterator[Life]:
    """Draw up to *most* lives: most die at a failpoint, some at any moment, some while they stop."""
    for number in range(random.randint(1, most)):
        dice = random.random()
        if dice < 0.25:
            yield Life(kill_after_s=random.uniform(0.2, 4.0))
            continue
        name = random.choice([name for name in STORY_NAMES if number < 2 or name not in EARLY])
        area = name.partition(".")[0]
        passes = OFTEN.get(area) or SELDOM.get(area) or PASSES
        stop_at = random.choice(STAGES) if area == "stop" else ""
        yield Life(failpoint=f"{name}:{random.randint(1, passes)}", stop_at=stop_at)
