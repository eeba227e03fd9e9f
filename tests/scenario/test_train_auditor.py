"""The proof of the merge train on real git: forty tasks of every kind through a real daemon, then an auditor.

Some are clean, some conflict, some are red only together, some alone, some flake, one is forced and one is pushed to in mid-run,
and somebody else pushes to main meanwhile. Afterwards every value that main ever had is checked out and tested from scratch, and
its tree is compared with the trees that the daemon says it tested; and each task's outcome is what its kind demands.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import anyio
import pytest

from orch.core.model import Task
from tests.gitrepo import Repo
from tests.scenario.queued import Wanted, clone_of, place
from tests.scenario.story import POLL_S, Json, Person, Story

pytestmark = pytest.mark.timeout(300)
CHECK = """#!/bin/sh
# Green unless a file says RED, something uses a name that nothing defines, or a flaky thing is met for the first time.
if grep -rqs RED app; then echo "FAILED: something is RED"; exit 1; fi
for name in $(cat app/use_* 2>/dev/null); do
  test -e "app/def_$name" || { echo "FAILED: $name is used and not defined"; exit 1; }
done
if test -n "$ORCH_CACHE_DIR"; then
  for flaky in app/flaky_*; do
    test -e "$flaky" || continue
    mkdir "$ORCH_CACHE_DIR/$(basename "$flaky")" 2>/dev/null && { echo "FAILED: $flaky, but not always"; exit 1; }
  done
fi
sleep 0.05
"""
FILES = {"check.sh": CHECK, "app/def_old0": "x\n", "app/def_old1": "x\n", "app/start": "x\n"}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A task, how often its landing is refused for what (*causes*), and what its developer does about it."""

    title: str
    changes: Mapping[str, str | None]
    causes: Mapping[str, int] = field(default_factory=dict)
    mend: Mapping[str, Any] | None = None


def kinds() -> list[Kind]:
    """Return forty tasks, in the order of the queue."""
    clean = [Kind(title=f"Clean {n}", changes={f"app/clean{n}": f"{n}\n"}) for n in range(22)]
    flaky = [Kind(title=f"Flaky {n}", changes={f"app/flaky_{n}": f"{n}\n"}) for n in range(3)]
    broken = [
        Kind(
            title=f"Broken {n}",
            changes={f"app/broken{n}": "RED\n"},
            causes={"land_red": 1},
            mend={"files": {f"app/broken{n}": "mended\n"}},
        )
        for n in range(2)
    ]
    firsts, seconds = [], []
    for n in range(2):
        firsts.append(Kind(title=f"First to say {n}", changes={f"app/said{n}": "first\n"}))
        both = {"files": {f"app/said{n}": "first and second\n"}}
        seconds.append(Kind(title=f"Second to say {n}", changes={f"app/said{n}": "second\n"}, causes={"conflict": 1}, mend=both))
        firsts.append(Kind(title=f"Rename {n}", changes={f"app/def_old{n}": None, f"app/def_new{n}": "x\n"}))
        mend = {"files": {f"app/use_{n}": f"new{n}\n"}}
        seconds.append(Kind(title=f"Use {n}", changes={f"app/use_{n}": f"old{n}\n"}, causes={"land_red": 1}, mend=mend))
    late = [Kind(title="Forced", changes={"app/forced": "x\n"}), Kind(title="Pushed to", changes={"app/pushed": "x\n"})]
    mixed = [clean[:4], broken[:1], clean[4:8], firsts[:2], flaky[:1], clean[8:12], seconds[:2], broken[1:], flaky[1:2]]
    mixed += [clean[12:16], firsts[2:], clean[16:18], seconds[2:], flaky[2:], clean[18:], late]
    return [kind for group in mixed for kind in group]


async def finish(person: Person, names: Sequence[str], *, within_s: float = 150.0) -> dict[str, Json]:
    """Wait until every one of them has landed."""
    with anyio.fail_after(within_s):
        while True:
            tasks = {str(task["id"]): task for task in (await person.get("/tasks"))["tasks"]}
            if all(tasks[name]["stage"] == "done" for name in names):
                return tasks
            parked = {name: tasks[name]["parked"] for name in names if tasks[name]["parked"]}
            assert not parked, parked
            await anyio.sleep(5 * POLL_S)


async def until_testing(person: Person, holds: Callable[[Json], bool]) -> None:
    with anyio.fail_after(60):
        while True:
            if holds((await person.get("/queue"))["merge"]["queues"][0]):
                return
            await anyio.sleep(POLL_S)


def push_to_main(person: Repo, name: str) -> str:
    """Somebody else pushes to main, again until no landing comes in between."""
    for _ in range(50):
        person.git("fetch", "--quiet", "origin")
        person.switch("outside", "origin/main")
        person.commit({name: "x\n"}, f"somebody else: {name}")
        person.git("push", "--quiet", "origin", "outside:main", check=False)
        sha = person.tip()
        if person.git("ls-remote", "origin", "refs/heads/main").startswith(sha):
            return sha
    raise AssertionError("main never stood still")


def audit(story: Story, outside: set[str]) -> None:
    """S1, S2, S3 and S6 from what git and the store hold, without asking the daemon."""
    story.audit()
    values = story.repo.git("log", "--walk-reflogs", "--format=%H %T", "refs/heads/main").splitlines()[::-1]
    with closing(sqlite3.connect(story.data / "orch.db")) as connection:
        connection.row_factory = sqlite3.Row
        checks = [dict(row) for row in connection.execute("SELECT * FROM train_check ORDER BY id")]
        landed = [row["landed"] for row in connection.execute("SELECT landed FROM task WHERE landed IS NOT NULL")]
    green = {row["tree"] for row in checks if row["verdict"] == "green"}
    before = ""
    for value in values:
        sha, tree = value.split()
        if before:
            story.repo.git("merge-base", "--is-ancestor", before, sha)
            assert sha in outside or tree in green, f"{sha} was never tested"
        before = sha
    assert len(landed) == len(set(landed)), "each task landed as a commit of its own, once"
    for tree in {row["tree"] for row in checks if row["verdict"] == "red"}:
        verdicts = Counter(row["verdict"] for row in checks if row["tree"] == tree)
        assert verdicts["red"] <= 3, "no verdict is asked for again and again"


async def test_every_value_that_main_ever_had_was_tested_and_every_task_ends_as_its_kind_demands(tmp_path: Path) -> None:
    wanted = kinds()
    assert len(wanted) >= 30
    story = Story(tmp_path, files=FILES)
    person = clone_of(story.repo, tmp_path / "person")
    story.data.mkdir()
    tasks = await place(story.data, person, [Wanted(title=kind.title, commits=(kind.changes,)) for kind in wanted])
    by_title: dict[str, Task] = {task.title: task for task in tasks}
    for kind in wanted:
        if kind.mend is not None:
            story.script(by_title[kind.title].work_item, "developer", dict(kind.mend))
    forced, pushed = by_title["Forced"], by_title["Pushed to"]
    outside = set()
    async with story.daemon(test_slots=2, max_concurrency=2) as anna:
        await until_testing(anna, lambda queue: bool(queue["checks"]))
        outside.add(push_to_main(person, "app/outside0"))
        person.switch("rewritten", "origin/main")
        person.commit({"app/rewritten": "x\n"}, "rewritten")
        person.git("push", "--quiet", "--force", "origin", f"rewritten:{forced.branch}")
        person.switch(pushed.branch, f"origin/{pushed.branch}")
        person.commit({"app/by-hand": "x\n"}, "by hand")
        person.git("push", "--quiet", "origin", pushed.branch)
        await until_testing(anna, lambda queue: queue["landings"] > 0)
        outside.add(push_to_main(person, "app/outside1"))
        done = [task.work_item for task in tasks if task.title != "Forced"]
        await finish(anna, done)
        seen = {task.title: await anna.task(task.work_item) for task in tasks}
    audit(story, outside)
    for kind in wanted:
        causes = Counter(line["cause"] for line in seen[kind.title]["history"])
        told = {cause: causes[cause] for cause in ("conflict", "land_red") if causes[cause]}
        assert told == dict(kind.causes), kind.title
    assert seen["Forced"]["parked"]["reason"] == "branch-forced"
    assert "branch-moved" in [line["cause"] for line in seen["Pushed to"]["history"]]
    main = story.main()
    assert {"app/by-hand", "app/outside0", "app/outside1"} <= set(main)
    assert {"app/forced", "app/rewritten"}.isdisjoint(main)
    assert (main["app/said0"], main["app/use_1"]) == ("first and second", "new1")
