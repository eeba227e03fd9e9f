"""kill -9 at every side effect of a landing of several tasks: the next start finishes it, each member lands exactly once.

The tasks stand in the landing queue before the daemon starts, so nothing but the train is at work; one of them is broken.
"""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from orch.core.model import Task
from tests.gitrepo import Repo
from tests.scenario.crash.daemon import POLL_S, Daemon, Place, make_place, repo_of
from tests.scenario.crash.plans import TRAIN
from tests.scenario.queued import Wanted, place

pytestmark = pytest.mark.timeout(300)
WAIT_S = 90.0
MEMBERS = 4
KILLED = -9
STEPS = (
    *(f"{name}:1" for name in TRAIN),
    *("check.begun:2", "check.recorded:2", "landing.planned:2", "landing.member:2", "landing.member:3", "landing.member:4"),
    *("command.checked-out:1", "command.ended:2", "pull.merged:2", "branch.deleted:1", "store.worked:5", "store.committed:6"),
)
BEFORE = {"intent.asked:1": "landing.intended:1", "intent.resolved:1": "main.pushed:1"}


def part(name: str, *, good: bool = True) -> dict[str, str | None]:
    return {f"parts/{name}.txt": f"task: {name}\nneeds: nothing\nstate: {'final' if good else 'bad'}\n"}


def set_out(folder: Path) -> tuple[Place, list[Task]]:
    """Make the repository and the queue: good ones, and a broken one among them."""
    where = make_place(folder)
    where.data.mkdir()
    wanted = [Wanted(title=f"Good {n}", commits=(part(f"good{n}"), {f"notes/{n}": "x\n"})) for n in range(MEMBERS)]
    wanted.insert(2, Wanted(title="Broken", commits=(part("broken", good=False),)))
    person = Repo(folder / "source")
    person.git("fetch", "--quiet", "origin")
    tasks = anyio.run(_place, where.data, person, wanted)
    return where, tasks


async def _place(data: Path, person: Repo, wanted: Sequence[Wanted]) -> list[Task]:
    return await place(data, person, wanted, project="crash", prefix="CRASH")


def rows(where: Place, sql: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"{(where.data / 'orch.db').as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]


def live(where: Place, failpoint: str = "") -> int:
    """Live one life until it dies at *failpoint*, or until everything has landed; return the exit code."""
    daemon, until = Daemon(where, failpoint=failpoint), time.monotonic() + WAIT_S
    try:
        while daemon.code() is None:
            assert time.monotonic() < until, daemon.tail()
            if not failpoint and (where.data / "orch.db").exists() and is_finished(where):
                daemon.ask_to_stop()
                return daemon.end()
            time.sleep(POLL_S)
    except BaseException:
        daemon.kill()
        daemon.end()
        raise
    return daemon.end()


def is_finished(where: Place) -> bool:
    """Say whether the good ones have landed, and whatever is told of that is told; the broken one was sent back."""
    tasks = rows(where, "SELECT title, landed FROM task")
    good = all(task["landed"] is not None for task in tasks if task["title"] != "Broken")
    back = rows(where, "SELECT 1 FROM transition WHERE cause = 'land_red'")
    return good and bool(back) and not rows(where, "SELECT 1 FROM outbox WHERE state = 'pending' AND kind = 'MarkMerged'")


def faults(where: Place, tasks: list[Task]) -> list[str]:
    """Return what is wrong with what is left."""
    repo, found = repo_of(where), []
    values = repo.git("log", "--walk-reflogs", "--format=%H %T", "refs/heads/main").splitlines()[::-1]
    green = {row["tree"] for row in rows(where, "SELECT tree FROM train_check WHERE verdict = 'green'")}
    for (before, _), (after, tree) in pairwise(value.split() for value in values):
        if tree not in green:
            found.append(f"main became {after}, which was never tested")
        repo.git("merge-base", "--is-ancestor", before, after)
    if rows(where, "SELECT 1 FROM intent WHERE state = 'open'"):
        found.append("an intent is open")
    if rows(where, "SELECT 1 FROM train_check WHERE verdict IS NULL"):
        found.append("a check has no verdict")
    causes = rows(where, "SELECT task, cause FROM transition")
    places = rows(where, "SELECT row, landed, landed_seq FROM task WHERE landed IS NOT NULL ORDER BY landed_seq")
    if [place["landed_seq"] for place in places] != list(range(1, MEMBERS + 1)):
        found.append(f"the places are {places}")
    for task in tasks:
        told = [line["cause"] for line in causes if line["task"] == task.row]
        broken = task.title == "Broken"
        if (told.count("landed"), told.count("land_red")) != ((0, 1) if broken else (1, 0)):
            found.append(f"{task.title}: {told}")
    subjects = repo.subjects("main")
    for task in tasks:
        steps = [subject for subject in subjects if subject.startswith(f"{task.work_item}: step")]
        if len(steps) != (0 if task.title == "Broken" else 2):
            found.append(f"{task.title} is in main as {steps}")
    pulls = rows(where, "SELECT number, state FROM local_pull")
    merged = {pull["number"] for pull in pulls if pull["state"] == "merged"}
    if merged != {task.pr_number for task in tasks if task.title != "Broken"}:
        found.append(f"the pull requests are {pulls}")
    return found


@pytest.mark.parametrize("step", STEPS)
def test_G10_a_death_at_any_step_of_a_landing_of_several_lands_each_once(step: str, tmp_path: Path) -> None:
    where, tasks = set_out(tmp_path)
    if step in BEFORE:
        assert live(where, BEFORE[step]) == KILLED
    assert live(where, step) == KILLED, f"the landing never came by {step}"
    assert live(where) == 0
    assert faults(where, tasks) == []
