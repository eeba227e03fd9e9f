"""Pushing to real repositories: races with one winner, working trees that are in use, servers that refuse."""

from pathlib import Path

import anyio
import pytest

from orch.adapters.git import Git, GitMirror
from orch.adapters.git.landing_right import check_landing_right
from orch.core.errors import TransientError
from orch.core.ids import Branch, ProjectName, Sha, TaskRow
from orch.core.model import Candidate, LandStyle
from orch.ports.git import CandidateMember, Pushed, PushResult
from tests.gitrepo import Repo, make_bare, make_repo, remote_of

BRANCH = Branch("feature/SHOP-1-x")


def mirror_of(remote: Repo, path: Path) -> GitMirror:
    return GitMirror(path, remote_of(remote), project=ProjectName("shop"), default_branch="main", git=Git())


def branch(repo: Repo, name: str, files: dict[str, str | bytes | None]) -> Sha:
    repo.switch(name, "main")
    sha = repo.commit(files, name)
    repo.switch("main")
    return sha


async def candidate(mirror: GitMirror, head: Sha, base: Sha | None = None) -> Candidate:
    member = CandidateMember(task=TaskRow(1), head=head, message="m")
    tip = await mirror.fetch()
    built = await mirror.build_candidate(base or tip, [member], LandStyle.SQUASH)
    assert isinstance(built, Candidate)
    return built


async def test_G3_of_two_pushes_at_once_one_wins(tmp_path: Path) -> None:
    person = make_repo(tmp_path / "person")
    heads = [branch(person, f"feature/SHOP-{n}-x", {f"x{n}": "1"}) for n in range(2)]
    remote = make_bare(tmp_path / "remote.git", person)
    mirrors = [mirror_of(remote, tmp_path / f"m{n}.git") for n in range(2)]
    made = [await candidate(mirror, head) for mirror, head in zip(mirrors, heads, strict=True)]
    results: list[tuple[Sha, Pushed]] = []

    async def push(mirror: GitMirror, one: Candidate) -> None:
        try:
            results.append((one.sha, await mirror.push_candidate(one)))
        except TransientError as error:  # the server's lock was taken: nothing was moved by us
            results.append((one.sha, Pushed(result=PushResult.MOVED, detail=str(error))))

    async with anyio.create_task_group() as group:
        for mirror, one in zip(mirrors, made, strict=True):
            group.start_soon(push, mirror, one)
    assert sorted(pushed.result for _, pushed in results) == [PushResult.MOVED, PushResult.PUSHED]
    assert [sha for sha, pushed in results if pushed.result is PushResult.PUSHED] == [remote.tip("main")]


async def test_a_push_that_loses_after_the_look_is_refused_by_the_server(tmp_path: Path) -> None:
    """The server moves main itself between our look and our push, by a hook that stands in for another pusher."""
    person = make_repo(tmp_path / "person")
    head = branch(person, BRANCH, {"x": "1"})
    other = branch(person, "other", {"o": "1"})
    remote = make_bare(tmp_path / "remote.git", person)
    mirror = mirror_of(remote, tmp_path / "m.git")
    made = await candidate(mirror, head)
    hook = remote.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nunset GIT_QUARANTINE_PATH\nexec git update-ref refs/heads/main {other}\n")
    hook.chmod(0o755)
    assert (await mirror.push_candidate(made)).result is PushResult.MOVED
    assert remote.tip("main") == other


async def test_a_dirty_working_tree_makes_landing_wait(tmp_path: Path) -> None:
    remote = make_repo(tmp_path / "repo")
    mirror = mirror_of(remote, tmp_path / "m.git")
    made = await candidate(mirror, branch(remote, BRANCH, {"x": "1"}))
    before = remote.tip("main")
    remote.write({"app.py": "in the middle of something"})
    waits = await mirror.push_candidate(made)
    assert waits.result is PushResult.DIRTY
    assert "unstaged" in waits.detail
    remote.git("add", "app.py")
    assert (await mirror.push_candidate(made)).result is PushResult.DIRTY
    assert remote.tip("main") == before
    assert (remote.path / "app.py").read_text() == "in the middle of something"
    remote.git("reset", "--quiet", "--hard")
    assert (await mirror.push_candidate(made)).result is PushResult.PUSHED
    assert (remote.path / "x").read_text() == "1"
    assert remote.git("status", "--porcelain") == ""


async def test_an_untracked_file_in_the_way_makes_landing_wait(tmp_path: Path) -> None:
    remote = make_repo(tmp_path / "repo")
    mirror = mirror_of(remote, tmp_path / "m.git")
    made = await candidate(mirror, branch(remote, BRANCH, {"x": "ours"}))
    remote.write({"x": "theirs"})
    assert (await mirror.push_candidate(made)).result is PushResult.DIRTY
    assert (remote.path / "x").read_text() == "theirs"


async def test_the_users_hooks_do_not_run_for_our_push(tmp_path: Path) -> None:
    remote = make_repo(tmp_path / "repo")
    mirror = mirror_of(remote, tmp_path / "m.git")
    made = await candidate(mirror, branch(remote, BRANCH, {"x": "1"}))
    canary = tmp_path / "ran"
    for name in ("pre-receive", "update", "post-receive", "post-update", "push-to-checkout", "post-checkout"):
        hook = remote.path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
        hook.chmod(0o755)
    assert (await mirror.push_candidate(made)).result is PushResult.PUSHED
    assert not canary.exists()


async def test_a_server_that_refuses_says_why(tmp_path: Path) -> None:
    person = make_repo(tmp_path / "person")
    head = branch(person, BRANCH, {"x": "1"})
    remote = make_bare(tmp_path / "remote.git", person)
    mirror = mirror_of(remote, tmp_path / "m.git")
    made = await candidate(mirror, head)
    hook = remote.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'Gitea: Not allowed to push to protected branch main' >&2\nexit 1\n")
    hook.chmod(0o755)
    refused = await mirror.push_candidate(made)
    assert refused.result is PushResult.REFUSED
    assert "Not allowed to push to protected branch main" in refused.detail
    assert (await mirror.push_branch(Branch("feature/SHOP-2-y"), head, expected=None)).result is PushResult.REFUSED


async def test_the_right_to_land_is_tried_without_a_trace(tmp_path: Path) -> None:
    person = make_repo(tmp_path / "person")
    remote = make_bare(tmp_path / "remote.git", person)
    mirror = mirror_of(remote, tmp_path / "m.git")
    before = remote.git("for-each-ref")
    assert (await check_landing_right(mirror)).allowed
    hook = remote.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'not you' >&2\nexit 1\n")
    hook.chmod(0o755)
    refused = await check_landing_right(mirror)
    assert (refused.allowed, "not you" in refused.detail) == (False, True)
    assert remote.git("for-each-ref") == before


async def test_the_right_to_land_is_tried_beside_a_working_tree(tmp_path: Path) -> None:
    remote = make_repo(tmp_path / "repo")
    before = remote.git("for-each-ref")
    assert (await check_landing_right(mirror_of(remote, tmp_path / "m.git"))).allowed
    assert remote.git("for-each-ref") == before
    assert remote.git("status", "--porcelain") == ""


async def test_a_lock_on_the_server_is_worth_another_try(tmp_path: Path) -> None:
    person = make_repo(tmp_path / "person")
    head = branch(person, BRANCH, {"x": "1"})
    remote = make_bare(tmp_path / "remote.git", person)
    mirror = mirror_of(remote, tmp_path / "m.git")
    made = await candidate(mirror, head)
    lock = remote.path / "refs" / "heads" / "main.lock"
    lock.touch()
    with pytest.raises(TransientError):
        await mirror.push_candidate(made)
    lock.unlink()
    assert (await mirror.push_candidate(made)).result is PushResult.PUSHED


async def test_a_deleted_default_branch_is_not_made_again(tmp_path: Path) -> None:
    person = make_repo(tmp_path / "person")
    head = branch(person, BRANCH, {"x": "1"})
    remote = make_bare(tmp_path / "remote.git", person)
    mirror = mirror_of(remote, tmp_path / "m.git")
    made = await candidate(mirror, head)
    remote.git("update-ref", "-d", "refs/heads/main")
    assert (await mirror.push_candidate(made)).result is PushResult.MOVED
    assert not remote.has("refs/heads/main")


async def test_a_half_made_mirror_is_begun_again(tmp_path: Path) -> None:
    remote = make_repo(tmp_path / "repo")
    half = tmp_path / "m.git.half-made"
    half.mkdir()
    (half / "HEAD").write_text("garbage")
    assert await mirror_of(remote, tmp_path / "m.git").fetch() == remote.tip()
    assert not half.exists()


async def test_locks_that_a_killed_daemon_left_are_removed(tmp_path: Path) -> None:
    remote = make_repo(tmp_path / "repo")
    await mirror_of(remote, tmp_path / "m.git").fetch()
    for lock in ("packed-refs.lock", "refs/remotes/origin/main.lock"):
        (tmp_path / "m.git" / lock).touch()
    tip = remote.commit({"later": "1"})
    assert await mirror_of(remote, tmp_path / "m.git").fetch() == tip


async def test_branches_that_vanish_or_turn_into_folders_are_followed(tmp_path: Path) -> None:
    person = make_repo(tmp_path / "person")
    branch(person, "feature/a", {"x": "1"})
    remote = make_bare(tmp_path / "remote.git", person)
    mirror = mirror_of(remote, tmp_path / "m.git")
    await mirror.fetch()
    remote.git("update-ref", "-d", "refs/heads/feature/a")
    remote.git("update-ref", "refs/heads/feature/a/b", "main")
    await mirror.fetch()
    assert mirror.tracked("feature/a") is None
    assert mirror.tracked("feature/a/b") == remote.tip("main")


async def test_a_sha256_repository_is_mirrored_as_one(tmp_path: Path) -> None:
    path = tmp_path / "repo"
    path.mkdir()
    repo = Repo(path)
    repo.git("init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    repo.commit({"a": "1"})
    mirror = mirror_of(repo, tmp_path / "m.git")
    made = await candidate(mirror, branch(repo, BRANCH, {"x": "1"}))
    assert len(made.sha) == 64
    assert (await mirror.push_candidate(made)).result is PushResult.PUSHED
