"""Stories of staging and deploy: who may set it off, what a failure does, and what a deploy survives."""

import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import anyio
import psutil
import pytest

from orch.adapters.http import connect_api
from orch.core.model import DeploySettings
from tests.scenario.story import POLL_S, WITHIN_S, Json, Person, Story

MARK = str(60_000 + os.getpid())
"""How long the processes of hostile deploys sleep: a number of this test process's own, by which they are found."""


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    yield Story(tmp_path)
    for process in sleeping():
        process.kill()


def sleeping() -> list[psutil.Process]:
    found = [each for each in psutil.process_iter(["cmdline", "status"]) if MARK in (each.info["cmdline"] or [])]
    return [each for each in found if each.info["status"] != psutil.STATUS_ZOMBIE]


def deploy(story: Story, script: str, **fields: object) -> Path:
    """Let the project be deployed by a shell script; what it writes goes to the returned file."""
    log = story.folder / "deployed.log"
    command = ("sh", "-c", script.replace("LOG", str(log)))
    story.project(deploy=DeploySettings(command=command, **fields))  # type: ignore[arg-type]
    return log


async def asked(person: Person, title: str = "Greet the world") -> str:
    """Take an issue to where a person is asked about its deploy."""
    issue = await person.start(title)
    await person.approve(issue)
    await person.until(issue, lambda it: it["awaiting"] == "confirm")
    return issue


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        await anyio.sleep(POLL_S)


def comments(story: Story, issue: str) -> str:
    """Return what stands on an issue's card."""
    with closing(sqlite3.connect(f"file:{story.data / 'orch.db'}?mode=ro", uri=True)) as store:
        rows = store.execute("SELECT text FROM local_comment WHERE issue = ? ORDER BY created_at", (issue,)).fetchall()
    return "\n".join(str(row[0]) for row in rows)


# ------------------------------------------------------------------------------------------------ who sets it off


async def test_an_everyday_approve_never_deploys_and_confirm_deploy_does(story: Story) -> None:
    log = deploy(story, "cat app/new >> LOG; echo $ORCH_RUN_SHA >> LOG")
    story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}})
    async with story.daemon() as person:
        issue = await asked(person)
        await person.until_column(issue, "awaiting_deploy")
        task = await person.task(issue)
        assert task["landed"] == story.repo.tip("main")
        await person.move(issue, "approved")
        await person.until_column(issue, "awaiting_deploy")
        await person.post(f"/tasks/{issue}/approve", {"shown": task["shown"]}, status=409)
        assert not log.exists()
        await person.move(issue, "confirm_deploy")
        await person.until_stage(issue, "done")
        await person.until_column(issue, "done")
        told = comments(story, issue)
        for words in (task["landed"], "This deploy carries:", "What changes:", "app/new", "Tested before it landed: exit 0"):
            assert words in told
    assert log.read_text(encoding="utf-8") == f"1\n{task['landed']}\n"


async def test_without_confirm_it_deploys_at_once(story: Story) -> None:
    log = deploy(story, "echo deployed >> LOG", confirm=False)
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until_stage(issue, "done")
    assert log.read_text(encoding="utf-8") == "deployed\n"


async def test_a_deploy_that_fails_parks_and_nothing_deploys_without_a_new_confirm(story: Story) -> None:
    log = deploy(story, "echo try >> LOG; echo it is broken; test $(wc -l < LOG) -ge 2", confirm=False)
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        task = await person.until_parked(issue)
        assert task["parked"]["reason"] == "deploy-failed"
        assert "it is broken" in task["parked"]["evidence"]
        await person.until_column(issue, "blocked")
        await person.decide(issue, "resume")
        await person.until(issue, lambda it: it["awaiting"] == "confirm")
        assert log.read_text(encoding="utf-8") == "try\n"
        await person.decide(issue, "confirm-deploy")
        await person.until_stage(issue, "done")
    assert log.read_text(encoding="utf-8") == "try\ntry\n"


async def test_a_declined_deploy_parks_and_deploys_nothing(story: Story) -> None:
    log = deploy(story, "echo deployed >> LOG")
    async with story.daemon() as person:
        issue = await asked(person)
        await person.move(issue, "rejected")
        task = await person.until_parked(issue)
        assert task["parked"]["reason"] == "deploy-declined"
    assert not log.exists()


async def test_the_later_one_confirmed_first_delivers_the_earlier_one_too(story: Story) -> None:
    log = deploy(story, "echo $ORCH_RUN_SHA >> LOG")
    async with story.daemon() as person:
        first = await asked(person)
        second = await asked(person, "Say goodbye")
        await person.decide(second, "confirm-deploy")
        await person.until_stage(second, "done")
        await person.until_stage(first, "done")
        await person.until_column(first, "done")
        assert f"delivered with {second}" in comments(story, first)
    assert log.read_text(encoding="utf-8").split() == [story.repo.tip("main")]


async def test_a_freeze_voids_a_confirm_that_waits_for_its_turn(story: Story) -> None:
    go = story.folder / "go"
    log = deploy(story, f"echo $ORCH_RUN_TASK >> LOG; while ! test -e {go}; do sleep 0.05; done")
    async with story.daemon() as person:
        first = await asked(person)
        second = await asked(person, "Say goodbye")
        await person.decide(first, "confirm-deploy")
        await until(log.exists)
        await person.decide(second, "confirm-deploy")
        block = (await person.get("/queue"))["deploy"]
        assert [row["id"] for row in block["running"]] == [first]
        assert [row["id"] for row in block["turn"]] == [second]
        assert f"{first} is being deployed" in block["turn"][0]["why"]
        await person.post("/serial-gate/freeze", {"project": "demo", "by": "Anna", "reason": "release day"})
        await person.until(second, lambda it: it["awaiting"] == "confirm")
        go.touch()
        await person.until_stage(first, "done")
        await person.post("/serial-gate/unfreeze", {"project": "demo", "by": "Anna"})
        await person.decide(second, "confirm-deploy")
        await person.until_stage(second, "done")
        last = (await person.get("/queue"))["deploy"]["last"]
        assert [(row["id"], row["sha"]) for row in last] == [(second, story.repo.tip("main"))]
    assert log.read_text(encoding="utf-8").split() == [first, second]


async def test_a_red_staging_goes_back_to_development_with_its_output(story: Story) -> None:
    story.project(deploy=DeploySettings(staging_command=("sh", "-c", "test -e app/ready || { echo not ready; exit 1; }")))
    story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}}, {"files": {"app/ready": "1\n"}})
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        task = await person.until_stage(issue, "done")
    assert "not ready" in story.prompt(task, "developer", 2)
    assert [line["cause"] for line in task["history"]].count("staging") == 1
    report = story.main()["docs/work-items/DEMO-1/09-staging.md"]
    assert report.startswith("---\nverdict: ok\n"), "the daemon wrote its report before the branch landed"
    story.audit()


# ------------------------------------------------------------------------------------------------ how it ends


async def test_exit_75_is_tried_again_and_exit_3_is_a_roll_back(story: Story) -> None:
    log = deploy(story, "echo try >> LOG; case $(wc -l < LOG) in 1) exit 75;; 2) exit 3;; esac")
    async with story.daemon() as person:
        issue = await asked(person)
        await person.decide(issue, "confirm-deploy")
        task = await person.until_parked(issue)
        assert "rolled back by itself" in task["parked"]["evidence"]
        assert [(each["state"], each["tries"], each["exit_code"]) for each in task["deploys"]] == [("rolled-back", 2, 3)]
        await person.decide(issue, "resume")
        await person.until(issue, lambda it: it["awaiting"] == "confirm")
        await person.decide(issue, "confirm-deploy")
        await person.until_stage(issue, "done")
    assert log.read_text(encoding="utf-8") == "try\ntry\ntry\n"
    assert sorted(path.name for path in (story.data / "deploys").iterdir()) == ["1-1", "1-2", "2-1"]
    assert not list((story.data / "deploys").glob("*/tree"))


async def test_at_its_time_limit_a_deploy_is_ended_whole_and_there_is_no_result(story: Story) -> None:
    hostile = f"for i in 1 2 3; do (setsid sh -c \"trap '' TERM; sleep {MARK}; sleep {MARK}\" &); done"
    deploy(story, f"{hostile}; trap '' TERM; sleep {MARK}; sleep {MARK}", timeout_s=3.0)
    async with story.daemon(stop_grace_s=0.3) as person:
        issue = await asked(person)
        await person.decide(issue, "confirm-deploy")
        await until(lambda: len(sleeping()) >= 4)
        task = await person.until_parked(issue)
        assert "No result" in task["parked"]["evidence"]
        assert sleeping() == []
        assert task["deploys"][0]["state"] == "no-result"
        assert next(run["outcome"] for run in task["runs"] if run["kind"] == "deploy") == "timed_out"


async def test_what_a_deploy_leaves_running_lives_on(story: Story) -> None:
    deploy(story, f"(setsid sleep {MARK} > /dev/null 2>&1 &); exit 0", confirm=False)
    async with story.daemon() as person:
        issue = await person.start("Greet the world")
        await person.approve(issue)
        await person.until_stage(issue, "done")
    async with story.daemon() as person:
        await person.get("/readyz")
        assert len(sleeping()) == 1, "no start takes it for an orphan"


# ------------------------------------------------------------------------------------------------ STOP


async def test_G6_STOP_before_the_deploy_says_where_the_code_is_and_the_next_deploy_carries_it(story: Story) -> None:
    log = deploy(story, "cat app/new >> LOG")
    story.script("DEMO-1", "developer", {"files": {"app/new": "1\n"}})
    async with story.daemon() as person:
        issue = await asked(person)
        answer = await person.post(f"/tasks/{issue}/stop", {"by": "Anna"})
        assert f"in main at `{story.repo.tip('main')}`, not deployed; the next deploy carries it" in answer["text"]
        await person.until_stage(issue, "cancelled")
        assert not log.exists()
        second = await asked(person, "Say goodbye")
        await until(lambda: f"{issue} Greet the world (stopped)" in comments(story, second))
        await person.decide(second, "confirm-deploy")
        await person.until_stage(second, "done")
    assert log.read_text(encoding="utf-8") == "1\n"


async def test_G6_STOP_between_two_tries_acts_at_once(story: Story) -> None:
    log = deploy(story, "echo try >> LOG; exit 75")
    async with story.daemon() as person:
        issue = await asked(person)
        await person.decide(issue, "confirm-deploy")
        task = await person.until(issue, lambda it: any(each["tries"] == 3 and each["due_at"] for each in it["deploys"]))
        assert "STOP acts at once" in task["waiting"]
        answer = await person.post(f"/tasks/{issue}/stop", {"by": "Anna"})
        assert "not deployed" in answer["text"]
        await person.until_stage(issue, "cancelled")
        assert (await person.get("/queue"))["deploy"]["running"] == []
        task = await person.task(issue)
        assert [(each["state"], each["tries"], each["due_at"]) for each in task["deploys"]] == [("withdrawn", 3, None)]
    assert log.read_text(encoding="utf-8") == "try\ntry\ntry\n"


# ------------------------------------------------------------------------------------------------ lives of the daemon


def by_command(story: Story, script: str, *lines: str) -> Path:
    """Write the configuration of the story's project with a deploy, for daemons in processes of their own."""
    return story.configure(*lines, f"deploy = {{ command = {json.dumps(['sh', '-c', script])}, timeout_s = 60 }}")


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
async def test_G10_a_deploy_outlives_its_daemon_and_the_next_one_reads_the_verdict(story: Story, sign: signal.Signals) -> None:
    begun, go = story.folder / "begun", story.folder / "go"
    file = by_command(story, f"echo x >> {begun}; while ! test -e {go}; do sleep 0.05; done")
    with story.process(config=file) as process:
        person = await story.person_of(process)
        issue = await asked(person)
        await person.decide(issue, "confirm-deploy")
        await until(begun.exists)
        process.send_signal(sign)
        await anyio.to_thread.run_sync(process.wait)
    with story.process(config=file) as process:
        person = await story.person_of(process)
        await person.until_column(issue, "deploying")
        go.touch()
        task = await person.until_stage(issue, "done")
        assert [(each["state"], each["tries"]) for each in task["deploys"]] == [("succeeded", 1)]
    assert begun.read_text(encoding="utf-8") == "x\n", "it was executed once"


async def test_G10_a_result_that_came_while_no_daemon_lived_is_read(story: Story) -> None:
    begun, go, over = (story.folder / name for name in ("begun", "go", "over"))
    file = by_command(story, f"touch {begun}; while ! test -e {go}; do sleep 0.05; done; touch {over}; exit 3")
    with story.process(config=file) as process:
        person = await story.person_of(process)
        issue = await asked(person)
        await person.decide(issue, "confirm-deploy")
        await until(begun.exists)
    go.touch()
    await until(over.exists)
    with story.process(config=file) as process:
        person = await story.person_of(process)
        task = await person.until_parked(issue)
        assert "rolled back" in task["parked"]["evidence"]


SELF = """
set -e
echo replacing >> LOG
pid=$(PYTHON -c 'import json; print(json.load(open("DATA/daemon.json"))["pid"])')
rm DATA/daemon.json
kill -TERM $pid
while kill -0 $pid 2> /dev/null; do sleep 0.05; done
PYTHONPATH=ROOT setsid PYTHON -m orch serve --config CONFIG --port 0 --data-dir DATA > DATA/second.log 2>&1 &
while ! test -s DATA/daemon.json; do sleep 0.05; done
echo replaced >> LOG
"""


async def test_a_project_that_deploys_this_daemon_replaces_it_and_the_new_one_reads_the_verdict(story: Story) -> None:
    log, root = story.folder / "deployed.log", Path(__file__).parents[2]
    script = SELF.replace("PYTHON ", f"{sys.executable} ").replace("DATA", str(story.data)).replace("LOG", str(log))
    script = script.replace("CONFIG", str(story.folder / "orch.toml")).replace("ROOT", str(root))
    file = by_command(story, script, "self_hosting = true")
    with story.process(config=file) as process:
        person = await story.person_of(process)
        issue = await asked(person)
        await person.decide(issue, "confirm-deploy")
        assert await anyio.to_thread.run_sync(process.wait) == 0, "the first daemon ends in good order"
    await until(lambda: log.exists() and "replaced" in log.read_text())
    try:
        second: Json = json.loads((story.data / "daemon.json").read_text(encoding="utf-8"))
        assert second["pid"] != process.pid
        person = Person(connect_api(story.data))
        task = await person.until_stage(issue, "done")
        assert [(each["state"], each["tries"]) for each in task["deploys"]] == [("succeeded", 1)]
        await person.until_column(issue, "done")
        again = await asked(person, "Say goodbye")
        assert (await person.task(again))["landed"] == story.repo.tip("main"), "the new daemon does its work"
    finally:
        daemon = psutil.Process(json.loads((story.data / "daemon.json").read_text(encoding="utf-8"))["pid"])
        daemon.terminate()
        await anyio.to_thread.run_sync(daemon.wait, 20)
    assert log.read_text(encoding="utf-8") == "replacing\nreplaced\n"
