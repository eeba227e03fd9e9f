"""A person pushes to a task's branch while its agent works: the result is put on top of that, and nothing is written over."""

from dataclasses import replace
from pathlib import Path

import pytest

from orch.core.ids import Sha
from orch.core.messages import RefusalKind
from orch.core.model import RunMode
from orch.ports.git import Prepared
from tests.gitrepo import Repo
from tests.integration.git_desk import BRANCH, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def second_run(desk: Desk) -> tuple[Prepared, Repo]:
    """A run on a branch that stands on the forge already."""
    prepared, agent = await desk.prepare()
    agent.commit({"first.py": "1\n"}, "the first run")
    head = (await desk.collected(prepared)).facts.head
    desk.next_run(RunMode.NEW_ATTEMPT, base=prepared.base, head=head)
    return await desk.prepare()


def push(desk: Desk, files: dict[str, str | bytes | None]) -> Sha:
    desk.person.git("fetch", "--quiet", "origin")
    desk.person.switch(BRANCH, f"origin/{BRANCH}")
    made = desk.person.commit(files, "a person's", author="Pat Person")
    desk.person.git("push", "--quiet", "origin", BRANCH)
    return made


async def test_the_run_is_replayed_on_a_person_s_push_commit_by_commit(desk: Desk) -> None:
    prepared, agent = await second_run(desk)
    agent.commit({"x.py": "1\n"}, "one")
    agent.commit({"y.py": "2\n"}, "two")
    theirs = push(desk, {"person.py": "p\n"})
    facts = (await desk.collected(prepared)).facts
    assert desk.remote.tip(BRANCH) == facts.head == facts.code_head
    assert desk.remote.subjects(f"{theirs}..{BRANCH}") == ["one", "two"]
    assert {"first.py", "x.py", "y.py", "person.py"} <= desk.remote.tree(BRANCH).keys()
    assert desk.inside.tip("refs/agents/2/2") == agent.tip(), "the run's own result is kept as it was"


async def test_a_conflict_refuses_the_run_and_leaves_the_person_s_push(desk: Desk) -> None:
    prepared, agent = await second_run(desk)
    agent.commit({"first.py": "the agent's\n"}, "one")
    theirs = push(desk, {"first.py": "the person's\n"})
    await desk.workspace.archive(desk.spec)
    refusal = await desk.refused(prepared)
    assert (refusal.kind, "first.py" in refusal.reason, theirs[:12] in refusal.reason) == (
        RefusalKind.REPLAY_CONFLICT,
        True,
        True,
    )
    assert desk.remote.tip(BRANCH) == theirs
    assert desk.inside.tree("refs/orch/archive/7/2")["first.py"] == "the agent's"


async def test_a_run_that_began_with_a_merge_keeps_it(desk: Desk) -> None:
    prepared, agent = await second_run(desk)
    main = desk.person.commit({"landed.py": "l\n"}, "landed meanwhile")
    desk.person.git("push", "--quiet", "origin", "main")
    desk.next_run(RunMode.NEW_ATTEMPT)
    desk.spec = replace(desk.spec, merge_main=True)
    prepared, agent = await desk.prepare()
    agent.commit({"x.py": "1\n"}, "one")
    push(desk, {"person.py": "p\n"})
    facts = (await desk.collected(prepared)).facts
    assert desk.remote.git("merge-base", facts.head, main) == main
    assert {"x.py", "person.py", "landed.py"} <= desk.remote.tree(BRANCH).keys()


async def test_a_run_that_changed_nothing_leaves_the_push_as_it_is(desk: Desk) -> None:
    prepared, _ = await second_run(desk)
    theirs = push(desk, {"person.py": "p\n"})
    assert (await desk.collected(prepared)).facts.head == theirs


async def test_G10_a_crash_between_the_replay_s_push_and_its_record_loses_nothing_of_the_person_s(desk: Desk) -> None:
    prepared, agent = await second_run(desk)
    agent.commit({"x.py": "1\n"}, "one")
    push(desk, {"person.py": "p\n"})
    await desk.collected(prepared)  # pushed, and never recorded: the next attempt begins on the old head
    desk.next_run(RunMode.NEW_ATTEMPT)
    prepared, agent = await desk.prepare()
    agent.commit({"z.py": "3\n"}, "anew")
    await desk.collected(prepared)
    assert {"person.py", "x.py", "z.py"} <= desk.remote.tree(BRANCH).keys()
