"""The mirror's refs by hand: they are what git says they are, and a look that finds nothing new fetches nothing."""

from functools import partial
from pathlib import Path

import anyio
import pytest

from orch.adapters.git import Git, GitMirror
from orch.adapters.git.refs import list_refs, write_locked
from orch.adapters.git.runner import PLAIN, Options, Ran
from orch.core.ids import Branch, ProjectName, Sha
from orch.ports.git import PushResult
from tests.gitrepo import Repo, make_bare, make_repo, remote_of

TRACKING = "refs/remotes/origin"
BRANCH = Branch("feature/SHOP-1-x")


class Asked:
    """What git was asked for, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._asked: list[str] = []
        run = Git.run

        async def counted(git: Git, git_dir: Path | None, *args: str, options: Options = PLAIN) -> Ran:
            self._asked.append(args[0])
            return await run(git, git_dir, *args, options=options)

        monkeypatch.setattr(Git, "run", counted)

    def since(self) -> list[str]:
        asked, self._asked = self._asked, []
        return asked


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def said_by_git(mirror: Path) -> dict[str, Sha]:
    lines = Repo(mirror).git("for-each-ref", "--format=%(refname) %(objectname)", TRACKING).splitlines()
    rows = (line.split() for line in lines)
    return {name.removeprefix(f"{TRACKING}/"): Sha(sha) for name, sha in rows}


def scene(tmp_path: Path) -> tuple[Repo, Repo, GitMirror]:
    person = make_repo(tmp_path / "person")
    remote = make_bare(tmp_path / "remote.git", person)
    mirror = GitMirror(tmp_path / "mirror.git", remote_of(remote), project=ProjectName("shop"), default_branch="main", git=Git())
    return person, remote, mirror


async def test_loose_and_packed_refs_are_listed_as_git_lists_them(tmp_path: Path) -> None:
    person, _, mirror = scene(tmp_path)
    for name in ("a", "deep/er/b", "c"):
        person.git("push", "--quiet", "origin", f"HEAD:refs/heads/{name}")
    await mirror.fetch()
    Repo(mirror.path).git("pack-refs", "--all")
    person.commit({"new": "1"}, "new")
    person.git("push", "--quiet", "origin", "HEAD:refs/heads/a", "HEAD:refs/heads/d")
    await mirror.fetch()
    assert list_refs(mirror.path, TRACKING) == said_by_git(mirror.path)
    assert set(list_refs(mirror.path, TRACKING)) == {"main", "a", "deep/er/b", "c", "d"}


async def test_a_look_that_finds_nothing_new_fetches_nothing(tmp_path: Path, asked: Asked) -> None:
    person, _, mirror = scene(tmp_path)
    await mirror.fetch()
    asked.since()
    assert await mirror.fetch() == person.tip("main")
    assert asked.since() == ["ls-remote"]
    sha = person.commit({"new": "1"}, "new")
    person.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    assert await mirror.fetch() == sha
    assert asked.since() == ["ls-remote", "fetch"]


async def test_our_own_push_is_known_and_a_branch_that_is_gone_is_forgotten(tmp_path: Path, asked: Asked) -> None:
    person, remote, mirror = scene(tmp_path)
    start = await mirror.fetch()
    assert (await mirror.push_branch(BRANCH, start, expected=None)).result is PushResult.PUSHED
    asked.since()
    await mirror.fetch()
    assert asked.since() == ["ls-remote"]
    assert mirror.tracked(BRANCH) == start
    remote.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    await mirror.fetch()
    assert mirror.tracked(BRANCH) is None
    assert person.tip("main") == start


async def test_a_ref_is_not_written_by_hand_where_git_has_to_look(tmp_path: Path) -> None:
    _, _, mirror = scene(tmp_path)
    sha = await mirror.fetch()
    (mirror.path / f"{TRACKING}/held.lock").touch()
    assert not write_locked(mirror.path, f"{TRACKING}/held", sha)
    assert not write_locked(mirror.path, f"{TRACKING}/main/below", sha)
    assert write_locked(mirror.path, f"{TRACKING}/deep/er", sha)
    assert not write_locked(mirror.path, f"{TRACKING}/deep", sha)
    assert list_refs(mirror.path, TRACKING) == said_by_git(mirror.path) == {"main": sha, "deep/er": sha}
    assert not (mirror.path / f"{TRACKING}/deep.lock").exists()


async def test_what_we_pushed_is_noted_after_a_fetch_that_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git would find the ref to be another one than when its fetch began, and the fetch would fail."""
    person, _, mirror = scene(tmp_path)
    start = await mirror.fetch()
    person.commit({"new": "1"}, "new")
    person.git("push", "--quiet", "origin", "HEAD:refs/heads/main")
    fetching, pushed, go_on, run = anyio.Event(), anyio.Event(), anyio.Event(), Git.run

    async def held(git: Git, git_dir: Path | None, *args: str, options: Options = PLAIN) -> Ran:
        if args[0] == "fetch":
            fetching.set()
            await go_on.wait()
        ran = await run(git, git_dir, *args, options=options)
        if args[0] == "push":
            pushed.set()
        return ran

    monkeypatch.setattr(Git, "run", held)
    async with anyio.create_task_group() as group:
        group.start_soon(mirror.fetch)
        await fetching.wait()
        group.start_soon(partial(mirror.push_branch, BRANCH, start, expected=None))
        await pushed.wait()
        await anyio.wait_all_tasks_blocked()
        assert mirror.tracked(BRANCH) is None
        go_on.set()
    assert mirror.tracked(BRANCH) == start
