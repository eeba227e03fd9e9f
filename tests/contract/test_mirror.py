"""The contract of ``Mirror``, on a bare remote and on a repository of the user's own whose default branch is checked out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from orch.adapters.git import Git, GitMirror
from orch.core.errors import ConfigError, DomainError, PermanentError, StoreError, TransientError
from orch.core.ids import Branch, ProjectName, Sha, TaskRow, WorkItemId
from orch.core.landing import make_candidate
from orch.core.model import Candidate, LandStyle
from orch.ports.git import CandidateMember, ChainSpec, Mirror, PushResult
from orch.ports.services import GitRemote
from tests.gitrepo import Repo, make_bare, make_repo, remote_of

BRANCH = Branch("feature/SHOP-1-add")
ABSENT = Sha("0" * 39 + "1")


@dataclass
class World:
    """A remote, somebody's clone to change it from, and the mirror under test."""

    remote: Repo
    person: Repo
    mirror: Mirror

    def push(self, *refspecs: str) -> None:
        self.person.git("push", "--quiet", "--force", "origin", *refspecs)


def _bare(folder: Path) -> tuple[Repo, Repo]:
    person = make_repo(folder / "person")
    return make_bare(folder / "remote.git", person), person


def _checked_out(folder: Path) -> tuple[Repo, Repo]:
    remote = make_repo(folder / "remote")
    remote.git("config", "receive.denyCurrentBranch", "updateInstead")  # for the person's pushes; ours ask for it themselves
    remote.git("clone", "--quiet", str(remote.path), str(folder / "person"))
    return remote, Repo(folder / "person")


@pytest.fixture(params=[_bare, _checked_out], ids=["bare remote", "checked-out remote"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    build: Callable[[Path], tuple[Repo, Repo]] = request.param
    remote, person = build(tmp_path)
    mirror = GitMirror(
        tmp_path / "data" / "mirror.git", remote_of(remote), project=ProjectName("shop"), default_branch="main", git=Git()
    )
    return World(remote=remote, person=person, mirror=mirror)


def branch_with(world: World, files: dict[str, str | bytes | None], name: str = BRANCH) -> Sha:
    """Push a task branch of one commit on main's tip."""
    world.person.switch(name, "main")
    sha = world.person.commit(files, f"work on {name}")
    world.push(name)
    world.person.switch("main")
    return sha


async def candidate(world: World, *heads: Sha, style: LandStyle = LandStyle.REBASE) -> Candidate:
    base = await world.mirror.fetch()
    members = [CandidateMember(task=TaskRow(n), head=head, message=f"Task {n}") for n, head in enumerate(heads, 1)]
    built = await world.mirror.build_chain(ChainSpec(base=base, members=members, style=style))
    assert built.left_out == ()
    return make_candidate(ProjectName("shop"), built.chain, len(heads))


async def test_fetch_returns_the_default_branchs_tip_and_follows_it(world: World) -> None:
    assert await world.mirror.fetch() == world.person.tip("main")
    second = world.person.commit({"b.py": "b"})
    world.push("main")
    assert await world.mirror.fetch() == second


async def test_the_remote_is_asked_for_a_branchs_tip(world: World) -> None:
    assert await world.mirror.remote_tip(BRANCH) is None
    sha = branch_with(world, {"x": "1"})
    assert await world.mirror.remote_tip(BRANCH) == sha


async def test_contains_is_reachability(world: World) -> None:
    first = await world.mirror.fetch()
    head = branch_with(world, {"x": "1"})
    await world.mirror.fetch()
    assert await world.mirror.contains(first, first)
    assert await world.mirror.contains(first, head)
    assert not await world.mirror.contains(head, first)


@pytest.mark.parametrize("style", LandStyle)
async def test_a_candidate_lands_by_a_plain_push(world: World, style: LandStyle) -> None:
    made = await candidate(world, branch_with(world, {"x": "1"}), branch_with(world, {"y": "2"}, "feature/SHOP-2-y"), style=style)
    pushed = await world.mirror.push_candidate(made)
    assert pushed.result is PushResult.PUSHED
    assert world.remote.tip("main") == made.sha
    assert world.remote.tree("main").items() >= {"x": "1", "y": "2"}.items()
    assert world.remote.git("rev-parse", "main^{tree}") == made.tree
    assert await world.mirror.contains(made.landed[TaskRow(1)], made.landed[TaskRow(2)])


async def test_G3_a_candidate_whose_base_was_left_behind_does_not_land(world: World) -> None:
    made = await candidate(world, branch_with(world, {"x": "1"}))
    moved = world.person.commit({"other": "1"})
    world.push("main")
    assert (await world.mirror.push_candidate(made)).result is PushResult.MOVED
    assert world.remote.tip("main") == moved


async def test_G3_a_main_that_was_rewound_below_the_base_takes_no_candidate(world: World) -> None:
    first = world.person.tip("main")
    world.person.commit({"second": "2"})
    world.push("main")
    made = await candidate(world, branch_with(world, {"x": "1"}))
    world.push(f"+{first}:refs/heads/main")
    assert (await world.mirror.push_candidate(made)).result is PushResult.MOVED
    assert world.remote.tip("main") == first


async def test_G10_pushing_a_landed_candidate_again_says_so(world: World) -> None:
    made = await candidate(world, branch_with(world, {"x": "1"}))
    await world.mirror.push_candidate(made)
    assert (await world.mirror.push_candidate(made)).result is PushResult.PUSHED
    world.person.git("pull", "--quiet", "origin", "main")
    world.person.commit({"later": "1"})
    world.push("main")
    again = await world.mirror.push_candidate(made)
    assert again.result is PushResult.PUSHED
    assert "gone on" in again.detail


async def test_a_task_branch_is_made_only_where_none_is(world: World) -> None:
    head = branch_with(world, {"x": "1"}, "feature/SHOP-9-source")
    await world.mirror.fetch()
    assert (await world.mirror.push_branch(BRANCH, head, expected=None)).result is PushResult.PUSHED
    assert world.remote.tip(BRANCH) == head
    other = world.person.tip("main")
    assert (await world.mirror.push_branch(BRANCH, other, expected=None)).result is PushResult.MOVED
    assert world.remote.tip(BRANCH) == head


async def test_G4_a_task_branch_is_forced_at_the_expected_commit_only(world: World) -> None:
    old = branch_with(world, {"x": "1"})
    await world.mirror.fetch()
    base = world.person.tip("main")
    assert (await world.mirror.push_branch(BRANCH, base, expected=base)).result is PushResult.MOVED
    assert world.remote.tip(BRANCH) == old
    assert (await world.mirror.push_branch(BRANCH, base, expected=old)).result is PushResult.PUSHED
    assert world.remote.tip(BRANCH) == base
    assert (await world.mirror.push_branch(BRANCH, base, expected=old)).result is PushResult.PUSHED  # done again after a crash


async def test_G4_a_task_branch_is_deleted_at_the_expected_commit_only(world: World) -> None:
    head = branch_with(world, {"x": "1"})
    await world.mirror.fetch()
    moved = await world.mirror.delete_branch(BRANCH, expected=world.person.tip("main"))
    assert moved.result is PushResult.MOVED
    assert world.remote.tip(BRANCH) == head
    assert (await world.mirror.delete_branch(BRANCH, expected=head)).result is PushResult.PUSHED
    assert not world.remote.has(f"refs/heads/{BRANCH}")
    assert (await world.mirror.delete_branch(BRANCH, expected=head)).result is PushResult.PUSHED


@pytest.mark.parametrize(
    "name", ["main", "release", "feature/", "feature/../main", "feature/a b", "feature/x.lock", "-f", "feature/a:main"]
)
async def test_G4_only_task_branches_are_forced_or_deleted(world: World, name: str) -> None:
    tip = await world.mirror.fetch()
    with pytest.raises(DomainError):
        await world.mirror.push_branch(Branch(name), tip, expected=None)
    with pytest.raises(DomainError):
        await world.mirror.delete_branch(Branch(name), expected=tip)
    assert world.remote.tip("main") == tip


async def test_a_conflict_is_a_value_that_names_task_files_and_whom_it_conflicts_with(world: World) -> None:
    one = branch_with(world, {"app.py": "one\n"})
    two = branch_with(world, {"app.py": "two\n"}, "feature/SHOP-2-two")
    three = branch_with(world, {"z": "3\n"}, "feature/SHOP-3-three")
    base = await world.mirror.fetch()
    members = [CandidateMember(task=TaskRow(n), head=head, message="m") for n, head in enumerate((one, two, three), 1)]
    built = await world.mirror.build_chain(ChainSpec(base=base, members=members, style=LandStyle.SQUASH))
    assert [link.member.task for link in built.chain.links] == [TaskRow(1), TaskRow(3)]
    (left,) = built.left_out
    assert (left.task, left.after, left.files, left.broken) == (TaskRow(2), TaskRow(1), ("app.py",), False)
    assert "app.py" in left.detail


async def test_G3_the_chain_behind_a_landed_prefix_is_what_is_built_anew(world: World) -> None:
    heads = [branch_with(world, {name: name}, f"feature/SHOP-1-{name}") for name in "abc"]
    world.person.commit({"main": "moved"})
    world.push("main")
    base = await world.mirror.fetch()
    members = [CandidateMember(task=TaskRow(n), head=head, message=f"Task {n}") for n, head in enumerate(heads, 1)]
    whole = (await world.mirror.build_chain(ChainSpec(base=base, members=members, style=LandStyle.REBASE))).chain
    await world.mirror.push_candidate(make_candidate(ProjectName("shop"), whole, 1))
    tip = await world.mirror.fetch()
    rest = (await world.mirror.build_chain(ChainSpec(base=tip, members=members[1:], style=LandStyle.REBASE))).chain
    assert (tip, rest.links) == (whole.sha(1), whole.links[1:])


async def test_which_commits_a_tip_holds_is_asked_of_many_at_once(world: World) -> None:
    first = await world.mirror.fetch()
    head = branch_with(world, {"x": "1"})
    second = world.person.commit({"b.py": "b"})
    world.push("main")
    tip = await world.mirror.fetch()
    assert tip == second
    assert await world.mirror.contained([first, head, second, ABSENT], tip) == {first, second}
    assert await world.mirror.contained([ABSENT], tip) == set()
    assert await world.mirror.contained([], tip) == set()
    assert world.mirror.tracked(BRANCH) == head
    assert world.mirror.tracked("feature/nobody") is None


async def test_a_branchs_own_files_and_a_commits_tree_are_told(world: World) -> None:
    head = branch_with(world, {"dir/x é": "1", "app.py": "new\n"})
    world.person.commit({"main-only": "1"})
    world.push("main")
    tip = await world.mirror.fetch()
    assert await world.mirror.changed_files(tip, head) == ("app.py", "dir/x é")
    assert await world.mirror.tree_of(head) == world.person.git("rev-parse", f"{head}^{{tree}}")


async def test_the_diff_stat_is_of_the_branch_alone(world: World) -> None:
    head = branch_with(world, {"x": "1\n2\n"})
    world.person.commit({"main-only": "1"})
    world.push("main")
    tip = await world.mirror.fetch()
    stat = await world.mirror.diff_stat(tip, head)
    assert "x | 2 ++" in stat
    assert "main-only" not in stat


async def test_artefacts_are_read_from_the_commit(world: World) -> None:
    base = await world.mirror.fetch()
    folder = "docs/work-items/SHOP-1"
    head = branch_with(
        world,
        {
            f"{folder}/07-review.md": "---\nverdict: approved\nfindings: []\n---\nGood.\n",
            f"{folder}/history/1-07-review.md": "old",
            "docs/work-items/SHOP-11/01-brd.md": "another task's",
        },
    )
    await world.mirror.fetch()
    facts = await world.mirror.read_artefacts(head, WorkItemId("SHOP-1"), base)
    assert set(facts.artefacts) == {"07-review.md"}
    review = facts.artefacts["07-review.md"]
    assert (review.front, review.text, review.problem) == ({"verdict": "approved", "findings": []}, "Good.\n", "")
    assert facts.head == facts.code_head == head  # the other task's folder is not this one's


async def test_G10_a_report_whose_push_nobody_recorded_is_known_as_ours_and_written_over(world: World) -> None:
    """The daemon died between the push and the record: its next life writes onto what it finds and takes it for its own."""
    head = branch_with(world, {"app.py": "x"})
    await world.mirror.fetch()
    item = WorkItemId("SHOP-1")
    first = await world.mirror.write_artefact(BRANCH, head, item, name="09-staging.md", text="the first try")
    assert first is not None
    assert await world.mirror.is_ours(BRANCH, first)
    again = await world.mirror.write_artefact(BRANCH, head, item, name="09-staging.md", text="the second try")
    assert again is not None
    assert world.remote.tip(BRANCH) == again
    assert world.remote.git("show", f"{again}:docs/work-items/SHOP-1/09-staging.md") == "the second try"
    assert await world.mirror.contains(first, again)


async def test_a_report_goes_over_nobody_elses_push(world: World) -> None:
    head = branch_with(world, {"app.py": "x"})
    await world.mirror.fetch()
    world.person.switch(BRANCH)
    theirs = world.person.commit({"more.py": "y"})
    world.push(BRANCH)
    item = WorkItemId("SHOP-1")
    assert await world.mirror.write_artefact(BRANCH, head, item, name="09-staging.md", text="a try") is None
    await world.mirror.fetch()
    assert not await world.mirror.is_ours(BRANCH, theirs)
    assert world.remote.tip(BRANCH) == theirs


async def test_a_checkout_is_a_repository_and_is_removed(world: World) -> None:
    sha = await world.mirror.fetch()
    async with world.mirror.checkout(sha, "../re test") as folder:
        copy = Repo(folder)
        assert copy.git("status", "--porcelain") == ""
        assert copy.tip() == sha
        (folder / "locked").mkdir()
        (folder / "locked" / "file").write_text("made by a test")
        (folder / "locked").chmod(0o500)
    assert not folder.exists()


async def test_a_checkout_is_removed_under_cancellation(world: World) -> None:
    sha = await world.mirror.fetch()
    with anyio.CancelScope() as scope:
        async with world.mirror.checkout(sha, "test") as folder:
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert not folder.exists()


async def test_an_export_stays_where_it_was_asked_for_and_a_half_made_one_is_begun_again(world: World, tmp_path: Path) -> None:
    sha = await world.mirror.fetch()
    place = tmp_path / "deploys" / "1-1" / "tree"
    place.with_name("tree.part").mkdir(parents=True)
    (place.with_name("tree.part") / "half").write_text("left by a daemon that was killed")
    await world.mirror.export(sha, place)
    copy = Repo(place)
    assert (copy.tip(), copy.git("status", "--porcelain")) == (sha, "")
    assert [path.name for path in place.parent.iterdir()] == ["tree"]
    (place / "made").touch()
    await world.mirror.export(sha, place)
    assert (place / "made").exists(), "what stands there is left as it is"


async def test_a_remote_that_cannot_be_reached_is_transient(tmp_path: Path) -> None:
    gone = GitRemote(url=str(tmp_path / "nowhere.git"))
    mirror = GitMirror(tmp_path / "m.git", gone, project=ProjectName("shop"), default_branch="main", git=Git())
    with pytest.raises(TransientError):
        await mirror.fetch()
    assert not (tmp_path / "m.git").exists()


async def test_a_remote_that_goes_away_later_is_transient(world: World) -> None:
    made = await candidate(world, branch_with(world, {"x": "1"}))
    world.remote.path.rename(world.remote.path.with_name("moved-away"))
    with pytest.raises(TransientError):
        await world.mirror.fetch()
    with pytest.raises(TransientError):
        await world.mirror.push_candidate(made)
    with pytest.raises(TransientError):
        await world.mirror.push_branch(BRANCH, made.sha, expected=None)


async def test_a_missing_default_branch_says_what_to_do(tmp_path: Path) -> None:
    remote = make_repo(tmp_path / "remote", branch="trunk")
    mirror = GitMirror(tmp_path / "m.git", remote_of(remote), project=ProjectName("shop"), default_branch="main", git=Git())
    with pytest.raises(PermanentError, match="set default_branch of project shop"):
        await mirror.fetch()


async def test_a_folder_that_is_no_mirror_is_left_alone(tmp_path: Path) -> None:
    remote = make_repo(tmp_path / "remote")
    (tmp_path / "m.git").mkdir()
    mirror = GitMirror(tmp_path / "m.git", remote_of(remote), project=ProjectName("shop"), default_branch="main", git=Git())
    with pytest.raises(StoreError, match="move it away"):
        await mirror.fetch()


async def test_G13_a_password_in_the_url_is_refused(tmp_path: Path) -> None:
    remote = GitRemote(url="http://bot:sesame-open@127.0.0.1:9/shop.git")
    mirror = GitMirror(tmp_path / "m.git", remote, project=ProjectName("shop"), default_branch="main", git=Git())
    with pytest.raises(ConfigError) as caught:
        await mirror.fetch()
    assert "sesame" not in str(caught.value)
