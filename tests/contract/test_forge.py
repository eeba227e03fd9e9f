"""The ``Forge`` port: one suite for every forge. A further forge joins with one more ``ForgeWorld``."""

import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio.to_thread
import pytest

from orch.adapters.local_forge import LocalForge
from orch.adapters.store import InlineStore
from orch.core.errors import ExternalError, PermanentError, TransientError
from orch.core.ids import Branch, Sha
from orch.core.model import CiState, CommitStatus, PullRequestState
from orch.ports import Forge
from orch.rehearsal.gitea import FakeGitea
from tests.builders import DEMO, ManualClock, sha
from tests.fakes.gitea_connection import open_forge

BRANCH = Branch("feature/DEMO-1-greet")
OTHER = Branch("feature/DEMO-2-x")


def git(*args: str, cwd: Path, check: bool = True, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "Anna", f"GIT_{who}_EMAIL": "anna@example.org"}
    environment |= dict(env or {})
    return subprocess.run(["git", *args], cwd=cwd, env=environment, check=check, capture_output=True, text=True, timeout=60)


def commit(repo: Path, text: str) -> Sha:
    (repo / "greeting.txt").write_text(text)
    git("add", "greeting.txt", cwd=repo)
    git("commit", "-qm", text, cwd=repo)
    return Sha(git("rev-parse", "HEAD", cwd=repo).stdout.strip())


async def push(forge: Forge, repo: Path, branch: str = "main") -> subprocess.CompletedProcess[str]:
    """Push what the clone has checked out; in a thread, since a forge may be served by this very process."""
    remote = forge.remote()
    options = ["--receive-pack", remote.receive_pack] if remote.receive_pack else []
    command = ("push", *options, remote.url, f"HEAD:refs/heads/{branch}")
    return await anyio.to_thread.run_sync(partial(git, *command, cwd=repo, check=False, env=remote.env))


class ForgeWorld(Protocol):
    """A forge whose repo has a default branch ``main`` with one commit, and a clone of it.

    *early* is what marking a pull request as merged raises for a commit that is not in main: a forge behind an API may not have
    seen it yet.
    """

    forge: Forge
    clone: Path
    early: type[ExternalError]


class LocalWorld:
    early: type[ExternalError] = PermanentError

    def __init__(self, store: InlineStore, root: Path, *, bare: bool) -> None:
        self.path, self.clone = root / "repo", root / "clone"
        seed = root / "seed"
        seed.mkdir()
        git("init", "-q", "-b", "main", cwd=seed)
        commit(seed, "hello")
        git("clone", "-q", *(["--bare"] if bare else []), str(seed), str(self.path), cwd=root)
        git("clone", "-q", str(self.path), str(self.clone), cwd=root)
        self.forge: Forge = LocalForge(store, DEMO, self.path, "main", ManualClock())


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[LocalWorld]:
    async with InlineStore(clock=ManualClock()) as store:
        yield LocalWorld(store, tmp_path, bare=True)


@pytest.fixture
async def checked_out(tmp_path: Path) -> AsyncIterator[LocalWorld]:
    async with InlineStore(clock=ManualClock()) as store:
        yield LocalWorld(store, tmp_path, bare=False)


class GiteaWorld:
    """The fake Gitea over HTTP, on which the two branches exist already: there a pull request is of a branch."""

    early: type[ExternalError] = TransientError

    def __init__(self, gitea: FakeGitea, forge: Forge, root: Path) -> None:
        self.gitea, self.forge, self.clone = gitea, forge, root / "clone"
        for branch in (BRANCH, OTHER):
            gitea.person.push(branch, {f"{branch[-5:]}.txt": "work"})
        git("clone", "-q", str(gitea.repo.git.path), str(self.clone), cwd=root)


@pytest.fixture
async def gitea(tmp_path: Path) -> AsyncIterator[GiteaWorld]:
    async with FakeGitea(tmp_path / "gitea") as server, open_forge(server, tmp_path / "data", project=DEMO) as forge:
        yield GiteaWorld(server, forge, tmp_path)
        server.faults.assert_used()


@pytest.fixture(params=["bare", "checked_out", "gitea"])
def world(request: pytest.FixtureRequest) -> ForgeWorld:
    found: ForgeWorld = request.getfixturevalue(request.param)
    return found


async def test_a_branch_has_one_open_pull_request(world: ForgeWorld) -> None:
    first = await world.forge.open_pull_request(BRANCH, title="WIP: Greet", body="Say hello.")
    again = await world.forge.open_pull_request(BRANCH, title="another title", body="")
    assert again == first
    assert (first.state, first.base, first.title) == (PullRequestState.OPEN, "main", "WIP: Greet")
    other = await world.forge.open_pull_request(OTHER, title="x", body="")
    assert other.number != first.number
    assert await world.forge.fetch_pull_request(first.number) == first
    assert await world.forge.fetch_pull_request(999) is None


async def test_title_and_body_are_kept_up_and_a_closed_one_can_be_reopened(world: ForgeWorld) -> None:
    pull = await world.forge.open_pull_request(BRANCH, title="WIP: Greet", body="Say hello.")
    edited = await world.forge.edit_pull_request(pull.number, title="Greet")
    assert (edited.title, edited.body) == ("Greet", "Say hello.")
    closed = await world.forge.edit_pull_request(pull.number, state=PullRequestState.CLOSED)
    assert closed.state is PullRequestState.CLOSED
    reopened = await world.forge.edit_pull_request(pull.number, state=PullRequestState.OPEN)
    assert reopened.state is PullRequestState.OPEN
    with pytest.raises(PermanentError):
        await world.forge.edit_pull_request(999, title="x")


async def test_a_closed_one_is_not_reopened_beside_its_successor(world: ForgeWorld) -> None:
    old = await world.forge.open_pull_request(BRANCH, title="Greet", body="")
    await world.forge.edit_pull_request(old.number, state=PullRequestState.CLOSED)
    new = await world.forge.open_pull_request(BRANCH, title="Greet", body="")
    assert new.number != old.number
    with pytest.raises(PermanentError):
        await world.forge.edit_pull_request(old.number, state=PullRequestState.OPEN)


async def test_G15_only_a_commit_of_the_default_branch_makes_a_merge(world: ForgeWorld) -> None:
    pull = await world.forge.open_pull_request(BRANCH, title="Greet", body="")
    landed = commit(world.clone, "hello, world")
    for not_there in (landed, sha("a")):
        with pytest.raises(world.early):
            await world.forge.mark_merged(pull.number, not_there)
    for no_commit in (Sha("--all"), Sha("main")):
        with pytest.raises(PermanentError):
            await world.forge.mark_merged(pull.number, no_commit)
    assert await world.forge.fetch_pull_request(pull.number) == pull
    with pytest.raises(PermanentError):
        await world.forge.edit_pull_request(pull.number, state=PullRequestState.MERGED)
    assert (await push(world.forge, world.clone)).returncode == 0
    merged = await world.forge.mark_merged(pull.number, landed)
    assert (merged.state, merged.merged) == (PullRequestState.MERGED, landed)
    assert await world.forge.mark_merged(pull.number, landed) == merged, "safe to repeat"
    assert await world.forge.fetch_pull_request(pull.number) == merged
    closed = await world.forge.edit_pull_request(pull.number, state=PullRequestState.CLOSED)
    assert closed.state is PullRequestState.MERGED
    with pytest.raises(PermanentError, match="#999"):
        await world.forge.mark_merged(999, landed)


async def test_a_commits_newest_status_per_context_counts(world: ForgeWorld) -> None:
    head = commit(world.clone, "hello, world")
    assert (await push(world.forge, world.clone, "feature/DEMO-3-y")).returncode == 0
    assert await world.forge.fetch_statuses(head) == []
    pending = CommitStatus(sha=head, context="orch/test", state=CiState.PENDING)
    green = CommitStatus(sha=head, context="orch/test", state=CiState.SUCCESS, description="12 passed")
    other = CommitStatus(sha=head, context="orch/lint", state=CiState.FAILURE)
    for status in (pending, other, green):
        await world.forge.post_status(status)
    found = await world.forge.fetch_statuses(head)
    assert sorted(found, key=lambda status: status.context) == [other, green]


async def test_pull_requests_are_found_by_branch_and_listed_by_state(world: ForgeWorld) -> None:
    assert await world.forge.find_pull_request(BRANCH) is None
    assert await world.forge.list_pull_requests() == []
    old = await world.forge.open_pull_request(BRANCH, title="Greet", body="")
    old = await world.forge.edit_pull_request(old.number, state=PullRequestState.CLOSED)
    assert await world.forge.find_pull_request(BRANCH) == old, "a closed one where none is open"
    new = await world.forge.open_pull_request(BRANCH, title="Greet again", body="")
    other = await world.forge.open_pull_request(OTHER, title="x", body="")
    assert await world.forge.find_pull_request(BRANCH) == new
    landed = commit(world.clone, "hello, world")
    assert (await push(world.forge, world.clone)).returncode == 0
    merged = await world.forge.mark_merged(other.number, landed)
    assert await world.forge.find_pull_request(OTHER) == merged
    by_state = {state: await world.forge.list_pull_requests(state) for state in PullRequestState}
    assert by_state == {PullRequestState.OPEN: [new], PullRequestState.MERGED: [merged], PullRequestState.CLOSED: [old]}
    assert await world.forge.list_pull_requests() == [merged, new, old], "the newest change first"
    since = await world.forge.list_pull_requests(since=datetime(2000, 1, 1, tzinfo=UTC))
    assert since == [merged, new, old]


async def test_it_is_known_whether_pull_requests_can_be_marked(world: ForgeWorld) -> None:
    marking = await world.forge.check_manual_merge()
    assert (marking.allowed, marking.autodetected) == (True, False)


async def test_a_comment_is_kept_of_a_pull_request_only(world: ForgeWorld) -> None:
    pull = await world.forge.open_pull_request(BRANCH, title="Greet", body="")
    await world.forge.keep_comment(pull.number, marker="orch:status", text="running")
    await world.forge.keep_comment(pull.number, marker="orch:status", text="running")
    with pytest.raises(PermanentError, match="no pull request #9"):
        await world.forge.keep_comment(9, marker="orch:status", text="x")


# ------------------------------------------------------------------------------------------------ the local forge alone


async def test_the_kept_comment_is_edited_in_place(tmp_path: Path) -> None:
    async with InlineStore(clock=ManualClock()) as store:
        forge = LocalForge(store, DEMO, tmp_path, "main", ManualClock())
        pull = await forge.open_pull_request(BRANCH, title="Greet", body="")
        for marker, text in (("status", "running"), ("other", "x"), ("status", "done")):
            await forge.keep_comment(pull.number, marker=marker, text=text)
        comments = await store.read(lambda tx: tx.list_pr_comments(DEMO, pull.number))
        assert comments == [("status", "done"), ("other", "x")]
        with pytest.raises(PermanentError, match="no pull request #9"):
            await forge.keep_comment(9, marker="status", text="x")


async def test_G3_a_clean_working_tree_follows_a_push_and_a_dirty_one_refuses_it(checked_out: LocalWorld) -> None:
    local = checked_out
    hook = local.path / ".git" / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hook-ran\n")
    hook.chmod(0o755)
    first = commit(local.clone, "hello, world")
    assert (await push(local.forge, local.clone)).returncode == 0
    assert (local.path / "greeting.txt").read_text() == "hello, world"
    assert git("status", "--porcelain", cwd=local.path).stdout == ""
    assert not list(local.path.rglob("hook-ran")), "hooks of the repository are off"
    (local.path / "greeting.txt").write_text("somebody is editing this")
    commit(local.clone, "hello, everybody")
    refused = await push(local.forge, local.clone)
    assert refused.returncode != 0
    assert "unstaged changes" in refused.stderr
    assert git("rev-parse", "main", cwd=local.path).stdout.strip() == first
    assert (local.path / "greeting.txt").read_text() == "somebody is editing this"
