"""Every end of a run is archived, and a continuation has all of it: commits, uncommitted changes, whatever git was left in."""

import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from orch.adapters.git import Git
from orch.adapters.git.snapshot import Shadow
from orch.core.errors import StoreError
from orch.core.ids import RunId, Sha
from orch.core.messages import RefusalKind
from orch.core.model import RunMode
from orch.core.stages import Role
from orch.ports.git import Prepared
from tests.integration.git_desk import BRANCH, FOLDER, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_G7_every_end_keeps_commits_changes_and_new_files(desk: Desk) -> None:
    _, agent = await desk.prepare()
    agent.commit({"done.py": "committed"})
    agent.write({"app.py": "changed", "new.py": "untracked", "README.md": None, ".gitignore": "*.log\n", "big.log": "ignored"})
    archive = await desk.workspace.archive(desk.spec)
    assert archive == desk.inside.tip("refs/orch/archive/7/1")
    kept = desk.inside.tree(archive)
    assert kept.items() >= {"done.py": "committed", "app.py": "changed", "new.py": "untracked"}.items()
    assert "README.md" not in kept
    assert "big.log" not in kept
    assert desk.inside.git("rev-parse", f"{archive}^") == agent.tip()


async def test_G7_a_change_within_the_second_in_which_the_file_was_laid_out_is_kept(desk: Desk) -> None:
    """Git takes a file of the same size and times for unchanged, and looks at whole seconds."""
    prepared, agent = await desk.prepare()
    place = desk.workspace.place(desk.spec.task)
    shadow = Shadow(Git(), place.folder / "shadow.git", place.worktree, desk.mirror.objects, sha256=False)
    file, index = agent.path / "app.py", shadow.dir / "index"
    changed = file.read_text(encoding="utf-8").swapcase()
    while True:  # until both fall into one second
        file.unlink()
        await shadow.check_out(prepared.start_head)
        file.write_text(changed, encoding="utf-8")
        if int(file.stat().st_ctime) == int(index.stat().st_mtime):
            break
    while int(time.time()) == int(index.stat().st_mtime):  # noqa: ASYNC110 - it is the clock that says so
        await anyio.sleep(0.01)
    archive = await desk.workspace.archive(desk.spec)
    assert archive is not None
    assert desk.inside.tree(archive)["app.py"] == changed.strip()


async def test_a_continuation_restores_commits_and_uncommitted_changes_apart(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    head = agent.commit({"done.py": "committed"})
    crlf = b"one\r\ntwo\n"
    agent.write(
        {"app.py": "changed", "dir/new é\n-x": "untracked", "README.md": None, ".gitattributes": "* text=auto\n", "mixed": crlf}
    )
    before = agent.git("status", "--porcelain", "-z", "--untracked-files=all")
    await desk.workspace.archive(desk.spec)
    desk.next_run(RunMode.CONTINUATION, base=prepared.base)
    again, agent = await desk.prepare()
    assert agent.tip() == head
    assert agent.git("status", "--porcelain", "-z", "--untracked-files=all") == before
    assert (again.worktree / "mixed").read_bytes() == crlf
    assert again.start_head == prepared.start_head  # checks still cover what the first run did
    assert again.base == prepared.base


async def test_a_continuation_of_a_continuation_has_it_all(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    for number in range(3):
        agent.write({f"step{number}": "1"})
        await desk.workspace.archive(desk.spec)
        desk.next_run(RunMode.CONTINUATION, base=prepared.base)
        _, agent = await desk.prepare()
    assert {f"step{n}" for n in range(3)} <= {path.name for path in agent.path.iterdir()}


async def test_a_continuation_without_an_archive_starts_from_the_pinned_head(desk: Desk) -> None:
    desk.spec = replace(desk.spec, mode=RunMode.CONTINUATION)
    prepared, agent = await desk.prepare()
    assert agent.git("rev-parse", "HEAD^") == prepared.base


async def test_G10_a_continuation_does_not_take_another_run_s_work_for_its_own(desk: Desk) -> None:
    """The run to go on with was cut off before anything was kept of it; the archive is the developer's before it."""
    prepared, agent = await desk.prepare()
    agent.commit({"x.py": "1"})
    head = (await desk.collected(prepared)).facts.head
    desk.next_run(RunMode.NEW_ATTEMPT, base=prepared.base, head=head)
    desk.next_run(RunMode.CONTINUATION, base=prepared.base, head=head)
    desk.spec = replace(desk.spec, role=Role.REVIEWER, allowed=(f"{FOLDER}/",), continues=RunId(2))
    prepared, agent = await desk.prepare()
    agent.write({f"{FOLDER}/07-review.md": "---\nverdict: approved\nfindings: []\n---\n"})
    assert (await desk.collected(prepared)).facts.code_head == head, "what the developer did is not laid to the reviewer's charge"


async def test_a_continuation_past_which_the_branch_went_on_starts_from_the_new_head(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.write({"x": "1"})
    await desk.workspace.archive(desk.spec)
    moved = desk.person.commit({"by-a-person": "1"})
    desk.person.git("push", "--quiet", "origin", f"{moved}:refs/heads/{BRANCH}")
    desk.next_run(RunMode.CONTINUATION, base=prepared.base, head=moved)
    prepared, agent = await desk.prepare()
    assert agent.git("rev-parse", "HEAD^") == moved
    assert not (agent.path / "x").exists()


async def test_G10_a_run_whose_daemon_was_killed_is_archived_before_the_next(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    head = agent.commit({"done.py": "1"})
    agent.write({"half.py": "in the middle"})
    desk.workspace = desk.another_daemon()
    desk.next_run(RunMode.CONTINUATION, base=prepared.base)
    _, agent = await desk.prepare()
    assert desk.inside.has("refs/orch/archive/7/1")
    assert agent.tip() == head
    assert (agent.path / "half.py").read_text() == "in the middle"


async def test_an_archive_survives_a_kill_in_the_middle_of_a_commit(desk: Desk) -> None:
    _, agent = await desk.prepare()
    agent.write({"half.py": "1", ".git/index.lock": "", ".git/HEAD.lock": "", ".git/index": b"garbage"})
    archive = await desk.workspace.archive(desk.spec)
    assert archive is not None
    assert desk.inside.tree(archive)["half.py"] == "1"


async def test_an_archive_of_a_detached_head(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.git("checkout", "--quiet", "--detach")
    head = agent.commit({"x": "1"})
    archive = await desk.workspace.archive(desk.spec)
    assert desk.inside.git("rev-parse", f"{archive}^1") == head
    assert (await desk.refused(prepared)).kind is RefusalKind.HISTORY


async def test_an_archive_keeps_every_branch_and_the_stash(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    mine = agent.commit({"x": "1"})
    agent.write({"x": "stashed"})
    agent.git("stash", "--quiet")
    stash = agent.tip("refs/stash")
    agent.switch("elsewhere", "HEAD~1")
    other = agent.commit({"y": "1"})
    agent.git("pack-refs", "--all")
    archive = await desk.workspace.archive(desk.spec)
    parents = desk.inside.git("log", "-1", "--format=%P", str(archive)).split()
    assert parents[0] == other
    assert set(parents[1:]) == {mine, stash}
    refused = await desk.refused(prepared)
    assert (refused.kind, BRANCH in refused.reason) == (RefusalKind.HISTORY, True)


async def test_an_archive_without_a_git_directory_keeps_the_files(desk: Desk, tmp_path: Path) -> None:
    prepared, agent = await desk.prepare()
    agent.write({"x": "1"})
    (prepared.worktree / ".git").rename(tmp_path / "stolen")
    archive = await desk.workspace.archive(desk.spec)
    assert desk.inside.tree(str(archive))["x"] == "1"
    assert desk.inside.git("rev-parse", f"{archive}^") == prepared.start_head
    assert (await desk.refused(prepared)).kind is RefusalKind.HISTORY


async def test_an_archive_of_broken_objects_keeps_the_files(desk: Desk) -> None:
    prepared, agent = await desk.prepare()
    agent.commit({"x": "1"})
    blob = agent.git("rev-parse", "HEAD:x")
    agent.write({"x": "2"})
    (prepared.worktree / ".git/objects" / blob[:2] / blob[2:]).unlink()
    archive = await desk.workspace.archive(desk.spec)
    assert desk.inside.tree(str(archive))["x"] == "2"
    assert (await desk.refused(prepared)).kind is RefusalKind.HISTORY


async def test_a_run_that_was_never_prepared_has_no_archive(desk: Desk) -> None:
    assert await desk.workspace.archive(desk.spec) is None
    with pytest.raises(StoreError):
        await desk.workspace.collect(
            desk.spec,
            Prepared(worktree=desk.folder, home=desk.folder, start_head=Sha("0" * 40), base=Sha("0" * 40), branch=BRANCH),
        )
